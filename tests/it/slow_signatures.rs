//! A signature that takes long leaves the runtime free for other requests, and the signatures that wait are bounded. The
//! tests look at the order of events, and at no clock.

use crate::jwks::{form, post};
use crate::support::*;
use futures_util::{FutureExt, future::join_all};
use http::StatusCode;
use serde_json::json;
use std::{
    future::{Future, ready},
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
};
use tokio::runtime::Builder;
use tower::Service;
use tower_token_exchange::{
    Reason, TokenExchangeLayer,
    audit::AuditEvent,
    signing::{Algorithm, BlockingSigner, LocalSigner, Signature, Signer, SigningRequest},
};

const RSA_PEM: &[u8] = include_bytes!("../data/rsa.pem");

/// A function that signs after the test has opened the gate once for each signature.
struct Gate {
    open: mpsc::Sender<()>,
    /// The signatures that have begun.
    begun: Arc<AtomicUsize>,
}

impl Gate {
    fn new(key: LocalSigner) -> (Self, BlockingSigner) {
        let (open, opened) = mpsc::channel();
        let (opened, begun) = (Mutex::new(opened), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&begun);
        let sign = move |request: SigningRequest| {
            count.fetch_add(1, SeqCst);
            opened.lock().unwrap().recv().map_err(io::Error::other)?;
            key.sign(&request.signing_input).map(Signature::new).map_err(io::Error::other)
        };
        (Self { open, begun }, BlockingSigner::new(sign))
    }

    fn open(&self, signatures: usize) {
        (0..signatures).for_each(|_| self.open.send(()).unwrap());
    }

    async fn until_begun(&self, signatures: usize) {
        crate::jwks::until(|| self.begun.load(SeqCst) == signatures).await;
    }
}

fn signer(key: &LocalSigner, service: BlockingSigner) -> Signer {
    Signer::new(key.key_id().clone(), key.algorithm(), service, key.published_keys().key_set()).unwrap()
}

/// A request for a signature without a layer around the service.
fn sign(service: &BlockingSigner) -> impl Future<Output = Result<Signature, tower::BoxError>> + use<> {
    service.clone().call(SigningRequest::new(key_id("k"), Algorithm::ES256, "input"))
}

#[tokio::test]
async fn a_slow_signature_delays_no_other_request() {
    let key = LocalSigner::generate(Algorithm::ES256).unwrap();
    let (gate, service) = Gate::new(key.clone());
    let plan = plan().with(|builder| builder.signer(signer(&key, service)));
    let mut world = plan.start().await;
    let token = world.idp.foreign(json!({}));
    let slow = {
        let (layer, token) = (world.layer.clone(), token.clone());
        tokio::spawn(async move { post(&layer, &token).await })
    };
    gate.until_begun(1).await;
    // This runtime has one thread. It serves other requests while the signature is made.
    assert_eq!(world.post(None, "grant_type=refresh_token").await.status, StatusCode::OK);
    assert_eq!(world.post_as("orders", &form("not-a-token")).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.reason().await, Some(Reason::TokenMalformed));
    assert!(!slow.is_finished());
    gate.open(1);
    let (status, _, answer) = slow.await.unwrap();
    assert_eq!(status, StatusCode::OK, "{answer}");
}

/// A layer that signs with this key.
fn layer(key: LocalSigner) -> (TokenExchangeLayer, String) {
    let Plan { idp, builder, .. } = plan();
    let sink = tower::service_fn(|_: AuditEvent| ready(Ok::<_, io::Error>(())));
    (builder.signer(key).audit(sink).build().unwrap(), idp.foreign(json!({})))
}

