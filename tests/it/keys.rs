//! Key sets at a URL are fetched when a request needs them, rarely and within bounds. The keys of one issuer verify no token
//! of another. An outage of a key set is a 503 that ends without a restart.

use crate::jwks::*;
use crate::support::*;
use bytes::Bytes;
use futures_util::{FutureExt, future::join_all};
use http::{Request, StatusCode, header};
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tower::service_fn;
use tower_token_exchange::{Reason, fetch::HttpFetch, jwks::KeyState, plug::Plug, signing::Algorithm};

const RIVAL: &str = "https://rival.example";

#[tokio::test]
async fn an_endpoint_that_was_down_needs_no_restart() {
    let (key, time) = (issuer(), Time::new());
    let jwks = Jwks::down(Answer::keys(&key)).await;
    let mut world = world(&jwks, &time).await;
    let retry_after = assert_unavailable(&mut world, &token(&key), "down").await;
    assert!((1..=60).contains(&retry_after), "{retry_after}");
    // The outage affects this issuer only.
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
async fn one_fetch_serves_everybody_who_waits() {
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
async fn waiting_requests_share_a_failing_fetch() {
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
async fn only_a_rotated_key_leads_to_a_fetch() {
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
            assert_refused(
                &mut world,
                &token_with_kid(&new, &format!("random-{n}")),
                Reason::TokenKeyUnknown,
                "random",
            )
            .await;
        }
        assert_eq!(jwks.hits(), 1 + round, "at most one fetch in a cool-down");
        time.pass(61);
    }
    let floods: Vec<String> = (0..30).map(|n| token_with_kid(&new, &format!("flood-{n}"))).collect();
    let forms: Vec<_> = floods.iter().map(|token| form(token)).collect();
    for reply in join_all(forms.iter().map(|form| world.post_as("orders", form))).await {
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.text);
    }
    for _ in &floods {
        assert_eq!(world.reason().await, Some(Reason::TokenKeyUnknown));
    }
    assert_eq!(jwks.hits(), 5, "all at once too");

    // A bad signature with a known key id leads to no fetch, and neither does a token without a possible key.
    time.pass(61);
    let forged = token_with_kid(&issuer(), new.key.key_id().as_str());
    assert_refused(&mut world, &forged, Reason::TokenSignatureInvalid, "forged").await;
    let unsigned = new.sign(&json!({ "alg": "none" }), &segment(&token(&new), 1));
    assert_refused(&mut world, &unsigned, Reason::TokenAlgorithmRefused, "unsigned").await;
    assert_refused(&mut world, "x.y.z", Reason::TokenMalformed, "malformed").await;
    assert_eq!(jwks.hits(), 5);

    // A key that was rotated out is not in the next key set.
    jwks.now(Answer::keys(&new));
    assert_refused(&mut world, &token_with_kid(&new, "random"), Reason::TokenKeyUnknown, "random").await;
    assert_eq!(jwks.hits(), 6);
    assert_refused(&mut world, &token(&old), Reason::TokenKeyUnknown, "rotated out").await;
    assert_good(&mut world, &token(&new), "the new one").await;
    assert_eq!(jwks.hits(), 6);
}

