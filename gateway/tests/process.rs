//! The program as operators run it: a process with a configuration, in a folder of its own.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "every test binary uses its own part of it")]

use serde_json::Value;
use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

/// The program.
const PROGRAM: &str = env!("CARGO_BIN_EXE_token-exchange-gateway");

/// A port that nobody had a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A folder that is gone when it is dropped.
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
        // As a whole, for whoever is looking at it.
        let (path, new) = (self.0.join(name), self.0.join(format!(".{name}.new")));
        fs::write(&new, text).unwrap();
        fs::rename(new, path).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }

    /// Runs the program here.
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

/// A child that is killed when it is dropped.
pub struct Process(pub Child);

impl Process {
    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.0.id().to_string()]).status().unwrap().success());
    }

    /// Ends it as an operator does, and waits.
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
    /// Starts one with `gateway.toml` of the folder, whose ports these are, and waits until it listens.
    pub fn start(folder: &Folder, port: u16, admin: u16) -> Self {
        let log = fs::OpenOptions::new().create(true).append(true).open(folder.0.join("log")).unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg("serve").current_dir(&folder.0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let gateway = Self { process: Process(command.spawn().unwrap()), port, admin };
        wait_for("the gateway listens", || get(admin, "/livez").is_some());
        gateway
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn is_ready(&self) -> bool {
        get(self.admin, "/readyz").is_some_and(|(status, _)| status == 200)
    }

    pub fn standing(&self) -> Value {
        serde_json::from_str(&get(self.admin, "/readyz").unwrap().1).unwrap()
    }

    /// The sum of all counters of this name whose labels hold these texts.
    pub fn count(&self, name: &str, labels: &[&str]) -> u64 {
        let text = get(self.admin, "/metrics").unwrap().1;
        let lines =
            text.lines().filter(|line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64).sum()
    }
}

/// Asks over a connection of its own; `None` if nobody is there.
pub fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let answer = exchange_bytes(
        port,
        format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// Sends bytes, and reads until the other end closes.
pub fn exchange_bytes(port: u16, request: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(request).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    Some(answer)
}

pub fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < until, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
