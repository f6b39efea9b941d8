use super::{
    AccessRefusal, AccessRequest, AccessRule, AccessRules, AccessToken, MetadataRoute, ResourceServer, server::Core,
    service::ServiceState,
};
use crate::{jwks::Readiness, records::ConfigError};
use std::{fmt, sync::Arc};
use tower::Layer;

/// A [`tower::Layer`] that admits only requests with an acceptable access token to a service.
///
/// The [module](crate::resource) has an example. A layer is cheap to clone, and all clones share their keys and their state.
#[derive(Clone)]
pub struct ResourceServerLayer {
    pub(super) core: Arc<Core>,
    pub(super) rules: Arc<AccessRules>,
    pub(super) allows_anonymous: bool,
    pub(super) metadata: Option<MetadataRoute>,
}

impl ResourceServerLayer {
    /// Returns the same layer with other rules, for a route that needs a rule of its own.
    ///
    /// The layers share their keys. If the route is inside of the first layer, the second layer does not verify the token again,
    /// and its rules hold in addition.
    ///
    /// ```
    /// use axum::{Router, routing::{get, post}};
    /// use tower_token_exchange::{
    ///     Issuer,
    ///     resource::{AccessRule, ResourceServerLayer},
    /// };
    ///
    /// let resource = ResourceServerLayer::builder("https://billing.example")
    ///     .issuers([Issuer::new("https://as.example").discovery()])
    ///     .rules([AccessRule::any_actor().scopes(["read"])])
    ///     .build()?;
    /// // Nobody may pay on behalf of a user.
    /// let pay = resource.with_rules([AccessRule::without_actor().for_users().scopes(["pay"])])?;
    /// let app: Router = Router::new()
    ///     .route("/payments", post(|| async {}).layer(pay))
    ///     .route("/invoices", get(|| async {}))
    ///     .layer(resource);
    /// # let _ = app;
    /// # Ok::<(), tower_token_exchange::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// [`ConfigError`] with every mistake in the rules.
    pub fn with_rules(&self, rules: impl IntoIterator<Item = AccessRule>) -> Result<Self, ConfigError> {
        Ok(Self { rules: Arc::new(AccessRules::new(rules)?), ..self.clone() })
    }

    /// Verifies an access token, and decides by the rules, without HTTP: for a consumer of a message queue, or a WebSocket.
    ///
    /// A refusal leaves an audit event. A message that needs no HTTP needs no DPoP either: a bound token is accepted only with
    /// [`AccessRequest::dpop`] or [`AccessRequest::certificate`].
    ///
    /// ```
    /// use tower_token_exchange::{
    ///     Issuer, Reason,
    ///     jwks::KeySet,
    ///     resource::{AccessRequest, AccessRule, ResourceServerLayer},
    /// };
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let keys = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    /// let resource = ResourceServerLayer::builder("https://billing.example")
    ///     .issuers([Issuer::new("https://as.example").keys(KeySet::from_json(keys)?)])
    ///     .rules([AccessRule::without_actor()])
    ///     .build()?;
    /// let refusal = resource.verify(AccessRequest::bearer("not-a-token")).await.unwrap_err();
    /// assert_eq!(refusal.reason(), Reason::TokenMalformed);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AccessRefusal`] with the reason.
    pub async fn verify(&self, request: AccessRequest<'_>) -> Result<AccessToken, AccessRefusal> {
        self.core.verify(&request, &self.rules).await
    }

    /// The rules.
    pub fn rules(&self) -> &AccessRules {
        &self.rules
    }

    /// The service with the metadata of the resource server. `None` if the layer has no
    /// [`metadata`](super::ResourceServerBuilder::metadata).
    pub fn metadata_route(&self) -> Option<MetadataRoute> {
        self.metadata.clone()
    }

    /// Reports the state of the keys of all issuers, for a health endpoint, as
    /// [`TokenExchangeLayer::readiness`](crate::TokenExchangeLayer::readiness) does.
    pub fn readiness(&self) -> Readiness {
        self.core.verifier.keys.readiness()
    }

    /// Fetches the missing keys of all issuers, and waits for them for up to 5 s.
    pub async fn load_keys(&self) -> Readiness {
        self.core.verifier.keys.load().await
    }

    /// Waits until the audit sink has received every event. Call this method after the server has stopped.
    pub async fn flush_audit(&self) {
        self.core.audit.flush().await;
    }
}

impl<S> Layer<S> for ResourceServerLayer {
    type Service = ResourceServer<S>;

    fn layer(&self, inner: S) -> ResourceServer<S> {
        let Self { core, rules, allows_anonymous, .. } = self.clone();
        ResourceServer::new(inner, ServiceState { core, rules, allows_anonymous })
    }
}

impl fmt::Debug for ResourceServerLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceServerLayer").finish_non_exhaustive()
    }
}
