use super::{DocumentError, documents::MAX_BYTES, with_own_keys, with_token_exchange};
use crate::{body::ResponseBody, clock::Clock, jose::base64url, signing::PublishedKeys};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header, response::Parts};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use ring::digest::{SHA256, digest};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tower::BoxError;

/// How long the wrapped service may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How many versions of a document are kept.
const MAX_KEPT: usize = 8;

/// What must not reach the wrapped service: it would answer with a part of its document, with none, or with one that
/// cannot be read here.
const CONDITIONS: [HeaderName; 6] = [
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_MATCH,
    header::IF_UNMODIFIED_SINCE,
    header::IF_RANGE,
    header::RANGE,
];

/// What the wrapped service says about the bytes of its document, which are not these any more.
const ABOUT_BYTES: [HeaderName; 8] = [
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::ETAG,
    header::LAST_MODIFIED,
    header::ACCEPT_RANGES,
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
];

/// What a 304 says (RFC 9110 section 15.4.5).
const IN_NOT_MODIFIED: [HeaderName; 5] =
    [header::CACHE_CONTROL, header::CONTENT_LOCATION, header::DATE, header::EXPIRES, header::VARY];

/// Which document it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Metadata,
    KeySet,
}

/// A document that passes through.
pub(super) struct Published {
    path: String,
    kind: Kind,
    keep: Duration,
    clock: Clock,
    /// One for each host and scheme that it was asked for at, the latest [`MAX_KEPT`]; what we asked for ourselves stays.
    last_good: Mutex<Vec<Kept>>,
    collision: Mutex<Option<String>>,
}

/// A document as the wrapped service last gave it.
#[derive(Clone)]
struct Kept {
    asked_for: Vec<Vec<u8>>,
    parts: Parts,
    document: Bytes,
    at: SystemTime,
    pinned: bool,
}

/// What of a request matters for the answer.
pub(super) struct Asked {
    head: bool,
    if_none_match: Vec<HeaderValue>,
    /// The host and the scheme, by whatever header may say so: a server may write them into its documents.
    asked_for: Vec<Vec<u8>>,
    /// Whether everybody who asks so is answered the same.
    plain: bool,
    /// Whether what is answered can be kept for others: nothing else in the request may have had a say in it.
    typical: bool,
    /// Whether no other request may push it out.
    pinned: bool,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::KeySet => "key_set",
        }
    }
}

impl Published {
    pub(super) fn new(path: String, kind: Kind, keep: Duration, clock: &Clock) -> Self {
        Self { path, kind, keep, clock: clock.clone(), last_good: Mutex::default(), collision: Mutex::default() }
    }

