//! Token exchange for an authorization server that has never heard of it: a gateway in front of it.
//!
//! `gateway --help` says what it can do; README.md beside this file begins with nothing and ends with an exchange.

// What happened is told on the terminal.
#![allow(clippy::print_stdout)]

mod admin;
mod config;
mod front;
mod gateway;
mod serve;
mod server;
mod tools;

use clap::{Parser, Subcommand};
use serve::Failure;
use std::{io::IsTerminal, path::PathBuf, process::ExitCode};
use tower_token_exchange::signing::Algorithm;

/// Token exchange (RFC 8693) in front of an authorization server that has never heard of it
#[derive(Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 it went well, 1 it did not, 2 the configuration or the command is wrong."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway
    Serve {
        /// The configuration
        #[arg(short, long, default_value = "gateway.toml")]
        config: PathBuf,
    },
    /// Check the configuration, and start nothing
    Check {
        /// The configuration
        #[arg(short, long, default_value = "gateway.toml")]
        config: PathBuf,
        /// Reach the legacy server and the issuers too
        #[arg(long)]
        online: bool,
    },
    /// Say what would become of a request, and why
    Explain(tools::Explain),
    /// Make a key, for ES256, ES384 or EdDSA
    Keygen {
        /// The algorithm
        #[arg(short, long, default_value = "ES256")]
        algorithm: Algorithm,
        /// The file; it must not be there yet
        file: PathBuf,
    },
    /// Exchange a token at a running server, and show what comes back
    Try(tools::Try),
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let runtime = tokio::runtime::Runtime::new().expect("the system gives threads");
    let done = runtime.block_on(run(command));
    // Not without end: an audit file may take nothing any more.
    runtime.shutdown_timeout(serve::PATIENCE);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Start(problem)) => told(&problem, 1),
        Err(Failure::Configuration(problem)) => told(&problem, 2),
    }
}

async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve { config } => serve::serve(&config).await,
        Command::Check { config, online } => tools::check(&config, online).await,
        Command::Explain(explain) => tools::explain(&explain).await,
        Command::Keygen { algorithm, file } => tools::keygen(algorithm, &file),
        Command::Try(exchange) => tools::exchange(&exchange).await,
    }
}

fn told(problem: &str, code: u8) -> ExitCode {
    eprintln!("{} {problem}", paint("error:", "31"));
    ExitCode::from(code)
}

/// Whether somebody reads along.
fn is_terminal() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// A word in colour, on a terminal.
fn paint(word: &str, colour: &str) -> String {
    if is_terminal() { format!("\x1b[1;{colour}m{word}\x1b[0m") } else { word.to_owned() }
}
