//! The metrics count every attempt, every stage and every cache lookup once. A client cannot invent a label.

#![cfg(feature = "metrics")]

use crate::support::*;
#[cfg(any(feature = "introspection-cache", feature = "server-authenticator"))]
use bytes::Bytes;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};
use tower::service_fn;
use tower_token_exchange::{
    Client, GRANT_TYPE, Reason, TokenExchangeBuilder, TokenExchangeLayer,
    audit::{AuditBudget, AuditEvent, Outcome},
    client_auth::{Authentication, Credentials},
    policy::{Decision, Query, Semantics},
    signing::{Signature, Signer, SigningRequest},
    status::{Status, StatusQuery},
};

const ATTEMPTS: &str = "token_exchange_attempts_total";
const DURATION: &str = "token_exchange_duration_seconds";
const STAGE: &str = "token_exchange_stage_duration_seconds";
const ISSUED_TOKEN_REQUESTS: &str = "token_exchange_issued_token_requests_total";
const ACCESS: &str = "token_exchange_access_total";
const SUPPRESSED: &str = "token_exchange_audit_suppressed_total";
const REPLAY: &str = "token_exchange_replay_total";
const REPLAY_DURATION: &str = "token_exchange_replay_duration_seconds";
const CACHE: &str = "token_exchange_cache_total";

/// A recorder that keeps every record, in order, and the descriptions.
#[derive(Clone, Default)]
pub(crate) struct Kept {
    pub(crate) records: Arc<Mutex<Vec<(Key, f64)>>>,
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
        self.keep(value as f64);
    }
}

impl GaugeFn for Handle {
    fn increment(&self, value: f64) {
        panic!("one more: {value}");
    }

    fn decrement(&self, value: f64) {
        panic!("one less: {value}");
    }

    fn set(&self, value: f64) {
        self.keep(value);
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
        Gauge::from_arc(Arc::new(Handle(key.clone(), self.clone())))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Handle(key.clone(), self.clone())))
    }
}

/// The records since the previous call of `seen`.
#[derive(Debug)]
struct Seen(Vec<(Key, f64)>);

impl Kept {
    fn seen(&self) -> Seen {
        let records = std::mem::take(&mut *self.records.lock().unwrap());
        for (key, _) in &records {
            let known =
                [ATTEMPTS, DURATION, STAGE, ISSUED_TOKEN_REQUESTS, ACCESS, SUPPRESSED, REPLAY, REPLAY_DURATION, CACHE];
            assert!(known.contains(&key.name()), "an unknown metric is recorded: {key}");
        }
        Seen(records)
    }

    /// Returns the labels of each attempt since the previous call.
    fn attempts(&self) -> Vec<BTreeMap<String, String>> {
        self.seen().attempts()
    }
}

fn labels_of(key: &Key) -> BTreeMap<String, String> {
    key.labels().map(|label| (label.key().to_owned(), label.value().to_owned())).collect()
}

impl Seen {
    fn of(&self, name: &str) -> Vec<(BTreeMap<String, String>, f64)> {
        let named = self.0.iter().filter(|(key, _)| key.name() == name);
        named.map(|(key, value)| (labels_of(key), *value)).collect()
    }

    /// Returns the labels of each attempt. Checks that each attempt was counted once and timed once.
    fn attempts(&self) -> Vec<BTreeMap<String, String>> {
        let (counted, timed) = (self.of(ATTEMPTS), self.of(DURATION));
        assert_eq!(counted.len(), timed.len());
        for ((labels, one), (timer, seconds)) in counted.iter().zip(&timed) {
            assert_eq!(*one, 1.0);
            assert!((0.0..60.0).contains(seconds), "{seconds} s");
            assert_eq!(*timer, BTreeMap::from([("outcome".to_owned(), labels["outcome"].clone())]));
        }
        counted.into_iter().map(|(labels, _)| labels).collect()
    }

    /// Returns the stages that ended, in order, with their durations in seconds.
    fn stages(&self) -> Vec<(String, f64)> {
        let stages = self.of(STAGE).into_iter();
        stages
            .map(|(mut labels, seconds)| {
                let stage = labels.remove("stage").unwrap();
                assert!(labels.is_empty(), "{labels:?}");
                (stage, seconds)
            })
            .collect()
    }

