//! The scenarios that are measured. To add a scenario, add a row to the function `scenarios` of a file in this folder, and
//! run `cargo bench --bench instructions --bench allocations -- --update`.

mod calling;
mod cryptography;
mod exchanges;
pub mod passed;
mod refusals;
mod tables;
mod used_once;

use crate::world::Bare;
use axum::body::Body;
use http::Request;
use std::mem;
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, Service};
use tower_token_exchange::{Reason, TokenExchange, TokenExchangeBuilder};

pub use calling::kept_token;
pub use cryptography::{sign, verify};
pub use exchanges::signs_on_another_thread;

/// A thing that is measured.
pub struct Scenario {
    /// The name in the table of budgets.
    pub name: String,
    /// The names of the raw cryptographic operations that the scenario cannot do without. An operation that is needed twice
    /// has its name twice.
    pub cryptography: Vec<String>,
    make: Box<dyn Fn() -> Work>,
}

impl Scenario {
    pub(crate) fn new(name: impl Into<String>, make: impl Fn() -> Work + 'static) -> Self {
        Self { name: name.into(), cryptography: Vec::new(), make: Box::new(make) }
    }

    pub(crate) fn with_cryptography<T: Into<String>>(mut self, operations: impl IntoIterator<Item = T>) -> Self {
        self.cryptography = operations.into_iter().map(Into::into).collect();
        self
    }

    /// Prepares the work: builds the layer and makes the keys.
    pub fn work(&self) -> Work {
        (self.make)()
    }
}

/// All scenarios, the raw cryptography first.
pub fn scenarios() -> Vec<Scenario> {
    let mut all = cryptography::scenarios();
    all.extend(exchanges::scenarios());
    all.extend(used_once::scenarios());
    all.extend(refusals::scenarios());
    all.extend(passed::scenarios());
    all.extend(tables::scenarios());
    all.extend(calling::scenarios());
    all
}

/// The work of a scenario. Call [`prepare`](Self::prepare), [`run`](Self::run) and [`check`](Self::check) in this order, as often
/// as needed. Only `run` is measured.
pub struct Work(Kind);

enum Kind {
    Requests(Box<Requests>),
    Call(Box<dyn FnMut()>),
}

struct Requests {
    service: TokenExchange<Bare>,
    runtime: Runtime,
    expected: Option<Reason>,
    next: Box<dyn FnMut() -> Request<Body>>,
    request: Option<Request<Body>>,
    answer: Option<<TokenExchange<Bare> as Service<Request<Body>>>::Response>,
}

impl Work {
    /// A function that needs no preparation.
    pub(crate) fn call(call: impl FnMut() + 'static) -> Self {
        Self(Kind::Call(Box::new(call)))
    }

    /// Requests to a layer. `expected` is the reason of the refusal; `None` means that the answer is a success.
    pub(crate) fn requests(
        builder: TokenExchangeBuilder,
        expected: Option<Reason>,
        next: impl FnMut() -> Request<Body> + 'static,
    ) -> Self {
        // One bucket of the memo: with many, some exchanges make a bucket and others do not, and the costs differ.
        let service = builder.signature_memo(16).build().expect("a layer").layer(Bare);
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let (request, answer) = (None, None);
        Self(Kind::Requests(Box::new(Requests { service, runtime, expected, next: Box::new(next), request, answer })))
    }

    /// Makes the next request.
    pub fn prepare(&mut self) {
        if let Kind::Requests(requests) = &mut self.0 {
            requests.request = Some((requests.next)());
        }
    }

    /// Does the work once.
    pub fn run(&mut self) {
        match &mut self.0 {
            Kind::Call(call) => call(),
            Kind::Requests(requests) => {
                let Requests { service, runtime, request, answer, .. } = &mut **requests;
                let request = request.take().expect("a prepared request");
                let Ok(response) = runtime.block_on(async { service.call(request).await });
                *answer = Some(response);
            }
        }
    }

    /// Checks the answer, and drops it.
    pub fn check(&mut self) {
        if let Kind::Requests(requests) = &mut self.0 {
            let answer = requests.answer.take().expect("an answer");
            let reason = answer.extensions().get::<Reason>().copied();
            assert_eq!(reason, requests.expected, "status {}", answer.status());
            assert!(reason.is_some() || answer.status().is_success(), "status {}", answer.status());
        }
    }

    /// The size of the future that answers the next request, in bytes. 0 if the work is no request.
    pub fn future_size(&mut self) -> usize {
        match &mut self.0 {
            Kind::Call(_) => 0,
            Kind::Requests(requests) => mem::size_of_val(&requests.service.call((requests.next)())),
        }
    }
}