#[test]
fn only_slow_keys_sign_outside_the_runtime() {
    let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let rsa = |algorithm| LocalSigner::from_pem(algorithm, RSA_PEM).unwrap();
        let slow = [rsa(Algorithm::RS256), rsa(Algorithm::PS512), LocalSigner::generate(Algorithm::ES384).unwrap()];
        for key in slow {
            let algorithm = key.algorithm();
            // Nothing else runs in the only thread that may block.
            let (open, opened) = mpsc::channel::<()>();
            let occupied = tokio::task::spawn_blocking(move || opened.recv());
            let (slow, token) = layer(key);
            let exchange = tokio::spawn(async move { post(&slow, &token).await.0 });
            for other in [Algorithm::ES256, Algorithm::EdDSA] {
                let (layer, token) = layer(LocalSigner::generate(other).unwrap());
                assert_eq!(post(&layer, &token).await.0, StatusCode::OK, "{other}");
            }
            assert!(!exchange.is_finished(), "{algorithm}");
            open.send(()).unwrap();
            assert_eq!(exchange.await.unwrap(), StatusCode::OK, "{algorithm}");
            occupied.await.unwrap().unwrap();
        }
    });
}

#[tokio::test]
async fn waiting_signatures_are_bounded() {
    let key = LocalSigner::generate(Algorithm::ES256).unwrap();
    let (gate, service) = Gate::new(key.clone());
    let service = service.max_running(2).max_waiting(3);
    let plan = plan().with(|builder| builder.signer(signer(&key, service)));
    let mut world = plan.start().await;
    let tokens: Vec<_> = (0..5).map(|jti| world.idp.foreign(json!({ "jti": jti.to_string() }))).collect();
    let admitted: Vec<_> = tokens
        .iter()
        .map(|token| {
            let (layer, token) = (world.layer.clone(), token.clone());
            tokio::spawn(async move { post(&layer, &token).await.0 })
        })
        .collect();
    gate.until_begun(2).await;
    for _ in 0..3 {
        let refused = world.post_as("orders", &form(&tokens[0])).await;
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.text);
        assert!(refused.headers.contains_key("retry-after"));
        let event = world.event().await;
        assert_eq!(event.reason, Some(Reason::SignerUnavailable));
        assert!(event.detail.unwrap().contains("5 signatures run or wait already"));
    }
    assert_eq!(gate.begun.load(SeqCst), 2, "no more than two run");
    gate.open(5);
    assert!(join_all(admitted).await.into_iter().all(|status| status.unwrap() == StatusCode::OK));
    gate.open(1);
    assert_eq!(world.post_as("orders", &form(&tokens[0])).await.status, StatusCode::OK, "there is room again");
}

#[tokio::test]
async fn an_abandoned_signature_keeps_its_place() {
    let (gate, service) = Gate::new(LocalSigner::generate(Algorithm::ES256).unwrap());
    let service = service.max_running(1).max_waiting(0);
    let abandoned = tokio::spawn(sign(&service));
    gate.until_begun(1).await;
    abandoned.abort();
    assert!(abandoned.await.unwrap_err().is_cancelled());
    assert!(sign(&service).await.is_err(), "the function still runs");
    gate.open(2);
    let mut signed = sign(&service).await;
    while signed.is_err() {
        tokio::task::yield_now().await;
        signed = sign(&service).await;
    }
}

#[tokio::test]
async fn a_waiting_request_that_ends_gives_up_its_place() {
    let (gate, service) = Gate::new(LocalSigner::generate(Algorithm::ES256).unwrap());
    let service = service.max_running(1).max_waiting(1);
    let running = tokio::spawn(sign(&service));
    gate.until_begun(1).await;
    for _ in 0..10 {
        assert!(sign(&service).now_or_never().is_none(), "there is a place to wait");
    }
    gate.open(1);
    running.await.unwrap().unwrap();
    assert_eq!(gate.begun.load(SeqCst), 1, "nothing is signed for requests that ended");
}

#[tokio::test]
async fn a_panic_fails_one_signature() {
    let key = LocalSigner::generate(Algorithm::ES256).unwrap();
    let (calls, signing_key) = (AtomicUsize::new(0), key.clone());
    let service = BlockingSigner::new(move |request: SigningRequest| {
        assert!(calls.fetch_add(1, SeqCst) > 0, "the first call fails");
        signing_key.sign(&request.signing_input).map(Signature::new)
    });
    let plan = plan().with(|builder| builder.signer(signer(&key, service.max_running(1).max_waiting(0))));
    let mut world = plan.start().await;
    let token = world.idp.foreign(json!({}));
    for expected in [Some(Reason::SignerPanicked), None] {
        world.post_as("orders", &form(&token)).await;
        assert_eq!(world.reason().await, expected);
    }
}
