//! An authorization server that knows nothing of token exchange, and the layer that adds it.

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
    convert::Infallible,
    error::Error,
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::net::TcpListener;
use tower_token_exchange::{
    Client, Target, TokenExchangeLayer,
    audit::AuditEvent,
    explain::Explanation,
    policy::{Rule, Subjects},
    signing::{Algorithm, LocalSigner},
};

pub(crate) struct AuthorizationServer {
    pub(crate) issuer: String,
    secrets: HashMap<&'static str, String>,
    events: Arc<Mutex<Vec<AuditEvent>>>,
    exchange: TokenExchangeLayer,
}

impl AuthorizationServer {
    pub(crate) fn start(listener: TcpListener) -> Result<Self, Box<dyn Error>> {
        let issuer = format!("http://{}", listener.local_addr()?);
        let key = LocalSigner::generate(Algorithm::ES256)?;
        let secrets: HashMap<_, _> =
            ["orders", "billing", "reports"].into_iter().map(|id| (id, random_secret())).collect();
        let events = Arc::new(Mutex::new(Vec::new()));

        let exchange = token_exchange(&issuer, key.clone(), &secrets, Arc::clone(&events))?;
        let app = Router::new()
            .route("/token", post(ordinary_grants))
            .route("/jwks", get(jwks))
            .with_state(Arc::new(OldServer { issuer: issuer.clone(), key }))
            .layer(exchange.clone());

        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { issuer, secrets, events, exchange })
    }

    pub(crate) fn secret_of(&self, client: &str) -> &str {
        &self.secrets[client]
    }

    /// Why a request of this client would end as it would.
    pub(crate) async fn explain(&self, client: &str, form: &str) -> Explanation {
        self.exchange.explain(client, form.as_bytes()).await
    }

    /// The audit event that came since the last call.
    pub(crate) fn new_audit_event(&self) -> Option<AuditEvent> {
        self.events.lock().ok()?.pop()
    }
}

/// Everything that token exchange needs to know: who calls, what can be called, and what the rules are.
fn token_exchange(
    issuer: &str,
    key: LocalSigner,
    secrets: &HashMap<&'static str, String>,
    events: Arc<Mutex<Vec<AuditEvent>>>,
) -> Result<TokenExchangeLayer, Box<dyn Error>> {
    let service = |id: &str| Target::new(id).audience_claim(format!("https://{id}.example")).served_by(id);
    let audit = tower::service_fn(move |event: AuditEvent| {
        let events = Arc::clone(&events);
        async move {
            events.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(event);
            Ok::<_, Infallible>(())
        }
    });
    let layer = TokenExchangeLayer::builder(issuer)
        .endpoint("/token")
        .clients(secrets.iter().map(|(id, secret)| Client::new(*id).secret(secret)))
        .clients(["ledger", "archive"].map(|id| Client::new(id).deny_exchange()))
        .targets([
            service("orders").scopes(["orders:read", "orders:write"]),
            service("billing")
                .allow_clients(["orders"])
                .scopes(["invoices:read", "invoices:write"])
                .translate("orders:read", ["invoices:read"]),
            service("ledger")
                .resource("https://ledger.example/api")
                .allow_clients(["billing", "reports"])
                .scopes(["entries:read", "entries:write"])
                .translate("invoices:read", ["entries:read"])
                .translate("reports:read", ["entries:read"]),
            service("archive").allow_clients(["orders"]).scopes(["orders:read"]),
            service("reports").scopes(["reports:read"]),
        ])
        .rules([
            Rule::allow("orders", Subjects::any(), "billing").scopes(["invoices:read"]).id("orders may bill"),
            Rule::allow("billing", Subjects::any(), "ledger").scopes(["entries:read"]).id("billing may look up"),
            Rule::allow("orders", Subjects::any(), "archive")
                .scopes(["orders:read"])
                .impersonation()
                .id("orders may archive as the user"),
        ])
        .signer(key)
        .audit(audit)
        .build()?;
    Ok(layer)
}

/// An event in one line.
pub(crate) fn summary(event: &AuditEvent) -> Option<String> {
    let event = serde_json::to_value(event).ok()?;
    let text = |path: &str| event.pointer(path).map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
    let fields = [
        ("outcome", "/outcome"),
        ("reason", "/reason"),
        ("stage", "/stage"),
        ("client", "/client_id"),
        ("subject", "/subject/sub"),
        ("actor", "/actor/sub"),
        ("targets", "/requested/targets"),
        ("semantics", "/semantics"),
        ("granted", "/granted/scope"),
        ("policy", "/policy_id"),
        ("detail", "/detail"),
    ];
    let present = fields.iter().filter_map(|(name, path)| Some(format!("{name}={}", text(path)?)));
    Some(present.filter(|field| !field.ends_with("=null")).collect::<Vec<_>>().join(" "))
}

/// What was there before: one ordinary grant, and the keys.
struct OldServer {
    issuer: String,
    key: LocalSigner,
}

#[derive(Deserialize)]
struct OrdinaryGrant {
    grant_type: String,
    code: Option<String>,
}

async fn ordinary_grants(State(server): State<Arc<OldServer>>, Form(form): Form<OrdinaryGrant>) -> Response {
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

async fn jwks(State(server): State<Arc<OldServer>>) -> Json<Value> {
    Json(json!(server.key.published_keys()))
}

impl OldServer {
    fn user_token(&self, user: &str, audience: &str, scope: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let header = json!({ "alg": "ES256", "kid": self.key.key_id(), "typ": "at+jwt" });
        let claims = json!({
            "iss": self.issuer, "sub": user, "aud": audience, "iat": now, "exp": now + 600,
            "jti": random_secret(), "client_id": "web", "scope": scope,
        });
        let segment = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let input = format!("{}.{}", segment(&header), segment(&claims));
        let signature = self.key.sign(input.as_bytes()).unwrap_or_default();
        format!("{input}.{}", BASE64URL_NOPAD.encode(&signature))
    }
}

fn random_secret() -> String {
    let mut bytes = [0; 20];
    SystemRandom::new().fill(&mut bytes).unwrap_or_else(|_| std::process::abort());
    HEXLOWER.encode(&bytes)
}
