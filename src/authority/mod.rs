//! What may be granted at most, by the records alone; whether all who take part are still good; what the policy is asked;
//! and the clamp on its answer.

mod acting;
mod bounded;
mod ceiling;
mod chain;
mod decided;
mod login;
mod presenter;
mod within;

pub(crate) use bounded::{Authority, Bounded};
pub(crate) use ceiling::{By, Ceiling, Lowered};
pub(crate) use chain::ActChain;
pub(crate) use decided::Decided;
pub(crate) use login::Login;
