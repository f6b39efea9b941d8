//! One peer holds as many connections and requests as it can. The exchanges of another peer succeed, and do not take longer.

#![allow(clippy::print_stdout, reason = "the tests print measurements")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so")]

mod attack;
#[path = "../process.rs"]
mod process;
#[allow(dead_code, reason = "the tests of the gateway use the rest")]
#[path = "../gateway/upstream.rs"]
mod upstream;

use attack::{Attack, Kind};
use process::{Folder, Gateway, own_token, wait_for};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpSocket,
};
use tokio_rustls::TlsConnector;
use upstream::Upstream;

const CONFIGURATION: &str = include_str!("../gateway/gateway.toml");
const ISSUER: &str = "http://gateway.test";
const BASIC: &str = "Basic b3JkZXJzOmEtc2VjcmV0LW9mLW9yZGVycw==";

/// The source address of the honest peer. The attackers have 127.0.0.1.
const HONEST: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), 0);

/// What the attackers do, and what the gateway may use meanwhile.
struct Run {
    /// The table `[limits]` of the gateway.
    limits: &'static str,
    connections: usize,
    /// How long an attacker waits until it connects again.
    pause: Duration,
    /// The connections of one peer that the gateway admits.
    share: u64,
    exchanges: usize,
    /// The largest resident memory of the gateway, in MiB.
    memory: u64,
    /// Whether the slowest exchanges are compared too.
    compares_slowest: bool,
    /// What a machine with other work may add to an exchange.
    tolerance: Duration,
}

#[test]
fn a_greedy_peer_does_no_harm() {
    let limits = "connections = 1000\nconcurrent_requests = 100";
    let pause = Duration::from_secs(2);
    let tolerance = Duration::from_millis(50);
    let run = Run {
        limits,
        connections: 1000,
        pause,
        share: 125,
        exchanges: 40,
        memory: 150,
        compares_slowest: false,
        tolerance,
    };
    run.check_kinds(&World::start(limits, false), "all together", &Kind::PLAIN);
    run.check_kinds(&World::start(limits, true), "all together, TLS", &Kind::TLS);
}

/// `cargo test --release -p token-exchange-gateway --test edge -- --ignored --nocapture` prints the measurements.
#[test]
#[ignore = "takes minutes, and needs a machine that does nothing else"]
fn ten_thousand_connections_do_no_harm() {
    let pause = Duration::from_secs(10);
    let run = Run {
        limits: "",
        connections: 10_000,
        pause,
        share: 1250,
        exchanges: 1000,
        memory: 400,
        compares_slowest: true,
        tolerance: Duration::ZERO,
    };
    println!("{} connections of one peer, and exchanges of another peer", run.connections);
    println!(
        "{:<20} {:^19} {:^19} {:^17}\n{:<20} {:>9} {:>9} {:>9} {:>9} {:>10} {:>6} {:>5}",
        "", "alone", "attacked", "attackers", "kind", "median", "p99", "median", "p99", "refused", "open", "MiB"
    );
    for (tls, kinds) in [(false, &Kind::PLAIN[..]), (true, &Kind::TLS)] {
        let world = World::start(run.limits, tls);
        for kind in kinds {
            run.check_kinds(&world, &format!("{kind:?}"), &[*kind]);
        }
        run.check_kinds(&world, "all together", kinds);
    }
}

impl Run {
    fn check_kinds(&self, world: &World, name: &str, kinds: &[Kind]) {
        let (mut alone, mut attacked) = (Times::default(), Times::default());
        // On a busy machine, more measurements may be necessary. All of them count, and no exchange may fail.
        for attempt in 1.. {
            world.measure(self.exchanges, &mut alone);
            let refused = world.refused();
            let attack = Attack::start(world.gateway.port, kinds, self.connections, self.pause);
            wait_for("every attacker has connected", || attack.tried() >= self.connections);
            world.measure(self.exchanges, &mut attacked);
            let (open, refused, memory) = (world.connections(), world.refused() - refused, world.memory());
            drop(attack);
            println!(
                "{name:<20} {:>9.2?} {:>9.2?} {:>9.2?} {:>9.2?} {refused:>10} {open:>6} {memory:>5}",
                alone.at(50),
                alone.at(99),
                attacked.at(50),
                attacked.at(99)
            );
            // A request over the limit of its peer ends with its connection, so that some kinds hold fewer.
            assert!(open >= self.share / 10, "{name}: only {open} connections are held");
            assert!(open <= self.share + 10, "{name}: {open} connections of one peer");
            assert!(memory <= self.memory, "{name}: {memory} MiB");
            wait_for("the connections of the attackers end", || world.connections() < 10);
            let percents = if self.compares_slowest { &[50, 99][..] } else { &[50] };
            if percents.iter().all(|percent| attacked.at(*percent) <= alone.at(*percent) * 2 + self.tolerance) {
                return;
            }
            assert!(attempt < 5, "{name}: the exchanges take more than twice as long");
        }
    }
}

