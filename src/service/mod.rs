//! The tower service: whose request is this, read it, answer it or hand it back.

mod current;
mod future;
mod grant_type;

pub(crate) use current::Current;
pub use future::ResponseFuture;
pub(crate) use grant_type::{form_contains_exchange_grant, json_contains_exchange_grant};

use crate::{
    audit::Audit,
    body::{Limits, Read, RequestBody, ResponseBody, read},
    issued::{IssuedTokenEndpoint, IssuedTokens},
    protocol::{Reason, error_response, lenient_percent_decode, success_response},
};
use bytes::Bytes;
use http::{Extensions, HeaderMap, Method, Request, Response, Uri, header};
use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};
use tower::Service;

/// What all clones of a service share.
pub(crate) struct Shared {
    pub(crate) endpoints: Vec<Endpoint>,
    /// Exact paths at which clients ask about tokens.
    pub(crate) about_tokens: Vec<(String, IssuedTokenEndpoint)>,
    pub(crate) limits: Limits,
    /// What was not read to its end is handed on.
    pub(crate) forward_unread: bool,
    /// The wrapped service may know the exchange grant itself and must not get to see it.
    pub(crate) guard: bool,
    pub(crate) current: Current,
    pub(crate) audit: Audit,
}

/// How a token endpoint is told.
pub(crate) enum Endpoint {
    Path(String),
    When(Box<dyn Fn(&RequestHead<'_>) -> bool + Send + Sync>),
}

/// A request without its body.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a Method,
    /// The target, as the layer sees it.
    pub uri: &'a Uri,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// What outer layers and the server added, such as axum's `OriginalUri`.
    pub extensions: &'a Extensions,
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
    Refused(Reason),
    /// Only the body can tell.
    Read(Expected),
}

/// What to look for in a body.
#[derive(Clone, Copy, PartialEq)]
enum Expected {
    /// A form that is ours if it holds the grant.
    Exchange,
    /// A form, or JSON, that must not hold the grant, and the reason if it does.
    NoGrantInForm(Reason),
    NoGrantInJson,
    /// A form that is ours if its token was issued here.
    IssuedToken(IssuedTokenEndpoint),
}

/// What was found in it.
enum Found {
    Nothing,
    Exchange,
    Refused(Reason),
}

impl Shared {
    fn look<B: RequestBody>(&self, request: &Request<B>) -> Look {
        let exact = self.endpoints.iter().any(|endpoint| endpoint.is(request));
        let alike = || self.guard && self.endpoints.iter().any(|endpoint| endpoint.resembles(request.uri().path()));
        if !exact && !alike() {
            return self.look_for_token(request);
        }
        // Whatever the method: a server behind this one may merge the query into the form.
        if request.uri().query().is_some_and(|query| form_contains_exchange_grant(query.as_bytes())) {
            return Look::Refused(Reason::GrantInQuery);
        }
        match (Media::of(request.headers(), self.guard), request.method() == Method::POST) {
            (Media::Form, true) if exact => Look::Read(Expected::Exchange),
            _ if !self.guard || request.body().is_end_stream() => Look::NotOurs,
            (Media::Form, true) => Look::Read(Expected::NoGrantInForm(Reason::GrantAtOtherPath)),
            (Media::Form, false) => Look::Read(Expected::NoGrantInForm(Reason::GrantInOtherMethod)),
            (Media::Json, _) => Look::Read(Expected::NoGrantInJson),
            (Media::Other, _) => Look::Refused(Reason::BodyUnreadable),
        }
    }

    /// Whether a client may be asking about a token that was issued here.
    fn look_for_token<B>(&self, request: &Request<B>) -> Look {
        let here = |(path, _): &&(String, IssuedTokenEndpoint)| path == request.uri().path();
        match self.about_tokens.iter().find(here) {
            Some((_, about)) if request.method() == Method::POST => match Media::of(request.headers(), self.guard) {
                Media::Form => Look::Read(Expected::IssuedToken(*about)),
                Media::Json | Media::Other => Look::NotOurs,
            },
            _ => Look::NotOurs,
        }
    }
}

impl Endpoint {
    fn is<B>(&self, request: &Request<B>) -> bool {
        match self {
            Self::Path(path) => path == request.uri().path(),
            Self::When(matches) => matches(&RequestHead {
                method: request.method(),
                uri: request.uri(),
                headers: request.headers(),
                extensions: request.extensions(),
            }),
        }
    }

