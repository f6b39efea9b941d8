//! Records and rules in one file, and the decisions that follow from them.
//!
//! `cargo run --all-features --example policy` reads `records.toml` and shows in turn: a target and a client that must
//! both allow an exchange, translated scopes, a login that is too weak, a shadow rule, a reload, and a remote decision
//! point. The example fails if one result is not as expected.

// The example prints its results.
#![allow(clippy::print_stdout)]

mod decision_point;

use axum::{Json, Router, body::Body, routing::post};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    error::Error,
    sync::LazyLock,
    time::{Duration, UNIX_EPOCH},
};
use tokio::{net::TcpListener, sync::mpsc};
use tower::{Layer, ServiceExt, service_fn};
use tower_token_exchange::{
    Document, GRANT_TYPE, Reason, TokenExchangeBuilder, TokenExchangeLayer,
    audit::AuditEvent,
    plug::BoxPlug,
    policy::{Decision, Policy, Query},
    records::TomlFile,
    signing::{Algorithm, LocalSigner},
};

const ISSUER: &str = "https://as.example";
const SECRET: &str = "b94d27b9934d3e08a52e";
const FILE: &str = "records.toml";
const RECORDS: &str = include_str!("records.toml");

/// The key that signs Alice's tokens and the issued tokens.
static KEY: LazyLock<LocalSigner> =
    LazyLock::new(|| LocalSigner::generate(Algorithm::ES256).unwrap_or_else(|_| std::process::abort()));

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut server = Server::start(records(RECORDS).parse()?, None::<BoxPlug<Query, Decision>>)?;
    consent(&mut server).await?;
    scopes(&mut server).await?;
    step_up(&mut server).await?;
    shadow_and_reload(&mut server).await?;
    remote_decision_point().await
}

/// A target lists its callers, and a client can list its targets. A rule cannot replace either of the two.
async fn consent(server: &mut Server) -> Result<(), Box<dyn Error>> {
    println!("\n── The records of the client and of the target must both allow an exchange.");
    for (what, one_sided) in [
        ("does not list orders", RECORDS.replacen("callers = [\"orders\"] ", "callers = [] ", 1)),
        ("is not in the targets of orders", RECORDS.replacen("[\"billing\", \"vault\"]", "[\"vault\"]", 1)),
        ("has another id than in the rules", RECORDS.replacen("id = \"billing\"", "id = \"invoicing\"", 1)),
    ] {
        let Err(error) = server.exchange.reload(records(&one_sided).parse()?) else {
            return Err("a rule that can never match was accepted".into());
        };
        println!("  billing {what}:\n    {}", records(&one_sided).locate(&error));
    }
    let misspelt = RECORDS.replacen("max_lifetime = \"1m\"", "max_lifetme = \"1m\"", 1);
    let Err(error) = records(&misspelt).parse::<Document>() else { return Err("an unknown key was accepted".into()) };
    println!("  a key is misspelt:\n    {error}");

    let (status, answer) = server.ask("orders", &alice(json!({})), &[]).await?;
    let refused = status == StatusCode::BAD_REQUEST && answer["error"] == "invalid_target";
    claim(refused, "orders is not a caller of the target orders: invalid_target")?;
    claim(server.reason() == Some(Reason::TargetNotAllowed), "the audit event states the reason")
}

/// The record of a target translates the scopes of other targets.
async fn scopes(server: &mut Server) -> Result<(), Box<dyn Error>> {
    println!("\n── Scopes are translated.");
    let (status, answer) = server.ask("billing", &alice(json!({})), &[]).await?;
    claim(status == StatusCode::OK && answer["scope"] == "invoices:read", "`orders:read` became `invoices:read`")?;
    let more = [("scope", "invoices:read invoices:write")];
    let (_, answer) = server.ask("billing", &alice(json!({})), &more).await?;
    claim(answer["scope"] == "invoices:read", "Alice's token does not lead to `invoices:write`")?;
    let (_, answer) = server.ask("billing", &alice(json!({ "scope": "orders:write" })), &more).await?;
    claim(answer["scope"] == more[0].1, "a token with `orders:write` leads to both scopes")
}

/// A rule can require a stronger login. The client learns which login is sufficient (RFC 9470).
async fn step_up(server: &mut Server) -> Result<(), Box<dyn Error>> {
    println!("\n── A login is too weak.");
    let (status, answer) = server.ask("vault", &alice(json!({ "acr": "pwd", "auth_time": now() })), &[]).await?;
    println!("  {status} {answer}");
    let told = answer["error"] == "insufficient_user_authentication" && answer["acr_values"] == "phr";
    claim(told && answer["max_age"] == 600, "the client learns which login is sufficient")?;
    let strong = alice(json!({ "acr": "phr", "auth_time": now() }));
    let (status, answer) = server.ask("vault", &strong, &[]).await?;
    claim(status == StatusCode::OK && answer["expires_in"] == 60, "after that login: a token for one minute")
}

