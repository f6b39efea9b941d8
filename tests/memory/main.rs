//! No token, secret or private key stays in memory when the layer has done its work.
//!
//! The test reads its own memory through `/proc/self/mem`, and counts the copies that the layer left.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so")]

#[path = "../../gateway/tests/scan.rs"]
mod scan;
#[path = "../support/mod.rs"]
mod support;

use axum::body::Body;
use bytes::Bytes;
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use ring::rand::{SecureRandom, SystemRandom};
use scan::{Remembered, copies};
use serde_json::json;
use std::convert::Infallible;
use support::*;
use tokio::sync::mpsc;
use tower::{Layer, ServiceExt, service_fn};
use tower_token_exchange::{
    Client, TokenExchangeLayer,
    revocation::MemoryRevocations,
    signing::{Algorithm, LocalSigner},
};
use zeroize::Zeroizing;

/// A text of 48 hexadecimal digits that is nowhere else.
fn random_text() -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; 24]);
    SystemRandom::new().fill(&mut *bytes).unwrap();
    Zeroizing::new(HEXLOWER.encode(&*bytes))
}

/// A token of Alice. Only the signature is secret: without a signature, the rest is no token.
fn subject_token(own: &Minter) -> Zeroizing<String> {
    let claims = json!({
        "iss": AS, "sub": "alice", "aud": "https://orders.example", "exp": NOW + 600, "iat": NOW, "jti": "subject-1",
        "client_id": "web", "scope": "read write",
    });
    let segment = |json: &serde_json::Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
    let input = format!("{}.{}", segment(&own.header("at+jwt")), segment(&claims));
    let signature = Zeroizing::new(own.key.sign(input.as_bytes()).unwrap());
    joined(&[&input, ".", &Zeroizing::new(BASE64URL_NOPAD.encode(&signature))])
}

/// Joins texts without leaving a copy where a growing text was.
fn joined(parts: &[&str]) -> Zeroizing<String> {
    let mut whole = Zeroizing::new(String::with_capacity(parts.iter().map(|part| part.len()).sum()));
    parts.iter().for_each(|part| whole.push_str(part));
    whole
}

/// Bytes that are wiped when their last owner drops them.
fn wiped(text: Zeroizing<String>) -> Bytes {
    struct Owner(Zeroizing<String>);
    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            self.0.as_bytes()
        }
    }
    Bytes::from_owner(Owner(text))
}

fn basic_credentials(secret: &str) -> Zeroizing<String> {
    let pair = joined(&["orders:", secret]);
    joined(&["Basic ", &Zeroizing::new(BASE64.encode(pair.as_bytes()))])
}

struct Sent {
    path: &'static str,
    authorization: Option<Zeroizing<String>>,
    /// The frames of the body.
    frames: Vec<Zeroizing<String>>,
}

