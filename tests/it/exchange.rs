//! The answer and the issued token of a successful exchange, over real HTTP.

use crate::support::*;
use http::StatusCode;
use serde_json::json;
use tower_token_exchange::policy::Semantics;

#[tokio::test]
async fn a_delegation_answers_with_every_required_member() {
    let mut world = plan().start().await;
    let subject = world.own.access_token(json!({ "acr": "high", "amr": ["pwd"], "auth_time": 7, "roles": ["admin"] }));
    let reply = world.exchange(&subject).await;

    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    assert_eq!(reply.headers["content-type"], "application/json");
    assert_eq!(reply.headers["cache-control"], "no-store");
    assert_eq!(reply.headers["pragma"], "no-cache");
    let mut body = reply.json();
    let token = body["access_token"].take();
    let expected = json!({
        "access_token": null, "issued_token_type": ACCESS_TOKEN, "token_type": "Bearer", "expires_in": 300,
        "scope": "read write",
    });
    assert_eq!(body, expected);

    let header = segment(token.as_str().unwrap(), 0);
    assert_eq!(header, json!({ "alg": "ES256", "kid": world.own.key.key_id(), "typ": "at+jwt" }));
    let mut claims = reply.claims();
    assert_eq!(claims["jti"].take().as_str().unwrap().len(), 22);
    let expected = json!({
        "iss": AS, "sub": "alice", "aud": "https://billing.example", "exp": NOW + 300, "iat": NOW, "jti": null,
        "client_id": "orders", "scope": "read write", "act": { "sub": "orders" }, "auth_time": 7, "acr": "high",
        "amr": ["pwd"],
    });
    assert_eq!(claims, expected, "claims come from a list, not from the subject token");

    let event = world.event().await;
    assert_eq!(event.outcome.as_str(), "issued");
    assert_eq!(event.semantics, Some(Semantics::Delegation));
    assert!(world.no_event());
}
