//! The wrapped service is called only when it is ready, and is held only as long as a request needs the service.

use crate::support::*;
use axum::body::Body;
use http::{Request, Response, header};
use serde_json::json;
use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::watch;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, limit::ConcurrencyLimitLayer};
use tower_token_exchange::{
    GRANT_TYPE, TokenExchangeLayer,
    policy::{Decision, Query},
};

/// A service that panics if it is called without being ready, and that counts its calls.
#[derive(Default)]
struct Strict {
    is_ready: bool,
    calls: Arc<AtomicUsize>,
}

impl Clone for Strict {
    /// A clone is not ready, whatever the original is.
    fn clone(&self) -> Self {
        Self { is_ready: false, calls: Arc::clone(&self.calls) }
    }
}

impl Service<Request<Body>> for Strict {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called without being ready");
        self.calls.fetch_add(1, Ordering::SeqCst);
        ready(Ok(Response::new(Body::empty())))
    }
}

fn post(form: impl Into<Body>, authorization: &str) -> Request<Body> {
    Request::post("/token")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::AUTHORIZATION, authorization)
        .body(form.into())
        .unwrap()
}

fn ordinary() -> Request<Body> {
    post("grant_type=refresh_token&refresh_token=x", "Basic eDp5")
}

/// A policy that blocks every exchange until the gate is opened.
#[derive(Clone)]
struct Gate {
    waiting: watch::Sender<usize>,
    open: watch::Sender<bool>,
}

impl Gate {
    fn new(open: bool) -> Self {
        Self { waiting: watch::Sender::new(0), open: watch::Sender::new(open) }
    }

    async fn decide(self) -> Decision {
        self.waiting.send_modify(|waiting| *waiting += 1);
        self.open.subscribe().wait_for(|open| *open).await.unwrap();
        Decision::delegate()
    }

    /// Waits until this number of exchanges has reached the policy.
    async fn until_waiting(&self, exchanges: usize) {
        in_time(self.waiting.subscribe().wait_for(|waiting| *waiting == exchanges)).await.unwrap();
    }
}

/// Returns a layer with such a policy, and a function that makes an exchange request.
fn layer_behind(gate: &Gate) -> (TokenExchangeLayer, impl Fn() -> Request<Body> + use<>) {
    let gate = gate.clone();
    let plan = plan().with(|builder| {
        builder.policy(tower::service_fn(move |_: Query| {
            let decision = gate.clone().decide();
            async move { Ok::<_, Infallible>(decision.await) }
        }))
    });
    let token = plan.own.access_token(json!({}));
    let exchange = move || post(encode(&exchange_form(&token, &[])), &basic("orders", &secret_of("orders")));
    (plan.builder.build().unwrap(), exchange)
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("nothing to wait for")
}

#[tokio::test]
async fn only_a_ready_service_is_called() {
    let (layer, exchange) = layer_behind(&Gate::new(true));
    let calls = Arc::new(AtomicUsize::new(0));
    let mut service = layer.layer(Strict { is_ready: false, calls: Arc::clone(&calls) });
    let requests = [
        ordinary(),
        exchange(),
        Request::get("/token").body(Body::empty()).unwrap(),
        Request::get(format!("/token?grant_type={GRANT_TYPE}")).body(Body::empty()).unwrap(),
        exchange(),
        ordinary(),
        Request::post("/elsewhere").body(Body::from("x")).unwrap(),
    ];
    for request in requests {
        service.ready().await.unwrap().call(request).await.unwrap();
    }
    assert_eq!(calls.load(Ordering::SeqCst), 4, "two forms, one GET and one other path are not ours");
}

#[tokio::test]
async fn waiting_futures_do_not_block_new_calls() {
    let (layer, exchange) = layer_behind(&Gate::new(true));
    let mut service = layer.layer(Strict::default());
    let mut waiting = Vec::new();
    for _ in 0..10 {
        waiting.push(service.ready().await.unwrap().call(exchange()));
        waiting.push(service.ready().await.unwrap().call(ordinary()));
    }
    for response in waiting {
        assert!(response.await.unwrap().status().is_success());
    }
}

#[tokio::test]
async fn an_exchange_releases_the_wrapped_service() {
    let gate = Gate::new(false);
    let (layer, exchange) = layer_behind(&gate);
    let service = ServiceBuilder::new().layer(layer).layer(ConcurrencyLimitLayer::new(1)).service(Strict::default());
    let exchanging = tokio::spawn(service.clone().oneshot(exchange()));
    gate.until_waiting(1).await;

    in_time(service.clone().oneshot(ordinary())).await.unwrap();
    assert!(!exchanging.is_finished(), "the exchange is still under way");
    gate.open.send_replace(true);
    assert!(in_time(exchanging).await.unwrap().unwrap().status().is_success());
}

#[tokio::test]
async fn a_refusal_releases_an_idle_service() {
    let (layer, _) = layer_behind(&Gate::new(true));
    let limited = ServiceBuilder::new().layer(ConcurrencyLimitLayer::new(1)).service(Strict::default());
    let mut refusing = layer.layer(limited.clone());
    let in_query = Request::get(format!("/token?grant_type={GRANT_TYPE}")).body(Body::empty()).unwrap();
    refusing.ready().await.unwrap().call(in_query).await.unwrap();

    // `refusing` still exists and is idle. Its place must be free for other requests.
    in_time(limited.oneshot(ordinary())).await.unwrap();
}

#[tokio::test]
async fn slow_policies_do_not_delay_other_requests() {
    let gate = Gate::new(false);
    let (layer, exchange) = layer_behind(&gate);
    let service = layer.layer(Strict::default());
    let exchanging: Vec<_> = (0..100).map(|_| tokio::spawn(service.clone().oneshot(exchange()))).collect();
    gate.until_waiting(100).await;

    in_time(service.clone().oneshot(ordinary())).await.unwrap();
    assert!(exchanging.iter().all(|exchange| !exchange.is_finished()));
    gate.open.send_replace(true);
    for exchange in exchanging {
        assert!(in_time(exchange).await.unwrap().unwrap().status().is_success());
    }
}

#[tokio::test]
async fn readiness_errors_of_the_wrapped_service_pass_through() {
    #[derive(Clone)]
    struct Broken;

    impl Service<Request<Body>> for Broken {
        type Response = Response<Body>;
        type Error = &'static str;
        type Future = Ready<Result<Response<Body>, &'static str>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
            Poll::Ready(Err("broken"))
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            unreachable!("it is never ready")
        }
    }

    let (layer, _) = layer_behind(&Gate::new(true));
    assert_eq!(layer.layer(Broken).ready().await.err(), Some("broken"));
    let failing = tower::service_fn(|_: Request<Body>| ready(Err::<Response<Body>, _>("failed")));
    assert_eq!(layer.layer(failing).oneshot(ordinary()).await.err(), Some("failed"));
}
