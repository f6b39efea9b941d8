//! Costs over HTTP: runs of the example `load` against servers.

use crate::{
    gateway::Gateway,
    programs::{Processors, Programs, Running, on},
};
use serde::Deserialize;
use std::{
    error::Error,
    fmt, fs, io,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

/// The rate of the open loop, as a part of the highest throughput.
const PART_OF_HIGHEST_RATE: f64 = 0.7;
/// More than any server of this table exchanges in a second, by one connection and by all connections, so that no subject
/// token is sent twice.
const TOKENS_PER_SECOND: (u64, u64) = (8_000, 25_000);

/// The result of one run, as the example `load` prints it.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Run {
    pub(crate) exchanges_per_second: f64,
    pub(crate) cpu_us_per_exchange: Option<f64>,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    memory_bytes: Option<u64>,
    failed: usize,
    sent: usize,
    different_tokens: usize,
}

impl Run {
    pub(crate) fn cpu(&self) -> f64 {
        self.cpu_us_per_exchange.unwrap_or(f64::NAN)
    }

    pub(crate) fn memory(&self) -> u64 {
        self.memory_bytes.unwrap_or_default()
    }
}

/// The median runs of a server or a gateway.
pub(crate) struct Server {
    pub(crate) connections_16: Run,
    pub(crate) connection_1: Run,
    /// 16 connections that send the same subject token again and again.
    pub(crate) repeated: Run,
}

pub(crate) struct Loads {
    pub(crate) server: Server,
    pub(crate) gateway: Server,
    pub(crate) old_server: Option<Server>,
    pub(crate) old_gateway: Option<Server>,
    /// 16 connections; the server has one processor, and the load generator has another one.
    pub(crate) one_processor: Run,
    /// Open loop at [`PART_OF_HIGHEST_RATE`] of `one_processor`, on the same processors.
    pub(crate) open_loop: Run,
}

/// What a run sends.
#[derive(Clone, Copy, Default)]
struct Sending {
    connections: u64,
    repeat: bool,
    rate: Option<f64>,
    on_second_processor: bool,
}

const SIXTEEN: Sending = Sending { connections: 16, repeat: false, rate: None, on_second_processor: false };

impl Loads {
    pub(crate) fn measure(programs: &Programs, duration: Duration, rounds: usize) -> Result<Self, Box<dyn Error>> {
        if thread::available_parallelism()?.get() < 2 {
            return Err("the load runs need two processors; use --no-load".into());
        }
        let (old_server, old_gateway) = (programs.old_server.as_deref(), programs.old_gateway.as_deref());
        let targets = [
            Some(Target::server(programs, &programs.server, Processors::All)?),
            Some(Target::gateway(programs, &programs.gateway)?),
            old_server.map(|program| Target::server(programs, program, Processors::All)).transpose()?,
            old_gateway.map(|program| Target::gateway(programs, program)).transpose()?,
        ];
        let pinned = Target::server(programs, &programs.server, Processors::Only(0))?;
        let on_two = Sending { on_second_processor: true, ..SIXTEEN };

        // Each round has one run of each kind, so that a change of the speed of the machine affects all kinds.
        let (mut runs, mut pinned_runs) = ([const { Vec::new() }; 4], Vec::new());
        for round in 1..=rounds.max(1) {
            eprintln!("round {round}");
            for (target, runs) in targets.iter().zip(&mut runs) {
                if let Some(target) = target {
                    runs.push(target.round(programs, duration)?);
                }
            }
            pinned_runs.push(pinned.run(programs, on_two, duration)?);
        }
        let one_processor = median(pinned_runs);
        let rate = Some(one_processor.exchanges_per_second * PART_OF_HIGHEST_RATE);
        let open_loop = pinned.run(programs, Sending { rate, ..on_two }, duration * 2)?;

        let [server, gateway, old_server, old_gateway] = runs.map(Server::median);
        let (Some(server), Some(gateway)) = (server, gateway) else { return Err("there was no round".into()) };
        Ok(Self { server, gateway, old_server, old_gateway, one_processor, open_loop })
    }
}

impl Server {
    /// `None` if there was no run.
    fn median(rounds: Vec<[Run; 3]>) -> Option<Self> {
        let median_of = |kind: usize| median(rounds.iter().map(|round| round[kind]).collect());
        let some = !rounds.is_empty();
        some.then(|| Self { connections_16: median_of(0), connection_1: median_of(1), repeated: median_of(2) })
    }
}

/// The run with the median throughput.
fn median(mut runs: Vec<Run>) -> Run {
    runs.sort_by(|a, b| a.exchanges_per_second.total_cmp(&b.exchanges_per_second));
    runs[runs.len() / 2]
}

