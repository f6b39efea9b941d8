//! The layer and its builder.

mod assemble;
mod builder;
mod check;
mod document;
mod reload;
mod revoker;

pub use builder::TokenExchangeBuilder;
pub use document::Document;
pub use reload::PreparedReload;
pub use revoker::{RevokeError, Revoker};

use crate::{
    explain::{self, Explanation},
    graph::{self, DelegationGraph, Reach},
    jwks::Readiness,
    service::{ServiceState, TokenExchange},
    token::Claims,
};
use assemble::Parts;
use std::{fmt, sync::Arc};
use tower::Layer;

/// A [`tower::Layer`] that adds OAuth 2.0 Token Exchange (RFC 8693) to a token endpoint.
///
/// The layer wraps the service that has the token endpoint. The layer answers every token exchange at that endpoint.
/// Every other request reaches the wrapped service unchanged.
///
/// A layer is cheap to clone. All clones share their state, so a clone that stays outside of the service can
/// [reload](Self::reload) the records, [rotate](Self::rotate_signer) the key, do [both at
/// once](Self::prepare_reload) and report the
/// [readiness](Self::readiness).
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
///     "the existing token endpoint"
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
    /// Explains what the layer would do with a request, and why.
    ///
    /// The explanation names the result of each stage, every limit that lowered the ceiling, and the rules that nearly
    /// match. If no rule allows the request, the explanation suggests a rule that would allow the request.
    ///
    /// The request passes the same stages as a request at the endpoint, but the client with this id counts as
    /// authenticated: `client_secret` and `client_assertion` in the form are ignored. The layer signs no token and
    /// writes no audit event. The layer fetches keys, and asks introspection endpoints, the status check and the policy.
    ///
    /// An explanation is for operators, because an explanation contains details that a client must not learn.
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

    /// Explains a request as [`explain`](Self::explain) does, as if the issuer that the claims name vouched for a subject
    /// token with these claims. The `subject_token` of the form can be any text.
    ///
    /// Use this method to try a description of tokens before a real token is at hand
    /// ([`Issuer::sample_claims`](crate::Issuer::sample_claims)).
    ///
    /// ```
    /// use tower_token_exchange::{
    ///     Client, Target, TokenExchangeLayer,
    ///     audit::Outcome,
    ///     policy::{Rule, Subjects},
    ///     signing::{Algorithm, LocalSigner},
    ///     token::Claims,
    /// };
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = TokenExchangeLayer::builder("https://as.example")
    ///     .clients([Client::new("orders").secret("a-long-and-random-secret")])
    ///     .targets([
    ///         Target::new("orders").audience_claim("https://orders.example").served_by("orders").scopes(["read"]),
    ///         Target::new("billing").allow_clients(["orders"]).scopes(["read"]),
    ///     ])
    ///     .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["read"])])
    ///     .signer(LocalSigner::generate(Algorithm::ES256)?)
    ///     .build()?;
    ///
    /// let form = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&audience=billing\
    ///     &subject_token=any&subject_token_type=urn:ietf:params:oauth:token-type:access_token";
    /// let claims = Claims::from_json(
    ///     r#"{ "iss": "https://as.example", "sub": "alice", "aud": "https://orders.example", "client_id": "web",
    ///          "scope": "read", "exp": 9999999999 }"#,
    /// )?;
    /// let explanation = layer.explain_claims("orders", form.as_bytes(), claims).await;
    /// assert_eq!(explanation.outcome, Outcome::Issued);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn explain_claims(&self, client_id: &str, form: &[u8], claims: Claims) -> Explanation {
        explain::explain_claims(&self.state.current.exchange(), client_id, form, claims).await
    }

    /// Returns the graph of what the rules permit, within the limits of the records.
    ///
    /// The module [`graph`](crate::graph) has an example. The graph has no edges if the policy of the layer is not a table of
    /// rules.
    pub fn delegation_graph(&self) -> DelegationGraph {
        DelegationGraph::of(&self.state.current.exchange())
    }

    /// Follows a token: which tokens can be obtained from an access token with these claims, by at most this number of
    /// exchanges, and whom these tokens name.
    ///
    /// Each exchange passes the stages of a real exchange, as in [`explain_claims`](Self::explain_claims). The clients present
    /// no actor token, request one target at a time and access tokens only, and possess every key that a token is bound to. So
    /// the answer also says what a stolen secret or a stolen token is worth.
    ///
    /// ```
    /// use tower_token_exchange::{
    ///     Client, Target, TokenExchangeLayer,
    ///     policy::{Rule, Subjects},
    ///     signing::{Algorithm, LocalSigner},
    /// };
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = TokenExchangeLayer::builder("https://as.example")
    ///     .clients(["orders", "billing"].map(|id| Client::new(id).secret(format!("a-long-and-random-secret-{id}"))))
    ///     .targets([
    ///         Target::new("orders").audience_claim("https://orders.example").served_by("orders").scopes(["read"]),
    ///         Target::new("billing")
    ///             .audience_claim("https://billing.example")
    ///             .served_by("billing")
    ///             .allow_clients(["orders"])
    ///             .scopes(["read"]),
    ///         Target::new("ledger").allow_clients(["billing"]).scopes(["read"]),
    ///     ])
    ///     .rules([
    ///         Rule::allow("orders", Subjects::any(), "billing").scopes(["read"]),
    ///         Rule::allow("billing", Subjects::any(), "ledger").scopes(["read"]),
    ///     ])
    ///     .signer(LocalSigner::generate(Algorithm::ES256)?)
    ///     .build()?;
    ///
    /// let token = layer.sample_token("orders", "alice").ok_or("no such target")?;
    /// let reach = layer.reach(token, 3).await;
    /// let way = reach.shortest_way("ledger").ok_or("the ledger cannot be reached")?;
    /// assert_eq!(way.iter().map(|hop| hop.client.as_str()).collect::<Vec<_>>(), ["orders", "billing"]);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn reach(&self, token: Claims, max_hops: usize) -> Reach {
        graph::reach(&self.state.current.exchange(), token, max_hops).await
    }

    /// Returns the claims of an access token that our own issuer could have issued for a target to a user with this `sub`, for
    /// [`reach`](Self::reach) and [`explain_claims`](Self::explain_claims). The token has every scope of the target, and
    /// expires in an hour. `None` if no record has this target.
    pub fn sample_token(&self, target: impl AsRef<str>, sub: &str) -> Option<Claims> {
        graph::sample_token(&self.state.current.exchange(), target.as_ref(), sub)
    }

    /// Waits until the audit sink has received every event. Call this method after the server has stopped.
    pub async fn flush_audit(&self) {
        self.state.audit.flush().await;
    }

    /// Reports the state of the keys of all issuers, for a health endpoint. Returns at once.
    ///
    /// If the keys of an issuer are missing, the layer starts to fetch them, as often as the back-off of
    /// [`Issuer::jwks_uri`](crate::Issuer::jwks_uri) permits. A server with a readiness probe therefore becomes ready
    /// before the first request arrives. Outside of a tokio runtime, the layer fetches nothing.
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

    /// Fetches the missing keys of all issuers, and waits for them for up to 5 s.
    ///
    /// A server can call this method before the first request. The call is optional, because a token that needs a key
    /// also starts to fetch the key. The back-off of [`readiness`](Self::readiness) applies.
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
    /// // This service plays the issuer.
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
    ///     eprintln!("the keys of {} are missing: {:?}", issuer.issuer, issuer.last_problem);
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
