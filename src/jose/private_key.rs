use super::{
    Algorithm, Cryptography, base64url,
    cryptography::{KeyPair, PublicComponents},
    public_key::parameters,
};
use crate::protocol::decode_base64;
use biscuit::digest;
use data_encoding::BASE64;
use ring::{
    rand::{SecureRandom, SystemRandom},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair},
};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";
/// The bytes before the 32 bytes of an Ed25519 key in PKCS#8 (RFC 8410 section 7).
const ED25519_PKCS8: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";

/// A private key that cannot be used. No error contains a part of the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The JWK is for another algorithm than the requested one.
    #[error("the key is for {found}, not for {wanted}; give the algorithm of the key, or another key")]
    OtherAlgorithm {
        /// The algorithm of the JWK.
        found: Algorithm,
        /// The requested algorithm.
        wanted: Algorithm,
    },
    /// The PEM text has no `PRIVATE KEY` block.
    #[error("the PEM text has no `PRIVATE KEY` block (PKCS#8); convert the key with `openssl pkcs8 -topk8 -nocrypt`")]
    NotPem,
    /// The bytes are not a PKCS#8 key for the algorithm.
    #[error("not a PKCS#8 private key for {algorithm}: {cause}; give a key for this algorithm")]
    NotForAlgorithm {
        /// The requested algorithm.
        algorithm: Algorithm,
        /// The problem that was found.
        cause: String,
    },
    /// The PEM text has a key of a kind that this crate does not know, or a damaged key.
    #[error(
        "not a PKCS#8 private key on P-256 or P-384, for Ed25519, or for RSA with 2048 bits or more; give such a key"
    )]
    NoKnownKind,
    /// This crate does not generate RSA keys.
    #[error("{0} keys cannot be generated; make a key with `openssl genpkey -algorithm RSA`, and load the key")]
    CannotGenerate(Algorithm),
    /// The text is not a JWK.
    #[error(
        "not a JWK: give one JSON object without duplicate members (RFC 7517 section 4), or use `from_pem` for PEM"
    )]
    NotJwk,
    /// The text is a key set.
    #[error("the text is a key set (`keys`), and a signer has one key; give the JWK of that key alone")]
    JwkSet,
    /// The JWK is a public key.
    #[error("the JWK is a public key, which cannot sign; give the private key, with the member `d`")]
    PublicJwk,
    /// The JWK is a symmetric key.
    #[error(
        "the JWK is a symmetric key (`oct`), which every verifier would have to know; make a key with `LocalSigner::generate_pem`"
    )]
    SymmetricJwk,
    /// The type or the curve of the JWK is not supported.
    #[error("`kty` and `crv` of the JWK must be EC and P-256 or P-384, OKP and Ed25519, or RSA; make such a key")]
    UnsupportedJwk,
    /// A member of the JWK is missing or has a wrong value.
    #[error("`{member}` of the JWK must be {expected}")]
    JwkMember {
        /// The name of the member.
        member: &'static str,
        /// The values that the member may have.
        expected: &'static str,
    },
    /// The members of the JWK do not make a key: the private members do not belong to the public members, or a member is
    /// out of range.
    #[error("the members of the JWK make no key for {algorithm}: {cause}; export the whole key again")]
    JwkRefused {
        /// The algorithm of the key.
        algorithm: Algorithm,
        /// The problem that was found.
        cause: String,
    },
    /// The system has no randomness, or the key does not sign.
    #[error("the key cannot be made or does not sign; check the random number generator of the system")]
    Unusable,
}

/// A private key, and the algorithm that the key signs with.
pub(crate) struct PrivateKey {
    algorithm: Algorithm,
    pair: KeyPair,
    /// The members of the public JWK, without `kid`, `alg` and `use`.
    public: Map<String, Value>,
}

impl PrivateKey {
    pub(crate) fn from_pkcs8(cryptography: Cryptography, algorithm: Algorithm, der: &[u8]) -> Result<Self, KeyError> {
        let refused = |problem: &str| KeyError::NotForAlgorithm { algorithm, cause: problem.to_owned() };
        Self::from_pair(algorithm, cryptography.pair_from_pkcs8(algorithm, der).map_err(refused)?)
    }

    /// Reads the first `PRIVATE KEY` block of a PEM text (RFC 7468 section 10).
    pub(crate) fn from_pem(cryptography: Cryptography, algorithm: Algorithm, pem: &[u8]) -> Result<Self, KeyError> {
        Self::from_pkcs8(cryptography, algorithm, &private_key_block(pem).ok_or(KeyError::NotPem)?)
    }

