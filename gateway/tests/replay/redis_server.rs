use crate::process::{Folder, Process, free_port, wait_for};
use std::{
    io::{Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
};

/// With these options, Redis writes each key to the disk before Redis answers.
pub(crate) const SAFE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

/// A Redis server.
pub(crate) struct RedisServer {
    pub(crate) port: u16,
    pub(crate) folder: Folder,
    process: Option<Process>,
}

impl RedisServer {
    /// Starts a server that loses no key.
    pub(crate) fn start() -> Self {
        let mut server = Self::new();
        server.start_again(&SAFE);
        server
    }

    /// A server that does not run yet.
    pub(crate) fn new() -> Self {
        Self { port: free_port(), folder: Folder::new(), process: None }
    }

    /// Kills the server as a crash does.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// Starts the server with these options, and with the keys on the disk.
    pub(crate) fn start_again(&mut self, options: &[&str]) {
        let program = std::env::var("REDIS_SERVER").expect("REDIS_SERVER is the path of `redis-server`");
        let mut command = Command::new(program);
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""]).args(options);
        command.current_dir(&self.folder.0).stdin(Stdio::null()).stdout(Stdio::null());
        self.process = Some(Process(command.spawn().unwrap()));
        wait_for("Redis listens", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }

    /// Sends a command in one line, and returns the answer.
    pub(crate) fn ask(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        // After `QUIT`, Redis closes the connection as soon as every answer is sent.
        stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).unwrap();
        answers.strip_suffix("+OK\r\n").unwrap_or(&answers).to_owned()
    }
}