    /// Returns the hits and misses of a cache, in order.
    fn lookups(&self, cache: &str) -> Vec<String> {
        let questions = self.of(CACHE).into_iter().filter(|(labels, _)| labels["cache"] == cache);
        questions
            .map(|(mut labels, one)| {
                assert_eq!((one, labels.remove("cache").as_deref()), (1.0, Some(cache)));
                let result = labels.remove("result").unwrap();
                assert!(labels.is_empty(), "{labels:?}");
                result
            })
            .collect()
    }
}

fn labels(outcome: &str, reason: &str, semantics: &str) -> BTreeMap<String, String> {
    [("outcome", outcome), ("reason", reason), ("semantics", semantics)].map(|(k, v)| (k.into(), v.into())).into()
}

#[cfg(feature = "resource-server")]
#[tokio::test]
async fn each_request_to_a_resource_is_counted_once() {
    use crate::resource::{builder, everybody, issuer, token};
    use tower_token_exchange::resource::AccessRequest;
    let kept = Kept::default();
    let _guard = metrics::set_default_local_recorder(&kept);
    let own = issuer();
    let layer = builder(&own).rules(everybody()).build().unwrap();
    for (changes, outcome, reason) in [
        (json!({}), "allowed", "none"),
        (json!({ "exp": NOW }), "denied", "token_expired"),
        (json!({}), "allowed", "none"),
    ] {
        let _ = layer.verify(AccessRequest::bearer(&token(&own, changes))).await;
        let labels =
            [("outcome", outcome), ("reason", reason)].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(kept.seen().of(ACCESS), [(BTreeMap::from(labels), 1.0)]);
    }
}

#[tokio::test]
async fn every_attempt_is_counted_once() {
    let kept = Kept::default();
    let _guard = metrics::set_default_local_recorder(&kept);
    let world = plan().start().await;
    let described = kept.described.lock().unwrap().clone();
    let (count, seconds) = (Some(Unit::Count), Some(Unit::Seconds));
    let expected = [
        (ATTEMPTS, count),
        (DURATION, seconds),
        (STAGE, seconds),
        (ISSUED_TOKEN_REQUESTS, count),
        (ACCESS, count),
        (SUPPRESSED, count),
        (REPLAY, count),
        (REPLAY_DURATION, seconds),
        (CACHE, count),
    ];
    assert_eq!(described, expected.map(|(name, unit)| (name.to_owned(), unit)).into());

    let token = world.own.access_token(json!({}));
    world.exchange(&token).await;
    assert_eq!(kept.attempts(), [labels("issued", "none", "delegation")]);

    world.exchange(&world.own.access_token(json!({ "exp": NOW - 1 }))).await;
    assert_eq!(kept.attempts(), [labels("denied", "token_expired", "none")]);

    world.post(None, "x".repeat(2 * 1024 * 1024)).await;
    assert_eq!(kept.attempts(), [labels("denied", "body_too_large", "none")], "the body was not read");

    world.post(None, "grant_type=refresh_token").await;
    assert_eq!(kept.attempts(), [], "a request that the wrapped service answers is no attempt");
}

#[tokio::test]
async fn a_question_to_the_replay_store_is_counted() {
    let kept = Kept::default();
    let _guard = metrics::set_default_local_recorder(&kept);
    let one_time = |clients: Vec<Client>| clients.into_iter().map(Client::one_time_subject_tokens).collect();
    let world = plan_with(one_time, |targets| targets).start().await;
    let token = world.own.access_token(json!({}));
    for result in ["first", "again"] {
        world.exchange(&token).await;
        let seen = kept.seen();
        let labels = BTreeMap::from([("kind", "subject_token"), ("result", result)].map(|(k, v)| (k.into(), v.into())));
        assert_eq!(seen.of(REPLAY), [(labels, 1.0)]);
        assert_eq!(seen.of(REPLAY_DURATION).len(), 1);
    }
}

