//! The example `load`, against the example `load_server` and against a server that stalls.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::Value;
use std::{
    env, fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The program of an example. `cargo test` builds the examples of the package.
fn example(name: &str) -> Command {
    let folder = env::current_exe().unwrap().ancestors().nth(2).unwrap().join("examples");
    let program = folder.join(name);
    assert!(program.exists(), "{} is missing; run `cargo build --examples` first", program.display());
    Command::new(program)
}

fn load(arguments: &[String]) -> Output {
    example("load").arg("--json").args(arguments).output().unwrap()
}

fn report(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The example server, until the end of the test.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let audit = file(&format!("audit-{}.jsonl", address.port()), "");
        let mut command = example("load_server");
        command.arg(format!("--listen={address}")).arg(format!("--audit={}", audit.display()));
        let process = command.stdout(Stdio::null()).spawn().unwrap();
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(started.elapsed() < Duration::from_secs(30), "the server does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        Self { process, address }
    }

    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let own =
            [format!("--example=http://{}", self.address), "--tokens=20".to_owned(), "--warm-up=100ms".to_owned()];
        own.into_iter().chain(more.iter().map(|&argument| argument.to_owned())).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn load_measures_the_example_server() {
    let server = Server::start();
    for more in
        [&["--duration=3s", "--connections=2"][..], &["--duration=1s", "--connections=4", "--rate=40", "--repeat"]]
    {
        let report = report(&load(&server.arguments(more)));
        assert_eq!(report["failed"], 0, "{report}");
        assert!(report["exchanges"].as_u64().unwrap() > 0, "{report}");
        assert!(report["cpu_us_per_exchange"].is_number() && report["memory_bytes"].as_u64() > Some(0), "{report}");
        if more.contains(&"--rate=40") {
            assert_eq!(report["exchanges"], 40, "{report}");
        }
    }
}

#[test]
fn load_fails_if_every_exchange_is_refused() {
    let server = Server::start();
    let secret = file("wrong.secret", "a wrong secret");
    let secret = format!("--secret-file={}", secret.display());
    let output = load(&server.arguments(&["--duration=500ms", "--rate=20", "--client=orders", &secret]));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(told.contains("401") && told.contains("invalid_client"), "{told}");
}

/// In the open loop, a latency begins when the request was due. One stall of 500 ms in 2 s delays a quarter of the requests.
#[test]
fn a_stall_delays_every_request_that_was_due() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || stalling(&listener.accept().unwrap().0));
    let arguments = [
        format!("--url=http://{address}/token"),
        "--client=orders".to_owned(),
        format!("--secret-file={}", file("orders.secret", "secret").display()),
        format!("--subject-tokens={}", file("tokens.txt", "token\n").display()),
        "--audience=billing".to_owned(),
        "--connections=1".to_owned(),
        "--rate=100".to_owned(),
        "--warm-up=0s".to_owned(),
        "--duration=2s".to_owned(),
    ];
    let report = report(&load(&arguments));
    assert_eq!(report["exchanges"], 200, "{report}");
    assert!(report["p90_us"].as_u64().unwrap() > 200_000, "{report}");
}

/// Answers each request at once, but the 50th after 500 ms.
fn stalling(mut stream: &TcpStream) {
    let (mut request, mut buffer, mut number) = (Vec::new(), [0; 4096], 0);
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        request.extend_from_slice(&buffer[..read]);
        if !request.ends_with(b"audience=billing") {
            continue;
        }
        request.clear();
        number += 1;
        if number == 50 {
            thread::sleep(Duration::from_millis(500));
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
    }
}
