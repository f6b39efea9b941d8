use crate::{
    body::{Limits, Read, RequestBody, ResponseBody, read},
    exchange::Exchange,
    future::ResponseFuture,
    protocol::{Reason, carries_exchange_grant},
};
use http::{Method, Request, Response, header};
use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};
use tower::Service;

/// What all clones of a service share.
pub(crate) struct Shared {
    pub(crate) endpoints: Vec<String>,
    pub(crate) limits: Limits,
    pub(crate) forward_unread: bool,
    pub(crate) exchange: Exchange,
}

/// Middleware that answers token exchange requests (RFC 8693) and hands all others to the wrapped service.
///
/// Made by a [`TokenExchangeLayer`](crate::TokenExchangeLayer). The request body type and the error type stay
/// those of the wrapped service; the response body is a [`ResponseBody`].
#[derive(Clone)]
pub struct TokenExchange<S> {
    inner: S,
    shared: Arc<Shared>,
}

/// Whose request it is, as far as can be told without its body.
enum Look {
    NotOurs,
    /// Only the body can tell.
    Candidate,
    Refused(Reason),
}

impl Shared {
    fn look<B>(&self, request: &Request<B>) -> Look {
        if !self.endpoints.iter().any(|endpoint| endpoint == request.uri().path()) {
            return Look::NotOurs;
        }
        // Whatever the method: a server behind this one may merge the query into the form.
        if request.uri().query().is_some_and(|query| carries_exchange_grant(query.as_bytes())) {
            return Look::Refused(Reason::GrantInQuery);
        }
        let headers = request.headers();
        let is_form = headers.get_all(header::CONTENT_TYPE).iter().any(|value| is_form(value.as_bytes()));
        if request.method() == Method::POST && is_form && !headers.contains_key(header::CONTENT_ENCODING) {
            Look::Candidate
        } else {
            Look::NotOurs
        }
    }
}

fn is_form(content_type: &[u8]) -> bool {
    let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
    media_type.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

impl<S> TokenExchange<S> {
    pub(crate) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }

    /// The wrapped service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The wrapped service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The wrapped service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, B, R> Service<Request<B>> for TokenExchange<S>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send> + Clone + Send + 'static,
    B: RequestBody,
    R: 'static,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.shared.look(&request) {
            Look::NotOurs => ResponseFuture::pass(self.inner.call(request)),
            Look::Refused(reason) => {
                let shared = Arc::clone(&self.shared);
                ResponseFuture::ours(async move {
                    let attempt = shared.exchange.audit.attempt();
                    Ok(shared.exchange.refuse(attempt, reason).await.map(ResponseBody::ours))
                })
            }
            Look::Candidate => {
                // The clone stays here to be made ready anew; the one that is ready goes along.
                let unready = self.inner.clone();
                let ready = mem::replace(&mut self.inner, unready);
                ResponseFuture::ours(sniff(ready, Arc::clone(&self.shared), request))
            }
        }
    }
}

/// Reads a form, and answers it or gives it to the wrapped service as it came.
async fn sniff<S, B, R>(
    mut inner: S,
    shared: Arc<Shared>,
    request: Request<B>,
) -> Result<Response<ResponseBody<R>>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>>,
    B: RequestBody,
{
    let (parts, body) = request.into_parts();
    let refused = match read(body, &shared.limits).await {
        Read::Complete { bytes, .. } if carries_exchange_grant(&bytes) => Ok(bytes),
        Read::TooLarge { .. } if !shared.forward_unread => Err(Reason::BodyTooLarge),
        Read::TooManyFrames { .. } if !shared.forward_unread => Err(Reason::TooManyFrames),
        Read::TooSlow { .. } if !shared.forward_unread => Err(Reason::BodyTooSlow),
        Read::Complete { replay, .. }
        | Read::Broken { replay }
        | Read::TooLarge { replay }
        | Read::TooManyFrames { replay }
        | Read::TooSlow { replay } => {
            let request = Request::from_parts(parts, B::from_replay(replay));
            return Ok(inner.call(request).await?.map(ResponseBody::wrapped));
        }
    };
    // A service with a limit on its concurrency has a place for somebody else now.
    drop(inner);
    let attempt = shared.exchange.audit.attempt();
    let response = match refused {
        Ok(bytes) => shared.exchange.answer(attempt, &parts.headers, &bytes).await,
        Err(reason) => shared.exchange.refuse(attempt, reason).await,
    };
    Ok(response.map(ResponseBody::ours))
}

impl<S: fmt::Debug> fmt::Debug for TokenExchange<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenExchange").field("inner", &self.inner).finish_non_exhaustive()
    }
}
