//! The check of subject tokens and actor tokens.
//!
//! A token is good if its issuer vouches for the token, the token is of the declared type and within its times, the record
//! of the issuer accepts the token, and the token is meant for this authorization server. An issuer vouches for a token
//! with a signature, or in the answer of its introspection endpoint. A [`TokenVerifier`] of your own takes the place of
//! both for one token type.

mod binding;
#[cfg(feature = "introspection-cache")]
mod cache;
mod claimed;
mod introspection;
mod issuer_rules;
mod jwt;
mod kinds;
mod meaning;
mod one_time;
mod origin;
mod plug;
mod verified_claim;
mod verified_token;
mod verifier;

pub use crate::{
    jose::{Claims, ClaimsError},
    protocol::{NumericDate, ScopeTokens, TokenId},
};
pub use binding::Binding;
pub use plug::{TokenRole, TokenToVerify, TokenVerifier, Verification};

pub(crate) use binding::Confirmation;
pub(crate) use introspection::Introspector;
pub(crate) use origin::Origin;
pub(crate) use plug::TokenVerifierPart;
pub(crate) use verified_token::VerifiedToken;
pub(crate) use verifier::{AssumedToken, Verifier};
