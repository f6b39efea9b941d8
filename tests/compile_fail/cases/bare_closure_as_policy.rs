//! A closure is not a service until `tower::service_fn` makes it one.

use std::convert::Infallible;
use tower_token_exchange::{
    TokenExchangeLayer,
    policy::{Decision, Query},
};

fn main() {
    let _ = TokenExchangeLayer::builder("https://as.example")
        .policy(|_: Query| async { Ok::<_, Infallible>(Decision::delegate()) });
}
