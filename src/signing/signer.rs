use super::LocalSigner;
use crate::{
    jose::{Algorithm, KeySet, KeyUse},
    plug::{BoxPlug, Failing, ask, boxed},
    protocol::{Reason, Rejection, refuse},
    records::ConfigError,
};
use bytes::Bytes;
use std::fmt;

const FAILING: Failing = Failing { unavailable: Reason::SignerUnavailable, panicked: Reason::SignerPanicked };

/// What a signing service is asked to sign: the JWS signing input (RFC 7515 section 5.1).
#[derive(Clone)]
#[non_exhaustive]
pub struct SigningRequest {
    /// The key, by the `kid` that will stand in the header.
    pub key_id: String,
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The bytes to sign.
    pub signing_input: Bytes,
}

impl fmt::Debug for SigningRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningRequest")
            .field("key_id", &self.key_id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// A signature in the form that JWS wants (RFC 7518 section 3): for ECDSA the two numbers side by side, not DER.
#[derive(Clone)]
pub struct Signature(Bytes);

impl Signature {
    /// A signature by its bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({} bytes)", self.0.len())
    }
}

/// A signing service and the name of the key that it uses.
///
/// A [`LocalSigner`] turns into one by itself. Anything else, such as a key management service, is a
/// [`tower::Service`]:
///
/// ```
/// use tower_token_exchange::signing::{Algorithm, LocalSigner, Signature, Signer, SigningRequest};
///
/// let key = LocalSigner::generate(Algorithm::ES256)?.with_key_id("kms-key-1"); // stands for the key that somebody else keeps
/// let keys = key.published_keys();
/// let kms = tower::service_fn(move |request: SigningRequest| {
///     let signature = key.sign(&request.signing_input);
///     async move { signature.map(Signature::new) }
/// });
/// let signer = Signer::new("kms-key-1", Algorithm::ES256, kms).verified_by(keys.key_set());
/// # let _ = signer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Signer {
    pub(crate) key_id: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) keys: KeySet,
    service: BoxPlug<SigningRequest, Signature>,
    checks: bool,
}

impl Signer {
    /// A signer whose key goes by this `kid`.
    pub fn new(key_id: impl Into<String>, algorithm: Algorithm, service: impl super::SigningService) -> Self {
        Self { key_id: key_id.into(), algorithm, keys: KeySet::empty(), service: boxed(service), checks: true }
    }

    /// The public keys of this signer: they verify the tokens that come back to be exchanged again, and every
    /// signature before it goes out.
    #[must_use]
    pub fn verified_by(mut self, keys: KeySet) -> Self {
        self.keys = keys;
        self
    }

    /// Its keys, if there are any, must hold the one that it names.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let known = self.keys.candidates(self.algorithm, Some(&self.key_id), KeyUse::Signature);
        if self.keys.is_empty() || !known.is_empty() {
            return Ok(());
        }
        let help = "the keys in `verified_by` hold none with its `kid` and algorithm: publish it there";
        Err(ConfigError::new("signer", help))
    }

    /// Signs, and looks at the signature before anybody else does.
    pub(super) async fn sign(&self, input: &str) -> Result<Vec<u8>, Rejection> {
        let request = SigningRequest {
            key_id: self.key_id.clone(),
            algorithm: self.algorithm,
            signing_input: Bytes::copy_from_slice(input.as_bytes()),
        };
        let Signature(signature) = ask(&self.service, request, FAILING).await?;
        let refused = |detail: &str| Err(refuse(Reason::SignatureRefused).with_detail(detail));
        match self.algorithm.signature_length() {
            Some(length) if length != signature.len() => return refused("wrong length; ECDSA must not be in DER"),
            None if signature.is_empty() => return refused("empty"),
            _ => {}
        }
        let verifies = || {
            let keys = self.keys.candidates(self.algorithm, Some(&self.key_id), KeyUse::Signature);
            keys.iter().any(|key| key.verify(self.algorithm, input.as_bytes(), &signature))
        };
        if self.checks && !self.keys.is_empty() && !verifies() {
            return refused("does not verify with the signer's own keys");
        }
        Ok(signature.into())
    }
}

impl From<LocalSigner> for Signer {
    fn from(local: LocalSigner) -> Self {
        let keys = local.published_keys().key_set();
        let (key_id, algorithm) = (local.key_id().to_owned(), local.algorithm());
        // What this process signs it need not check.
        Self { key_id, algorithm, keys, service: boxed(local), checks: false }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("key_id", &self.key_id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}
