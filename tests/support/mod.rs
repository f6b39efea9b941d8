//! The parts of most tests: an authorization server on loopback with the layer, an issuer that signs any claims, and an
//! HTTP client.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test binary uses only some of these items")]

use axum::{Router, routing::post};
use bytes::Bytes;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use http::{HeaderMap, Request, StatusCode, header};
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::{Duration, UNIX_EPOCH},
};
use tokio::{net::TcpListener, sync::mpsc};
use tower::ServiceExt;
use tower_token_exchange::{
    Client, GRANT_TYPE, Issuer, Reason, Target, TokenExchangeBuilder, TokenExchangeLayer,
    audit::{AuditBudget, AuditEvent, AuditSink},
    fetch::HttpFetch,
    jwks::{KeyId, KeySet},
    policy::{Names, Rule, Subjects},
    records::SubjectMapping,
    signing::{Algorithm, LocalSigner},
};

/// The id of a key.
pub fn key_id(text: &str) -> KeyId {
    KeyId::try_from(text).unwrap()
}

pub const AS: &str = "https://as.example";
pub const IDP: &str = "https://idp.example";
/// The time in every world, in seconds since 1970.
pub const NOW: u64 = 1_800_000_000;
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
pub const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
pub const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

pub fn secret_of(client: &str) -> String {
    format!("the-secret-of-{client}-is-long")
}

/// An issuer of tokens. A minter signs all claims that a test gives, also wrong claims.
#[derive(Clone)]
pub struct Minter {
    pub iss: &'static str,
    pub key: LocalSigner,
}

impl Minter {
    pub fn new(iss: &'static str, algorithm: Algorithm) -> Self {
        Self { iss, key: LocalSigner::generate(algorithm).unwrap() }
    }

    pub fn keys(&self) -> KeySet {
        self.key.published_keys().key_set()
    }

    /// Signs a header and claims exactly as given.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    /// Signs a header and claims that need not be JSON.
    pub fn sign_text(&self, header: &str, claims: &str) -> String {
        let segment = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
        let input = format!("{}.{}", segment(header), segment(claims));
        let signature = self.key.sign(input.as_bytes()).unwrap();
        format!("{input}.{}", BASE64URL_NOPAD.encode(&signature))
    }

    pub fn header(&self, typ: &str) -> Value {
        json!({ "alg": self.key.algorithm().as_str(), "kid": self.key.key_id(), "typ": typ })
    }

    /// An access token of the authorization server, which expires in 600 s. `changes` replaces claims; `null` removes a
    /// claim.
    pub fn access_token(&self, changes: Value) -> String {
        let claims = json!({
            "iss": self.iss, "sub": "alice", "aud": "https://orders.example", "exp": NOW + 600, "iat": NOW,
            "jti": "subject-1", "client_id": "web", "scope": "read write",
        });
        self.sign(&self.header("at+jwt"), &changed(claims, changes))
    }

    /// A JWT of a foreign issuer. The audience is the authorization server.
    pub fn foreign(&self, changes: Value) -> String {
        let claims = json!({
            "iss": self.iss, "sub": "bob", "aud": AS, "exp": NOW + 600, "iat": NOW, "jti": "foreign-1",
            "scope": "read write",
        });
        self.sign(&self.header("JWT"), &changed(claims, changes))
    }
}

