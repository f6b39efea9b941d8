//! A service that receives exchanged tokens: who acts for whom, and who may.
//!
//! `cargo run --example resource_server --features resource-server` starts an authorization server and the service `billing` on
//! loopback. The example fails if an answer is not as expected.

#![allow(clippy::print_stdout, reason = "the example prints its results")]

mod support;

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    routing::{get, post},
};
use http::{HeaderMap, Request, StatusCode, header};
use serde_json::{Value, json};
use std::error::Error;
use support::{ISSUER, SECRET};
use tokio::net::TcpListener;
use tower::ServiceExt;
use tower_token_exchange::{
    Client, Issuer, Target, TokenExchangeLayer,
    fetch::HttpFetch,
    policy::{Rule, Subjects},
    resource::{AccessRule, AccessToken, PartySet, ResourceMetadata, ResourceServerLayer},
    signing::{Algorithm, LocalSigner},
};

const BILLING: &str = "https://billing.example";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let key = LocalSigner::generate(Algorithm::ES256)?;
    let token_url = format!("{}/token", start(authorization_server(key.clone())?).await?);
    let billing = start(billing(&key)?).await?;

    let user_token = support::log_in(&token_url).await?;
    let (status, answer) = support::send(support::exchange(&token_url, SECRET, &user_token)?).await?;
    support::check(status, &answer)?;
    let exchanged = answer["access_token"].as_str().ok_or("no token")?;

    for (what, path, token, expected) in [
        ("the exchanged token", "/invoices", Some(exchanged), StatusCode::OK),
        ("nobody may pay for a user", "/payments", Some(exchanged), StatusCode::FORBIDDEN),
        ("a token for another service", "/invoices", Some(&*user_token), StatusCode::UNAUTHORIZED),
        ("no token", "/invoices", None, StatusCode::UNAUTHORIZED),
        ("the metadata", "/.well-known/oauth-protected-resource", None, StatusCode::OK),
    ] {
        let (status, headers, body) = call(&format!("{billing}{path}"), token).await?;
        println!("{what}: {status} {body}");
        for challenge in headers.get_all(header::WWW_AUTHENTICATE) {
            println!("    {}", challenge.to_str()?);
        }
        if status != expected {
            return Err(format!("{what}: {status} instead of {expected}").into());
        }
    }
    Ok(())
}

/// The service `billing`.
fn billing(key: &LocalSigner) -> Result<Router, Box<dyn Error>> {
    let resource = ResourceServerLayer::builder(BILLING)
        // A real service finds the keys: `Issuer::new(ISSUER).discovery()`.
        .issuers([Issuer::new(ISSUER).keys(key.published_keys().key_set())])
        .rules([
            AccessRule::without_actor().for_users().scopes(["read"]),
            AccessRule::with_actor(PartySet::of(ISSUER, ["orders"])).for_users().scopes(["read"]),
        ])
        .metadata(ResourceMetadata::new().name("Billing"))
        .build()?;
    let payments = resource.with_rules([AccessRule::without_actor()])?;
    let metadata = resource.metadata_route().ok_or("no metadata")?;
    Ok(Router::new()
        .route("/invoices", get(who))
        .route("/payments", get(who).layer(payments))
        .layer(resource)
        .route_service(metadata.path(), metadata.clone()))
}

/// Answers with the parties of the token.
async fn who(token: AccessToken) -> Json<Value> {
    Json(json!({ "subject": token.subject().sub, "actor": token.actor().map(|actor| &actor.sub) }))
}

/// An authorization server in which `orders` may exchange tokens for `billing`.
fn authorization_server(key: LocalSigner) -> Result<Router, Box<dyn Error>> {
    let exchange = TokenExchangeLayer::builder(ISSUER)
        .clients([Client::new("orders").secret(SECRET)])
        .targets([
            Target::new("orders").audience_claim("https://orders.example").served_by("orders").scopes(["read"]),
            Target::new("billing").audience_claim(BILLING).allow_clients(["orders"]).scopes(["read"]),
        ])
        .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["read"])])
        .signer(key.clone())
        .build()?;
    let other_grants = async |State(key): State<LocalSigner>, form: Bytes| {
        let (status, answer) = support::ordinary_grant(&key, &form);
        (status, Json(answer))
    };
    Ok(Router::new().route("/token", post(other_grants)).with_state(key).layer(exchange))
}

/// Starts a server on loopback, and returns its URL.
async fn start(app: Router) -> Result<String, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}

async fn call(url: &str, token: Option<&str>) -> Result<(StatusCode, HeaderMap, String), Box<dyn Error>> {
    let mut request = Request::get(url).body(Bytes::new())?;
    if let Some(token) = token {
        request.headers_mut().insert(header::AUTHORIZATION, format!("Bearer {token}").parse()?);
    }
    let response = HttpFetch::builder().allow_loopback_http().build()?.oneshot(request).await?;
    let (parts, body) = response.into_parts();
    Ok((parts.status, parts.headers, String::from_utf8(body.to_vec())?))
}
