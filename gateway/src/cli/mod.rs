//! The command line.

/// Prints a line to standard output, with colours if standard output is a terminal.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::print_line(format_args!($($text)*)) };
}

mod banner;
mod check;
mod explain;
mod graph;
mod hash_secret;
mod keygen;
mod schema;
mod try_exchange;

pub(crate) use banner::banner;

use crate::exit::{Exit, Failure, OrExit};
use anstyle::{AnsiColor, Style};
use anyhow::{Context, anyhow};
use clap::{Parser, Subcommand};
use std::{
    fmt, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const SUCCESS: Style = AnsiColor::Green.on_default().bold();

/// Add token exchange (RFC 8693) to an authorization server
#[derive(Parser)]
#[command(
    name = "token-exchange-gateway",
    version,
    after_help = "Exit codes: 0 success, 1 failure, 2 wrong configuration or command line."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway
    Serve {
        /// The configuration file
        #[arg(short, long, default_value = "gateway.toml")]
        config: PathBuf,
    },
    /// Check the configuration without starting the gateway
    Check {
        /// The configuration file
        #[arg(short, long, default_value = "gateway.toml")]
        config: PathBuf,
        /// Ask the authorization server and the other issuers too
        #[arg(long)]
        online: bool,
    },
    /// Explain whether an exchange would be granted, and why
    Explain(explain::Explain),
    /// Show which client may exchange tokens of which subjects for which target
    Graph(graph::Graph),
    /// Hash a client secret for the record of a client
    HashSecret(hash_secret::HashSecret),
    /// Make a signing key
    Keygen(keygen::Keygen),
    /// Show which tokens can be obtained from one token, by several exchanges
    Reach(graph::Reach),
    /// Print the JSON Schema of the configuration file, for editors
    Schema,
    /// Exchange a token at a running server, and print the claims of the issued token
    Try(try_exchange::Try),
}

/// Runs the program with the arguments of the process, and returns its exit code.
pub fn run() -> ExitCode {
    let command = Cli::parse().command;
    let switched_off = crate::core_dumps::switch_off().context("core dumps cannot be switched off");
    let runtime = switched_off.and_then(|()| Ok(tokio::runtime::Runtime::new()?));
    let result = runtime.or_exit(Exit::Failed).and_then(|runtime| {
        let result = runtime.block_on(execute(command));
        // An audit file that blocks must not keep the process alive.
        runtime.shutdown_timeout(crate::serve::FILE_TIMEOUT);
        result
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { exit, error }) => {
            anstream::eprintln!("{ERROR}error:{ERROR:#} {error:#}");
            exit.into()
        }
    }
}

/// A reader such as `head` may close standard output before the end.
fn print_line(line: fmt::Arguments<'_>) {
    match writeln!(anstream::stdout(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            anstream::eprintln!("{WARNING}warning:{WARNING:#} standard output: {error}");
        }
        _ => {}
    }
}

/// Prints a text of several lines to standard output.
fn say_text(text: &str) {
    say!("{}", text.trim_end_matches('\n'));
}

async fn execute(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve { config } => crate::serve::serve(&config).await,
        Command::Check { config, online } => check::run(&config, online).await,
        Command::Explain(options) => explain::run(&options).await,
        Command::Graph(options) => graph::run(&options),
        Command::HashSecret(options) => hash_secret::run(&options),
        Command::Keygen(options) => keygen::run(&options).await,
        Command::Reach(options) => graph::reach(&options).await,
        Command::Schema => schema::run(),
        Command::Try(options) => try_exchange::run(&options).await,
    }
}

/// Reads a file that the command line names.
fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| anyhow!("{}: {error}", path.display())).or_exit(Exit::Misconfigured)
}
