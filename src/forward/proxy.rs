use super::{Forwarding, remove_hop_by_hop};
use crate::{body::ResponseBody, fetch::TokioIo};
use futures_util::future::{self, BoxFuture};
use http::{Extensions, HeaderValue, Request, Response, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use std::{
    convert::Infallible,
    error::Error,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tower::{BoxError, Service, ServiceExt};

/// Passes every request on to one server, and answers as that does: the innermost service of a gateway.
///
/// The client may be any service that sends a request to where its URI says, such as hyper-util's with a connection pool.
/// Bodies stream, both ways. What a proxy must change about a request, and no more, is for [`Forwarding`].
///
/// * An error of the client is answered with 502, silence with 504, and the cause is in the log.
/// * A connection that both sides want to change to another protocol, such as a websocket, is joined to the server's, and
///   bytes go both ways until one side ends it. What stands in the extensions of its request is held for as long.
///   A server that changes the protocol unasked is answered with 502.
///
/// ```
/// use axum::body::Body;
/// use hyper_util::{client::legacy::Client, rt::TokioExecutor};
/// use tower_token_exchange::forward::{Forwarding, Proxy};
///
/// let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
/// let legacy = Proxy::new(client, Forwarding::to("http://10.0.0.7:3000", "https://as.example")?);
/// # let _ = tower::Layer::layer(&tower::layer::util::Identity::new(), legacy);
/// # Ok::<(), tower_token_exchange::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Proxy<C> {
    client: C,
    forwarding: Arc<Forwarding>,
    response_timeout: Duration,
}

impl<C> Proxy<C> {
    /// Sends by this client.
    pub fn new(client: C, forwarding: Forwarding) -> Self {
        Self { client, forwarding: Arc::new(forwarding), response_timeout: Duration::from_secs(30) }
    }

    /// How long it waits for the head of an answer, from the moment it has that of the request: sending the request's body
    /// counts. Default: 30 s.
    #[must_use]
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout;
        self
    }

    async fn pass<B, R>(self, mut request: Request<B>) -> Response<ResponseBody<R>>
    where
        C: Service<Request<B>, Response = Response<R>, Error: Into<BoxError>>,
    {
        let client_side = hyper::upgrade::on(&mut request);
        let (mut parts, body) = request.into_parts();
        let held = self.forwarding.forward(&mut parts).map(|_protocol| parts.extensions.clone());
        let answer = self.client.oneshot(Request::from_parts(parts, body));
        let mut response = match tokio::time::timeout(self.response_timeout, answer).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                tracing::warn!(error = chain(&*error.into()), "a request could not be passed on");
                return refusal(StatusCode::BAD_GATEWAY);
            }
            Err(_elapsed) => {
                tracing::warn!("a request that was passed on had no answer in time");
                return refusal(StatusCode::GATEWAY_TIMEOUT);
            }
        };
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            remove_hop_by_hop(response.headers_mut());
        } else if let Some(held) = held {
            tokio::spawn(join(client_side, hyper::upgrade::on(&mut response), held));
        } else {
            tracing::warn!("the protocol was changed unasked");
            return refusal(StatusCode::BAD_GATEWAY);
        }
        response.map(ResponseBody::from)
    }
}

async fn join(client_side: OnUpgrade, server_side: OnUpgrade, _held: Extensions) {
    let Ok((client, server)) = future::try_join(client_side, server_side).await else { return };
    // An error is the end of one side, and so of both.
    let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(server)).await;
}

fn refusal<R>(status: StatusCode) -> Response<ResponseBody<R>> {
    let mut response = Response::new(ResponseBody::ours(format!("{status}\n").into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// An error and what caused it, in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

impl<C, B, R> Service<Request<B>> for Proxy<C>
where
    C: Service<Request<B>, Response = Response<R>, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
    B: Send + 'static,
    R: Send + 'static,
{
    type Response = Response<ResponseBody<R>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { Ok(this.pass(request).await) })
    }
}
