//! The issuer of an opaque token is asked about the token, and every rule for a JWT holds for the answer. An endpoint that
//! gives no clear answer is a 503. No endpoint is asked without need.

mod answers;
#[cfg(feature = "introspection-cache")]
mod cache;
mod secrecy;
mod whom;

use crate::jwks::loopback;
use crate::support::*;
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, UNIX_EPOCH},
};
use tokio::net::TcpListener;
use tower_token_exchange::{
    Client, Issuer, Reason, Target, TokenExchangeLayer, TokenType,
    policy::{Names, Rule, Subjects},
    records::{IntrospectedTokens, Introspection},
    signing::Algorithm,
};

/// Not a JWT, and to be seen nowhere.
const OPAQUE: &str = "zq9opaque-2YotnFZFEjr1zCsicMWpAA";
/// With everything that form encoding changes.
const LAYER_ID: &str = "layer: 100%";
const LAYER_SECRET: &str = "zq9secret+pass/word=&ü";

/// What the endpoint answers now.
#[derive(Clone)]
struct Answer {
    status: u16,
    content_type: Option<&'static str>,
    body: Bytes,
}

impl Answer {
    fn json(body: impl Into<Bytes>) -> Self {
        Self { status: 200, content_type: Some("application/json"), body: body.into() }
    }
}

/// A question as the endpoint got it.
struct Asked {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    form: Vec<(String, String)>,
}

/// An introspection endpoint on loopback.
#[derive(Clone)]
struct Endpoint {
    url: String,
    answer: Arc<Mutex<Answer>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Endpoint {
    /// One that knows `OPAQUE`, and anything else, as a good access token of ours.
    async fn up() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/introspect", listener.local_addr().unwrap());
        let answer = Arc::new(Mutex::new(Answer::json(active(json!({})).to_string())));
        let endpoint = Self { url, answer, asked: Arc::default() };
        let app = endpoint.router();
        tokio::spawn(async move { axum::serve(listener, app).await });
        endpoint
    }

    fn router(&self) -> Router {
        Router::new().fallback(answer).with_state(self.clone())
    }

    fn says(&self, answer: &Value) {
        self.answers(Answer::json(answer.to_string()));
    }

    fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// How often it was asked since the last time.
    fn hits(&self) -> usize {
        self.asked().len()
    }

    fn record(&self) -> Introspection {
        Introspection::basic(&self.url, LAYER_ID, LAYER_SECRET)
    }
}

async fn answer(State(endpoint): State<Endpoint>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let form = form_urlencoded::parse(&body).into_owned().collect();
    endpoint.asked.lock().unwrap().push(Asked { method: parts.method, uri: parts.uri, headers: parts.headers, form });
    let Answer { status, content_type, body } = endpoint.answer.lock().unwrap().clone();
    let mut response = Response::builder().status(status);
    if let Some(content_type) = content_type {
        response = response.header(header::CONTENT_TYPE, content_type);
    }
    response.body(Body::from(body)).unwrap()
}

/// What is said of a good access token of ours that `orders` received.
fn active(changes: Value) -> Value {
    let good = json!({
        "active": true, "iss": AS, "sub": "alice", "aud": "https://orders.example", "exp": NOW + 600, "iat": NOW,
        "jti": "opaque-1", "client_id": "web", "scope": "read write", "token_type": "Bearer",
    });
    changed(good, changes)
}

/// Our own issuer is asked, as its record says.
fn asking(endpoint: &Endpoint, change: impl FnOnce(Introspection) -> Introspection) -> Plan {
    let own = Issuer::new(AS).introspection(change(endpoint.record()));
    plan().with(|builder| builder.issuers([own]).http(loopback()))
}

/// An endpoint of ours, and a world that asks it.
async fn world() -> (Endpoint, World) {
    let endpoint = Endpoint::up().await;
    let world = asking(&endpoint, |record| record).start().await;
    (endpoint, world)
}

/// What became of an exchange: the claims of the issued token, or why there is none. Looks at what the client was told.
async fn outcome(world: &mut World, form: &[(&str, &str)]) -> Result<Value, Reason> {
    let reply = world.post_as("orders", form).await;
    let event = world.event().await;
    assert!(world.no_event(), "one event for one attempt");
    let Some(reason) = event.reason else {
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
        return Ok(reply.claims());
    };
    let told = json!({ "error": reason.error().as_str(), "error_description": reason.description() });
    assert_eq!(reply.json(), told, "{reason}");
    let is_outage = reason == Reason::IntrospectionUnavailable;
    let status = if is_outage { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_REQUEST };
    assert_eq!(reply.status, status, "{reason}: {:?}", event.detail);
    assert_eq!(reply.headers.contains_key(header::RETRY_AFTER), is_outage, "{reason}");
    assert_eq!(reply.headers[header::CACHE_CONTROL], "no-store", "{reason}");
    Err(reason)
}

/// The same for a token that is declared to be of a type.
async fn declared(world: &mut World, token: &str, token_type: &str) -> Result<Value, Reason> {
    let mut form = exchange_form(token, &[]);
    form.retain(|(name, _)| *name != "subject_token_type");
    form.push(("subject_token_type", token_type));
    outcome(world, &form).await
}

/// The same for an access token of ours.
async fn exchanged(world: &mut World, token: &str) -> Result<Value, Reason> {
    declared(world, token, ACCESS_TOKEN).await
}

/// Whether there was a token, and if not, why.
fn in_short(outcome: Result<Value, Reason>) -> Result<(), Reason> {
    outcome.map(|_| ())
}

/// A world where the test writes the foreign issuer's record.
fn without_idp() -> Plan {
    let (own, idp) = (Minter::new(AS, Algorithm::ES256), Minter::new(IDP, Algorithm::ES256));
    let target = |id: &str| Target::new(id).audience_claim(format!("https://{id}.example")).scopes(["read", "write"]);
    let client = |id: &str| {
        let types = [TokenType::ACCESS_TOKEN, TokenType::JWT, TokenType::ID_TOKEN].into_iter();
        types.fold(Client::new(id).secret(secret_of(id)), |client, token_type| {
            client.scopes_for_scopeless_subjects(token_type, ["read"])
        })
    };
    let builder = TokenExchangeLayer::builder(AS)
        .clock(|| UNIX_EPOCH + Duration::from_secs(NOW))
        .clients(["orders", "billing"].map(client))
        .targets([
            target("orders").served_by("orders"),
            target("billing").served_by("billing").allow_clients(["orders"]),
        ])
        .rules([Rule::allow(Names::any(), Subjects::any(), Names::any()).scopes(Names::any())])
        .signer(own.key.clone());
    Plan { own, idp, builder }
}
