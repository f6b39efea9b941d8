//! A part that fails, hangs, panics or gives a wrong answer fails only one request. Every attempt leaves one audit event,
//! without a token or a secret.

use crate::support::*;
use axum::body::Body;
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    convert::Infallible,
    fmt, io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::{Duration, UNIX_EPOCH},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Semaphore, mpsc},
};
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_token_exchange::{
    Client, Issuer, Reason, TokenExchangeLayer,
    audit::{AuditBudget, AuditEvent, Outcome, Stage, TracingSink},
    client_auth::{Authentication, ClientAuthenticator, Credentials},
    policy::{Decision, Grant, Policy, Query, Semantics},
    records::SubjectMapping,
    replay::{UseOnce, Used},
    signing::{Algorithm, LocalSigner, Signature, Signer, SigningRequest},
};
use tracing_subscriber::layer::SubscriberExt;

/// The layer and its audit events, without a network.
struct LocalWorld {
    layer: TokenExchangeLayer,
    own: Minter,
    events: mpsc::UnboundedReceiver<AuditEvent>,
}

#[derive(Debug)]
struct LayerReply {
    status: StatusCode,
    headers: HeaderMap,
    /// The reason in the extensions of the response, for outer layers.
    reason: Option<Reason>,
    body: Value,
}

impl LocalWorld {
    fn of(plan: Plan) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        Self::without_sink(plan.with(|builder| builder.audit(recorder(sender))), events)
    }

    fn without_sink(plan: Plan, events: mpsc::UnboundedReceiver<AuditEvent>) -> Self {
        Self { layer: plan.builder.build().unwrap(), own: plan.own, events }
    }

    /// Exchanges a good token for a token for `billing`, as the client `orders`.
    async fn exchange(&self) -> LayerReply {
        self.post(&self.own.access_token(json!({}))).await
    }

    async fn post(&self, subject: &str) -> LayerReply {
        let authorization = basic("orders", &secret_of("orders"));
        send(self.layer.clone(), Some(authorization), encode(&exchange_form(subject, &[]))).await
    }

    fn event(&mut self, why: &str) -> AuditEvent {
        let event = self.events.try_recv().unwrap_or_else(|_| panic!("{why}: no event"));
        assert!(self.events.try_recv().is_err(), "{why}: more than one event");
        event
    }
}

async fn send(layer: TokenExchangeLayer, authorization: Option<String>, form: String) -> LayerReply {
    let teapot = service_fn(|_: Request<Body>| async {
        let mut response = http::Response::new(Body::from("{}"));
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        Ok::<_, Infallible>(response)
    });
    let mut request = Request::post("/token").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    if let Some(authorization) = authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    let (parts, body) =
        layer.layer(teapot).oneshot(request.body(Body::from(form)).unwrap()).await.unwrap().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    LayerReply {
        status: parts.status,
        reason: parts.extensions.get::<Reason>().copied(),
        headers: parts.headers,
        body: serde_json::from_slice(&bytes).unwrap(),
    }
}

/// The error message of a failing part. Only the audit may contain the message.
const CAUSE: &str = "the vault at 10.0.0.7 is sealed";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Errs,
    ErrsBeforeCall,
    PanicsBeforeCall,
    PanicsInCall,
    PanicsInFuture,
    Hangs,
    HangsBeforeCall,
}

const FAULTS: [Fault; 7] = [
    Fault::Errs,
    Fault::ErrsBeforeCall,
    Fault::PanicsBeforeCall,
    Fault::PanicsInCall,
    Fault::PanicsInFuture,
    Fault::Hangs,
    Fault::HangsBeforeCall,
];

type Switch = Arc<Mutex<Option<Fault>>>;

/// A part that works unless the test sets a fault.
#[derive(Clone)]
struct Faulty<S> {
    inner: S,
    fault: Switch,
}

impl<S, Q> Service<Q> for Faulty<S>
where
    S: Service<Q, Response: Send + 'static, Error: Into<BoxError>, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let fault = *self.fault.lock().unwrap();
        match fault {
            Some(Fault::ErrsBeforeCall) => Poll::Ready(Err(CAUSE.into())),
            Some(Fault::PanicsBeforeCall) => panic!("before the call"),
            Some(Fault::HangsBeforeCall) => Poll::Pending,
            _ => self.inner.poll_ready(cx).map_err(Into::into),
        }
    }

    fn call(&mut self, question: Q) -> Self::Future {
        let fault = *self.fault.lock().unwrap();
        match fault {
            None => {
                let answer = self.inner.call(question);
                async { answer.await.map_err(Into::into) }.boxed()
            }
            Some(Fault::Errs) => async { Err(CAUSE.into()) }.boxed(),
            Some(Fault::Hangs | Fault::HangsBeforeCall) => std::future::pending().boxed(),
            Some(Fault::PanicsInFuture) => async { panic!("in the future") }.boxed(),
            Some(_) => panic!("in the call"),
        }
    }
}

fn good_policy() -> impl Policy {
    service_fn(|_: Query| async { Ok::<_, Infallible>(Decision::delegate()) })
}

