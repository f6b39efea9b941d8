//! A resource server: which access tokens reach the wrapped service, and what everybody else gets.

mod challenges;
mod corpora;
mod differential;
#[cfg(feature = "tonic")]
mod grpc;
mod issuers;
mod metadata;
mod possession;
mod rules;
mod tokens;
mod wrapped;

use crate::support::*;
use axum::{Json, Router, routing::get};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use serde_json::{Value, json};
use std::time::{Duration, UNIX_EPOCH};
use tokio::{net::TcpListener, sync::mpsc};
use tower::ServiceExt;
use tower_token_exchange::{
    Issuer, Reason,
    audit::{AuditBudget, AuditEvent},
    fetch::HttpFetch,
    resource::{AccessRule, AccessToken, ResourceServerBuilder, ResourceServerLayer},
    signing::Algorithm,
};

/// The identifier of the resource server, and the `aud` of its tokens.
pub(crate) const BILLING: &str = "https://billing.example";
/// The text for every token that is not acceptable.
pub(crate) const NOT_ACCEPTABLE: &str = "the access token is not acceptable";

/// The builder of most tests. Every genuine token may use the resource.
pub(crate) fn builder(own: &Minter) -> ResourceServerBuilder {
    ResourceServerLayer::builder(BILLING)
        .clock(|| UNIX_EPOCH + Duration::from_secs(NOW))
        .issuers([Issuer::new(AS).keys(own.keys())])
        .audit_budget(AuditBudget::unlimited())
}

pub(crate) fn issuer() -> Minter {
    Minter::new(AS, Algorithm::ES256)
}

/// An access token for the resource server.
pub(crate) fn token(own: &Minter, changes: Value) -> String {
    own.access_token(merged(json!({ "aud": BILLING }), changes))
}

/// The changes with further changes. A `null` stays, because it removes a claim.
pub(crate) fn merged(mut changes: Value, further: Value) -> Value {
    changes.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    changes
}

/// A resource server on loopback.
pub(crate) struct Service {
    pub(crate) url: String,
    http: HttpFetch,
    events: mpsc::UnboundedReceiver<AuditEvent>,
}

/// Says whose token the handler got.
async fn who(token: AccessToken) -> Json<Value> {
    Json(json!({
        "sub": token.subject().sub,
        "actors": token.actors().iter().map(|actor| actor.sub.as_str()).collect::<Vec<_>>(),
        "scope": token.scope(),
    }))
}

/// Says whether the handler got a token.
async fn maybe(token: Option<AccessToken>) -> Json<Value> {
    Json(json!({ "sub": token.map(|token| token.subject().sub.clone()) }))
}

impl Service {
    pub(crate) async fn start(builder: ResourceServerBuilder) -> Self {
        Self::start_with(builder, |router| router).await
    }

    /// Starts a server with further routes inside of the layer.
    pub(crate) async fn start_with(builder: ResourceServerBuilder, routes: impl FnOnce(Router) -> Router) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let layer = builder.audit(recorder(sender)).build().unwrap();
        let app = routes(Router::new().route("/who", get(who).post(who)).route("/maybe", get(maybe))).layer(layer);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let http = HttpFetch::builder().allow_loopback_http().timeout(Duration::from_secs(30)).build().unwrap();
        Self { url, http, events }
    }

    pub(crate) async fn send(&self, request: http::request::Builder) -> Reply {
        let request: Request<Bytes> = request.body(Bytes::new()).unwrap();
        let (parts, body) = self.http.clone().oneshot(request).await.unwrap().into_parts();
        Reply { status: parts.status, headers: parts.headers, text: String::from_utf8(body.to_vec()).unwrap() }
    }

    /// A `GET` with these headers.
    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let request = Request::get(format!("{}{path}", self.url));
        self.send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    }

    /// A `GET` with a bearer token.
    pub(crate) async fn get_as(&self, token: &str) -> Reply {
        self.get("/who", &[("authorization", &format!("Bearer {token}"))]).await
    }

    pub(crate) async fn event(&mut self) -> AuditEvent {
        tokio::time::timeout(Duration::from_secs(5), self.events.recv()).await.expect("an audit event").unwrap()
    }

    /// Whether there is no further audit event.
    pub(crate) fn no_event(&mut self) -> bool {
        self.events.try_recv().is_err()
    }

    /// Checks that a token is refused with the one text, and returns the reason.
    pub(crate) async fn refused(&mut self, token: &str, name: &str) -> Option<Reason> {
        let reply = self.get_as(token).await;
        assert_not_acceptable(&reply, name);
        let event = self.event().await;
        assert!(!format!("{event:?}").contains(token), "{name}: the token is in the event");
        event.reason
    }
}

/// Checks the answer for every token that is not acceptable.
pub(crate) fn assert_not_acceptable(reply: &Reply, name: &str) {
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{name}: {}", reply.text);
    let expected = json!({ "error": "invalid_token", "error_description": NOT_ACCEPTABLE });
    assert_eq!(reply.json(), expected, "{name}");
    let challenge = format!(r#"Bearer error="invalid_token", error_description="{NOT_ACCEPTABLE}""#);
    assert_eq!(challenges(&reply.headers), [challenge], "{name}");
}

/// The values of `WWW-Authenticate`.
pub(crate) fn challenges(headers: &HeaderMap) -> Vec<String> {
    headers.get_all(header::WWW_AUTHENTICATE).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

pub(crate) fn everybody() -> [AccessRule; 1] {
    [AccessRule::any_actor()]
}
