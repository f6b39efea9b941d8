//! The tower service, which finds the token exchanges among the requests.
//!
//! [`TokenExchange`] decides for each request, by its head, between three steps: pass the request to the wrapped service,
//! refuse the request, or read the body. After reading, the service answers the request, refuses the request, or passes
//! the request with its body unchanged.

mod current;
mod endpoint;
mod future;
mod grant_type;
mod guard;
mod media;
mod path;
mod similar;

pub use endpoint::{EndpointMatch, RequestHead};
pub use future::ResponseFuture;
pub use path::is_same_path;

pub(crate) use current::Current;
pub(crate) use endpoint::Endpoint;
use endpoint::match_path;
pub(crate) use grant_type::form_contains_exchange_grant;
#[cfg(any(test, fuzzing))]
pub(crate) use grant_type::json_contains_exchange_grant;

use crate::{
    audit::{Attempt, Audit, Operation},
    body::{Limits, Read, RequestBody, ResponseBody, read},
    exchange::Exchange,
    issued::{IssuedToken, IssuedTokenEndpoint, IssuedTokens},
    protocol::{Reason, Sender, SensitiveBytes, error_response, success_response},
};
use bytes::Bytes;
use guard::GuardCheck;
use http::{Method, Request, Response, request::Parts};
use media::Media;
use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};
use tower::Service;

/// Middleware that answers token exchange requests (RFC 8693) and passes all other requests to the wrapped service.
///
/// [`TokenExchangeLayer`](crate::TokenExchangeLayer) makes this service. The service keeps the request body type and the
/// error type of the wrapped service. The response body is a [`ResponseBody`].
#[derive(Clone)]
pub struct TokenExchange<S> {
    inner: S,
    state: Arc<ServiceState>,
}

/// The state that all clones of a service share.
pub(crate) struct ServiceState {
    pub(crate) endpoints: Vec<Endpoint>,
    /// The endpoints for issued tokens, by path.
    pub(crate) issued_token_endpoints: Vec<(String, IssuedTokenEndpoint)>,
    pub(crate) body_limits: Limits,
    /// Whether a form that could not be read to its end is passed to the wrapped service.
    pub(crate) forward_unread: bool,
    /// Whether the wrapped service must never see the exchange grant.
    pub(crate) guard: bool,
    pub(crate) current: Current,
    pub(crate) audit: Audit,
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
        match self.state.next_step(&request) {
            NextStep::Pass => ResponseFuture::pass(self.inner.call(request)),
            NextStep::Refuse(operation, reason) => {
                drop(self.take_ready());
                let state = Arc::clone(&self.state);
                let parts = request.into_parts().0;
                ResponseFuture::answer(async move {
                    Ok(state.refuse(operation, reason, &parts).await.map(ResponseBody::ours))
                })
            }
            NextStep::Read(purpose) => {
                let ready = self.take_ready();
                ResponseFuture::answer(read_and_answer(ready, Arc::clone(&self.state), request, purpose))
            }
        }
    }
}

/// Reads the body of a request, and answers the request or passes the request to the wrapped service.
// Not an `async fn`, which would have room for the request twice.
fn read_and_answer<S, B, R>(
    mut inner: S,
    state: Arc<ServiceState>,
    request: Request<B>,
    purpose: Purpose,
) -> impl Future<Output = Result<Response<ResponseBody<R>>, S::Error>>
where
    S: Service<Request<B>, Response = Response<R>>,
    B: RequestBody,
{
    let (parts, body) = request.into_parts();
    async move {
        let body = read(body, &state.body_limits).await;
        // An answer does not need the wrapped service, so the service is dropped first. A service with a concurrency limit then
        // has room for another request. The futures are boxed, so that a form that passes needs less memory.
        let response = match state.action(purpose, &body) {
            Action::Pass => {
                let request = Request::from_parts(parts, B::from_replay(body.into_replay()));
                return Ok(inner.call(request).await?.map(ResponseBody::wrapped));
            }
            Action::Exchange(form) => {
                drop((inner, body));
                Box::pin(state.exchange(&parts, form)).await
            }
            Action::IssuedToken { exchange, endpoint, token, form } => {
                drop((inner, body));
                Box::pin(state.answer_for_issued_token(&exchange, endpoint, &token, &parts, &form)).await
            }
            Action::Refuse(reason) => {
                drop(inner);
                Box::pin(state.refuse(purpose.operation(), reason, &parts)).await
            }
        };
        Ok(response.map(ResponseBody::ours))
    }
}

