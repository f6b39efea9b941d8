//! An authorization server that knows one ordinary grant, and the layer that adds token exchange.

use crate::records::{clients, rules, targets};
use axum::{
    Form, Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    error::Error,
    sync::{Arc, mpsc},
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::net::TcpListener;
use tower::service_fn;
use tower_token_exchange::{
    TokenExchangeLayer,
    audit::AuditEvent,
    explain::Explanation,
    signing::{Algorithm, LocalSigner},
};

pub(crate) struct AuthorizationServer {
    pub(crate) issuer: String,
    secrets: HashMap<&'static str, String>,
    events: mpsc::Receiver<AuditEvent>,
    exchange: TokenExchangeLayer,
}

impl AuthorizationServer {
    /// Builds the layer, puts the layer around the routes, and starts to serve.
    pub(crate) fn start(listener: TcpListener) -> Result<Self, Box<dyn Error>> {
        let issuer = format!("http://{}", listener.local_addr()?);
        let key = LocalSigner::generate(Algorithm::ES256)?;
        let secrets: HashMap<_, _> = ["orders", "billing", "reports"].map(|id| (id, random_text())).into();

        // The audit sink: here a channel, in production a log.
        let (sender, events) = mpsc::channel();
        let audit = service_fn(move |event: AuditEvent| {
            let sent = sender.send(event);
            async move { sent }
        });

        let exchange = TokenExchangeLayer::builder(&issuer)
            .endpoint("/token")
            .clients(clients(|id| secrets[id].clone()))
            .targets(targets())
            .rules(rules())
            .signer(key.clone())
            .audit(audit)
            .build()?;
        let app = Router::new()
            .route("/token", post(ordinary_grant))
            .route("/jwks", get(published_keys))
            .with_state(Arc::new(OldServer { issuer: issuer.clone(), key }))
            .layer(exchange.clone());

        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { issuer, secrets, events, exchange })
    }

    pub(crate) fn secret_of(&self, client: &str) -> &str {
        &self.secrets[client]
    }

    /// Asks the layer why a request of this client is granted or refused.
    pub(crate) async fn explain(&self, client: &str, form: &str) -> Explanation {
        self.exchange.explain(client, form.as_bytes()).await
    }

    /// Returns the audit event of the last request, if the request was a token exchange.
    pub(crate) fn next_audit_event(&self) -> Option<AuditEvent> {
        self.events.try_recv().ok()
    }
}

/// The server without the layer: one grant, and the keys that verify its tokens.
struct OldServer {
    issuer: String,
    key: LocalSigner,
}

#[derive(Deserialize)]
struct OrdinaryGrant {
    grant_type: String,
    code: Option<String>,
}

async fn ordinary_grant(State(server): State<Arc<OldServer>>, Form(form): Form<OrdinaryGrant>) -> Response {
    let (audience, scope) = match (form.grant_type.as_str(), form.code.as_deref()) {
        ("authorization_code", Some("alice-at-orders")) => ("https://orders.example", "orders:read orders:write"),
        ("authorization_code", Some("alice-at-reports")) => ("https://reports.example", "reports:read"),
        ("authorization_code", _) => return refused("invalid_grant"),
        _ => return refused("unsupported_grant_type"),
    };
    let token = server.user_token("alice", audience, scope);
    let body = json!({ "access_token": token, "token_type": "Bearer", "expires_in": 600, "scope": scope });
    ([("x-answered-by", "the old endpoint")], Json(body)).into_response()
}

fn refused(error: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response()
}

async fn published_keys(State(server): State<Arc<OldServer>>) -> Json<Value> {
    Json(json!(server.key.published_keys()))
}

impl OldServer {
    fn user_token(&self, user: &str, audience: &str, scope: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let header = json!({ "alg": "ES256", "kid": self.key.key_id(), "typ": "at+jwt" });
        let claims = json!({
            "iss": self.issuer, "sub": user, "aud": audience, "iat": now, "exp": now + 600,
            "jti": random_text(), "client_id": "web", "scope": scope,
        });
        let segment = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let input = format!("{}.{}", segment(&header), segment(&claims));
        let signature = self.key.sign(input.as_bytes()).unwrap_or_default();
        format!("{input}.{}", BASE64URL_NOPAD.encode(&signature))
    }
}

fn random_text() -> String {
    let mut bytes = [0; 20];
    SystemRandom::new().fill(&mut bytes).unwrap_or_else(|_| std::process::abort());
    HEXLOWER.encode(&bytes)
}
