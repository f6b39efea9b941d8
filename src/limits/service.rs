use super::{Exceeded, Limiter, Peer};
use crate::protocol::{ClientAddress, Reason, refuse};
use http::{Request, Response, StatusCode, header};
use pin_project_lite::pin_project;
use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tower::{Layer, Service};

/// A [`tower::Layer`] that gives each peer a budget of requests, in front of any service.
///
/// A request that exceeds the budget is answered with 429, `Retry-After` and an empty body. The extensions of the response have
/// [`Reason::PeerRateLimited`]. A request without the extension
/// [`ClientAddress`](crate::client_auth::ClientAddress) has no peer, and passes.
///
/// [`TokenExchangeBuilder::limits`](crate::TokenExchangeBuilder::limits) limits token exchanges. This layer is for all
/// other requests, and for a budget that several services share: all services of one layer share the budgets.
///
/// ```
/// use axum::{Router, routing::post};
/// use tower_token_exchange::limits::{Limiter, PeerLimitLayer, Rate};
///
/// async fn token() {}
///
/// let limit = PeerLimitLayer::new(Limiter::new(Rate::per_second(50)));
/// let app: Router = Router::new().route("/token", post(token)).layer(limit);
/// # let _ = app;
/// ```
#[derive(Clone, Debug)]
pub struct PeerLimitLayer {
    requests: Limiter,
}

impl PeerLimitLayer {
    /// A layer with these budgets. The keys of the limiter are [`Peer`]s.
    pub fn new(requests: Limiter) -> Self {
        Self { requests }
    }
}

impl<S> Layer<S> for PeerLimitLayer {
    type Service = PeerLimit<S>;

    fn layer(&self, inner: S) -> PeerLimit<S> {
        PeerLimit { inner, requests: self.requests.clone() }
    }
}

/// The service of [`PeerLimitLayer`].
#[derive(Clone, Debug)]
pub struct PeerLimit<S> {
    inner: S,
    requests: Limiter,
}

impl<S, B, R> Service<Request<B>> for PeerLimit<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = PeerLimitFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let peer = request.extensions().get::<ClientAddress>().map(Peer::from);
        match peer.map_or(Ok(()), |peer| self.requests.take(&peer)) {
            Ok(()) => PeerLimitFuture { arm: Arm::Passed { future: self.inner.call(request) } },
            Err(exceeded) => {
                // A service that is ready can hold a place of a limit. The place must not wait for the next request.
                let unready = self.inner.clone();
                drop(mem::replace(&mut self.inner, unready));
                PeerLimitFuture { arm: Arm::Limited { exceeded } }
            }
        }
    }
}

pin_project! {
    /// The response future of [`PeerLimit`].
    #[must_use = "futures do nothing unless polled"]
    pub struct PeerLimitFuture<F> {
        #[pin]
        arm: Arm<F>,
    }
}

pin_project! {
    #[project = ArmProjection]
    enum Arm<F> {
        Passed { #[pin] future: F },
        Limited { exceeded: Exceeded },
    }
}

impl<F, R, E> Future for PeerLimitFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Default,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project().arm.project() {
            ArmProjection::Passed { future } => ready!(future.poll(cx)),
            ArmProjection::Limited { exceeded } => Ok(limited(*exceeded)),
        })
    }
}

fn limited<R: Default>(exceeded: Exceeded) -> Response<R> {
    let rejection = refuse(Reason::PeerRateLimited).with_retry_after(exceeded.retry_after);
    let mut response = Response::new(R::default());
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    response.headers_mut().extend(rejection.retry_after().map(|seconds| (header::RETRY_AFTER, seconds.into())));
    response.extensions_mut().insert(rejection.reason());
    response
}
