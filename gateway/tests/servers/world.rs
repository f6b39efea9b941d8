//! One authorization server, a gateway in front of it, and clients of both.

use super::process::{Folder, Gateway, free_port, get, wait_for};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use std::{
    cell::{Cell, RefCell},
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// An authorization server, as its script sets it up.
pub(crate) struct Server {
    /// The folder of the script and of the configuration of the gateway.
    pub(crate) name: &'static str,
    pub(crate) script: &'static str,
    /// A page that the server answers with 200 when it is ready.
    pub(crate) ready: &'static str,
    /// The options of `keygen` for the key of the gateway.
    pub(crate) keygen: &'static [&'static str],
    pub(crate) metadata: Metadata,
    /// An ordinary page, and a text of it.
    pub(crate) page: (&'static str, &'static str),
    pub(crate) user: [&'static str; 2],
    pub(crate) logins: &'static [Login],
}

/// How clients learn the endpoints.
pub(crate) enum Metadata {
    /// From the metadata at this path.
    At(&'static str),
    /// From the documentation.
    Written(&'static [(&'static str, &'static str)]),
}

pub(crate) struct Login {
    pub(crate) client: &'static str,
    pub(crate) scope: &'static str,
    pub(crate) resource: Option<&'static str>,
    /// Whether the server introspects and revokes the tokens.
    pub(crate) revocable: bool,
}

/// The process of a server, which is ended when this value is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // The process has processes of its own, which it ends.
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        let until = Instant::now() + Duration::from_secs(5);
        while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is printed if the test fails.
struct Reports {
    server: &'static str,
    folder: PathBuf,
    /// The refused requests of the clients.
    refusals: RefCell<Vec<String>>,
}

impl Reports {
    fn last_event(&self) -> Value {
        let audit = fs::read_to_string(self.folder.join("audit.jsonl")).unwrap_or_default();
        audit.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default()
    }

    /// The reason and the detail of the last event of the audit.
    fn last_refusal(&self) -> [Value; 2] {
        let event = self.last_event();
        ["reason", "detail"].map(|name| event[name].clone())
    }
}

impl Drop for Reports {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        println!("{}:\n{}", self.server, self.refusals.borrow().join("\n"));
        for name in ["audit.jsonl", "log", "server.log"] {
            let text = fs::read_to_string(self.folder.join(name)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            println!("{name}:\n{}", lines[lines.len().saturating_sub(5)..].join("\n"));
        }
    }
}

/// The fields are dropped in their order: the folder at the end.
pub(crate) struct World {
    pub(crate) server: Server,
    parts: PathBuf,
    gateway: Gateway,
    endpoints: Value,
    configuration: String,
    ran: Instant,
    first: Cell<Option<Duration>>,
    reports: Reports,
    _running: Running,
    folder: Folder,
}

pub(crate) fn secret(client: &str) -> String {
    format!("{client}-secret-0123456789abcdef")
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// The claims of a JWT, which is not verified here.
pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(payload.as_bytes()).unwrap()).unwrap()
}

impl World {
    /// Starts the server, and then the gateway.
    pub(crate) fn start(server: Server) -> Self {
        Self::start_with(server, |_, _, _| ())
    }

    /// Starts the server, and then the gateway with a changed configuration and changed records.
    pub(crate) fn start_with(server: Server, change: impl FnOnce(&Folder, &mut String, &mut String)) -> Self {
        let parts = env::var_os("SERVERS_DIR").map(PathBuf::from);
        let parts = parts.expect("SERVERS_DIR names the folder of the servers that `.ci/run` installs");
        let folder = Folder::new();
        let reports = Reports { server: server.name, folder: folder.0.clone(), refusals: RefCell::default() };
        let ports = [free_port(), free_port(), free_port()];
        let [port, _, upstream] = ports;
        let running = run(&parts, &server, upstream, &format!("http://127.0.0.1:{port}"), &folder);
        wait_for(&format!("{} is ready", server.name), || {
            get(upstream, server.ready).is_some_and(|(status, _)| status == 200)
        });

        let ran = Instant::now();
        let configuration = configure(&server, ports, &folder, change);
        let gateway = Gateway::start(&folder);
        wait_for(&format!("the gateway is ready in front of {}", server.name), || gateway.is_ready());
        let endpoints = endpoints(&server, &gateway);
        folder.write("endpoints.json", &endpoints.to_string());
        let first = Cell::new(None);
        Self { server, parts, gateway, endpoints, configuration, ran, first, reports, _running: running, folder }
    }

    /// The time between the running server and the first exchange.
    pub(crate) fn first_exchange(&self) -> Duration {
        self.first.get().unwrap()
    }

    pub(crate) fn exchanged(&self) {
        self.first.set(self.first.get().or(Some(self.ran.elapsed())));
    }

    /// The lines of the configuration that are not empty. The clients, targets and rules are in a file of their own.
    pub(crate) fn lines(&self) -> usize {
        self.configuration.lines().filter(|line| !line.trim().is_empty()).count()
    }

    /// Why the last exchange was refused, as the audit says.
    pub(crate) fn reason(&self) -> String {
        text(&self.reports.last_refusal()[0])
    }

    /// Whether the metadata name RS256, which is then the only algorithm that many resource servers know.
    pub(crate) fn signs_with_rsa(&self) -> bool {
        self.endpoints["id_token_signing_alg_values_supported"]
            .as_array()
            .is_some_and(|algorithms| algorithms.contains(&json!("RS256")))
    }

    pub(crate) fn issuer(&self) -> String {
        text(&self.endpoints["issuer"])
    }

    /// The user of a token, as the server names the user.
    pub(crate) fn subject(&self, token: &str) -> String {
        if token.contains('.') { text(&claims(token)["sub"]) } else { self.server.user[0].to_owned() }
    }

    pub(crate) fn page_is_unchanged(&self) {
        let (path, part) = self.server.page;
        let (status, body) = get(self.gateway.port, path).unwrap();
        assert_eq!(status, 200, "{body}");
        assert!(body.contains(part), "{body}");
    }

    pub(crate) fn login(&self, login: &Login) -> Value {
        let mut arguments = vec![login.client, login.scope];
        arguments.extend(login.resource);
        self.python("login", &arguments)
    }

    /// `requests-oauth2client` and PyJWT.
    pub(crate) fn python(&self, command: &str, arguments: &[&str]) -> Value {
        self.script(
            Command::new(self.parts.join("venv/bin/python")).arg(self.parts.join("client.py")),
            command,
            arguments,
        )
    }

    /// `openid-client` and `jose`.
    pub(crate) fn node(&self, command: &str, arguments: &[&str]) -> Value {
        self.script(Command::new("node").arg(self.parts.join("client.mjs")), command, arguments)
    }

    /// Clients with keys, and resource servers.
    pub(crate) fn proof(&self, command: &str, arguments: &[&str]) -> Value {
        self.script(Command::new("node").arg(self.parts.join("proof.mjs")), command, arguments)
    }

    /// Writes a file for the scripts.
    pub(crate) fn write(&self, name: &str, text: &str) {
        self.folder.write(name, text);
    }

    /// The last event of the audit.
    pub(crate) fn last_event(&self) -> Value {
        self.reports.last_event()
    }

    /// Runs a script that prints one line of JSON.
    fn script(&self, program: &mut Command, command: &str, arguments: &[&str]) -> Value {
        let done = program.arg(self.folder.0.join("endpoints.json")).arg(command).args(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{command}: {error}");
        let answer: Value = serde_json::from_slice(&done.stdout).unwrap();
        if answer.get("error").is_some() {
            let [reason, detail] = self.reports.last_refusal();
            self.reports.refusals.borrow_mut().push(format!("{command}: {answer} {reason} {detail}"));
        }
        answer
    }
}

/// Writes the files of the gateway as an operator does, and returns the configuration.
fn configure(
    server: &Server,
    ports: [u16; 3],
    folder: &Folder,
    change: impl FnOnce(&Folder, &mut String, &mut String),
) -> String {
    let sources = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers"));
    let mut configuration = fs::read_to_string(sources.join(server.name).join("gateway.toml")).unwrap();
    for (name, port) in ["{port}", "{admin}", "{upstream}"].into_iter().zip(ports) {
        configuration = configuration.replace(name, &port.to_string());
    }
    let issuer = configuration.lines().find_map(|line| line.strip_prefix("issuer = ")).unwrap();
    let mut records = fs::read_to_string(sources.join("records.toml")).unwrap().replace("\"{issuer}\"", issuer);
    change(folder, &mut configuration, &mut records);
    folder.write("gateway.toml", &configuration);
    folder.write("records.toml", &records);
    folder.write("gateway.secret", &secret("gateway"));
    for arguments in [&[&["keygen", "active.pem"], server.keygen].concat()[..], &["check", "--online"]] {
        let done = folder.run(arguments);
        let output = [done.stdout, done.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(done.status.success(), "{arguments:?}: {output}");
    }
    configuration
}

/// What the clients know: the endpoints, their methods of authentication, and the user.
fn endpoints(server: &Server, gateway: &Gateway) -> Value {
    let mut endpoints: Value = match server.metadata {
        Metadata::At(path) => {
            let (status, body) = get(gateway.port, path).unwrap();
            assert_eq!(status, 200, "{body}");
            serde_json::from_str(&body).unwrap()
        }
        Metadata::Written(endpoints) => {
            endpoints.iter().map(|(name, path)| ((*name).to_owned(), json!(gateway.url() + path))).collect()
        }
    };
    let [name, password] = server.user;
    endpoints["auth"] = json!({ "billing-api": "client_secret_post" });
    endpoints["user"] = json!({ "name": name, "password": password, "email": format!("{name}@users.example") });
    endpoints
}

fn run(parts: &Path, server: &Server, port: u16, url: &str, folder: &Folder) -> Running {
    let program = if server.script.ends_with(".mjs") { "node".into() } else { parts.join("venv/bin/python") };
    let log = || fs::OpenOptions::new().create(true).append(true).open(folder.0.join("server.log")).unwrap();
    let mut command = Command::new(program);
    command.arg(parts.join(server.name).join(server.script)).args([&port.to_string(), url]);
    let own = folder.0.join("server");
    fs::create_dir(&own).unwrap();
    command.arg(own).env("AUTHLIB_INSECURE_TRANSPORT", "1");
    command.stdin(Stdio::null()).stdout(log()).stderr(log());
    Running(command.spawn().unwrap())
}
