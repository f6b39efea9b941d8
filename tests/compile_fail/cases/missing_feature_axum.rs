//! The request body of axum needs the feature `axum`.

use axum_core::body::Body;
use http::{Request, Response};
use std::convert::Infallible;
use tower::{Layer, Service, service_fn};
use tower_token_exchange::TokenExchangeLayer;

/// Has the bounds of a server.
fn serve(_: impl Service<Request<Body>>) {}

fn mount(layer: TokenExchangeLayer) {
    let server = service_fn(|request: Request<Body>| async { Ok::<_, Infallible>(Response::new(request.into_body())) });
    serve(layer.layer(server));
}

fn main() {}
