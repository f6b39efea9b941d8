//! The table of the manual page `performance`: what an exchange costs, compared with one verification and one signature.
//!
//! ```sh
//! cargo bench --bench performance                 # prints the table
//! cargo bench --bench performance -- --write      # also writes the table and the chart of the manual page
//! cargo bench --bench performance -- --help
//! ```
//!
//! Run the command on a machine that does nothing else. The load runs need two processors and Linux. The instructions need
//! valgrind.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints its results")]

mod chart;
mod gateway;
mod in_process;
mod load;
mod page;
mod programs;
mod rows;

use clap::Parser;
use in_process::InProcess;
use load::Loads;
use programs::Programs;
use std::{error::Error, path::PathBuf, process::ExitCode, time::Duration};
use tower_token_exchange_benches::{manual, run_child};

/// Measures what an exchange costs, and prints the table of the manual page `performance`
#[derive(Parser)]
struct Arguments {
    /// Write the table and the chart into `src/manual/`
    #[arg(long)]
    write: bool,
    /// Leave out the load runs, which need most of the time
    #[arg(long)]
    no_load: bool,
    /// The measured time of each load run
    #[arg(long, default_value = "4s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// How often each load run is repeated; the table has the median
    #[arg(long, default_value = "3")]
    rounds: usize,
    /// A server to compare with: the example `load_server`, built from another commit
    #[arg(long)]
    old_server: Option<PathBuf>,
    /// A gateway to compare with: the binary of the gateway, built from another commit
    #[arg(long)]
    old_gateway: Option<PathBuf>,
    /// Cargo passes this argument to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    if run_child() {
        return ExitCode::SUCCESS;
    }
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let programs = Programs::build(arguments)?;
    let in_process = InProcess::measure(&programs)?;
    let loads = match arguments.no_load {
        true => None,
        false => Some(Loads::measure(&programs, arguments.duration, arguments.rounds)?),
    };
    let rows = rows::rows(&in_process, loads.as_ref());
    let report = page::report(&rows, &in_process, loads.as_ref());
    println!("{report}");
    if arguments.write {
        manual::replace_measured("performance.md", &report)?;
        manual::write("performance.svg", &chart::svg(&in_process))?;
    }
    Ok(())
}