    /// Reads a key as [`from_pem`](Self::from_pem) does, for the usual algorithm of keys of its kind.
    pub(crate) fn from_pem_of_any_kind(cryptography: Cryptography, pem: &[u8]) -> Result<Self, KeyError> {
        let der = private_key_block(pem).ok_or(KeyError::NotPem)?;
        let kinds = [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA, Algorithm::RS256];
        let read = |algorithm| Self::from_pkcs8(cryptography, algorithm, &der).ok();
        kinds.into_iter().find_map(read).ok_or(KeyError::NoKnownKind)
    }

    /// Makes a key from a pair that fits the algorithm.
    pub(super) fn from_pair(algorithm: Algorithm, pair: KeyPair) -> Result<Self, KeyError> {
        let public = match pair.public() {
            PublicComponents::Elliptic(point) => {
                let curve = if algorithm == Algorithm::ES256 { "P-256" } else { "P-384" };
                // A point without compression is one marker byte and two coordinates of equal length.
                let coordinates = point.get(1..).ok_or(KeyError::Unusable)?;
                let (x, y) = coordinates.split_at(coordinates.len() / 2);
                json!({ "kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y) })
            }
            PublicComponents::Ed25519(x) => json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(&x) }),
            PublicComponents::Rsa { n, e } => json!({ "kty": "RSA", "n": base64url(&n), "e": base64url(&e) }),
        };
        let Value::Object(public) = public else { return Err(KeyError::Unusable) };
        Ok(Self { algorithm, pair, public })
    }

    pub(crate) fn generate(cryptography: Cryptography, algorithm: Algorithm) -> Result<Self, KeyError> {
        Self::from_pkcs8(cryptography, algorithm, &generate_pkcs8(algorithm)?)
    }

    /// Generates a key as PEM text. The text is a secret.
    pub(crate) fn generate_pem(algorithm: Algorithm) -> Result<String, KeyError> {
        let der = generate_pkcs8(algorithm)?;
        // A line has 64 characters, which are 48 bytes (RFC 7468 section 2).
        let lines = der.chunks(48).map(|bytes| Zeroizing::new(BASE64.encode(bytes) + "\n"));
        let lines = lines.collect::<Vec<_>>();
        let lines = lines.iter().map(|line| line.as_str());
        Ok([PEM_BEGIN, "\n"].into_iter().chain(lines).chain([PEM_END, "\n"]).collect::<Vec<_>>().concat())
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Signs the input. `None` if the system has no randomness.
    pub(crate) fn sign(&self, input: &[u8]) -> Option<Vec<u8>> {
        self.pair.sign(self.algorithm, input)
    }

    pub(crate) fn public(&self) -> &Map<String, Value> {
        &self.public
    }

    /// Returns the JWK thumbprint with SHA-256 (RFC 7638 section 3).
    pub(crate) fn thumbprint(&self) -> Result<String, KeyError> {
        let members: Vec<&str> = self.public.keys().map(String::as_str).collect();
        let parameters = parameters(&self.public, &members).ok_or(KeyError::Unusable)?;
        parameters.thumbprint(&digest::SHA256).map_err(|_| KeyError::Unusable)
    }
}

fn private_key_block(pem: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let start = find(pem, PEM_BEGIN)? + PEM_BEGIN.len();
    let block = &pem[start..][..find(&pem[start..], PEM_END)?];
    let mut base64 = Zeroizing::new(Vec::with_capacity(block.len()));
    base64.extend(block.iter().filter(|byte| !byte.is_ascii_whitespace()));
    decode_base64(&BASE64, &base64)
}

fn find(text: &[u8], wanted: &str) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted.as_bytes())
}

fn generate_pkcs8(algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let random = SystemRandom::new();
    let document = match algorithm {
        Algorithm::ES256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random),
        Algorithm::ES384 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &random),
        // Ring would add the public key, which OpenSSL 3.0 and older cannot read.
        Algorithm::EdDSA => {
            let mut seed = Zeroizing::new([0; 32]);
            random.fill(&mut *seed).map_err(|_| KeyError::Unusable)?;
            return Ok([ED25519_PKCS8, &*seed].concat().into());
        }
        rsa => return Err(KeyError::CannotGenerate(rsa)),
    };
    document.map(|document| document.as_ref().to_vec().into()).map_err(|_| KeyError::Unusable)
}
