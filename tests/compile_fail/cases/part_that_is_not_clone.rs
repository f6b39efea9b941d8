//! Each question goes to a clone of the service.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};
use tower::Service;
use tower_token_exchange::{
    TokenExchangeLayer,
    policy::{Decision, Query},
};

struct OfficeHours;

impl Service<Query> for OfficeHours {
    type Response = Decision;
    type Error = Infallible;
    type Future = Ready<Result<Decision, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Query) -> Self::Future {
        ready(Ok(Decision::delegate()))
    }
}

fn main() {
    let _ = TokenExchangeLayer::builder("https://as.example").policy(OfficeHours);
}
