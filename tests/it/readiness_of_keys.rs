//! The readiness report shows the state of the keys of every issuer. A report does not wait, and starts the fetches that make
//! a new server ready.

use crate::jwks::*;
use crate::support::*;
use bytes::Bytes;
use futures_util::{FutureExt, future::join_all};
use http::Request;
use serde_json::json;
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{sync::Semaphore, time::Instant};
use tower::service_fn;
use tower_token_exchange::{
    Issuer, TokenExchangeLayer,
    jwks::{KeyState, Readiness},
    plug::Plug,
    signing::{Algorithm, Signature, Signer, SigningRequest},
};

const ELSEWHERE: &str = "https://remote.example/jwks.json";

/// Returns a layer with a remote issuer and without a network.
fn layer(fetch: impl Plug<Request<Bytes>, http::Response<Bytes>>) -> TokenExchangeLayer {
    plan().with(|builder| builder.issuers([remote(REMOTE, ELSEWHERE)]).http(fetch)).builder.build().unwrap()
}

#[tokio::test]
async fn every_state_is_reported_with_its_numbers() {
    let (old, new, time) = (issuer(), issuer(), Time::new());
    let jwks = Jwks::up(Answer::both(&old, &new)).await;
    let mut world = world(&jwks, &time).await;
    let layer = world.layer.clone();
    let told = move || serde_json::to_value(layer.readiness()).unwrap();
    let fixed = |issuer| json!({ "issuer": issuer, "state": "fixed", "keys": 1, "age_seconds": null, "fetches": 0, "failures": 0, "last_problem": null });
    let remote = |state, keys, age: Option<u64>, fetches, failures, problem: Option<String>| {
        let remote = json!({ "issuer": REMOTE, "state": state, "keys": keys, "age_seconds": age, "fetches": fetches, "failures": failures, "last_problem": problem });
        json!({ "issuers": [fixed(AS), fixed(IDP), remote] })
    };
    assert_good(&mut world, &token(&new), "loaded").await;
    assert_eq!(told(), remote("fresh", 2, Some(0), 1, 0, None));
    time.pass(599);
    assert_eq!(told(), remote("fresh", 2, Some(599), 1, 0, None));
    time.pass(1);
    assert_eq!(told(), remote("stale", 2, Some(600), 1, 0, None), "a probe fetches only what is missing");
    jwks.now(Answer::status(500));
    assert_good(&mut world, &token(&new), "stale").await;
    let problem = Some(format!("{}: status 500", jwks.url()));
    time.pass(3599);
    assert_eq!(told(), remote("stale", 2, Some(4199), 2, 1, problem.clone()));
    assert!(world.layer.readiness().is_ready());
    time.pass(1);
    assert_eq!(told(), remote("missing", 0, None, 3, 1, problem.clone()), "and fetched in the background");
    assert!(!world.layer.readiness().is_ready());
    until(|| key_report(&world).failures == 2).await;
    assert_eq!(told(), remote("missing", 0, None, 3, 2, problem));
    assert_eq!(jwks.hits(), 3);
    for (state, name) in [
        (KeyState::Fixed, "fixed"),
        (KeyState::Fresh, "fresh"),
        (KeyState::Stale, "stale"),
        (KeyState::Missing, "missing"),
    ] {
        assert_eq!((state.as_str(), serde_json::to_value(state).unwrap()), (name, json!(name)));
    }
}

#[tokio::test]
async fn a_probe_starts_fetches_and_does_not_wait() {
    let (key, time, gate) = (issuer(), Time::new(), Arc::new(Semaphore::new(0)));
    let jwks = Jwks::up(Answer::keys(&key).behind(&gate)).await;
    let world = world(&jwks, &time).await;
    for _ in 0..100 {
        assert!(!world.layer.readiness().is_ready());
    }
    until(|| jwks.hits() == 1).await;
    assert_eq!(fetches(&world), 1, "100 probes in one instant");
    gate.add_permits(1);
    until(|| world.layer.readiness().is_ready()).await;
    assert_eq!((jwks.hits(), fetches(&world)), (1, 1));
}

#[tokio::test]
async fn probes_respect_the_back_off() {
    let (key, time) = (issuer(), Time::new());
    let jwks = Jwks::up(Answer::status(500)).await;
    let world = world(&jwks, &time).await;
    for failures in 1..=4 {
        for _ in 0..20 {
            world.layer.readiness();
        }
        until(|| key_report(&world).failures == failures).await;
        for _ in 0..20 {
            assert!(!world.layer.load_keys().await.is_ready(), "in the back-off there is nothing to wait for");
        }
        assert_eq!((jwks.hits() as u64, fetches(&world)), (failures, failures));
        time.pass(60);
    }
    jwks.now(Answer::keys(&key));
    assert!(world.layer.load_keys().await.is_ready());
    assert_eq!((jwks.hits(), fetches(&world)), (5, 5));
}

