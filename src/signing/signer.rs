use super::{
    BlockingSigner, LocalSigner, Signature, SigningRequest, SigningService,
    claims::{ACCESS_TOKEN_TYP, PLAIN_TYP},
};
use crate::{
    jose::{Algorithm, Cryptography, KeySet, KeyUse, VerifyingKey, base64url},
    plug::{BoxPlug, Failing, ask, boxed},
    protocol::{KeyId, Reason, Rejection, refuse},
};
use bytes::Bytes;
use serde_json::json;
use std::{fmt, sync::Arc};

const FAILING: Failing = Failing { unavailable: Reason::SignerUnavailable, panicked: Reason::SignerPanicked };

/// A signing service, the name and algorithm of its key, and the public keys that verify its signatures.
///
/// A [`LocalSigner`] converts into a `Signer`. For any other service, such as a key management service, use
/// [`Signer::new`]. For a function that blocks, use a [`BlockingSigner`].
///
/// ```
/// use tower_token_exchange::signing::{Algorithm, KeyId, LocalSigner, Signature, Signer, SigningRequest};
///
/// let key_id = KeyId::try_from("kms-key-1")?;
/// // A local key takes the place of the key in the key management service.
/// let key = LocalSigner::generate(Algorithm::ES256)?.with_key_id(key_id.clone());
/// let public_keys = key.published_keys().key_set();
/// let kms = tower::service_fn(move |request: SigningRequest| {
///     let signature = key.sign(&request.signing_input);
///     async move { signature.map(Signature::new) }
/// });
/// let signer = Signer::new(key_id, Algorithm::ES256, kms, public_keys)?;
/// # let _ = signer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Signer {
    key_id: KeyId,
    algorithm: Algorithm,
    keys: KeySet,
    service: BoxPlug<SigningRequest, Signature>,
    signatures: Signatures,
    /// The first segment of an issued token, for each media type.
    headers: [(&'static str, Arc<str>); 2],
    /// The library that verifies the signatures.
    cryptography: Cryptography,
}

/// What the layer knows about the signatures of a signer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Signatures {
    /// This process makes them, so they need no verification.
    Local,
    /// The layer verifies each of them with the public key of the signer.
    Verified,
    /// The layer does not have the public key of the signer.
    Unknown,
}

/// A mistake in the arguments of [`Signer::new`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignerError {
    /// The key set does not have the public key of the signer.
    #[error("the key set has no {algorithm} key with the `kid` `{key_id}`: add the public key of the signer")]
    KeyNotInSet {
        /// The key id of the signer.
        key_id: KeyId,
        /// The algorithm of the signer.
        algorithm: Algorithm,
    },
}

impl Signer {
    /// A signer with the public keys that verify its signatures.
    ///
    /// The layer verifies each signature before the token is released. The keys also verify tokens that come back: as
    /// subject tokens, and at the introspection and revocation endpoints. So leave a retired key in the set until all
    /// tokens with its signature have expired.
    ///
    /// # Errors
    /// [`SignerError::KeyNotInSet`] if the set has no key for this key id and algorithm.
    pub fn new(
        key_id: KeyId,
        algorithm: Algorithm,
        service: impl SigningService,
        keys: KeySet,
    ) -> Result<Self, SignerError> {
        let signer = Self { keys, signatures: Signatures::Verified, ..Self::unchecked(key_id, algorithm, service) };
        if signer.own_keys().next().is_none() {
            return Err(SignerError::KeyNotInSet { key_id: signer.key_id, algorithm });
        }
        Ok(signer)
    }

    /// A signer whose signatures the layer cannot verify, because its public key is not available.
    ///
    /// A wrong signature reaches the client. Issued tokens cannot be subject tokens of another exchange, and the
    /// introspection and revocation endpoints cannot be used. Prefer [`Signer::new`].
    pub fn unchecked(key_id: KeyId, algorithm: Algorithm, service: impl SigningService) -> Self {
        let header = |typ| (typ, header_segment(algorithm, &key_id, typ));
        Self {
            headers: [header(ACCESS_TOKEN_TYP), header(PLAIN_TYP)],
            key_id,
            algorithm,
            keys: KeySet::empty(),
            service: boxed(service),
            signatures: Signatures::Unknown,
            cryptography: Cryptography::default(),
        }
    }

