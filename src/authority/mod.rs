//! The bounds of an exchange: the parties, the actor chain, and the ceiling for the policy.
//!
//! [`Parameters`] resolves the request against the records. [`Bounds`] holds the limits of the request.
//! [`EffectiveGrant`] holds the grant of the policy after the check against these limits.

mod actor;
mod binding;
mod bounds;
mod ceiling;
mod chain;
mod facts;
mod grant;
mod login;
mod names;
mod parameters;
mod parties;
mod presenter;
mod semantics;

pub(crate) use actor::Actor;
pub(crate) use bounds::Bounds;
pub(crate) use ceiling::{Ceiling, CeilingStep, LimitSource};
pub(crate) use chain::ActChain;
pub(crate) use facts::Facts;
pub(crate) use grant::EffectiveGrant;
pub(crate) use login::Login;
pub(crate) use parameters::Parameters;
pub(crate) use parties::Parties;
pub(crate) use semantics::PossibleSemantics;
