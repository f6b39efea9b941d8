//! The calling side: a service that needs a token for the next service (feature `client`).
//!
//! An [`ExchangeClient`] exchanges a token at the token endpoint of an authorization server (RFC 8693), and keeps the new token
//! until the token expires:
//!
//! ```no_run
//! use tower_token_exchange::caller::{ClientAuthentication, ExchangeClient};
//!
//! # async fn call(user_token: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let credentials = ClientAuthentication::secret_basic("orders", "6c1f7a0f5d9b4e2a8f3c");
//! let client = ExchangeClient::builder("https://as.example/token", credentials).build()?;
//!
//! let token = client.exchange(user_token).target("billing").scope("read").await?;
//! # let _ = token;
//! # Ok(()) }
//! ```
//!
//! # Kept tokens
//!
//! A kept token is found by a hash over every input that carries authority: the token endpoint, the client, the DPoP key, the
//! subject token, the actor token, the targets, the scope and the requested type. Two requests that differ in any of these never
//! get the same token. Equal requests at the same time are one exchange. An exchange that began is finished even if its caller is
//! gone, and its token is kept. Nothing is kept after an error.
//!
//! # Outgoing requests
//!
//! [`OutgoingExchangeLayer`] gives each request of an HTTP client a token for its destination. The page
//! [`client`](crate::manual::client) describes the layer, and everything else on the calling side.
//!
//! # Repeated requests
//!
//! | what happened | repeated |
//! |---|---|
//! | no connection | yes, after a random wait |
//! | 429 or 503 | yes, after `Retry-After` or a random wait |
//! | 400 with `use_dpop_nonce` and a nonce | once, with the nonce |
//! | any other status, a broken connection, a timeout | no: the server may have used up the subject token |

mod actor;
mod answer;
mod authentication;
mod builder;
mod cache;
mod client;
mod dpop;
mod endpoint;
mod error;
mod exchanged;
mod form;
mod jwt;
mod key;
mod outgoing;
mod retry;
mod timed;
mod tokens;

pub use actor::{ActorSource, ActorTokenRequest, ActorTokenService};
pub use authentication::ClientAuthentication;
pub use builder::ExchangeClientBuilder;
pub use client::{ExchangeClient, ExchangeRequest};
pub use error::{ClientConfigError, ExchangeError, Refusal, Unavailable};
pub use exchanged::ExchangedToken;
pub use outgoing::{
    Destination, OutgoingError, OutgoingExchange, OutgoingExchangeLayer, current_subject_token, with_subject_token,
};
pub use tokens::{ActorToken, SubjectToken};