    /// Accepts tokens with signatures of these keys too, as tokens that this authorization server issued: the keys that
    /// signed before this signer, and the keys that other instances sign with.
    ///
    /// ```
    /// use tower_token_exchange::signing::{Algorithm, LocalSigner, Signer};
    ///
    /// let (new, retired) = (LocalSigner::generate(Algorithm::ES256)?, LocalSigner::generate(Algorithm::ES256)?);
    /// let signer = Signer::from(new).also_accept(retired.published_keys().key_set());
    /// # let _ = signer;
    /// # Ok::<(), tower_token_exchange::signing::KeyError>(())
    /// ```
    #[must_use]
    pub fn also_accept(mut self, keys: KeySet) -> Self {
        self.keys = self.keys.union(&keys);
        self
    }

    /// The `kid` in the header of issued tokens.
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    /// The algorithm that the signer signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The same signer, whose signatures this library verifies.
    pub(crate) fn verified_by(self, cryptography: Cryptography) -> Self {
        Self { cryptography, ..self }
    }

    /// The keys that verify tokens of this authorization server. Empty if no public key is available.
    pub(crate) fn keys(&self) -> &KeySet {
        &self.keys
    }

    /// Whether the layer can recognize the tokens that this signer signs. Keys of other signers do not matter.
    pub(crate) fn recognizes_its_tokens(&self) -> bool {
        self.signatures != Signatures::Unknown
    }

    /// The first segment of a token with this media type.
    pub(super) fn header(&self, typ: &str) -> &str {
        let [access_token, plain] = &self.headers;
        if typ == access_token.0 { &access_token.1 } else { &plain.1 }
    }

    /// Signs the input, and verifies the signature.
    pub(crate) async fn sign(&self, input: &str) -> Result<Signature, Rejection> {
        let request =
            SigningRequest::new(self.key_id.clone(), self.algorithm, Bytes::copy_from_slice(input.as_bytes()));
        let signature = ask(&self.service, request, FAILING).await?;
        let bytes = signature.as_bytes();
        let refused = |detail: &str| Err(refuse(Reason::SignatureRefused).with_detail(detail));
        match self.algorithm.signature_length() {
            Some(length) if length != bytes.len() => return refused("wrong length; ECDSA must not be in DER"),
            None if bytes.is_empty() => return refused("empty"),
            _ => {}
        }
        let verifies = |key: &VerifyingKey| key.verify(self.algorithm, input.as_bytes(), bytes, self.cryptography);
        if self.signatures == Signatures::Verified && !self.own_keys().any(verifies) {
            return refused("does not verify with the signer's own keys");
        }
        Ok(signature)
    }

    /// The keys that can verify a signature of this signer.
    fn own_keys(&self) -> impl Iterator<Item = &VerifyingKey> {
        self.keys.candidates(self.algorithm, Some(self.key_id.as_str()), KeyUse::Signature)
    }
}

/// The first segment of a token (RFC 7515 section 4.1).
fn header_segment(algorithm: Algorithm, key_id: &KeyId, typ: &str) -> Arc<str> {
    let header = json!({ "alg": algorithm.as_str(), "kid": key_id, "typ": typ });
    base64url(header.to_string().as_bytes()).into()
}

/// Signs with a key in this process. A key for RSA or ES384 signs outside of the threads of the runtime, as a
/// [`BlockingSigner`] with its default bounds does, because a signature takes up to some milliseconds.
impl From<LocalSigner> for Signer {
    fn from(local: LocalSigner) -> Self {
        let keys = local.published_keys().key_set();
        let (key_id, algorithm) = (local.key_id().clone(), local.algorithm());
        let signer = if algorithm.is_slow() {
            let sign = move |request: SigningRequest| local.sign(&request.signing_input).map(Signature::new);
            Self::unchecked(key_id, algorithm, BlockingSigner::new(sign))
        } else {
            Self::unchecked(key_id, algorithm, local)
        };
        Self { keys, signatures: Signatures::Local, ..signer }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(keys: KeySet) -> Result<Signer, SignerError> {
        let service = tower::service_fn(|_: SigningRequest| async { Ok::<_, std::io::Error>(Signature::new("")) });
        Signer::new(KeyId::try_from("kms").unwrap(), Algorithm::ES256, service, keys)
    }

    #[test]
    fn a_signer_needs_its_public_key() {
        let key = LocalSigner::generate(Algorithm::ES256).unwrap();
        let named = key.clone().with_key_id(KeyId::try_from("kms").unwrap());
        let other_algorithm = LocalSigner::generate(Algorithm::EdDSA).unwrap().with_key_id(named.key_id().clone());
        assert!(signer(named.published_keys().key_set()).is_ok());
        for keys in [KeySet::empty(), key.published_keys().key_set(), other_algorithm.published_keys().key_set()] {
            let Err(error) = signer(keys) else { panic!("the signer has no public key in the set") };
            assert_eq!(
                error.to_string(),
                "the key set has no ES256 key with the `kid` `kms`: add the public key of the signer"
            );
        }
    }
}
