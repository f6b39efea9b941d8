use super::passing::{Kind, Published};
use crate::{body::ResponseBody, clock::Clock, records::ConfigError, service::ResponseFuture, signing::PublishedKeys};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};
use tower::{BoxError, Layer, Service, ServiceExt};

const MAX_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Adds what is missing to the documents of an authorization server on their way to whoever asked for them: the token
/// exchange grant to its metadata ([`with_token_exchange`](super::with_token_exchange)), and the signer's keys to its key
/// set ([`with_own_keys`](super::with_own_keys)). So a token issued here verifies wherever the wrapped server's do.
///
/// Only a `GET` or `HEAD` at exactly one of the paths concerns it; all else passes by untouched. `Content-Length` and
/// `ETag` are those of the document that is answered, `If-None-Match` is answered by that `ETag`, and the wrapped service
/// is asked for the whole document, uncompressed: compress outside of this layer.
///
/// * What is no such document, or compressed all the same, passes as it is, with an error in the log.
/// * Two keys of one name are an alarm in the log, at every answer: the wrapped server's set passes as it is then, so that
///   nobody takes one key for the other, and [`key_id_collision`](Self::key_id_collision) says so.
/// * Where the wrapped service fails (an error, a 5xx, 10 s of silence), the last good document is answered for a
///   bounded time. It is kept for requests to the same host by the same scheme, unless it was `private` or `no-store`, and
///   without its cookies.
///
/// ```
/// use tower::ServiceBuilder;
/// use tower_token_exchange::{endpoint::DocumentsLayer, signing::{Algorithm, LocalSigner}};
///
/// let signer = LocalSigner::generate(Algorithm::ES256)?;
/// let documents = DocumentsLayer::builder()
///     .metadata("/.well-known/openid-configuration")
///     .key_set("/jwks")
///     .own_keys(signer.published_keys())
///     .build()?;
/// let stack = ServiceBuilder::new().layer(documents);
/// # let _ = stack;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct DocumentsLayer(Arc<Shared>);

struct Shared {
    documents: Vec<Arc<Published>>,
    own_keys: RwLock<Arc<PublishedKeys>>,
}

/// Builds a [`DocumentsLayer`].
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct DocumentsLayerBuilder {
    paths: Vec<(String, Kind)>,
    own_keys: Option<PublishedKeys>,
    keep: Duration,
    clock: Clock,
}

impl DocumentsLayer {
    /// Begins a layer.
    pub fn builder() -> DocumentsLayerBuilder {
        let keep = Duration::from_secs(60 * 60);
        DocumentsLayerBuilder { paths: Vec::new(), own_keys: None, keep, clock: Clock::default() }
    }

    /// Publishes these keys from now on, in place of those before: all of them, also those that sign no more and whose
    /// tokens have not expired.
    pub fn publish(&self, own_keys: PublishedKeys) {
        *self.0.own_keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(own_keys);
    }

    /// Asks a service for the documents as a client would that finds them at this origin. So a good one is kept before the
    /// first bad day, and [`key_id_collision`](Self::key_id_collision) is known. The service is the one that the layer wraps,
    /// without the layer; ask it from time to time.
    ///
    /// What comes back is whether it can be reached: whether any document had an answer other than a 5xx, within 10 s.
    ///
    /// ```
    /// use axum::{Router, body::Body, routing::get};
    /// use tower_token_exchange::endpoint::DocumentsLayer;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tower_token_exchange::ConfigError> {
    /// let legacy: Router = Router::new().route("/metadata", get(|| async { r#"{"issuer": "https://as.example"}"# }));
    /// let documents = DocumentsLayer::builder().metadata("/metadata").build()?;
    /// assert!(documents.refresh::<_, Body, _>(legacy, "https://as.example").await);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn refresh<S, B, R>(&self, service: S, origin: &str) -> bool
    where
        S: Service<Request<B>, Response = Response<R>> + Clone,
        B: Default,
        R: Body<Data = Bytes, Error: Into<BoxError>>,
    {
        let mut is_reached = false;
        for document in &self.0.documents {
            let Ok(mut request) = Request::get(format!("{origin}{}", document.path())).body(B::default()) else {
                return false;
            };
            let asked = document.asked_by_ourselves(&mut request);
            let response = async {
                let response = service.clone().oneshot(request).await;
                is_reached |= response.as_ref().is_ok_and(|response| !response.status().is_server_error());
                response
            };
            // Whoever asks next is answered by what it left behind.
            let _ = document.answer(&asked, &self.0.own_keys(), response).await;
        }
        is_reached
    }

