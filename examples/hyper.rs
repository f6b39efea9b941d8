//! Token exchange in a plain hyper server, HTTP/1.1 and HTTP/2 on one port.
//!
//! `cargo run --example hyper` starts the server on loopback. The example sends an ordinary grant over HTTP/1.1, an
//! exchange over HTTP/1.1 and an exchange over HTTP/2, and fails if an answer is not as expected.

#![allow(clippy::print_stdout, reason = "the example prints its results")]

mod support;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::Client as HttpClient,
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use std::error::Error;
use support::{ISSUER, SECRET};
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower_token_exchange::{
    Client, Target, TokenExchangeLayer,
    body::Replay,
    policy::{Rule, Subjects},
    signing::{Algorithm, LocalSigner},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let key = LocalSigner::generate(Algorithm::ES256)?;
    let exchange = TokenExchangeLayer::builder(ISSUER)
        .endpoint("/token")
        .clients([Client::new("orders").secret(SECRET)])
        .targets([
            Target::new("orders").audience_claim("https://orders.example").served_by("orders").scopes(["read"]),
            Target::new("billing").audience_claim("https://billing.example").allow_clients(["orders"]).scopes(["read"]),
        ])
        .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["read"])])
        .signer(key.clone())
        .build()?;

    let service = ServiceBuilder::new()
        // The body type of hyper cannot take frames back. A `Replay` around the body can.
        .map_request(|request: Request<Incoming>| request.map(Replay::new))
        .layer(exchange)
        .service_fn(move |request| ordinary_grants(key.clone(), request));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/token", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
                    println!("a connection broke: {error}");
                }
            });
        }
    });

    let user_token = support::log_in(&url).await?;
    let (status, answer) = support::send(support::exchange(&url, SECRET, &user_token)?).await?;
    support::check(status, &answer)?;

    let client = HttpClient::builder(TokioExecutor::new()).http2_only(true).build_http();
    let response = client.request(support::exchange(&url, SECRET, &user_token)?.map(Full::new)).await?;
    if response.version() != Version::HTTP_2 {
        return Err("not over HTTP/2".into());
    }
    let status = response.status();
    support::check(status, &serde_json::from_slice(&response.collect().await?.to_bytes())?)
}

async fn ordinary_grants(
    key: LocalSigner,
    request: Request<Replay<Incoming>>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let form = request.into_body().collect().await?.to_bytes();
    let (status, answer) = support::ordinary_grant(&key, &form);
    let mut response = Response::new(Full::from(answer.to_string()));
    *response.status_mut() = status;
    Ok(response)
}
