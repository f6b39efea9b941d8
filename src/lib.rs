//! OAuth 2.0 Token Exchange (RFC 8693) as tower middleware.
//!
//! A service that was called with a user's token, and now must call the next service, should not pass that token on:
//! it was not issued for there. It asks the authorization server for another one instead, good at the next service
//! only, that still names the user and says who acts for them. That question is a token request with a grant type of
//! its own. This crate answers it, in front of whatever answers the other grant types now.
//!
//! # Mounting the layer
//!
//! ```
//! use axum::{Router, routing::post};
//! use tower_token_exchange::{
//!     Client, Target, TokenExchangeLayer,
//!     policy::{Rule, Subjects},
//!     signing::{Algorithm, LocalSigner},
//! };
//!
//! async fn the_old_token_endpoint() {}
//!
//! let exchange = TokenExchangeLayer::builder("https://as.example")
//!     .endpoint("/token")
//!     .clients([Client::new("orders").secret("6c1f7a0f5d9b4e2a8f3c")])
//!     .targets([
//!         Target::new("orders").aud("https://orders.example").owner("orders").scopes(["read"]),
//!         Target::new("billing").aud("https://billing.example").callers(["orders"]).scopes(["read"]),
//!     ])
//!     .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["read"])])
//!     .signer(LocalSigner::generate(Algorithm::ES256)?)
//!     .build()?;
//! let app: Router = Router::new().route("/token", post(the_old_token_endpoint)).layer(exchange);
//! # let _ = app;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Now `orders` can send the token that it was called with, one with `aud` `https://orders.example` that this
//! authorization server signed, and gets one for `https://billing.example`, with `act` `{"sub": "orders"}`:
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
//! # Who decides what
//!
//! Three kinds of records say what is possible: [`Client`] (who asks), [`Target`] (what can be called, and by whom)
//! and [`Issuer`] (whose tokens are believed, and how far: [`issuers`]). From these and the tokens the layer computes a ceiling.
//! A [`Policy`] then chooses within it: a table of [rules](policy::Rule), or any service of yours that answers a
//! [`Query`] with a [`Decision`]. A policy can narrow; one that grants more than the ceiling is taken for broken.
//!
//! A decision is for one of two [`Semantics`]. *Delegation*, the default: the issued token names the actor in `act`,
//! and those who acted before it. *Impersonation*: it does not, and that takes a permission of its own.
//!
//! # What can be plugged in
//!
//! Each part is a [`tower::Service`]; its name here is a trait alias with the bounds, so there is nothing to implement.
//!
//! | alias | question → answer | builder |
//! |---|---|---|
//! | [`Policy`] | [`Query`] → [`Decision`] | [`policy`](TokenExchangeBuilder::policy), [`rules`](TokenExchangeBuilder::rules) |
//! | [`SigningService`] | [`SigningRequest`] → [`Signature`] | [`signer`](TokenExchangeBuilder::signer) |
//! | [`AuditSink`] | [`AuditEvent`] → `()` | [`audit`](TokenExchangeBuilder::audit) |
//! | [`TokenVerifier`] | [`TokenToVerify`] → [`Verification`] | [`token_verifier`](TokenExchangeBuilder::token_verifier) |
//! | [`StatusCheck`] | [`StatusQuery`] → [`Status`] | [`status`](TokenExchangeBuilder::status) |
//! | [`RevocationStore`] | [`RevocationQuestion`] → [`RevocationState`] | [`revocations`](TokenExchangeBuilder::revocations) |
//! | [`ClientAuthenticator`] | [`Credentials`] → [`Authentication`] | [`client_authenticator`](TokenExchangeBuilder::client_authenticator) |
//! | [`Plug`] | [`http::Request`] → [`http::Response`] | [`fetch`](TokenExchangeBuilder::fetch) |
//!
//! # After a token was issued
//!
//! [`introspection_endpoint`](TokenExchangeBuilder::introspection_endpoint) tells clients what a token issued here is
//! (RFC 7662), [`revocation_endpoint`](TokenExchangeBuilder::revocation_endpoint) lets its holder revoke it (RFC 7009), and
//! what is revoked is no subject token any more. Questions about all other tokens reach the wrapped service. The keys that
//! verify it are published by the server itself, or added to its key set on the way out: [`endpoint`].
//! The example `gateway`, with [`forward`] for what passes, puts all of it in front of a server that has never heard of this grant.
//!
//! # When it is refused
//!
//! The client reads an OAuth error with a fixed text. You read the [`Reason`] in the audit event, by default a
//! [`tracing`] event with target `token_exchange::audit` ([`TracingSink`]), or a line of JSON in a file
//! ([`JsonLinesSink`]); outer layers find it in the response's extensions. What each
//! of them means, and what to do about it, is listed in [`reasons`]. A layer that takes the place of another server can
//! answer with the errors of that one: [`ErrorProfile`].
//!
//! # What is counted
//!
//! With the feature `metrics`, every attempt is counted once, when its audit event is final, through the facade of the
//! crate [`metrics`](https://docs.rs/metrics/0.24): whatever recorder your service has installed takes it. Install it
//! before the layer is built, and it gets the descriptions too.
//!
//! | metric | kind | labels |
//! |---|---|---|
//! | `token_exchange_attempts_total` | counter | `outcome`, `reason`, `semantics` |
//! | `token_exchange_duration_seconds` | histogram | `outcome` |
//! | `token_exchange_stage_duration_seconds` | histogram | `stage` |
//! | `token_exchange_cache_total` | counter | `cache`, `result` |
//!
//! [`Readiness::record_metrics`] adds how things stand with the keys of issuers, when the metrics are asked for.
//!
//! `outcome` is an [`Outcome`], `reason` the code of a [`Reason`] or `none`, `semantics` one of the [`Semantics`] or
//! `none` where nothing was decided. No label holds anything that a client sent.
//!
//! `stage` is a [`Stage`]. Each that an attempt began is timed once, when it ends: when it was passed, or when the attempt
//! ended in it, which was then refused, out of time or left by its client; that one is the
//! [`stage`](AuditEvent::stage) of the event. `request` begins when the body was read, every other stage with the end of
//! the one before. `answer` is the wait until the audit sink has taken the event of a token that was issued. That wait is
//! in no other stage, not even the last of an attempt that was refused, and not in `token_exchange_duration_seconds`,
//! which is all the others together.
//!
//! `cache` is `introspection` (feature `introspection-cache`) for answers about tokens, `client` (feature
//! `server-authenticator`) for clients that another server accepted; `result` is `hit` or `miss`. A miss is a question
//! that goes on to the server. What is not to be kept is not counted.
//!
//! # Where it can stand
//!
//! Around one route, a router or a whole server, in axum, tonic and hyper. What it composes with is listed in
//! [`composition`], what becomes of requests that try to get around it in [`smuggling`].
//!
//! # Runtime
//!
//! Reading a form and answering an exchange need a tokio runtime with time enabled, which every hyper server has.
//!
//! # Features
//!
//! * `axum` (default): axum's `Body` is a [`RequestBody`](body::RequestBody).
//! * `tonic`: tonic's `Body` is one.
//! * `introspection-cache`: answers of introspection endpoints can be kept for a short time.
//! * `server-authenticator`: clients can be authenticated by another authorization server.
//! * `revocation-file`: revocations can be kept in a file.
//! * `toml`: [`TomlFile`] says on which line of a file of records a mistake is.
//! * `metrics`: attempts, their stages and the use of caches are counted and timed.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod audit;
mod authority;
pub mod body;
pub mod client_auth;
mod clock;
pub mod endpoint;
pub mod error;
mod exchange;
pub mod explain;
pub mod fetch;
pub mod forward;
#[doc(hidden)]
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod issued;
mod jose;
pub mod jwks;
mod layer;
pub mod manual;
#[cfg(any(feature = "metrics", feature = "introspection-cache", feature = "server-authenticator"))]
mod metrics;
pub mod plug;
pub mod policy;
mod protocol;
pub mod records;
pub mod revocation;
pub mod service;
pub mod signing;
pub mod status;
pub mod token;

pub use error::{ConfigError, Reason};
pub use layer::{Document, TokenExchangeBuilder, TokenExchangeLayer};
pub use protocol::{GRANT_TYPE, Scope, TokenType};
pub use records::{Client, Issuer, Target};
pub use service::TokenExchange;
