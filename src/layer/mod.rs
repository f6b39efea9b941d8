//! The layer, its builder, and what it is made from again when the records change.

mod assemble;
mod builder;
mod document;

pub use document::Document;

pub use builder::TokenExchangeBuilder;

use crate::{
    explain::{self, Explanation},
    jwks::Readiness,
    records::{ConfigError, IssuerId},
    service::{ServiceState, TokenExchange},
    signing::Signer,
};
use assemble::Parts;
use std::{fmt, sync::Arc};
use tower::Layer;

/// Adds OAuth 2.0 Token Exchange (RFC 8693) to a token endpoint.
///
/// Put it around the service that has the token endpoint. Requests whose `grant_type` is token exchange are
/// answered here, everything else reaches the wrapped service as it came.
///
/// ```
/// use axum::{Router, routing::post};
/// use tower_token_exchange::{
///     Client, Target, TokenExchangeLayer,
///     policy::{Rule, Subjects},
///     signing::{Algorithm, LocalSigner},
/// };
///
/// async fn token() -> &'static str {
///     "the token endpoint that was there before"
/// }
///
/// let layer = TokenExchangeLayer::builder("https://as.example")
///     .endpoint("/token")
///     .clients([Client::new("orders").secret("a-long-and-random-secret")])
///     .targets([Target::new("billing").allow_clients(["orders"]).scopes(["invoices:read"])])
///     .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["invoices:read"])])
///     .signer(LocalSigner::generate(Algorithm::ES256)?)
///     .build()?;
///
/// let app: Router = Router::new().route("/token", post(token)).layer(layer);
/// # let _ = app;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TokenExchangeLayer {
    state: Arc<ServiceState>,
    parts: Arc<Parts>,
}

impl TokenExchangeLayer {
    /// Begins a layer for an authorization server with this issuer identifier: the exact `iss` of the tokens that
    /// it issues (RFC 8414 section 2).
    pub fn builder(issuer: impl Into<IssuerId>) -> TokenExchangeBuilder {
        TokenExchangeBuilder::new(issuer.into())
    }

