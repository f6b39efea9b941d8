//! The program `token-exchange-gateway`: see `README.md`.

fn main() -> std::process::ExitCode {
    token_exchange_gateway::cli::run()
}
