//! The token that goes out: its claims, its signature, and the keys that verify it.

mod claims;
mod local;
mod published;
mod signer;
mod token;

pub use crate::jose::{Algorithm, AlgorithmError, KeyError};
pub use local::LocalSigner;
pub use published::PublishedKeys;
pub use signer::{Signature, Signer, SigningRequest};

pub(crate) use token::{SignedToken, TokenContents};

/// What signs: it answers a [`SigningRequest`] with a [`Signature`]. Put it into a [`Signer`] with the name of
/// its key.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a signing service",
    label = "not a `tower::Service<SigningRequest, Response = Signature>`",
    note = "wrap an async closure: `tower::service_fn(|request: SigningRequest| async move {{ Ok::<_, BoxError>(answer) }})`",
    note = "the service must be `Clone + Send + Sync + 'static`, its future `Send`, its error `Into<tower::BoxError>`"
)]
pub trait SigningService: crate::plug::Plug<SigningRequest, Signature> {}

impl<S: crate::plug::Plug<SigningRequest, Signature>> SigningService for S {}
