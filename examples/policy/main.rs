//! Who may exchange what for whom, and why not: records and rules in one file, and what they come to.
//!
//! `cargo run --all-features --example policy` reads `records.toml`, shows consent from two sides, what scopes become, a
//! login that is not strong enough, a rule on trial, a reload, and a decision point elsewhere, and fails if one of them
//! does not come out as it should.

// What happened is told on the terminal.
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

/// Signs Alice's tokens and those that are issued for them.
static KEY: LazyLock<LocalSigner> =
    LazyLock::new(|| LocalSigner::generate(Algorithm::ES256).unwrap_or_else(|_| std::process::abort()));

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut server = Server::start(records(RECORDS).parse()?, None::<BoxPlug<Query, Decision>>)?;
    consent(&mut server).await?;
    scopes(&mut server).await?;
    step_up(&mut server).await?;
    trial_and_reload(&mut server).await?;
    elsewhere().await
}

/// A target lists who may come, a client where it means to go. Neither is enough alone, and no rule makes up for it.
async fn consent(server: &mut Server) -> Result<(), Box<dyn Error>> {
    println!("\n── Consent has two sides.");
    for (what, one_sided) in [
        ("no longer lists orders", RECORDS.replacen("callers = [\"orders\"] ", "callers = [] ", 1)),
        ("is not where orders means to go", RECORDS.replacen("[\"billing\", \"vault\"]", "[\"vault\"]", 1)),
        ("has a new name that the rules do not know", RECORDS.replacen("id = \"billing\"", "id = \"invoicing\"", 1)),
    ] {
        let Err(error) = server.exchange.reload(records(&one_sided).parse()?) else {
            return Err("a rule that can never match was taken".into());
        };
        println!("  billing {what}:\n    {}", records(&one_sided).locate(&error));
    }
    let misspelt = RECORDS.replacen("max_lifetime = \"1m\"", "max_lifetme = \"1m\"", 1);
    let Err(error) = records(&misspelt).parse::<Document>() else { return Err("an unknown field was taken".into()) };
    println!("  a field is misspelt:\n    {error}");

    let (status, answer) = server.ask("orders", &alice(json!({})), &[]).await?;
    let refused = status == StatusCode::BAD_REQUEST && answer["error"] == "invalid_target";
    claim(refused, "orders is no caller of its own target: invalid_target")?;
    claim(server.reason() == Some(Reason::TargetNotAllowed), "the audit says which side is missing")
}

/// What a scope is worth at a target, its record says.
async fn scopes(server: &mut Server) -> Result<(), Box<dyn Error>> {
    println!("\n── Scopes are translated.");
    let (status, answer) = server.ask("billing", &alice(json!({})), &[]).await?;
    claim(status == StatusCode::OK && answer["scope"] == "invoices:read", "`orders:read` became `invoices:read`")?;
    let more = [("scope", "invoices:read invoices:write")];
    let (_, answer) = server.ask("billing", &alice(json!({})), &more).await?;
    claim(answer["scope"] == "invoices:read", "`invoices:write` was asked for too, and is not what she has")?;
    let (_, answer) = server.ask("billing", &alice(json!({ "scope": "orders:write" })), &more).await?;
    claim(answer["scope"] == more[0].1, "with `orders:write` she has both")
}

/// A rule may want a stronger login, and the client is told which (RFC 9470).
async fn step_up(server: &mut Server) -> Result<(), Box<dyn Error>> {
    println!("\n── A login can be too weak.");
    let (status, answer) = server.ask("vault", &alice(json!({ "acr": "pwd", "auth_time": now() })), &[]).await?;
    println!("  {status} {answer}");
    let told = answer["error"] == "insufficient_user_authentication" && answer["acr_values"] == "phr";
    claim(told && answer["max_age"] == 600, "the client is told which login will do")?;
    let strong = alice(json!({ "acr": "phr", "auth_time": now() }));
    let (status, answer) = server.ask("vault", &strong, &[]).await?;
    claim(status == StatusCode::OK && answer["expires_in"] == 60, "after that it gets its token, for a minute")
}

