//! An issuer whose keys are fetched over loopback, and a clock that only the test moves.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test binary uses only some of these items")]

use crate::support::*;
use axum::{Router, body::Body, extract::State, response::Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, StatusCode, Uri, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, UNIX_EPOCH},
};
use tokio::{net::TcpListener, sync::Semaphore};
use tower::{Layer, ServiceExt, service_fn};
use tower_token_exchange::{
    GRANT_TYPE, Issuer, Reason, TokenExchangeLayer, fetch::HttpFetch, jwks::IssuerReadiness, records::SubjectMapping,
    signing::Algorithm,
};

pub const REMOTE: &str = "https://remote.example";
pub const DAY: u64 = 24 * 60 * 60;
const KEY_SET: &str = "/jwks.json";

/// A clock with seconds since 1970. The time changes only if a test changes the time.
#[derive(Clone)]
pub struct Time(Arc<AtomicU64>);

impl Time {
    pub fn new() -> Self {
        Self(Arc::new(AtomicU64::new(NOW)))
    }

    pub fn now(&self) -> u64 {
        self.0.load(SeqCst)
    }

    pub fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds, SeqCst);
    }

    pub fn set(&self, seconds: u64) {
        self.0.store(seconds, SeqCst);
    }
}

/// The current answer of a path.
#[derive(Clone, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
    /// Whether the response continues without end after `body`.
    pub endless: bool,
    pub delay: Duration,
    /// The answer waits for a permit of this semaphore.
    pub held: Option<Arc<Semaphore>>,
}

impl Answer {
    pub fn ok(body: impl Into<Bytes>) -> Self {
        Self { status: 200, body: body.into(), ..Self::default() }
    }

    pub fn keys(minter: &Minter) -> Self {
        Self::ok(minter.key.published_keys().to_json())
    }

    pub fn both(one: &Minter, other: &Minter) -> Self {
        Self::ok(one.key.published_keys().and(other.key.published_keys()).to_json())
    }

    pub fn metadata(issuer: &str, jwks_uri: &str) -> Self {
        Self::ok(json!({ "issuer": issuer, "jwks_uri": jwks_uri }).to_string())
    }

    pub fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Returns the same answer, which waits for a permit of the gate.
    pub fn behind(mut self, gate: &Arc<Semaphore>) -> Self {
        self.held = Some(Arc::clone(gate));
        self
    }
}

/// The HTTP server of an issuer, on loopback.
#[derive(Clone)]
pub struct Jwks {
    address: SocketAddr,
    answers: Arc<Mutex<HashMap<String, Answer>>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Jwks {
    /// Reserves an address. No server answers there before [`start`](Self::start).
    pub async fn down(key_set: Answer) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let answers = HashMap::from([(KEY_SET.to_owned(), key_set)]);
        Self { address, answers: Arc::new(Mutex::new(answers)), log: Arc::default() }
    }

    pub async fn up(key_set: Answer) -> Self {
        let jwks = Self::down(key_set).await;
        jwks.start().await;
        jwks
    }

    pub async fn start(&self) {
        let app = Router::new().fallback(answer).with_state(self.clone());
        let listener = TcpListener::bind(self.address).await.unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
    }

