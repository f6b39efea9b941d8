use super::{Algorithm, base64url, key::parameters};
use biscuit::{digest, jws::Secret};
use data_encoding::BASE64;
use ring::{
    rand::{SecureRandom, SystemRandom},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
        RsaKeyPair,
    },
};
use serde_json::{Map, Value, json};
use std::sync::Arc;

const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";
/// What stands before the 32 bytes of an Ed25519 key (RFC 8410 section 7).
const ED25519_PKCS8: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";

/// Why a private key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The JWK is for another algorithm than the one that was asked for.
    #[error("it is a key for {found}, not for {wanted}: correct the one or the other")]
    OtherAlgorithm {
        /// What the JWK is for.
        found: Algorithm,
        /// What was asked for.
        wanted: Algorithm,
    },
    /// The PEM text has no `PRIVATE KEY` block.
    #[error("no `PRIVATE KEY` block (PKCS#8) in the PEM text; `openssl pkcs8 -topk8 -nocrypt` makes one")]
    NotPem,
    /// The bytes are not a PKCS#8 key of the kind that the algorithm needs.
    #[error("not a PKCS#8 private key for {algorithm}: {cause}")]
    NotForAlgorithm {
        /// The algorithm asked for.
        algorithm: Algorithm,
        /// What was found wrong.
        cause: String,
    },
    /// RSA keys cannot be generated here.
    #[error("{0} keys cannot be generated; make one with `openssl genpkey -algorithm RSA` and load it")]
    CannotGenerate(Algorithm),
    /// The text is not a JWK.
    #[error("not a JWK: one JSON object without duplicate members (RFC 7517 section 4); PEM is for `from_pem`")]
    NotJwk,
    /// The text is a key set, or holds one.
    #[error("a set of keys (`keys`), and a signer has one key: give it the JWK in the set that is to sign")]
    JwkSet,
    /// The JWK has no private half.
    #[error("the JWK is a public key, which cannot sign: the key with its private half (`d`) is needed")]
    PublicJwk,
    /// The JWK is a symmetric key.
    #[error("an `oct` key is as secret as whoever verifies with it; `LocalSigner::generate_pem` makes one for signers")]
    SymmetricJwk,
    /// The JWK is of a type or on a curve that nothing is signed with here.
    #[error("`kty` and `crv` of the JWK must be EC and P-256 or P-384, OKP and Ed25519, or RSA; make such a key")]
    UnsupportedJwk,
    /// A member of the JWK is missing, or is not what it must be.
    #[error("`{member}` of the JWK must be {expected}")]
    JwkMember {
        /// The member.
        member: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// The members of the JWK make no key: the private ones do not belong to the public ones, or are out of range.
    #[error("the members of the JWK make no key for {algorithm} ({cause}); export the whole key anew")]
    JwkRefused {
        /// The algorithm of such keys.
        algorithm: Algorithm,
        /// What was found wrong. It holds nothing of the key.
        cause: String,
    },
    /// The system gave no randomness, or the key did not sign.
    #[error("the key could not be made or does not sign")]
    Unusable,
}

/// A private key and the one algorithm that it signs with.
pub(crate) struct PrivateKey {
    algorithm: Algorithm,
    material: Material,
    /// The members of the public JWK that make the key.
    public: Map<String, Value>,
}

enum Material {
    Library(Secret),
    Ed25519(Arc<Ed25519KeyPair>),
}

