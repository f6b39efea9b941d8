use super::{PublishedKeys, Signature, SigningRequest};
use crate::jose::{Algorithm, InvalidKey, PrivateKey};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use std::{
    fmt,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};
use tower::Service;

/// A signer whose private key is in this process.
///
/// ```
/// use tower_token_exchange::{Algorithm, LocalSigner};
///
/// let signer = LocalSigner::generate(Algorithm::ES256)?.with_key_id("2026-11");
/// assert!(signer.published_keys().to_json().contains("2026-11"));
/// # Ok::<(), tower_token_exchange::InvalidKey>(())
/// ```
#[derive(Clone)]
pub struct LocalSigner {
    key: Arc<PrivateKey>,
    key_id: String,
}

impl LocalSigner {
    /// A key in PKCS#8, as PEM: the first `PRIVATE KEY` block. RSA keys have 2048 bits or more.
    pub fn from_pem(algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, InvalidKey> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_ref()).map_err(|_| InvalidKey::NotPem)?;
        Self::from_der(algorithm, der.secret_pkcs8_der())
    }

    /// A key in PKCS#8, as DER.
    pub fn from_der(algorithm: Algorithm, der: impl AsRef<[u8]>) -> Result<Self, InvalidKey> {
        Self::new(PrivateKey::from_pkcs8(algorithm, der.as_ref())?)
    }

    /// A fresh key for ES256, ES384 or EdDSA. It is gone with the process, and so is what it signed.
    pub fn generate(algorithm: Algorithm) -> Result<Self, InvalidKey> {
        Self::new(PrivateKey::generate(algorithm)?)
    }

    fn new(key: PrivateKey) -> Result<Self, InvalidKey> {
        let key_id = key.thumbprint()?;
        Ok(Self { key: Arc::new(key), key_id })
    }

    /// Names the key. Default: its thumbprint (RFC 7638).
    #[must_use]
    pub fn with_key_id(mut self, key_id: impl Into<String>) -> Self {
        self.key_id = key_id.into();
        self
    }

    /// The `kid`.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    /// The public key, as a set to be served at a `jwks_uri` (RFC 7517 section 5).
    pub fn published_keys(&self) -> PublishedKeys {
        PublishedKeys::one(self.key.public(), &self.key_id, self.key.algorithm())
    }

    /// Signs these bytes: for an authorization server that issues tokens of its own with the same key.
    pub fn sign(&self, input: &[u8]) -> Result<Vec<u8>, InvalidKey> {
        self.key.sign(input).ok_or(InvalidKey::Unusable)
    }
}

impl Service<SigningRequest> for LocalSigner {
    type Response = Signature;
    type Error = InvalidKey;
    type Future = Ready<Result<Signature, InvalidKey>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), InvalidKey>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: SigningRequest) -> Self::Future {
        ready(self.sign(&request.signing_input).map(Signature::new))
    }
}

impl fmt::Debug for LocalSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSigner")
            .field("key_id", &self.key_id)
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}