/// The next step for a request, by its head.
enum NextStep {
    Pass,
    Refuse(Operation, Reason),
    Read(Purpose),
}

/// The purpose for which a body is read.
#[derive(Clone, Copy, PartialEq)]
enum Purpose {
    /// A form is an exchange if the form contains the exchange grant.
    Exchange,
    /// The body must not contain the exchange grant.
    Guard(GuardCheck),
    /// A form is for the layer if its token was issued by the layer.
    IssuedToken(IssuedTokenEndpoint),
    /// The body must not contain an issued token.
    NoIssuedToken(IssuedTokenEndpoint, Media),
}

/// An endpoint for issued tokens that a request is for, or that a lenient server could take the request for.
struct IssuedMatch {
    endpoint: IssuedTokenEndpoint,
    is_exact: bool,
}

impl Purpose {
    /// What the request asks for, if the layer answers it.
    const fn operation(self) -> Operation {
        match self {
            Self::Exchange | Self::Guard(_) => Operation::Exchange,
            Self::IssuedToken(endpoint) | Self::NoIssuedToken(endpoint, _) => endpoint.operation(),
        }
    }
}

/// The action for a request, by its body.
enum Action {
    Pass,
    Refuse(Reason),
    Exchange(SensitiveBytes),
    IssuedToken {
        exchange: Arc<Exchange>,
        endpoint: IssuedTokenEndpoint,
        token: Box<IssuedToken>,
        form: SensitiveBytes,
    },
}

impl ServiceState {
    fn next_step<B: RequestBody>(&self, request: &Request<B>) -> NextStep {
        let found = self.match_endpoint(request);
        let issued = match found {
            EndpointMatch::TokenEndpoint => None,
            _ => self.match_issued_token_endpoint(request),
        };
        if found == EndpointMatch::Elsewhere {
            return issued.map_or(NextStep::Pass, |found| self.next_step_for_issued_token(request, found));
        }
        // The method does not matter: the wrapped service may read the query of any request as a form.
        if request.uri().query().is_some_and(|query| form_contains_exchange_grant(query.as_bytes())) {
            return NextStep::Refuse(Operation::Exchange, Reason::GrantInQuery);
        }
        if self.guard
            && let Some(reason) = guard::problem_of_headers(request.headers())
        {
            return NextStep::Refuse(Operation::Exchange, reason);
        }
        if let Some(found) = issued {
            return self.next_step_for_issued_token(request, found);
        }
        let is_post = request.method() == Method::POST;
        match Media::from_headers(request.headers(), self.guard) {
            Media::Form if is_post && found == EndpointMatch::TokenEndpoint => NextStep::Read(Purpose::Exchange),
            _ if !self.guard || request.body().is_end_stream() => NextStep::Pass,
            media => match GuardCheck::new(media, is_post) {
                Ok(check) => NextStep::Read(Purpose::Guard(check)),
                Err(reason) => NextStep::Refuse(Operation::Exchange, reason),
            },
        }
    }

    /// Compares a request with the token endpoints. Without guard, no request is similar.
    fn match_endpoint<B: RequestBody>(&self, request: &Request<B>) -> EndpointMatch {
        let matches = self.endpoints.iter().map(|endpoint| endpoint.matches(request, self.guard));
        let found = matches.max().unwrap_or(EndpointMatch::Elsewhere);
        match found {
            EndpointMatch::Similar if !self.guard => EndpointMatch::Elsewhere,
            EndpointMatch::Elsewhere if self.guard && self.is_similar_in_another_way(request) => EndpointMatch::Similar,
            found => found,
        }
    }

