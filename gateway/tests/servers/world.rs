//! One authorization server, a gateway in front of it, and clients of both.

use super::process::{Folder, Gateway, free_port, get, wait_for};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use std::{
    cell::Cell,
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
    /// From the documentation: issuer, authorization, token, introspection, revocation and key set.
    #[allow(dead_code)]
    Written([&'static str; 6]),
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

pub(crate) struct World {
    pub(crate) server: Server,
    parts: PathBuf,
    folder: Folder,
    gateway: Gateway,
    endpoints: Value,
    configuration: String,
    ran: Instant,
    first: Cell<Option<Duration>>,
    _running: Running,
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
        let parts = PathBuf::from(
            env::var_os("SERVERS_DIR").expect("SERVERS_DIR names the folder of the servers that `.ci/run` installs"),
        );
        let folder = Folder::new();
        fs::create_dir(folder.0.join("server")).unwrap();
        let (port, upstream, admin) = (free_port(), free_port(), free_port());
        let url = format!("http://127.0.0.1:{port}");
        let running = run(&parts, &server, upstream, &url, &folder);
        wait_for(&format!("{} is ready", server.name), || {
            get(upstream, server.ready).is_some_and(|(status, _)| status == 200)
        });

        let ran = Instant::now();
        let fill = |text: String| {
            let text = text.replace("{port}", &port.to_string()).replace("{admin}", &admin.to_string());
            text.replace("{upstream}", &upstream.to_string())
        };
        let sources = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers"));
        let read = |path: &str| fill(fs::read_to_string(sources.join(path)).unwrap());
        let configuration = read(&format!("{}/gateway.toml", server.name));
        let issuer = configuration.lines().find_map(|line| line.strip_prefix("issuer = ")).unwrap().to_owned();
        folder.write("gateway.toml", &configuration);
        folder.write("records.toml", &read("records.toml").replace("\"{issuer}\"", &issuer));
        folder.write("gateway.secret", &secret("gateway"));
        folder.keygen("active.pem");
        let gateway = Gateway::start(&folder);
        let mut reported = Value::Null;
        wait_for(&format!("the gateway is ready in front of {}", server.name), || {
            if !gateway.is_ready() && reported != gateway.health() {
                reported = gateway.health();
                println!("{}: {reported}", server.name);
            }
            gateway.is_ready()
        });

        let mut endpoints: Value = match server.metadata {
            Metadata::At(path) => {
                let (status, body) = get(port, path).unwrap();
                assert_eq!(status, 200, "{body}");
                serde_json::from_str(&body).unwrap()
            }
            Metadata::Written(paths) => {
                let names = [
                    "issuer",
                    "authorization_endpoint",
                    "token_endpoint",
                    "introspection_endpoint",
                    "revocation_endpoint",
                    "jwks_uri",
                ];
                names
                    .into_iter()
                    .zip(paths)
                    .map(|(name, path)| (name.to_owned(), json!(format!("{url}{path}"))))
                    .collect()
            }
        };
        endpoints["auth"] = json!({ "billing-api": "client_secret_post" });
        endpoints["user"] = json!({ "name": server.user[0], "password": server.user[1], "email": format!("{}@users.example", server.user[0]) });
        folder.write("endpoints.json", &endpoints.to_string());
        Self {
            server,
            parts,
            folder,
            gateway,
            endpoints,
            configuration,
            ran,
            first: Cell::new(None),
            _running: running,
        }
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

    /// Runs a script that prints one line of JSON.
    fn script(&self, program: &mut Command, command: &str, arguments: &[&str]) -> Value {
        let done = program.arg(self.folder.0.join("endpoints.json")).arg(command).args(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{command}: {error}\n{}", self.reports());
        let answer: Value = serde_json::from_slice(&done.stdout).unwrap();
        if answer.get("error").is_some() {
            println!("{}: {command}: {answer} {}", self.server.name, self.last_reason());
        }
        answer
    }

    /// Why the last exchange was refused, as the audit says.
    fn last_reason(&self) -> String {
        let audit = fs::read_to_string(self.folder.0.join("audit.jsonl")).unwrap_or_default();
        let event: Value = audit.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
        format!("{} {}", event["reason"], event["detail"])
    }

    /// The last events of the audit and of the log, for the message of a failed test.
    fn reports(&self) -> String {
        let last = |name: &str| {
            let text = fs::read_to_string(self.folder.0.join(name)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(5)..].join("\n")
        };
        [last("audit.jsonl"), last("log"), last("server.log")].join("\n\n")
    }
}

fn run(parts: &Path, server: &Server, port: u16, url: &str, folder: &Folder) -> Running {
    let program = if server.script.ends_with(".mjs") { "node".into() } else { parts.join("venv/bin/python") };
    let log = || fs::OpenOptions::new().create(true).append(true).open(folder.0.join("server.log")).unwrap();
    let mut command = Command::new(program);
    command.arg(parts.join(server.name).join(server.script)).args([&port.to_string(), url]);
    command.arg(folder.0.join("server")).env("AUTHLIB_INSECURE_TRANSPORT", "1");
    command.stdin(Stdio::null()).stdout(log()).stderr(log());
    Running(command.spawn().unwrap())
}
