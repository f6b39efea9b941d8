use super::{AccessRules, answer::DPOP_NONCE, extractor::Anonymous, server::Core};
use crate::{body::ResponseBody, service::ResponseFuture};
use http::{Request, Response};
use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};
use tower::Service;

/// Middleware that admits only requests with an acceptable access token to the wrapped service.
///
/// [`ResourceServerLayer`](super::ResourceServerLayer) makes this service. The request body type and the error type of the
/// wrapped service do not change, and the readiness is the readiness of the wrapped service. The response body is a
/// [`ResponseBody`].
#[derive(Clone)]
pub struct ResourceServer<S> {
    inner: S,
    state: ServiceState,
}

/// The state that all clones of a service share.
#[derive(Clone)]
pub(super) struct ServiceState {
    pub(super) core: Arc<Core>,
    pub(super) rules: Arc<AccessRules>,
    pub(super) allows_anonymous: bool,
}

impl<S, B, R> Service<Request<B>> for ResourceServer<S>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send> + Clone + Send + 'static,
    B: Send + 'static,
    R: 'static,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The ready service answers, and a clone waits for the next request.
        let unready = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, unready);
        let ServiceState { core, rules, allows_anonymous } = self.state.clone();
        ResponseFuture::answer(async move {
            let (mut parts, body) = request.into_parts();
            let admitted = match core.admit(&mut parts, &rules, allows_anonymous).await {
                Ok(admitted) => admitted,
                Err(refusal) => {
                    drop(inner);
                    return Ok(refusal.into_response().map(ResponseBody::ours));
                }
            };
            if admitted.token.is_none() {
                parts.extensions.insert(Anonymous(Arc::clone(&core)));
            }
            let mut response = inner.call(Request::from_parts(parts, body)).await?.map(ResponseBody::wrapped);
            if let Some(nonce) = admitted.next_nonce {
                response.headers_mut().insert(DPOP_NONCE, nonce);
            }
            Ok(response)
        })
    }
}

impl<S> ResourceServer<S> {
    pub(super) fn new(inner: S, state: ServiceState) -> Self {
        Self { inner, state }
    }

    /// Returns a reference to the wrapped service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the wrapped service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the wrapped service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: fmt::Debug> fmt::Debug for ResourceServer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceServer").field("inner", &self.inner).finish_non_exhaustive()
    }
}
