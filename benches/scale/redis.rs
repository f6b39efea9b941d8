//! The capacity of a Redis server that remembers what may be used once.

use std::{
    error::Error,
    fmt::Write,
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// One question of a replay store: the key is remembered for a minute, unless it is known.
const QUESTION: [&str; 6] = ["SET", "replay:__rand_int__", "1", "NX", "PX", "60000"];
const QUESTIONS: u32 = 200_000;

/// Measures the questions per second of a Redis server on this machine, and its memory for each key.
pub(crate) fn measure() -> Result<String, Box<dyn Error>> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let _server = Server::start(port)?;
    let before = memory(port)?;
    let connections = ["1", "16", "64"];
    let mut report = "\n| Redis on the same machine | questions per second |\n|---|---|\n".to_owned();
    for number in connections {
        let benchmark = Command::new("redis-benchmark")
            .args(["-p", &port.to_string(), "-c", number, "-n", &QUESTIONS.to_string()])
            .args(["-r", "1000000000", "--csv"])
            .args(QUESTION)
            .output()?;
        let text = String::from_utf8(benchmark.stdout)?;
        let per_second = text.lines().last().and_then(rate);
        let per_second = per_second.ok_or_else(|| format!("redis-benchmark printed: {text}"))?;
        writeln!(report, "| {number} connections at a time | {per_second:.0} |")?;
    }
    let keys = u64::from(QUESTIONS) * connections.len() as u64;
    writeln!(report, "\nRedis needed {} bytes for each remembered key.", memory(port)?.saturating_sub(before) / keys)?;
    Ok(report)
}

/// The rate in a line of `redis-benchmark --csv`: `"SET …","123456.78","0.3",…`.
fn rate(line: &str) -> Option<f64> {
    line.split("\",\"").nth(1)?.trim_matches('"').parse().ok()
}

fn memory(port: u16) -> Result<u64, Box<dyn Error>> {
    let info = Command::new("redis-cli").args(["-p", &port.to_string(), "INFO", "memory"]).output()?;
    let text = String::from_utf8(info.stdout)?;
    let used = text.lines().find_map(|line| line.strip_prefix("used_memory:"));
    Ok(used.ok_or("redis-cli does not say how much memory is used")?.trim().parse()?)
}

/// A Redis server that runs until it is dropped, and stores nothing on disk.
struct Server(Child);

impl Server {
    fn start(port: u16) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        let server = Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if started.elapsed() > Duration::from_secs(10) {
                return Err("redis-server does not listen".into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
