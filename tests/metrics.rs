//! What is counted: every attempt once, under labels that nobody can make up.

#![cfg(feature = "metrics")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so")]

mod support;

use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};
use support::*;
use tower::service_fn;
use tower_token_exchange::{AuditEvent, Decision, Outcome, Query, Reason, Semantics};

const ATTEMPTS: &str = "token_exchange_attempts_total";
const DURATION: &str = "token_exchange_duration_seconds";

/// Everything that was recorded, in its order, and what was described.
#[derive(Clone, Default)]
struct Kept {
    records: Arc<Mutex<Vec<(Key, f64)>>>,
    described: Arc<Mutex<BTreeMap<String, Option<Unit>>>>,
}

struct Handle(Key, Kept);

impl Handle {
    fn keep(&self, value: f64) {
        self.1.records.lock().unwrap().push((self.0.clone(), value));
    }
}

impl CounterFn for Handle {
    fn increment(&self, value: u64) {
        self.keep(value as f64);
    }

    fn absolute(&self, value: u64) {
        panic!("set to {value}");
    }
}

impl HistogramFn for Handle {
    fn record(&self, value: f64) {
        self.keep(value);
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.described.lock().unwrap().insert(name.as_str().to_owned(), unit);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        panic!("a gauge: {name:?}");
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe_counter(name, unit, help);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(Handle(key.clone(), self.clone())))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        panic!("a gauge: {key}")
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Handle(key.clone(), self.clone())))
    }
}

impl Kept {
    /// Takes what was counted since: the labels of each attempt. Each was counted once and timed once.
    fn attempts(&self) -> Vec<BTreeMap<String, String>> {
        let records = std::mem::take(&mut *self.records.lock().unwrap());
        let labels = |key: &Key| -> BTreeMap<_, _> {
            key.labels().map(|label| (label.key().to_owned(), label.value().to_owned())).collect()
        };
        let of = |name: &str| records.iter().filter(|(key, _)| key.name() == name).collect::<Vec<_>>();
        let (counted, timed) = (of(ATTEMPTS), of(DURATION));
        assert_eq!(counted.len() + timed.len(), records.len(), "nothing else is recorded: {records:?}");
        assert_eq!(counted.len(), timed.len());
        for ((key, one), (timer, seconds)) in counted.iter().zip(&timed) {
            assert_eq!(*one, 1.0);
            assert!((0.0..60.0).contains(seconds), "{seconds} s");
            let outcome = labels(key).remove("outcome").unwrap();
            assert_eq!(labels(timer), BTreeMap::from([("outcome".to_owned(), outcome)]));
        }
        counted.iter().map(|(key, _)| labels(key)).collect()
    }
}

fn labels(outcome: &str, reason: &str, semantics: &str) -> BTreeMap<String, String> {
    [("outcome", outcome), ("reason", reason), ("semantics", semantics)].map(|(k, v)| (k.into(), v.into())).into()
}

#[tokio::test]
async fn every_attempt_is_counted_once_and_nothing_else() {
    let kept = Kept::default();
    let _guard = metrics::set_default_local_recorder(&kept);
    let world = plan().start().await;
    let described = kept.described.lock().unwrap().clone();
    let expected = [(ATTEMPTS, Some(Unit::Count)), (DURATION, Some(Unit::Seconds))];
    assert_eq!(described, expected.map(|(name, unit)| (name.to_owned(), unit)).into());

    let token = world.own.access_token(json!({}));
    world.exchange(&token).await;
    assert_eq!(kept.attempts(), [labels("issued", "none", "delegation")]);

    world.exchange(&world.own.access_token(json!({ "exp": NOW - 1 }))).await;
    assert_eq!(kept.attempts(), [labels("denied", "token_expired", "none")]);

    world.post(None, "x".repeat(2 * 1024 * 1024)).await;
    assert_eq!(kept.attempts(), [labels("denied", "body_too_large", "none")], "before it could be read");

    world.post(None, "grant_type=refresh_token").await;
    assert_eq!(kept.attempts(), [], "what the wrapped service answers is no attempt");
}

#[tokio::test]
async fn a_token_that_was_withheld_is_not_counted_as_issued() {
    let kept = Kept::default();
    let _guard = metrics::set_default_local_recorder(&kept);
    let full = service_fn(|_: AuditEvent| async { Err::<(), _>("full") });
    let (_, events) = tokio::sync::mpsc::unbounded_channel();
    let world = plan().start_with_audit(full, events).await;
    world.exchange(&world.own.access_token(json!({}))).await;
    assert_eq!(kept.attempts(), [labels("error", "audit_unavailable", "delegation")]);
    world.exchange("x.y.z").await;
    assert_eq!(kept.attempts(), [labels("denied", "token_malformed", "none")], "a refusal stays one");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_went_away_is_counted_too() {
    let kept = Kept::default();
    let _guard = metrics::set_default_local_recorder(&kept);
    let never = service_fn(|_: Query| std::future::pending::<Result<Decision, Infallible>>());
    let plan = plan().with(|builder| builder.policy(never));
    let body = encode(&exchange_form(&plan.own.access_token(json!({})), &[]));
    let layer = plan.builder.build().unwrap();
    let wrapped = service_fn(|request: http::Request<axum::body::Body>| async {
        Ok::<_, Infallible>(http::Response::new(request.into_body()))
    });
    let request = http::Request::post("/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", basic("orders", &secret_of("orders")))
        .body(body.into())
        .unwrap();
    let answer = tower::ServiceExt::oneshot(tower::Layer::layer(&layer, wrapped), request);
    assert!(tokio::time::timeout(Duration::from_secs(1), answer).await.is_err(), "it waits");
    layer.flush_audit().await;
    assert_eq!(kept.attempts(), [labels("error", "client_gone", "none")]);
}

/// Whoever can put words into a label can fill the memory of whatever stores the series.
#[tokio::test]
async fn no_label_holds_what_a_client_sent() {
    let kept = Kept::default();
    let _guard = metrics::set_default_local_recorder(&kept);
    let world = plan().start().await;
    let token = world.own.access_token(json!({}));
    for attempt in 0..20 {
        let canary = format!("canary-{attempt}");
        for name in ["audience", "resource", "scope", "requested_token_type", "actor_token", "actor_token_type"] {
            world.post_as("orders", &exchange_form(&token, &[(name, &canary)])).await;
        }
        world.exchange(&world.own.access_token(json!({ "iss": canary, "sub": canary }))).await;
        world.post(Some(&basic(&canary, &canary)), encode(&exchange_form(&token, &[]))).await;
    }
    let known = |name: &str| -> BTreeSet<String> {
        let outcomes = [Outcome::Issued, Outcome::Denied, Outcome::Error].map(Outcome::as_str);
        let semantics = [Semantics::Delegation, Semantics::Impersonation].map(Semantics::as_str);
        match name {
            "outcome" => outcomes.map(str::to_owned).into(),
            "reason" => Reason::ALL.iter().map(|reason| reason.code()).chain(["none"]).map(str::to_owned).collect(),
            _ => semantics.into_iter().chain(["none"]).map(str::to_owned).collect(),
        }
    };
    let attempts = kept.attempts();
    assert_eq!(attempts.len(), 20 * 8);
    for (name, value) in attempts.iter().flatten() {
        assert!(known(name).contains(value), "{name}: `{value}`");
    }
    assert!(attempts.iter().collect::<BTreeSet<_>>().len() < 10, "few series, however many attempts");
}
