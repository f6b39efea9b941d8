//! Keys at a URL are fetched when they are needed, rarely, within bounds, and never stand in for another issuer's;
//! their outage is a 503 that ends by itself.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so")]

mod support;

use axum::{Router, body::Body, extract::State, response::Response, routing::get};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::join_all, stream};
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, UNIX_EPOCH},
};
use support::*;
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt, service_fn};
use tower_token_exchange::{
    Algorithm, Issuer, Plug, Reason, SubjectMapping, TOKEN_EXCHANGE_GRANT, TokenExchangeLayer, fetch::HttpFetch,
};

const REMOTE: &str = "https://remote.example";
const RIVAL: &str = "https://rival.example";
const DAY: u64 = 24 * 60 * 60;

/// Seconds since 1970 that only a test moves.
#[derive(Clone)]
struct Time(Arc<AtomicU64>);

impl Time {
    fn new() -> Self {
        Self(Arc::new(AtomicU64::new(NOW)))
    }

    fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds, SeqCst);
    }
}

/// What the endpoint of an issuer answers now.
#[derive(Clone, Default)]
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    /// Goes on for ever behind the body.
    endless: bool,
    delay: Duration,
}

impl Answer {
    fn ok(body: impl Into<Bytes>) -> Self {
        Self { status: 200, body: body.into(), ..Self::default() }
    }

    fn keys(minter: &Minter) -> Self {
        Self::ok(minter.key.published_keys().to_json())
    }

    fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

/// The endpoint of an issuer, on loopback.
#[derive(Clone)]
struct Jwks {
    address: SocketAddr,
    hits: Arc<AtomicUsize>,
    /// Requests for anything but the key set.
    strays: Arc<AtomicUsize>,
    answer: Arc<Mutex<Answer>>,
}

impl Jwks {
    /// An address where nobody answers yet.
    async fn down(answer: Answer) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        Self { address, hits: Arc::default(), strays: Arc::default(), answer: Arc::new(Mutex::new(answer)) }
    }

    async fn up(answer: Answer) -> Self {
        let jwks = Self::down(answer).await;
        jwks.start().await;
        jwks
    }

    async fn start(&self) {
        let app = Router::new().route("/jwks.json", get(key_set)).fallback(stray).with_state(self.clone());
        let listener = TcpListener::bind(self.address).await.unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
    }

    fn url(&self) -> String {
        format!("http://{}/jwks.json", self.address)
    }