fn good_authenticator() -> impl ClientAuthenticator {
    service_fn(|credentials: Credentials| async move {
        let known = credentials.readings().any(|reading| reading == ("orders", secret_of("orders").as_str()));
        let answer = if known { Authentication::Client("orders".into()) } else { Authentication::Rejected };
        Ok::<_, Infallible>(answer)
    })
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum PartName {
    Authenticator,
    Policy,
    Signer,
    ReplayStore,
    Audit,
}

/// Returns a world with one part that can fail.
fn faulty(part: PartName) -> (LocalWorld, Switch) {
    let fault = Switch::default();
    let (sender, events) = mpsc::unbounded_channel();
    // The replay store is asked about one-time tokens only.
    let clients = |clients: Vec<Client>| match part {
        PartName::ReplayStore => clients.into_iter().map(Client::one_time_subject_tokens).collect(),
        _ => clients,
    };
    let plan = plan_with(clients, |targets| targets);
    let plan = plan.with(|builder| builder.audit(recorder(sender.clone())).deadline(Duration::from_secs(2)));
    let with = Arc::clone(&fault);
    let key = plan.own.key.clone();
    let plan = plan.with(|builder| match part {
        PartName::Authenticator => builder.client_authenticator(Faulty { inner: good_authenticator(), fault: with }),
        PartName::Policy => builder.policy(Faulty { inner: good_policy(), fault: with }),
        PartName::Signer => {
            let keys = key.published_keys().key_set();
            let (name, algorithm) = (key.key_id().clone(), key.algorithm());
            builder.signer(Signer::new(name, algorithm, Faulty { inner: key, fault: with }, keys).unwrap())
        }
        PartName::ReplayStore => {
            let store = service_fn(|_: UseOnce| async { Ok::<_, Infallible>(Used::First) });
            builder.replay_store(Faulty { inner: store, fault: with })
        }
        PartName::Audit => builder.audit(Faulty { inner: recorder(sender), fault: with }),
    });
    (LocalWorld::without_sink(plan, events), fault)
}

#[tokio::test(start_paused = true)]
async fn a_failing_part_fails_one_request_closed() {
    use PartName::*;
    for part in [Authenticator, Policy, Signer, ReplayStore, Audit] {
        for fault in FAULTS {
            let name = format!("{part:?} {fault:?}");
            let (mut world, switch) = faulty(part);
            assert_eq!(world.exchange().await.status, StatusCode::OK, "{name}: before");
            world.event(&name);
            *switch.lock().unwrap() = Some(fault);
            let reply = world.exchange().await;

            let panics = matches!(fault, Fault::PanicsBeforeCall | Fault::PanicsInCall | Fault::PanicsInFuture);
            let hangs = matches!(fault, Fault::Hangs | Fault::HangsBeforeCall);
            let reason = match part {
                // The event did not arrive, whatever the fault of the sink.
                Audit => Reason::AuditUnavailable,
                _ if hangs => Reason::DeadlineExceeded,
                Authenticator if panics => Reason::AuthenticatorPanicked,
                Authenticator => Reason::AuthenticatorUnavailable,
                Policy if panics => Reason::PolicyPanicked,
                Policy => Reason::PolicyUnavailable,
                Signer if panics => Reason::SignerPanicked,
                Signer => Reason::SignerUnavailable,
                ReplayStore if panics => Reason::ReplayStorePanicked,
                ReplayStore => Reason::ReplayStoreUnavailable,
            };
            assert_eq!(reply.reason, Some(reason), "{name}: {reply:?}");
            let broken = panics && part != Audit;
            let (status, error) = match broken {
                true => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
                false => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
            };
            assert_eq!((reply.status, &reply.body["error"]), (status, &json!(error)), "{name}");
            let retry_after = reply.headers.get(header::RETRY_AFTER).map(|value| value.to_str().unwrap());
            assert_eq!(retry_after.is_some(), !broken, "{name}: {reply:?}");
            assert!(retry_after.is_none_or(|seconds| seconds.parse::<u64>().is_ok()), "{name}: {reply:?}");
            assert_eq!(reply.headers[header::CACHE_CONTROL], "no-store", "{name}");
            assert!(reply.headers.get(header::WWW_AUTHENTICATE).is_none(), "{name}: the client did nothing wrong");
            assert!(reply.body.get("access_token").is_none(), "{name}: {reply:?}");
            assert!(!reply.body.to_string().contains("vault"), "{name}: {reply:?}");

            if part == Audit {
                assert!(world.events.try_recv().is_err(), "{name}: the sink took no event");
                // A failing sink does not change a refusal.
                let refused = world.post("x.y.z").await;
                let reply = (refused.status, refused.reason);
                assert_eq!(reply, (StatusCode::BAD_REQUEST, Some(Reason::TokenMalformed)), "{name}: {refused:?}");
            } else {
                let event = world.event(&name);
                assert_eq!(
                    (event.outcome, event.error.map(|error| error.as_str()), event.reason),
                    (Outcome::Error, Some(error), Some(reason)),
                    "{name}"
                );
                let stage = match part {
                    Authenticator => Stage::Client,
                    Policy => Stage::Policy,
                    _ => Stage::Issue,
                };
                assert_eq!(event.stage, stage, "{name}");
                assert_eq!(event.granted, None, "{name}");
                if matches!(fault, Fault::Errs | Fault::ErrsBeforeCall) {
                    assert_eq!(event.detail.as_deref(), Some(CAUSE), "{name}: the audit has the message");
                }
            }
            *switch.lock().unwrap() = None;
            assert_eq!(world.exchange().await.status, StatusCode::OK, "{name}: after");
            assert_eq!(world.event(&name).outcome, Outcome::Issued, "{name}");
        }
    }
}

/// Encodes the two halves of a signature as an ASN.1 sequence.
fn to_der(fixed: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let value: Vec<u8> = [0].iter().chain(bytes).copied().skip_while(|byte| *byte == 0).collect();
        let sign = if value[0] & 0x80 != 0 { &[0][..] } else { &[] };
        [&[2, (value.len() + sign.len()) as u8], sign, &value].concat()
    };
    let (r, s) = fixed.split_at(fixed.len() / 2);
    let numbers = [integer(r), integer(s)].concat();
    [vec![0x30, numbers.len() as u8], numbers].concat()
}