#[tokio::test]
async fn a_stale_key_set_serves_for_one_hour() {
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
    // An unknown key may be a new key, so the result is an outage or a refusal. No token is issued.
    let (reply, reason) = exchange(&mut world, &token_with_kid(&key, "random")).await;
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
async fn the_response_decides_the_lifetime_within_bounds() {
    for (cache_control, age, fresh_for) in [
        (None, None, 600),
        (Some("max-age=120"), None, 120),
        (Some("public, max-age=120, must-revalidate"), None, 120),
        (Some("max-age=3600"), None, 3600),
        (Some("max-age=\"3600\""), None, 3600),
        (Some("max-age=0"), None, 60),
        (Some("max-age=1"), None, 60),
        (Some("no-store"), None, 60),
        (Some("no-cache, max-age=3600"), None, 60),
        (Some("max-age=31536000"), None, DAY),
        // A number that is too large counts as a very large number (RFC 9111 section 1.2.2).
        (Some("max-age=99999999999999999999999"), None, DAY),
        (Some("max-age=soon"), None, 600),
        (Some("no-transform"), None, 600),
        // The names of directives are compared without case (RFC 9111 section 5.2).
        (Some("Public, Max-Age=120"), None, 120),
        (Some("max-age=3600"), Some("600"), 3000),
        (Some("max-age=3600"), Some("3600"), 60),
        (None, Some("100"), 500),
    ] {
        let (key, time) = (issuer(), Time::new());
        let mut answer = Answer::keys(&key);
        for (name, value) in [("cache-control", cache_control), ("age", age)] {
            answer = value.map(|value| answer.clone().header(name, value)).unwrap_or(answer);
        }
        let jwks = Jwks::up(answer).await;
        let mut world = world(&jwks, &time).await;
        let case = format!("{cache_control:?}, age {age:?}");
        assert_good(&mut world, &token(&key), "first").await;
        time.pass(fresh_for * 4 / 5 - 1);
        assert_good(&mut world, &token(&key), "fresh").await;
        assert_eq!(fetches(&world), 1, "{case}: not before four fifths of {fresh_for} s");
        time.pass(1);
        assert_good(&mut world, &token(&key), "fetched ahead").await;
        assert_eq!(fetches(&world), 2, "{case}: at four fifths of {fresh_for} s");
        until(|| key_report(&world).age == Some(Duration::ZERO)).await;
        time.pass(fresh_for);
        assert_good(&mut world, &token(&key), "fetched anew").await;
        assert_eq!((fetches(&world), jwks.hits()), (3, 3), "{case}: after {fresh_for} s");
    }
}

#[tokio::test]
async fn a_wrong_document_is_an_outage_until_fixed() {
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
        assert_eq!(jwks.requests_for_unknown_paths(), 0, "{name}: a redirect was followed");
    }
}

