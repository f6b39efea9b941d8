//! The layer with guard, in front of a service that only counts.

use crate::candidate::Candidate;
use axum::body::Body;
use http::{Request, Response};
use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, Service, ServiceExt};
use tower_token_exchange::{
    Client, Target, TokenExchange, TokenExchangeLayer,
    policy::{Rule, Subjects},
    signing::{Algorithm, LocalSigner},
};

pub(crate) struct Guard {
    service: TokenExchange<Wrapped>,
    was_passed: Arc<AtomicBool>,
    runtime: Runtime,
}

/// The wrapped service.
#[derive(Clone)]
struct Wrapped(Arc<AtomicBool>);

impl Service<Request<Body>> for Wrapped {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        self.0.store(true, Ordering::SeqCst);
        ready(Ok(Response::new(Body::empty())))
    }
}

impl Guard {
    pub(crate) fn new() -> Self {
        let was_passed = Arc::new(AtomicBool::new(false));
        let layer = TokenExchangeLayer::builder("https://as.example")
            .clients([Client::new("orders").secret("a-long-and-random-secret")])
            .targets([Target::new("billing").allow_clients(["orders"]).scopes(["read"])])
            .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["read"])])
            .signer(LocalSigner::generate(Algorithm::ES256).expect("a key"))
            .guard()
            .build()
            .expect("a configuration");
        Self {
            service: layer.layer(Wrapped(Arc::clone(&was_passed))),
            was_passed,
            runtime: Builder::new_current_thread().enable_all().build().expect("a runtime"),
        }
    }

    /// Whether the wrapped service gets the candidate. `None` if the candidate is not a request.
    pub(crate) fn passes(&self, candidate: &Candidate) -> Option<bool> {
        let request = candidate.to_request()?;
        self.was_passed.store(false, Ordering::SeqCst);
        let response = self.runtime.block_on(self.service.clone().oneshot(request));
        response.expect("the layer has no errors of its own");
        Some(self.was_passed.load(Ordering::SeqCst))
    }
}
