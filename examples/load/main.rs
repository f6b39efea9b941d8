//! Load for a token endpoint: measures how many exchanges a running server does, and how long each takes.
//!
//! ```sh
//! cargo run --release --example load_server # a server to measure
//! cargo run --release --example load        # in a second terminal
//! cargo run --release --example load -- --help
//! ```
//!
//! Without `--rate`, each connection sends the next request when it has the answer to the last one (*closed loop*): the
//! result is the highest throughput. With `--rate`, the requests have fixed times (*open loop*): the result is the latency at
//! that rate. In the open loop, a latency begins at the time at which the request was due, also if the request was sent later
//! because the server was slow. So a server that stalls cannot hide the requests that waited for it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the example prints its results")]

mod process;
mod report;
mod requests;
mod run;

use clap::Parser;
use http::Uri;
use process::Process;
use report::Report;
use requests::Requests;
use run::{Loop, Plan};
use std::{num::NonZeroUsize, path::PathBuf, process::ExitCode, time::Duration};
use tower::BoxError;

/// Exchanges tokens at a running server, and measures throughput and latency
///
/// Without arguments, the server is the example `load_server` of this crate. For a server of your own, give --url, --client,
/// --secret-file, --subject-tokens and --audience. The server is asked over plain HTTP/1.1.
#[derive(Parser)]
struct Arguments {
    /// The token endpoint [default: the token endpoint of the example server]
    #[arg(long)]
    url: Option<Uri>,
    /// The origin of the example server, which gives everything that is not given here
    #[arg(long, default_value = "http://127.0.0.1:8199")]
    example: Uri,
    /// The client id
    #[arg(long, requires = "secret_file")]
    client: Option<String>,
    /// A file with the client secret
    #[arg(long, requires = "client")]
    secret_file: Option<PathBuf>,
    /// A file with subject tokens, one in each line; they are sent in turn
    #[arg(long)]
    subject_tokens: Option<PathBuf>,
    /// The number of subject tokens that the example server makes
    #[arg(long, default_value = "50000", conflicts_with = "subject_tokens")]
    tokens: NonZeroUsize,
    /// The type of the subject tokens
    #[arg(long, default_value = "urn:ietf:params:oauth:token-type:access_token")]
    subject_token_type: String,
    /// The parameter `audience` of each request
    #[arg(long)]
    audience: Option<String>,
    /// The parameter `scope` of each request
    #[arg(long)]
    scope: Option<String>,
    /// Send the first subject token only, again and again
    #[arg(long)]
    repeat: bool,
    /// The number of connections
    #[arg(long, short, default_value = "16")]
    connections: NonZeroUsize,
    /// Open loop: the requests per second of all connections together; all are sent, so a run against a slower server takes
    /// longer than its duration [default: closed loop]
    #[arg(long, short, value_parser = positive)]
    rate: Option<f64>,
    /// The time of the measurement
    #[arg(long, short, default_value = "10s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// The time before the measurement begins
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    warm_up: Duration,
    /// The process id of the server, whose CPU time and memory are measured (Linux) [default: that of the example server]
    #[arg(long)]
    pid: Option<u32>,
    /// Print the result as one line of JSON, and no progress
    #[arg(long)]
    json: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number; give a number such as 2000".to_owned())?;
    if rate.is_finite() && rate > 0.0 { Ok(rate) } else { Err("the rate must be greater than 0".to_owned()) }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match measure(&arguments) {
        Ok(report) if arguments.json => println!("{}", report.to_json()),
        Ok(report) => print!("{report}"),
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn measure(arguments: &Arguments) -> Result<Report, BoxError> {
    let requests = Requests::new(arguments)?;
    let server = arguments.pid.or(requests.pid).map(Process::new);
    let plan = Plan {
        connections: arguments.connections.get(),
        pace: arguments.rate.map_or(Loop::Closed, Loop::Open),
        warm_up: arguments.warm_up,
        duration: arguments.duration,
        show_progress: !arguments.json,
    };
    run::run(&plan, &requests, server.as_ref())
}