    fn now(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    fn hits(&self) -> usize {
        self.hits.load(SeqCst)
    }
}

async fn key_set(State(jwks): State<Jwks>) -> Response {
    jwks.hits.fetch_add(1, SeqCst);
    let answer = jwks.answer.lock().unwrap().clone();
    tokio::time::sleep(answer.delay).await;
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    let rest = stream::repeat(Bytes::from_static(&[b' '; 4096])).take(if answer.endless { usize::MAX } else { 0 });
    let body = stream::iter([answer.body]).chain(rest).map(Ok::<_, Infallible>);
    response.body(Body::from_stream(body)).unwrap()
}

async fn stray(State(jwks): State<Jwks>) -> Response {
    jwks.strays.fetch_add(1, SeqCst);
    let answer = jwks.answer.lock().unwrap().clone();
    Response::new(Body::from(answer.body))
}

fn loopback() -> HttpFetch {
    HttpFetch::builder().allow_loopback_http().build().unwrap()
}

fn remote(iss: &str, uri: impl Into<String>) -> Issuer {
    Issuer::new(iss).jwks_uri(uri).subjects(SubjectMapping::Prefix(format!("{iss}|"))).presenters(["orders"])
}

fn timed(plan: Plan, time: &Time) -> Plan {
    let time = time.clone();
    plan.with(|builder| builder.clock(move || UNIX_EPOCH + Duration::from_secs(time.0.load(SeqCst))))
}

/// A world that believes the issuer behind this endpoint.
async fn world(jwks: &Jwks, time: &Time) -> World {
    timed(plan(), time).with(|builder| builder.issuers([remote(REMOTE, jwks.url())]).fetch(loopback())).start().await
}

fn issuer() -> Minter {
    Minter::new(REMOTE, Algorithm::ES256)
}

/// A token that outlives every test.
fn token(minter: &Minter) -> String {
    minter.foreign(json!({ "exp": NOW + 100 * DAY }))
}

/// The same under any `kid`.
fn under(minter: &Minter, kid: &str) -> String {
    minter.sign(&changed(minter.header("JWT"), json!({ "kid": kid })), &segment(&token(minter), 1))
}

fn form(subject: &str) -> Vec<(&str, &str)> {
    vec![
        ("grant_type", TOKEN_EXCHANGE_GRANT),
        ("subject_token", subject),
        ("subject_token_type", JWT),
        ("audience", "billing"),
    ]
}

async fn exchange(world: &mut World, subject: &str) -> (Reply, Option<Reason>) {
    let reply = world.post_as("orders", &form(subject)).await;
    (reply, world.reason().await)
}

async fn assert_good(world: &mut World, subject: &str, why: &str) {
    let (reply, reason) = exchange(world, subject).await;
    assert_eq!((reply.status, reason), (StatusCode::OK, None), "{why}: {}", reply.text);
}

/// Fails closed, and says when to come back.
async fn assert_unavailable(world: &mut World, subject: &str, why: &str) -> u64 {
    let (reply, reason) = exchange(world, subject).await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{why}: {}", reply.text);
    assert_eq!(reply.error(), "temporarily_unavailable", "{why}");
    assert_eq!(reason, Some(Reason::IssuerKeysUnavailable), "{why}");
    assert_eq!(reply.headers[header::CACHE_CONTROL], "no-store", "{why}");
    assert!(!reply.text.contains("127.0.0.1") && !reply.text.contains("jwks"), "{why}: {}", reply.text);
    reply.headers[header::RETRY_AFTER].to_str().unwrap().parse().expect("Retry-After in seconds")
}

async fn assert_refused(world: &mut World, subject: &str, expected: Reason, why: &str) {
    let (reply, reason) = exchange(world, subject).await;
    assert_eq!((reply.status, reason), (StatusCode::BAD_REQUEST, Some(expected)), "{why}: {}", reply.text);
}

#[tokio::test]
async fn an_endpoint_that_is_down_at_the_start_needs_no_restart_when_it_is_up() {
    let (key, time) = (issuer(), Time::new());
    let jwks = Jwks::down(Answer::keys(&key)).await;
    let mut world = world(&jwks, &time).await;
    let retry_after = assert_unavailable(&mut world, &token(&key), "down").await;
    assert!((1..=60).contains(&retry_after), "{retry_after}");
    // It is this issuer's outage and nobody else's.
    let idp = world.idp.foreign(json!({}));
    assert_good(&mut world, &idp, "another issuer").await;
    let own = world.own.access_token(json!({}));
    assert_eq!(world.exchange(&own).await.status, StatusCode::OK);
    assert_eq!(world.reason().await, None);

    jwks.start().await;
    time.pass(retry_after);
    assert_good(&mut world, &token(&key), "up").await;
    assert_eq!(jwks.hits(), 1);
}

#[tokio::test]
async fn a_set_is_fetched_once_whoever_waits_for_it() {
    let (key, time) = (issuer(), Time::new());
    let jwks = Jwks::up(Answer::keys(&key).after(Duration::from_millis(150))).await;
    let mut world = world(&jwks, &time).await;
    let token = token(&key);
    let form = form(&token);
    for reply in join_all((0..50).map(|_| world.post_as("orders", &form))).await {
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    }
    for _ in 0..50 {
        assert_eq!(world.reason().await, None);
    }
    assert_eq!(jwks.hits(), 1, "50 at once");
    for _ in 0..5 {
        assert_good(&mut world, &token, "kept").await;
    }
    assert_eq!(jwks.hits(), 1, "and later");
}

#[tokio::test]
async fn an_outage_is_not_made_worse_by_those_who_wait() {
    let (key, time) = (issuer(), Time::new());
    let jwks = Jwks::up(Answer::status(500).after(Duration::from_millis(100))).await;
    let mut world = world(&jwks, &time).await;
    let token = token(&key);
    let form = form(&token);
    for reply in join_all((0..50).map(|_| world.post_as("orders", &form))).await {
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{}", reply.text);
        assert!(reply.headers.contains_key(header::RETRY_AFTER));
    }
    for _ in 0..50 {
        assert_eq!(world.reason().await, Some(Reason::IssuerKeysUnavailable));
    }
    for _ in 0..20 {
        assert_unavailable(&mut world, &token, "one after the other").await;
    }
    assert_eq!(jwks.hits(), 1, "70 attempts in one instant");
}

#[tokio::test]
async fn a_key_that_is_rotated_in_is_found_and_random_names_find_nothing() {
    let (old, new, time) = (issuer(), issuer(), Time::new());
    let jwks = Jwks::up(Answer::keys(&old)).await;
    let mut world = world(&jwks, &time).await;
    assert_good(&mut world, &token(&old), "at first").await;
    assert_eq!(jwks.hits(), 1);

    jwks.now(Answer::ok(old.key.published_keys().and(new.key.published_keys()).to_json()));
    time.pass(61);
    assert_good(&mut world, &token(&new), "rotated in").await;
    assert_eq!(jwks.hits(), 2);
    assert_good(&mut world, &token(&old), "and the old one").await;

    for round in 1..=3 {
        for n in 0..20 {
            assert_refused(&mut world, &under(&new, &format!("random-{n}")), Reason::TokenKeyUnknown, "random").await;
        }
        assert_eq!(jwks.hits(), 1 + round, "at most one fetch in a cool-down");
        time.pass(61);
    }
    let floods: Vec<String> = (0..30).map(|n| under(&new, &format!("flood-{n}"))).collect();
    let forms: Vec<_> = floods.iter().map(|token| form(token)).collect();
    for reply in join_all(forms.iter().map(|form| world.post_as("orders", form))).await {
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.text);
    }
    for _ in &floods {
        assert_eq!(world.reason().await, Some(Reason::TokenKeyUnknown));
    }
    assert_eq!(jwks.hits(), 5, "all at once too");

