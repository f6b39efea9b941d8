//! The measured tables of the manual page `scale`: what a layer with many records needs, and what a Redis server can do.
//!
//! `cargo bench --bench scale` prints the tables. With `-- --write`, the tables are also written into the manual page. Without
//! `redis-server` and `redis-benchmark`, the part about Redis is left out.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints its results")]

mod configurations;
mod redis;

use allocation_counter::measure;
use axum::body::Body;
use configurations::{Configuration, configurations};
use http::{Request, Response};
use std::{
    convert::Infallible,
    env,
    error::Error,
    fmt::Write,
    time::{Duration, Instant},
};
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, Service};
use tower_token_exchange_benches::manual;

const EXCHANGES: usize = 1_001;

fn main() -> Result<(), Box<dyn Error>> {
    let mut report = records()?;
    match redis::measure() {
        Ok(table) => report.push_str(&table),
        Err(problem) => eprintln!("Redis was not measured: {problem}"),
    }
    println!("{report}");
    if env::args().any(|argument| argument == "--write") {
        manual::replace_measured("scale.md", &report)?;
    }
    Ok(())
}

/// The memory, the time of a reload, and the time of an exchange, for each configuration.
fn records() -> Result<String, Box<dyn Error>> {
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let mut report = String::new();
    writeln!(report, "| records | memory | for each | start or reload | an exchange |\n|---|---|---|---|---|")?;
    let mut smallest: Option<(u64, Duration)> = None;
    for Configuration { name, items, builder, mut request } in configurations() {
        eprintln!("{name}");
        let mut layer = None;
        let started = Instant::now();
        // The builder is a part of the memory until it becomes the layer.
        let info = measure(|| layer = Some(builder().build()));
        let (built, memory) = (started.elapsed(), info.bytes_current.unsigned_abs());
        let layer = layer.ok_or("the layer was not built")??;
        let mut service = layer.layer(tower::service_fn(async |request: Request<Body>| {
            Ok::<_, Infallible>(Response::new(request.into_body()))
        }));
        let time = exchange_time(&runtime, &mut service, &mut *request)?;
        let (base_memory, base_time) = *smallest.get_or_insert((memory, time));
        let each = match items {
            0 => String::new(),
            items => format!("{} bytes", memory.saturating_sub(base_memory) / items),
        };
        let mebibytes = memory as f64 / f64::from(1 << 20);
        let ratio = time.as_secs_f64() / base_time.as_secs_f64();
        writeln!(
            report,
            "| {name} | {mebibytes:.1} MiB | {each} | {:.0} ms | {ratio:.2} × |",
            built.as_secs_f64() * 1e3
        )?;
    }
    Ok(report)
}

/// The median time of an exchange.
fn exchange_time<S>(
    runtime: &Runtime,
    service: &mut S,
    request: &mut dyn FnMut() -> Request<Body>,
) -> Result<Duration, Box<dyn Error>>
where
    S: Service<Request<Body>, Error = Infallible>,
    S::Response: Answer,
{
    let mut times = Vec::new();
    for _ in 0..EXCHANGES {
        let request = request();
        let started = Instant::now();
        let Ok(answer) = runtime.block_on(async { service.call(request).await });
        times.push(started.elapsed());
        if !answer.is_success() {
            return Err("the exchange was refused".into());
        }
    }
    times.sort_unstable();
    Ok(times[EXCHANGES / 2])
}

/// An answer with a status.
trait Answer {
    fn is_success(&self) -> bool;
}

impl<B> Answer for Response<B> {
    fn is_success(&self) -> bool {
        self.status().is_success()
    }
}
