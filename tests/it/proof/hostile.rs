//! Proofs that are refused.

use super::*;
use data_encoding::BASE64URL_NOPAD;

/// DQ-01, DP-02, DP-03 and DP-04: a proof that breaks a rule gets no token.
#[tokio::test]
async fn dq_01_a_bad_proof_gets_no_token() {
    let place = Place::new(plan_of(|rule| rule));
    let (key, other) = (Prover::new(), Prover::new());
    let header = |changes: Value| key.sign(&changed(key.header(), changes), &Prover::claims());
    let claims = |changes: Value| key.proof_with(changes);
    let jwk = |changes: Value| header(json!({ "jwk": changed(key.jwk(), changes) }));
    let text = |header: &str, claims: &str| Minter { iss: "", key: key.0.clone() }.sign_text(header, claims);
    let good = key.proof();
    let segments: Vec<&str> = good.split('.').collect();
    let signed_by_other = other.sign(&key.header(), &Prover::claims());
    let (raw_header, raw_claims) = (key.header().to_string(), Prover::claims().to_string());
    let mut flipped = BASE64URL_NOPAD.decode(segments[2].as_bytes()).unwrap();
    flipped[20] ^= 1;
    let flipped = format!("{}.{}.{}", segments[0], segments[1], BASE64URL_NOPAD.encode(&flipped));
    let cases: Vec<(&str, String, Reason)> = vec![
        ("an empty header", String::new(), Reason::DpopProofMalformed),
        ("two segments", segments[..2].join("."), Reason::DpopProofMalformed),
        ("four segments", format!("{good}.AA"), Reason::DpopProofMalformed),
        ("two proofs in one header", format!("{good}, {}", key.proof()), Reason::DpopProofMalformed),
        ("a scheme in front", format!("DPoP {good}"), Reason::DpopProofMalformed),
        ("padding", format!("{good}="), Reason::DpopProofMalformed),
        ("bytes beyond ASCII", format!("{good}é"), Reason::DpopProofMalformed),
        ("larger than 16 KiB", claims(json!({ "x": "x".repeat(16 * 1024) })), Reason::DpopProofMalformed),
        ("no typ", header(json!({ "typ": null })), Reason::DpopProofMalformed),
        ("the typ of a JWT", header(json!({ "typ": "JWT" })), Reason::DpopProofMalformed),
        ("the typ of an access token", header(json!({ "typ": "at+jwt" })), Reason::DpopProofMalformed),
        ("no alg", header(json!({ "alg": null })), Reason::DpopProofMalformed),
        ("crit", header(json!({ "crit": ["exp"] })), Reason::DpopProofMalformed),
        ("b64", header(json!({ "b64": false })), Reason::DpopProofMalformed),
        (
            "a header with a member twice",
            text(&raw_header.replacen('{', r#"{"typ":"dpop+jwt","#, 1), &raw_claims),
            Reason::DpopProofMalformed,
        ),
        (
            "claims with a member twice",
            text(&raw_header, &raw_claims.replacen('{', r#"{"htm":"POST","#, 1)),
            Reason::DpopProofMalformed,
        ),
        ("claims that are a list", text(&raw_header, "[]"), Reason::DpopProofMalformed),
        ("no jwk", header(json!({ "jwk": null })), Reason::DpopProofMalformed),
        ("a jwk that is a text", header(json!({ "jwk": "x" })), Reason::DpopProofMalformed),
        ("alg none", header(json!({ "alg": "none" })), Reason::DpopKeyRefused),
        ("alg none in other case", header(json!({ "alg": "nOnE" })), Reason::DpopKeyRefused),
        ("alg HS256", header(json!({ "alg": "HS256" })), Reason::DpopKeyRefused),
        (
            "HS256 and an octet key",
            header(json!({ "alg": "HS256", "jwk": { "kty": "oct", "k": "AA" } })),
            Reason::DpopKeyRefused,
        ),
        ("an alg for another key", header(json!({ "alg": "ES384" })), Reason::DpopKeyRefused),
        ("an octet key", header(json!({ "jwk": { "kty": "oct", "k": "AA" } })), Reason::DpopKeyRefused),
        ("an empty jwk", header(json!({ "jwk": {} })), Reason::DpopKeyRefused),
        ("a private member", jwk(json!({ "d": "AA" })), Reason::DpopKeyRefused),
        ("a symmetric member", jwk(json!({ "k": "AA" })), Reason::DpopKeyRefused),
        (
            "a point that is not on the curve",
            jwk(json!({ "x": BASE64URL_NOPAD.encode(&[1; 32]) })),
            Reason::DpopSignatureInvalid,
        ),
        ("a short coordinate", jwk(json!({ "x": "AA" })), Reason::DpopKeyRefused),
        ("an unknown curve", jwk(json!({ "crv": "secp256k1" })), Reason::DpopKeyRefused),
        ("a key for encryption", jwk(json!({ "use": "enc" })), Reason::DpopKeyRefused),
        ("a key that may not verify", jwk(json!({ "use": null, "key_ops": ["sign"] })), Reason::DpopKeyRefused),
        (
            "a weak RSA key",
            header(json!({ "alg": "RS256", "jwk": { "kty": "RSA", "n": "AQAB", "e": "AQAB" } })),
            Reason::DpopKeyRefused,
        ),
        ("no jti", claims(json!({ "jti": null })), Reason::DpopProofMalformed),
        ("an empty jti", claims(json!({ "jti": "" })), Reason::DpopProofMalformed),
        ("a jti that is a number", claims(json!({ "jti": 7 })), Reason::DpopProofMalformed),
        ("no htm", claims(json!({ "htm": null })), Reason::DpopProofMalformed),
        ("no htu", claims(json!({ "htu": null })), Reason::DpopProofMalformed),
        ("a list of htu", claims(json!({ "htu": [URL] })), Reason::DpopProofMalformed),
        ("no iat", claims(json!({ "iat": null })), Reason::DpopProofMalformed),
        ("an iat that is a text", claims(json!({ "iat": NOW.to_string() })), Reason::DpopProofMalformed),
        ("an iat before 1970", claims(json!({ "iat": -1 })), Reason::DpopProofMalformed),
        ("htm PUT", claims(json!({ "htm": "PUT" })), Reason::DpopProofMismatch),
        ("htm in lower case", claims(json!({ "htm": "post" })), Reason::DpopProofMismatch),
        ("the URL of another server", claims(json!({ "htu": "https://rs.example/token" })), Reason::DpopProofMismatch),
        (
            "the URL of the introspection",
            claims(json!({ "htu": "https://as.example/introspect" })),
            Reason::DpopProofMismatch,
        ),
        ("an old proof", claims(json!({ "iat": NOW - 3600 })), Reason::DpopProofStale),
        ("a signature by another key", signed_by_other, Reason::DpopSignatureInvalid),
        ("a flipped bit", flipped, Reason::DpopSignatureInvalid),
        ("an empty signature", format!("{}.{}.", segments[0], segments[1]), Reason::DpopSignatureInvalid),
    ];
    for (name, proof, reason) in cases {
        let reply = place.exchange(json!({}), Ask::default().proof(proof)).await;
        let event = place.event();
        assert_eq!(event.reason, Some(reason), "{name}: {:?}", event.detail);
        assert_eq!((reply.status, reply.error()), (StatusCode::BAD_REQUEST, "invalid_dpop_proof".into()), "{name}");
        assert_eq!(reply.json()["error_description"], "the DPoP proof is not acceptable", "{name}");
        assert_eq!(event.stage.as_str(), "proof", "{name}");
        assert_eq!(event.client_id, Some("orders".into()), "{name}");
    }
    // The proof from which the others were made is good.
    assert_eq!(place.exchange(json!({}), Ask::default().proof(good)).await.status, StatusCode::OK);
}

/// DQ-01: two headers, also if they are equal.
#[tokio::test]
async fn dq_01_two_headers_are_refused() {
    let place = Place::new(plan_of(|rule| rule));
    let key = Prover::new();
    let one = key.proof();
    for other in [one.clone(), key.proof(), String::new()] {
        let reply = place.exchange(json!({}), Ask::default().proof(&*one).proof(other)).await;
        assert_eq!((reply.error(), place.reason()), ("invalid_dpop_proof".into(), Some(Reason::DpopProofMalformed)));
    }
}

/// DP-03: an algorithm that the settings do not accept.
#[tokio::test]
async fn dp_03_other_algorithms_are_refused() {
    let dpop = Dpop::new(URL).accept_algorithms([Algorithm::ES256]);
    let place = Place::new(plan_of(|rule| rule).with(|builder| builder.dpop(dpop)));
    place.exchange(json!({}), Ask::default().proof(Prover::with(Algorithm::EdDSA).proof())).await;
    assert_eq!(place.reason(), Some(Reason::DpopKeyRefused));
    assert_eq!(place.exchange(json!({}), Ask::default().proof(Prover::new().proof())).await.status, StatusCode::OK);
}

/// No proof is decoded, and no `jti` is used up, before the client is authenticated.
#[tokio::test]
async fn a_wrong_client_uses_no_proof() {
    let place = Place::new(plan_of(|rule| rule));
    let proof = Prover::new().proof();
    let ask = Ask::default().proof(&*proof);
    let form = encode(&exchange_form(&place.own.access_token(json!({})), &[]));
    let reply = place.post("/token", "unknown", form, &ask).await;
    assert_eq!((reply.error(), place.reason()), ("invalid_client".into(), Some(Reason::ClientRejected)));
    assert_eq!(place.exchange(json!({}), ask).await.status, StatusCode::OK);
}

/// An audit event and an answer have nothing of a proof but the thumbprint of its key.
#[tokio::test]
async fn no_proof_is_in_the_audit() {
    let place = Place::new(plan_of(|rule| rule));
    let prover = Prover::new();
    for changes in [json!({}), json!({ "htu": "https://canary.example/zq9" }), json!({ "jti": "zq9-jti", "iat": 1 })] {
        let proof = prover.proof_with(changes);
        let reply = place.exchange(json!({}), Ask::default().proof(&*proof)).await;
        let event = serde_json::to_string(&place.event()).unwrap();
        for hidden in proof.split('.').chain(["zq9", "canary"]) {
            assert!(!event.contains(hidden) && !reply.text.contains(hidden), "{hidden}: {event} {}", reply.text);
        }
    }
}
