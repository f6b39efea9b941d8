//! The time and the allocations of a whole exchange, compared with one verification and one signature. Every exchange
//! needs both.
//!
//! Run `cargo bench --bench exchange`. Compare the ratio, because the times depend on the machine.

use axum::body::Body;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use divan::{AllocProfiler, Bencher, black_box};
use http::{Request, Response, header};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey},
};
use serde_json::json;
use std::{
    convert::Infallible,
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::runtime::Builder;
use tower::{Layer, Service};
use tower_token_exchange::{
    Client, GRANT_TYPE, Target, TokenExchangeLayer,
    audit::AuditEvent,
    policy::{Rule, Subjects},
    signing::{Algorithm, LocalSigner},
};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const ISSUER: &str = "https://as.example";
const SECRET: &str = "a-long-and-random-secret";

fn main() {
    divan::main();
}

fn subject_token(key: &LocalSigner) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let header = json!({ "alg": "ES256", "kid": key.key_id(), "typ": "at+jwt" });
    let claims = json!({
        "iss": ISSUER, "sub": "alice", "aud": "https://orders.example", "iat": now, "exp": now + 3600,
        "jti": "1", "client_id": "web", "scope": "read write",
    });
    let segment = |value: &serde_json::Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let input = format!("{}.{}", segment(&header), segment(&claims));
    let signature = key.sign(input.as_bytes()).expect("a signature");
    format!("{input}.{}", BASE64URL_NOPAD.encode(&signature))
}

#[divan::bench]
fn a_one_exchange(bencher: Bencher<'_, '_>) {
    let key = LocalSigner::generate(Algorithm::ES256).expect("a key");
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", GRANT_TYPE)
        .append_pair("subject_token", &subject_token(&key))
        .append_pair("subject_token_type", "urn:ietf:params:oauth:token-type:access_token")
        .append_pair("audience", "billing")
        .finish();
    let basic = format!("Basic {}", BASE64.encode(format!("orders:{SECRET}").as_bytes()));
    let layer = TokenExchangeLayer::builder(ISSUER)
        .clients([Client::new("orders").secret(SECRET)])
        .targets([
            Target::new("orders").audience_claim("https://orders.example").served_by("orders").scopes(["read"]),
            Target::new("billing").allow_clients(["orders"]).scopes(["read"]),
        ])
        .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["read"])])
        .signer(key)
        .audit(tower::service_fn(|_: AuditEvent| std::future::ready(Ok::<_, Infallible>(()))))
        .build()
        .expect("a layer");
    let wrapped = tower::service_fn(|request: Request<Body>| {
        std::future::ready(Ok::<_, Infallible>(Response::new(request.into_body())))
    });
    let mut service = layer.layer(wrapped);
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    let request = || {
        Request::post("/token")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::AUTHORIZATION, &basic)
            .body(Body::from(form.clone()))
            .expect("a request")
    };
    bencher.with_inputs(request).bench_local_values(|request| {
        let answer = runtime.block_on(async { service.call(black_box(request)).await });
        assert!(answer.unwrap_or_else(|never| match never {}).status().is_success());
    });
}

#[divan::bench]
fn b_one_verification_and_one_signature(bencher: Bencher<'_, '_>) {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).expect("a key");
    let message = [7; 400];
    let signature = pair.sign(&random, &message).expect("a signature");
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
    bencher.bench_local(|| {
        let verified = public.verify(black_box(&message), signature.as_ref()).is_ok();
        (verified, pair.sign(&random, black_box(&message)).is_ok())
    });
}