    /// A request of nobody else, whose answer stays until the next.
    pub(super) fn asked_by_ourselves<B>(&self, request: &mut Request<B>) -> Asked {
        Asked { pinned: true, ..self.asked(request) }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn collision(&self) -> Option<String> {
        self.collision.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn is_asked_for<B>(&self, request: &Request<B>) -> bool {
        request.uri().path() == self.path && matches!(*request.method(), Method::GET | Method::HEAD)
    }

    /// Turns the request into one for the whole document as it is.
    pub(super) fn asked<B>(&self, request: &mut Request<B>) -> Asked {
        let head = request.method() == Method::HEAD;
        *request.method_mut() = Method::GET;
        let authority = request.uri().authority().map(|authority| authority.as_str().as_bytes().to_ascii_lowercase());
        let has_query = request.uri().query().is_some();
        let headers = request.headers_mut();
        let plain = !has_query && !headers.contains_key(header::AUTHORIZATION);
        let if_none_match = headers.get_all(header::IF_NONE_MATCH).iter().cloned().collect();
        for condition in CONDITIONS {
            headers.remove(condition);
        }
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        // An authority outranks `Host` (RFC 9112 section 3.2.2).
        let host = authority.or_else(|| Some(headers.get(header::HOST)?.as_bytes().to_ascii_lowercase()));
        let forwarded = headers.get_all(header::FORWARDED).iter().flat_map(without_parties);
        // With its name, so that one's value is not taken for another's.
        const NAMES: [&str; 3] = ["x-forwarded-host", "x-forwarded-proto", "x-forwarded-prefix"];
        let named = |name: &'static str| {
            headers.get_all(name).iter().map(move |value| [name.as_bytes(), b": ", value.as_bytes()].concat())
        };
        let asked_for = host.into_iter().chain(forwarded).chain(NAMES.into_iter().flat_map(named)).collect();
        let typical =
            plain && !headers.keys().any(|name| NAMES.iter().all(|known| name != known) && may_have_a_say(name));
        Asked { head, if_none_match, asked_for, plain, typical, pinned: false }
    }

    /// The document with what was missing, the last good one, or what the wrapped service says.
    pub(super) async fn answer<R, E>(
        &self,
        asked: &Asked,
        own_keys: &PublishedKeys,
        response: impl Future<Output = Result<Response<R>, E>>,
    ) -> Result<Response<ResponseBody<R>>, E>
    where
        R: Body<Data = Bytes, Error: Into<BoxError>>,
    {
        let response = tokio::time::timeout(TIMEOUT, response).await;
        let failed = match response {
            Ok(Ok(response)) if response.status() == StatusCode::OK => {
                return Ok(self.passing(asked, own_keys, response).await);
            }
            Ok(Ok(response)) if !response.status().is_server_error() => {
                return Ok(response.map(ResponseBody::wrapped));
            }
            Ok(failed) => Some(failed),
            Err(_elapsed) => None,
        };
        match (self.kept(asked), failed) {
            (Some(kept), _) => Ok(self.augmented(asked, own_keys, kept.parts, kept.document)),
            (None, Some(failed)) => Ok(failed?.map(ResponseBody::wrapped)),
            (None, None) => Ok(empty(StatusCode::GATEWAY_TIMEOUT)),
        }
    }

    async fn passing<R>(
        &self,
        asked: &Asked,
        own_keys: &PublishedKeys,
        response: Response<R>,
    ) -> Response<ResponseBody<R>>
    where
        R: Body<Data = Bytes, Error: Into<BoxError>>,
    {
        let is_compressed = response.headers().contains_key(header::CONTENT_ENCODING);
        let is_large = response.body().size_hint().lower() > MAX_BYTES as u64;
        if is_compressed || is_large {
            let problem = if is_compressed { "it is compressed, though that was not asked for" } else { "too large" };
            tracing::error!(path = self.path, problem, "a document passes without what should be added to it");
            return response.map(ResponseBody::wrapped);
        }
        let (mut parts, body) = response.into_parts();
        // The server's own notes on the connection.
        parts.extensions.clear();
        let read = tokio::time::timeout(TIMEOUT, Limited::new(body, MAX_BYTES).collect()).await;
        if let Ok(Ok(document)) = read {
            let document = document.to_bytes();
            self.keep(asked, &parts, &document);
            return self.augmented(asked, own_keys, parts, document);
        }
        match self.kept(asked) {
            Some(kept) => self.augmented(asked, own_keys, kept.parts, kept.document),
            None => empty(StatusCode::BAD_GATEWAY),
        }
    }

    fn augmented<R>(
        &self,
        asked: &Asked,
        own_keys: &PublishedKeys,
        mut parts: Parts,
        document: Bytes,
    ) -> Response<ResponseBody<R>> {
        let augmented = match self.kind {
            Kind::Metadata => with_token_exchange(&document),
            Kind::KeySet => with_own_keys(&document, own_keys),
        };
        let collision = match &augmented {
            Err(DocumentError::KeyIdCollision(kid)) => Some(kid.clone()),
            _ => None,
        };
        *self.collision.lock().unwrap_or_else(PoisonError::into_inner) = collision;
        let document = augmented.map(Bytes::from).unwrap_or_else(|problem| {
            let alarm = matches!(problem, DocumentError::KeyIdCollision(_));
            tracing::error!(path = self.path, %problem, alarm, "a document passes without what should be added to it");
            document
        });
        for name in ABOUT_BYTES {
            parts.headers.remove(name);
        }
        let etag = format!("\"{}\"", &base64url(digest(&SHA256, &document).as_ref())[..22]);
        let is_known = matches(&asked.if_none_match, &etag);
        parts.headers.extend(HeaderValue::try_from(etag).map(|etag| (header::ETAG, etag)));
        if is_known {
            return not_modified(&parts.headers);
        }
        parts.headers.insert(header::CONTENT_LENGTH, document.len().into());
        Response::from_parts(parts, ResponseBody::ours(if asked.head { Bytes::new() } else { document }))
    }

    fn keep(&self, asked: &Asked, parts: &Parts, document: &Bytes) {
        let is_private = |value: &HeaderValue| {
            let directives = value.to_str().unwrap_or("no-store").to_ascii_lowercase();
            directives.contains("no-store") || directives.contains("private")
        };
        let good = match self.kind {
            Kind::Metadata => with_token_exchange(document),
            Kind::KeySet => with_own_keys(document, &PublishedKeys::default()),
        };
        let varies = parts.headers.get_all(header::VARY).iter().any(|value| value.as_bytes() == b"*");
        if !asked.typical
            || varies
            || good.is_err()
            || parts.headers.get_all(header::CACHE_CONTROL).iter().any(is_private)
        {
            return;
        }
        let (asked_for, mut parts, document) = (asked.asked_for.clone(), parts.clone(), document.clone());
        // It was for the one who asked.
        parts.headers.remove(header::SET_COOKIE);
        let for_all = parts.headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).is_none_or(|origin| origin == "*");
        if !for_all {
            let of_one: Vec<_> =
                parts.headers.keys().filter(|name| name.as_str().starts_with("access-control-")).cloned().collect();
            of_one.iter().for_each(|name| drop(parts.headers.remove(name)));
        }
        let mut all = self.last_good();
        let pinned = asked.pinned || all.iter().any(|kept| kept.pinned && kept.asked_for == asked_for);
        all.retain(|kept| kept.asked_for != asked_for);
        if all.len() == MAX_KEPT {
            let oldest = all.iter().position(|kept| !kept.pinned).unwrap_or(0);
            all.remove(oldest);
        }
        all.push(Kept { asked_for, parts, document, at: self.clock.now(), pinned });
    }