#[tokio::test]
async fn requests_for_issued_tokens_are_counted_apart() {
    let kept = Kept::default();
    let _guard = metrics::set_default_local_recorder(&kept);
    let world = plan().with(|builder| builder.introspection_endpoint("/introspect")).start().await;
    let token = world.own.access_token(json!({ "client_id": "orders" }));
    let form = encode(&[("token", &token)]);
    for (client, outcome, reason) in [("orders", "introspected", "none"), ("nobody", "denied", "client_rejected")] {
        world.post_to("/introspect", Some(&basic(client, &secret_of(client))), form.clone()).await;
        world.layer.flush_audit().await;
        let seen = kept.seen();
        let labels = [("operation", "introspection"), ("outcome", outcome), ("reason", reason)];
        let expected: BTreeMap<_, _> = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(seen.of(ISSUED_TOKEN_REQUESTS), [(expected, 1.0)]);
        assert!(seen.attempts().is_empty() && seen.stages().is_empty(), "an exchange is something else");
    }
}

#[tokio::test]
async fn a_suppressed_attempt_is_counted_too() {
    let kept = Kept::default();
    let _guard = metrics::set_default_local_recorder(&kept);
    let none = AuditBudget::default().before_authentication(0);
    let world = plan().with(|builder| builder.audit_budget(none)).start().await;
    world.post(None, encode(&[("grant_type", GRANT_TYPE)])).await;
    world.layer.flush_audit().await;
    let seen = kept.seen();
    let operation = BTreeMap::from([("operation".to_owned(), "exchange".to_owned())]);
    assert_eq!(seen.of(SUPPRESSED), [(operation, 1.0)]);
    assert_eq!(seen.attempts(), [labels("denied", "client_credentials_missing", "none")]);
}

