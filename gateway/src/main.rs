//! The program `token-exchange-gateway`: see `README.md`.

use std::alloc::System;
use zeroizing_alloc::ZeroAlloc;

/// Memory is wiped when it is freed, so that no token, secret or private key stays in memory after its use. The buffers of
/// connections are freed too, when their connection ends.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> std::process::ExitCode {
    token_exchange_gateway::cli::run()
}
