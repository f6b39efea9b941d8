//! A layer without a server, for requests with extensions.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test binary uses only some of these items")]

use crate::support::*;
use axum::body::Body;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::convert::Infallible;
use tokio::sync::mpsc;
use tower::{Layer, ServiceExt, service_fn};
use tower_token_exchange::{Client, TokenExchangeLayer, audit::AuditEvent, client_auth::ProxyCertificatesLayer};

/// A layer without a server, so that a request can have extensions.
pub struct InProcess {
    pub layer: TokenExchangeLayer,
    pub own: Minter,
    /// The layer outside of the exchange.
    outer: ProxyCertificatesLayer,
    events: mpsc::UnboundedReceiver<AuditEvent>,
}

impl InProcess {
    pub fn new(plan: Plan) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let layer = plan.builder.audit(recorder(sender)).build().unwrap();
        Self { layer, own: plan.own, outer: ProxyCertificatesLayer::new([], |_| None), events }
    }

    /// Puts a layer outside of the exchange.
    pub fn behind(mut self, outer: ProxyCertificatesLayer) -> Self {
        self.outer = outer;
        self
    }

    /// Sends a form to the token endpoint. Returns the status, the `error`, and the event.
    pub async fn post(
        &mut self,
        more: &[(&str, &str)],
        change: impl FnOnce(&mut Request<Body>),
    ) -> (StatusCode, String, AuditEvent) {
        let subject = self.own.access_token(json!({}));
        let form = Body::from(encode(&exchange_form(&subject, more)));
        let mut request = Request::post("/token").body(form).unwrap();
        request.headers_mut().insert(header::CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
        change(&mut request);
        let wrapped = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(http::Response::new(Body::empty())) });
        let service = self.outer.layer(self.layer.layer(wrapped));
        let response = service.oneshot(request).await.unwrap();
        let status = response.status();
        let body: Value = serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap();
        let error = body["error"].as_str().unwrap_or_default().to_owned();
        (status, error, self.events.recv().await.unwrap())
    }
}

/// A plan in which this record replaces the record of `orders`.
pub fn plan_of(orders: Client) -> Plan {
    let replaced = |client: Client| if client.id() == "orders" { orders.clone() } else { client };
    plan_with(|clients| clients.into_iter().map(replaced).collect(), |targets| targets)
}
