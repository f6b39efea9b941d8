//! The policies that ship: a [table](Table) of rules, and those that put others together ([`all`], [`any_deny`]). Any
//! other policy is a [`tower::Service`] of your own.

mod all;
mod any_deny;
mod decision;
mod denial;
mod query;
mod shadow;
mod table;

use crate::plug::{BoxPlug, Plug};

pub use all::{All, BoxPolicy, all, boxed};
pub use any_deny::{AnyDeny, any_deny};
pub use decision::{Decision, Grant, Semantics};
pub use denial::Denial;
pub use query::{QueriedActor, QueriedSubject, Query};
pub use shadow::ShadowOutcome;
pub use table::{Actors, Effect, Mismatch, Names, Rule, RuleTrace, Subjects, Table};

pub(crate) use denial::DenialKind;
pub(crate) use table::check_rules;

pub(crate) type PolicyPart = BoxPlug<Query, Decision>;

/// What a policy is: it answers a [`Query`] with a [`Decision`].
///
/// ```
/// use tower_token_exchange::policy::{Decision, Policy, Query};
///
/// fn assert_policy<P: Policy>(_: &P) {}
///
/// let office_hours = tower::service_fn(|query: Query| async move {
///     Ok::<_, std::io::Error>(match query.client_id.as_str() {
///         "orders" => Decision::delegate(),
///         _ => Decision::deny("only orders may exchange tokens"),
///     })
/// });
/// assert_policy(&office_hours);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a policy",
    label = "not a `tower::Service<Query, Response = Decision>`",
    note = "wrap an async closure: `tower::service_fn(|query: Query| async move {{ Ok::<_, BoxError>(answer) }})`",
    note = "the service must be `Clone + Send + Sync + 'static`, its future `Send`, its error `Into<tower::BoxError>`"
)]
pub trait Policy: Plug<Query, Decision> {}

impl<S: Plug<Query, Decision>> Policy for S {}
