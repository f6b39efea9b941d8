//! Token exchange for an authorization server that does not support this grant: the layer around a simple reverse proxy.
//!
//! `cargo run --example gateway` starts an authorization server, and the proxy in front of the server. An ordinary grant
//! passes, and the layer answers an exchange. The package `token-exchange-gateway` is a complete gateway.

#![allow(clippy::print_stdout, reason = "the example prints its results")]

mod support;

use axum::{Router, body::Body, extract::Request, routing::post};
use http::{StatusCode, Uri, uri::PathAndQuery};
use hyper_util::{client::legacy::Client as HttpClient, rt::TokioExecutor};
use std::error::Error;
use support::{ISSUER, SECRET};
use tokio::net::TcpListener;
use tower::{Layer, service_fn};
use tower_token_exchange::{
    Client, Target, TokenExchangeLayer,
    policy::{Rule, Subjects},
    signing::{Algorithm, LocalSigner},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let key = LocalSigner::generate(Algorithm::ES256)?;

    // The server without token exchange. In production, the proxy has a signing key of its own.
    let signer = key.clone();
    let token_endpoint = post(async move |form: bytes::Bytes| {
        let (status, answer) = support::ordinary_grant(&signer, &form);
        (status, answer.to_string())
    });
    let server = TcpListener::bind("127.0.0.1:0").await?;
    let server_address = server.local_addr()?.to_string();
    tokio::spawn(axum::serve(server, Router::new().route("/token", token_endpoint)).into_future());

    // The proxy: every request goes to the same path of the server.
    let client = HttpClient::builder(TokioExecutor::new()).build_http::<Body>();
    let proxy = service_fn(move |mut request: Request| {
        let path = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        let uri = Uri::builder().scheme("http").authority(server_address.as_str()).path_and_query(path).build();
        *request.uri_mut() = uri.unwrap_or_default();
        let response = client.request(request);
        async move { response.await.map(|response| response.map(Body::new)).or_else(|_| bad_gateway()) }
    });

    // The layer answers token exchange requests. All other requests reach the proxy.
    let exchange = TokenExchangeLayer::builder(ISSUER)
        .endpoint("/token")
        .clients([Client::new("orders").secret(SECRET)])
        .targets([
            Target::new("orders").audience_claim("https://orders.example").served_by("orders").scopes(["read"]),
            Target::new("billing").audience_claim("https://billing.example").allow_clients(["orders"]).scopes(["read"]),
        ])
        .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["read"])])
        .signer(key)
        .build()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/token", listener.local_addr()?);
    let app = Router::new().fallback_service(exchange.layer(proxy));
    tokio::spawn(axum::serve(listener, app).into_future());

    let user_token = support::log_in(&url).await?;
    let (status, answer) = support::send(support::exchange(&url, SECRET, &user_token)?).await?;
    support::check(status, &answer)
}

fn bad_gateway<E>() -> Result<http::Response<Body>, E> {
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    Ok(response)
}