    // A bad signature under a good name is no reason to fetch, nor is a token that nobody could have signed.
    time.pass(61);
    let forged = under(&issuer(), new.key.key_id());
    assert_refused(&mut world, &forged, Reason::TokenSignatureInvalid, "forged").await;
    let unsigned = new.sign(&json!({ "alg": "none" }), &segment(&token(&new), 1));
    assert_refused(&mut world, &unsigned, Reason::TokenAlgorithmRefused, "unsigned").await;
    assert_refused(&mut world, "x.y.z", Reason::TokenMalformed, "malformed").await;
    assert_eq!(jwks.hits(), 5);

    // A key that is rotated out is gone with the next set.
    jwks.now(Answer::keys(&new));
    assert_refused(&mut world, &under(&new, "random"), Reason::TokenKeyUnknown, "random").await;
    assert_eq!(jwks.hits(), 6);
    assert_refused(&mut world, &token(&old), Reason::TokenKeyUnknown, "rotated out").await;
    assert_good(&mut world, &token(&new), "the new one").await;
    assert_eq!(jwks.hits(), 6);
}

#[tokio::test]
async fn a_stale_set_serves_while_there_is_no_other_and_not_for_ever() {
    let (key, time) = (issuer(), Time::new());
    let jwks = Jwks::up(Answer::keys(&key)).await;
    let mut world = world(&jwks, &time).await;
    assert_good(&mut world, &token(&key), "fresh").await;
    jwks.now(Answer::status(503));
    time.pass(700);
    for _ in 0..20 {
        assert_good(&mut world, &token(&key), "stale").await;
    }
    assert_eq!(jwks.hits(), 2, "20 stale ones in one instant");
    // An unknown key cannot be told from one rotated in now; whichever it is called, there is no token.
    let (reply, reason) = exchange(&mut world, &under(&key, "random")).await;
    assert_ne!(reply.status, StatusCode::OK);
    assert!(reason.is_some());
    time.pass(DAY);
    let retry_after = assert_unavailable(&mut world, &token(&key), "too old").await;
    jwks.now(Answer::keys(&key));
    time.pass(retry_after);
    assert_good(&mut world, &token(&key), "back").await;
    time.pass(60);
    jwks.now(Answer::status(500));
    assert_good(&mut world, &token(&key), "fresh again").await;
}

