//! A value chooses the library that makes and verifies signatures. All libraries give the same answers.
//!
//! The vectors and the hostile tokens run with every library in the modules `hostile_tokens` and `private_keys`, and in the unit
//! tests of the library.

use crate::jwks::{form, post, record};
use crate::support::*;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use std::{convert::Infallible, future::ready};
use tower_token_exchange::{
    TokenExchangeLayer,
    audit::AuditEvent,
    signing::{Algorithm, Cryptography, LocalSigner, Signature, Signer, SigningRequest},
};

/// A key that was made with `openssl genpkey` for this test. It is public and protects nothing.
#[derive(Deserialize)]
struct RsaKey {
    name: String,
    ring_signs: bool,
    pem: String,
}

fn rsa_keys() -> Vec<RsaKey> {
    serde_json::from_str(include_str!("../data/rsa_sizes.json")).unwrap()
}

fn layer(cryptography: Cryptography, issuer: &Minter) -> TokenExchangeLayer {
    let sink = tower::service_fn(|_: AuditEvent| ready(Ok::<_, Infallible>(())));
    let builder = plan().builder.issuers([record(issuer.iss).keys(issuer.keys())]);
    builder.cryptography(cryptography).audit(sink).build().unwrap()
}

#[tokio::test]
async fn rsa_keys_of_every_size_verify() {
    for RsaKey { name, ring_signs, pem } in rsa_keys() {
        for signer in Cryptography::ALL {
            let read = |algorithm| LocalSigner::builder().cryptography(*signer).read_pem(algorithm, &pem);
            let signs = *signer != Cryptography::Ring || ring_signs;
            assert_eq!(read(Algorithm::RS256).is_ok(), signs, "{name}, {signer:?}");
            for algorithm in [Algorithm::RS256, Algorithm::PS512].into_iter().filter(|_| signs) {
                let issuer = Minter { iss: "https://rsa.example", key: read(algorithm).unwrap() };
                let [token, other] = ["1", "2"].map(|jti| issuer.foreign(json!({ "jti": jti })));
                let signature_of_other = other.rsplit_once('.').unwrap().1;
                let forged = format!("{}.{signature_of_other}", token.rsplit_once('.').unwrap().0);
                for verifier in Cryptography::ALL {
                    let (layer, why) =
                        (layer(*verifier, &issuer), format!("{name}, {algorithm}, {signer:?}, {verifier:?}"));
                    assert_eq!(post(&layer, &token).await.0, StatusCode::OK, "{why}");
                    assert_eq!(post(&layer, &forged).await.0, StatusCode::BAD_REQUEST, "{why}");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_signatures_of_a_service_are_verified() {
    for cryptography in Cryptography::ALL {
        for good in [true, false] {
            let key = LocalSigner::generate(Algorithm::ES256).unwrap();
            let (key_id, keys) = (key.key_id().clone(), key.published_keys().key_set());
            let service = tower::service_fn(move |request: SigningRequest| {
                let mut signature = key.sign(&request.signing_input).unwrap();
                signature[9] ^= u8::from(!good);
                ready(Ok::<_, Infallible>(Signature::new(signature)))
            });
            let signer = Signer::new(key_id, Algorithm::ES256, service, keys).unwrap();
            let world = plan().with(|builder| builder.signer(signer).cryptography(*cryptography)).start().await;
            let reply = world.post_as("orders", &form(&world.idp.foreign(json!({})))).await;
            let expected = if good { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
            assert_eq!(reply.status, expected, "{cryptography:?}: {}", reply.text);
        }
    }
}

#[test]
fn no_feature_changes_the_default_library() {
    assert_eq!(Cryptography::default(), Cryptography::Ring);
    assert_eq!(Cryptography::ALL[0].as_str(), "ring");
    assert_eq!(Cryptography::ALL.len(), if cfg!(feature = "aws-lc-rs") { 2 } else { 1 });
}
