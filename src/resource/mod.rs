//! For services that receive access tokens: the check of the token, and rules of who may act for whom.
//!
//! A *resource server* is a service that requires an access token (RFC 6749 section 1.1). [`ResourceServerLayer`] wraps such a
//! service. The layer verifies the token of each request and decides by [`AccessRule`]s. The wrapped service finds the verified
//! [`AccessToken`] in the extensions of the request. A request that is not acceptable gets a challenge (RFC 6750 section 3), and
//! leaves one audit event. The page [`resource_server`](crate::manual::resource_server) explains the settings.
//!
//! ```
//! use axum::{Router, routing::get};
//! use tower_token_exchange::{
//!     Issuer,
//!     resource::{AccessRule, AccessToken, PartySet, ResourceServerLayer},
//! };
//!
//! async fn invoices(token: AccessToken) -> String {
//!     match token.actor() {
//!         Some(actor) => format!("{} reads the invoices of {}", actor.sub, token.subject().sub),
//!         None => format!("{} reads the own invoices", token.subject().sub),
//!     }
//! }
//!
//! let resource = ResourceServerLayer::builder("https://billing.example")
//!     .issuers([Issuer::new("https://as.example").jwks_uri("https://as.example/jwks.json")])
//!     .rules([
//!         AccessRule::without_actor().scopes(["invoices:read"]),
//!         AccessRule::with_actor(PartySet::of("https://as.example", ["orders"])).for_users().scopes(["invoices:read"]),
//!     ])
//!     .build()?;
//! let app: Router = Router::new().route("/invoices", get(invoices)).layer(resource);
//! # let _ = app;
//! # Ok::<(), tower_token_exchange::ConfigError>(())
//! ```
//!
//! # What is checked
//!
//! | step | what is refused |
//! |---|---|
//! | request | no token, two `Authorization` headers, a token in the query |
//! | token | everything that the record of the [`Issuer`](crate::Issuer) does not accept: signature, `typ`, `iss`, `aud`, `exp`, `nbf` |
//! | actors | an `act` that is malformed, or has too many actors |
//! | possession | a bound token without the key or the certificate that the token names |
//! | rules | a token that no [`AccessRule`] allows |
//!
//! Only the current actor decides. The earlier actors are information (RFC 8693 section 4.1), unless a rule names them with
//! [`AccessRule::earlier_actors`] or [`AccessRule::max_actors`].

mod access_token;
mod answer;
mod builder;
mod challenge;
mod extractor;
mod layer;
mod metadata;
mod party_set;
mod refusal;
mod request;
mod rule;
mod rules;
mod serde;
mod server;
mod service;

pub use access_token::AccessToken;
pub use builder::ResourceServerBuilder;
#[cfg(feature = "tonic")]
pub use extractor::access_token;
pub use layer::ResourceServerLayer;
pub use metadata::{MetadataRoute, ResourceMetadata};
pub use party_set::PartySet;
pub use refusal::AccessRefusal;
pub use request::AccessRequest;
pub use rule::AccessRule;
pub use rules::AccessRules;
pub use service::ResourceServer;
