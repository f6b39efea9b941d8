//! Requests that are refused cannot flood the audit, and cannot delay the event of an issued token.

use crate::{audit_event::Log, audit_json_lines::Gated, support::*};
use axum::body::Body;
use futures_util::future::join_all;
use http::{Request, Response, StatusCode, header};
use serde_json::json;
use std::{collections::BTreeMap, convert::Infallible, net::IpAddr};
use tokio::sync::mpsc;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_token_exchange::{
    GRANT_TYPE, Reason, TokenExchangeLayer,
    audit::{AuditBudget, AuditEvent, JsonLinesSink, Outcome},
    client_auth::ClientAddress,
};

/// The largest event of a client that is not authenticated, as a line of JSON.
const MAX_EVENT: usize = 1024;

fn request(authorization: Option<&str>, body: String, address: Option<&str>) -> Request<Body> {
    let mut request = Request::post("/token").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    if let Some(authorization) = authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    let mut request = request.body(Body::from(body)).unwrap();
    if let Some(address) = address {
        request.extensions_mut().insert(ClientAddress::new(address.parse::<IpAddr>().unwrap()));
    }
    request
}

async fn send(layer: &TokenExchangeLayer, request: Request<Body>) -> StatusCode {
    let inner = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    layer.layer(inner).oneshot(request).await.unwrap().status()
}

fn good() -> String {
    basic("orders", &secret_of("orders"))
}

fn recorded(budget: AuditBudget) -> (TokenExchangeLayer, Minter, mpsc::UnboundedReceiver<AuditEvent>) {
    let (sender, events) = mpsc::unbounded_channel();
    let plan = plan().with(|builder| builder.audit_budget(budget).audit(recorder(sender)));
    (plan.builder.build().unwrap(), plan.own, events)
}

fn all(events: &mut mpsc::UnboundedReceiver<AuditEvent>) -> Vec<AuditEvent> {
    std::iter::from_fn(|| events.try_recv().ok()).collect()
}

#[tokio::test]
async fn an_event_before_authentication_is_small() {
    let (layer, _, mut events) = recorded(AuditBudget::default());
    let long = "\"\u{1f600}\\".repeat(80);
    let types = ["subject_token_type", "actor_token_type", "requested_token_type", "subject_token", "actor_token"];
    let mut form: Vec<(&str, &str)> = types.iter().map(|name| (*name, &*long)).collect();
    form.extend([("grant_type", GRANT_TYPE), ("scope", &long)]);
    form.extend([("audience", &*long); 50]);
    let client = [("client_id", &*long), ("client_secret", &*long)];
    let mut with_client = form.clone();
    with_client.extend(client);
    let mut asserted = with_client.clone();
    asserted.push(("client_assertion", &long));
    let repeated = [&form[..], &[("scope", &*long)]].concat();
    let long_id = basic(&"\"".repeat(5000), "x");
    for (authorization, form) in [
        (None, &form),
        (None, &with_client),
        (None, &asserted),
        (None, &repeated),
        (Some(&*long_id), &form),
        (Some("Basic \"\"\"\""), &form),
        (Some("Unknown"), &form),
    ] {
        let mut request = request(authorization, encode(form), Some("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"));
        let headers = request.headers_mut();
        headers.insert("x-request-id", "\"".repeat(128).parse().unwrap());
        headers.insert("traceparent", format!("00-{}-{}-01", "a".repeat(32), "b".repeat(16)).parse().unwrap());
        assert!(send(&layer, request).await.is_client_error());
        let event = events.recv().await.unwrap();
        let line = serde_json::to_string(&event).unwrap();
        assert!(line.len() < MAX_EVENT, "{} bytes: {line}", line.len());
        assert!(event.client_id.is_none() && event.request_id.is_some() && event.trace_id.is_some());
    }
}

#[tokio::test]
async fn attempts_beyond_the_budget_are_counted_exactly() {
    let (layer, own, mut events) = recorded(AuditBudget::default().before_authentication(8).after_authentication(8));
    let token = own.access_token(json!({}));
    let issued = encode(&exchange_form(&token, &[]));
    let denied = encode(&exchange_form("x.y.z", &[]));
    let (good, wrong) = (good(), basic("orders", "a-wrong-secret-of-length"));
    let kinds = [
        (Some(&*good), &issued, 20, None),
        (Some(&good), &denied, 70, Some(Reason::TokenMalformed)),
        (Some(&wrong), &issued, 80, Some(Reason::ClientRejected)),
        (None, &issued, 90, Some(Reason::ClientCredentialsMissing)),
    ];
    let requests = kinds.iter().flat_map(|(authorization, form, count, _)| {
        std::iter::repeat_with(|| send(&layer, request(*authorization, (*form).clone(), Some("192.0.2.7"))))
            .take(*count)
    });
    join_all(requests).await;
    layer.flush_audit().await;

    let events = all(&mut events);
    let mut counts = BTreeMap::new();
    for event in &events {
        *counts.entry(event.reason.map(|reason| reason.code())).or_insert(0) += event.count as usize;
        let is_summary = event.count > 1;
        assert!(!is_summary || (event.client_address.is_none() && event.outcome == Outcome::Denied), "{event:?}");
    }
    let expected = kinds.map(|(_, _, count, reason)| (reason.map(|reason| reason.code()), count));
    assert_eq!(counts, BTreeMap::from(expected), "the sum of the counts is the number of attempts");
    let written = |is: fn(&AuditEvent) -> bool| events.iter().filter(|event| is(event)).count();
    assert_eq!(written(|event| event.outcome == Outcome::Issued), 20, "every issued token has an event of its own");
    assert!(written(|event| event.outcome == Outcome::Denied) < 100, "most refused attempts are only counted");
}