pub fn changed(mut claims: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().expect("changes are an object") {
        if value.is_null() {
            claims.as_object_mut().unwrap().shift_remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

/// The claim of a token that the layer issued for a subject of a foreign issuer, who presented a JWT.
pub fn exchanged_from(iss: &str) -> Value {
    json!({ "iss": iss, "token_types": [JWT] })
}

/// The parts of a world before it is built.
pub struct Plan {
    pub own: Minter,
    pub idp: Minter,
    /// The builder with all settings except the audit sink. [`Plan::start`] adds the audit sink.
    pub builder: TokenExchangeBuilder,
}

/// The plan of most tests.
///
/// The clients are `orders`, `billing` and `reports`. The targets are `orders`, `billing` and `ledger`, with the `aud`
/// `https://<name>.example` and the scopes `read` and `write`. The clients `orders` and `billing` serve the targets of
/// their names. The client `orders` may call `billing`, and `billing` may call `ledger`. One rule allows every delegation
/// within the records.
pub fn plan() -> Plan {
    plan_with(|clients| clients, |targets| targets)
}

/// The plan of most tests, with changed records.
pub fn plan_with(
    clients: impl FnOnce(Vec<Client>) -> Vec<Client>,
    targets: impl FnOnce(Vec<Target>) -> Vec<Target>,
) -> Plan {
    let own = Minter::new(AS, Algorithm::ES256);
    let idp = Minter::new(IDP, Algorithm::ES256);
    let target = |id: &str| Target::new(id).audience_claim(format!("https://{id}.example")).scopes(["read", "write"]);
    let builder = TokenExchangeLayer::builder(AS)
        .clock(|| UNIX_EPOCH + Duration::from_secs(NOW))
        .clients(clients(["orders", "billing", "reports"].map(|id| Client::new(id).secret(secret_of(id))).into()))
        .targets(targets(vec![
            target("orders").served_by("orders"),
            target("billing").served_by("billing").allow_clients(["orders"]).resource("https://billing.example/api"),
            target("ledger").allow_clients(["billing"]),
        ]))
        .issuers([Issuer::new(IDP)
            .keys(idp.keys())
            .map_subjects(SubjectMapping::Prefix("idp|".into()))
            .allow_presenters(["orders"])
            .claims(["tenant", "groups", "address", "level", "vip"])])
        .rules([Rule::allow(Names::any(), Subjects::any().or_clients(), Names::any()).scopes(Names::any())])
        // Some tests make thousands of attempts in a second, and look at the event of each.
        .audit_budget(AuditBudget::unlimited())
        .signer(own.key.clone());
    Plan { own, idp, builder }
}

impl Plan {
    /// Changes the builder.
    pub fn with(mut self, change: impl FnOnce(TokenExchangeBuilder) -> TokenExchangeBuilder) -> Self {
        self.builder = change(self.builder);
        self
    }

    pub async fn start(self) -> World {
        let (sender, events) = mpsc::unbounded_channel();
        self.start_with_audit(recorder(sender), events).await
    }

    pub async fn start_with_audit(self, sink: impl AuditSink, events: mpsc::UnboundedReceiver<AuditEvent>) -> World {
        let layer = self.builder.audit(sink).build().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        // The old endpoint answers with the body of the request.
        let old = move |headers: HeaderMap, body: Bytes| {
            log.lock().unwrap().push(body.clone());
            async move {
                let mut response = http::Response::new(axum::body::Body::from(body));
                if let Some(kind) = headers.get(header::CONTENT_TYPE) {
                    response.headers_mut().insert("x-seen-content-type", kind.clone());
                }
                response
            }
        };
        let app = Router::new()
            .route("/token", post(old.clone()))
            .route("/introspect", post(old.clone()))
            .route("/revoke", post(old))
            .layer(layer.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let http = HttpFetch::builder().allow_loopback_http().timeout(Duration::from_secs(30)).build().unwrap();
        World { url, http, events, layer, own: self.own, idp: self.idp, passed: seen }
    }
}

/// A sink that sends every event to a channel.
pub fn recorder(sender: mpsc::UnboundedSender<AuditEvent>) -> impl AuditSink {
    tower::service_fn(move |event: AuditEvent| {
        let sender = sender.clone();
        async move {
            let _ = sender.send(event);
            Ok::<_, Infallible>(())
        }
    })
}

pub struct World {
    pub url: String,
    pub layer: TokenExchangeLayer,
    pub own: Minter,
    pub idp: Minter,
    /// The bodies that reached the wrapped service.
    pub passed: Arc<Mutex<Vec<Bytes>>>,
    http: HttpFetch,
    events: mpsc::UnboundedReceiver<AuditEvent>,
}

#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    /// The claims of the issued token, not verified.
    pub fn claims(&self) -> Value {
        let body = self.json();
        let token = body["access_token"].as_str().unwrap_or_else(|| panic!("no token: {body}"));
        segment(token, 1)
    }
}

/// A segment of a JWT as JSON.
pub fn segment(token: &str, index: usize) -> Value {
    let segment = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(segment.as_bytes()).unwrap()).unwrap()
}

pub fn basic(client: &str, secret: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{client}:{secret}").as_bytes()))
}

pub fn encode(form: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}

/// The form of an exchange for a token for `billing`, followed by more parameters.
pub fn exchange_form<'a>(subject_token: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut form = vec![
        ("grant_type", GRANT_TYPE),
        ("subject_token", subject_token),
        ("subject_token_type", ACCESS_TOKEN),
        ("audience", "billing"),
    ];
    form.extend_from_slice(more);
    form
}

impl World {
    pub async fn send(&self, request: Request<Bytes>) -> Reply {
        let (parts, body) = self.http.clone().oneshot(request).await.unwrap().into_parts();
        Reply { status: parts.status, headers: parts.headers, text: String::from_utf8(body.to_vec()).unwrap() }
    }

    /// Sends an encoded form to the token endpoint, with or without an `Authorization` header.
    pub async fn post(&self, authorization: Option<&str>, body: impl Into<Bytes>) -> Reply {
        self.post_to("/token", authorization, body).await
    }

    /// Sends an encoded form to a path.
    pub async fn post_to(&self, path: &str, authorization: Option<&str>, body: impl Into<Bytes>) -> Reply {
        let mut request = Request::post(format!("{}{path}", self.url))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    /// Sends a form to the token endpoint. The client authenticates with Basic.
    pub async fn post_as(&self, client: &str, form: &[(&str, &str)]) -> Reply {
        self.post(Some(&basic(client, &secret_of(client))), encode(form)).await
    }

    /// The client `orders` exchanges a token for a token for `billing`.
    pub async fn exchange(&self, subject_token: &str) -> Reply {
        self.post_as("orders", &exchange_form(subject_token, &[])).await
    }

    /// Waits for the next audit event. Every attempt leaves one event, so a test takes one event for each attempt.
    pub async fn event(&mut self) -> AuditEvent {
        tokio::time::timeout(Duration::from_secs(5), self.events.recv()).await.expect("an audit event").unwrap()
    }

    /// Whether there is no further audit event.
    pub fn no_event(&mut self) -> bool {
        self.events.try_recv().is_err()
    }

    /// The reason of the next audit event.
    pub async fn reason(&mut self) -> Option<Reason> {
        self.event().await.reason
    }
}