struct World {
    gateway: Gateway,
    folder: Folder,
    runtime: tokio::runtime::Runtime,
    tls: Option<TlsConnector>,
}

/// How long exchanges took, in order.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    /// The time that this percentage of the exchanges did not exceed.
    fn at(&self, percent: usize) -> Duration {
        self.0[self.0.len() * percent / 100]
    }
}

impl World {
    fn start(limits: &str, with_tls: bool) -> Self {
        let (folder, upstream) = (Folder::new(), Upstream::start());
        let tls = with_tls.then(|| tls(&folder));
        let listen = if with_tls { "tls = { certificate = \"tls.crt\", key = \"tls.key\" }\n" } else { "" };
        folder.keygen("active.pem");
        upstream.answers("/jwks", "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"keys\":[]}");
        upstream.answers("/page", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage");
        upstream.does("/large", |stream, _| {
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n";
            let _ = stream.write_all(head);
            while stream.write_all(&[b'x'; 65536]).is_ok() {}
        });
        upstream.does("/token", |stream, request| {
            let known = String::from_utf8_lossy(request).contains(BASIC);
            let (status, body) = if known { (200, r#"{"access_token":"x"}"#) } else { (401, "{}") };
            let length = body.len();
            let _ =
                write!(stream, "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
        });
        let configuration = CONFIGURATION
            .replace("{port}", "0")
            .replace("{admin}", "0")
            .replace("{issuer}", ISSUER)
            .replace("{upstream}", &upstream.port.to_string())
            .replace("[upstream]", &format!("{listen}\n[upstream]"))
            .replace("[audit]", &format!("[limits]\n{limits}\n\n[audit]"));
        folder.write("gateway.toml", &configuration);
        let gateway = Gateway::start(&folder);
        wait_for("the gateway is ready", || gateway.is_ready());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let world = Self { gateway, folder, runtime, tls };
        // The gateway learns who the client is.
        world.measure(20, &mut Times::default());
        world
    }

    /// The connections that the gateway has.
    fn connections(&self) -> u64 {
        self.gateway.count("gateway_open", &["connections"])
    }

    /// The connections that the gateway refused.
    fn refused(&self) -> u64 {
        self.gateway.count("gateway_connections_refused_total", &["peer"])
    }

    /// The resident memory of the gateway, in MiB.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.gateway.process.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }

    /// Exchanges tokens, one after the other, each over a new connection. Each exchange must succeed.
    fn measure(&self, exchanges: usize, times: &mut Times) {
        let request = self.exchange();
        for _ in 0..exchanges {
            let started = Instant::now();
            let answer = self.runtime.block_on(self.send(&request)).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            times.0.push(started.elapsed());
        }
        times.0.sort();
    }

    async fn send(&self, request: &[u8]) -> std::io::Result<String> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(HONEST)?;
        let stream = socket.connect(SocketAddr::from(([127, 0, 0, 1], self.gateway.port))).await?;
        match &self.tls {
            None => exchange(stream, request).await,
            Some(tls) => {
                exchange(tls.connect(ServerName::try_from("localhost").unwrap(), stream).await?, request).await
            }
        }
    }

    fn exchange(&self) -> Vec<u8> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", tower_token_exchange::GRANT_TYPE)
            .append_pair("subject_token", &own_token(&self.folder, ISSUER))
            .append_pair("subject_token_type", "urn:ietf:params:oauth:token-type:access_token")
            .append_pair("audience", "billing")
            .finish();
        let length = form.len();
        let head = format!(
            "POST /token HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: {BASIC}\r\nConnection: close\r\nContent-Length: {length}"
        );
        format!("{head}\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n{form}").into_bytes()
    }
}

/// Sends a request, and returns what comes until the other end closes the connection.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> std::io::Result<String> {
    stream.write_all(request).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Writes the certificate of the gateway into a folder, and makes the TLS of a client that trusts the certificate.
fn tls(folder: &Folder) -> TlsConnector {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    folder.write("tls.crt", &certified.cert.pem());
    folder.write("tls.key", &certified.signing_key.serialize_pem());
    let mut roots = RootCertStore::empty();
    roots.add(certified.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
