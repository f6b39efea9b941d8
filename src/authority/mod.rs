//! What may be granted at most, by the records alone; whether all who take part are still good; what the policy is asked;
//! and the clamp on its answer.

mod acting;
mod bounded;
mod ceiling;
mod chain;
mod decided;
mod decision;
mod denial;
mod login;
mod presenter;
mod query;
mod shadow;
mod status;
mod within;

pub use decision::{Decision, Grant, Semantics};
pub use denial::Denial;
pub use query::{QueriedActor, QueriedSubject, Query};
pub use shadow::ShadowOutcome;
pub use status::{Status, StatusCheck, StatusQuery, TokenReference};

pub(crate) use bounded::{Authority, Bounded};
pub(crate) use ceiling::{By, Ceiling, Lowered};
pub(crate) use chain::ActChain;
pub(crate) use decided::{Decided, PolicyPart};
pub(crate) use login::Login;
pub(crate) use status::{Standing, StandingChecks, StatusPart};

/// What a policy is: it answers a [`Query`] with a [`Decision`].
///
/// ```
/// use tower_token_exchange::{Decision, Policy, Query};
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
pub trait Policy: crate::part::Plug<Query, Decision> {}

impl<S: crate::part::Plug<Query, Decision>> Policy for S {}