#[tokio::test]
async fn a_wrong_signature_is_not_released() {
    type Spoil = fn(&LocalSigner, &SigningRequest) -> Vec<u8>;
    let honest: Spoil = |key, request| key.sign(&request.signing_input).unwrap();
    let truncated: Spoil = |key, request| key.sign(&request.signing_input).unwrap()[1..].to_vec();
    let longer: Spoil = |key, request| [key.sign(&request.signing_input).unwrap(), vec![0]].concat();
    let der: Spoil = |key, request| to_der(&key.sign(&request.signing_input).unwrap());
    let empty: Spoil = |_, _| Vec::new();
    let zeros: Spoil = |key, request| vec![0; key.sign(&request.signing_input).unwrap().len()];
    let other_key: Spoil = |key, request| {
        let other = LocalSigner::generate(key.algorithm()).unwrap_or_else(|_| rsa(key.algorithm()));
        other.sign(&request.signing_input).unwrap()
    };
    let other_text: Spoil = |key, request| key.sign(&request.signing_input.slice(1..)).unwrap();
    let (es, es3, ed) = (Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA);
    let (rs, ps) = (Algorithm::RS256, Algorithm::PS256);
    let (checked, unchecked) = (true, false);
    let cases = [
        ("honest", es, honest, checked, true),
        ("honest", es, honest, unchecked, true),
        ("honest", es3, honest, checked, true),
        ("honest", ed, honest, checked, true),
        ("honest", rs, honest, checked, true),
        ("honest", ps, honest, checked, true),
        ("truncated", es, truncated, unchecked, false),
        ("truncated", es3, truncated, unchecked, false),
        ("truncated", ed, truncated, unchecked, false),
        ("truncated", rs, truncated, checked, false),
        ("longer", es, longer, unchecked, false),
        ("longer", ed, longer, unchecked, false),
        ("longer", ps, longer, checked, false),
        ("DER", es, der, unchecked, false),
        ("DER", es3, der, unchecked, false),
        ("DER", es, der, checked, false),
        ("empty", es, empty, unchecked, false),
        ("empty", rs, empty, unchecked, false),
        ("zeros", es, zeros, checked, false),
        ("zeros", ed, zeros, checked, false),
        ("zeros", rs, zeros, checked, false),
        ("another key's", es, other_key, checked, false),
        ("another key's", es3, other_key, checked, false),
        ("another key's", ed, other_key, checked, false),
        ("of another text", es, other_text, checked, false),
        ("of another text", ed, other_text, checked, false),
        ("of another text", ps, other_text, checked, false),
    ];
    for (name, algorithm, spoil, checked, good) in cases {
        let name = format!("{name}, {algorithm}, checked: {checked}");
        let key = LocalSigner::generate(algorithm).unwrap_or_else(|_| rsa(algorithm));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (kms, log) = (key.clone(), Arc::clone(&asked));
        let service = service_fn(move |request: SigningRequest| {
            let signature = Signature::new(spoil(&kms, &request));
            log.lock().unwrap().push(request);
            async { Ok::<_, Infallible>(signature) }
        });
        let key_id = key.key_id().clone();
        let signer = if checked {
            Signer::new(key_id, algorithm, service, key.published_keys().key_set()).unwrap()
        } else {
            Signer::unchecked(key_id, algorithm, service)
        };
        // The subject token is signed with another key.
        let mut world = LocalWorld::of(with_separate_own_keys().with(|builder| builder.signer(signer)));
        let reply = world.exchange().await;
        let event = world.event(&name);
        if good {
            assert_eq!(reply.status, StatusCode::OK, "{name}: {reply:?}");
            let requests = asked.lock().unwrap();
            assert_eq!((requests.len(), &requests[0].key_id), (1, key.key_id()), "{name}");
            let token = reply.body["access_token"].as_str().unwrap();
            assert_eq!(token.rsplit_once('.').unwrap().0.as_bytes(), requests[0].signing_input, "{name}");
        } else {
            assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR, "{name}: {reply:?}");
            assert_eq!(reply.body["error"], "server_error", "{name}");
            assert!(reply.body.get("access_token").is_none(), "{name}");
            assert_eq!(event.reason, Some(Reason::SignatureRefused), "{name}");
            assert_eq!((event.outcome, event.granted), (Outcome::Error, None), "{name}");
        }
    }
}

fn rsa(algorithm: Algorithm) -> LocalSigner {
    LocalSigner::from_pem(algorithm, include_bytes!("../data/rsa.pem")).unwrap()
}