#[tokio::test]
async fn at_most_a_hundred_keys_are_used() {
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
async fn an_unauthenticated_request_fetches_no_keys() {
    let (key, rival_key, time) = (issuer(), Minter::new(RIVAL, Algorithm::ES256), Time::new());
    let rival_key = Minter { key: rival_key.key.with_key_id(key.key.key_id().clone()), ..rival_key };
    let (jwks, rival_jwks) = (Jwks::up(Answer::keys(&key)).await, Jwks::up(Answer::keys(&rival_key)).await);
    let mut world = timed(plan(), &time)
        .with(|builder| builder.issuers([remote(REMOTE, jwks.url()), remote(RIVAL, rival_jwks.url())]).http(loopback()))
        .start()
        .await;

    // A request without a client, without the right to exchange or with an unknown issuer leads to no fetch.
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
    assert_eq!(world.reason().await, Some(Reason::TokenTypeNotAccepted));
    assert_eq!((jwks.hits(), rival_jwks.hits()), (0, 0));

    // A key belongs to one issuer, also if another issuer has a key with the same key id.
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
    // The same holds for the keys of this authorization server.
    let own_as_remote = Minter { iss: REMOTE, ..world.own.clone() };
    assert_refused(&mut world, &token(&own_as_remote), Reason::TokenKeyUnknown, "our key").await;
    let remote_as_own = Minter { iss: AS, ..key.clone() }.access_token(json!({}));
    assert_eq!(world.exchange(&remote_as_own).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.reason().await, Some(Reason::TokenKeyUnknown));
}

#[tokio::test]
async fn the_default_client_refuses_loopback_addresses() {
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
        let given = plan().with(|builder| builder.issuers([remote(REMOTE, &url)]).http(HttpFetch::new()));
        let unasked = plan().with(|builder| builder.issuers([remote(REMOTE, &url)])).builder.build();
        assert_eq!(unasked.is_ok(), url.starts_with("https:"), "{url}: plain http needs a fetch that permits it");
        let mut world = given.start().await;
        assert_unavailable(&mut world, &token(&key), &url).await;
        assert!(listener.accept().now_or_never().is_none(), "{url}: connected");
    }
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

/// An HTTP service that fails in a given way.
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
async fn a_failed_fetch_affects_one_issuer_only() {
    for fault in FAULTS {
        let (key, time) = (issuer(), Time::new());
        let switch = Arc::new(Mutex::new(Some(fault)));
        let fetch = Faulty { fault: Arc::clone(&switch), keys: key.key.published_keys().to_json() };
        fn assert_plug(_: &impl Plug<Request<Bytes>, http::Response<Bytes>>) {}
        assert_plug(&fetch);
        let plan = timed(plan(), &time)
            .with(|builder| builder.issuers([remote(REMOTE, "https://remote.example/jwks.json")]).http(fetch));
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

        // The outage ends without a restart, and the key set survives the next failure.
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
async fn a_fetch_outlives_the_requests_that_wait() {
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
    let plan = plan().with(|builder| builder.issuers([remote(REMOTE, "https://remote.example/jwks.json")]).http(slow));
    let layer = plan.builder.build().unwrap();
    let token = token(&key);
    let impatient = tokio::time::timeout(Duration::from_secs(1), post(&layer, &token)).await;
    assert!(impatient.is_err(), "it left before the keys came");
    assert_eq!(post(&layer, &token).await.0, StatusCode::OK);
    assert_eq!(calls.load(SeqCst), 1);
}

#[tokio::test]
async fn a_clock_set_back_ends_the_lifetime() {
    let (old, new) = (issuer(), issuer());
    // The clock of the host was weeks ahead at the start, and was corrected after the first fetch.
    let time = Time::new();
    time.pass(50 * DAY);
    let jwks = Jwks::up(Answer::keys(&old)).await;
    let mut world = world(&jwks, &time).await;
    assert_good(&mut world, &token(&old), "fetched").await;
    time.set(NOW);
    jwks.now(Answer::keys(&new));
    assert_good(&mut world, &token(&new), "the new key is found").await;
    assert_refused(&mut world, &token(&old), Reason::TokenKeyUnknown, "and the old one gone").await;
}

#[tokio::test]
async fn a_clock_set_back_ends_stale_use_too() {
    let (key, time) = (issuer(), Time::new());
    time.pass(50 * DAY);
    let jwks = Jwks::up(Answer::keys(&key)).await;
    let mut world = world(&jwks, &time).await;
    assert_good(&mut world, &token(&key), "fetched").await;
    time.set(NOW);
    jwks.now(Answer::status(500));
    assert_good(&mut world, &token(&key), "stale").await;
    time.pass(60 * 60 - 1);
    assert_good(&mut world, &token(&key), "stale for an hour").await;
    time.pass(1);
    assert_unavailable(&mut world, &token(&key), "and no longer").await;
}

#[tokio::test]
async fn ageing_key_sets_are_refreshed_in_the_background() {
    let (key, time, gate) = (issuer(), Time::new(), Arc::new(Semaphore::new(0)));
    let jwks = Jwks::up(Answer::keys(&key)).await;
    let mut world = world(&jwks, &time).await;
    assert_good(&mut world, &token(&key), "at first").await;
    jwks.now(Answer::keys(&key).behind(&gate));
    time.pass(480);
    for _ in 0..10 {
        assert_good(&mut world, &token(&key), "served with the set in hand").await;
    }
    until(|| jwks.hits() == 2).await;
    assert_eq!((fetches(&world), key_report(&world).age), (2, Some(Duration::from_secs(480))), "under way");
    gate.add_permits(1);
    until(|| key_report(&world).age == Some(Duration::ZERO)).await;
    time.pass(479);
    assert_good(&mut world, &token(&key), "fresh again").await;
    assert_eq!(fetches(&world), 2);

    // A failed refresh does not matter while the key set is fresh, and the back-off limits the repetitions.
    jwks.now(Answer::status(500));
    time.pass(1);
    assert_good(&mut world, &token(&key), "in hand").await;
    until(|| key_report(&world).failures == 1).await;
    for _ in 0..10 {
        assert_good(&mut world, &token(&key), "still in hand").await;
    }
    assert_eq!((fetches(&world), key_report(&world).state), (3, KeyState::Fresh));
}

#[tokio::test]
async fn sq_01_a_bundle_is_fetched_again_by_its_hint() {
    for (hint, expected) in [(json!(100), 2), (json!(1), 2), (json!(100_000), 1), (json!("100"), 1), (json!(null), 1)] {
        let (key, time) = (issuer(), Time::new());
        let mut bundle: Value = serde_json::from_str(&key.key.published_keys().to_json()).unwrap();
        bundle["spiffe_refresh_hint"] = hint.clone();
        let answer = Answer::ok(bundle.to_string()).header("cache-control", "max-age=3600");
        let jwks = Jwks::up(answer).await;
        let mut world = world(&jwks, &time).await;
        assert_good(&mut world, &token(&key), "at first").await;
        // A new set is fetched in the background after four fifths of the time.
        time.pass(47);
        assert_good(&mut world, &token(&key), "before").await;
        assert_eq!(jwks.hits(), 1, "{hint}");
        time.pass(33);
        assert_good(&mut world, &token(&key), "after").await;
        until(|| fetches(&world) == expected).await;
    }
}

#[tokio::test]
async fn a_failing_endpoint_is_asked_less_often() {
    let (key, time) = (issuer(), Time::new());
    let jwks = Jwks::up(Answer::status(500)).await;
    let mut world = world(&jwks, &time).await;
    assert_unavailable(&mut world, &token(&key), "the first").await;
    let mut asked = 1;
    for longest in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        let too_early = (longest / 2_u64).saturating_sub(1);
        time.pass(too_early);
        assert_unavailable(&mut world, &token(&key), "too early").await;
        assert_unavailable(&mut world, &token_with_kid(&key, "random"), "too early for an unknown key").await;
        assert_eq!(jwks.hits(), asked, "{too_early} s after failure {asked}");
        time.pass(longest - too_early);
        assert_unavailable(&mut world, &token(&key), "late enough").await;
        asked += 1;
        assert_eq!(jwks.hits(), asked, "{longest} s after the failure before it");
    }
    assert_eq!((key_report(&world).fetches, key_report(&world).failures), (10, 10));

    jwks.now(Answer::keys(&key));
    time.pass(60);
    assert_good(&mut world, &token(&key), "back").await;
    assert_eq!((key_report(&world).failures, key_report(&world).last_problem), (10, None));
    jwks.now(Answer::status(500));
    time.pass(2 * DAY);
    assert_unavailable(&mut world, &token(&key), "down again").await;
    time.pass(1);
    assert_unavailable(&mut world, &token(&key), "it begins anew").await;
    assert_eq!(jwks.hits(), 13);
}

#[tokio::test]
async fn the_audit_event_names_the_problem() {
    let key = issuer();
    for (answer, cause) in [
        (Answer::status(500), "/jwks.json: status 500"),
        (Answer::status(404), "/jwks.json: status 404"),
        (Answer::status(302).header("location", "/x"), "/jwks.json: status 302"),
        (Answer::ok(r#"{"keys":[]}"#), "/jwks.json: no usable key in the set"),
        (Answer::ok("[]"), "without duplicate members (RFC 7517 section 5)"),
        (Answer { endless: true, ..Answer::ok("{}") }, "is larger than 262144 bytes"),
    ] {
        let time = Time::new();
        let jwks = Jwks::up(answer).await;
        let mut world = world(&jwks, &time).await;
        assert_unavailable_because(&mut world, &token(&key), cause, cause).await;
        // The next request starts no fetch, and its event names the problem too.
        assert_unavailable_because(&mut world, &token(&key), cause, "in the back-off").await;
        let problem = key_report(&world).last_problem.unwrap();
        assert!(problem.starts_with(&jwks.url()) && problem.ends_with(cause), "{problem}");
        assert_eq!(jwks.hits(), 1);
        jwks.now(Answer::keys(&key));
        time.pass(1);
        assert_good(&mut world, &token(&key), "mended").await;
        assert_eq!(key_report(&world).last_problem, None);
    }
    let (jwks, time) = (Jwks::down(Answer::keys(&key)).await, Time::new());
    let mut world = world(&jwks, &time).await;
    assert_unavailable_because(&mut world, &token(&key), "could not connect to 127.0.0.1", "down").await;
}

#[tokio::test]
async fn a_fetch_error_cannot_forge_a_log_line() {
    let (key, text) = (issuer(), format!("\r\nsubject=root \u{202e}\u{1b}[2J{}", "x".repeat(10_000)));
    let broken = service_fn(move |_: Request<Bytes>| {
        let text = text.clone();
        async { Err::<http::Response<Bytes>, _>(io::Error::other(text)) }
    });
    let mut world = plan()
        .with(|builder| builder.issuers([remote(REMOTE, "https://remote.example/jwks.json")]).http(broken))
        .start()
        .await;
    world.post_as("orders", &form(&token(&key))).await;
    let detail = world.event().await.detail.unwrap();
    assert!(
        detail.starts_with(
            r"subject token: https://remote.example/jwks.json: \u{d}\u{a}subject=root \u{202e}\u{1b}[2Jxxx"
        )
    );
    assert!(detail.chars().count() < 400, "{detail}");
    assert_eq!(key_report(&world).last_problem.unwrap().chars().filter(|c| c.is_control()).count(), 0);
}

#[tokio::test]
async fn tokens_with_new_keys_wait_for_the_fetch() {
    let (old, new, time, gate) = (issuer(), issuer(), Time::new(), Arc::new(Semaphore::new(0)));
    let jwks = Jwks::up(Answer::keys(&old)).await;
    let mut world = world(&jwks, &time).await;
    assert_good(&mut world, &token(&old), "at first").await;

    jwks.now(Answer::both(&old, &new).behind(&gate));
    let token_of_new = token(&new);
    let form = form(&token_of_new);
    let burst = join_all((0..100).map(|_| world.post_as("orders", &form)));
    let let_go = async {
        until(|| jwks.hits() == 2).await;
        gate.add_permits(1);
    };
    for reply in futures_util::join!(burst, let_go).0 {
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    }
    for _ in 0..100 {
        assert_eq!(world.reason().await, None);
    }
    assert_eq!((jwks.hits(), fetches(&world)), (2, 2));
}

#[tokio::test]
async fn a_fetch_older_than_the_key_is_repeated() {
    let (old, new, time, gate) = (issuer(), issuer(), Time::new(), Arc::new(Semaphore::new(0)));
    let jwks = Jwks::up(Answer::keys(&old)).await;
    let mut world = world(&jwks, &time).await;
    assert_good(&mut world, &token(&old), "at first").await;
    jwks.now(Answer::keys(&old).behind(&gate));
    time.pass(480);
    assert_good(&mut world, &token(&old), "a fetch begins in the background").await;
    until(|| jwks.hits() == 2).await;

    jwks.now(Answer::both(&old, &new));
    let let_go = async {
        // The request joins the fetch or comes after the fetch, and is answered in both cases.
        tokio::task::yield_now().await;
        gate.add_permits(1);
    };
    let token_of_new = token(&new);
    let form = form(&token_of_new);
    let (reply, ()) = futures_util::join!(world.post_as("orders", &form), let_go);
    assert_eq!((reply.status, world.reason().await), (StatusCode::OK, None), "{}", reply.text);
    assert_eq!((jwks.hits(), fetches(&world)), (3, 3));
    // That was the one fetch that the cool-down allows.
    assert_refused(&mut world, &token_with_kid(&new, "random"), Reason::TokenKeyUnknown, "random").await;
    assert_eq!(jwks.hits(), 3);
}

#[test]
fn a_fetch_of_an_ended_runtime_is_repeated() {
    let (key, calls) = (issuer(), Arc::new(AtomicUsize::new(0)));
    let (count, keys) = (Arc::clone(&calls), key.key.published_keys().to_json());
    let hangs_at_first = service_fn(move |_: Request<Bytes>| {
        let (first, keys) = (count.fetch_add(1, SeqCst) == 0, keys.clone());
        async move {
            if first {
                std::future::pending::<()>().await;
            }
            Ok::<_, Infallible>(http::Response::new(Bytes::from(keys)))
        }
    });
    let plan = plan()
        .with(|builder| builder.issuers([remote(REMOTE, "https://remote.example/jwks.json")]).http(hangs_at_first));
    let layer = plan.builder.build().unwrap();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime().block_on(async {
        key_report_of(&layer);
        until(|| calls.load(SeqCst) == 1).await;
    });
    let (status, _, body) = runtime().block_on(post(&layer, &token(&key)));
    assert_eq!(status, StatusCode::OK, "{body}");
    let report = key_report_of(&layer);
    assert_eq!((report.fetches, report.failures, report.last_problem), (2, 1, None));
}