#[tokio::test]
async fn a_set_is_kept_as_long_as_its_answer_says_within_bounds() {
    for (cache_control, fresh_for) in [
        (None, 600),
        (Some("max-age=120"), 120),
        (Some("public, max-age=120, must-revalidate"), 120),
        (Some("max-age=3600"), 3600),
        (Some("max-age=0"), 60),
        (Some("max-age=1"), 60),
        (Some("max-age=31536000"), DAY),
        (Some("max-age=99999999999999999999999"), 600),
        (Some("max-age=soon"), 600),
        (Some("no-transform"), 600),
        // Directives have no case (RFC 9111 section 5.2).
        (Some("Public, Max-Age=120"), 120),
    ] {
        let (key, time) = (issuer(), Time::new());
        let mut answer = Answer::keys(&key);
        if let Some(value) = cache_control {
            answer = answer.header("cache-control", value);
        }
        let jwks = Jwks::up(answer).await;
        let mut world = world(&jwks, &time).await;
        assert_good(&mut world, &token(&key), "first").await;
        time.pass(fresh_for - 1);
        assert_good(&mut world, &token(&key), "fresh").await;
        assert_eq!(jwks.hits(), 1, "{cache_control:?}: not before {fresh_for} s");
        time.pass(2);
        assert_good(&mut world, &token(&key), "fetched anew").await;
        assert_eq!(jwks.hits(), 2, "{cache_control:?}: after {fresh_for} s");
    }
}

