//! The time of a token that a client has kept.
//!
//! Run `cargo bench --bench caller`.

use divan::Bencher;
use tower_token_exchange_benches::kept_token;

fn main() {
    divan::main();
}

#[divan::bench]
fn a_kept_token(bencher: Bencher) {
    bencher.bench_local(kept_token());
}
