//! The server that the example `load` drives: an axum server with the layer, and an audit file with one line for each
//! exchange.
//!
//! ```sh
//! cargo run --release --example load_server
//! cargo run --release --example load        # in a second terminal
//! ```
//!
//! The server offers everything that `load` needs: `/load` names the process and the client, and `/subject-tokens?count=10`
//! signs new subject tokens, one in a line. A real server must not have such endpoints.

#![allow(clippy::print_stdout, reason = "the example says where it listens")]

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    routing::{get, post},
};
use clap::Parser;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    error::Error,
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::UNIX_EPOCH,
};
use tokio::net::TcpListener;
use tower_token_exchange::{
    Client, Target, TokenExchangeLayer,
    audit::JsonLinesSink,
    policy::{Rule, Subjects},
    signing::{Algorithm, LocalSigner},
};

const CLIENT: &str = "orders";
const SECRET: &str = "b94d27b9934d3e08a52e";

/// A server with token exchange, for the example `load`
#[derive(Parser)]
struct Arguments {
    /// The address of the server
    #[arg(long, default_value = "127.0.0.1:8199")]
    listen: SocketAddr,
    /// The `iss` of the tokens
    #[arg(long, default_value = "https://as.example")]
    issuer: String,
    /// The algorithm of all tokens: ES256, ES384 or EdDSA
    #[arg(long, default_value = "ES256")]
    algorithm: Algorithm,
    /// The audit file, which is replaced
    #[arg(long, default_value = "target/load-audit.jsonl")]
    audit: PathBuf,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { listen, issuer, algorithm, audit } = Arguments::parse();
    if let Some(folder) = audit.parent() {
        fs::create_dir_all(folder)?;
    }
    let _ = fs::remove_file(&audit);
    let key = LocalSigner::generate(algorithm)?;
    let exchange = TokenExchangeLayer::builder(issuer.as_str())
        .endpoint("/token")
        .clients([Client::new(CLIENT).secret(SECRET)])
        .targets([
            Target::new("orders").audience_claim("https://orders.example").served_by(CLIENT).scopes(["read"]),
            Target::new("billing").audience_claim("https://billing.example").allow_clients([CLIENT]).scopes(["read"]),
        ])
        .rules([Rule::allow(CLIENT, Subjects::any(), "billing").scopes(["read"])])
        .signer(key.clone())
        .audit(JsonLinesSink::file(&audit)?)
        .build()?;
    let app = Router::new()
        .route("/token", post(ordinary_grants))
        .layer(exchange)
        .route("/jwks", get(async move |State(tokens): State<&'static Tokens>| tokens.key.published_keys().to_json()))
        .route("/load", get(Json(what_to_send())))
        .route("/subject-tokens", get(subject_tokens))
        .with_state(&*Box::leak(Box::new(Tokens { key, issuer, issued: AtomicU64::new(0) })));
    let listener = TcpListener::bind(listen).await?;
    println!("listening on http://{}, audit in {}", listener.local_addr()?, audit.display());
    axum::serve(listener, app).await?;
    Ok(())
}

/// The part of the answer to `/load` that the example `load` reads.
fn what_to_send() -> Value {
    json!({ "pid": std::process::id(), "client": CLIENT, "secret": SECRET, "audience": "billing" })
}

/// The old token endpoint. It has the grant with which a gateway in front of this server asks whether the secret of a client
/// is right.
async fn ordinary_grants(headers: HeaderMap, body: String) -> (StatusCode, Json<Value>) {
    let credentials = format!("Basic {}", BASE64.encode(format!("{CLIENT}:{SECRET}").as_bytes()));
    if headers.get(header::AUTHORIZATION).is_none_or(|given| *given != credentials) {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "error": "invalid_client" })));
    }
    if !body.contains("grant_type=client_credentials") {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "unsupported_grant_type" })));
    }
    (StatusCode::OK, Json(json!({ "access_token": "none", "token_type": "Bearer", "expires_in": 1 })))
}

struct Tokens {
    key: LocalSigner,
    issuer: String,
    issued: AtomicU64,
}

#[derive(Deserialize)]
struct Wanted {
    count: usize,
}

async fn subject_tokens(State(tokens): State<&'static Tokens>, Query(Wanted { count }): Query<Wanted>) -> String {
    let mut lines = String::new();
    for _ in 0..count.min(1_000_000) {
        lines.push_str(&tokens.next());
        lines.push('\n');
    }
    lines
}

impl Tokens {
    /// A new access token of Alice, which is valid for an hour.
    fn next(&self) -> String {
        let number = self.issued.fetch_add(1, Ordering::Relaxed);
        let now = UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
        let header = json!({ "alg": self.key.algorithm().as_str(), "kid": self.key.key_id(), "typ": "at+jwt" });
        let claims = json!({
            "iss": self.issuer, "sub": "alice", "aud": "https://orders.example", "client_id": "web", "scope": "read",
            "iat": now, "exp": now + 3600, "jti": format!("subject-{number}"),
        });
        let [header, claims] = [header, claims].map(|part| BASE64URL_NOPAD.encode(part.to_string().as_bytes()));
        let signature = self.key.sign(format!("{header}.{claims}").as_bytes()).unwrap_or_default();
        format!("{header}.{claims}.{}", BASE64URL_NOPAD.encode(&signature))
    }
}
