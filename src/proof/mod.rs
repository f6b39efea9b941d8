//! Proof of possession: DPoP (RFC 9449), certificates of clients (RFC 8705), and what becomes of bound tokens.
//!
//! A *bearer token* works for everyone who has it. A *bound token* works only for the party that proves a key or a certificate,
//! which the claim `cnf` of the token names. The page [`proof`](crate::manual::proof) explains the settings.
//!
//! | item | is about |
//! |---|---|
//! | [`Dpop`] | the settings for DPoP proofs |
//! | [`MATRIX`] | what becomes of the binding of a subject token |
//! | [`Binding`] | the key or the certificate that a token is bound to |

mod bounds;
mod dpop;
mod matrix;
mod possession;

pub use crate::{
    jose::{Thumbprint, ThumbprintError},
    token::Binding,
};
pub use dpop::{Dpop, NonceKey, NonceKeyError};
pub use matrix::{MATRIX, Outcome, Permission, Presented, Presenter, Row, TokenState};

pub(crate) use bounds::{BindingBounds, Demands, IssuedBinding};
pub(crate) use possession::{Possession, Proofs};
