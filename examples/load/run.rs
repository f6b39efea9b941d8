//! The run: one thread for each connection.

use crate::{process::Process, report::Report, requests::Requests};
use bytes::Bytes;
use hdrhistogram::Histogram;
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::runtime::{Builder, Runtime};
use tower::BoxError;

/// The longest latency that is distinguished.
const LONGEST: Duration = Duration::from_secs(60);

pub(crate) struct Plan {
    pub(crate) connections: usize,
    pub(crate) pace: Loop,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
    pub(crate) show_progress: bool,
}

#[derive(Clone, Copy)]
pub(crate) enum Loop {
    /// The next request follows the last answer.
    Closed,
    /// So many requests are due in each second.
    Open(f64),
}

/// What all connections count.
struct Counts {
    /// The number of the next request.
    next: AtomicUsize,
    /// The exchanges that succeeded in the measured time.
    exchanged: AtomicUsize,
    /// The other answers, and the requests without answer, in the measured time.
    failed: AtomicUsize,
    first_failure: Mutex<Option<String>>,
}

/// When the run started, when the measurement begins, and when it ends.
#[derive(Clone, Copy)]
struct Times {
    start: Instant,
    measured_from: Instant,
    end: Instant,
}

pub(crate) fn run(plan: &Plan, requests: &Requests, server: Option<&Process>) -> Result<Report, BoxError> {
    let counts = Counts {
        next: AtomicUsize::new(0),
        exchanged: AtomicUsize::new(0),
        failed: AtomicUsize::new(0),
        first_failure: Mutex::new(None),
    };
    let start = Instant::now();
    let measured_from = start + plan.warm_up;
    let times = Times { start, measured_from, end: measured_from + plan.duration };
    let (latencies, cpu_time, memory) = thread::scope(|scope| {
        let connection = || connection(plan.pace, times, requests, &counts);
        let connections: Vec<_> = (0..plan.connections).map(|_| scope.spawn(connection)).collect();

        thread::sleep(plan.warm_up);
        let cpu_before = server.and_then(Process::cpu_time);
        while Instant::now() < times.end {
            let (from, cpu_from) = (Instant::now(), server.and_then(Process::cpu_time));
            thread::sleep(Duration::from_secs(1).min(times.end.saturating_duration_since(from)));
            if plan.show_progress {
                let cpu =
                    server.and_then(Process::cpu_time).zip(cpu_from).map(|(until, from)| until.saturating_sub(from));
                let processors = cpu.map(|cpu| cpu.as_secs_f64() / from.elapsed().as_secs_f64());
                progress(&counts, times, processors, server.and_then(Process::memory));
            }
        }
        let cpu_time =
            server.and_then(Process::cpu_time).zip(cpu_before).map(|(after, before)| after.saturating_sub(before));
        let memory = server.and_then(Process::memory);
        let mut latencies = histogram()?;
        for connection in connections {
            latencies.add(connection.join().map_err(|_| "a connection failed")??)?;
        }
        Ok::<_, BoxError>((latencies, cpu_time, memory))
    })?;
    let first_failure = counts.first_failure.into_inner().map_err(|_| "a connection failed")?;
    if latencies.is_empty() {
        let failure = first_failure.as_deref().unwrap_or("no answer in time; give a longer --duration");
        return Err(format!("no exchange succeeded: {failure}").into());
    }
    Ok(Report {
        latencies,
        cpu_time,
        memory,
        duration: plan.duration,
        failed: counts.failed.into_inner(),
        first_failure,
        sent: counts.next.into_inner(),
        different_tokens: requests.len(),
    })
}

fn histogram() -> Result<Histogram<u64>, hdrhistogram::CreationError> {
    Histogram::new_with_bounds(1, LONGEST.as_micros() as u64, 3)
}

/// Prints the average rate, and the processors and the memory that the server uses at the moment.
fn progress(counts: &Counts, times: Times, processors: Option<f64>, memory: Option<u64>) {
    let seconds = times.measured_from.elapsed().as_secs_f64();
    let (exchanged, failed) = (counts.exchanged.load(Relaxed), counts.failed.load(Relaxed));
    let server = match (processors, memory) {
        (Some(processors), Some(memory)) => format!("; server: {processors:.2} processors, {} MiB", memory >> 20),
        _ => String::new(),
    };
    eprintln!("{seconds:>5.0} s: {:.0} exchanges/s, {failed} failed{server}", exchanged as f64 / seconds);
}

/// Sends requests until the end, and returns the latencies in the measured time, in microseconds.
fn connection(pace: Loop, times: Times, requests: &Requests, counts: &Counts) -> Result<Histogram<u64>, BoxError> {
    // Each connection has a runtime of its own, so that a thread can sleep exactly until a request is due.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build(connector);
    let mut latencies = histogram()?;
    loop {
        let number = counts.next.fetch_add(1, Relaxed);
        let due = match pace {
            Loop::Closed => Instant::now(),
            Loop::Open(rate) => times.start + Duration::from_secs_f64(number as f64 / rate),
        };
        if due >= times.end {
            counts.next.fetch_sub(1, Relaxed);
            return Ok(latencies);
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let outcome = exchange(&runtime, &client, requests, number);
        let answered = Instant::now();
        let is_measured = match pace {
            // A request that is answered after the end is not a part of the throughput.
            Loop::Closed => due >= times.measured_from && answered <= times.end,
            Loop::Open(_) => due >= times.measured_from,
        };
        match outcome {
            Ok(()) if is_measured => {
                counts.exchanged.fetch_add(1, Relaxed);
                latencies.saturating_record(((answered - due).as_micros() as u64).max(1));
            }
            Ok(()) => {}
            Err(failure) => {
                counts.failed.fetch_add(usize::from(is_measured), Relaxed);
                if let Ok(mut first) = counts.first_failure.lock() {
                    first.get_or_insert(failure);
                }
            }
        }
    }
}

fn exchange(
    runtime: &Runtime,
    client: &Client<HttpConnector, Full<Bytes>>,
    requests: &Requests,
    number: usize,
) -> Result<(), String> {
    runtime.block_on(async {
        let answer = client.request(requests.get(number)).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        if status.is_success() { Ok(()) } else { Err(format!("{status}: {}", String::from_utf8_lossy(&body))) }
    })
}
