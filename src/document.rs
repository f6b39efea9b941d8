//! Everything that is configured by records, in one document.

use crate::{
    policy::Rule,
    registry::{Client, Issuer, Target},
};
use serde::Deserialize;

/// Clients, targets, issuers and rules, as one document says them: in TOML, JSON or whatever else serde reads.
///
/// Fields are called as the builders' methods are, and an unknown one is an error. Durations are texts such as `30s` or
/// `5m`. Mistakes that only show between records are told by the layer, with their
/// [`place`](crate::ConfigError::place).
///
/// ```
/// use tower_token_exchange::{Algorithm, Document, LocalSigner, TokenExchangeLayer};
///
/// let document: Document = toml::from_str(r#"
///     [[client]]
///     id = "orders"
///     secret_sha256 = "6ca13d52ca70c883e0f0bb101e425a89e8624de51db2d2392593af6a84118090"
///     targets = ["billing"]             # where it means to go
///
///     [[target]]
///     id = "billing"
///     aud = "https://billing.example"
///     callers = ["orders"]              # who may come
///     scopes = ["invoices:read"]
///     translate = { "orders:read" = ["invoices:read"] }
///
///     [[issuer]]
///     preset = { keycloak = { base = "https://login.example", realm = "staff" } }
///     client_names = { "orders-frontend" = "orders" }
///
///     [[rule]]
///     clients = "orders"
///     subjects = { issuer = "https://login.example/realms/staff", groups = ["sales"] }
///     targets = "billing"
///     scopes = ["invoices:read"]
///     max_lifetime = "1m"
/// "#)?;
/// let layer = TokenExchangeLayer::builder("https://as.example")
///     .document(document)
///     .signer(LocalSigner::generate(Algorithm::ES256)?)
///     .build()?;
/// # let _ = layer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Document {
    /// The clients.
    #[serde(default, rename = "client")]
    pub clients: Vec<Client>,
    /// The targets.
    #[serde(default, rename = "target")]
    pub targets: Vec<Target>,
    /// The issuers of subject and actor tokens, beside this authorization server's own.
    #[serde(default, rename = "issuer")]
    pub issuers: Vec<Issuer>,
    /// The rules, in order; `None` where the layer has a policy of its own.
    #[serde(rename = "rule")]
    pub rules: Option<Vec<Rule>>,
    /// See [`TokenExchangeBuilder::federated_subjects_only`](crate::TokenExchangeBuilder::federated_subjects_only).
    #[serde(default)]
    pub federated_subjects_only: bool,
}
