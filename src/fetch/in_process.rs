use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body::Body;
use http_body_util::Full;
use tower::{BoxError, Service, ServiceExt};

use super::body::{self, Unread};

/// The largest answer that is read, in bytes.
const ANSWER_BYTES: usize = 256 * 1024;

/// Makes a service of this process askable as a peer on the network is: a router, or the service that the layer
/// wraps. It is asked with a [`Full`] body, which axum's routers take as it is; `map_request` of tower makes any other.
/// Answers of more than 256 KiB are an error.
///
/// ```
/// use axum::{Json, Router, routing::post};
/// use serde_json::{Value, json};
/// use tower_token_exchange::{Issuer, fetch::in_process, records::Introspection};
///
/// async fn introspect() -> Json<Value> {
///     Json(json!({ "active": false }))
/// }
///
/// let authorization_server: Router = Router::new().route("/introspect", post(introspect));
/// let own = Issuer::new("https://as.example").introspection(
///     Introspection::basic("https://as.example/introspect", "exchange", "rT4wK8sB3nH6jD1pX7mQ2vL9")
///         .http(in_process(authorization_server.clone())),
/// );
/// # let _ = (own, authorization_server);
/// ```
pub fn in_process<S>(service: S) -> InProcess<S> {
    InProcess(service)
}

/// A service of this process, by [`in_process`].
#[derive(Clone, Debug)]
pub struct InProcess<S>(S);

impl<S, R> Service<Request<Bytes>> for InProcess<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
    R: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin,
{
    type Response = Response<Bytes>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Bytes>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let service = self.0.clone();
        Box::pin(async move {
            let mut request = request.map(Full::new);
            // Whoever passes it on may lose the length of its body on the way.
            if let Some(length) = request.body().size_hint().exact().filter(|length| *length > 0) {
                request.headers_mut().insert(header::CONTENT_LENGTH, length.into());
            }
            let response = service.oneshot(request).await.map_err(Into::into)?;
            let (parts, body) = response.into_parts();
            match body::read(body, ANSWER_BYTES).await {
                Ok(body) => Ok(Response::from_parts(parts, body)),
                Err(Unread::TooLarge) => Err(format!("the answer is larger than {ANSWER_BYTES} bytes").into()),
                Err(Unread::Broken(error)) => Err(error.into()),
            }
        })
    }
}
