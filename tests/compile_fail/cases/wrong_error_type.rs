//! The error of a part is an error type, or a text.

use tower::service_fn;
use tower_token_exchange::{
    TokenExchangeLayer,
    policy::{Decision, Query},
};

struct Closed;

fn main() {
    let _ = TokenExchangeLayer::builder("https://as.example")
        .policy(service_fn(|_: Query| async { Err::<Decision, _>(Closed) }));
}
