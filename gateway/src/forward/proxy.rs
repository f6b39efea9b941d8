use super::{Forwarding, remove_hop_by_hop};
use crate::answer;
use axum::body::Body;
use bytes::Bytes;
use futures_util::future::{self, BoxFuture};
use http::{Extensions, Request, Response, StatusCode};
use http_body::Body as HttpBody;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tower::{BoxError, Service, ServiceExt};

/// Marks the answer of the server, in the extensions of the answer.
#[derive(Clone, Copy)]
pub(crate) struct ServerAnswer;

/// Passes every request on to one server and returns the answer of that server: the innermost service of a gateway.
///
/// The client can be any service that sends a request to its URI, such as the client of hyper-util. Bodies stream in both
/// directions. [`Forwarding`] changes the headers of the request.
///
/// * An error of the client is answered with 502. No answer in time is answered with 504. The log holds the cause.
/// * If both sides agree on another protocol, such as a websocket, both connections are joined: bytes go both ways until one
///   side ends. The extensions of the request live as long. If the server changes the protocol without being asked, the
///   answer is 502.
///
/// ```
/// use axum::body::Body;
/// use hyper_util::{client::legacy::Client, rt::TokioExecutor};
/// use token_exchange_gateway::forward::{Forwarding, Proxy};
///
/// let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
/// let forwarding = Forwarding::builder().server("http://10.0.0.7:3000").public_url("https://as.example").build()?;
/// let proxy = Proxy::new(client, forwarding);
/// # let _ = tower::Layer::layer(&tower::layer::util::Identity::new(), proxy);
/// # Ok::<(), token_exchange_gateway::forward::ForwardingError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Proxy<C> {
    client: C,
    forwarding: Arc<Forwarding>,
    response_timeout: Duration,
}

impl<C> Proxy<C> {
    /// Creates a proxy that sends requests with this client.
    pub fn new(client: C, forwarding: Forwarding) -> Self {
        Self { client, forwarding: Arc::new(forwarding), response_timeout: Duration::from_secs(30) }
    }

    /// Sets how long the head of an answer may take. The time starts when the head of the request is there, and includes
    /// sending the body of the request. Default: 30 s.
    #[must_use]
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout;
        self
    }

    /// Returns the client.
    pub fn get_ref(&self) -> &C {
        &self.client
    }

    /// Returns the client, to change it.
    pub fn get_mut(&mut self) -> &mut C {
        &mut self.client
    }

    /// Turns the proxy into its client.
    pub fn into_inner(self) -> C {
        self.client
    }

    async fn pass<R>(self, mut request: Request<Body>) -> Response<Body>
    where
        C: Service<Request<Body>, Response = Response<R>, Error: Into<BoxError>>,
        R: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let client_side = hyper::upgrade::on(&mut request);
        let (mut parts, body) = request.into_parts();
        let held = self.forwarding.forward(&mut parts).map(|_protocol| parts.extensions.clone());
        let answer = self.client.oneshot(Request::from_parts(parts, body));
        let mut response = match tokio::time::timeout(self.response_timeout, answer).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                let error = anyhow::Error::from_boxed(error.into());
                tracing::warn!(error = format!("{error:#}"), "a request could not be passed on to the server");
                return answer::plain(StatusCode::BAD_GATEWAY);
            }
            Err(_elapsed) => {
                tracing::warn!("the server did not answer a request in time");
                return answer::plain(StatusCode::GATEWAY_TIMEOUT);
            }
        };
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            remove_hop_by_hop(response.headers_mut());
        } else if let Some(held) = held {
            tokio::spawn(join(client_side, hyper::upgrade::on(&mut response), held));
        } else {
            tracing::warn!("the server changed the protocol, although the request did not ask for a change");
            return answer::plain(StatusCode::BAD_GATEWAY);
        }
        response.extensions_mut().insert(ServerAnswer);
        response.map(Body::new)
    }
}

async fn join(client_side: OnUpgrade, server_side: OnUpgrade, _held: Extensions) {
    let Ok((client, server)) = future::try_join(client_side, server_side).await else { return };
    // An error on one side ends both connections.
    let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(server)).await;
}

impl<C, R> Service<Request<Body>> for Proxy<C>
where
    C: Service<Request<Body>, Response = Response<R>, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
    R: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { Ok(this.pass(request).await) })
    }
}
