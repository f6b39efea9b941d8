//! OAuth 2.0 Token Exchange ([RFC 8693]) as tower middleware.
//!
//! A service that receives a user's token often has to call another service. The service should not forward the token:
//! the token was issued for the first service, and whoever holds the token can use all rights of the token. Instead,
//! the first service asks the authorization server to exchange the token for a new one. The new token is valid at the
//! second service only, still names the user, and names the first service as the actor.
//!
//! [`TokenExchangeLayer`] adds token exchange to a token endpoint. The layer answers requests whose `grant_type` is
//! token exchange. Every other request reaches the wrapped service unchanged.
//!
//! # Example
//!
//! ```
//! use axum::{Router, routing::post};
//! use tower_token_exchange::{
//!     Client, Target, TokenExchangeLayer,
//!     policy::{Rule, Subjects},
//!     signing::{Algorithm, LocalSigner},
//! };
//!
//! async fn other_grants() {}
//!
//! let exchange = TokenExchangeLayer::builder("https://as.example")
//!     .endpoint("/token")
//!     .clients([Client::new("orders").secret("6c1f7a0f5d9b4e2a8f3c")])
//!     .targets([
//!         Target::new("orders").audience_claim("https://orders.example").served_by("orders").scopes(["read"]),
//!         Target::new("billing").audience_claim("https://billing.example").allow_clients(["orders"]).scopes(["read"]),
//!     ])
//!     .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["read"])])
//!     .signer(LocalSigner::generate(Algorithm::ES256)?)
//!     .build()?;
//! let app: Router = Router::new().route("/token", post(other_grants)).layer(exchange);
//! # let _ = app;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The client `orders` sends a token that this authorization server issued for `https://orders.example`:
//!
//! ```text
//! POST /token HTTP/1.1
//! Authorization: Basic …
//! Content-Type: application/x-www-form-urlencoded
//!
//! grant_type=urn:ietf:params:oauth:grant-type:token-exchange
//! &subject_token=…&subject_token_type=urn:ietf:params:oauth:token-type:access_token
//! &audience=billing
//! ```
//!
//! The answer contains a token for `https://billing.example` with the same `sub` and with `act` `{"sub": "orders"}`.
//!
//! # Records and rules
//!
//! Three kinds of records set the limits: a [`Client`] (who may ask), a [`Target`] (which service a token can be for,
//! and which clients may ask for such a token) and an [`Issuer`] (whose tokens are accepted, see [`manual::issuers`]).
//! [`manual::names`] says which names the subjects of these issuers have, and which rules match them.
//! [`manual::clients`] says how clients authenticate: with a secret, a key, a certificate, or the token of a workload.
//! From the records and the tokens, the layer computes a *ceiling*: the largest scope and the longest lifetime that the
//! issued token can have.
//!
//! A [`Policy`](policy::Policy) chooses within the ceiling. The policy is a table of [rules](policy::Rule) or a service
//! that answers a [`Query`](policy::Query) with a [`Decision`](policy::Decision). Without a rule that allows an
//! exchange, the exchange is refused. A policy that grants more than the ceiling is a defect: the layer refuses the
//! exchange, and the audit event is marked as an alarm.
//!
//! A decision has one of two [`Semantics`](policy::Semantics). *Delegation* is the default: the issued token names the
//! current actor and all earlier actors in `act`. *Impersonation* issues a token without `act`, and needs a permission of
//! its own.
//!
//! # Plugs
//!
//! A *plug* is a replaceable part: a [`tower::Service`] that answers a question. An async closure in
//! [`tower::service_fn`] fits. A [`tower::ServiceBuilder`] stack fits too. Each trait alias in this table stands for
//! the trait bounds of a plug. You implement no trait.
//!
//! | alias | question → answer | builder method |
//! |---|---|---|
//! | [`policy::Policy`] | [`Query`](policy::Query) → [`Decision`](policy::Decision) | [`policy`](TokenExchangeBuilder::policy), [`rules`](TokenExchangeBuilder::rules) |
//! | [`signing::SigningService`] | [`SigningRequest`](signing::SigningRequest) → [`Signature`](signing::Signature) | [`signer`](TokenExchangeBuilder::signer) |
//! | [`audit::AuditSink`] | [`AuditEvent`](audit::AuditEvent) → `()` | [`audit`](TokenExchangeBuilder::audit) |
//! | [`token::TokenVerifier`] | [`TokenToVerify`](token::TokenToVerify) → [`Verification`](token::Verification) | [`token_verifier`](TokenExchangeBuilder::token_verifier) |
//! | [`status::StatusCheck`] | [`StatusQuery`](status::StatusQuery) → [`Status`](status::Status) | [`status`](TokenExchangeBuilder::status) |
//! | [`revocation::RevocationStore`] | [`RevocationQuestion`](revocation::RevocationQuestion) → [`RevocationState`](revocation::RevocationState) | [`revocations`](TokenExchangeBuilder::revocations) |
//! | [`replay::ReplayStore`] | [`UseOnce`](replay::UseOnce) → [`Used`](replay::Used) | [`replay_store`](TokenExchangeBuilder::replay_store) |
//! | [`client_auth::ClientAuthenticator`] | [`Credentials`](client_auth::Credentials) → [`Authentication`](client_auth::Authentication) | [`client_authenticator`](TokenExchangeBuilder::client_authenticator) |
//! | [`plug::Plug`] | [`http::Request`] → [`http::Response`] | [`http`](TokenExchangeBuilder::http) |
//!
//! # Issued tokens
//!
//! [`introspection_endpoint`](TokenExchangeBuilder::introspection_endpoint) lets clients ask whether a token that this
//! layer issued is active (RFC 7662). [`revocation_endpoint`](TokenExchangeBuilder::revocation_endpoint) lets the
//! client that such a token was issued to revoke the token (RFC 7009). Requests about all other tokens reach the
//! wrapped service. The target services verify issued tokens with [`PublishedKeys`](signing::PublishedKeys).
//! [`metadata`] adds the keys and the grant to documents that another server publishes.
//!
//! # The calling side
//!
//! The module [`caller`] (feature `client`) is for a service that needs a token for the next service. The `ExchangeClient` sends
//! the requests that this layer answers, to this layer or to any other authorization server with token exchange.
//!
//! # Limits
//!
//! The layer limits wrong client credentials, and can limit how much one peer, one client or one subject may do
//! ([`limits`]). A request that exceeds a budget is answered with 429.
//!
//! # Refusals
//!
//! The client receives an OAuth error with a fixed text. The exact [`Reason`] is in the audit event, in the metrics and
//! in the extensions of the response. [`manual::reasons`] lists every reason with its meaning and the remedy. By
//! default, audit events are [`tracing`] events with the target `token_exchange::audit`
//! ([`TracingSink`](audit::TracingSink)). [`JsonLinesSink`](audit::JsonLinesSink) writes the events to a file. An
//! [`ErrorProfile`](error::ErrorProfile) answers with the error codes of another server that the layer replaces.
//!
//! # Metrics
//!
//! With the feature `metrics`, the layer records through the facade of the crate
//! [`metrics`](https://docs.rs/metrics/0.24). If you install the recorder before you build the layer, the recorder also
//! receives the descriptions of the metrics.
//!
//! | metric | kind | labels |
//! |---|---|---|
//! | `token_exchange_attempts_total` | counter | `outcome`, `reason`, `semantics` |
//! | `token_exchange_duration_seconds` | histogram | `outcome` |
//! | `token_exchange_stage_duration_seconds` | histogram | `stage` |
//! | `token_exchange_issued_token_requests_total` | counter | `operation`, `outcome`, `reason` |
//! | `token_exchange_access_total` | counter | `outcome`, `reason` |
//! | `token_exchange_audit_suppressed_total` | counter | `operation` |
//! | `token_exchange_replay_total` | counter | `kind`, `result` |
//! | `token_exchange_replay_duration_seconds` | histogram | `kind` |
//! | `token_exchange_cache_total` | counter | `cache`, `result` |
//!
//! [`Readiness::record_metrics`](jwks::Readiness::record_metrics) adds gauges for the keys of issuers.
//!
//! * `operation` is an [`Operation`](audit::Operation). The attempts are exchanges; introspections and revocations of issued
//!   tokens are counted apart. An attempt that is counted as suppressed is also counted as an attempt.
//! * `outcome` is an [`Outcome`](audit::Outcome).
//! * `reason` is the code of a [`Reason`], or `none`.
//! * `semantics` is one of the [`Semantics`](policy::Semantics), or `none` if the policy made no decision.
//! * `stage` is a [`Stage`](audit::Stage). Every stage that an attempt entered is recorded once, when the attempt leaves
//!   the stage or ends. The stage `answer` is the wait for the audit sink. `token_exchange_duration_seconds` does not
//!   include that wait.
//! * `kind` is a [`UseKind`](replay::UseKind). The `result` of the replay store is the name of a [`Used`](replay::Used), or
//!   `error`.
//! * `cache` is `signature` ([`manual::signatures`]), `introspection` (feature `introspection-cache`) or `client` (feature
//!   `server-authenticator`) or `exchanged_token` (feature `client`). Its `result` is `hit` or `miss`.
//!
//! No label holds a text that a client sent.
//!
//! # Mounting the layer
//!
//! The layer fits around one route, a router or a whole server, in axum, tonic and hyper. [`manual::composition`] lists
//! the middleware and the bodies that work with the layer. [`manual::smuggling`] lists how requests may try to avoid
//! the layer, and what happens to such requests. The layer needs a tokio runtime with time enabled.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `axum` | yes | axum's `Body` is a [`RequestBody`](body::RequestBody) |
//! | `fetch` | yes | [`fetch::HttpFetch`], the HTTP client for key sets, metadata and introspection |
//! | `tonic` | | tonic's `Body` is a [`RequestBody`](body::RequestBody) |
//! | `resource-server` | | `resource`: the check of access tokens in a service that receives them |
//! | `introspection-cache` | | introspection answers can be cached for a short time |
//! | `client` | | [`caller`]: services ask for exchanged tokens, and keep the tokens |
//! | `aws-lc-rs` | | [`signing::Cryptography::AwsLcRs`]: signatures by `aws-lc-rs`, where a value chooses it |
//! | `schema` | | the records and rules of a document have a JSON Schema (`schemars`) |
//! | `server-authenticator` | | [`client_auth::ServerAuthenticator`]: another authorization server authenticates the clients |
//! | `argon2` | | clients can have secrets that a person chose ([`Client::secret_argon2`]) |
//! | `client-certificates` | | clients can authenticate with a certificate ([`Client::tls_client_auth`]) |
//! | `revocation-file` | | [`revocation::FileRevocations`]: revocations in a file |
//! | `replay-file` | | [`replay::FileReplayStore`]: what was used once, in a file |
//! | `redis` | | [`replay::RedisReplayStore`]: what was used once, in Redis |
//! | `toml` | | [`records::TomlFile`]: mistakes in a TOML file are reported with their line |
//! | `metrics` | | counters and histograms |
//!
//! [RFC 8693]: https://www.rfc-editor.org/rfc/rfc8693

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod ancestry;
pub mod audit;
mod authority;
pub mod body;
#[cfg(feature = "client")]
pub mod caller;
pub mod client_auth;
mod clock;
pub mod error;
mod exchange;
pub mod explain;
pub mod fetch;
#[cfg(any(feature = "client", feature = "server-authenticator"))]
mod flights;
#[doc(hidden)]
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod graph;
mod issued;
mod jose;
pub mod jwks;
mod layer;
pub mod limits;
mod locks;
pub mod manual;
pub mod metadata;
mod metrics;
pub mod plug;
pub mod policy;
pub mod proof;
mod protocol;
mod random;
pub mod records;
pub mod replay;
#[cfg(feature = "resource-server")]
pub mod resource;
pub mod revocation;
pub mod service;
mod settings;
pub mod signing;
pub mod status;
pub mod token;

pub use error::{ConfigError, Reason};
pub use layer::{Document, PreparedReload, RevokeError, Revoker, TokenExchangeBuilder, TokenExchangeLayer};
pub use protocol::{GRANT_TYPE, Scope, TokenType};
pub use records::{Client, Issuer, Target};
pub use service::TokenExchange;
