//! A complete token exchange: real HTTP requests on the loopback address, in one process.
//!
//! `cargo run --example quickstart` explains each step, and checks the result of each step.
//! `cargo run --example quickstart -- --serve` then keeps the server running, for requests by hand.

#![allow(clippy::print_stdout, reason = "the story is the output of this program")]

mod authorization_server;
mod http_client;
mod records;
mod resource_server;
mod story;

use authorization_server::AuthorizationServer;
use std::{error::Error, io::ErrorKind, process::ExitCode};
use tokio::net::TcpListener;
use tower_token_exchange::GRANT_TYPE;

const USAGE: &str = "usage: cargo run --example quickstart -- [--serve] [--port PORT]

  --serve      keep the server running after the story, for requests by hand
  --port PORT  listen on this port of 127.0.0.1; default: 8693 with `--serve`, else any free port";

pub(crate) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

struct Options {
    serve: bool,
    port: Option<u16>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(options) = options(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("\nThe quickstart failed: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options { serve: false, port: None };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--serve" => options.serve = true,
            "--port" => options.port = Some(arguments.next()?.parse().ok()?),
            _ => return None,
        }
    }
    Some(options)
}

async fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let port = options.port.unwrap_or(if options.serve { 8693 } else { 0 });
    let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => format!("port {port} is in use; choose another port with `--port PORT`"),
        _ => format!("cannot listen on port {port}: {error}; choose another port with `--port PORT`"),
    })?;
    let server = AuthorizationServer::start(listener)?;
    story::tell(&server).await?;
    if options.serve {
        print_commands(&server);
        std::future::pending::<()>().await;
    }
    Ok(())
}

fn print_commands(server: &AuthorizationServer) {
    let (issuer, secret) = (&server.issuer, server.secret_of("orders"));
    println!("\n── The server keeps running. Try steps 1 and 3 by hand, in another terminal:\n");
    println!("USER_TOKEN=$(curl -s {issuer}/token -d grant_type=authorization_code -d code=alice-at-orders \\");
    println!("  | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')");
    println!("curl -s {issuer}/token -u orders:{secret} \\");
    println!("  -d grant_type={GRANT_TYPE} \\");
    println!("  -d subject_token=\"$USER_TOKEN\" \\");
    println!("  -d subject_token_type={ACCESS_TOKEN} \\");
    println!("  -d audience=billing");
    println!("\nThe keys that verify the issued token: curl -s {issuer}/jwks");
    println!("Ctrl-C stops the server.");
}
