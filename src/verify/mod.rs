//! Is this token good: signed by whom it says, in time, of the kind that was declared, and meant for us.

mod jwt;
mod rules;
mod validated;
mod verified;

pub(crate) use jwt::{JwtVerifier, is_name};
pub(crate) use validated::Validated;
pub(crate) use verified::VerifiedToken;

/// What a token is handed in as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Subject,
    Actor,
}
