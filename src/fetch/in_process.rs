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

/// The largest response body that is read, in bytes.
const ANSWER_BYTES: usize = 256 * 1024;

/// Makes an HTTP service from a service in the same process, such as a router or the service that the layer wraps.
///
/// The service gets requests with a [`Full`] body. An axum router accepts such a body;
/// [`map_request`](tower::util::ServiceExt::map_request) converts the body for any other service. A response body of more
/// than 256 KiB is an error.
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

/// An HTTP service in the same process. [`in_process`] creates one.
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
            // A middleware of the service may hide the length of the body. The header states the length.
            if let Some(length) = request.body().size_hint().exact().filter(|length| *length > 0) {
                request.headers_mut().insert(header::CONTENT_LENGTH, length.into());
            }
            let response = service.oneshot(request).await.map_err(Into::into)?;
            let (parts, body) = response.into_parts();
            match body::read(body, ANSWER_BYTES).await {
                Ok(body) => Ok(Response::from_parts(parts, body)),
                Err(Unread::TooLarge) => Err(format!("the response is larger than {ANSWER_BYTES} bytes").into()),
                Err(Unread::Broken(error)) => Err(error.into()),
            }
        })
    }
}