    /// Whether a request names a token endpoint in a header, or in a spelling that the function for an endpoint does not
    /// know. A request that cannot have the grant needs no answer.
    fn is_similar_in_another_way<B: RequestBody>(&self, request: &Request<B>) -> bool {
        let (uri, headers) = (request.uri(), request.headers());
        if uri.query().is_none() && request.body().is_end_stream() && guard::problem_of_headers(headers).is_none() {
            return false;
        }
        let is_similar = |path: &str| self.endpoints.iter().any(|endpoint| endpoint.is_similar(request, path));
        let mut functions = self.endpoints.iter().filter(|endpoint| matches!(endpoint, Endpoint::When(_)));
        functions.any(|endpoint| endpoint.is_similar(request, uri.path()))
            || guard::targets_in_headers(headers).any(|target| is_similar(guard::split_target(&target).0))
    }

    fn match_issued_token_endpoint<B: RequestBody>(&self, request: &Request<B>) -> Option<IssuedMatch> {
        let endpoints = self.issued_token_endpoints.iter();
        let matches = endpoints.map(|(path, endpoint)| (match_path(path, request.uri().path(), self.guard), *endpoint));
        match matches.max_by_key(|(found, _)| *found)? {
            (EndpointMatch::Elsewhere, _) => None,
            (found, endpoint) => Some(IssuedMatch { endpoint, is_exact: found == EndpointMatch::TokenEndpoint }),
        }
    }

    fn next_step_for_issued_token<B: RequestBody>(&self, request: &Request<B>, found: IssuedMatch) -> NextStep {
        let IssuedMatch { endpoint, is_exact } = found;
        // The wrapped service may read the token from the query, and would then answer for a token that it does not know.
        let query = request.uri().query().unwrap_or_default().as_bytes();
        if !query.is_empty() && IssuedTokens::new(&self.current.exchange()).any_in_form(query) {
            return NextStep::Refuse(endpoint.operation(), Reason::IssuedTokenMisplaced);
        }
        match Media::from_headers(request.headers(), true) {
            Media::Form if is_exact && request.method() == Method::POST => {
                NextStep::Read(Purpose::IssuedToken(endpoint))
            }
            _ if request.body().is_end_stream() => NextStep::Pass,
            Media::Other => NextStep::Refuse(endpoint.operation(), Reason::BodyUnreadable),
            media => NextStep::Read(Purpose::NoIssuedToken(endpoint, media)),
        }
    }

    fn action<B: RequestBody>(&self, purpose: Purpose, body: &Read<B>) -> Action {
        let reason = match body {
            Read::Complete { bytes, .. } => return self.action_for_complete_body(purpose, bytes),
            // The wrapped service gets the error of the connection.
            Read::Broken { .. } => return Action::Pass,
            Read::TooLarge { .. } => Reason::BodyTooLarge,
            Read::TooManyFrames { .. } => Reason::TooManyFrames,
            Read::TooSlow { .. } => Reason::BodyTooSlow,
        };
        // The wrapped service never answers that an unread token is active. But any server may answer that an unknown token
        // is revoked (RFC 7009 section 2.2), so an unread revocation is refused.
        let is_introspection = match purpose {
            Purpose::IssuedToken(endpoint) => endpoint == IssuedTokenEndpoint::Introspection,
            Purpose::NoIssuedToken(endpoint, _) => endpoint == IssuedTokenEndpoint::Introspection && !self.guard,
            Purpose::Exchange | Purpose::Guard(_) => false,
        };
        if self.forward_unread || is_introspection { Action::Pass } else { Action::Refuse(reason) }
    }

