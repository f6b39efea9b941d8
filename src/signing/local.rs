use super::{PublishedKeys, Signature, SigningRequest};
use crate::{
    jose::{Algorithm, Cryptography, KeyError, PrivateKey},
    protocol::KeyId,
};
use std::{
    fmt,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};
use tower::Service;

/// A signer with a private key in the memory of this process.
///
/// ```
/// use tower_token_exchange::signing::{Algorithm, KeyId, LocalSigner};
///
/// let signer = LocalSigner::generate(Algorithm::ES256)?.with_key_id(KeyId::try_from("2026-11")?);
/// assert!(signer.published_keys().to_json().contains("2026-11"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct LocalSigner {
    key: Arc<PrivateKey>,
    key_id: KeyId,
}

/// Reads and makes keys for a [`LocalSigner`] with a chosen library. Made by [`LocalSigner::builder`].
///
/// The methods of the `LocalSigner` itself, such as [`LocalSigner::from_pem`], use the default library. All methods have the
/// same errors there and here.
///
/// ```
/// use tower_token_exchange::signing::{Algorithm, Cryptography, LocalSigner};
///
/// let library = Cryptography::Ring; // or `Cryptography::AwsLcRs`, with the feature `aws-lc-rs`
/// let signer = LocalSigner::builder().cryptography(library).generate(Algorithm::ES256)?;
/// # let _ = signer;
/// # Ok::<(), tower_token_exchange::signing::KeyError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "a builder does nothing until it reads or makes a key"]
pub struct LocalSignerBuilder {
    cryptography: Cryptography,
}

/// A private key that does not sign, because the system has no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key does not sign: the system has no randomness")]
#[non_exhaustive]
pub struct SignError;

impl LocalSigner {
    /// Starts to read or make a key with a library other than the default.
    pub fn builder() -> LocalSignerBuilder {
        LocalSignerBuilder::default()
    }

    /// Reads a PKCS#8 key from the first `PRIVATE KEY` block of a PEM text. RSA keys need 2048 bits or more.
    ///
    /// # Errors
    /// [`KeyError::NotPem`] if the text has no such block, [`KeyError::NotForAlgorithm`] if the key is of another kind.
    pub fn from_pem(algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::builder().read_pem(algorithm, pem)
    }

    /// Reads a PKCS#8 key in DER. RSA keys need 2048 bits or more.
    ///
    /// # Errors
    /// [`KeyError::NotForAlgorithm`] if the key is of another kind.
    pub fn from_der(algorithm: Algorithm, der: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::builder().read_der(algorithm, der)
    }

    /// Reads a private JWK (RFC 7517 section 4) from JSON text.
    ///
    /// | `kty` | key | algorithm |
    /// |---|---|---|
    /// | `EC` | `crv` is P-256 or P-384 (RFC 7518 section 6.2) | ES256 or ES384 |
    /// | `OKP` | `crv` is Ed25519 (RFC 8037 section 2) | EdDSA |
    /// | `RSA` | 2048 to 4096 bits, with all members of the two primes (RFC 7518 section 6.3) | the member `alg`, which is required |
    ///
    /// The `kid` becomes the key id. The default is the thumbprint of the key. `use` must be absent or `sig`; `key_ops`
    /// must be absent or contain `sign`.
    ///
    /// ```
    /// use tower_token_exchange::signing::{Algorithm, LocalSigner};
    ///
    /// // The example key of RFC 8037 appendix A.1. Everybody knows this key: never sign tokens with it.
    /// let signer = LocalSigner::from_jwk(r#"{
    ///     "kty": "OKP", "crv": "Ed25519", "kid": "2026-11",
    ///     "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    ///     "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    /// }"#)?;
    /// assert_eq!(signer.algorithm(), Algorithm::EdDSA);
    /// assert_eq!(*signer.key_id(), "2026-11");
    /// # Ok::<(), tower_token_exchange::signing::KeyError>(())
    /// ```
    ///
    /// # Errors
    /// [`KeyError`] for a text that is no private JWK: other JSON, a set of keys, a public or symmetric key, or members
    /// that are missing, malformed or do not fit each other. No error quotes the content of the text.
    pub fn from_jwk(jwk: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::builder().read_jwk(jwk)
    }

    /// Reads the text of a key file: a JWK ([`from_jwk`](Self::from_jwk)) if the text begins with `{`, else PEM
    /// ([`from_pem`](Self::from_pem)).
    ///
    /// Without `algorithm`, the key in a PEM text decides: ES256 for the curve P-256, ES384 for P-384, EdDSA for Ed25519, and
    /// RS256 for RSA. A JWK states its algorithm; a different `algorithm` is an error.
    ///
    /// ```
    /// use tower_token_exchange::signing::{Algorithm, LocalSigner};
    ///
    /// let pem = LocalSigner::generate_pem(Algorithm::ES256)?;
    /// assert_eq!(LocalSigner::from_text(&pem, None)?.algorithm(), Algorithm::ES256);
    /// let pem = LocalSigner::generate_pem(Algorithm::EdDSA)?;
    /// assert_eq!(LocalSigner::from_text(&pem, None)?.algorithm(), Algorithm::EdDSA);
    /// assert!(LocalSigner::from_text(&pem, Some(Algorithm::ES256)).is_err());
    /// # Ok::<(), tower_token_exchange::signing::KeyError>(())
    /// ```
    ///
    /// # Errors
    /// The errors of [`from_jwk`](Self::from_jwk) and [`from_pem`](Self::from_pem), and [`KeyError::OtherAlgorithm`].
    pub fn from_text(text: &str, algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        Self::builder().read_text(text, algorithm)
    }

