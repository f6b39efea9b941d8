//! A small world to test in: an authorization server on loopback with the layer on it, an issuer that signs what
//! it is told to, and a client that speaks HTTP.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "every test binary uses its own part of it")]

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
    audit::{AuditEvent, AuditSink},
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

/// Somebody who signs whatever claims it is given.
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

    /// The same with texts that need not be JSON.
    pub fn sign_text(&self, header: &str, claims: &str) -> String {
        let segment = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
        let input = format!("{}.{}", segment(header), segment(claims));
        let signature = self.key.sign(input.as_bytes()).unwrap();
        format!("{input}.{}", BASE64URL_NOPAD.encode(&signature))
    }

    pub fn header(&self, typ: &str) -> Value {
        json!({ "alg": self.key.algorithm().as_str(), "kid": self.key.key_id(), "typ": typ })
    }

    /// An access token of ours: valid for 600 s more, changed by `changes` (`null` takes a claim out).
    pub fn access_token(&self, changes: Value) -> String {
        let claims = json!({
            "iss": self.iss, "sub": "alice", "aud": "https://orders.example", "exp": NOW + 600, "iat": NOW,
            "jti": "subject-1", "client_id": "web", "scope": "read write",
        });
        self.sign(&self.header("at+jwt"), &changed(claims, changes))
    }

    /// A JWT of a foreign issuer that is meant for us.
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

/// The parts of a world before it is built.
pub struct Plan {
    pub own: Minter,
    pub idp: Minter,
    /// Ready but for the audit sink, which [`Plan::start`] adds.
    pub builder: TokenExchangeBuilder,
}

/// A world as most tests want it. Clients `orders`, `billing` and `reports`; each owns the target of its name,
/// whose `aud` is `https://<name>.example`; `orders` may call `billing`, `billing` may call `ledger`. The targets'
/// scopes are `read` and `write`. One rule lets any client delegate anything within its records.
pub fn plan() -> Plan {
    plan_with(|clients| clients, |targets| targets)
}

/// The same with changed records.
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
        // The old endpoint answers with what it was sent.
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

/// A sink that sends every event down a channel.
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

/// The form of an exchange at `billing`, with more parameters behind.
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

    /// Posts a form, as it is, with an `Authorization` header or without.
    pub async fn post(&self, authorization: Option<&str>, body: impl Into<Bytes>) -> Reply {
        self.post_to("/token", authorization, body).await
    }

    /// The same to another path.
    pub async fn post_to(&self, path: &str, authorization: Option<&str>, body: impl Into<Bytes>) -> Reply {
        let mut request = Request::post(format!("{}{path}", self.url))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    /// Posts a form as a client that uses Basic.
    pub async fn post_as(&self, client: &str, form: &[(&str, &str)]) -> Reply {
        self.post(Some(&basic(client, &secret_of(client))), encode(form)).await
    }

    /// `orders` exchanges a token at `billing`.
    pub async fn exchange(&self, subject_token: &str) -> Reply {
        self.post_as("orders", &exchange_form(subject_token, &[])).await
    }

    /// The next audit event. Every attempt leaves one, so tests that make an attempt take one.
    pub async fn event(&mut self) -> AuditEvent {
        tokio::time::timeout(Duration::from_secs(5), self.events.recv()).await.expect("an audit event").unwrap()
    }

    /// Whether no event is waiting.
    pub fn no_event(&mut self) -> bool {
        self.events.try_recv().is_err()
    }

    /// The reason of the next audit event.
    pub async fn reason(&mut self) -> Option<Reason> {
        self.event().await.reason
    }
}