#[test]
fn a_probe_outside_of_a_runtime_only_reports() {
    let layer =
        layer(service_fn(|_: Request<Bytes>| async { Err::<http::Response<Bytes>, _>("there is nothing to run it") }));
    let readiness = layer.readiness();
    assert!(!readiness.is_ready());
    assert_eq!((key_report_of(&layer).state, key_report_of(&layer).fetches), (KeyState::Missing, 0));
}

#[tokio::test]
async fn keys_can_be_loaded_before_the_first_request() {
    let (key, other, time) = (issuer(), Minter { iss: "https://other.example", ..issuer() }, Time::new());
    let (jwks, other_jwks) = (Jwks::up(Answer::keys(&key)).await, Jwks::up(Answer::keys(&other)).await);
    let mut world = timed(plan(), &time)
        .with(|builder| {
            builder.issuers([remote(REMOTE, jwks.url()), remote(other.iss, other_jwks.url())]).http(loopback())
        })
        .start()
        .await;
    other_jwks.now(Answer::status(503));
    let all = join_all((0..20).map(|_| world.layer.load_keys())).await;
    assert!(all.iter().all(|readiness| *readiness == all[0]), "all wait for the same fetch");
    let states = |readiness: &Readiness| readiness.issuers.iter().map(|issuer| issuer.state).collect::<Vec<_>>();
    // The issuers are in the order of their identifiers.
    assert_eq!(states(&all[0]), [KeyState::Fixed, KeyState::Fixed, KeyState::Missing, KeyState::Fresh]);
    assert!(!all[0].is_ready());
    other_jwks.now(Answer::keys(&other));
    time.pass(1);
    assert!(world.layer.load_keys().await.is_ready());
    assert_eq!((jwks.hits(), other_jwks.hits()), (1, 2), "only what was missing");
    assert_good(&mut world, &token(&key), "loaded").await;
    assert_good(&mut world, &token(&other), "loaded").await;
    assert_eq!((jwks.hits(), other_jwks.hits()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn loading_ends_after_the_timeout() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let layer = layer(service_fn(move |_: Request<Bytes>| {
        count.fetch_add(1, SeqCst);
        std::future::pending::<Result<http::Response<Bytes>, Infallible>>()
    }));
    let started = Instant::now();
    assert!(!layer.load_keys().await.is_ready());
    assert_eq!(started.elapsed(), Duration::from_secs(5), "on tokio's clock, which is paused");
    assert_eq!(calls.load(SeqCst), 1);
    assert_eq!(key_report_of(&layer).last_problem.unwrap(), format!("{ELSEWHERE}: no answer within 5 s"));
}

#[tokio::test(start_paused = true)]
async fn discovery_and_key_set_share_the_timeout() {
    let slow = service_fn(|request: Request<Bytes>| async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let body = json!({ "issuer": REMOTE, "jwks_uri": ELSEWHERE }).to_string();
        assert_ne!(request.uri().path(), "/.well-known/oauth-authorization-server");
        Ok::<_, Infallible>(http::Response::new(Bytes::from(body)))
    });
    let plan = plan().with(|builder| builder.issuers([record(REMOTE).discovery()]).http(slow));
    let layer = plan.builder.build().unwrap();
    let started = Instant::now();
    assert!(!layer.load_keys().await.is_ready());
    assert_eq!(started.elapsed(), Duration::from_secs(5), "on tokio's clock, which is paused");
    assert_eq!(key_report_of(&layer).last_problem.unwrap(), format!("{ELSEWHERE}: no answer within 5 s"));
}

#[tokio::test]
async fn the_report_leaves_out_issuers_without_keys() {
    let elsewhere = service_fn(|_: SigningRequest| async { Err::<Signature, _>("nobody asks") });
    let signer = Signer::unchecked(key_id("own"), Algorithm::ES256, elsewhere);
    let layer = plan().with(|builder| builder.signer(signer)).builder.build().unwrap();
    let names: Vec<_> = layer.readiness().issuers.into_iter().map(|issuer| issuer.issuer).collect();
    assert_eq!(names, [IDP], "our own has no keys that anybody knows");

    let legacy = Minter::new(AS, Algorithm::ES256).key.published_keys().to_json();
    let fetch = service_fn(move |_: Request<Bytes>| {
        let keys = legacy.clone();
        async { Ok::<_, Infallible>(http::Response::new(Bytes::from(keys))) }
    });
    let plan = plan().with(|builder| builder.issuers([Issuer::new(AS).jwks_uri(ELSEWHERE)]).http(fetch));
    let layer = plan.builder.build().unwrap();
    let own = |readiness: Readiness| {
        let own = readiness.issuers.into_iter().find(|issuer| issuer.issuer == AS).unwrap();
        (own.state, own.keys)
    };
    assert_eq!(own(layer.readiness()), (KeyState::Missing, 1), "the signer's key serves already");
    assert_eq!(own(layer.load_keys().await), (KeyState::Fresh, 2));
}

#[tokio::test]
async fn fixed_keys_need_no_loading() {
    let layer = plan().builder.build().unwrap();
    let readiness = layer.load_keys().now_or_never().expect("nothing to wait for");
    assert!(readiness.is_ready() && readiness.issuers.iter().all(|issuer| issuer.state == KeyState::Fixed));
}