    fn kept(&self, asked: &Asked) -> Option<Kept> {
        let kept = self.last_good().iter().find(|kept| asked.plain && kept.asked_for == asked.asked_for).cloned()?;
        let age = self.clock.now().duration_since(kept.at).ok().filter(|age| *age < self.keep)?;
        tracing::warn!(path = self.path, age_seconds = age.as_secs(), "the last good document is answered");
        Some(kept)
    }

    fn last_good(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.last_good.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a server may let a header have a say in its documents that is no part of the question whose they are.
fn may_have_a_say(name: &HeaderName) -> bool {
    let name = name.as_str().replace('_', "-");
    let of_addresses = ["x-forwarded-", "x-original-", "x-rewrite-", "x-host", "x-scheme"];
    name == "cookie" || (name != "x-forwarded-for" && of_addresses.iter().any(|begin| name.starts_with(begin)))
}

/// What `Forwarded` (RFC 7239 section 4) says, but for who asked and who passed it on, which differs with every client. A
/// separator counts in quotes too: that can only find more in it.
fn without_parties(value: &HeaderValue) -> impl Iterator<Item = Vec<u8>> {
    let is_party = |piece: &&[u8]| {
        piece.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"for="))
            || piece.get(..3).is_some_and(|name| name.eq_ignore_ascii_case(b"by="))
    };
    let pieces = value.as_bytes().split(|byte| matches!(byte, b',' | b';')).map(<[u8]>::trim_ascii);
    pieces.filter(move |piece| !is_party(piece)).map(|piece| [b"forwarded: ", piece].concat())
}

/// The comparison of RFC 9110 section 13.1.2.
fn matches(if_none_match: &[HeaderValue], etag: &str) -> bool {
    let tags = if_none_match.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    tags.map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

fn not_modified<R>(headers: &HeaderMap) -> Response<ResponseBody<R>> {
    let mut response = empty(StatusCode::NOT_MODIFIED);
    for name in IN_NOT_MODIFIED.into_iter().chain([header::ETAG]) {
        for value in headers.get_all(&name) {
            response.headers_mut().append(&name, value.clone());
        }
    }
    response
}

fn empty<R>(status: StatusCode) -> Response<ResponseBody<R>> {
    let mut response = Response::new(ResponseBody::ours(Bytes::new()));
    *response.status_mut() = status;
    response
}
