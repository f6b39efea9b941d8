//! The time and the allocations that the layer adds to a request that is not a token exchange, compared with the service
//! without the layer, and with one ES256 verification.
//!
//! Run `cargo bench --bench invisible`. Compare the ratios and the allocations, because the times depend on the machine.

use axum::body::Body;
use divan::{AllocProfiler, Bencher, black_box};
use http::Request;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use std::convert::Infallible;
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, Service};
use tower_token_exchange::{
    Client, Target, TokenExchange, TokenExchangeBuilder, TokenExchangeLayer,
    policy::{Rule, Subjects},
    signing::{Algorithm, LocalSigner},
};
use tower_token_exchange_benches::{
    Bare,
    scenario::passed::{self, json_at_the_endpoint, ordinary_form, other_path},
};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

fn layered() -> TokenExchange<Bare> {
    with(|builder| builder)
}

fn guarded() -> TokenExchange<Bare> {
    with(passed::guarded)
}

fn with(configure: impl FnOnce(TokenExchangeBuilder) -> TokenExchangeBuilder) -> TokenExchange<Bare> {
    let builder = TokenExchangeLayer::builder("https://as.example")
        .endpoint("/token")
        .clients([Client::new("orders").secret("a-long-and-random-secret")])
        .targets([Target::new("billing").allow_clients(["orders"]).scopes(["read"])])
        .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["read"])])
        .signer(LocalSigner::generate(Algorithm::ES256).expect("a key"));
    configure(builder).build().expect("a layer").layer(Bare)
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime")
}

/// A request to a path with several dots and slashes.
fn asset() -> Request<Body> {
    Request::get("/assets//v1.2/../style.css").body(Body::empty()).expect("a request")
}

fn bench<S>(bencher: Bencher<'_, '_>, service: S, request: fn() -> Request<Body>)
where
    S: Service<Request<Body>, Error = Infallible> + Clone + Sync,
{
    let runtime = runtime();
    let mut service = service;
    bencher.with_inputs(request).bench_local_values(|request| {
        let answer = runtime.block_on(async { service.call(black_box(request)).await });
        answer.unwrap_or_else(|never| match never {})
    });
}

#[divan::bench]
fn a1_bare_elsewhere(bencher: Bencher<'_, '_>) {
    bench(bencher, Bare, other_path);
}

#[divan::bench]
fn a2_layer_elsewhere(bencher: Bencher<'_, '_>) {
    bench(bencher, layered(), other_path);
}

#[divan::bench]
fn a3_guard_elsewhere(bencher: Bencher<'_, '_>) {
    bench(bencher, guarded(), other_path);
}

#[divan::bench]
fn a4_guard_asset(bencher: Bencher<'_, '_>) {
    bench(bencher, guarded(), asset);
}

#[divan::bench]
fn b1_bare_json_at_the_endpoint(bencher: Bencher<'_, '_>) {
    bench(bencher, Bare, json_at_the_endpoint);
}

#[divan::bench]
fn b2_layer_json_at_the_endpoint(bencher: Bencher<'_, '_>) {
    bench(bencher, layered(), json_at_the_endpoint);
}

#[divan::bench]
fn c1_bare_ordinary_form(bencher: Bencher<'_, '_>) {
    bench(bencher, Bare, ordinary_form);
}

#[divan::bench]
fn c2_layer_ordinary_form(bencher: Bencher<'_, '_>) {
    bench(bencher, layered(), ordinary_form);
}

/// One verification of a signature. Every exchange needs at least one verification.
#[divan::bench]
fn d_es256_verification(bencher: Bencher<'_, '_>) {
    use ring::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
    };
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).expect("a key");
    let message = [7; 400];
    let signature = pair.sign(&random, &message).expect("a signature");
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
    bencher.bench_local(|| public.verify(black_box(&message), signature.as_ref()).is_ok());
}
