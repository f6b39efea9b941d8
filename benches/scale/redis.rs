//! The capacity of a Redis server that remembers what may be used once.

use std::{
    error::Error,
    fmt::Write,
    fs,
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime},
};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;
use tower_token_exchange::replay::{RedisReplayStore, UseKey, UseKind, UseOnce, Used};

/// One question of a replay store: the key is remembered for a minute, unless it is known.
const QUESTION: [&str; 6] = ["SET", "replay:__rand_int__", "1", "NX", "PX", "60000"];
/// The keys for the measurement of the memory.
const KEYS: u32 = 200_000;
const CALLERS: [usize; 3] = [1, 16, 64];
/// The time in which each number of callers asks the store, and the number of such runs. The fastest run counts, because another
/// program can only make a run slower.
const DURATION: Duration = Duration::from_secs(3);
const RUNS: usize = 3;

/// Measures the uses per second through the replay store, beside the commands per second of a Redis server on this machine, and its
/// memory for each key.
pub(crate) fn measure() -> Result<String, Box<dyn Error>> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut report =
        "\n| Redis on the same machine | callers | uses per second | median | p99 | commands of `redis-benchmark` per second |\n\
         |---|---|---|---|---|---|\n"
            .to_owned();
    for (name, durability) in [("in memory", Durability::None), ("`appendfsync always`", Durability::EachKey)] {
        let server = Server::start(durability)?;
        for callers in CALLERS {
            eprintln!("Redis {name}, {callers} callers");
            let runs = (0..RUNS).map(|run| uses(&runtime, server.port, callers, run)).collect::<Result<Vec<_>, _>>()?;
            let fastest = runs.into_iter().max_by(|a, b| a.per_second.total_cmp(&b.per_second));
            let Uses { per_second, median, p99 } = fastest.ok_or("no run")?;
            let [median, p99] = [median, p99].map(|time| time.as_secs_f64() * 1e3);
            // As many commands as the store sends in one run.
            let commands = benchmark(server.port, callers, (per_second * DURATION.as_secs_f64()) as u32)?;
            writeln!(
                report,
                "| {name} | {callers} | {per_second:.0} | {median:.2} ms | {p99:.2} ms | {commands:.0} |"
            )?;
        }
    }
    let server = Server::start(Durability::None)?;
    let before = memory(server.port)?;
    benchmark(server.port, 16, KEYS)?;
    let each = memory(server.port)?.saturating_sub(before) / u64::from(KEYS);
    writeln!(report, "\nRedis needed {each} bytes for each remembered key.")?;
    Ok(report)
}

struct Uses {
    per_second: f64,
    median: Duration,
    p99: Duration,
}

/// Uses new keys through one replay store. Each caller waits for its answer before it uses the next key.
fn uses(runtime: &Runtime, port: u16, callers: usize, run: usize) -> Result<Uses, Box<dyn Error>> {
    let store = RedisReplayStore::builder(format!("redis://127.0.0.1:{port}")).build()?;
    let started = Instant::now();
    let mut times = runtime.block_on(async {
        let caller = |number: usize| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut times = Vec::new();
                while started.elapsed() < DURATION {
                    let key =
                        UseKey::new(UseKind::DpopProof, "orders", format!("{callers}-{run}-{number}-{}", times.len()));
                    let now = SystemTime::now();
                    let question = UseOnce::new(key, "orders", now.into(), (now + Duration::from_secs(60)).into());
                    let asked = Instant::now();
                    let answer = store.clone().oneshot(question).await.map_err(|error| error.to_string())?;
                    times.push(asked.elapsed());
                    if answer != Used::First {
                        return Err(format!("a new key was {answer:?}"));
                    }
                }
                Ok(times)
            })
        };
        let running: Vec<_> = (0..callers).map(caller).collect();
        let mut all = Vec::new();
        for caller in running {
            all.extend(caller.await.map_err(|error| error.to_string())??);
        }
        Ok::<_, String>(all)
    })?;
    let per_second = times.len() as f64 / started.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    Ok(Uses { per_second, median: at(0.5), p99: at(0.99) })
}

/// The commands per second that `redis-benchmark` measures, with so many connections.
fn benchmark(port: u16, connections: usize, commands: u32) -> Result<f64, Box<dyn Error>> {
    let benchmark = Command::new("redis-benchmark")
        .args(["-p", &port.to_string(), "-c", &connections.to_string(), "-n", &commands.to_string()])
        .args(["-r", "1000000000", "--csv"])
        .args(QUESTION)
        .output()?;
    let text = String::from_utf8(benchmark.stdout)?;
    Ok(text.lines().last().and_then(rate).ok_or_else(|| format!("redis-benchmark printed: {text}"))?)
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

/// Which keys Redis writes to the disk.
#[derive(Clone, Copy, PartialEq)]
enum Durability {
    None,
    /// Redis writes each key to the disk before it answers.
    EachKey,
}

/// A Redis server that runs until it is dropped.
struct Server {
    process: Child,
    port: u16,
    folder: PathBuf,
}

impl Server {
    fn start(durability: Durability) -> Result<Self, Box<dyn Error>> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("redis-{port}"));
        fs::create_dir_all(&folder)?;
        let append = if durability == Durability::EachKey { "yes" } else { "no" };
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", append])
            .args(["--appendfsync", "always", "--dir"])
            .arg(&folder);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let server = Self { process, port, folder };
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
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