    /// The `kid` that two different keys had when a key set last passed: our key of that name is not published, and what
    /// it signs verifies nowhere. Give it another name.
    pub fn key_id_collision(&self) -> Option<String> {
        self.0.documents.iter().find_map(|document| document.collision())
    }
}

impl Shared {
    fn own_keys(&self) -> Arc<PublishedKeys> {
        Arc::clone(&self.own_keys.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl DocumentsLayerBuilder {
    /// The exact raw path of a metadata document (RFC 8414 section 3, OpenID Connect Discovery 1.0 section 4). Call it
    /// again for another.
    pub fn metadata(mut self, path: impl Into<String>) -> Self {
        self.paths.push((path.into(), Kind::Metadata));
        self
    }

    /// The exact raw path of a key set (`jwks_uri`). Call it again for another.
    pub fn key_set(mut self, path: impl Into<String>) -> Self {
        self.paths.push((path.into(), Kind::KeySet));
        self
    }

    /// The keys that verify what is issued here: [`LocalSigner::published_keys`](crate::signing::LocalSigner::published_keys).
    pub fn own_keys(mut self, keys: PublishedKeys) -> Self {
        self.own_keys = Some(keys);
        self
    }

    /// How long the last good document is answered while the wrapped service fails, 24 h at most. Default: 1 h, as long
    /// as stale keys serve here.
    pub fn keep_for(mut self, time: Duration) -> Self {
        self.keep = time;
        self
    }

    /// Where the time comes from. Default: the system's clock.
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Clock::new(now);
        self
    }

    /// # Errors
    /// [`ConfigError`] names the field and the way out.
    pub fn build(self) -> Result<DocumentsLayer, ConfigError> {
        let is_path = |path: &str| path.starts_with('/') && !path.contains(['?', '#']);
        if let Some((path, kind)) = self.paths.iter().find(|(path, _)| !is_path(path)) {
            let help = format!("`{path}` is not a path: begin with `/` and leave query and fragment out");
            return Err(ConfigError::new(kind.as_str(), help));
        }
        if self.keep > MAX_KEPT {
            return Err(ConfigError::new("keep_for", "give 24 h or less"));
        }
        let has_key_set = self.paths.iter().any(|(_, kind)| *kind == Kind::KeySet);
        let own_keys = match self.own_keys {
            None if has_key_set => {
                return Err(ConfigError::new("own_keys", "none: there is nothing to add to a key set"));
            }
            own_keys => own_keys.unwrap_or_default(),
        };
        let documents = self.paths.into_iter().map(|(path, kind)| Published::new(path, kind, self.keep, &self.clock));
        Ok(DocumentsLayer(Arc::new(Shared {
            documents: documents.map(Arc::new).collect(),
            own_keys: RwLock::new(Arc::new(own_keys)),
        })))
    }
}

impl<S> Layer<S> for DocumentsLayer {
    type Service = Documents<S>;

    fn layer(&self, inner: S) -> Documents<S> {
        Documents { inner, shared: Arc::clone(&self.0) }
    }
}

/// Middleware made by a [`DocumentsLayer`].
#[derive(Clone)]
pub struct Documents<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S, B, R> Service<Request<B>> for Documents<S>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send + 'static, Error: Send + 'static>,
    R: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let Some(document) = self.shared.documents.iter().find(|document| document.is_asked_for(&request)) else {
            return ResponseFuture::pass(self.inner.call(request));
        };
        let document = Arc::clone(document);
        let asked = document.asked(&mut request);
        let own_keys = self.shared.own_keys();
        let response = self.inner.call(request);
        ResponseFuture::ours(async move { document.answer(&asked, &own_keys, response).await })
    }
}

impl fmt::Debug for DocumentsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentsLayer").finish_non_exhaustive()
    }
}

impl fmt::Debug for DocumentsLayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentsLayerBuilder").field("paths", &self.paths).finish_non_exhaustive()
    }
}

impl<S: fmt::Debug> fmt::Debug for Documents<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Documents").field("inner", &self.inner).finish_non_exhaustive()
    }
}