/// Returns a plan whose subject tokens verify, whatever the signer does.
fn with_separate_own_keys() -> Plan {
    let plan = plan();
    let keys = plan.own.keys();
    plan.with(|builder| builder.issuers([Issuer::new(AS).keys(keys)]))
}

#[tokio::test]
async fn a_grant_beyond_the_ceiling_is_refused() {
    type Decide = fn(&Query) -> Decision;
    fn grant() -> Grant {
        Grant::new(Semantics::Delegation)
    }
    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }
    let everything: Decide = |_| Decision::delegate();
    let ceiling: Decide =
        |query| Decision::Allow(grant().scope(query.max_scope.clone()).max_lifetime(query.max_lifetime));
    let one_scope: Decide = |_| Decision::Allow(grant().scope("read".parse().unwrap()));
    let one_second: Decide = |_| Decision::Allow(grant().max_lifetime(seconds(1)));
    let more_scope: Decide = |_| Decision::Allow(grant().scope("read write admin".parse().unwrap()));
    let other_scope: Decide = |_| Decision::Allow(grant().scope("admin".parse().unwrap()));
    let other_case: Decide = |_| Decision::Allow(grant().scope("READ".parse().unwrap()));
    let longer: Decide = |query| Decision::Allow(grant().max_lifetime(query.max_lifetime + seconds(1)));
    let a_bit_longer: Decide =
        |query| Decision::Allow(grant().max_lifetime(query.max_lifetime + Duration::from_nanos(1)));
    let for_ever: Decide = |_| Decision::Allow(grant().max_lifetime(Duration::MAX));
    let no_time: Decide = |_| Decision::Allow(grant().max_lifetime(Duration::ZERO));
    let no_scope: Decide = |_| Decision::Allow(grant().scope("".parse().unwrap_or_default()));
    let no_actors: Decide = |_| Decision::Allow(grant().max_depth(0));
    let denial: Decide = |_| Decision::deny("alice is on leave");
    let impersonation: Decide = |_| Decision::impersonate();

    let plain = json!({});
    let short = json!({ "exp": NOW + 50 });
    let delegated = json!({ "act": { "sub": "reports" } });
    let (ok, widened) = (StatusCode::OK, Reason::PolicyWidened);
    type Expected = Result<(&'static str, u64), Reason>;
    let cases: [(&str, &Value, &str, Decide, Expected); 20] = [
        ("everything", &plain, "", everything, Ok(("read write", 300))),
        ("the ceiling itself", &plain, "", ceiling, Ok(("read write", 300))),
        ("the ceiling of a short token", &short, "", ceiling, Ok(("read write", 50))),
        ("one scope", &plain, "", one_scope, Ok(("read", 300))),
        ("what was asked and more", &plain, "read", ceiling, Ok(("read", 300))),
        ("one second", &plain, "", one_second, Ok(("read write", 1))),
        ("a scope beside what was asked", &plain, "write", one_scope, Err(Reason::ScopeEmpty)),
        ("one scope more", &plain, "", more_scope, Err(widened)),
        ("one scope more than asked and allowed", &plain, "read", more_scope, Err(widened)),
        ("another scope", &plain, "", other_scope, Err(widened)),
        ("a scope in another case", &plain, "", other_case, Err(widened)),
        ("one second more", &plain, "", longer, Err(widened)),
        ("more than is left", &short, "", longer, Err(widened)),
        ("a nanosecond more", &plain, "", a_bit_longer, Err(widened)),
        ("for ever", &plain, "", for_ever, Err(widened)),
        // A lifetime of nothing is a denial (AuthZEN token issuance: `token_lifetime` 0).
        ("no time", &plain, "", no_time, Err(Reason::PolicyDenied)),
        ("no scope", &plain, "", no_scope, Err(Reason::ScopeEmpty)),
        ("no actors in a delegation", &plain, "", no_actors, Err(Reason::ChainTooDeep)),
        ("a denial", &plain, "", denial, Err(Reason::PolicyDenied)),
        ("the chain away", &delegated, "", impersonation, Err(Reason::ImpersonationImpossible)),
    ];
    let mut wrong = Vec::new();
    for (name, changes, asked, decide, expected) in cases {
        let policy = service_fn(move |query: Query| {
            let decision = decide(&query);
            async { Ok::<_, Infallible>(decision) }
        });
        let mut world = LocalWorld::of(plan().with(|builder| builder.policy(policy)));
        let subject = world.own.access_token(changes.clone());
        let form = encode(&exchange_form(&subject, &[("scope", asked)]));
        let reply = send(world.layer.clone(), Some(basic("orders", &secret_of("orders"))), form).await;
        let event = world.event(name);
        match expected {
            Ok((scope, lifetime)) => {
                assert_eq!(reply.status, ok, "{name}: {reply:?}");
                let words: BTreeSet<_> = reply.body["scope"].as_str().unwrap().split(' ').collect();
                assert_eq!(words, scope.split(' ').collect(), "{name}");
                assert_eq!(reply.body["expires_in"], lifetime, "{name}");
                let claims = segment(reply.body["access_token"].as_str().unwrap(), 1);
                assert_eq!(claims["exp"], NOW + lifetime, "{name}");
            }
            Err(reason) => {
                let (status, error) = match reason {
                    Reason::PolicyWidened => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
                    Reason::ScopeEmpty => (StatusCode::BAD_REQUEST, "invalid_scope"),
                    _ => (StatusCode::BAD_REQUEST, "invalid_request"),
                };
                assert!(reply.body.get("access_token").is_none(), "{name}: {reply:?}");
                assert!(!reply.body.to_string().contains("leave"), "{name}: {reply:?}");
                if (reply.status, &reply.body["error"], event.reason) != (status, &json!(error), Some(reason)) {
                    wrong.push(format!("{name}: {} {} {:?}, not {reason:?}", reply.status, reply.body, event.reason));
                }
                let outcome = if status.is_server_error() { Outcome::Error } else { Outcome::Denied };
                assert_eq!(event.outcome, outcome, "{name}");
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn an_authenticator_cannot_invent_clients() {
    for (answer, form_id, status, error, reason) in [
        (Authentication::Client("nobody".into()), None, 400, "unauthorized_client", Reason::GrantNotAllowed),
        (Authentication::Client("owner".into()), None, 400, "unauthorized_client", Reason::GrantNotAllowed),
        (Authentication::Client("".into()), None, 400, "unauthorized_client", Reason::GrantNotAllowed),
        (Authentication::Client("reports".into()), Some("orders"), 400, "invalid_request", Reason::ClientIdMismatch),
        (Authentication::Rejected, None, 401, "invalid_client", Reason::ClientRejected),
    ] {
        let name = format!("{answer:?}");
        let authenticator = service_fn(move |_: Credentials| {
            let answer = answer.clone();
            async { Ok::<_, Infallible>(answer) }
        });
        let owner = |mut clients: Vec<Client>| {
            clients.push(Client::new("owner").secret(secret_of("owner")).deny_exchange());
            clients
        };
        let mut world = LocalWorld::of(
            plan_with(owner, |targets| targets).with(|builder| builder.client_authenticator(authenticator)),
        );
        let subject = world.own.access_token(json!({}));
        let mut form = exchange_form(&subject, &[]);
        form.extend(form_id.map(|id| ("client_id", id)));
        let reply = send(world.layer.clone(), Some(basic("orders", &secret_of("orders"))), encode(&form)).await;
        assert_eq!((reply.status.as_u16(), &reply.body["error"]), (status, &json!(error)), "{name}: {reply:?}");
        assert_eq!(reply.headers.contains_key(header::WWW_AUTHENTICATE), status == 401, "{name}");
        let event = world.event(&name);
        assert_eq!((event.reason, event.client_id), (Some(reason), None), "{name}: no client was authenticated");
    }
}

#[tokio::test(start_paused = true)]
async fn closures_and_middleware_stacks_are_parts() {
    let key = LocalSigner::generate(Algorithm::EdDSA).unwrap();
    let kms = key.clone();
    let sign = service_fn(move |request: SigningRequest| {
        let signature = kms.sign(&request.signing_input).map(Signature::new);
        async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            signature
        }
    });
    let decide = service_fn(|query: Query| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        match query.client_id.as_str() {
            "orders" => Ok(Decision::delegate()),
            other => Err(io::Error::other(other.to_owned())),
        }
    });
    let (sender, events) = mpsc::unbounded_channel();
    let sink = service_fn(move |event: AuditEvent| {
        let sent = sender.send(event).map_err(|_| io::Error::other("nobody listens"));
        async { sent }
    });
    let stacked = with_separate_own_keys().with(|builder| {
        builder
            .policy(ServiceBuilder::new().timeout(Duration::from_secs(1)).concurrency_limit(2).service(decide))
            .signer(
                Signer::new(
                    key.key_id().clone(),
                    key.algorithm(),
                    ServiceBuilder::new().buffer(64).timeout(Duration::from_secs(1)).concurrency_limit(2).service(sign),
                    key.published_keys().key_set(),
                )
                .unwrap(),
            )
            .client_authenticator(
                ServiceBuilder::new().load_shed().concurrency_limit(100).service(good_authenticator()),
            )
            .audit(ServiceBuilder::new().buffer(64).service(sink))
    });
    let mut world = LocalWorld::without_sink(stacked, events);
    for reply in futures_util::future::join_all((0..20).map(|_| world.exchange())).await {
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    }
    world.layer.flush_audit().await;
    for _ in 0..20 {
        assert_eq!(world.events.recv().await.unwrap().outcome, Outcome::Issued);
    }

    // An error of the middleware counts as an error of the part.
    let hang = service_fn(|_: Query| std::future::pending::<Result<Decision, Infallible>>());
    let plan_of_timeout =
        plan().with(|builder| builder.policy(ServiceBuilder::new().timeout(Duration::from_millis(50)).service(hang)));
    let reply = LocalWorld::of(plan_of_timeout).exchange().await;
    assert_eq!((reply.status.as_u16(), reply.reason), (503, Some(Reason::PolicyUnavailable)), "{reply:?}");

    let slow = service_fn(|_: Query| async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok::<_, Infallible>(Decision::delegate())
    });
    let shedding =
        plan().with(|builder| builder.policy(ServiceBuilder::new().load_shed().concurrency_limit(1).service(slow)));
    let world = LocalWorld::of(shedding);
    let (one, other) = tokio::join!(world.exchange(), world.exchange());
    assert_eq!((one.status.as_u16(), other.status.as_u16()), (200, 503), "{other:?}");
    assert_eq!(other.reason, Some(Reason::PolicyUnavailable));
    assert_eq!(world.exchange().await.status, StatusCode::OK, "the concurrency limit has a free place again");
}

#[tokio::test]
async fn tokens_can_expire_while_a_part_is_slow() {
    for (slow_for, left) in [(0, Some(50)), (40, Some(10)), (49, Some(1)), (50, None), (1000, None)] {
        let clock = Arc::new(AtomicU64::new(NOW));
        let (now, hand) = (Arc::clone(&clock), Arc::clone(&clock));
        let policy = service_fn(move |_: Query| {
            hand.fetch_add(slow_for, SeqCst);
            async { Ok::<_, Infallible>(Decision::delegate()) }
        });
        let plan = plan()
            .with(|builder| builder.clock(move || UNIX_EPOCH + Duration::from_secs(now.load(SeqCst))).policy(policy));
        let mut world = LocalWorld::of(plan);
        let reply = world.post(&world.own.access_token(json!({ "exp": NOW + 50 }))).await;
        match left {
            Some(left) => {
                assert_eq!(reply.body["expires_in"], left, "{slow_for}: {reply:?}");
                let claims = segment(reply.body["access_token"].as_str().unwrap(), 1);
                assert_eq!(claims["exp"], NOW + 50, "{slow_for}");
            }
            None => {
                assert_eq!(reply.body["error"], "invalid_request", "{slow_for}: {reply:?}");
                assert_eq!(world.event("expired").reason, Some(Reason::TokenExpired), "{slow_for}");
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_disconnects_leaves_one_event() {
    let entered = Arc::new(Semaphore::new(0));
    let (door, calls) = (Arc::clone(&entered), Arc::new(AtomicUsize::new(0)));
    let policy = service_fn(move |_: Query| {
        let (door, first) = (Arc::clone(&door), calls.fetch_add(1, SeqCst) == 0);
        async move {
            door.add_permits(1);
            if first {
                std::future::pending::<()>().await;
            }
            Ok::<_, Infallible>(Decision::delegate())
        }
    });
    let mut world = plan().with(|builder| builder.policy(policy)).start().await;
    let subject = world.own.access_token(json!({}));
    let body = encode(&exchange_form(&subject, &[]));
    let request = format!(
        "POST /token HTTP/1.1\r\nhost: as.example\r\nauthorization: {}\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
        basic("orders", &secret_of("orders")),
        body.len()
    );
    let mut connection = TcpStream::connect(world.url.trim_start_matches("http://")).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    entered.acquire().await.unwrap().forget();
    assert!(connection.read_u8().now_or_never().is_none(), "the policy does not answer");
    assert!(world.no_event());
    drop(connection);

    let event = world.event().await;
    assert_eq!((event.outcome, event.reason), (Outcome::Error, Some(Reason::ClientGone)));
    assert_eq!(event.error, None, "the client received no error");
    assert_eq!((event.stage, event.granted), (Stage::Policy, None));
    assert_eq!(event.client_id, Some("orders".into()));
    assert_eq!(event.subject.unwrap().sub, "alice");
    assert_eq!(world.exchange(&subject).await.status, StatusCode::OK);
    assert_eq!(world.event().await.outcome, Outcome::Issued);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(world.no_event(), "one event for each attempt");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_attempt_leaves_one_event() {
    for (part, stage) in
        [(PartName::Authenticator, Stage::Client), (PartName::Policy, Stage::Policy), (PartName::Signer, Stage::Issue)]
    {
        for fault in [Fault::Hangs, Fault::HangsBeforeCall] {
            let name = format!("{part:?} {fault:?}");
            let (mut world, switch) = faulty(part);
            *switch.lock().unwrap() = Some(fault);
            let gone = tokio::time::timeout(Duration::from_secs(1), world.exchange()).await;
            assert!(gone.is_err(), "{name}: the part does not answer");
            world.layer.flush_audit().await;
            let event = world.event(&name);
            assert_eq!((event.reason, event.stage, event.error), (Some(Reason::ClientGone), stage, None), "{name}");
        }
    }
}

/// Returns a sink that waits for a permit before it takes an event.
fn gated(sender: mpsc::UnboundedSender<AuditEvent>) -> (Arc<Semaphore>, impl tower_token_exchange::audit::AuditSink) {
    let gate = Arc::new(Semaphore::new(0));
    let door = Arc::clone(&gate);
    let sink = service_fn(move |event: AuditEvent| {
        let (door, sender) = (Arc::clone(&door), sender.clone());
        async move {
            door.acquire().await.unwrap().forget();
            sender.send(event).map_err(|_| io::Error::other("nobody listens"))
        }
    });
    (gate, sink)
}

#[tokio::test(start_paused = true)]
async fn flush_waits_for_all_pending_events() {
    let (sender, events) = mpsc::unbounded_channel();
    let (gate, sink) = gated(sender);
    let mut world = LocalWorld::without_sink(plan().with(|builder| builder.audit(sink)), events);
    world.layer.flush_audit().await; // nothing to wait for

    let answered = Arc::new(Mutex::new(None));
    let mut attempt = Box::pin(world.exchange());
    for _ in 0..50 {
        assert!(attempt.as_mut().now_or_never().is_none(), "no token before its event is taken");
        tokio::task::yield_now().await;
    }
    // The client disconnects while its event is pending. The event does not change.
    drop(attempt);
    let flush = tokio::spawn({
        let (layer, answered) = (world.layer.clone(), Arc::clone(&answered));
        async move {
            layer.flush_audit().await;
            *answered.lock().unwrap() = Some(());
        }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(answered.lock().unwrap().is_none(), "flushed too early");
    gate.add_permits(10);
    flush.await.unwrap();
    let event = world.event("after the flush");
    assert_eq!(event.outcome, Outcome::Issued);
}

type Fields = Vec<(String, String)>;

/// Keeps the target, the level and the fields of each `tracing` event.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<(String, tracing::Level, Fields)>>>);

impl Kept {
    fn audit(&self) -> Vec<(tracing::Level, Fields)> {
        let events = self.0.lock().unwrap();
        let audit = events.iter().filter(|(target, _, fields)| {
            target == "token_exchange::audit" && fields.iter().any(|(name, _)| name == "event_id")
        });
        audit.map(|(_, level, fields)| (*level, fields.clone())).collect()
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Kept {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        struct Reader(Fields);
        impl tracing::field::Visit for Reader {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
                self.0.push((field.name().to_owned(), format!("{value:?}")));
            }
        }
        let mut fields = Reader(Vec::new());
        event.record(&mut fields);
        let metadata = event.metadata();
        self.0.lock().unwrap().push((metadata.target().to_owned(), *metadata.level(), fields.0));
    }
}

/// Keeps the log of all levels, as text.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn listen() -> (Kept, Written, tracing::subscriber::DefaultGuard) {
    let (kept, written) = (Kept::default(), Written::default());
    let writer = written.clone();
    let text = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || writer.clone());
    let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(kept.clone()).with(text));
    (kept, written, guard)
}

#[tokio::test]
async fn a_full_sink_loses_no_event() {
    let (kept, _, _guard) = listen();
    let (sender, mut events) = mpsc::unbounded_channel();
    let (gate, sink) = gated(sender);
    let plan = plan().with(|builder| builder.audit(sink).audit_budget(AuditBudget::unlimited()));
    let (good, layer) = (plan.own.access_token(json!({})), plan.builder.build().unwrap());
    // More attempts of each kind than events that can be pending.
    let authorization = basic("orders", &secret_of("orders"));
    let attempts = 2200;
    let mut under_way = Vec::new();
    for n in 0..attempts {
        let subject = if n % 2 == 0 { &good } else { "x.y.z" };
        let form = encode(&exchange_form(subject, &[]));
        let mut attempt = Box::pin(send(layer.clone(), Some(authorization.clone()), form));
        match attempt.as_mut().now_or_never() {
            None => under_way.push(attempt),
            Some(reply) => assert!(reply.status.is_client_error(), "a token was released before its event: {reply:?}"),
        }
        tokio::task::yield_now().await;
    }
    assert!(under_way.len() >= attempts / 2, "no token is released before its event");
    drop(under_way);
    gate.add_permits(10 * attempts);
    layer.flush_audit().await;
    let (mut taken, mut counted) = (BTreeSet::new(), 0);
    while let Ok(event) = events.try_recv() {
        assert!(taken.insert(event.event_id), "twice");
        // Events of refused attempts for which there was no room are one event with their number.
        counted += event.count - 1;
    }
    for (_, fields) in kept.audit() {
        let (_, id) = fields.iter().find(|(name, _)| name == "event_id").unwrap();
        assert!(taken.insert(id.trim_matches('"').to_owned()), "twice");
    }
    let all = taken.len() + usize::try_from(counted).unwrap();
    assert_eq!(all, attempts, "every attempt is in an event, in the sink or in the log");
}

#[tokio::test]
async fn no_token_or_secret_is_logged() {
    let (kept, written, _guard) = listen();
    let seen = Arc::new(Mutex::new(Vec::<String>::new()));
    let note = |value: &dyn fmt::Debug, seen: &Arc<Mutex<Vec<String>>>| {
        seen.lock().unwrap().push(format!("{value:?} {value:#?}"));
    };
    let plan = plan();
    let key = plan.own.key.clone();
    let (a, b, c) = (Arc::clone(&seen), Arc::clone(&seen), Arc::clone(&seen));
    let fails = Switch::default();
    let kms = {
        let key = key.clone();
        service_fn(move |request: SigningRequest| {
            note(&request, &a);
            let signature = Signature::new(key.sign(&request.signing_input).unwrap());
            note(&signature, &a);
            async { Ok::<_, Infallible>(signature) }
        })
    };
    let keys = key.published_keys().key_set();
    let kms = Faulty { inner: kms, fault: Arc::clone(&fails) };
    let signer = Signer::new(key.key_id().clone(), key.algorithm(), kms, keys).unwrap();
    note(&signer, &seen);
    note(&key, &seen);
    let policy = service_fn(move |query: Query| {
        note(&query, &b);
        async { Ok::<_, Infallible>(Decision::delegate()) }
    });
    let authenticator = service_fn(move |credentials: Credentials| {
        note(&credentials, &c);
        good_authenticator().oneshot(credentials)
    });
    note(&Client::new("orders").secret(secret_of("orders")), &seen);
    let remote = Issuer::new("https://remote.example")
        .jwks_uri("https://remote.example/jwks.json")
        .map_subjects(SubjectMapping::Prefix("r|".into()))
        .allow_presenters(["orders"]);
    let broken = service_fn(|_: Request<Bytes>| async { Err::<http::Response<Bytes>, _>(io::Error::other(CAUSE)) });
    let plan = plan.with(|builder| {
        builder
            .signer(signer)
            .policy(policy)
            .client_authenticator(authenticator)
            .issuers([remote])
            .http(broken)
            .audit(TracingSink)
    });
    note(&plan.builder, &seen);
    let (own, idp) = (plan.own, plan.idp);
    let layer = plan.builder.build().unwrap();
    note(&layer, &seen);

    let good = basic("orders", &secret_of("orders"));
    let guess = basic("orders", "a-guess-at-the-secret");
    let subject = own.access_token(json!({ "email": "alice@private.example" }));
    let far = Minter { iss: "https://remote.example", ..idp.clone() }.foreign(json!({}));
    let expired = own.access_token(json!({ "exp": NOW - 1 }));
    let forged = format!("{}AAAA", &subject[..subject.len() - 4]);
    let opaque = "accVkjcJyb4BWCxGsndESCJQbdFMogUC5PbRDqceLTC";
    let mut issued = Vec::new();
    let secret = secret_of("orders");
    let post = [("client_id", "orders"), ("client_secret", &*secret)];
    let twice = [("client_secret", "a-guess-at-the-secret"), ("client_secret", &*secret)];
    for (authorization, token, more) in [
        (Some(&good), &*subject, &[][..]),
        (Some(&good), &expired, &[]),
        (Some(&good), &forged, &[]),
        (Some(&good), &far, &[("subject_token_type", JWT)]),
        (Some(&good), opaque, &[]),
        (Some(&good), &subject, &[("actor_token", &*expired), ("actor_token_type", ACCESS_TOKEN)]),
        (Some(&good), &subject, &post),
        (Some(&guess), &subject, &[]),
        (None, &subject, &post),
        (None, &subject, &twice),
        (None, &subject, &[("client_assertion", &*far)]),
    ] {
        let mut form = exchange_form(token, &[]);
        for (name, value) in more {
            if *name == "subject_token_type" {
                form.retain(|(known, _)| known != name);
            }
            form.push((*name, *value));
        }
        let reply = send(layer.clone(), authorization.cloned(), encode(&form)).await;
        issued.extend(reply.body["access_token"].as_str().map(str::to_owned));
    }
    for fault in FAULTS.into_iter().filter(|fault| !matches!(fault, Fault::Hangs | Fault::HangsBeforeCall)) {
        *fails.lock().unwrap() = Some(fault);
        send(layer.clone(), Some(good.clone()), encode(&exchange_form(&subject, &[]))).await;
    }
    *fails.lock().unwrap() = Some(Fault::Hangs);
    let form = encode(&exchange_form(&subject, &[]));
    let gone = tokio::time::timeout(Duration::from_millis(50), send(layer.clone(), Some(good.clone()), form)).await;
    assert!(gone.is_err());
    layer.flush_audit().await;

    assert_eq!(issued.len(), 2);
    assert_eq!(kept.audit().len(), 11 + 5 + 1);
    let mut texts = seen.lock().unwrap().clone();
    assert!(texts.len() > 20, "the parts were asked");
    texts.push(String::from_utf8(written.0.lock().unwrap().clone()).unwrap());
    texts.extend(kept.0.lock().unwrap().iter().map(|event| format!("{event:?}")));
    let text = texts.join("\n");
    assert!(text.contains("token_expired") && text.contains("client_gone") && text.contains("jwks_uri"), "{text}");
    let credentials = |header: &str| header.trim_start_matches("Basic ").to_owned();
    let mut forbidden = vec![
        secret_of("orders"),
        "a-guess-at-the-secret".into(),
        credentials(&good),
        credentials(&guess),
        opaque.to_owned(),
        "alice@private.example".into(),
    ];
    for token in [&subject, &far, &expired, &forged].into_iter().chain(&issued) {
        // No part of a token is logged either: neither claims, which are personal data, nor a signature.
        forbidden.extend(token.split('.').skip(1).map(|segment| segment[..40].to_owned()));
    }
    for secret in forbidden {
        let found = text.find(&secret).map(|at| &text[at.saturating_sub(200)..at]);
        assert_eq!(found, None, "{secret} is written");
    }
}

/// The event of a failing sink goes to the log.
#[tokio::test]
async fn an_event_that_no_sink_took_is_logged() {
    let (kept, _, _guard) = listen();
    let (world, switch) = faulty(PartName::Audit);
    for fault in [Fault::Errs, Fault::ErrsBeforeCall, Fault::PanicsInCall, Fault::PanicsInFuture] {
        *switch.lock().unwrap() = Some(fault);
        let before = kept.audit().len();
        assert_eq!(world.exchange().await.status, StatusCode::SERVICE_UNAVAILABLE, "{fault:?}");
        world.post("x.y.z").await;
        assert_eq!(kept.audit().len(), before + 2, "{fault:?}");
    }
}
