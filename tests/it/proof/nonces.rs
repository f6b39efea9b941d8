//! Nonces for proofs.

use super::*;
use tower_token_exchange::proof::NonceKey;

fn key(byte: u8) -> NonceKey {
    NonceKey::new([byte; 32]).unwrap()
}

fn requiring(byte: u8) -> Place {
    Place::new(plan_of(|rule| rule).with(|builder| builder.dpop(Dpop::new(URL).require_nonce(key(byte)))))
}

/// The nonce of an answer, which has exactly one.
fn nonce(reply: &Reply) -> String {
    let [nonce] = values(&reply.headers, "dpop-nonce")[..] else { panic!("{:?}", reply.headers) };
    nonce.to_owned()
}

async fn ask_for_nonce(place: &Place, prover: &Prover, claims: Value) -> String {
    let reply = place.exchange(json!({}), Ask::default().proof(prover.proof_with(claims))).await;
    assert_eq!((reply.status, reply.error()), (StatusCode::BAD_REQUEST, "use_dpop_nonce".into()));
    assert_eq!(values(&reply.headers, "cache-control"), ["no-store"]);
    assert_eq!(place.reason(), Some(Reason::DpopNonceRequired));
    nonce(&reply)
}

/// DQ-07, DP-05 and DP-09: without a nonce, with a stale nonce, and with the nonce of the answer.
#[tokio::test]
async fn dq_07_a_required_nonce_is_given_and_accepted() {
    let (place, prover) = (requiring(1), Prover::new());
    let fresh = ask_for_nonce(&place, &prover, json!({})).await;
    for bad in [json!("x"), json!(""), json!(format!("{fresh}A"))] {
        assert_eq!(ask_for_nonce(&place, &prover, json!({ "nonce": bad })).await, fresh);
    }
    let proof = prover.proof_with(json!({ "nonce": fresh }));
    let reply = place.exchange(json!({}), Ask::default().proof(&*proof)).await;
    assert_eq!((reply.status, values(&reply.headers, "dpop-nonce").len()), (StatusCode::OK, 0), "{}", reply.text);
    // The nonce is good for several proofs, and each proof for one request.
    let reply = place.exchange(json!({}), Ask::default().proof(proof)).await;
    assert_eq!((reply.error(), place.reason()), ("invalid_dpop_proof".into(), Some(Reason::DpopProofUsedAgain)));
    assert!(values(&reply.headers, "dpop-nonce").is_empty());

    // The nonce of the minute before is accepted, and the answer has the nonce of this minute.
    place.at(NOW + 60);
    let reply = place.exchange(json!({}), Ask::default().proof(prover.proof_with(json!({ "nonce": fresh })))).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    assert_ne!(nonce(&reply), fresh);
    place.at(NOW + 120);
    assert_ne!(ask_for_nonce(&place, &prover, json!({ "nonce": fresh })).await, fresh);
}

/// DQ-04: with a nonce, the clock of the client does not matter, but `iat` is still needed.
#[tokio::test]
async fn dq_04_with_a_nonce_its_age_decides() {
    let (place, prover) = (requiring(1), Prover::new());
    let nonce = ask_for_nonce(&place, &prover, json!({})).await;
    for (iat, is_good) in [(json!(1), true), (json!(NOW + 86_400), true), (json!(null), false), (json!("1"), false)] {
        let proof = prover.proof_with(json!({ "nonce": nonce, "iat": iat }));
        let reply = place.exchange(json!({}), Ask::default().proof(proof)).await;
        assert_eq!(reply.status.is_success(), is_good, "{iat}: {}", reply.text);
    }
}

/// DQ-07: servers with one key accept the nonces of each other, and no others.
#[tokio::test]
async fn dq_07_a_nonce_of_another_instance_is_accepted() {
    let (one, other, stranger, prover) = (requiring(1), requiring(1), requiring(2), Prover::new());
    let nonce = ask_for_nonce(&one, &prover, json!({})).await;
    let with_nonce = || Ask::default().proof(prover.proof_with(json!({ "nonce": nonce })));
    assert_eq!(other.exchange(json!({}), with_nonce()).await.status, StatusCode::OK);
    assert_eq!(stranger.exchange(json!({}), with_nonce()).await.error(), "use_dpop_nonce");
}

#[tokio::test]
async fn an_offered_nonce_is_not_required() {
    let place = Place::new(plan_of(|rule| rule).with(|builder| builder.dpop(Dpop::new(URL).offer_nonce(key(1)))));
    let prover = Prover::new();
    let reply = place.exchange(json!({}), Ask::default().proof(prover.proof())).await;
    assert_eq!(reply.status, StatusCode::OK);
    let offered = nonce(&reply);
    let reply = place.exchange(json!({}), Ask::default().proof(prover.proof_with(json!({ "nonce": offered })))).await;
    assert_eq!((reply.status, values(&reply.headers, "dpop-nonce").len()), (StatusCode::OK, 0));
    ask_for_nonce(&place, &prover, json!({ "nonce": "x" })).await;
    // Without a nonce, the time of the proof counts.
    place.exchange(json!({}), Ask::default().proof(prover.proof_with(json!({ "iat": 1 })))).await;
    assert_eq!(place.reason(), Some(Reason::DpopProofStale));
    // A request without a proof has no use for a nonce.
    assert!(values(&place.exchange(json!({}), Ask::default()).await.headers, "dpop-nonce").is_empty());
}