    /// Whether a lenient server could take this path for the endpoint.
    fn resembles(&self, path: &str) -> bool {
        let Self::Path(endpoint) = self else { return false };
        // A path that can be read in one way only needs no closer look.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_');
        if path.bytes().all(plain) && !path.contains("//") {
            return path.trim_end_matches('/').eq_ignore_ascii_case(endpoint.trim_end_matches('/'));
        }
        let (wanted, found) = (lenient_segments(endpoint), lenient_segments(path));
        let (Some((last_wanted, wanted)), Some((last_found, found))) = (wanted.split_last(), found.split_last()) else {
            return wanted == found;
        };
        // Some take `/token.json` for `/token` with a format.
        let extension = last_found.strip_prefix(last_wanted.as_str());
        wanted == found && extension.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

/// The segments of a path as the most lenient server reads it: unescaped as often as there is something to, in lower
/// case, without empty segments, dot segments, path parameters, and what stands behind a NUL or at the ends.
fn lenient_segments(path: &str) -> Vec<String> {
    // Path parameters go first: what is broken in them must not hide what stands before them.
    let without_parameters = path.split('/').map(|segment| segment.split(';').next().unwrap_or_default());
    let mut unescaped = without_parameters.collect::<Vec<_>>().join("/");
    for _ in 0..3 {
        unescaped = lenient_percent_decode(&unescaped).into_owned();
    }
    let mut segments: Vec<String> = Vec::new();
    for segment in unescaped.to_lowercase().split(['/', '\\']) {
        let name = segment.split([';', '\0']).next().unwrap_or_default();
        if name == ".." {
            segments.pop();
            continue;
        }
        let name = name.trim_matches(|c: char| c.is_whitespace() || c.is_control());
        let name = name.trim_end_matches(|c: char| c == '.' || c.is_whitespace());
        if !name.is_empty() {
            segments.push(name.to_owned());
        }
    }
    segments
}

enum Media {
    Form,
    Json,
    Other,
}

impl Media {
    fn of(headers: &HeaderMap, guard: bool) -> Self {
        let types = headers.get_all(header::CONTENT_TYPE);
        // With two types, nobody knows which of them the wrapped service believes; in another charset, the bytes
        // are not what they look like.
        let doubtful = || types.iter().count() > 1 || types.iter().any(|value| !is_ascii_based(value.as_bytes()));
        if headers.contains_key(header::CONTENT_ENCODING) || (guard && doubtful()) {
            Self::Other
        } else if types.iter().any(|value| is_form(media_type(value.as_bytes()))) {
            Self::Form
        } else if types.iter().any(|value| is_json(media_type(value.as_bytes()))) {
            Self::Json
        } else {
            Self::Other
        }
    }
}

fn media_type(content_type: &[u8]) -> &[u8] {
    content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

/// Whether every byte that the grant is made of means itself: UTF-8 and other supersets of ASCII.
fn is_ascii_based(content_type: &[u8]) -> bool {
    const NAMES: [&[u8]; 8] =
        [b"utf-8", b"utf8", b"us-ascii", b"ascii", b"iso-8859-1", b"latin1", b"iso-8859-15", b"windows-1252"];
    content_type.split(|byte| *byte == b';').skip(1).all(|parameter| {
        let mut sides = parameter.splitn(2, |byte| *byte == b'=').map(<[u8]>::trim_ascii);
        if !sides.next().is_some_and(|name| name.eq_ignore_ascii_case(b"charset")) {
            return true;
        }
        let charset = sides.next().unwrap_or_default();
        let charset = charset.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(charset);
        NAMES.iter().any(|name| charset.eq_ignore_ascii_case(name))
    })
}

fn is_form(media_type: &[u8]) -> bool {
    media_type.eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

fn is_json(media_type: &[u8]) -> bool {
    let ends_with = |suffix: &[u8]| {
        let start = media_type.len().saturating_sub(suffix.len());
        media_type[start..].eq_ignore_ascii_case(suffix)
    };
    ends_with(b"/json") || ends_with(b"+json")
}

impl Expected {
    fn find(self, body: &[u8]) -> Found {
        match self {
            Self::Exchange if form_contains_exchange_grant(body) => Found::Exchange,
            Self::NoGrantInForm(reason) if form_contains_exchange_grant(body) => Found::Refused(reason),
            Self::NoGrantInJson => match json_contains_exchange_grant(body) {
                Some(false) => Found::Nothing,
                Some(true) => Found::Refused(Reason::GrantInJson),
                None => Found::Refused(Reason::BodyUnreadable),
            },
            Self::Exchange | Self::NoGrantInForm(_) | Self::IssuedToken(_) => Found::Nothing,
        }
    }
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
                drop(self.take_ready());
                let shared = Arc::clone(&self.shared);
                let headers = request.into_parts().0.headers;
                ResponseFuture::ours(async move { Ok(shared.refuse(reason, &headers).await) })
            }
            Look::Read(expected) => {
                let ready = self.take_ready();
                ResponseFuture::ours(sniff(ready, Arc::clone(&self.shared), request, expected))
            }
        }
    }
}

impl<S: Clone> TokenExchange<S> {
    /// Takes the service that is ready, and leaves a clone to be made ready anew. Left where it is, a service
    /// that had to reserve a place to be ready would keep it for as long as nobody calls.
    fn take_ready(&mut self) -> S {
        let unready = self.inner.clone();
        mem::replace(&mut self.inner, unready)
    }
}

/// Reads a body, and answers it or gives it to the wrapped service as it came.
async fn sniff<S, B, R>(
    mut inner: S,
    shared: Arc<Shared>,
    request: Request<B>,
    expected: Expected,
) -> Result<Response<ResponseBody<R>>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>>,
    B: RequestBody,
{
    let (parts, body) = request.into_parts();
    let read = read(body, &shared.limits).await;
    if let (Expected::IssuedToken(about), Read::Complete { bytes, .. }) = (expected, &read) {
        let exchange = shared.current.exchange();
        let issued_tokens = IssuedTokens::new(&exchange);
        if let Some(token) = issued_tokens.find(bytes) {
            drop(inner);
            let answer = Box::pin(issued_tokens.answer(about, &token, &parts.headers, bytes));
            return Ok(answer.await.map(ResponseBody::ours));
        }
    }
    let found = match &read {
        Read::Complete { bytes, .. } => expected.find(bytes),
        Read::Broken { .. } => Found::Nothing,
        // Nobody else takes a token that cannot be read for active; for revoked, anybody may (RFC 7009 section 2.2).
        _ if shared.forward_unread || expected == Expected::IssuedToken(IssuedTokenEndpoint::Introspection) => {
            Found::Nothing
        }
        Read::TooLarge { .. } => Found::Refused(Reason::BodyTooLarge),
        Read::TooManyFrames { .. } => Found::Refused(Reason::TooManyFrames),
        Read::TooSlow { .. } => Found::Refused(Reason::BodyTooSlow),
    };
    match (found, read) {
        (Found::Exchange, Read::Complete { bytes, replay }) => {
            drop(replay);
            // A service with a limit on its concurrency has a place for somebody else now.
            drop(inner);
            // In a box of its own, so that a form which passes does not pay for its size.
            let answer = Box::pin(shared.exchange(&parts.headers, &bytes));
            Ok(answer.await.map(ResponseBody::ours))
        }
        (Found::Refused(reason), _) if matches!(expected, Expected::IssuedToken(_)) => {
            drop(inner);
            Ok(IssuedTokens::new(&shared.current.exchange()).refuse(reason).map(ResponseBody::ours))
        }
        (Found::Refused(reason), _) => {
            drop(inner);
            Ok(shared.refuse(reason, &parts.headers).await)
        }
        (_, read) => {
            let request = Request::from_parts(parts, B::from_replay(read.into_replay()));
            Ok(inner.call(request).await?.map(ResponseBody::wrapped))
        }
    }
}

impl Shared {
    async fn refuse<R>(&self, reason: Reason, headers: &HeaderMap) -> Response<ResponseBody<R>> {
        let rejection = self.current.exchange().settings.refuse(reason);
        let attempt = self.audit.start_attempt(headers);
        let _ = Box::pin(attempt.finish::<()>(Err(rejection.clone()))).await;
        error_response(&rejection).map(ResponseBody::ours)
    }

    /// Answers an exchange request. Every attempt has one answer and leaves one audit event.
    async fn exchange(&self, headers: &HeaderMap, body: &[u8]) -> Response<Bytes> {
        let mut attempt = self.audit.start_attempt(headers);
        let outcome = self.current.exchange().issue(&mut attempt, headers, body).await;
        match attempt.finish(outcome).await {
            Ok(issued) => success_response(&issued.answer()),
            Err(rejection) => error_response(&rejection),
        }
    }
}

// The headers hold credentials, and so may the query.
impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", self.method)
            .field("path", &self.uri.path())
            .finish_non_exhaustive()
    }
}

impl<S: fmt::Debug> fmt::Debug for TokenExchange<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenExchange").field("inner", &self.inner).finish_non_exhaustive()
    }
}