#[tokio::test]
async fn what_is_no_key_set_is_an_outage_until_it_is_mended() {
    let key = issuer();
    let good = key.key.published_keys().to_json();
    let good_keys = &good[..good.len() - 2];
    let padded = |bytes: usize| {
        let open = format!("{},\"x\":\"", &good[..good.len() - 1]);
        let padding = "x".repeat(bytes - open.len() - 2);
        format!("{open}{padding}\"}}")
    };
    let limit = 256 * 1024;
    let symmetric = r#"{"kty":"oct","k":"c2VjcmV0","kid":"o","alg":"RS256"}"#;
    let (bad, fine) = (false, true);
    let cases = [
        ("500", Answer::status(500), bad),
        ("404 with the set", Answer { status: 404, ..Answer::ok(good.clone()) }, bad),
        ("401 with the set", Answer { status: 401, ..Answer::ok(good.clone()) }, bad),
        ("206 with the set", Answer { status: 206, ..Answer::ok(good.clone()) }, bad),
        ("204", Answer::status(204), bad),
        ("301", Answer { status: 301, ..Answer::ok(good.clone()) }.header("location", "/elsewhere.json"), bad),
        ("302", Answer { status: 302, ..Answer::ok(good.clone()) }.header("location", "/elsewhere.json"), bad),
        ("307", Answer { status: 307, ..Answer::ok("") }.header("location", "/elsewhere.json"), bad),
        ("308", Answer { status: 308, ..Answer::ok("") }.header("location", "/elsewhere.json"), bad),
        ("nothing", Answer::ok(""), bad),
        ("a page", Answer::ok("<html>Sign in</html>"), bad),
        ("an array", Answer::ok("[]"), bad),
        ("no keys", Answer::ok("{}"), bad),
        ("keys that are no array", Answer::ok(r#"{"keys":{}}"#), bad),
        ("an empty set", Answer::ok(r#"{"keys":[]}"#), bad),
        ("nothing usable", Answer::ok(format!(r#"{{"keys":[{symmetric}]}}"#)), bad),
        ("keys twice", Answer::ok(format!(r#"{},"keys":[]}}"#, &good[..good.len() - 1])), bad),
        ("a member twice", Answer::ok(good.replacen("\"kty\"", r#""kid":"a","kid":"b","kty""#, 1)), bad),
        ("half of it", Answer::ok(good[..good.len() / 2].to_owned()), bad),
        ("more behind", Answer::ok(format!("{good}{good}")), bad),
        ("deep", Answer::ok(format!(r#"{{"x":{}1{},"keys":[]}}"#, "[".repeat(50_000), "]".repeat(50_000))), bad),
        ("one byte too much", Answer::ok(padded(limit + 1)), bad),
        ("endless", Answer { endless: true, ..Answer::ok(good.clone()) }, bad),
        ("all that is allowed", Answer::ok(padded(limit)), fine),
        ("another media type", Answer::ok(good.clone()).header("content-type", "text/plain"), fine),
        ("unknown members", Answer::ok(good.replacen('{', r#"{"x":[1],"#, 1)), fine),
        ("a symmetric key before", Answer::ok(good.replacen("[{", &format!("[{symmetric},{{"), 1)), fine),
        (
            "odd keys behind",
            Answer::ok(format!(
                r#"{good_keys},7,null,[],{{}},{{"kty":"RSA","n":"AQAB","e":"AQAB"}},{{"kty":"XX"}},{{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}}]}}"#
            )),
            fine,
        ),
    ];
    for (name, answer, taken) in cases {
        let time = Time::new();
        let jwks = Jwks::up(answer).await;
        let mut world = world(&jwks, &time).await;
        if taken {
            assert_good(&mut world, &token(&key), name).await;
        } else {
            let retry_after = assert_unavailable(&mut world, &token(&key), name).await;
            jwks.now(Answer::keys(&key));
            time.pass(retry_after);
            assert_good(&mut world, &token(&key), &format!("{name}, mended")).await;
        }
        assert_eq!(jwks.strays.load(SeqCst), 0, "{name}: a redirect was followed");
    }
}

#[tokio::test]
async fn more_than_a_hundred_keys_are_not_read() {
    let (key, time) = (issuer(), Time::new());
    let own: Value = serde_json::from_str(&key.key.published_keys().to_json()).unwrap();
    let filler = |n: usize| changed(own["keys"][0].clone(), json!({ "kid": format!("filler-{n}") }));
    for (before, found) in [(99, true), (100, false), (300, false)] {
        let keys: Vec<Value> = (0..before).map(filler).chain([own["keys"][0].clone()]).collect();
        let jwks = Jwks::up(Answer::ok(json!({ "keys": keys }).to_string())).await;
        let mut world = world(&jwks, &time).await;
        let (reply, _) = exchange(&mut world, &token(&key)).await;
        assert_eq!(reply.status == StatusCode::OK, found, "{before} before it: {}", reply.text);
    }
}

#[tokio::test]
async fn nobody_is_asked_for_keys_on_behalf_of_a_stranger() {
    let (key, rival_key, time) = (issuer(), Minter::new(RIVAL, Algorithm::ES256), Time::new());
    let rival_key = Minter { key: rival_key.key.with_key_id(key.key.key_id()), ..rival_key };
    let (jwks, rival_jwks) = (Jwks::up(Answer::keys(&key)).await, Jwks::up(Answer::keys(&rival_key)).await);
    let mut world = timed(plan(), &time)
        .with(|builder| {
            builder.issuers([remote(REMOTE, jwks.url()), remote(RIVAL, rival_jwks.url())]).fetch(loopback())
        })
        .start()
        .await;

    // No client, no rights, no known issuer: no fetch.
    let token_of_remote = token(&key);
    let wrong_secret = world.post(Some(&basic("orders", "guess")), encode(&form(&token_of_remote))).await;
    assert_eq!(wrong_secret.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.reason().await, Some(Reason::ClientRejected));
    let mut elsewhere = form(&token_of_remote);
    elsewhere[3] = ("audience", "ledger");
    assert_eq!(world.post_as("orders", &elsewhere).await.error(), "invalid_target");
    assert_eq!(world.reason().await, Some(Reason::TargetNotAllowed));
    let stranger = Minter { iss: "https://stranger.example", ..key.clone() };
    assert_refused(&mut world, &token(&stranger), Reason::TokenIssuerUnknown, "a stranger").await;
    let mut as_access_token = form(&token_of_remote);
    as_access_token[2] = ("subject_token_type", ACCESS_TOKEN);
    assert_eq!(world.post_as("orders", &as_access_token).await.error(), "invalid_request");
    assert_eq!(world.reason().await, Some(Reason::TokenTypeConfused));
    assert_eq!((jwks.hits(), rival_jwks.hits()), (0, 0));

    // Keys are an issuer's own, whatever they are called.
    let in_the_name_of_remote = Minter { iss: REMOTE, ..rival_key.clone() };
    let in_the_name_of_rival = Minter { iss: RIVAL, ..key.clone() };
    assert_good(&mut world, &token(&key), "its own").await;
    assert_eq!((jwks.hits(), rival_jwks.hits()), (1, 0), "only the issuer that the token names is asked");
    for _ in 0..2 {
        assert_refused(&mut world, &token(&in_the_name_of_remote), Reason::TokenSignatureInvalid, "rival's").await;
        assert_refused(&mut world, &token(&in_the_name_of_rival), Reason::TokenSignatureInvalid, "remote's").await;
        assert_good(&mut world, &token(&rival_key), "the rival's own").await;
    }
    let idp = world.idp.clone();
    let in_the_name_of_idp = Minter { iss: IDP, ..key.clone() };
    assert_refused(&mut world, &token(&in_the_name_of_idp), Reason::TokenKeyUnknown, "another issuer's").await;
    let idp_as_remote = Minter { iss: REMOTE, ..idp };
    assert_refused(&mut world, &token(&idp_as_remote), Reason::TokenKeyUnknown, "an issuer with fixed keys").await;
    // Neither are ours: a client cannot have us vouch for a stranger, nor a stranger for us.
    let own_as_remote = Minter { iss: REMOTE, ..world.own.clone() };
    assert_refused(&mut world, &token(&own_as_remote), Reason::TokenKeyUnknown, "our key").await;
    let remote_as_own = Minter { iss: AS, ..key.clone() }.access_token(json!({}));
    assert_eq!(world.exchange(&remote_as_own).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.reason().await, Some(Reason::TokenKeyUnknown));
}

#[tokio::test]
async fn the_default_client_does_not_reach_into_this_machine() {
    let key = issuer();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for url in [
        format!("http://127.0.0.1:{port}/jwks.json"),
        format!("https://127.0.0.1:{port}/jwks.json"),
        format!("https://localhost:{port}/jwks.json"),
        format!("https://[::1]:{port}/jwks.json"),
        format!("https://[::ffff:127.0.0.1]:{port}/jwks.json"),
        format!("https://2130706433:{port}/jwks.json"),
        format!("https://0.0.0.0:{port}/jwks.json"),
    ] {
        let given = plan().with(|builder| builder.issuers([remote(REMOTE, &url)]).fetch(HttpFetch::new()));
        let unasked = plan().with(|builder| builder.issuers([remote(REMOTE, &url)])).builder.build();
        assert_eq!(unasked.is_ok(), url.starts_with("https:"), "{url}: plain http needs a fetch that permits it");
        let mut world = given.start().await;
        assert_unavailable(&mut world, &token(&key), &url).await;
        assert!(listener.accept().now_or_never().is_none(), "{url}: connected");
    }
}

/// The layer around a service that nobody reaches, without a network.
async fn post(layer: &TokenExchangeLayer, subject: &str) -> (StatusCode, Option<String>, Value) {
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

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Error,
    PanicsInCall,
    PanicsInFuture,
    Hangs,
    HangsBeforeCall,
}

const FAULTS: [Fault; 5] =
    [Fault::Error, Fault::PanicsInCall, Fault::PanicsInFuture, Fault::Hangs, Fault::HangsBeforeCall];

/// A fetch that is at fault as long as it is told to be.
#[derive(Clone)]
struct Faulty {
    fault: Arc<Mutex<Option<Fault>>>,
    keys: String,
}

impl tower::Service<Request<Bytes>> for Faulty {
    type Response = http::Response<Bytes>;
    type Error = io::Error;
    type Future = futures_util::future::BoxFuture<'static, io::Result<http::Response<Bytes>>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<io::Result<()>> {
        match *self.fault.lock().unwrap() {
            Some(Fault::HangsBeforeCall) => std::task::Poll::Pending,
            _ => std::task::Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, _: Request<Bytes>) -> Self::Future {
        let fault = *self.fault.lock().unwrap();
        if fault == Some(Fault::PanicsInCall) {
            panic!("in call");
        }
        let keys = self.keys.clone();
        Box::pin(async move {
            match fault {
                None => Ok(http::Response::new(keys.into())),
                Some(Fault::Error) => Err(io::Error::other("no route to the vault at 10.0.0.7")),
                Some(Fault::Hangs) => std::future::pending().await,
                Some(_) => panic!("in the future"),
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_fails_in_any_way_is_an_outage_of_one_issuer() {
    for fault in FAULTS {
        let (key, time) = (issuer(), Time::new());
        let switch = Arc::new(Mutex::new(Some(fault)));
        let fetch = Faulty { fault: Arc::clone(&switch), keys: key.key.published_keys().to_json() };
        fn assert_plug(_: &impl Plug<Request<Bytes>, http::Response<Bytes>>) {}
        assert_plug(&fetch);
        let plan = timed(plan(), &time)
            .with(|builder| builder.issuers([remote(REMOTE, "https://remote.example/jwks.json")]).fetch(fetch));
        let (idp, builder) = (plan.idp, plan.builder);
        let layer = builder.build().unwrap();
        let started = tokio::time::Instant::now();
        let (status, retry_after, body) = post(&layer, &token(&key)).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{fault:?}: {body}");
        assert_eq!(body["error"], "temporarily_unavailable", "{fault:?}");
        assert!(!body.to_string().contains("vault"), "{fault:?}: {body}");
        assert!(started.elapsed() < Duration::from_secs(10), "{fault:?}: the fetch has a time limit of its own");
        let retry_after = retry_after.expect("Retry-After").parse().unwrap();
        assert_eq!(post(&layer, &idp.foreign(json!({}))).await.0, StatusCode::OK, "{fault:?}: another issuer");

        // It is mended by itself, and the set outlives the next fault.
        *switch.lock().unwrap() = None;
        time.pass(retry_after);
        assert_eq!(post(&layer, &token(&key)).await.0, StatusCode::OK, "{fault:?}, mended");
        *switch.lock().unwrap() = Some(fault);
        time.pass(700);
        let (status, _, body) = post(&layer, &token(&key)).await;
        assert_eq!(status, StatusCode::OK, "{fault:?}, stale: {body}");
        time.pass(DAY);
        assert_eq!(post(&layer, &token(&key)).await.0, StatusCode::SERVICE_UNAVAILABLE, "{fault:?}, too old");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fetch_goes_on_when_those_who_waited_have_gone() {
    let (key, calls) = (issuer(), Arc::new(AtomicUsize::new(0)));
    let (count, keys) = (Arc::clone(&calls), key.key.published_keys().to_json());
    let slow = service_fn(move |_: Request<Bytes>| {
        count.fetch_add(1, SeqCst);
        let keys = keys.clone();
        async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            Ok::<_, Infallible>(http::Response::new(Bytes::from(keys)))
        }
    });
    let plan = plan().with(|builder| builder.issuers([remote(REMOTE, "https://remote.example/jwks.json")]).fetch(slow));
    let layer = plan.builder.build().unwrap();
    let token = token(&key);
    let impatient = tokio::time::timeout(Duration::from_secs(1), post(&layer, &token)).await;
    assert!(impatient.is_err(), "it left before the keys came");
    assert_eq!(post(&layer, &token).await.0, StatusCode::OK);
    assert_eq!(calls.load(SeqCst), 1);
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_keep_a_set_for_ever() {
    let (old, new) = (issuer(), issuer());
    // The machine came up weeks ahead, and its clock was put right after the first fetch.
    let time = Time::new();
    time.pass(50 * DAY);
    let jwks = Jwks::up(Answer::keys(&old)).await;
    let mut world = world(&jwks, &time).await;
    assert_good(&mut world, &token(&old), "fetched").await;
    time.0.store(NOW, SeqCst);
    jwks.now(Answer::keys(&new));
    assert_good(&mut world, &token(&new), "the new key is found").await;
    assert_refused(&mut world, &token(&old), Reason::TokenKeyUnknown, "and the old one gone").await;
}
