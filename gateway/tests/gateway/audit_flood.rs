//! Requests without credentials cannot fill the disk, and do not get in the way of honest exchanges.

use crate::{World, process::Gateway};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
};

const CONNECTIONS: usize = 16;
/// The address of the honest client.
const ELSEWHERE: &str = "127.0.0.2";
/// What the gateway writes at most in one second for the requests of one address: the events of its share of the budget (10),
/// the numbers of the others, and a few log lines.
const MAX_WRITTEN: u64 = 16 * 1024;
const FORM: &str = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange";
const MALFORMED: &str = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&a=%zz";
/// Requests of the flood: their host and their form. None of them has credentials.
const REQUESTS: [(&str, &str); 3] = [("gateway.test", FORM), ("gateway.test", MALFORMED), ("elsewhere.test", FORM)];

/// The time of the flood: `FLOOD_SECONDS`, or 3 s.
fn flood_time() -> Duration {
    let seconds = std::env::var("FLOOD_SECONDS").ok().map(|seconds| seconds.parse().expect("a number of seconds"));
    Duration::from_secs(seconds.unwrap_or(3))
}

/// Sends requests over one connection after another until the time is over. Returns the number of requests and bytes.
fn flood(port: u16, until: Instant) -> (u64, u64) {
    let (mut requests, mut bytes) = (0, 0);
    while Instant::now() < until {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).unwrap());
        stream.get_ref().set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        while Instant::now() < until {
            let (host, form) = REQUESTS[requests as usize % REQUESTS.len()];
            let request = format!(
                "POST /token HTTP/1.1\r\nHost:{host}\r\nContent-Type:application/x-www-form-urlencoded\r\nContent-Length:{}\r\n\r\n{form}",
                form.len()
            );
            if stream.get_mut().write_all(request.as_bytes()).is_err() || !read_answer(&mut stream) {
                break;
            }
            requests += 1;
            bytes += request.len() as u64;
        }
    }
    (requests, bytes)
}

/// Reads one answer. Returns whether the connection stays open.
fn read_answer(stream: &mut BufReader<TcpStream>) -> bool {
    let (mut length, mut line) = (0, String::new());
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line).unwrap_or(0) == 0 {
            return false;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    stream.read_exact(&mut vec![0; length]).is_ok()
}

/// Sends a request from another address than the flood, and returns the status line.
async fn send_from_elsewhere(port: u16, request: &[u8]) -> String {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{ELSEWHERE}:0").parse().unwrap()).unwrap();
    let mut stream = socket.connect(([127, 0, 0, 1], port).into()).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

fn attempts(gateway: &Gateway) -> u64 {
    gateway.count("token_exchange_attempts_total", &[])
}

#[test]
fn a_flood_writes_less_than_it_sends() {
    let world = World::start(|configuration| configuration);
    let (port, honest) = (world.gateway.port, world.exchange());
    let before = world.folder.read("log").len();
    let until = Instant::now() + flood_time();
    let floods: Vec<_> = (0..CONNECTIONS).map(|_| thread::spawn(move || flood(port, until))).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut exchanges = 0;
    while Instant::now() < until {
        let status = runtime.block_on(send_from_elsewhere(port, &honest));
        assert_eq!(status, "HTTP/1.1 200 OK", "exchange {exchanges}");
        exchanges += 1;
    }
    let sent = floods.into_iter().map(|flood| flood.join().unwrap());
    let (requests, sent) = sent.fold((0, 0), |(requests, bytes), (more, others)| (requests + more, bytes + others));
    let counted = attempts(&world.gateway);
    let World { gateway, folder, upstream: _upstream } = world;
    gateway.process.stop();

    let (log, audit) = (folder.read("log"), folder.read("audit.jsonl"));
    let is_of_flood = |line: &&str| !line.contains(ELSEWHERE);
    let lines = log[before..].lines().chain(audit.lines());
    let written: usize = lines.filter(is_of_flood).map(|line| line.len() + 1).sum();
    println!(
        "{requests} requests sent {sent} bytes, {written} bytes were written, {exchanges} honest exchanges succeeded"
    );
    // This bound is below what a flood sends. On a busy machine, the requests may be too few for a flood.
    let bound = MAX_WRITTEN * (flood_time().as_secs() + 1);
    assert!((written as u64) < bound, "{written} bytes were written, more than {bound}");
    if sent < bound {
        println!("NOT CHECKED: the machine is too slow for a flood of more than {bound} bytes");
    }

    assert!(exchanges > 0);
    let events: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let issued: Vec<_> = events.iter().filter(|event| event["outcome"] == "issued").collect();
    assert_eq!(issued.len(), exchanges, "every issued token has an event");
    assert!(issued.iter().all(|event| event["client_address"] == ELSEWHERE));
    let recorded: u64 = events.iter().map(|event| event["count"].as_u64().unwrap()).sum();
    assert_eq!(recorded, counted, "the sum of the counts is the number of attempts");
}