    /// Generates a key for ES256, ES384 or EdDSA. The key is lost when the process ends; to keep a key, use
    /// [`generate_pem`](Self::generate_pem).
    ///
    /// # Errors
    /// [`KeyError::CannotGenerate`] for RSA, [`KeyError::Unusable`] if the system has no randomness.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        Self::builder().generate(algorithm)
    }

    /// Generates a key for ES256, ES384 or EdDSA, as PKCS#8 in PEM (RFC 7468 section 10). Store the text in a file that
    /// only the server can read, and load the file with [`from_pem`](Self::from_pem) at each start.
    ///
    /// ```
    /// use tower_token_exchange::signing::{Algorithm, LocalSigner};
    ///
    /// let pem = LocalSigner::generate_pem(Algorithm::ES256)?;
    /// let before_restart = LocalSigner::from_pem(Algorithm::ES256, &pem)?;
    /// let after_restart = LocalSigner::from_pem(Algorithm::ES256, &pem)?;
    /// assert_eq!(before_restart.published_keys(), after_restart.published_keys());
    /// # Ok::<(), tower_token_exchange::signing::KeyError>(())
    /// ```
    ///
    /// # Errors
    /// [`KeyError::CannotGenerate`] for RSA, [`KeyError::Unusable`] if the system has no randomness.
    pub fn generate_pem(algorithm: Algorithm) -> Result<String, KeyError> {
        PrivateKey::generate_pem(algorithm)
    }

    fn new(key: PrivateKey) -> Result<Self, KeyError> {
        let key_id = KeyId::try_from(key.thumbprint()?).map_err(|_| KeyError::Unusable)?;
        Ok(Self { key: Arc::new(key), key_id })
    }

    /// Sets the key id. Default: the thumbprint of the key (RFC 7638).
    #[must_use]
    pub fn with_key_id(mut self, key_id: KeyId) -> Self {
        self.key_id = key_id;
        self
    }

    /// The `kid` in the header of signed tokens.
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    /// The algorithm that the key signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    /// The public key, as a set for the `jwks_uri` of a server (RFC 7517 section 5).
    pub fn published_keys(&self) -> PublishedKeys {
        PublishedKeys::new(self.key.public(), &self.key_id, self.key.algorithm())
    }

    /// Signs bytes. An authorization server that issues other tokens with the same key can use this method.
    ///
    /// # Errors
    /// [`SignError`] if the system has no randomness.
    pub fn sign(&self, input: &[u8]) -> Result<Vec<u8>, SignError> {
        self.key.sign(input).ok_or(SignError)
    }
}

impl LocalSignerBuilder {
    /// Sets the library that makes the signatures. Default: [`Cryptography::Ring`].
    pub fn cryptography(self, cryptography: Cryptography) -> Self {
        Self { cryptography }
    }

    /// Reads a key as [`LocalSigner::from_pem`] does.
    ///
    /// # Errors
    /// Those of [`LocalSigner::from_pem`].
    pub fn read_pem(self, algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<LocalSigner, KeyError> {
        LocalSigner::new(PrivateKey::from_pem(self.cryptography, algorithm, pem.as_ref())?)
    }

    /// Reads a key as [`LocalSigner::from_der`] does.
    ///
    /// # Errors
    /// Those of [`LocalSigner::from_der`].
    pub fn read_der(self, algorithm: Algorithm, der: impl AsRef<[u8]>) -> Result<LocalSigner, KeyError> {
        LocalSigner::new(PrivateKey::from_pkcs8(self.cryptography, algorithm, der.as_ref())?)
    }

    /// Reads a key as [`LocalSigner::from_jwk`] does.
    ///
    /// # Errors
    /// Those of [`LocalSigner::from_jwk`].
    pub fn read_jwk(self, jwk: impl AsRef<[u8]>) -> Result<LocalSigner, KeyError> {
        let (key, key_id) = PrivateKey::from_jwk(self.cryptography, jwk.as_ref())?;
        let signer = LocalSigner::new(key)?;
        Ok(match key_id {
            Some(key_id) => signer.with_key_id(key_id),
            None => signer,
        })
    }

    /// Reads the text of a key file as [`LocalSigner::from_text`] does.
    ///
    /// # Errors
    /// Those of [`LocalSigner::from_text`].
    pub fn read_text(self, text: &str, algorithm: Option<Algorithm>) -> Result<LocalSigner, KeyError> {
        if !text.trim_start().starts_with('{') {
            return match algorithm {
                Some(algorithm) => self.read_pem(algorithm, text),
                None => LocalSigner::new(PrivateKey::from_pem_of_any_kind(self.cryptography, text.as_bytes())?),
            };
        }
        let signer = self.read_jwk(text)?;
        match algorithm {
            Some(wanted) if wanted != signer.algorithm() => {
                Err(KeyError::OtherAlgorithm { found: signer.algorithm(), wanted })
            }
            _ => Ok(signer),
        }
    }

    /// Generates a key as [`LocalSigner::generate`] does.
    ///
    /// # Errors
    /// Those of [`LocalSigner::generate`].
    pub fn generate(self, algorithm: Algorithm) -> Result<LocalSigner, KeyError> {
        LocalSigner::new(PrivateKey::generate(self.cryptography, algorithm)?)
    }
}

impl Service<SigningRequest> for LocalSigner {
    type Response = Signature;
    type Error = SignError;
    type Future = Ready<Result<Signature, SignError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), SignError>> {
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
