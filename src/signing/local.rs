use super::{PublishedKeys, Signature, SigningRequest};
use crate::jose::{Algorithm, KeyError, PrivateKey};
use std::{
    fmt,
    fs::OpenOptions,
    future::{Ready, ready},
    io::{self, Write},
    path::Path,
    sync::Arc,
    task::{Context, Poll},
};
use tower::Service;

/// A signer whose private key is in this process.
///
/// ```
/// use tower_token_exchange::signing::{Algorithm, LocalSigner};
///
/// let signer = LocalSigner::generate(Algorithm::ES256)?.with_key_id("2026-11");
/// assert!(signer.published_keys().to_json().contains("2026-11"));
/// # Ok::<(), tower_token_exchange::signing::KeyError>(())
/// ```
#[derive(Clone)]
pub struct LocalSigner {
    key: Arc<PrivateKey>,
    key_id: String,
}

impl LocalSigner {
    /// A key in PKCS#8, as PEM: the first `PRIVATE KEY` block. RSA keys have 2048 bits or more.
    pub fn from_pem(algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::new(PrivateKey::from_pem(algorithm, pem.as_ref())?)
    }

    /// A key in PKCS#8, as DER.
    pub fn from_der(algorithm: Algorithm, der: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::new(PrivateKey::from_pkcs8(algorithm, der.as_ref())?)
    }

    /// A private JWK (RFC 7517 section 4), as JSON text: EC with P-256 for ES256 or P-384 for ES384 (RFC 7518
    /// section 6.2), OKP with Ed25519 for EdDSA (RFC 8037 section 2), or RSA with 2048 to 4096 bits and all members of
    /// its two primes (RFC 7518 section 6.3), whose `alg` must say what it is for.
    ///
    /// Its `kid` becomes the key id; without one, that is the thumbprint. `use`, if it is there, is `sig`; `key_ops`
    /// has `sign`.
    ///
    /// ```
    /// use tower_token_exchange::signing::{Algorithm, LocalSigner};
    ///
    /// // The key of RFC 8037 appendix A.1, which everybody knows.
    /// let signer = LocalSigner::from_jwk(r#"{
    ///     "kty": "OKP", "crv": "Ed25519", "kid": "2026-11",
    ///     "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    ///     "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    /// }"#)?;
    /// assert_eq!((signer.algorithm(), signer.key_id()), (Algorithm::EdDSA, "2026-11"));
    /// # Ok::<(), tower_token_exchange::signing::KeyError>(())
    /// ```
    ///
    /// # Errors
    /// What is wrong with it, without a word of what it holds: a text that is no such JWK, a set of keys, a public or a
    /// symmetric key, a member that is missing or malformed, members that do not belong together.
    pub fn from_jwk(jwk: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let (key, kid) = PrivateKey::from_jwk(jwk.as_ref())?;
        let signer = Self::new(key)?;
        Ok(match kid {
            Some(kid) => signer.with_key_id(kid),
            None => signer,
        })
    }

    /// A key as files hold it: a JWK ([`from_jwk`](Self::from_jwk)) if the text begins as JSON does, else PEM
    /// ([`from_pem`](Self::from_pem)). A PEM text is a key for the algorithm, ES256 where none is given; a JWK says itself
    /// what it is for, and must agree.
    ///
    /// ```
    /// use tower_token_exchange::signing::{Algorithm, LocalSigner};
    ///
    /// let pem = LocalSigner::generate_pem(Algorithm::ES256)?;
    /// assert_eq!(LocalSigner::from_text(&pem, None)?.algorithm(), Algorithm::ES256);
    /// assert!(LocalSigner::from_text(&pem, Some(Algorithm::EdDSA)).is_err());
    /// # Ok::<(), tower_token_exchange::signing::KeyError>(())
    /// ```
    ///
    /// # Errors
    /// Those of the two, and [`KeyError::OtherAlgorithm`].
    pub fn from_text(text: &str, algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        if !text.trim_start().starts_with('{') {
            return Self::from_pem(algorithm.unwrap_or(Algorithm::ES256), text);
        }
        let signer = Self::from_jwk(text)?;
        match algorithm {
            Some(wanted) if wanted != signer.algorithm() => {
                Err(KeyError::OtherAlgorithm { found: signer.algorithm(), wanted })
            }
            _ => Ok(signer),
        }
    }

    /// A fresh key for ES256, ES384 or EdDSA, in PKCS#8 as PEM (RFC 7468 section 10): a text for a file that only the
    /// server can read, from where [`from_pem`](Self::from_pem) takes it at each start.
    ///
    /// ```
    /// use tower_token_exchange::signing::{Algorithm, LocalSigner};
    ///
    /// let pem = LocalSigner::generate_pem(Algorithm::ES256)?;
    /// let (now, after_a_restart) =
    ///     (LocalSigner::from_pem(Algorithm::ES256, &pem)?, LocalSigner::from_pem(Algorithm::ES256, &pem)?);
    /// assert_eq!(now.published_keys(), after_a_restart.published_keys());
    /// # Ok::<(), tower_token_exchange::signing::KeyError>(())
    /// ```
    ///
    /// # Errors
    /// [`KeyError::CannotGenerate`] for RSA, [`KeyError::Unusable`] where the system gives no randomness.
    pub fn generate_pem(algorithm: Algorithm) -> Result<String, KeyError> {
        PrivateKey::generate_pem(algorithm)
    }

    /// The same, in a new file that only its owner can read.
    ///
    /// # Errors
    /// Those of the system, such as that the file is there already, and those of [`generate_pem`](Self::generate_pem).
    pub fn generate_file(algorithm: Algorithm, path: impl AsRef<Path>) -> io::Result<Self> {
        let pem = Self::generate_pem(algorithm).map_err(io::Error::other)?;
        let mut options = OpenOptions::new();
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.write(true).create_new(true).open(path)?;
        file.write_all(pem.as_bytes())?;
        file.sync_all()?;
        Self::from_pem(algorithm, pem).map_err(io::Error::other)
    }

    /// A fresh key for ES256, ES384 or EdDSA. It is gone with the process, and so is what it signed:
    /// [`generate_pem`](Self::generate_pem) makes one that can be kept.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        Self::new(PrivateKey::generate(algorithm)?)
    }

    fn new(key: PrivateKey) -> Result<Self, KeyError> {
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
    pub fn sign(&self, input: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.key.sign(input).ok_or(KeyError::Unusable)
    }
}

impl Service<SigningRequest> for LocalSigner {
    type Response = Signature;
    type Error = KeyError;
    type Future = Ready<Result<Signature, KeyError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), KeyError>> {
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