    fn action_for_complete_body(&self, purpose: Purpose, body: &Bytes) -> Action {
        match purpose {
            Purpose::Exchange if form_contains_exchange_grant(body) => Action::Exchange(body.clone().into()),
            Purpose::Exchange if self.guard => guard::problem_of_form(body).map_or(Action::Pass, Action::Refuse),
            Purpose::Exchange => Action::Pass,
            Purpose::Guard(check) => check.problem(body).map_or(Action::Pass, Action::Refuse),
            Purpose::IssuedToken(endpoint) => {
                let exchange = self.current.exchange();
                let tokens = IssuedTokens::new(&exchange);
                match tokens.find(body) {
                    Some(token) => {
                        Action::IssuedToken { exchange, endpoint, token: Box::new(token), form: body.clone().into() }
                    }
                    None if tokens.any_in_form(body) => Action::Refuse(Reason::IssuedTokenMisplaced),
                    None => self.action_for_other_token(Media::Form, body),
                }
            }
            Purpose::NoIssuedToken(_, media) => {
                let exchange = self.current.exchange();
                let tokens = IssuedTokens::new(&exchange);
                let found =
                    if media == Media::Json { tokens.any_in_json(body) } else { Some(tokens.any_in_form(body)) };
                match found {
                    Some(false) => self.action_for_other_token(media, body),
                    Some(true) => Action::Refuse(Reason::IssuedTokenMisplaced),
                    None => Action::Refuse(Reason::BodyUnreadable),
                }
            }
        }
    }

    /// The action for a request at an endpoint for issued tokens that has no such token. The path of such an endpoint can be
    /// below the path of a token endpoint.
    fn action_for_other_token(&self, media: Media, body: &[u8]) -> Action {
        let check = GuardCheck::new(media, true).ok().filter(|_| self.guard);
        check.and_then(|check| check.problem(body)).map_or(Action::Pass, Action::Refuse)
    }

    /// Answers an exchange. Every attempt is in exactly one audit event.
    async fn exchange(&self, parts: &Parts, form: SensitiveBytes) -> Response<Bytes> {
        let exchange = self.current.exchange();
        let mut attempt = self.start_attempt(Operation::Exchange, &exchange, parts, &form);
        let outcome = exchange.issue(&mut attempt, Sender::of(parts), form).await;
        match attempt.finish(outcome).await {
            Ok(issued) => success_response(&issued.answer()),
            Err(rejection) => error_response(&rejection),
        }
    }

    /// Answers an introspection or a revocation of a token that the layer issued.
    async fn answer_for_issued_token(
        &self,
        exchange: &Exchange,
        endpoint: IssuedTokenEndpoint,
        token: &IssuedToken,
        parts: &Parts,
        form: &[u8],
    ) -> Response<Bytes> {
        let mut attempt = self.start_attempt(endpoint.operation(), exchange, parts, form);
        let tokens = IssuedTokens::new(exchange);
        let outcome = tokens.answer(&mut attempt, endpoint, token, Sender::of(parts), form).await;
        attempt.finish(outcome).await.unwrap_or_else(|rejection| error_response(&rejection))
    }

    fn start_attempt(&self, operation: Operation, exchange: &Exchange, parts: &Parts, form: &[u8]) -> Attempt {
        let query = parts.uri.query().unwrap_or_default().as_bytes();
        self.audit.start_attempt(operation, Arc::clone(&exchange.registry), Sender::of(parts), [query, form])
    }

    /// Refuses a request that the layer does not answer otherwise. Such a request leaves an audit event too.
    async fn refuse(&self, operation: Operation, reason: Reason, parts: &Parts) -> Response<Bytes> {
        let exchange = self.current.exchange();
        let rejection = exchange.settings.refuse(reason);
        let attempt = self.start_attempt(operation, &exchange, parts, b"");
        let _ = Box::pin(attempt.finish::<()>(Err(rejection.clone()))).await;
        error_response(&rejection)
    }
}

impl<S> TokenExchange<S> {
    pub(crate) fn new(inner: S, state: Arc<ServiceState>) -> Self {
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

impl<S: Clone> TokenExchange<S> {
    /// Takes the wrapped service, which is ready, and leaves a clone that is not ready.
    ///
    /// If the ready service stayed, a service that reserves a place in `poll_ready` would keep the place until the next
    /// call.
    fn take_ready(&mut self) -> S {
        let unready = self.inner.clone();
        mem::replace(&mut self.inner, unready)
    }
}

impl<S: fmt::Debug> fmt::Debug for TokenExchange<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenExchange").field("inner", &self.inner).finish_non_exhaustive()
    }
}
