use super::request::DocumentRequest;
use crate::answer;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header, response::Parts};
use http_body::Body as _;
use http_body_util::{BodyExt, Limited};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, timeout};
use tower_token_exchange::{
    metadata::{Additions, DocumentError, add_grant},
    signing::PublishedKeys,
};

/// The largest document that the layer changes.
const MAX_BYTES: usize = 256 * 1024;

/// How long the server may take for an answer, and again for its body.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How many last good versions of one document are kept.
const MAX_KEPT: usize = 8;

/// Headers that describe the bytes of the server's document, which differ from the bytes of the answer.
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

/// The kind of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Metadata,
    KeySet,
}

/// One document of the server, with its last good versions.
pub(super) struct PassingDocument {
    path: String,
    kind: Kind,
    keep_for: Duration,
    /// One version for each origin. Versions that the gateway asked for itself are never removed for others.
    last_good: Mutex<Vec<LastGood>>,
    collision: Mutex<Option<String>>,
}

/// A document as the server sent it.
#[derive(Clone)]
struct LastGood {
    origin: Vec<Vec<u8>>,
    parts: Parts,
    document: Bytes,
    at: Instant,
    is_pinned: bool,
}

impl PassingDocument {
    pub(super) fn new(path: String, kind: Kind, keep_for: Duration) -> Self {
        Self { path, kind, keep_for, last_good: Mutex::default(), collision: Mutex::default() }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn collision(&self) -> Option<String> {
        self.collision.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn rewrite(&self, request: &mut Request<Body>) -> DocumentRequest {
        // The server may have another document at another spelling of the path.
        let is_exact = request.uri().path() == self.path;
        let asked = DocumentRequest::rewrite(request);
        DocumentRequest { is_cacheable: asked.is_cacheable && is_exact, ..asked }
    }

    /// Returns the document with the additions, the last good document, or the answer of the server unchanged.
    pub(super) async fn answer<E>(
        &self,
        asked: &DocumentRequest,
        additions: &Additions,
        own_keys: &PublishedKeys,
        response: impl Future<Output = Result<Response<Body>, E>>,
    ) -> Result<Response<Body>, E> {
        let failure = match timeout(TIMEOUT, response).await {
            Ok(Ok(response)) if response.status() == StatusCode::OK => {
                return Ok(self.extend_response(asked, additions, own_keys, response).await);
            }
            Ok(Ok(response)) if response.status() == StatusCode::NOT_FOUND && self.kind == Kind::KeySet => {
                let kept = self.last_good_for(asked);
                return Ok(match kept {
                    Some(kept) => self.extend(asked, additions, own_keys, kept.parts, kept.document),
                    None => own_key_set(own_keys, asked.is_head),
                });
            }
            Ok(Ok(response)) if !response.status().is_server_error() => return Ok(response),
            Ok(failure) => Some(failure),
            Err(_elapsed) => None,
        };
        match (self.last_good_for(asked), failure) {
            (Some(kept), _) => Ok(self.extend(asked, additions, own_keys, kept.parts, kept.document)),
            (None, Some(failure)) => failure,
            (None, None) => Ok(answer::empty(StatusCode::GATEWAY_TIMEOUT)),
        }
    }

    async fn extend_response(
        &self,
        asked: &DocumentRequest,
        additions: &Additions,
        own_keys: &PublishedKeys,
        response: Response<Body>,
    ) -> Response<Body> {
        let is_compressed = response.headers().contains_key(header::CONTENT_ENCODING);
        let is_large = response.body().size_hint().lower() > MAX_BYTES as u64;
        if is_compressed || is_large {
            let problem = if is_compressed { "the document is compressed" } else { "the document is too large" };
            self.log_unchanged(problem);
            return response;
        }
        let (mut parts, body) = response.into_parts();
        // The HTTP client leaves values about the connection here.
        parts.extensions.clear();
        if let Ok(Ok(document)) = timeout(TIMEOUT, Limited::new(body, MAX_BYTES).collect()).await {
            let document = document.to_bytes();
            self.keep(asked, &parts, &document);
            return self.extend(asked, additions, own_keys, parts, document);
        }
        match self.last_good_for(asked) {
            Some(kept) => self.extend(asked, additions, own_keys, kept.parts, kept.document),
            None => answer::empty(StatusCode::BAD_GATEWAY),
        }
    }

    fn extend(
        &self,
        asked: &DocumentRequest,
        additions: &Additions,
        own_keys: &PublishedKeys,
        mut parts: Parts,
        document: Bytes,
    ) -> Response<Body> {
        let extended = match self.kind {
            Kind::Metadata => additions.add_to(&document),
            Kind::KeySet => own_keys.add_to(&document),
        };
        let collision = match &extended {
            Err(DocumentError::KeyIdCollision(kid)) => Some(kid.clone()),
            _ => None,
        };
        *self.collision.lock().unwrap_or_else(PoisonError::into_inner) = collision;
        if self.kind == Kind::KeySet
            && matches!(extended, Err(DocumentError::NotOneObject | DocumentError::NotAList(_)))
        {
            tracing::warn!(path = self.path, "the server has no key set; the gateway publishes its own keys alone");
            return own_key_set(own_keys, asked.is_head);
        }
        let document = extended.map(Bytes::from).unwrap_or_else(|problem| {
            self.log_unchanged(&problem.to_string());
            document
        });
        for name in ABOUT_BYTES {
            parts.headers.remove(name);
        }
        parts.headers.insert(header::CONTENT_LENGTH, document.len().into());
        Response::from_parts(parts, if asked.is_head { Body::empty() } else { document.into() })
    }

    fn log_unchanged(&self, problem: &str) {
        tracing::error!(path = self.path, problem, "a document of the server passed without the additions");
    }

    /// Keeps a document, if it is a good one and every client that asks for the same origin may get it.
    fn keep(&self, asked: &DocumentRequest, parts: &Parts, document: &Bytes) {
        let is_private = |value: &HeaderValue| {
            let directives = value.to_str().unwrap_or("no-store").to_ascii_lowercase();
            directives.contains("no-store") || directives.contains("private")
        };
        let is_good = match self.kind {
            Kind::Metadata => add_grant(document).is_ok(),
            Kind::KeySet => PublishedKeys::default().add_to(document).is_ok(),
        };
        let varies = parts.headers.get_all(header::VARY).iter().any(|value| value.as_bytes() == b"*");
        if !asked.is_cacheable
            || varies
            || !is_good
            || parts.headers.get_all(header::CACHE_CONTROL).iter().any(is_private)
        {
            return;
        }
        let (origin, mut parts) = (asked.origin.clone(), parts.clone());
        // These headers are for the client that asked.
        parts.headers.remove(header::SET_COOKIE);
        let is_for_all = parts.headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).is_none_or(|origin| origin == "*");
        if !is_for_all {
            let names = parts.headers.keys().filter(|name| name.as_str().starts_with("access-control-"));
            for name in names.cloned().collect::<Vec<_>>() {
                parts.headers.remove(name);
            }
        }
        let mut all = self.lock();
        let is_pinned = asked.is_pinned || all.iter().any(|kept| kept.is_pinned && kept.origin == origin);
        all.retain(|kept| kept.origin != origin);
        if all.len() == MAX_KEPT {
            let oldest = all.iter().position(|kept| !kept.is_pinned).unwrap_or(0);
            all.remove(oldest);
        }
        all.push(LastGood { origin, parts, document: document.clone(), at: Instant::now(), is_pinned });
    }

    fn last_good_for(&self, asked: &DocumentRequest) -> Option<LastGood> {
        let kept = self.lock().iter().find(|kept| asked.is_plain && kept.origin == asked.origin).cloned()?;
        let age = kept.at.elapsed();
        if age >= self.keep_for {
            return None;
        }
        tracing::warn!(
            path = self.path,
            age_seconds = age.as_secs(),
            "the server failed; the last good document is used"
        );
        Some(kept)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<LastGood>> {
        self.last_good.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keys of the signer alone, for a server without a key set. Any page may read them: they are public.
pub(super) fn own_key_set(own_keys: &PublishedKeys, is_head: bool) -> Response<Body> {
    let document = own_keys.to_json();
    let length = document.len();
    let mut response = Response::new(if is_head { Body::empty() } else { document.into() });
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_LENGTH, length.into());
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}
