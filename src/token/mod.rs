//! Is this token good: said by whom it names, in time, of the kind that was declared, and meant for us.

#[cfg(feature = "introspection-cache")]
mod cache;
mod introspection;
mod jwt;
mod plugged;
mod rules;
mod verified;
mod verifier;

pub use crate::{
    jose::{Claims, ClaimsError},
    protocol::{NumericDate, ScopeTokens, TokenId},
};
pub use plugged::{TokenRole, TokenToVerify, TokenVerifier, Verification};

pub(crate) use introspection::Introspector;
pub(crate) use plugged::TokenVerifierPart;
pub(crate) use verified::{VerifiedToken, is_name};
pub(crate) use verifier::Verifier;
