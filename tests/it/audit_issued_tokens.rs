//! Introspection and revocation leave events too, and every event says from where an attempt came.

use crate::support::*;
use axum::body::Body;
use http::{Request, Response, StatusCode, header};
use serde_json::{Value, json};
use std::{convert::Infallible, io, net::IpAddr};
use tokio::sync::mpsc;
use tower::{Layer, ServiceExt, service_fn};
use tower_token_exchange::{
    Reason, TokenExchangeLayer,
    audit::{AuditEvent, JsonLinesSink, Operation, Outcome},
    client_auth::ClientAddress,
    revocation::MemoryRevocations,
};

const ADDRESS: [u8; 4] = [192, 0, 2, 7];

struct Endpoints {
    layer: TokenExchangeLayer,
    own: Minter,
    events: mpsc::UnboundedReceiver<AuditEvent>,
}

fn endpoints() -> Endpoints {
    let (sender, events) = mpsc::unbounded_channel();
    let plan = planned().with(|builder| builder.audit(recorder(sender)));
    Endpoints { layer: plan.builder.build().unwrap(), own: plan.own, events }
}

fn planned() -> Plan {
    plan().with(|builder| {
        builder
            .introspection_endpoint("/introspect")
            .revocation_endpoint("/revoke")
            .revocations(MemoryRevocations::new(100))
    })
}

async fn send(layer: &TokenExchangeLayer, target: &str, authorization: Option<&str>, form: &str) -> StatusCode {
    let inner = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    let mut request = Request::post(target).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    if let Some(authorization) = authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    let mut request = request.body(Body::from(form.to_owned())).unwrap();
    request.extensions_mut().insert(ClientAddress::new(IpAddr::from(ADDRESS)));
    layer.layer(inner).oneshot(request).await.unwrap().status()
}

#[tokio::test]
async fn every_attempt_for_an_issued_token_leaves_an_event() {
    let Endpoints { layer, own, mut events } = endpoints();
    let token = own.access_token(json!({ "client_id": "orders", "jti": "issued-1" }));
    let form = encode(&[("token", &token)]);
    let good = |client: &str| Some(basic(client, &secret_of(client)));
    let (wrong, twice) = (Some(basic("orders", "a-wrong-secret-of-length")), format!("{form}&{form}"));
    let in_query = format!("/introspect?{form}");
    let (introspected, revoked, denied) = (Outcome::Introspected, Outcome::Revoked, Outcome::Denied);
    let (asks, revokes) = (Operation::Introspection, Operation::Revocation);
    for (target, authorization, form, operation, outcome, reason, client, active) in [
        ("/introspect", good("orders"), &form, asks, introspected, None, Some("orders"), Some(true)),
        ("/introspect", good("reports"), &form, asks, introspected, None, Some("reports"), Some(false)),
        ("/introspect", wrong.clone(), &form, asks, denied, Some(Reason::ClientRejected), None, None),
        ("/introspect", None, &form, asks, denied, Some(Reason::ClientCredentialsMissing), None, None),
        ("/introspect", good("orders"), &twice, asks, denied, Some(Reason::RepeatedParameter), None, None),
        (&in_query, good("orders"), &form, asks, denied, Some(Reason::IssuedTokenMisplaced), None, None),
        ("/revoke", wrong, &form, revokes, denied, Some(Reason::ClientRejected), None, None),
        ("/revoke", good("billing"), &form, revokes, denied, Some(Reason::TokenNotHeld), Some("billing"), None),
        ("/revoke", good("orders"), &form, revokes, revoked, None, Some("orders"), None),
        ("/introspect", good("orders"), &form, asks, introspected, None, Some("orders"), Some(false)),
    ] {
        let status = send(&layer, target, authorization.as_deref(), form).await;
        layer.flush_audit().await;
        let event = events.try_recv().unwrap_or_else(|_| panic!("no event for {target} {reason:?}"));
        assert_eq!((event.operation, event.outcome, event.reason), (operation, outcome, reason), "{target}");
        assert_eq!(event.client_id.as_ref().map(|id| id.as_str()), client, "{reason:?}");
        assert_eq!((event.active, event.client_address), (active, Some(IpAddr::from(ADDRESS))), "{reason:?}");
        assert_eq!(status.is_success(), reason.is_none(), "{reason:?}");
        if !target.contains('?') {
            let facts = event.issued_token.unwrap();
            assert_eq!(facts.jti.unwrap(), "issued-1", "{reason:?}");
            // Whose token it is concerns only an authenticated client.
            let expected = client.map(|_| ("orders", "alice"));
            let found = facts.client_id.as_ref().map(|id| id.as_str()).zip(facts.sub.as_deref());
            assert_eq!(found, expected, "{reason:?}");
        }
        assert!(events.try_recv().is_err(), "one event for each attempt");
    }
}

