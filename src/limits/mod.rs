//! Limits, so that no peer, no client and no subject takes the service away from the others.
//!
//! [`Limits`] are the budgets of a layer ([`TokenExchangeBuilder::limits`](crate::TokenExchangeBuilder::limits)). The
//! other types are for limits of your own: a [`Limiter`] gives each key a budget of attempts of the size of a [`Rate`]. A [`Peer`] is the key of everybody behind one
//! network address.

mod budgets;
mod guesses;
mod keyed;
mod limiter;
mod peer;
mod rate;
mod recent;
mod service;
mod settings;
mod table;

pub use limiter::Limiter;
pub use peer::Peer;
pub use rate::{Rate, RateError};
pub use service::{PeerLimit, PeerLimitFuture, PeerLimitLayer};
pub use settings::Limits;

pub(crate) use budgets::Budgets;

use std::time::Duration;

/// A budget that is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the budget is spent; try again in {} s", retry_after.as_secs_f64().ceil())]
#[non_exhaustive]
pub struct Exceeded {
    /// The time until the budget has one attempt again.
    pub retry_after: Duration,
}
