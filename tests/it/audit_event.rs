//! Log pipelines and dashboards depend on the names and the values of an audit event, and on its request's span.

use crate::support::*;
use axum::body::Body;
use http::{Request, Response, StatusCode, header};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    convert::Infallible,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_http::{
    request_id::{MakeRequestUuid, SetRequestIdLayer},
    trace::TraceLayer,
};
use tower_token_exchange::{
    Client, Reason, TokenExchangeLayer,
    audit::{AuditEvent, Outcome, TracingSink},
    policy::{Actors, Decision, Names, Query, Rule, Subjects},
    records::Party,
};

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";

#[test]
fn the_json_of_an_event_is_stable() {
    let party = |sub: &str| format!(r#"{{"iss":"https://as.example","sub":"{sub}"}}"#);
    let token = |jti: &str| {
        format!(
            r#"{{"token_type":"{ACCESS_TOKEN}","iss":"https://as.example","jti":"{jti}","exp":1800000600,"binding":null}}"#
        )
    };
    let requested = format!(
        r#"{{"targets":["billing"],"scope":"invoices:read","token_type":"{ACCESS_TOKEN}","subject_token_type":"{ACCESS_TOKEN}","actor_token_type":"{ACCESS_TOKEN}"}}"#
    );
    let granted = format!(
        r#"{{"targets":["billing"],"sub":"alice","scope":"invoices:read","token_type":"{ACCESS_TOKEN}","jti":"issued-1","kid":"key-1","exp":1800000300,"binding":null}}"#
    );
    let fields = [
        ("event_id", r#""event-1""#),
        ("time", "1800000000.0"),
        ("duration_us", "1500"),
        ("count", "1"),
        ("operation", r#""exchange""#),
        ("client_address", r#""192.0.2.7""#),
        ("outcome", r#""issued""#),
        ("stage", r#""answer""#),
        ("error", "null"),
        ("reason", "null"),
        ("detail", "null"),
        ("claimed_client_id", r#""orders""#),
        ("client_id", r#""orders""#),
        ("auth_method", r#""client_secret_basic""#),
        ("proven", "null"),
        ("requested", &requested),
        ("subject", &party("alice")),
        ("subject_origin", "null"),
        ("subject_token", &token("subject-1")),
        ("actor", &party("orders")),
        ("actor_token", &token("actor-1")),
        ("semantics", r#""delegation""#),
        ("act", &format!("[{},{}]", party("orders"), party("web"))),
        ("act_depth", "2"),
        ("policy_id", r#""rule 1""#),
        ("shadow", "null"),
        ("binding", r#""bearer""#),
        ("granted", &granted),
        ("issued_token", "null"),
        ("active", "null"),
        ("alarm", "false"),
        ("request_id", r#""0b2d6a51-9b6f-4c0f-8d0c-3f5a4c1f2e77""#),
        ("trace_id", r#""0af7651916cd43dd8448eb211c80319c""#),
    ];
    let expected: Vec<_> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    let written = serde_json::to_string(&AuditEvent::example()).unwrap();
    assert_eq!(written, format!("{{{}}}", expected.join(",")));
}

#[test]
fn codes_are_written_as_text() {
    let mut event = AuditEvent::example();
    event.outcome = Outcome::Denied;
    (event.reason, event.error) = (Some(Reason::TokenExpired), Some(Reason::TokenExpired.error()));
    let json: Value = serde_json::to_value(&event).unwrap();
    assert_eq!(
        (&json["outcome"], &json["reason"], &json["error"]),
        (&json!("denied"), &json!("token_expired"), &json!("invalid_request"))
    );
}

/// The log of this thread, as lines of JSON.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The audit events; other lines have no event id.
    pub(crate) fn audit_events(&self) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["fields"]["event_id"].is_string()).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn request(token: &str, more: &[(&str, &str)]) -> Request<Body> {
    Request::post("/token")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::AUTHORIZATION, basic("orders", &secret_of("orders")))
        .body(encode(&exchange_form(token, more)).into())
        .unwrap()
}

async fn send(layer: &TokenExchangeLayer, request: Request<Body>) -> StatusCode {
    let inner = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    layer.layer(inner).oneshot(request).await.unwrap().status()
}

/// The same below the layers of tower-http that give a request its id and its span.
async fn send_traced(layer: &TokenExchangeLayer, request: Request<Body>) -> StatusCode {
    let inner = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    let make_span = |request: &Request<Body>| {
        let id = request.headers()["x-request-id"].to_str().unwrap().to_owned();
        tracing::info_span!("request", outer_request_id = id)
    };
    let service = ServiceBuilder::new()
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(TraceLayer::new_for_http().make_span_with(make_span))
        .layer(layer)
        .service(inner);
    service.oneshot(request).await.unwrap().status()
}

#[tokio::test]
async fn events_are_in_the_span_of_their_request() {
    let (log, _guard) = Log::start();
    let plan = plan().with(|builder| builder.audit(TracingSink));
    let (own, layer) = (plan.own, plan.builder.build().unwrap());
    let good = own.access_token(json!({}));
    assert_eq!(send_traced(&layer, request(&good, &[])).await, StatusCode::OK);
    assert_eq!(send_traced(&layer, request("x.y.z", &[])).await, StatusCode::BAD_REQUEST);
    let mut in_query = request(&good, &[]);
    *in_query.uri_mut() = format!("/token?{}", encode(&exchange_form(&good, &[]))).parse().unwrap();
    assert_eq!(send_traced(&layer, in_query).await, StatusCode::BAD_REQUEST);
    let too_large = request(&"x".repeat(2 * 1024 * 1024), &[]);
    assert_eq!(send_traced(&layer, too_large).await, StatusCode::PAYLOAD_TOO_LARGE);

    let events = log.audit_events();
    let reasons: Vec<_> = events.iter().map(|event| event["fields"]["reason"].as_str().unwrap_or("none")).collect();
    assert_eq!(reasons, ["none", "token_malformed", "grant_in_query", "body_too_large"]);
    for event in &events {
        assert_eq!(event["span"]["name"], "request", "{event}");
        assert_eq!(event["span"]["outer_request_id"], event["fields"]["request_id"], "{event}");
    }
    let ids: BTreeSet<_> = events.iter().map(|event| event["fields"]["request_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), events.len(), "every request has an id of its own");
}

#[tokio::test]
async fn a_logged_event_is_in_the_request_span() {
    let (log, _guard) = Log::start();
    let failing = service_fn(|_: AuditEvent| async { Err::<(), _>(io::Error::other("no space left")) });
    let plan = plan().with(|builder| builder.audit(failing));
    let (own, layer) = (plan.own, plan.builder.build().unwrap());
    let good = own.access_token(json!({}));
    assert_eq!(send_traced(&layer, request(&good, &[])).await, StatusCode::SERVICE_UNAVAILABLE);
    let lines: Vec<_> = log.lines().into_iter().filter(|line| line["target"] == "token_exchange::audit").collect();
    assert_eq!(lines.len(), 2, "the problem, then the event: {lines:?}");
    assert!(lines.iter().all(|line| line["span"]["name"] == "request"), "{lines:?}");
}

#[tokio::test]
async fn a_cancelled_request_logs_in_its_span() {
    let (log, _guard) = Log::start();
    let never = service_fn(|_: Query| std::future::pending::<Result<Decision, Infallible>>());
    let plan = plan().with(|builder| builder.audit(TracingSink).policy(never));
    let (own, layer) = (plan.own, plan.builder.build().unwrap());
    let attempt = send_traced(&layer, request(&own.access_token(json!({})), &[]));
    assert!(tokio::time::timeout(Duration::from_millis(20), attempt).await.is_err());
    layer.flush_audit().await;
    let events = log.audit_events();
    assert_eq!(events.len(), 1);
    assert_eq!(
        (&events[0]["fields"]["reason"], &events[0]["span"]["name"]),
        (&json!("client_gone"), &json!("request"))
    );
}

#[tokio::test]
async fn events_carry_the_ids_of_their_request() {
    let mut world = plan().start().await;
    let traceparent = format!("00-{TRACE_ID}-b7ad6b7169203331-01");
    let token = world.own.access_token(json!({}));
    let uuid = "0b2d6a51-9b6f-4c0f-8d0c-3f5a4c1f2e77";
    let mut ids = async |headers: &[(&str, &str)]| {
        let mut request = request(&token, &[]);
        for (name, value) in headers {
            request.headers_mut().append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        assert_eq!(send(&world.layer, request).await, StatusCode::OK);
        let event = world.event().await;
        (event.request_id, event.trace_id)
    };
    let both = [("x-request-id", uuid), ("traceparent", &*traceparent)];
    assert_eq!(ids(&both).await, (Some(uuid.to_owned()), Some(TRACE_ID.to_owned())));
    let (described, _) = ids(&[("x-request-id", "request-1")]).await;
    assert!(described.unwrap().starts_with("[9 characters, hash "), "an id that is no number can be a secret");
    assert_eq!(ids(&[]).await, (None, None));
    let long = "x".repeat(129);
    for hostile in [&*long, "two words", "tab\there"] {
        assert_eq!(ids(&[("x-request-id", hostile), ("traceparent", hostile)]).await, (None, None), "{hostile}");
    }
}

#[tokio::test]
async fn the_fields_of_a_tracing_event_are_stable() {
    let always = ["event_id", "count", "operation", "outcome", "stage", "duration_us"];
    let of_issued_tokens = [
        "client_address",
        "issued_token_jti",
        "issued_token_client_id",
        "issued_token_sub",
        "issued_token_exp",
        "active",
    ];
    let client = ["claimed_client_id", "client_id", "auth_method"];
    let requested = ["requested_targets", "requested_scope", "requested_token_type"];
    let subject = ["subject_iss", "subject_sub", "subject_token_type", "subject_token_jti", "subject_token_exp"];
    let actor = ["actor_iss", "actor_sub", "actor_token_jti"];
    let granted = [
        "semantics",
        "act",
        "act_depth",
        "policy_id",
        "granted_targets",
        "granted_sub",
        "granted_scope",
        "granted_token_type",
        "granted_jti",
        "granted_kid",
        "granted_exp",
    ];
    let ids = ["request_id", "trace_id"];
    let names = |groups: &[&[&str]]| -> BTreeSet<String> {
        groups.iter().flat_map(|group| group.iter()).map(|name| (*name).to_owned()).collect()
    };

    let with_actor = |clients: Vec<_>| {
        let allow = |client: Client| match client.id() == "orders" {
            true => client.allow_actor(Party::new(AS, "agent")),
            false => client,
        };
        clients.into_iter().map(allow).collect()
    };
    let rule = Rule::allow(Names::any(), Subjects::any(), Names::any()).actors(Actors::any()).scopes(Names::any());
    let plan = plan_with(with_actor, |targets| targets).with(|builder| builder.rules([rule]).audit(TracingSink));
    let (own, layer) = (plan.own, plan.builder.build().unwrap());
    let (log, _guard) = Log::start();
    let subject_token = own.access_token(json!({}));
    let actor_token = own.access_token(json!({ "sub": "agent", "client_id": "agent-platform", "jti": "actor-1" }));
    let full = [
        ("actor_token", &*actor_token),
        ("actor_token_type", ACCESS_TOKEN),
        ("scope", "read"),
        ("requested_token_type", ACCESS_TOKEN),
    ];
    let mut complete = request(&subject_token, &full);
    complete.headers_mut().insert("x-request-id", "7".parse().unwrap());
    complete.headers_mut().insert("traceparent", format!("00-{TRACE_ID}-b7ad6b7169203331-01").parse().unwrap());
    assert_eq!(send(&layer, complete).await, StatusCode::OK);
    send(&layer, request("x.y.z", &[])).await;
    send(&layer, request(&"x".repeat(2 * 1024 * 1024), &[])).await;

    let events = log.audit_events();
    let found: Vec<(&str, BTreeSet<String>)> = events
        .iter()
        .map(|event| {
            let fields = event["fields"].as_object().unwrap().keys().cloned().collect();
            (event["level"].as_str().unwrap(), fields)
        })
        .collect();
    let issued = names(&[&always, &client, &requested, &subject, &actor, &granted, &ids]);
    assert_eq!(found[0], ("INFO", issued));
    let malformed = names(&[&always, &client, &["requested_targets", "detail", "error", "reason"]]);
    assert_eq!(found[1], ("WARN", malformed));
    assert_eq!(found[2], ("WARN", names(&[&always, &["error", "reason"]])));
    assert_eq!(found.len(), 3);

    let all: &[&[&str]] = &[&always, &client, &requested, &subject, &actor, &granted, &ids, &of_issued_tokens];
    let all = &names(all) | &names(&[&["error", "reason", "detail", "shadow", "alarm"]]);
    let page = include_str!("../../src/audit/sink.rs").lines().filter_map(|line| line.strip_prefix("/// | `"));
    let documented: Vec<_> = page.map(|row| row.split('`').next().unwrap().to_owned()).collect();
    assert_eq!(documented.len(), all.len(), "no field twice");
    assert_eq!(documented.into_iter().collect::<BTreeSet<_>>(), all, "the documentation of `TracingSink`");

    let field = |name: &str| &events[0]["fields"][name];
    assert_eq!((field("outcome"), field("semantics")), (&json!("issued"), &json!("delegation")));
    assert_eq!(
        (field("subject_sub"), field("actor_sub"), field("client_id")),
        (&json!("alice"), &json!("agent"), &json!("orders"))
    );
    assert_eq!(field("act"), &json!(json!([{ "iss": AS, "sub": "agent" }]).to_string()));
    assert_eq!((field("subject_token_jti"), field("actor_token_jti")), (&json!("subject-1"), &json!("actor-1")));
    assert_eq!((field("request_id"), field("trace_id")), (&json!("7"), &json!(TRACE_ID)));
}
