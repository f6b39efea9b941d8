//! What a client gets that is refused, and what the operator learns.

use super::*;
use crate::jwks::{Answer, Jwks, loopback};
use tower_token_exchange::{
    Reason::*,
    audit::{Operation, Outcome, Stage},
    resource::PartySet,
};

#[tokio::test]
async fn a_malformed_request_gets_its_own_challenge() {
    let own = issuer();
    let mut service = Service::start(builder(&own).rules(everybody())).await;
    let good = format!("Bearer {}", token(&own, json!({})));
    let bare = r#"Bearer"#;
    let wrong = |text: &str| format!(r#"Bearer error="invalid_request", error_description="{text}""#);
    let in_query = wrong("the access token belongs in the Authorization header");
    let several = wrong("more than one access token");
    let malformed = wrong("the Authorization header is malformed");
    for (name, path, headers, status, reason, challenge) in [
        ("no header", "/who", vec![], 401, AccessTokenMissing, bare),
        ("another scheme", "/who", vec![("authorization", "Basic YTpi")], 401, AccessTokenMissing, bare),
        ("two headers", "/who", vec![("authorization", &*good); 2], 400, SeveralAccessTokens, &several),
        ("a token in the query", "/who?access_token=a", vec![], 400, AccessTokenInQuery, &in_query),
        ("both", "/who?x=1&access%5Ftoken=a", vec![("authorization", &*good)], 400, AccessTokenInQuery, &in_query),
        ("no token", "/who", vec![("authorization", "Bearer")], 400, AccessTokenMalformed, &malformed),
        ("two tokens", "/who", vec![("authorization", "Bearer a b")], 400, AccessTokenMalformed, &malformed),
        ("two spaces", "/who", vec![("authorization", "Bearer  a")], 400, AccessTokenMalformed, &malformed),
        ("a list", "/who", vec![("authorization", "Bearer a, Bearer b")], 400, AccessTokenMalformed, &malformed),
    ] {
        let reply = service.get(path, &headers).await;
        let event = service.event().await;
        assert_eq!((reply.status.as_u16(), event.reason), (status, Some(reason)), "{name}: {}", reply.text);
        assert_eq!(challenges(&reply.headers), [challenge], "{name}");
        assert_eq!(reply.headers[header::CACHE_CONTROL], "no-store", "{name}");
        assert_eq!((event.operation, event.stage), (Operation::Access, Stage::Request), "{name}");
        assert!(service.no_event(), "{name}: one event");
    }
    let lower_case = service.get("/who", &[("authorization", &good.replace("Bearer", "bearer"))]).await;
    assert_eq!(lower_case.status, StatusCode::OK, "the name of a scheme has no case");
}

#[tokio::test]
async fn a_missing_scope_is_named() {
    let own = issuer();
    let mut service = Service::start(builder(&own).rules([AccessRule::any_actor().scopes(["read", "pay"])])).await;
    let reply = service.get_as(&token(&own, json!({}))).await;
    assert_eq!((reply.status, reply.error()), (StatusCode::FORBIDDEN, "insufficient_scope".to_owned()));
    let challenge =
        r#"Bearer error="insufficient_scope", error_description="the access token lacks a scope", scope="read pay""#;
    assert_eq!(challenges(&reply.headers), [challenge]);
    assert_eq!(service.event().await.reason, Some(AccessScopeInsufficient));
}

#[tokio::test]
async fn an_old_login_gets_a_step_up_challenge() {
    let own = issuer();
    let rule = AccessRule::any_actor().require_acr(["mfa", "hwk"]).max_auth_age(Duration::from_secs(300));
    let mut service = Service::start(builder(&own).rules([rule])).await;
    let fresh = json!({ "acr": "hwk", "auth_time": NOW - 300 });
    assert_eq!(service.get_as(&token(&own, fresh)).await.status, StatusCode::OK);
    for changes in [
        json!({}),
        json!({ "acr": "hwk", "auth_time": NOW - 301 }),
        json!({ "acr": "hwk", "auth_time": NOW + 61 }),
        json!({ "acr": "hwk", "auth_time": "now" }),
        json!({ "acr": "hwk" }),
        json!({ "acr": "mfa hwk", "auth_time": NOW }),
        json!({ "acr": ["hwk"], "auth_time": NOW }),
    ] {
        let reply = service.get_as(&token(&own, changes.clone())).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{changes}");
        let challenge = "Bearer error=\"insufficient_user_authentication\", \
            error_description=\"the user must log in again or more strongly\", acr_values=\"mfa hwk\", max_age=\"300\"";
        assert_eq!(challenges(&reply.headers), [challenge], "{changes}");
        assert_eq!(service.event().await.reason, Some(StepUpRequired), "{changes}");
    }
}

#[tokio::test]
async fn a_refused_actor_gets_no_challenge() {
    let own = issuer();
    let rule = AccessRule::with_actor(PartySet::of(AS, ["orders"]));
    let mut service = Service::start(builder(&own).rules([rule])).await;
    let reply = service.get_as(&token(&own, json!({ "act": { "sub": "web", "act": { "sub": "orders" } } }))).await;
    let told = json!({
        "error": "access_denied", "error_description": "the access token does not permit this request",
    });
    assert_eq!((reply.status, reply.json()), (StatusCode::FORBIDDEN, told));
    assert!(challenges(&reply.headers).is_empty(), "another token of the same parties would not help");
    let event = service.event().await;
    assert_eq!((event.reason, event.outcome, event.stage), (Some(AccessActorRefused), Outcome::Denied, Stage::Policy));
    let named = (event.subject.unwrap().sub, event.actor.unwrap().sub, event.client_id.unwrap(), event.act.len());
    assert_eq!(named, ("alice".into(), "web".into(), "web".into(), 2));
    let known = event.subject_token.unwrap();
    assert_eq!((known.iss.as_str(), known.jti.unwrap().as_str()), (AS, "subject-1"));
    assert_eq!(event.detail.as_deref(), Some("rule 1 came closest"));
}

#[tokio::test]
async fn an_issuer_that_is_down_is_no_refusal() {
    let own = issuer();
    let jwks = Jwks::up(Answer::status(500)).await;
    let remote = ResourceServerLayer::builder(BILLING)
        .clock(|| UNIX_EPOCH + Duration::from_secs(NOW))
        .issuers([Issuer::new(AS).jwks_uri(jwks.url())])
        .http(loopback())
        .rules(everybody());
    let mut service = Service::start(remote).await;
    let reply = service.get_as(&token(&own, json!({}))).await;
    assert_eq!((reply.status, reply.error()), (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable".to_owned()));
    assert!(reply.headers.contains_key(header::RETRY_AFTER) && challenges(&reply.headers).is_empty());
    let event = service.event().await;
    assert_eq!((event.reason, event.outcome), (Some(IssuerKeysUnavailable), Outcome::Error));
}

#[tokio::test]
async fn the_request_id_and_the_reason_are_known() {
    let own = issuer();
    let mut service = Service::start(builder(&own).rules(everybody())).await;
    let id = "b0a3c1f2-9d4e-4f6a-8b7c-0123456789ab";
    service.get("/who", &[("x-request-id", id), ("authorization", "Bearer eyJhbGciOiJub25lIn0.e30.")]).await;
    let event = service.event().await;
    assert_eq!(event.request_id.as_deref(), Some(id));
    assert!(event.duration > Duration::ZERO);
}
