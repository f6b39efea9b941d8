//! The audit: every attempt to exchange a token, and to introspect or revoke an issued token.
//!
//! Every attempt is in exactly one [`AuditEvent`], also if the attempt is refused, fails, or ends because the client
//! closed the connection. The event names the client, the address of the client, the subject, the actor, the decision and the
//! issued token. If the request was refused, the event has the [`Reason`](crate::Reason). A request that the layer passes to
//! the wrapped service leaves no event.
//!
//! The address comes from the [`ClientAddress`](crate::client_auth::ClientAddress) in the extensions of the request, which
//! an outer layer sets.
//!
//! # One line of JSON for each event
//!
//! [`JsonLinesSink`] writes to a file, to the standard output, or to another writer.
//!
//! ```
//! use tower_token_exchange::{
//!     Client, Target, TokenExchangeLayer,
//!     audit::JsonLinesSink,
//!     policy::{Rule, Subjects},
//!     signing::{Algorithm, LocalSigner},
//! };
//!
//! let layer = TokenExchangeLayer::builder("https://as.example")
//!     .clients([Client::new("orders").secret("6c1f7a0f5d9b4e2a8f3c")])
//!     .targets([Target::new("billing").allow_clients(["orders"]).scopes(["read"])])
//!     .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["read"])])
//!     .signer(LocalSigner::generate(Algorithm::ES256)?)
//!     .audit(JsonLinesSink::stdout())
//!     .build()?;
//! # let _ = layer;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A sink of your own
//!
//! A sink is any [`tower::Service`] from an [`AuditEvent`] to `()`: an async closure, or a stack around a client of a
//! remote service. [`AuditEvent::example`] returns an event for the unit tests of a sink.
//!
//! ```
//! use std::convert::Infallible;
//! use tokio::sync::mpsc;
//! use tower::{Service, ServiceExt, service_fn};
//! use tower_token_exchange::audit::{AuditEvent, Outcome};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (sender, mut events) = mpsc::unbounded_channel();
//! let mut sink = service_fn(move |event: AuditEvent| {
//!     let sent = sender.send((event.event_id, event.outcome));
//!     async move { sent }
//! });
//!
//! sink.ready().await?.call(AuditEvent::example()).await?;
//! assert_eq!(events.recv().await, Some(("event-1".to_owned(), Outcome::Issued)));
//! # Ok(())
//! # }
//! ```
//!
//! # Tokens and secrets
//!
//! No event has a token or a secret, also if a client sends a secret in the wrong place. A text that the client chose is in
//! clear only if a record has exactly this text. Of every other text, the event has the length and a hash with a random key of
//! the process: see [`AuditEvent`].
//!
//! # If the sink fails
//!
//! A token is released, and a revocation is confirmed, only after the sink has taken the event. If the sink returns an error,
//! or has not answered after five seconds, then the client receives `temporarily_unavailable` instead, and the layer logs the
//! event in the way of [`TracingSink`]. A token may be revoked although its revocation was not confirmed. The answers to
//! refused requests and to introspections do not depend on the sink.
//!
//! # Floods
//!
//! Requests that are refused cannot fill the disk: beyond an [`AuditBudget`], attempts are counted exactly, and one event
//! per second stands for all attempts of one kind. [`AuditEvent::count`] is their number. Requests that are refused do
//! not delay the events of issued and revoked tokens either: each of the two has its own places on the way to the sink, and
//! [`JsonLinesSink`] writes issued and revoked tokens first.
//!
//! A process that is killed can lose the numbers of the last second. Before the end,
//! [`flush_audit`](crate::TokenExchangeLayer::flush_audit) writes them.
//!
//! # Requests and traces
//!
//! The sink runs in the tracing span of the request. The event also carries the request id and the trace id from the
//! headers of the request: [`AuditEvent::request_id`], [`AuditEvent::trace_id`].

mod attempt;
mod budget;
mod delivery;
mod event;
mod example;
mod facts;
mod json_lines;
mod operation;
mod outcome;
mod request_ids;
mod sampler;
mod sink;
mod texts;
mod to_the_end;

pub use budget::AuditBudget;
pub use event::{AuditEvent, Granted, IssuedTokenFacts, Requested, TokenFacts};
pub use json_lines::JsonLinesSink;
pub use operation::Operation;
pub use outcome::{Outcome, Stage};
pub use sink::TracingSink;

pub(crate) use attempt::{Attempt, Audit};
#[cfg(feature = "resource-server")]
pub(crate) use facts::AccessFacts;

/// An audit sink: a [`tower::Service`] from an [`AuditEvent`] to `()`.
///
/// The layer releases a token only after the sink has answered: see [the module](self). [`TracingSink`] is the default.
/// [`JsonLinesSink`] writes lines of JSON. Every service with these types is a sink.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an audit sink",
    label = "not a `tower::Service<AuditEvent, Response = ()>`",
    note = "wrap an async closure: `tower::service_fn(|event: AuditEvent| async move {{ Ok::<_, BoxError>(answer) }})`",
    note = "the service must be `Clone + Send + Sync + 'static`, its future `Send`, its error `Into<tower::BoxError>`"
)]
pub trait AuditSink: crate::plug::Plug<AuditEvent, ()> {}

impl<S: crate::plug::Plug<AuditEvent, ()>> AuditSink for S {}
