//! The documents of the authorization server on their way to the clients, with the additions of the gateway.

mod document;
mod request;

use axum::body::Body;
use document::{Kind, PassingDocument, own_key_set};
use futures_util::future::BoxFuture;
use http::{Method, Request, Response};
use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    task::{Context, Poll},
    time::Duration,
};
use tower::{Layer, Service, ServiceExt};
use tower_token_exchange::{metadata::Additions, service::is_same_path, signing::PublishedKeys};

/// The longest time for [`DocumentsLayerBuilder::keep_for`].
const MAX_KEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// Adds what is missing to the documents of an authorization server: the token exchange grant and missing endpoints to its
/// metadata ([`Additions`]), and the keys of the signer to its key set ([`PublishedKeys::add_to`]). Every verifier that trusts
/// the server can then verify the tokens of the gateway.
///
/// The layer changes only a `GET` or `HEAD` request for one of the paths, in any spelling
/// ([`is_same_path`]). All other requests pass unchanged. The layer asks the
/// server for the whole document, without compression, and removes the headers that describe the bytes of the original, such
/// as `ETag`. Compress outside of this layer.
///
/// * A response that is not such a document, or that is compressed, passes unchanged. The log holds an error.
/// * If the server has no key set at the path of a key set (404, or 200 with another document), the layer answers with the
///   keys of the signer.
/// * If two different keys have the same `kid`, the key set of the server passes unchanged, so that nobody takes one key for
///   the other. The log holds an error for every such answer, and [`key_id_collision`](Self::key_id_collision) returns the
///   `kid`.
/// * If the server fails (an error, a 5xx status, or no answer for 10 s), the layer answers with the last good document for a
///   bounded time. The layer keeps the last good document for each host and scheme that clients ask for, without cookies, and
///   only if the document is not `private` or `no-store`.
///
/// ```
/// use token_exchange_gateway::documents::DocumentsLayer;
/// use tower::ServiceBuilder;
/// use tower_token_exchange::signing::{Algorithm, LocalSigner};
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
    documents: Vec<Arc<PassingDocument>>,
    /// The path at which the layer itself answers with the keys of the signer.
    own_key_set: Option<String>,
    additions: RwLock<Arc<Additions>>,
    own_keys: RwLock<Arc<PublishedKeys>>,
    /// Whether a key set has the keys of the signer.
    publishes_keys: bool,
}

/// Builds a [`DocumentsLayer`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct DocumentsLayerBuilder {
    paths: Vec<(String, Kind)>,
    own_key_set: Option<String>,
    additions: Additions,
    own_keys: Option<PublishedKeys>,
    keep_for: Duration,
}

/// Why no [`DocumentsLayer`] can be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentsError {
    /// The path of a document is not a path.
    #[error("`{0}` is not a path; start with `/`, without query and fragment")]
    Path(String),
    /// There is a key set, and there are no keys to add to the key set.
    #[error("there are no keys to add to the key set; give the keys of the signer with `own_keys`")]
    NoOwnKeys,
    /// The time for the last good document is longer than 24 h.
    #[error("the time for the last good document is longer than 24 h; give a shorter time with `keep_for`")]
    KeptTooLong,
}

impl DocumentsLayer {
    /// Starts a builder.
    pub fn builder() -> DocumentsLayerBuilder {
        DocumentsLayerBuilder {
            paths: Vec::new(),
            own_key_set: None,
            additions: Additions::new(),
            own_keys: None,
            keep_for: Duration::from_secs(60 * 60),
        }
    }

    /// Replaces the keys of the signer, from the next answer on. Give all keys whose tokens have not expired, also keys that do
    /// not sign any more.
    ///
    /// # Errors
    /// [`DocumentsError::NoOwnKeys`], as from [`build`](DocumentsLayerBuilder::build). The keys before stay published.
    pub fn publish(&self, own_keys: PublishedKeys) -> Result<(), DocumentsError> {
        check_keys(&own_keys, self.0.publishes_keys)?;
        *self.0.own_keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(own_keys);
        Ok(())
    }

    /// Replaces what is added to the metadata, from the next answer on.
    pub fn replace_additions(&self, additions: Additions) {
        *self.0.additions.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(additions);
    }