#[tokio::test]
async fn a_request_that_is_passed_leaves_no_event() {
    let Endpoints { layer, mut events, .. } = endpoints();
    for path in ["/introspect", "/revoke"] {
        send(&layer, path, Some("Bearer whatever"), "token=opaque").await;
    }
    layer.flush_audit().await;
    assert!(events.try_recv().is_err());
}

#[tokio::test]
async fn every_refused_exchange_has_its_address() {
    let Endpoints { layer, own, mut events } = endpoints();
    let good = encode(&exchange_form(&own.access_token(json!({})), &[]));
    let in_query = format!("/token?{good}");
    for (target, form) in
        [("/token", &*good), ("/token", "grant_type=%zz"), (&in_query, ""), ("/token", &"x".repeat(2 << 20))]
    {
        send(&layer, target, Some(&basic("orders", &secret_of("orders"))), form).await;
    }
    layer.flush_audit().await;
    while let Ok(event) = events.try_recv() {
        assert_eq!(event.client_address, Some(IpAddr::from(ADDRESS)), "{:?}", event.reason);
    }
}

#[tokio::test]
async fn a_revocation_is_confirmed_after_its_event() {
    for (best_effort, status) in [(false, StatusCode::SERVICE_UNAVAILABLE), (true, StatusCode::OK)] {
        let full = service_fn(|_: AuditEvent| async { Err::<(), _>(io::Error::other("no space left")) });
        let plan = planned().with(|builder| builder.audit(full));
        let plan = plan.with(|builder| if best_effort { builder.best_effort_audit() } else { builder });
        let (own, layer) = (plan.own, plan.builder.build().unwrap());
        let form = encode(&[("token", &own.access_token(json!({ "client_id": "orders" })))]);
        let authorization = basic("orders", &secret_of("orders"));
        assert_eq!(send(&layer, "/revoke", Some(&authorization), &form).await, status, "{best_effort}");
        // An introspection changes nothing, so its answer does not depend on the sink.
        assert_eq!(send(&layer, "/introspect", Some(&authorization), &form).await, StatusCode::OK);
    }
}

#[tokio::test]
async fn the_json_of_a_revocation_is_stable() {
    let directory = crate::audit_json_lines::Directory::new("revocation");
    let path = directory.join("audit.jsonl");
    let plan = planned().with(|builder| builder.audit(JsonLinesSink::file(&path).unwrap()));
    let (own, layer) = (plan.own, plan.builder.build().unwrap());
    let form = encode(&[("token", &own.access_token(json!({ "client_id": "orders", "jti": "issued-1" })))]);
    assert_eq!(send(&layer, "/revoke", Some(&basic("orders", &secret_of("orders"))), &form).await, StatusCode::OK);
    let event: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    for (name, value) in [
        ("operation", json!("revocation")),
        ("outcome", json!("revoked")),
        ("stage", json!("answer")),
        ("client_id", json!("orders")),
        ("client_address", json!("192.0.2.7")),
        ("auth_method", json!("client_secret_basic")),
        ("issued_token", json!({ "jti": "issued-1", "client_id": "orders", "sub": "alice", "exp": NOW + 600 })),
        ("active", Value::Null),
        ("count", json!(1)),
    ] {
        assert_eq!(event[name], value, "{name}");
    }
}