#[tokio::test]
async fn a_withheld_token_is_not_counted_as_issued() {
    let kept = Kept::default();
    let _guard = metrics::set_default_local_recorder(&kept);
    let full = service_fn(|_: AuditEvent| async { Err::<(), _>("full") });
    let (_, events) = tokio::sync::mpsc::unbounded_channel();
    let world = plan().start_with_audit(full, events).await;
    world.exchange(&world.own.access_token(json!({}))).await;
    assert_eq!(kept.attempts(), [labels("error", "audit_unavailable", "delegation")]);
    world.exchange("x.y.z").await;
    assert_eq!(kept.attempts(), [labels("denied", "token_malformed", "none")], "a refusal is not changed");
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_attempt_is_counted() {
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
    assert!(tokio::time::timeout(Duration::from_secs(1), answer).await.is_err(), "the policy never answers");
    layer.flush_audit().await;
    assert_eq!(kept.attempts(), [labels("error", "client_gone", "none")]);
}

const ALL_STAGES: [&str; 10] =
    ["request", "client", "proof", "parameters", "tokens", "authority", "status", "policy", "issue", "answer"];

/// Waits as long as a slow part.
async fn takes(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Sends a request to the layer without a network, so that only the parts take time.
async fn send(plan: Plan, form: &[(&str, &str)]) -> (http::StatusCode, TokenExchangeLayer) {
    let layer = plan.builder.build().unwrap();
    let wrapped = service_fn(|request: http::Request<axum::body::Body>| async {
        Ok::<_, Infallible>(http::Response::new(request.into_body()))
    });
    let request = http::Request::post("/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", basic("orders", &secret_of("orders")))
        .body(encode(form).into())
        .unwrap();
    let answer = tower::ServiceExt::oneshot(tower::Layer::layer(&layer, wrapped), request);
    // The client waits for less than a minute.
    let status = tokio::time::timeout(Duration::from_secs(50), answer).await;
    (status.map_or(http::StatusCode::IM_A_TEAPOT, |answer| answer.unwrap().status()), layer)
}

/// The time that a part takes counts for the stage that asks the part, and for no other stage.
#[tokio::test(start_paused = true)]
async fn a_stage_includes_the_time_of_its_plug() {
    let slow = |part: &'static str| {
        let plan = plan();
        let key = plan.own.key.clone();
        let long = Duration::from_secs(3);
        let with = move |name: &str| if name == part { long } else { Duration::ZERO };
        let (client, status, policy, issue, answer) =
            (with("client"), with("status"), with("policy"), with("issue"), with("answer"));
        let keys = key.published_keys().key_set();
        let signing = {
            let key = key.clone();
            service_fn(move |request: SigningRequest| {
                let key = key.clone();
                async move {
                    takes(issue).await;
                    key.sign(&request.signing_input).map(Signature::new)
                }
            })
        };
        let signer = Signer::new(key.key_id().clone(), key.algorithm(), signing, keys).unwrap();
        plan.with(|builder| {
            builder
                .client_authenticator(service_fn(move |_: Credentials| async move {
                    takes(client).await;
                    Ok::<_, Infallible>(Authentication::Client("orders".into()))
                }))
                .status(service_fn(move |_: StatusQuery| async move {
                    takes(status).await;
                    Ok::<_, Infallible>(Status::Good)
                }))
                .policy(service_fn(move |_: Query| async move {
                    takes(policy).await;
                    Ok::<_, Infallible>(Decision::delegate())
                }))
                .signer(signer)
                .audit(service_fn(move |_: AuditEvent| async move {
                    takes(answer).await;
                    Ok::<_, Infallible>(())
                }))
        })
    };
    for part in ["client", "status", "policy", "issue", "answer"] {
        let kept = Kept::default();
        let _guard = metrics::set_default_local_recorder(&kept);
        let plan = slow(part);
        let token = plan.own.access_token(json!({}));
        assert_eq!(send(plan, &exchange_form(&token, &[])).await.0, http::StatusCode::OK, "{part}");
        let seen = kept.seen();
        let stages = seen.stages();
        assert_eq!(stages.iter().map(|(stage, _)| &**stage).collect::<Vec<_>>(), ALL_STAGES, "{part}");
        for (stage, seconds) in &stages {
            let expected = if stage == part { 3.0 } else { 0.0 };
            assert!((seconds - expected).abs() < 0.5, "{part}: {stage} took {seconds} s");
        }
        // The total does not include the wait for the sink.
        let total: f64 = stages.iter().filter(|(stage, _)| stage != "answer").map(|(_, seconds)| seconds).sum();
        let [(_, duration)] = &seen.of(DURATION)[..] else { panic!("{seen:?}") };
        assert!((total - duration).abs() < 0.1, "{part}: {total} and {duration}");
    }
}

/// The last stage is the stage of the event, and does not include the wait for the sink.
#[tokio::test(start_paused = true)]
async fn the_last_stage_ends_with_the_attempt() {
    let late = |builder: TokenExchangeBuilder| {
        builder.deadline(Duration::from_secs(7)).policy(service_fn(|_: Query| async {
            takes(Duration::from_secs(30)).await;
            Ok::<_, Infallible>(Decision::delegate())
        }))
    };
    let hangs = |builder: TokenExchangeBuilder| {
        builder
            .deadline(Duration::from_secs(3600))
            .status(service_fn(|_: StatusQuery| std::future::pending::<Result<Status, Infallible>>()))
    };
    let denies = |builder: TokenExchangeBuilder| {
        builder.policy(service_fn(|_: Query| async {
            takes(Duration::from_secs(2)).await;
            Ok::<_, Infallible>(Decision::deny("no"))
        }))
    };
    let panics = |builder: TokenExchangeBuilder| {
        builder.policy(service_fn(|_: Query| async {
            takes(Duration::from_secs(1)).await;
            panic!("in the policy") as Result<Decision, Infallible>
        }))
    };
    type Change = Box<dyn FnOnce(TokenExchangeBuilder) -> TokenExchangeBuilder>;
    let cases: [(&str, Change, &str, f64); 6] = [
        ("refused", Box::new(denies), "policy", 2.0),
        ("a panic", Box::new(panics), "policy", 1.0),
        ("out of time", Box::new(late), "policy", 7.0),
        ("client gone", Box::new(hangs), "status", 50.0),
        ("two targets", Box::new(|builder| builder), "parameters", 0.0),
        ("two subject tokens", Box::new(|builder| builder), "request", 0.0),
    ];
    for (why, change, last, expected) in cases {
        let kept = Kept::default();
        let _guard = metrics::set_default_local_recorder(&kept);
        let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
        let slow_sink = service_fn(move |event: AuditEvent| {
            let _ = sender.send(event);
            async {
                takes(Duration::from_secs(4)).await;
                Ok::<_, Infallible>(())
            }
        });
        let plan = plan().with(|builder| change(builder.audit(slow_sink)));
        let token = plan.own.access_token(json!({}));
        let form = match last {
            "parameters" => exchange_form(&token, &[("audience", "nowhere")]),
            "request" => exchange_form(&token, &[("subject_token", &token)]),
            _ => exchange_form(&token, &[]),
        };
        let (status, layer) = send(plan, &form).await;
        layer.flush_audit().await;
        assert_ne!(status, http::StatusCode::OK, "{why}");
        let stages = kept.seen().stages();
        let position = ALL_STAGES.iter().position(|stage| *stage == last).unwrap();
        let names: Vec<_> = stages.iter().map(|(stage, _)| &**stage).collect();
        assert_eq!(names, ALL_STAGES[..=position], "{why}");
        assert_eq!(events.try_recv().unwrap().stage.as_str(), last, "{why}");
        let (_, seconds) = stages.last().unwrap();
        assert!((seconds - expected).abs() < 0.5, "{why}: {seconds} s");
    }
}

/// The stage `answer` ends when the client disconnects.
#[tokio::test(start_paused = true)]
async fn an_abandoned_answer_ends_with_the_connection() {
    for sink_takes in [2, 5] {
        let kept = Kept::default();
        let _guard = metrics::set_default_local_recorder(&kept);
        let slow = service_fn(move |_: AuditEvent| async move {
            takes(Duration::from_secs(sink_takes)).await;
            Err::<(), _>("full")
        });
        let plan = plan().with(|builder| builder.audit(slow));
        let token = plan.own.access_token(json!({}));
        let form = exchange_form(&token, &[]);
        let answer = tokio::time::timeout(Duration::from_secs(3), send(plan, &form)).await;
        assert_eq!(answer.is_ok(), sink_takes == 2);
        tokio::time::sleep(Duration::from_secs(10)).await;
        let seen = kept.seen();
        let stages = seen.stages();
        assert_eq!(stages.len(), ALL_STAGES.len());
        let (last, seconds) = stages.last().unwrap();
        assert_eq!(last, "answer");
        assert!((seconds - sink_takes.min(3) as f64).abs() < 0.5, "{seconds} s");
        assert_eq!(seen.attempts(), [labels("error", "audit_unavailable", "delegation")]);
    }
}

#[tokio::test]
async fn a_known_signature_is_a_cache_hit() {
    for (entries, expected) in [(16, &["miss", "hit", "miss", "miss", "miss", "hit"][..]), (0, &[][..])] {
        let kept = Kept::default();
        let _guard = metrics::set_default_local_recorder(&kept);
        let plan = plan().with(|builder| builder.signature_memo(entries).introspection_endpoint("/introspect"));
        let world = plan.start().await;
        let [token, other] = ["1", "2"].map(|jti| world.own.access_token(json!({ "jti": jti })));
        let forged = format!("{}AAAA", &other[..other.len() - 4]);
        for token in [&token, &token, &forged, &other] {
            world.exchange(token).await;
        }
        // No key has the name, so no signature is looked for.
        world.exchange(&world.own.sign(&json!({ "alg": "ES256", "kid": "unknown" }), &json!({ "iss": AS }))).await;
        let issued = world.own.access_token(json!({ "jti": "3" }));
        for _ in 0..2 {
            let billing = basic("billing", &secret_of("billing"));
            world.post_to("/introspect", Some(&billing), encode(&[("token", &issued)])).await;
        }
        assert_eq!(kept.seen().lookups("signature"), expected);
    }
}

#[cfg(feature = "introspection-cache")]
#[tokio::test]
async fn a_known_token_is_a_cache_hit() {
    use tower_token_exchange::{Issuer, records::Introspection};

    let active = json!({
        "active": true, "iss": AS, "sub": "alice", "aud": "https://orders.example", "exp": NOW + 600, "iat": NOW,
        "client_id": "web", "scope": "read", "token_type": "Bearer",
    });
    for (entries, expected) in [(10, &["miss", "hit", "hit", "miss"][..]), (0, &[][..])] {
        let kept = Kept::default();
        let _guard = metrics::set_default_local_recorder(&kept);
        let body = Bytes::from(active.to_string());
        let endpoint = service_fn(move |_: http::Request<Bytes>| {
            let response = http::Response::builder().header("content-type", "application/json");
            let response = response.body(body.clone()).unwrap();
            async { Ok::<_, Infallible>(response) }
        });
        let record = Introspection::bearer("https://as.example/introspect", "secret").http(endpoint);
        let record = if entries > 0 { record.cache(entries, Duration::from_secs(60)) } else { record };
        let plan = plan().with(|builder| builder.issuers([Issuer::new(AS).introspection(record)]));
        let world = plan.start().await;
        for token in ["opaque-1", "opaque-1", "opaque-1", "opaque-2"] {
            assert_eq!(world.exchange(token).await.status, http::StatusCode::OK);
        }
        assert_eq!(kept.seen().lookups("introspection"), expected);
    }
}

#[cfg(feature = "server-authenticator")]
#[tokio::test]
async fn a_known_client_is_a_cache_hit() {
    use tower_token_exchange::{Client, client_auth::ServerAuthenticator};

    // The server accepts the secret of `orders`.
    let server = || {
        service_fn(|request: http::Request<Bytes>| async move {
            let known = request
                .headers()
                .get("authorization")
                .is_some_and(|value| value == &basic("orders", &secret_of("orders")));
            let (status, body) = if known { (200, r#"{"active":false}"#) } else { (401, "{}") };
            Ok::<_, Infallible>(http::Response::builder().status(status).body(Bytes::from(body)).unwrap())
        })
    };
    for (entries, expected) in [(10, &["miss", "hit", "miss", "miss"][..]), (0, &[][..])] {
        let kept = Kept::default();
        let _guard = metrics::set_default_local_recorder(&kept);
        let server = ServerAuthenticator::by_introspection("https://as.example/introspect").http(server());
        let server = server.cache(entries, Duration::from_secs(60)).build().unwrap();
        let clients = |_| ["orders", "billing", "reports"].map(Client::new).into();
        let plan = plan_with(clients, |targets| targets);
        let world = plan.with(|builder| builder.client_authenticator(server)).start().await;
        let token = world.own.access_token(json!({}));
        let form = encode(&exchange_form(&token, &[]));
        let secret = secret_of("orders");
        let tries = [(&*secret, 200), (&*secret, 200), ("wrong", 401), ("wrong", 401)];
        for (secret, status) in tries {
            let reply = world.post(Some(&basic("orders", secret)), form.clone()).await;
            assert_eq!(reply.status, status, "{}", reply.text);
        }
        assert_eq!(kept.seen().lookups("client"), expected);
    }
}

/// A client that can choose a label can create endless time series.
#[tokio::test]
async fn no_label_contains_client_input() {
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
    let seen = kept.seen();
    for (stage, _) in seen.stages() {
        assert!(ALL_STAGES.contains(&&*stage), "{stage}");
    }
    let attempts = seen.attempts();
    assert_eq!(attempts.len(), 20 * 8);
    for (name, value) in attempts.iter().flatten() {
        assert!(known(name).contains(value), "{name}: `{value}`");
    }
    assert!(attempts.iter().collect::<BTreeSet<_>>().len() < 10, "many attempts create few time series");
}

#[tokio::test]
async fn issuer_keys_are_recorded_on_request() {
    let kept = Kept::default();
    let _guard = metrics::set_default_local_recorder(&kept);
    let world = plan().start().await;
    world.layer.readiness().record_metrics();
    let records = std::mem::take(&mut *kept.records.lock().unwrap());
    let told: BTreeSet<(String, String, u64)> = records
        .iter()
        .map(|(key, value)| (key.name().to_owned(), labels_of(key)["issuer"].clone(), *value as u64))
        .collect();
    let names = [
        ("token_exchange_issuer_keys", 1),
        ("token_exchange_issuer_keys_age_seconds", 0),
        ("token_exchange_issuer_key_fetches_total", 0),
        ("token_exchange_issuer_key_fetch_failures_total", 0),
    ];
    let expected =
        [AS, IDP].into_iter().flat_map(|iss| names.map(|(name, value)| (name.to_owned(), iss.to_owned(), value)));
    assert_eq!(told, expected.collect());
}

#[tokio::test]
async fn a_best_effort_token_is_counted_as_issued() {
    let kept = Kept::default();
    let _guard = metrics::set_default_local_recorder(&kept);
    let full = service_fn(|_: AuditEvent| async { Err::<(), _>("the disk is full") });
    let (_sender, events) = tokio::sync::mpsc::unbounded_channel();
    let planned = plan().with(|builder| builder.best_effort_audit());
    let world = planned.start_with_audit(full, events).await;
    let token = world.own.access_token(json!({}));
    assert_eq!(world.exchange(&token).await.status, 200);
    assert_eq!(kept.attempts(), [labels("issued", "none", "delegation")]);
}