/// A running server, or a gateway in front of one.
struct Target {
    name: String,
    /// The files of the server, such as the audit file.
    folder: PathBuf,
    /// The example server, which gives the subject tokens.
    example: SocketAddr,
    /// The token endpoint.
    address: SocketAddr,
    measured: Running,
    /// The server behind the gateway.
    _behind: Option<Running>,
}

impl Target {
    fn server(programs: &Programs, program: &Path, processors: Processors) -> Result<Self, Box<dyn Error>> {
        let address = free_address()?;
        let folder = folder(programs, address)?;
        let measured = start_server(program, processors, &folder, address, "https://as.example")?;
        let name = program.display().to_string();
        Ok(Self { name, folder, example: address, address, measured, _behind: None })
    }

    fn gateway(programs: &Programs, program: &Path) -> Result<Self, Box<dyn Error>> {
        let (address, example) = (free_address()?, free_address()?);
        let folder = folder(programs, address)?;
        let issuer = format!("http://{address}");
        let behind = start_server(&programs.server, Processors::All, &folder, example, &issuer)?;
        let gateway = Gateway { program, folder: &folder, address, admin: free_address()?, upstream: example };
        let measured = gateway.start()?;
        wait_for(address)?;
        let name = program.display().to_string();
        Ok(Self { name, folder, example, address, measured, _behind: Some(behind) })
    }

    fn round(&self, programs: &Programs, duration: Duration) -> Result<[Run; 3], Box<dyn Error>> {
        let kinds = [SIXTEEN, Sending { connections: 1, ..SIXTEEN }, Sending { repeat: true, ..SIXTEEN }];
        let [sixteen, one, repeated] = kinds.map(|sending| self.run(programs, sending, duration));
        Ok([sixteen?, one?, repeated?])
    }

    fn run(&self, programs: &Programs, sending: Sending, duration: Duration) -> Result<Run, Box<dyn Error>> {
        let processors = if sending.on_second_processor { Processors::Only(1) } else { Processors::All };
        let tokens = (TOKENS_PER_SECOND.0 * sending.connections).min(TOKENS_PER_SECOND.1) * (duration.as_secs() + 2);
        let mut command = on(processors, &programs.load);
        command
            .arg("--json")
            .arg(format!("--example=http://{}", self.example))
            .arg(format!("--url=http://{}/token", self.address))
            .arg(format!("--pid={}", self.measured.id()))
            .arg(format!("--connections={}", sending.connections))
            .arg(format!("--duration={}ms", duration.as_millis()))
            .arg(format!("--tokens={tokens}"));
        if sending.repeat {
            command.arg("--repeat");
        }
        if let Some(rate) = sending.rate {
            command.arg(format!("--rate={rate}"));
        }
        let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err(format!("{}: load: {}", self.name, output.status).into());
        }
        let run: Run = serde_json::from_slice(&output.stdout)?;
        if run.failed > 0 {
            return Err(format!(
                "{}: {} exchanges failed: {}",
                self.name,
                run.failed,
                String::from_utf8_lossy(&output.stdout)
            )
            .into());
        }
        if !sending.repeat && run.sent > run.different_tokens {
            return Err("subject tokens were sent again; raise TOKENS_PER_SECOND".into());
        }
        let (per_second, cpu) = (run.exchanges_per_second, run.cpu());
        eprintln!("{}, {sending}: {per_second:.0}/s, {cpu:.0} µs of CPU time for each", self.name);
        Ok(run)
    }
}

impl fmt::Display for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let repeated = if self.repeat { ", repeated subject token" } else { "" };
        let pace = if self.rate.is_some() { ", open loop" } else { "" };
        write!(f, "{} connections{repeated}{pace}", self.connections)
    }
}

/// An audit file has more than a gigabyte at the end.
impl Drop for Target {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A new folder for the files of a server.
fn folder(programs: &Programs, address: SocketAddr) -> io::Result<PathBuf> {
    let folder = programs.folder.join(address.port().to_string());
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn start_server(
    program: &Path,
    processors: Processors,
    folder: &Path,
    address: SocketAddr,
    issuer: &str,
) -> Result<Running, Box<dyn Error>> {
    let mut command = on(processors, program);
    command.arg(format!("--listen={address}")).arg(format!("--issuer={issuer}"));
    command.arg("--audit").arg(folder.join("audit-of-the-server.jsonl"));
    let running = Running::start(&mut command)?;
    wait_for(address)?;
    Ok(running)
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// Waits until a program listens.
fn wait_for(address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    while TcpStream::connect(address).is_err() {
        if started.elapsed() > Duration::from_secs(20) {
            return Err(format!("no program listens on {address}").into());
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
