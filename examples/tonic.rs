//! A gRPC service and a token endpoint with token exchange, on one port of a tonic server.
//!
//! `cargo run --example tonic --all-features` starts the server on loopback. The example sends an ordinary grant, an
//! exchange and a gRPC call, and fails if an answer is not as expected.

#![allow(clippy::print_stdout, reason = "the example prints its results")]

mod support;

use axum::{Json, extract::State, routing::post};
use bytes::{Buf, BufMut, Bytes};
use http::{Request, Response, StatusCode, uri::PathAndQuery};
use serde_json::Value;
use std::{convert::Infallible, error::Error};
use support::{ISSUER, SECRET};
use tokio::net::TcpListener;
use tonic::{
    Status,
    body::Body,
    client::Grpc as GrpcClient,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::Grpc as GrpcServer,
    service::Routes,
    transport::{Endpoint, Server, server::TcpIncoming},
};
use tower::service_fn;
use tower_token_exchange::{
    Client, Target, TokenExchangeLayer,
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

    // With generated code: `Routes::new(GreeterServer::new(…))`.
    let grpc = Routes::default().into_axum_router().route_service("/example.Greeter/Greet", service_fn(greet));
    let routes = grpc.route("/token", post(ordinary_grants).with_state(key));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    // Most clients of a token endpoint use HTTP/1.1. By default, tonic does not accept HTTP/1.1.
    let server = Server::builder().accept_http1(true).layer(exchange).add_routes(routes.into());
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));

    let token_url = format!("{url}/token");
    let user_token = support::log_in(&token_url).await?;
    let (status, answer) = support::send(support::exchange(&token_url, SECRET, &user_token)?).await?;
    support::check(status, &answer)?;

    let mut client = GrpcClient::new(Endpoint::from_shared(url)?.connect().await?);
    client.ready().await?;
    let path = PathAndQuery::from_static("/example.Greeter/Greet");
    let answer = client.unary(tonic::Request::new(Bytes::from("alice")), path, Raw).await?.into_inner();
    println!("gRPC: {answer:?}");
    if answer == "hello, alice" { Ok(()) } else { Err("not the answer of the gRPC service".into()) }
}

/// A gRPC service. Its messages are raw bytes, so the example needs no generated code.
async fn greet(request: Request<axum::body::Body>) -> Result<Response<Body>, Infallible> {
    let greeter = service_fn(async |name: tonic::Request<Bytes>| {
        Ok::<_, Status>(tonic::Response::new(Bytes::from([b"hello, ", &name.into_inner()[..]].concat())))
    });
    Ok(GrpcServer::new(Raw).unary(greeter, request).await)
}

struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

async fn ordinary_grants(State(key): State<LocalSigner>, form: Bytes) -> (StatusCode, Json<Value>) {
    let (status, answer) = support::ordinary_grant(&key, &form);
    (status, Json(answer))
}
