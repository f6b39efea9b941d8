//! The calling side: the service `orders` calls the service `billing` for its user, and never forwards the token of the user.
//!
//! `cargo run --example client --features client` starts an authorization server and both services on loopback, calls `orders`
//! twice, and fails if `billing` does not get a token of its own.

#![allow(clippy::print_stdout, reason = "the example prints its results")]

use axum::{Router, extract::State, routing::get};
use data_encoding::BASE64URL_NOPAD;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client as HyperClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::UNIX_EPOCH,
};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt};
use tower_token_exchange::{
    Client, Target, TokenExchangeLayer,
    audit::AuditEvent,
    caller::{
        ClientAuthentication, Destination, ExchangeClient, OutgoingExchange, OutgoingExchangeLayer, with_subject_token,
    },
    fetch::HttpFetch,
    policy::{Rule, Subjects},
    signing::{Algorithm, LocalSigner},
};

type Failure = Box<dyn Error + Send + Sync>;
type HttpClient = HyperClient<HttpConnector, Empty<bytes::Bytes>>;

const ISSUER: &str = "https://as.example";
const SECRET: &str = "b94d27b9934d3e08a52e";

/// What `orders` needs for its calls.
#[derive(Clone)]
struct Orders {
    http: OutgoingExchange<HttpClient>,
    billing: String,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let key = LocalSigner::generate(Algorithm::ES256)?;
    let exchanges = Arc::new(AtomicUsize::new(0));
    let token_endpoint = format!("{}/token", serve(authorization_server(key.clone(), &exchanges)?).await?);
    let billing = serve(Router::new().route("/invoices", get(invoices))).await?;

    // The service `orders`: a client of the authorization server, and an HTTP client for `billing`.
    let client = ExchangeClient::builder(token_endpoint, ClientAuthentication::secret_basic("orders", SECRET))
        .http(HttpFetch::builder().allow_loopback_http().build()?)
        .build()?;
    let destination = Destination::new(&billing).target("billing").scope("read");
    let http = ServiceBuilder::new()
        .layer(OutgoingExchangeLayer::new(client, [destination])?)
        .service(HyperClient::builder(TokioExecutor::new()).build_http());
    let orders = serve(Router::new().route("/orders", get(list)).with_state(Orders { http, billing })).await?;

    let user_token = token_of_alice(&key)?;
    for call in 1..=2 {
        let request = Request::get(format!("{orders}/orders"))
            .header(header::AUTHORIZATION, format!("Bearer {user_token}"))
            .body(Empty::new())?;
        let plain: HttpClient = HyperClient::builder(TokioExecutor::new()).build_http();
        let response = plain.request(request).await?;
        let status = response.status();
        let answer: Value = serde_json::from_slice(&response.into_body().collect().await?.to_bytes())?;
        println!("call {call} → {status}, the token that `billing` got: {answer}");
        if answer["sub"] != "alice" || answer["aud"] != "https://billing.example" || answer["act"]["sub"] != "orders" {
            return Err("`billing` did not get a token of its own".into());
        }
    }
    match exchanges.load(Ordering::Relaxed) {
        1 => println!("two calls, one exchange"),
        other => return Err(format!("two calls made {other} exchanges").into()),
    }
    Ok(())
}

/// The handler of `orders`. A real service verifies the token of the request first.
async fn list(State(orders): State<Orders>, headers: HeaderMap) -> Result<String, (StatusCode, String)> {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(user_token) = authorization.and_then(|value| value.strip_prefix("Bearer ")) else {
        return Err((StatusCode::UNAUTHORIZED, "no token".to_owned()));
    };
    with_subject_token(user_token, ask_billing(orders))
        .await
        .map_err(|error| (StatusCode::BAD_GATEWAY, error.to_string()))
}

async fn ask_billing(orders: Orders) -> Result<String, Failure> {
    // The layer exchanges the token of the user, and sets `Authorization`.
    let request = Request::get(format!("{}/invoices", orders.billing)).body(Empty::new())?;
    let response = orders.http.oneshot(request).await?;
    Ok(String::from_utf8(response.into_body().collect().await?.to_bytes().to_vec())?)
}

/// The handler of `billing`, which answers with the claims of its token. A real service verifies the token first.
async fn invoices(headers: HeaderMap) -> Result<Vec<u8>, StatusCode> {
    let claims = || {
        let authorization = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        BASE64URL_NOPAD.decode(authorization.strip_prefix("Bearer ")?.split('.').nth(1)?.as_bytes()).ok()
    };
    claims().ok_or(StatusCode::UNAUTHORIZED)
}

fn authorization_server(key: LocalSigner, exchanges: &Arc<AtomicUsize>) -> Result<Router, Failure> {
    let counter = Arc::clone(exchanges);
    let exchange = TokenExchangeLayer::builder(ISSUER)
        .endpoint("/token")
        .clients([Client::new("orders").secret(SECRET)])
        .targets([
            Target::new("orders").audience_claim("https://orders.example").served_by("orders").scopes(["read"]),
            Target::new("billing").audience_claim("https://billing.example").allow_clients(["orders"]).scopes(["read"]),
        ])
        .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["read"])])
        .audit(tower::service_fn(move |_: AuditEvent| {
            counter.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Ok::<_, std::convert::Infallible>(()))
        }))
        .signer(key)
        .build()?;
    Ok(Router::new().fallback(|| async { StatusCode::NOT_FOUND }).layer(exchange))
}

/// A token of the user, as the authorization server issues tokens after a login.
fn token_of_alice(key: &LocalSigner) -> Result<String, Failure> {
    let now = UNIX_EPOCH.elapsed()?.as_secs();
    let header = json!({ "alg": "ES256", "kid": key.key_id(), "typ": "at+jwt" });
    let claims = json!({
        "iss": ISSUER, "sub": "alice", "aud": "https://orders.example", "client_id": "web", "scope": "read",
        "iat": now, "exp": now + 600, "jti": now.to_string(),
    });
    let [header, claims] = [header, claims].map(|part| BASE64URL_NOPAD.encode(part.to_string().as_bytes()));
    let signature = key.sign(format!("{header}.{claims}").as_bytes())?;
    Ok(format!("{header}.{claims}.{}", BASE64URL_NOPAD.encode(&signature)))
}

/// Serves a router on a free port of the loopback address, and returns its URL.
async fn serve(router: Router) -> Result<String, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}