    /// Asks a service for all documents, as a client that finds the server at this origin (scheme and host). Afterwards there
    /// is a last good document before the server fails for the first time, and
    /// [`key_id_collision`](Self::key_id_collision) is known. Give the service that the layer wraps, and call this method from
    /// time to time.
    ///
    /// Returns whether the server can be reached: whether any document had an answer other than a 5xx within 10 s.
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use token_exchange_gateway::documents::DocumentsLayer;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server: Router = Router::new().route("/metadata", get(|| async { r#"{"issuer": "https://as.example"}"# }));
    /// let documents = DocumentsLayer::builder().metadata("/metadata").build()?;
    /// assert!(documents.refresh(server, "https://as.example").await);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn refresh<S>(&self, service: S, origin: &str) -> bool
    where
        S: Service<Request<Body>, Response = Response<Body>> + Clone,
    {
        let mut is_reached = false;
        for document in &self.0.documents {
            let Ok(mut request) = Request::get(format!("{origin}{}", document.path())).body(Body::empty()) else {
                continue;
            };
            let asked = document.rewrite(&mut request).pinned();
            let response = async {
                let response = service.clone().oneshot(request).await;
                is_reached |= response.as_ref().is_ok_and(|response| !response.status().is_server_error());
                response
            };
            // The answer matters only for the last good document.
            let _ = document.answer(&asked, &self.0.additions(), &self.0.own_keys(), response).await;
        }
        is_reached
    }

    /// Returns the `kid` that two different keys had in the latest key set. The key of the signer with this `kid` is not
    /// published, and nobody can verify its tokens: give the key another `kid`.
    pub fn key_id_collision(&self) -> Option<String> {
        self.0.documents.iter().find_map(|document| document.collision())
    }
}

impl Shared {
    fn additions(&self) -> Arc<Additions> {
        Arc::clone(&self.additions.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn own_keys(&self) -> Arc<PublishedKeys> {
        Arc::clone(&self.own_keys.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl DocumentsLayerBuilder {
    /// Adds the path of a metadata document (RFC 8414 section 3, OpenID Connect Discovery 1.0 section 4).
    pub fn metadata(mut self, path: impl Into<String>) -> Self {
        self.paths.push((path.into(), Kind::Metadata));
        self
    }

    /// Adds the path of a key set of the server (the path of `jwks_uri`).
    pub fn key_set(mut self, path: impl Into<String>) -> Self {
        self.paths.push((path.into(), Kind::KeySet));
        self
    }

    /// Sets the path at which the layer itself answers with the keys of the signer, for a server without a key set. The layer
    /// does not ask the server. Default: none.
    pub fn own_key_set(mut self, path: impl Into<String>) -> Self {
        self.own_key_set = Some(path.into());
        self
    }

    /// Sets what is added to the metadata. Default: the token exchange grant.
    pub fn additions(mut self, additions: Additions) -> Self {
        self.additions = additions;
        self
    }

    /// Sets the keys that verify the tokens of the gateway:
    /// [`LocalSigner::published_keys`](tower_token_exchange::signing::LocalSigner::published_keys). Required if there is a
    /// key set.
    pub fn own_keys(mut self, keys: PublishedKeys) -> Self {
        self.own_keys = Some(keys);
        self
    }

    /// Sets how long the last good document is answered while the server fails, at most 24 h. Default: 1 h.
    pub fn keep_for(mut self, time: Duration) -> Self {
        self.keep_for = time;
        self
    }

    /// Builds the layer.
    ///
    /// # Errors
    /// [`DocumentsError`]
    pub fn build(self) -> Result<DocumentsLayer, DocumentsError> {
        let paths = self.paths.iter().map(|(path, _)| path).chain(&self.own_key_set);
        if let Some(path) = paths.into_iter().find(|path| !is_path(path)) {
            return Err(DocumentsError::Path(path.clone()));
        }
        if self.keep_for > MAX_KEEP {
            return Err(DocumentsError::KeptTooLong);
        }
        let has_key_set = self.own_key_set.is_some() || self.paths.iter().any(|(_, kind)| *kind == Kind::KeySet);
        let own_keys = self.own_keys.unwrap_or_default();
        check_keys(&own_keys, has_key_set)?;
        let documents = self.paths.into_iter().map(|(path, kind)| PassingDocument::new(path, kind, self.keep_for));
        Ok(DocumentsLayer(Arc::new(Shared {
            documents: documents.map(Arc::new).collect(),
            own_key_set: self.own_key_set,
            additions: RwLock::new(Arc::new(self.additions)),
            own_keys: RwLock::new(Arc::new(own_keys)),
            publishes_keys: has_key_set,
        })))
    }
}

/// Checks that there are keys if a key set needs them.
fn check_keys(own_keys: &PublishedKeys, has_key_set: bool) -> Result<(), DocumentsError> {
    if has_key_set && own_keys.is_empty() { Err(DocumentsError::NoOwnKeys) } else { Ok(()) }
}

/// Whether a text is the path of a URL, without query and fragment.
pub(crate) fn is_path(text: &str) -> bool {
    text.starts_with('/') && !text.contains(['?', '#'])
}

impl<S> Layer<S> for DocumentsLayer {
    type Service = Documents<S>;

    fn layer(&self, inner: S) -> Documents<S> {
        Documents { inner, shared: Arc::clone(&self.0) }
    }
}

/// The middleware that a [`DocumentsLayer`] makes.
#[derive(Clone)]
pub struct Documents<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Documents<S> {
    /// Returns the wrapped service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns the wrapped service, to change it.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Turns the middleware into the wrapped service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S> Service<Request<Body>> for Documents<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Future: Send + 'static, Error: Send>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if !is_read(&request) {
            return Box::pin(self.inner.call(request));
        }
        let path = request.uri().path();
        if self.shared.own_key_set.as_ref().is_some_and(|own| is_same_path(own, path)) {
            let answer = own_key_set(&self.shared.own_keys(), request.method() == Method::HEAD);
            return Box::pin(async move { Ok(answer) });
        }
        let Some(document) = self.shared.documents.iter().find(|document| is_same_path(document.path(), path)) else {
            return Box::pin(self.inner.call(request));
        };
        let document = Arc::clone(document);
        let asked = document.rewrite(&mut request);
        let (additions, own_keys) = (self.shared.additions(), self.shared.own_keys());
        let response = self.inner.call(request);
        Box::pin(async move { document.answer(&asked, &additions, &own_keys, response).await })
    }
}

fn is_read(request: &Request<Body>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
}

impl fmt::Debug for DocumentsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentsLayer").finish_non_exhaustive()
    }
}

impl<S: fmt::Debug> fmt::Debug for Documents<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Documents").field("inner", &self.inner).finish_non_exhaustive()
    }
}
