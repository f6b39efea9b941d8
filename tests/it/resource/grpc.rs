//! The layer around a tonic server, over HTTP/2 on loopback.

use super::*;
use bytes::{Buf, BufMut};
use http::uri::PathAndQuery;
use std::convert::Infallible;
use tonic::{
    Code, Status,
    client::Grpc as GrpcClient,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::Grpc as GrpcServer,
    service::Routes,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use tower::service_fn;
use tower_token_exchange::resource::access_token;

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

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
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

/// Answers with the subject of the token and the message.
async fn greet(request: Request<axum::body::Body>) -> Result<http::Response<tonic::body::Body>, Infallible> {
    let greeter = service_fn(async |request: tonic::Request<Bytes>| {
        let token = access_token(&request)?;
        let text = [token.subject().sub.as_str().as_bytes(), b": ", request.get_ref()].concat();
        Ok::<_, Status>(tonic::Response::new(Bytes::from(text)))
    });
    Ok(GrpcServer::new(Raw).unary(greeter, request).await)
}

async fn client(builder: ResourceServerBuilder) -> GrpcClient<Channel> {
    let routes = Routes::default().into_axum_router().route_service("/example.Greeter/Greet", service_fn(greet));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = Server::builder().layer(builder.build().unwrap()).add_routes(routes.into());
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    GrpcClient::new(Endpoint::from_shared(url).unwrap().connect().await.unwrap())
}

async fn call(client: &mut GrpcClient<Channel>, authorization: Option<&str>) -> Result<Bytes, Status> {
    client.ready().await.unwrap();
    let mut request = tonic::Request::new(Bytes::from("hello"));
    if let Some(value) = authorization {
        request.metadata_mut().insert("authorization", value.parse().unwrap());
    }
    let path = PathAndQuery::from_static("/example.Greeter/Greet");
    client.unary(request, path, Raw).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_grpc_call_needs_a_token() {
    let own = issuer();
    let mut client = client(builder(&own).rules([AccessRule::any_actor().scopes(["read"])])).await;
    let bearer = |changes: Value| format!("Bearer {}", token(&own, changes));
    assert_eq!(call(&mut client, Some(&bearer(json!({})))).await.unwrap(), "alice: hello");
    for (name, authorization, code, message) in [
        ("no token", None, Code::Unauthenticated, "an access token is required"),
        ("expired", Some(bearer(json!({ "exp": NOW }))), Code::Unauthenticated, NOT_ACCEPTABLE),
        ("no scope", Some(bearer(json!({ "scope": "x" }))), Code::PermissionDenied, "the access token lacks a scope"),
        ("malformed", Some("Bearer".to_owned()), Code::InvalidArgument, "the Authorization header is malformed"),
    ] {
        let status = call(&mut client, authorization.as_deref()).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (code, message), "{name}");
        assert!(status.metadata().contains_key("www-authenticate"), "{name}: {:?}", status.metadata());
    }
}

#[tokio::test]
async fn a_grpc_handler_can_require_a_token() {
    let own = issuer();
    let mut client = client(builder(&own).allow_anonymous().rules(everybody())).await;
    let status = call(&mut client, None).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(status.metadata().get("www-authenticate").unwrap().to_str().unwrap(), "Bearer");
    let status = access_token(&tonic::Request::new(())).unwrap_err();
    assert_eq!(status.code(), Code::Internal, "a service without the layer");
}
