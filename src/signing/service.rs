use crate::{
    jose::Algorithm,
    plug::Plug,
    protocol::{KeyId, SensitiveBytes},
};
use bytes::Bytes;
use std::fmt;

/// A signing service: a service that answers a [`SigningRequest`] with a [`Signature`].
///
/// To use a signing service, give the service and the id of the key to a [`Signer`](super::Signer). If the signing service
/// returns an error, the exchange is answered with 503.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a signing service",
    label = "not a `tower::Service<SigningRequest, Response = Signature>`",
    note = "wrap an async closure: `tower::service_fn(|request: SigningRequest| async move {{ Ok::<_, BoxError>(answer) }})`",
    note = "the service must be `Clone + Send + Sync + 'static`, its future `Send`, its error `Into<tower::BoxError>`"
)]
pub trait SigningService: Plug<SigningRequest, Signature> {}

impl<S: Plug<SigningRequest, Signature>> SigningService for S {}

/// The question to a [`SigningService`]: the JWS signing input (RFC 7515 section 5.1) of a token.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SigningRequest {
    /// The key, by the `kid` in the header of the token.
    pub key_id: KeyId,
    /// The algorithm to sign with.
    pub algorithm: Algorithm,
    /// The bytes to sign.
    pub signing_input: Bytes,
}

impl SigningRequest {
    /// Creates the request to sign these bytes.
    pub fn new(key_id: KeyId, algorithm: Algorithm, signing_input: impl Into<Bytes>) -> Self {
        Self { key_id, algorithm, signing_input: signing_input.into() }
    }
}

// The signing input holds the claims of the token.
impl fmt::Debug for SigningRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningRequest")
            .field("key_id", &self.key_id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// The answer of a [`SigningService`]: a signature in the format of JWS (RFC 7518 section 3).
///
/// For ECDSA, the signature is the number R followed by the number S (RFC 7518 section 3.4). The layer refuses a signature
/// in DER.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature(SensitiveBytes);

impl Signature {
    /// Creates a signature from its bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into().into())
    }

    /// The bytes of the signature.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

// A signature together with the rest of a token is the token.
impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({} bytes)", self.0.len())
    }
}