#[tokio::test(start_paused = true)]
async fn the_number_of_suppressed_attempts_is_written_soon() {
    let (layer, _, mut events) = recorded(AuditBudget::default().before_authentication(0));
    for _ in 0..3 {
        send(&layer, request(None, encode(&[("grant_type", GRANT_TYPE)]), None)).await;
    }
    let summary = tokio::time::timeout(std::time::Duration::from_secs(2), events.recv()).await.unwrap().unwrap();
    assert_eq!((summary.count, summary.reason), (3, Some(Reason::ClientCredentialsMissing)));
    send(&layer, request(None, encode(&[("grant_type", GRANT_TYPE)]), None)).await;
    assert_eq!(events.recv().await.unwrap().count, 1, "a summary can stand for one attempt");
}

#[tokio::test]
async fn one_address_leaves_room_for_others() {
    let (layer, _, mut events) = recorded(AuditBudget::default().before_authentication(40));
    let form = encode(&[("grant_type", GRANT_TYPE)]);
    // The addresses of one IPv6 network count as one client.
    let flood = (0..200).map(|n| format!("2001:db8::{n:x}"));
    let other = (0..5).map(|_| "192.0.2.7".to_owned());
    for address in flood.chain(other) {
        send(&layer, request(None, form.clone(), Some(&address))).await;
    }
    layer.flush_audit().await;
    let other = Some("192.0.2.7".parse().unwrap());
    assert_eq!(all(&mut events).iter().filter(|event| event.client_address == other).count(), 5);
}

#[tokio::test]
async fn a_failing_sink_fills_no_log() {
    let (log, _guard) = Log::start();
    let full = service_fn(|_: AuditEvent| async { Err::<(), _>("no space left") });
    let plan = plan().with(|builder| builder.audit_budget(AuditBudget::default()).audit(full));
    let layer = plan.builder.build().unwrap();
    for _ in 0..2000 {
        send(&layer, request(None, encode(&[("grant_type", GRANT_TYPE)]), None)).await;
    }
    layer.flush_audit().await;
    let events = log.audit_events();
    assert!(events.len() < 1000, "{} events in the log", events.len());
    let count: u64 = events.iter().map(|event| event["fields"]["count"].as_u64().unwrap()).sum();
    assert_eq!(count, 2000, "no attempt is lost");
}

/// The event of an issued token waits for no more than the line that is being written.
#[tokio::test(flavor = "multi_thread")]
async fn an_issued_event_passes_refused_ones() {
    let (gated, go, memory) = Gated::new();
    let sink = JsonLinesSink::writer(gated);
    let mut refused = AuditEvent::example();
    (refused.outcome, refused.granted) = (Outcome::Denied, None);
    let mut waiting: Vec<_> = (0..50).map(|_| tokio::spawn(sink.clone().call(refused.clone()))).collect();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    waiting.push(tokio::spawn(sink.clone().call(AuditEvent::example())));
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    // The writer of the test takes a whole line at once.
    go.send(()).unwrap();
    go.send(()).unwrap();
    waiting.pop().unwrap().await.unwrap().unwrap();
    let outcomes: Vec<String> = memory
        .text()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["outcome"].to_string())
        .collect();
    assert_eq!(outcomes, [r#""denied""#, r#""issued""#]);
    (0..49).for_each(|_| go.send(()).unwrap());
    for line in waiting {
        line.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_line_that_nobody_waits_for_is_not_written() {
    let (gated, go, memory) = Gated::new();
    let sink = JsonLinesSink::writer(gated);
    let first = tokio::spawn(sink.clone().call(AuditEvent::example()));
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let late = tokio::time::timeout(std::time::Duration::from_millis(50), sink.clone().call(AuditEvent::example()));
    assert!(late.await.is_err(), "the time of a token is over, and the token is withheld");
    go.send(()).unwrap();
    first.await.unwrap().unwrap();
    go.send(()).unwrap();
    sink.clone().call(AuditEvent::example()).await.unwrap();
    assert_eq!(memory.text().lines().count(), 2);
}
