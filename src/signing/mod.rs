//! Issued tokens: the claims, the signature, and the public keys that verify the signature.

mod blocking;
mod claims;
mod local;
mod published;
mod service;
mod signer;
mod token;

pub use crate::{
    jose::{Algorithm, AlgorithmError, Cryptography, KeyError},
    protocol::KeyId,
};
pub use blocking::BlockingSigner;
pub use local::{LocalSigner, LocalSignerBuilder, SignError};
pub use published::PublishedKeys;
pub use service::{Signature, SigningRequest, SigningService};
pub use signer::{Signer, SignerError};

pub(crate) use claims::{TokenContents, claims_of};
pub(crate) use token::SignedToken;
