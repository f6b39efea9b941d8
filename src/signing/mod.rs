//! Issued tokens: the claims, the signature, and the public keys that verify the signature.

mod claims;
mod local;
mod published;
mod signer;
mod token;

pub use crate::{
    jose::{Algorithm, AlgorithmError, KeyError},
    protocol::KeyId,
};
pub use local::{LocalSigner, SignError};
pub use published::PublishedKeys;
pub use signer::{Signature, Signer, SignerError, SigningRequest};

pub(crate) use token::{SignedToken, TokenContents};

/// A signing service: a service that answers a [`SigningRequest`] with a [`Signature`].
///
/// To use a signing service, put the service into a [`Signer`] with the id of the key. If the signing service returns
/// an error, the exchange is answered with 503.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a signing service",
    label = "not a `tower::Service<SigningRequest, Response = Signature>`",
    note = "wrap an async closure: `tower::service_fn(|request: SigningRequest| async move {{ Ok::<_, BoxError>(answer) }})`",
    note = "the service must be `Clone + Send + Sync + 'static`, its future `Send`, its error `Into<tower::BoxError>`"
)]
pub trait SigningService: crate::plug::Plug<SigningRequest, Signature> {}

impl<S: crate::plug::Plug<SigningRequest, Signature>> SigningService for S {}