/// What signs, before it is known what for.
pub(super) enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl PrivateKey {
    pub(crate) fn from_pkcs8(algorithm: Algorithm, der: &[u8]) -> Result<Self, KeyError> {
        use Algorithm::*;
        let pair =
            match algorithm {
                ES256 => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &SystemRandom::new())
                    .map(Pair::Ecdsa),
                ES384 => EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, der, &SystemRandom::new())
                    .map(Pair::Ecdsa),
                EdDSA => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Pair::Ed25519),
                RS256 | RS384 | RS512 | PS256 | PS384 | PS512 => RsaKeyPair::from_pkcs8(der).map(Pair::Rsa),
            };
        let pair = pair.map_err(|error| KeyError::NotForAlgorithm { algorithm, cause: error.to_string() })?;
        Self::of(algorithm, pair)
    }

    /// Reads the first `PRIVATE KEY` block of a PEM text (RFC 7468 section 10).
    pub(crate) fn from_pem(algorithm: Algorithm, pem: &[u8]) -> Result<Self, KeyError> {
        Self::from_pkcs8(algorithm, &private_key_block(pem).ok_or(KeyError::NotPem)?)
    }

    /// Of a pair that fits the algorithm.
    pub(super) fn of(algorithm: Algorithm, pair: Pair) -> Result<Self, KeyError> {
        let (material, public) = match pair {
            Pair::Ecdsa(pair) => {
                let curve = if algorithm == Algorithm::ES256 { "P-256" } else { "P-384" };
                // An uncompressed point: one byte that says so, then two coordinates of equal length.
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let public = json!({ "kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y) });
                (Material::Library(Secret::EcdsaKeyPair(Arc::new(pair))), public)
            }
            Pair::Ed25519(pair) => {
                let public = json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key().as_ref()) });
                (Material::Ed25519(Arc::new(pair)), public)
            }
            Pair::Rsa(pair) => {
                let parts: ring::rsa::PublicKeyComponents<Vec<u8>> = pair.public_key().into();
                let public = json!({ "kty": "RSA", "n": base64url(&parts.n), "e": base64url(&parts.e) });
                (Material::Library(Secret::RsaKeyPair(Arc::new(pair))), public)
            }
        };
        let Value::Object(public) = public else { return Err(KeyError::Unusable) };
        Ok(Self { algorithm, material, public })
    }

    pub(crate) fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        Self::from_pkcs8(algorithm, &generate_pkcs8(algorithm)?)
    }

    /// A fresh key as text, which is a secret.
    pub(crate) fn generate_pem(algorithm: Algorithm) -> Result<String, KeyError> {
        let der = generate_pkcs8(algorithm)?;
        // 48 bytes are the 64 characters of a line (RFC 7468 section 2).
        let lines = der.chunks(48).map(|bytes| BASE64.encode(bytes) + "\n");
        Ok(format!("{PEM_BEGIN}\n{}{PEM_END}\n", lines.collect::<String>()))
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// `None` when the system gives no randomness.
    pub(crate) fn sign(&self, input: &[u8]) -> Option<Vec<u8>> {
        match (&self.material, self.algorithm.of_library()) {
            (Material::Library(secret), Some(algorithm)) => algorithm.sign(input, secret).ok(),
            (Material::Ed25519(pair), _) => Some(pair.sign(input).as_ref().to_vec()),
            (Material::Library(_), None) => None,
        }
    }

    /// The members of the public JWK that make the key, without `kid`, `alg` and `use`.
    pub(crate) fn public(&self) -> &Map<String, Value> {
        &self.public
    }

    /// The JWK thumbprint with SHA-256 (RFC 7638 section 3).
    pub(crate) fn thumbprint(&self) -> Result<String, KeyError> {
        let members: Vec<&str> = self.public.keys().map(String::as_str).collect();
        let parameters = parameters(&self.public, &members).ok_or(KeyError::Unusable)?;
        parameters.thumbprint(&digest::SHA256).map_err(|_| KeyError::Unusable)
    }
}

fn private_key_block(pem: &[u8]) -> Option<Vec<u8>> {
    let pem = String::from_utf8_lossy(pem);
    let (_, block) = pem.split_once(PEM_BEGIN)?;
    let (base64, _) = block.split_once(PEM_END)?;
    BASE64.decode(base64.split_ascii_whitespace().collect::<String>().as_bytes()).ok()
}

fn generate_pkcs8(algorithm: Algorithm) -> Result<Vec<u8>, KeyError> {
    let random = SystemRandom::new();
    let document = match algorithm {
        Algorithm::ES256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random),
        Algorithm::ES384 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &random),
        // Not with ring, which adds the public key: OpenSSL up to 3.0 at least cannot read that.
        Algorithm::EdDSA => {
            let mut seed = [0; 32];
            random.fill(&mut seed).map_err(|_| KeyError::Unusable)?;
            return Ok([ED25519_PKCS8, &seed].concat());
        }
        rsa => return Err(KeyError::CannotGenerate(rsa)),
    };
    document.map(|document| document.as_ref().to_vec()).map_err(|_| KeyError::Unusable)
}