/// A shadow rule has no effect, but the audit event states its outcome. A reload puts the rule in force.
async fn shadow_and_reload(server: &mut Server) -> Result<(), Box<dyn Error>> {
    println!("\n── A shadow rule is put in force.");
    let intern = alice(json!({ "groups": ["interns"] }));
    let (status, _) = server.ask("billing", &intern, &[]).await?;
    let event = server.events.try_recv()?;
    let shadow = event.shadow.map(|shadow| shadow.to_string()).unwrap_or_default();
    println!("  audit: outcome={} shadow={shadow:?}", event.outcome.as_str());
    let would = shadow == "would deny: no interns";
    claim(status == StatusCode::OK && would, "an intern gets a token, and the audit event states the shadow rule")?;

    let in_force = RECORDS.replace("shadow = true", "");
    server.exchange.reload(records(&in_force).parse()?)?;
    let (status, _) = server.ask("billing", &intern, &[]).await?;
    let denied = server.reason() == Some(Reason::PolicyDenied);
    claim(status == StatusCode::BAD_REQUEST && denied, "after a reload without `shadow`, the rule denies the intern")?;

    let broken = in_force.replacen("clients = \"any\"", "clients = [\"ordres\"]", 1);
    let error = server.exchange.reload(records(&broken).parse()?).err().ok_or("a mistake was accepted")?;
    println!("  {}", records(&broken).locate(&error));
    let (status, _) = server.ask("billing", &alice(json!({})), &[]).await?;
    claim(status == StatusCode::OK, "a document with a mistake is refused, and the earlier document stays in force")
}

/// A remote decision point replaces the rules. The records still set the ceiling.
async fn remote_decision_point() -> Result<(), Box<dyn Error>> {
    println!("\n── A remote decision point decides.");
    let decide = |Json(question): Json<Value>| async move {
        let acr = question["context"]["acr"].as_str().unwrap_or_default();
        if acr == "slow" {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        let evaluations = question["evaluations"].as_array().cloned().unwrap_or_default();
        let decide = |evaluation: &Value| json!({ "decision": evaluation["resource"]["id"] == "billing" });
        Json(json!({ "evaluations": evaluations.iter().map(decide).collect::<Vec<_>>() }))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/access/v1/evaluations", listener.local_addr()?);
    let app = Router::new().route("/access/v1/evaluations", post(decide));
    tokio::spawn(async move { axum::serve(listener, app).await });

    let without_rules = RECORDS.split("[[rule]]").next().unwrap_or_default();
    let policy = decision_point::policy(url).map_err(|error| error.to_string())?;
    let mut server = Server::start(records(without_rules).parse()?, Some(policy))?;
    let (status, answer) = server.ask("billing", &alice(json!({})), &[]).await?;
    claim(status == StatusCode::OK && answer["scope"] == "invoices:read", "the decision point permits billing")?;
    let (_, answer) = server.ask("vault", &alice(json!({})), &[]).await?;
    claim(answer["error"] == "invalid_target", "the decision point denies the vault")?;
    let (status, _) = server.ask("billing", &alice(json!({ "acr": "slow" })), &[]).await?;
    claim(status == StatusCode::SERVICE_UNAVAILABLE, "no answer within half a second: 503")
}

/// A token endpoint with the layer.
struct Server {
    exchange: TokenExchangeLayer,
    events: mpsc::UnboundedReceiver<AuditEvent>,
}

impl Server {
    fn start(document: Document, policy: Option<impl Policy>) -> Result<Self, Box<dyn Error>> {
        let (sender, events) = mpsc::unbounded_channel();
        let audit = service_fn(move |event: AuditEvent| {
            let sender = sender.clone();
            async move { sender.send(event) }
        });
        let builder = TokenExchangeLayer::builder(ISSUER).document(document).signer(KEY.clone()).audit(audit);
        let builder = policy.into_iter().fold(builder, TokenExchangeBuilder::policy);
        Ok(Self { exchange: builder.build()?, events })
    }

    /// Exchanges a token at this target, as the client `orders`.
    async fn ask(
        &mut self,
        target: &str,
        subject_token: &str,
        more: &[(&str, &str)],
    ) -> Result<(StatusCode, Value), Box<dyn Error>> {
        while self.events.try_recv().is_ok() {}
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", GRANT_TYPE)
            .append_pair("subject_token", subject_token)
            .append_pair("subject_token_type", "urn:ietf:params:oauth:token-type:access_token")
            .append_pair("audience", target)
            .extend_pairs(more)
            .finish();
        let request = Request::post("/token")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::AUTHORIZATION, format!("Basic {}", BASE64.encode(format!("orders:{SECRET}").as_bytes())))
            .body(Body::from(form))?;
        let old = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
        let (parts, body) = self.exchange.layer(old).oneshot(request).await?.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok((parts.status, serde_json::from_slice(&body)?))
    }

    /// The reason of the last refusal.
    fn reason(&mut self) -> Option<Reason> {
        self.events.try_recv().ok()?.reason
    }
}

/// The token with which Alice called `orders`, with some claims changed.
fn alice(changes: Value) -> String {
    let header = json!({ "alg": "ES256", "kid": KEY.key_id(), "typ": "at+jwt" });
    let mut claims = json!({
        "iss": ISSUER, "sub": "alice", "aud": "https://orders.example", "client_id": "web", "scope": "orders:read",
        "iat": now(), "exp": now() + 600, "jti": now().to_string(),
    });
    for (name, value) in changes.as_object().into_iter().flatten() {
        claims[name] = value.clone();
    }
    let [header, claims] = [header, claims].map(|part| BASE64URL_NOPAD.encode(part.to_string().as_bytes()));
    let signature = KEY.sign(format!("{header}.{claims}").as_bytes()).unwrap_or_default();
    format!("{header}.{claims}.{}", BASE64URL_NOPAD.encode(&signature))
}

/// The records file with this text.
fn records(text: &str) -> TomlFile {
    TomlFile::new(FILE, text)
}

fn now() -> u64 {
    UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}

fn claim(holds: bool, what: &str) -> Result<(), Box<dyn Error>> {
    println!("  {} {what}", if holds { "✓" } else { "✗" });
    if holds { Ok(()) } else { Err(format!("not as expected: {what}").into()) }
}