    /// The origin, without a path.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn url(&self) -> String {
        format!("{}{KEY_SET}", self.origin())
    }

    /// Replaces the answer of the key set.
    pub fn now(&self, answer: Answer) {
        self.at(KEY_SET, answer);
    }

    /// Replaces the answer of another path.
    pub fn at(&self, path: &str, answer: Answer) {
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// Returns the number of requests for the key set.
    pub fn hits(&self) -> usize {
        self.log.lock().unwrap().iter().filter(|path| *path == KEY_SET).count()
    }

    /// Returns the number of requests for paths that have no answer.
    pub fn requests_for_unknown_paths(&self) -> usize {
        let answers = self.answers.lock().unwrap();
        self.log.lock().unwrap().iter().filter(|path| !answers.contains_key(*path)).count()
    }

    /// Returns the paths of all requests since the last call.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

async fn answer(State(jwks): State<Jwks>, uri: Uri) -> Response {
    jwks.log.lock().unwrap().push(uri.path().to_owned());
    let answer = jwks.answers.lock().unwrap().get(uri.path()).cloned().unwrap_or_else(|| Answer::status(404));
    if let Some(gate) = &answer.held {
        gate.acquire().await.unwrap().forget();
    }
    if !answer.delay.is_zero() {
        tokio::time::sleep(answer.delay).await;
    }
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    let rest = stream::repeat(Bytes::from_static(&[b' '; 4096])).take(if answer.endless { usize::MAX } else { 0 });
    let body = stream::iter([answer.body]).chain(rest).map(Ok::<_, Infallible>);
    response.body(Body::from_stream(body)).unwrap()
}

/// Waits until a condition is true, because work in the background has no fixed duration.
pub async fn until(mut condition: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("the condition did not become true");
}

pub fn loopback() -> HttpFetch {
    HttpFetch::builder().allow_loopback_http().build().unwrap()
}

/// The record of a foreign issuer whose tokens `orders` may present. The record has no keys.
pub fn record(iss: &str) -> Issuer {
    Issuer::new(iss).map_subjects(SubjectMapping::Prefix(format!("{iss}|"))).allow_presenters(["orders"])
}

pub fn remote(iss: &str, uri: impl Into<String>) -> Issuer {
    record(iss).jwks_uri(uri)
}

pub fn timed(plan: Plan, time: &Time) -> Plan {
    let time = time.clone();
    plan.with(|builder| builder.clock(move || UNIX_EPOCH + Duration::from_secs(time.0.load(SeqCst))))
}

/// A world that accepts the tokens of the issuer with this HTTP server.
pub async fn world(jwks: &Jwks, time: &Time) -> World {
    timed(plan(), time).with(|builder| builder.issuers([remote(REMOTE, jwks.url())]).http(loopback())).start().await
}

/// Returns the readiness of the issuer that not every world has.
pub fn key_report_of(layer: &TokenExchangeLayer) -> IssuerReadiness {
    let known = [AS, IDP];
    layer.readiness().issuers.into_iter().find(|issuer| !known.contains(&issuer.issuer.as_str())).unwrap()
}

pub fn key_report(world: &World) -> IssuerReadiness {
    key_report_of(&world.layer)
}

pub fn fetches(world: &World) -> u64 {
    key_report(world).fetches
}

pub fn issuer() -> Minter {
    Minter::new(REMOTE, Algorithm::ES256)
}

/// A token that does not expire during a test.
pub fn token(minter: &Minter) -> String {
    minter.foreign(json!({ "exp": NOW + 100 * DAY }))
}

/// The same token with another `kid` in the header.
pub fn token_with_kid(minter: &Minter, kid: &str) -> String {
    minter.sign(&changed(minter.header("JWT"), json!({ "kid": kid })), &segment(&token(minter), 1))
}

pub fn form(subject: &str) -> Vec<(&str, &str)> {
    vec![("grant_type", GRANT_TYPE), ("subject_token", subject), ("subject_token_type", JWT), ("audience", "billing")]
}

pub async fn exchange(world: &mut World, subject: &str) -> (Reply, Option<Reason>) {
    let reply = world.post_as("orders", &form(subject)).await;
    (reply, world.reason().await)
}

pub async fn assert_good(world: &mut World, subject: &str, why: &str) {
    let (reply, reason) = exchange(world, subject).await;
    assert_eq!((reply.status, reason), (StatusCode::OK, None), "{why}: {}", reply.text);
}

/// Checks that the exchange fails closed, and returns the seconds in `Retry-After`.
pub async fn assert_unavailable(world: &mut World, subject: &str, why: &str) -> u64 {
    assert_unavailable_because(world, subject, "", why).await
}

/// Checks that the exchange fails closed, and that only the audit event has the cause. Returns the seconds in
/// `Retry-After`.
pub async fn assert_unavailable_because(world: &mut World, subject: &str, cause: &str, why: &str) -> u64 {
    let reply = world.post_as("orders", &form(subject)).await;
    let event = world.event().await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{why}: {}", reply.text);
    assert_eq!(reply.error(), "temporarily_unavailable", "{why}");
    assert_eq!(event.reason, Some(Reason::IssuerKeysUnavailable), "{why}");
    let detail = event.detail.expect("a detail");
    assert!(detail.contains(cause), "{why}: {detail}");
    assert_eq!(reply.headers[header::CACHE_CONTROL], "no-store", "{why}");
    assert!(!reply.text.contains("127.0.0.1") && !reply.text.contains("jwks"), "{why}: {}", reply.text);
    reply.headers[header::RETRY_AFTER].to_str().unwrap().parse().expect("Retry-After in seconds")
}

pub async fn assert_refused(world: &mut World, subject: &str, expected: Reason, why: &str) {
    let (reply, reason) = exchange(world, subject).await;
    assert_eq!((reply.status, reason), (StatusCode::BAD_REQUEST, Some(expected)), "{why}: {}", reply.text);
}

/// Sends an exchange to the layer without a network. The wrapped service must not get the request.
pub async fn post(layer: &TokenExchangeLayer, subject: &str) -> (StatusCode, Option<String>, Value) {
    let teapot = service_fn(|_: Request<Body>| async {
        let mut response = http::Response::new(Body::empty());
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        Ok::<_, Infallible>(response)
    });
    let request = Request::post("/token")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::AUTHORIZATION, basic("orders", &secret_of("orders")))
        .body(Body::from(encode(&form(subject))))
        .unwrap();
    let (parts, body) = layer.layer(teapot).oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let retry_after = parts.headers.get(header::RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned());
    (parts.status, retry_after, serde_json::from_slice(&body).unwrap())
}