/// A rule on trial has no effect, but the audit says what it would have done; then it becomes real.
async fn trial_and_reload(server: &mut Server) -> Result<(), Box<dyn Error>> {
    println!("\n── A rule is on trial, then it counts.");
    let intern = alice(json!({ "groups": ["interns"] }));
    let (status, _) = server.ask("billing", &intern, &[]).await?;
    let event = server.events.try_recv()?;
    let shadow = event.shadow.map(|shadow| shadow.to_string()).unwrap_or_default();
    println!("  audit: outcome={} shadow={shadow:?}", event.outcome.as_str());
    let would = shadow == "would deny: no interns";
    claim(status == StatusCode::OK && would, "an intern still gets a token, and the audit says who would not")?;

    let for_real = RECORDS.replace("shadow = true", "");
    server.exchange.reload(records(&for_real).parse()?)?;
    let (status, _) = server.ask("billing", &intern, &[]).await?;
    let denied = server.reason() == Some(Reason::PolicyDenied);
    claim(status == StatusCode::BAD_REQUEST && denied, "the document is loaded anew without the word: refused")?;

    let broken = for_real.replacen("clients = \"any\"", "clients = [\"ordres\"]", 1);
    let error = server.exchange.reload(records(&broken).parse()?).err().ok_or("a bad document was taken")?;
    println!("  {}", records(&broken).locate(&error));
    let (status, _) = server.ask("billing", &alice(json!({})), &[]).await?;
    claim(status == StatusCode::OK, "a bad document is refused, and the one before it still counts")
}

/// Instead of rules, a decision point elsewhere. The records still say what it can allow at most.
async fn elsewhere() -> Result<(), Box<dyn Error>> {
    println!("\n── A decision point elsewhere is asked.");
    let decide = |Json(asked): Json<Value>| async move {
        let party = asked["context"]["acr"].as_str().unwrap_or_default();
        if party == "slow" {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        let questions = asked["evaluations"].as_array().cloned().unwrap_or_default();
        let decide = |question: &Value| json!({ "decision": question["resource"]["id"] == "billing" });
        Json(json!({ "evaluations": questions.iter().map(decide).collect::<Vec<_>>() }))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/access/v1/evaluations", listener.local_addr()?);
    let app = Router::new().route("/access/v1/evaluations", post(decide));
    tokio::spawn(async move { axum::serve(listener, app).await });

    let without_rules = RECORDS.split("[[rule]]").next().unwrap_or_default();
    let policy = decision_point::policy(url).map_err(|error| error.to_string())?;
    let mut server = Server::start(records(without_rules).parse()?, Some(policy))?;
    let (status, answer) = server.ask("billing", &alice(json!({})), &[]).await?;
    claim(status == StatusCode::OK && answer["scope"] == "invoices:read", "it permits billing")?;
    let (_, answer) = server.ask("vault", &alice(json!({})), &[]).await?;
    claim(answer["error"] == "invalid_target", "it closes the vault")?;
    let (status, _) = server.ask("billing", &alice(json!({ "acr": "slow" })), &[]).await?;
    claim(status == StatusCode::SERVICE_UNAVAILABLE, "it says nothing for half a second: 503, and no token")
}

/// A token endpoint with the layer on it.
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

    /// `orders` asks for a token for this target.
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

    /// Why the last one was refused.
    fn reason(&mut self) -> Option<Reason> {
        self.events.try_recv().ok()?.reason
    }
}

/// A token with which Alice called orders, changed by what is given.
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

/// The records, as if this stood in their file.
fn records(text: &str) -> TomlFile {
    TomlFile::new(FILE, text)
}

fn now() -> u64 {
    UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}

fn claim(holds: bool, what: &str) -> Result<(), Box<dyn Error>> {
    println!("  {} {what}", if holds { "✓" } else { "✗" });
    if holds { Ok(()) } else { Err(format!("did not come out as claimed: {what}").into()) }
}
