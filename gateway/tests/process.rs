//! The program as operators run it: a process with a configuration, in a folder of its own.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test binary uses a part of this file")]

use serde_json::{Value, json};
use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU16, AtomicU32, Ordering},
    time::{Duration, Instant},
};
use tower_token_exchange::signing::{Algorithm, LocalSigner};

/// The program.
const PROGRAM: &str = env!("CARGO_BIN_EXE_token-exchange-gateway");

/// A free port, for a process that must know its port before it starts. The port is below the range from which the system
/// takes ports for outgoing connections, so that no connection takes it in the meantime.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let start = 20_000 + (std::process::id() % 1000) as u16 * 10;
        let port = start + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A folder that is removed when this value is dropped.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("gateway-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn write(&self, name: &str, text: &str) {
        // The gateway must never read half of a file.
        let (path, new) = (self.0.join(name), self.0.join(format!(".{name}.new")));
        fs::write(&new, text).unwrap();
        fs::rename(new, path).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }

    /// Runs the program in this folder.
    pub fn run(&self, arguments: &[&str]) -> Output {
        Command::new(PROGRAM).args(arguments).current_dir(&self.0).env("NO_COLOR", "1").output().unwrap()
    }

    pub fn keygen(&self, name: &str) {
        let made = self.run(&["keygen", name]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process that is killed when this value is dropped.
pub struct Process(pub Child);

impl Process {
    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.0.id().to_string()]).status().unwrap().success());
    }

    /// Ends the process as an operator does, and waits for its end.
    pub fn stop(mut self) {
        self.signal("-TERM");
        let status = self.0.wait().unwrap();
        assert!(status.success(), "{status}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running gateway.
pub struct Gateway {
    pub process: Process,
    pub port: u16,
    pub admin: u16,
}

impl Gateway {
    /// Starts a gateway with `gateway.toml` of the folder, and waits until the gateway listens.
    pub fn start(folder: &Folder) -> Self {
        Self::start_with(folder, |_| {})
    }

    /// Starts a gateway as [`start`](Self::start) does, after a change of the command.
    pub fn start_with(folder: &Folder, change: impl FnOnce(&mut Command)) -> Self {
        let path = folder.0.join("log");
        let before = fs::metadata(&path).map_or(0, |log| log.len() as usize);
        let log = fs::OpenOptions::new().create(true).append(true).open(&path).unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg("serve").current_dir(&folder.0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        change(&mut command);
        let process = Process(command.spawn().unwrap());
        // The gateway prints its ports: `listens http://127.0.0.1:1234, admin http://127.0.0.1:5678`.
        let ports = || {
            let log = folder.read("log");
            let line = log[before..].lines().find(|line| line.starts_with("  listens"))?;
            let ports = line.split(", ").filter_map(|part| part.rsplit(':').next()?.parse().ok()).collect::<Vec<u16>>();
            <[u16; 2]>::try_from(ports).ok()
        };
        wait_for("the gateway prints its ports", || ports().is_some());
        let [port, admin] = ports().unwrap();
        wait_for("the gateway answers", || get(admin, "/livez").is_some());
        Self { process, port, admin }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn is_ready(&self) -> bool {
        get(self.admin, "/readyz").is_some_and(|(status, _)| status == 200)
    }

    pub fn health(&self) -> Value {
        serde_json::from_str(&get(self.admin, "/readyz").unwrap().1).unwrap()
    }

    /// The sum of all counters with this name whose labels contain these texts.
    pub fn count(&self, name: &str, labels: &[&str]) -> u64 {
        let text = get(self.admin, "/metrics").unwrap().1;
        let lines =
            text.lines().filter(|line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64).sum()
    }
}

/// Sends a `GET` request over a new connection. `None` if there is no answer.
pub fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let answer = exchange_bytes(
        port,
        format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// Sends bytes, and returns what the other end sends until it closes.
pub fn exchange_bytes(port: u16, request: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(request).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    Some(answer)
}

/// Waits until a condition holds.
pub fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < until, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A token of Alice for `orders`, signed with the key of the gateway.
pub fn own_token(folder: &Folder, issuer: &str) -> String {
    own_token_for(folder, issuer, "https://orders.example")
}

/// A token of Alice with this audience, signed with the key of the gateway.
pub fn own_token_for(folder: &Folder, issuer: &str, audience: &str) -> String {
    let key = LocalSigner::from_pem(Algorithm::ES256, folder.read("active.pem")).unwrap();
    let segment = |json: Value| data_encoding::BASE64URL_NOPAD.encode(json.to_string().as_bytes());
    let header = json!({ "alg": "ES256", "kid": key.key_id(), "typ": "at+jwt" });
    let claims = json!({
        "iss": issuer, "sub": "alice", "aud": audience, "client_id": "web",
        "scope": "read", "exp": 9_999_999_999_u64, "iat": 1_700_000_000, "jti": "subject-1",
    });
    let signed = format!("{}.{}", segment(header), segment(claims));
    let signature = key.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", data_encoding::BASE64URL_NOPAD.encode(&signature))
}
