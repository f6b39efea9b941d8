//! The policy: which client may exchange which token for which target.
//!
//! For every exchange, the layer computes the *ceiling*: the largest scope and the longest lifetime that the records
//! and the tokens allow. Then the layer asks the policy. The policy allows the exchange, up to the ceiling, or refuses
//! the exchange.
//!
//! Most layers use a [`Table`] of rules. [`TokenExchangeBuilder::rules`](crate::TokenExchangeBuilder::rules) and
//! [`Document`](crate::Document) build such a table and compare the rules with the records. A table can also be used alone:
//!
//! ```
//! use tower_token_exchange::{
//!     policy::{Decision, Names, Query, Rule, Subjects, Table},
//!     records::Party,
//! };
//!
//! let table = Table::new([
//!     // The client `orders` may act for any user at the target `billing`, with the scope `invoices:read`.
//!     Rule::allow("orders", Subjects::any(), "billing").scopes(["invoices:read"]),
//!     // No client may act for an intern, at any target.
//!     Rule::deny(Names::any(), Subjects::any().in_group("interns"), Names::any()).id("no interns"),
//! ])?;
//!
//! let mut query = Query::new("orders", Party::new("https://as.example", "alice"), "billing");
//! assert!(matches!(table.decide(&query), Decision::Allow(_)));
//!
//! query.subject.claims.insert("groups", "interns");
//! assert_eq!(table.decide(&query), Decision::deny("no interns"));
//! # Ok::<(), tower_token_exchange::ConfigError>(())
//! ```
//!
//! # A policy in code
//!
//! A [`Policy`] is a [`tower::Service`] that answers a [`Query`] with a [`Decision`]. An async closure is enough:
//!
//! ```
//! use tower::{ServiceExt, service_fn};
//! use tower_token_exchange::{
//!     policy::{Decision, Denial, Grant, Query, Semantics},
//!     records::Party,
//! };
//!
//! async fn decide(query: Query) -> Result<Decision, std::io::Error> {
//!     Ok(match (query.client_id.as_str(), query.subject.acr.as_deref()) {
//!         ("orders", Some("phr")) => Grant::new(Semantics::Delegation).policy_id("strong login").into(),
//!         ("orders", _) => Denial::step_up(["phr"], None).into(),
//!         _ => Denial::new("only `orders` may exchange tokens").into(),
//!     })
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = service_fn(decide);
//! let query = Query::new("web", Party::new("https://as.example", "alice"), "billing");
//! assert_eq!(policy.oneshot(query).await?, Decision::deny("only `orders` may exchange tokens"));
//! # Ok(())
//! # }
//! ```
//!
//! [`TokenExchangeBuilder::policy`](crate::TokenExchangeBuilder::policy) takes such a policy. If the policy returns an
//! `Err`, the layer answers 503 and issues no token.
//!
//! # A remote decision point
//!
//! A [`tower::ServiceBuilder`] stack around an HTTP client is a policy too. Give the stack a timeout, and a limit on the
//! number of open questions:
//!
//! ```
//! use std::time::Duration;
//! use tower::{BoxError, ServiceBuilder};
//! use tower_token_exchange::policy::{Decision, Policy, Query};
//!
//! fn remote_policy() -> impl Policy {
//!     ServiceBuilder::new()
//!         .load_shed()
//!         .concurrency_limit(64)
//!         .timeout(Duration::from_millis(500))
//!         .service_fn(|query: Query| async move { ask_the_decision_point(query).await })
//! }
//!
//! async fn ask_the_decision_point(_: Query) -> Result<Decision, BoxError> {
//!     Ok(Decision::delegate())
//! }
//! # let _ = remote_policy();
//! ```
//!
//! # Several policies
//!
//! [`all`] allows what every policy allows. [`any_deny`] adds *guards* to a policy. A guard is a policy that can only
//! refuse:
//!
//! ```
//! use tower::service_fn;
//! use tower_token_exchange::policy::{Decision, Query, Rule, Subjects, Table, any_deny};
//!
//! let table = Table::new([Rule::allow("orders", Subjects::any(), "billing").scopes(["invoices:read"])])?;
//! let fraud_check = service_fn(|_: Query| async { Ok::<_, std::io::Error>(Decision::delegate()) });
//! let policy = any_deny(table, [fraud_check]);
//! # let _ = policy;
//! # Ok::<(), tower_token_exchange::ConfigError>(())
//! ```

mod combine;
mod decision;
mod denial;
mod query;
mod shadow;
mod table;

use crate::plug::{BoxPlug, Plug};

pub use combine::{Combined, all, any_deny};
pub use decision::{Decision, Grant, Semantics};
pub use denial::Denial;
pub use query::{Actor, Bindings, Query, Subject};
pub use shadow::ShadowOutcome;
pub use table::{Actors, Effect, Mismatch, Names, Rule, RuleTrace, Subjects, Table};

pub(crate) type PolicyPart = BoxPlug<Query, Decision>;

/// A [`tower::Service`] that answers a [`Query`] with a [`Decision`].
///
/// Every service that fits implements this trait.
///
/// ```
/// use tower_token_exchange::policy::{Decision, Policy, Query};
///
/// fn assert_policy<P: Policy>(_: &P) {}
///
/// let only_orders = tower::service_fn(|query: Query| async move {
///     Ok::<_, std::io::Error>(match query.client_id.as_str() {
///         "orders" => Decision::delegate(),
///         _ => Decision::deny("only orders may exchange tokens"),
///     })
/// });
/// assert_policy(&only_orders);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a policy",
    label = "not a `tower::Service<Query, Response = Decision>`",
    note = "wrap an async closure: `tower::service_fn(|query: Query| async move {{ Ok::<_, BoxError>(decision) }})`",
    note = "the service must be `Clone + Send + Sync + 'static`, its future `Send`, its error `Into<tower::BoxError>`"
)]
pub trait Policy: Plug<Query, Decision> {}

impl<S: Plug<Query, Decision>> Policy for S {}
