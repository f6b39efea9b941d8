//! Token exchange in an axum server that has the usual layers.
//!
//! `cargo run --example axum` starts the server on loopback. The example sends an ordinary grant, an exchange, and an
//! exchange with a wrong secret, and fails if an answer is not as expected.

#![allow(clippy::print_stdout, reason = "the example prints its results")]

mod support;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Request, State},
    http::StatusCode,
    middleware::{Next, from_fn},
    response::Response,
    routing::post,
};
use serde_json::Value;
use std::{error::Error, time::Duration};
use support::{ISSUER, SECRET};
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower_http::{cors::CorsLayer, timeout::TimeoutLayer, trace::TraceLayer};
use tower_token_exchange::{
    Client, Reason, Target, TokenExchangeLayer,
    policy::{Rule, Subjects},
    signing::{Algorithm, LocalSigner},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let key = LocalSigner::generate(Algorithm::ES256)?;
    let exchange = TokenExchangeLayer::builder(ISSUER)
        // The path inside the nested router, without the prefix `/oauth`.
        .endpoint("/token")
        .clients([Client::new("orders").secret(SECRET)])
        .targets([
            Target::new("orders").audience_claim("https://orders.example").served_by("orders").scopes(["read"]),
            Target::new("billing").audience_claim("https://billing.example").allow_clients(["orders"]).scopes(["read"]),
        ])
        .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["read"])])
        .signer(key.clone())
        .build()?;

    let oauth = Router::new().route("/token", post(ordinary_grants)).with_state(key).layer(exchange);
    let app = Router::new().nest("/oauth", oauth).layer(
        ServiceBuilder::new()
            .layer(TraceLayer::new_for_http())
            .layer(CorsLayer::permissive())
            // This timeout is longer than the limits of the layer for a form (10 s) and for an exchange (15 s). So a slow
            // request ends with an OAuth error of the layer.
            .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(30)))
            .layer(from_fn(access_log)),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/oauth/token", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });

    let user_token = support::log_in(&url).await?;
    let (status, answer) = support::send(support::exchange(&url, SECRET, &user_token)?).await?;
    support::check(status, &answer)?;
    let (status, answer) = support::send(support::exchange(&url, "a guess", &user_token)?).await?;
    if status != StatusCode::UNAUTHORIZED || answer["error"] != "invalid_client" {
        return Err("a wrong secret was not refused".into());
    }
    Ok(())
}

/// Logs each request. The extensions of the response have the exact reason of a refusal, which the client does not see.
async fn access_log(request: Request, next: Next) -> Response {
    let line = format!("{} {}", request.method(), request.uri().path());
    let response = next.run(request).await;
    let reason = response.extensions().get::<Reason>().map(|reason| reason.code()).unwrap_or_default();
    println!("log: {line} {} {reason}", response.status());
    response
}

async fn ordinary_grants(State(key): State<LocalSigner>, form: Bytes) -> (StatusCode, Json<Value>) {
    let (status, answer) = support::ordinary_grant(&key, &form);
    (status, Json(answer))
}