/// Sends a request to the layer, and returns the body of the answer.
async fn send(layer: &TokenExchangeLayer, sent: Sent) -> Bytes {
    let frames = sent.frames.into_iter().map(|frame| Ok::<_, Infallible>(Frame::data(wiped(frame))));
    let body = Body::new(StreamBody::new(futures_util::stream::iter(frames)));
    let mut request = Request::post(sent.path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    if let Some(authorization) = sent.authorization {
        let value = HeaderValue::from_maybe_shared(wiped(authorization)).unwrap();
        request = request.header(header::AUTHORIZATION, value);
    }
    let wrapped = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    let response = layer.layer(wrapped).oneshot(request.body(body).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.into_body().collect().await.unwrap().to_bytes()
}

/// The issued token in an answer.
fn issued_token(answer: &Bytes) -> Zeroizing<String> {
    let start = answer.windows(16).position(|found| found == b"\"access_token\":\"").unwrap() + 16;
    let length = answer[start..].iter().position(|byte| *byte == b'"').unwrap();
    joined(&[std::str::from_utf8(&answer[start..start + length]).unwrap()])
}

fn layer(secret: &str) -> (TokenExchangeLayer, Minter) {
    let plan = plan_with(
        |mut clients| {
            clients[0] = Client::new("orders").secret(secret);
            clients
        },
        |targets| targets,
    );
    let (sender, _events) = mpsc::unbounded_channel();
    let builder = plan.builder.introspection_endpoint("/introspect").revocation_endpoint("/revoke");
    (builder.revocations(MemoryRevocations::new(10)).audit(recorder(sender)).build().unwrap(), plan.own)
}

const GRANT: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&audience=billing\
                     &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token&subject_token=";

fn names(found: &[(&'static str, usize)]) -> Vec<&'static str> {
    found.iter().map(|(name, _)| *name).collect()
}

#[tokio::test]
async fn no_token_or_secret_stays_in_memory() {
    let secret = random_text();
    let basic = basic_credentials(&secret);
    let (layer, own) = layer(&secret);
    let token = subject_token(&own);
    let mut texts = vec![
        Remembered::new("client secret", &secret),
        Remembered::new("Basic credentials", &basic),
        Remembered::new("subject token", &token[token.len() - 60..]),
    ];
    let by_form = joined(&["&client_id=orders&client_secret=", &secret]);
    // The search finds what is in memory: the test has these texts itself.
    assert_eq!(names(&copies("self", &texts).unwrap()), ["client secret", "Basic credentials", "subject token"]);

    let (start, end) = token.split_at(token.len() / 2);
    for sent in [
        Sent { path: "/token", authorization: Some(basic.clone()), frames: vec![joined(&[GRANT, &token])] },
        Sent { path: "/token", authorization: None, frames: vec![joined(&[GRANT, &token, &by_form])] },
        Sent { path: "/token", authorization: None, frames: vec![joined(&[GRANT, start]), joined(&[end, &by_form])] },
    ] {
        let issued = issued_token(&send(&layer, sent).await);
        texts.push(Remembered::new("issued token", &issued[issued.len() - 60..]));
        for path in ["/introspect", "/revoke"] {
            for (authorization, more) in [(Some(basic.clone()), ""), (None, &**by_form)] {
                send(&layer, Sent { path, authorization, frames: vec![joined(&["token=", &issued, more])] }).await;
            }
        }
    }
    drop((secret, basic, token, by_form));
    assert_eq!(copies("self", &texts).unwrap(), []);
}

#[test]
fn no_private_key_stays_as_text() {
    for (algorithm, is_pem) in [(Algorithm::ES256, true), (Algorithm::EdDSA, true), (Algorithm::EdDSA, false)] {
        let pem = Zeroizing::new(LocalSigner::generate_pem(algorithm).unwrap());
        let base64 = joined(&pem.lines().filter(|line| !line.starts_with('-')).collect::<Vec<_>>());
        let der = Zeroizing::new(BASE64.decode(base64.as_bytes()).unwrap());
        // The private key of ES256 begins at byte 36 (RFC 5915), that of Ed25519 at byte 16 (RFC 8410 section 7).
        let start = if algorithm == Algorithm::ES256 { 36 } else { 16 };
        let d = Zeroizing::new(BASE64URL_NOPAD.encode(&der[start..start + 32]));
        let text = if is_pem { &base64[start * 4 / 3..][..40] } else { &d };
        let texts = [Remembered::of_bytes("bytes", &der[start..start + 32]), Remembered::new("text", text)];
        assert_eq!(names(&copies("self", &texts).unwrap()), ["bytes", "text"]);

        let by_pem = LocalSigner::from_pem(algorithm, &**pem).unwrap();
        let signer = if is_pem {
            by_pem
        } else {
            let x = serde_json::to_value(by_pem.published_keys()).unwrap()["keys"][0]["x"].to_string();
            let jwk = joined(&[r#"{"kty":"OKP","crv":"Ed25519","x":"#, &x, r#","d":""#, &d, r#""}"#]);
            LocalSigner::from_jwk(&**jwk).unwrap()
        };
        drop((pem, base64, der, d));
        assert_eq!(copies("self", &texts).unwrap(), [], "{algorithm}, PEM: {is_pem}");
        assert!(signer.sign(b"input").is_ok());
    }
}
