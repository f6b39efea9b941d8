//! Bound tokens: DPoP proofs and certificates in requests to a resource server.

use super::*;
use crate::proof::Prover;
use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};
use tower_token_exchange::{
    Reason::*,
    client_auth::PeerCertificates,
    proof::{Dpop, NonceKey, Thumbprint},
    resource::AccessRequest,
};

fn ath(token: &str) -> String {
    BASE64URL_NOPAD.encode(digest(&SHA256, token.as_bytes()).as_ref())
}

/// A proof for a `GET` of `/who` with this token.
fn proof(prover: &Prover, token: &str, changes: Value) -> String {
    let claims = json!({ "htm": "GET", "htu": "https://billing.example/who", "ath": ath(token) });
    prover.proof_with(merged(claims, changes))
}

fn dpop() -> Dpop {
    Dpop::new(BILLING)
}

async fn get_with_proof(service: &Service, token: &str, proof: &str) -> Reply {
    service.get("/who?page=2", &[("authorization", &format!("DPoP {token}")), ("dpop", proof)]).await
}

#[tokio::test]
async fn a_bound_token_needs_a_proof_for_the_request() {
    let (own, prover, other) = (issuer(), Prover::new(), Prover::new());
    let mut service = Service::start(builder(&own).dpop(dpop()).rules(everybody())).await;
    let bound = token(&own, json!({ "cnf": { "jkt": prover.jkt() } }));
    let good = proof(&prover, &bound, json!({}));
    assert_eq!(get_with_proof(&service, &bound, &good).await.status, StatusCode::OK);

    let another_token = token(&own, json!({ "cnf": { "jkt": prover.jkt() }, "jti": "2" }));
    for (name, proof, reason) in [
        ("used again", good, DpopProofUsedAgain),
        ("for another method", proof(&prover, &bound, json!({ "htm": "POST" })), DpopProofMismatch),
        ("for a method in lower case", proof(&prover, &bound, json!({ "htm": "get" })), DpopProofMismatch),
        (
            "for another path",
            proof(&prover, &bound, json!({ "htu": "https://billing.example/maybe" })),
            DpopProofMismatch,
        ),
        ("for another host", proof(&prover, &bound, json!({ "htu": "https://orders.example/who" })), DpopProofMismatch),
        ("for the host only", proof(&prover, &bound, json!({ "htu": BILLING })), DpopProofMismatch),
        ("for another token", proof(&prover, &another_token, json!({})), DpopProofMismatch),
        ("without ath", proof(&prover, &bound, json!({ "ath": null })), DpopProofMalformed),
        ("ath a number", proof(&prover, &bound, json!({ "ath": 7 })), DpopProofMalformed),
        ("without htu", proof(&prover, &bound, json!({ "htu": null })), DpopProofMalformed),
        ("old", proof(&prover, &bound, json!({ "iat": NOW - 61 })), DpopProofStale),
        ("from the future", proof(&prover, &bound, json!({ "iat": NOW + 11 })), DpopProofStale),
        ("no proof", "eyJ".to_owned(), DpopProofMalformed),
    ] {
        let reply = get_with_proof(&service, &bound, &proof).await;
        assert_eq!(
            (reply.status, reply.error()),
            (StatusCode::UNAUTHORIZED, "invalid_dpop_proof".to_owned()),
            "{name}"
        );
        let [bearer, dpop] = challenges(&reply.headers).try_into().unwrap();
        assert_eq!(bearer, "Bearer", "{name}");
        assert!(dpop.starts_with(r#"DPoP error="invalid_dpop_proof", error_description=""#), "{name}: {dpop}");
        assert!(dpop.contains(r#"algs="RS256 "#) || dpop.contains("ES256"), "{name}: {dpop}");
        assert_eq!(service.event().await.reason, Some(reason), "{name}");
    }
    let stolen = get_with_proof(&service, &bound, &proof(&other, &bound, json!({}))).await;
    assert_eq!((stolen.status, stolen.error()), (StatusCode::UNAUTHORIZED, "invalid_token".to_owned()));
    let event = service.event().await;
    assert_eq!(event.reason, Some(BindingNotProven));
    assert_eq!(event.proven.unwrap().key.unwrap().to_string(), other.jkt());
    for htu in ["https://BILLING.example:443/who?x#y", "https://billing.example/a/../%77ho"] {
        let reply = get_with_proof(&service, &bound, &proof(&prover, &bound, json!({ "htu": htu }))).await;
        assert_eq!(reply.status, StatusCode::OK, "{htu}");
    }
}

#[tokio::test]
async fn the_scheme_has_to_fit_the_token() {
    let (own, prover) = (issuer(), Prover::new());
    let mut service = Service::start(builder(&own).dpop(dpop()).rules(everybody())).await;
    let (bound, free) = (token(&own, json!({ "cnf": { "jkt": prover.jkt() } })), token(&own, json!({})));
    let (of_bound, of_free) = (proof(&prover, &bound, json!({})), proof(&prover, &free, json!({})));
    let (as_bearer, as_dpop) = (format!("Bearer {bound}"), format!("DPoP {free}"));
    let alone = format!("DPoP {bound}");
    for (name, headers, reason, scheme) in [
        ("bound as Bearer", vec![("authorization", &as_bearer)], BoundTokenAsBearer, 1),
        (
            "bound as Bearer with a proof",
            vec![("authorization", &as_bearer), ("dpop", &of_bound)],
            BoundTokenAsBearer,
            1,
        ),
        ("free as DPoP", vec![("authorization", &as_dpop), ("dpop", &of_free)], UnboundTokenAsDpop, 1),
        ("no proof", vec![("authorization", &alone)], DpopProofMissing, 1),
        ("two proofs", vec![("authorization", &alone), ("dpop", &of_bound), ("dpop", &of_free)], DpopProofMalformed, 1),
    ] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let reply = service.get("/who", &headers).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{name}: {}", reply.text);
        assert!(challenges(&reply.headers)[scheme].contains("error="), "{name}: {:?}", challenges(&reply.headers));
        assert_eq!(service.event().await.reason, Some(reason), "{name}");
    }
    // The proof is not used up, because the token was refused first.
    assert_eq!(get_with_proof(&service, &bound, &of_bound).await.status, StatusCode::OK);
    let with_a_proof = service.get("/who", &[("authorization", &format!("Bearer {free}")), ("dpop", "any")]).await;
    assert_eq!(with_a_proof.status, StatusCode::OK, "a bearer token needs no proof");
}

#[tokio::test]
async fn without_dpop_no_bound_token_is_accepted() {
    let (own, prover) = (issuer(), Prover::new());
    let mut service = Service::start(builder(&own).rules(everybody())).await;
    let bound = token(&own, json!({ "cnf": { "jkt": prover.jkt() } }));
    let reply = get_with_proof(&service, &bound, &proof(&prover, &bound, json!({}))).await;
    assert_eq!((reply.status, challenges(&reply.headers).len()), (StatusCode::UNAUTHORIZED, 1));
    assert_eq!(service.event().await.reason, Some(DpopUnsupported));
    assert_eq!(service.refused(&bound, "as Bearer").await, Some(BoundTokenAsBearer));
}

#[tokio::test]
async fn a_nonce_is_asked_for_and_renewed() {
    let (own, prover) = (issuer(), Prover::new());
    let key = NonceKey::new([7; 32]).unwrap();
    let mut service = Service::start(builder(&own).dpop(dpop().require_nonce(key)).rules(everybody())).await;
    let bound = token(&own, json!({ "cnf": { "jkt": prover.jkt() } }));
    let reply = get_with_proof(&service, &bound, &proof(&prover, &bound, json!({}))).await;
    assert_eq!((reply.status, reply.error()), (StatusCode::UNAUTHORIZED, "use_dpop_nonce".to_owned()));
    assert!(challenges(&reply.headers)[1].starts_with(r#"DPoP error="use_dpop_nonce""#));
    assert_eq!(service.event().await.reason, Some(DpopNonceRequired));
    let nonce = reply.headers["dpop-nonce"].to_str().unwrap();
    let reply = get_with_proof(&service, &bound, &proof(&prover, &bound, json!({ "nonce": nonce }))).await;
    assert_eq!((reply.status, reply.headers.get("dpop-nonce")), (StatusCode::OK, None), "the client has the nonce");

    let offering = builder(&own).dpop(dpop().offer_nonce(NonceKey::new([7; 32]).unwrap()));
    let service = Service::start(offering.rules(everybody())).await;
    let reply = get_with_proof(&service, &bound, &proof(&prover, &bound, json!({}))).await;
    assert_eq!((reply.status, reply.headers["dpop-nonce"].to_str().unwrap()), (StatusCode::OK, nonce));
}

#[tokio::test]
async fn a_certificate_has_to_be_the_one_in_the_token() {
    let own = issuer();
    let (one, other) = (b"certificate 1", b"certificate 2");
    let layer = builder(&own).rules(everybody()).build().unwrap();
    let bound = token(&own, json!({ "cnf": { "x5t#S256": Thumbprint::of_certificate(one).to_string() } }));
    let request = || AccessRequest::bearer(&bound);
    for (name, request, reason) in [
        ("the certificate", request().certificate(one), None),
        ("another certificate", request().certificate(other), Some(BindingNotProven)),
        ("no certificate", request(), Some(BindingNotProven)),
    ] {
        assert_eq!(layer.verify(request).await.err().map(|refusal| refusal.reason()), reason, "{name}");
    }
    // The outer layer of a server with TLS puts the certificates into the request.
    let app = |certificate: &'static [u8]| {
        let app = Router::new().route("/who", get(who)).layer(layer.clone());
        let mut request = Request::get("/who").header("authorization", format!("Bearer {bound}"));
        request.extensions_mut().unwrap().insert(PeerCertificates::new([certificate]));
        app.oneshot(request.body(axum::body::Body::empty()).unwrap())
    };
    assert_eq!(app(one).await.unwrap().status(), StatusCode::OK);
    assert_eq!(app(other).await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_bearer_token_can_be_refused() {
    let (own, prover) = (issuer(), Prover::new());
    let strict = builder(&own).dpop(dpop()).require_sender_constraint().rules(everybody());
    let mut service = Service::start(strict).await;
    let reply = service.get_as(&token(&own, json!({}))).await;
    let [dpop] = challenges(&reply.headers).try_into().unwrap();
    assert!(dpop.starts_with(r#"DPoP error="invalid_token""#), "only DPoP is accepted: {dpop}");
    assert_eq!(service.event().await.reason, Some(AccessBindingRequired));
    let bound = token(&own, json!({ "cnf": { "jkt": prover.jkt() } }));
    assert_eq!(get_with_proof(&service, &bound, &proof(&prover, &bound, json!({}))).await.status, StatusCode::OK);
}

/// A proof is counted for the client, so that one client cannot fill the store.
#[tokio::test]
async fn a_proof_is_checked_without_http() {
    let (own, prover) = (issuer(), Prover::new());
    let layer = builder(&own).dpop(dpop()).rules(everybody()).build().unwrap();
    let bound = token(&own, json!({ "cnf": { "jkt": prover.jkt() } }));
    let text = proof(&prover, &bound, json!({}));
    let request = || AccessRequest::dpop(&bound, &text, "GET", "/who");
    assert_eq!(layer.verify(request()).await.unwrap().binding().key.unwrap().to_string(), prover.jkt());
    assert_eq!(layer.verify(request()).await.unwrap_err().reason(), DpopProofUsedAgain);
}