    /// Takes another document in place of all clients, targets, issuers and rules, without dropping a request: those
    /// under way go on with what they began with, and each sees one version only. Keys that were fetched are kept for
    /// issuers that are still there and whose key source is the same; an issuer that is gone stops working at once.
    ///
    /// # Errors
    /// A document with a mistake is refused with [`ConfigError`], as at the start, and logged as an error; everything
    /// stays as it was. So is one with rules where the layer has a [`policy`](TokenExchangeBuilder::policy) of its own.
    ///
    /// ```
    /// use tower_token_exchange::{Document, TokenExchangeLayer, signing::{Algorithm, LocalSigner}};
    ///
    /// let document = |scope: &str| -> Document {
    ///     serde_json::from_str(&format!(r#"{{
    ///         "client": [{{ "id": "orders", "secret": "a-long-and-random-secret" }}],
    ///         "target": [{{ "id": "billing", "callers": ["orders"], "scopes": ["read", "write"] }}],
    ///         "rule": [{{ "clients": "orders", "subjects": "any", "targets": "billing", "scopes": ["{scope}"] }}]
    ///     }}"#))
    ///     .unwrap()
    /// };
    /// let layer = TokenExchangeLayer::builder("https://as.example")
    ///     .document(document("read"))
    ///     .signer(LocalSigner::generate(Algorithm::ES256)?)
    ///     .build()?;
    ///
    /// layer.reload(document("write"))?;
    /// let refused = layer.reload(document("admin")).unwrap_err();
    /// assert_eq!(refused.place(), Some("rule[0].scopes[0]"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reload(&self, document: Document) -> Result<(), ConfigError> {
        self.state.current.replace(|before| self.parts.exchange(document, Some(before))).inspect_err(|error| {
            tracing::error!(place = error.place(), %error, "a new document was refused; the one before it still counts");
        })
    }

    /// Takes another signer in place of the one that signs now, without dropping a request: those under way go on with
    /// the one that they began with. Tokens that the old key signed are good no longer than its public key is among
    /// those that the new signer is [verified by](Signer::verified_by).
    ///
    /// Publish the new key before it signs, and the old one until all that it signed has expired: whoever verifies tokens
    /// keeps the keys for a while.
    ///
    /// # Errors
    /// [`ConfigError`] as from [`build`](TokenExchangeBuilder::build); the old signer stays then.
    ///
    /// ```
    /// use tower_token_exchange::{
    ///     Client, Target, TokenExchangeLayer,
    ///     policy::{Rule, Subjects},
    ///     signing::{Algorithm, LocalSigner, Signer},
    /// };
    ///
    /// let old = LocalSigner::generate(Algorithm::ES256)?;
    /// let layer = TokenExchangeLayer::builder("https://as.example")
    ///     .signer(old.clone())
    /// #     .clients([Client::new("orders").secret("a-long-and-random-secret")])
    /// #     .targets([Target::new("billing").allow_clients(["orders"]).scopes(["invoices:read"])])
    /// #     .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["invoices:read"])])
    ///     // …
    ///     .build()?;
    ///
    /// let new = LocalSigner::generate(Algorithm::ES256)?;
    /// let published = new.published_keys().and(old.published_keys());
    /// layer.rotate_signer(Signer::from(new).verified_by(published.key_set()))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rotate_signer(&self, signer: impl Into<Signer>) -> Result<(), ConfigError> {
        let signer = signer.into();
        signer.check()?;
        self.state.current.replace(|before| Ok(self.parts.with_signer(signer, before)))
    }

    /// Says what would become of a request, and why: every stage of it with what it found, the ceiling with all that
    /// lowered it, the rules that were near, and where none speaks for the request, the one that would.
    ///
    /// It goes through the same stages as a request that comes to the endpoint, as the client with this id, whose proof
    /// of that is taken for granted; `client_secret` and `client_assertion` in the form are left out. Nothing is
    /// signed, and the audit gets no event. Keys are fetched, and introspection endpoints, the status check and the
    /// policy are asked, as for a request. It is for operators: whoever may read it learns what a client is never told.
    ///
    /// ```
    /// use tower_token_exchange::{
    ///     Client, Reason, Target, TokenExchangeLayer,
    ///     audit::Outcome,
    ///     policy::{Rule, Subjects},
    ///     signing::{Algorithm, LocalSigner},
    /// };
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = TokenExchangeLayer::builder("https://as.example")
    ///     .clients([Client::new("orders").secret("a-long-and-random-secret")])
    ///     .targets([Target::new("billing").allow_clients(["orders"]).scopes(["read"])])
    ///     .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["read"])])
    ///     .signer(LocalSigner::generate(Algorithm::ES256)?)
    ///     .build()?;
    ///
    /// let form = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&audience=ledger\
    ///     &subject_token=eyJ&subject_token_type=urn:ietf:params:oauth:token-type:access_token";
    /// let explanation = layer.explain("orders", form.as_bytes()).await;
    /// assert_eq!(explanation.outcome, Outcome::Denied);
    /// assert_eq!(explanation.refusal.as_ref().map(|refusal| refusal.reason), Some(Reason::TargetUnknown));
    /// println!("{explanation}");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn explain(&self, client_id: &str, form: &[u8]) -> Explanation {
        explain::explain(&self.state.current.exchange(), client_id, form).await
    }

    /// Waits until every audit event that is under way has reached the sink; for an orderly shutdown, after the
    /// server has stopped.
    pub async fn flush_audit(&self) {
        self.state.audit.flush().await;
    }

    /// How things stand with the keys of the issuers, for a health endpoint. It waits for nobody.
    ///
    /// Where an issuer's keys are missing, it begins to fetch them, as often as the back-off of
    /// [`Issuer::jwks_uri`](crate::Issuer::jwks_uri) permits: a server that is probed before it gets requests becomes
    /// ready. That needs a tokio runtime; without one it only looks.
    ///
    /// ```
    /// use axum::{Json, Router, http::StatusCode, routing::{get, post}};
    /// # use tower_token_exchange::{
    /// #     Client, Target, TokenExchangeLayer, signing::{Algorithm, LocalSigner},
    /// #     policy::{Rule, Subjects},
    /// # };
    /// # let layer = TokenExchangeLayer::builder("https://as.example")
    /// #     .clients([Client::new("orders").secret("a-long-and-random-secret")])
    /// #     .targets([Target::new("billing").allow_clients(["orders"]).scopes(["invoices:read"])])
    /// #     .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["invoices:read"])])
    /// #     .signer(LocalSigner::generate(Algorithm::ES256)?)
    /// #     .build()?;
    /// # async fn token() {}
    /// let exchange = layer.clone();
    /// let ready = || async move {
    ///     let readiness = exchange.readiness();
    ///     let status = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    ///     (status, Json(readiness))
    /// };
    /// let app: Router = Router::new().route("/token", post(token)).layer(layer).route("/ready", get(ready));
    /// # let _ = app;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn readiness(&self) -> Readiness {
        self.state.current.exchange().verifier.keys.readiness()
    }

    /// Fetches the keys of all issuers that have none yet and waits for them, 5 s at most; for a server that wants
    /// them before its first request. None of it is needed: keys are fetched when they are.
    ///
    /// Where the last fetch failed a moment ago, there is none, as with [`readiness`](Self::readiness).
    ///
    /// ```
    /// use bytes::Bytes;
    /// use http::{Request, Response};
    /// use std::convert::Infallible;
    /// use tower_token_exchange::{
    ///     Client, Issuer, Target, TokenExchangeLayer,
    ///     jwks::KeyState,
    ///     policy::{Rule, Subjects},
    ///     records::SubjectMapping,
    ///     signing::{Algorithm, LocalSigner},
    /// };
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // Stands in for the issuer.
    /// let keys = LocalSigner::generate(Algorithm::ES256)?.published_keys().to_json();
    /// let issuer = tower::service_fn(move |_: Request<Bytes>| {
    ///     let keys = keys.clone();
    ///     async { Ok::<_, Infallible>(Response::new(Bytes::from(keys))) }
    /// });
    /// let layer = TokenExchangeLayer::builder("https://as.example")
    ///     .issuers([Issuer::new("https://idp.example")
    ///         .jwks_uri("https://idp.example/jwks.json")
    ///         .map_subjects(SubjectMapping::Prefix("idp|".into()))])
    ///     .http(issuer)
    /// #     .clients([Client::new("orders").secret("a-long-and-random-secret")])
    /// #     .targets([Target::new("billing").allow_clients(["orders"]).scopes(["invoices:read"])])
    /// #     .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["invoices:read"])])
    /// #     .signer(LocalSigner::generate(Algorithm::ES256)?)
    ///     // …
    ///     .build()?;
    ///
    /// let readiness = layer.load_keys().await;
    /// for issuer in readiness.issuers.iter().filter(|issuer| issuer.state == KeyState::Missing) {
    ///     eprintln!("no keys of {}: {:?}", issuer.issuer, issuer.last_problem);
    /// }
    /// assert!(readiness.is_ready());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn load_keys(&self) -> Readiness {
        self.state.current.exchange().verifier.keys.load().await
    }
}

impl<S> Layer<S> for TokenExchangeLayer {
    type Service = TokenExchange<S>;

    fn layer(&self, inner: S) -> TokenExchange<S> {
        TokenExchange::new(inner, Arc::clone(&self.state))
    }
}

impl fmt::Debug for TokenExchangeLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenExchangeLayer").finish_non_exhaustive()
    }
}
