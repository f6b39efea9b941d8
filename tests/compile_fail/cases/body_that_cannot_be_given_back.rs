//! The layer reads a request body, and gives the body back to the wrapped service as the same type.

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};
use tower::{Layer, Service, service_fn};
use tower_token_exchange::TokenExchangeLayer;

struct Upload;

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }
}

/// Has the bounds of a server.
fn serve(_: impl Service<Request<Upload>>) {}

fn mount(layer: TokenExchangeLayer) {
    let server =
        service_fn(|request: Request<Upload>| async { Ok::<_, Infallible>(Response::new(request.into_body())) });
    serve(layer.layer(server));
}

fn main() {}
