//! Tokens that are bound to a DPoP key (RFC 9449).

use super::*;
use crate::in_process::plan_of;
use http::Method;
use ring::digest::{SHA256, digest};
use tower_token_exchange::{
    Client,
    caller::{ExchangeError, SubjectToken},
    proof::{Dpop, NonceKey},
    signing::{Algorithm, LocalSigner},
};

fn bound(http: impl HttpService, key: &LocalSigner) -> ExchangeClient {
    client_of(http).dpop(key.clone()).build().unwrap()
}

async fn world_with(dpop: Dpop) -> World {
    let plan = plan_of(Client::new("orders").secret(secret_of("orders")));
    plan.with(|builder| builder.dpop(dpop)).start().await
}

#[tokio::test]
async fn a_nonce_of_the_server_is_used() {
    for algorithm in [Algorithm::ES256, Algorithm::EdDSA] {
        let world = world_with(Dpop::new(ENDPOINT).require_nonce(NonceKey::new([1; 32]).unwrap())).await;
        let key = LocalSigner::generate(algorithm).unwrap();
        let count = Arc::new(AtomicU64::new(0));
        let (http, counter) = (served_by(&world), Arc::clone(&count));
        let counted = tower::service_fn(move |request: Request<Bytes>| {
            counter.fetch_add(1, Ordering::Relaxed);
            http.clone().oneshot(request)
        });
        let client = bound(counted, &key);
        let subject = world.own.access_token(json!({}));
        let token = client.exchange(&*subject).target("billing").await.unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 2, "one request to learn the nonce");
        assert!(token.is_dpop_bound());
        assert_eq!(token.authorization(), *format!("DPoP {}", token.expose()));
        let thumbprint = client.proof_key().unwrap().to_string();
        assert_eq!(claims_of(token.expose())["cnf"]["jkt"], *thumbprint);
        client.exchange(&*subject).target("billing").scope("read").await.unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 3, "the nonce is known");
    }
}

#[tokio::test]
async fn a_server_that_always_wants_another_nonce_is_left() {
    let server = Server::default();
    let http = server.answering(|_, earlier| {
        let mut response = reply(400, json!({ "error": "use_dpop_nonce" }));
        response.headers_mut().insert("dpop-nonce", format!("nonce-{earlier}").parse().unwrap());
        response
    });
    let error = bound(http, &LocalSigner::generate(Algorithm::ES256).unwrap()).exchange("s").target("billing").await;
    assert_eq!(error.unwrap_err().code().map(|code| code.as_str()), Some("use_dpop_nonce"));
    let nonces: Vec<_> =
        server.seen().iter().map(|seen| claims_of(seen.headers["dpop"].to_str().unwrap())["nonce"].clone()).collect();
    assert_eq!(nonces, [Value::Null, json!("nonce-0")]);
}

#[tokio::test]
async fn a_token_that_is_not_bound_is_refused() {
    let server = Server::default();
    let http = server.answering(|_, _| reply(200, issued("t", json!({}))));
    let error = bound(http, &LocalSigner::generate(Algorithm::ES256).unwrap()).exchange("s").target("billing").await;
    let error = error.unwrap_err();
    assert!(matches!(&error, ExchangeError::UnusableAnswer { problem } if problem.contains("not bound")), "{error}");
}

#[tokio::test]
async fn a_proof_is_for_one_request_and_token() {
    let key = LocalSigner::generate(Algorithm::ES256).unwrap();
    let world = world_with(Dpop::new(ENDPOINT)).await;
    let client = bound(served_by(&world), &key);
    let token = client.exchange(world.own.access_token(json!({}))).target("billing").await.unwrap();
    let uri: Uri = "https://billing.example:8443/a/b?c=d".parse().unwrap();
    let nonce = http::HeaderMap::from_iter([("dpop-nonce".parse().unwrap(), "n-1".parse().unwrap())]);
    let other: Uri = "https://ledger.example/".parse().unwrap();
    assert!(client.note_nonce(&uri, &nonce) && !client.note_nonce(&uri, &HeaderMap::new()));
    let proof = client.proof(&Method::PUT, &uri, &token).await.unwrap();
    assert!(proof.is_sensitive());
    let claims = claims_of(proof.to_str().unwrap());
    let ath = data_encoding::BASE64URL_NOPAD.encode(digest(&SHA256, token.expose().as_bytes()).as_ref());
    assert_eq!(
        (&claims["htm"], &claims["htu"], &claims["ath"], &claims["nonce"], &claims["iat"]),
        (&json!("PUT"), &json!("https://billing.example:8443/a/b"), &json!(ath), &json!("n-1"), &json!(NOW))
    );
    // A nonce belongs to its server.
    let elsewhere = client.proof(&Method::GET, &other, &token).await.unwrap();
    assert_eq!(claims_of(elsewhere.to_str().unwrap()).get("nonce"), None);
    for bad in ["/relative", "*"] {
        let error = client.proof(&Method::GET, &bad.parse().unwrap(), &token).await.unwrap_err();
        assert!(matches!(error, ExchangeError::InvalidRequest(_)), "{bad}");
    }
    let without_key = client_of(served_by(&world)).build().unwrap();
    assert!(without_key.proof(&Method::GET, &other, &token).await.is_err());
}

#[tokio::test]
async fn a_bound_subject_token_is_exchanged_with_its_key() {
    let key = LocalSigner::generate(Algorithm::ES256).unwrap();
    let world = world_with(Dpop::new(ENDPOINT)).await;
    let client = bound(served_by(&world), &key);
    let jkt = client.proof_key().unwrap().to_string();
    let subject = world.own.access_token(json!({ "cnf": { "jkt": jkt }, "client_id": "orders" }));
    let token = client.exchange(SubjectToken::from(subject)).target("billing").await.unwrap();
    assert_eq!(claims_of(token.expose())["cnf"]["jkt"], *jkt);
}
