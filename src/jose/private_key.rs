use super::{Algorithm, base64url, key::parameters};
use biscuit::{digest, jws::Secret};
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
        RsaKeyPair,
    },
};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Why a private key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKey {
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

impl PrivateKey {
    pub(crate) fn from_pkcs8(algorithm: Algorithm, der: &[u8]) -> Result<Self, InvalidKey> {
        use Algorithm::*;
        let refused =
            |error: ring::error::KeyRejected| InvalidKey::NotForAlgorithm { algorithm, cause: error.to_string() };
        let (material, public) = match algorithm {
            ES256 | ES384 => {
                let (ring, curve) = match algorithm {
                    ES256 => (&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
                    _ => (&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
                };
                let pair = EcdsaKeyPair::from_pkcs8(ring, der, &SystemRandom::new()).map_err(refused)?;
                // An uncompressed point: one byte that says so, then two coordinates of equal length.
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let public = json!({ "kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y) });
                (Material::Library(Secret::EcdsaKeyPair(Arc::new(pair))), public)
            }
            EdDSA => {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(refused)?;
                let public = json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key().as_ref()) });
                (Material::Ed25519(Arc::new(pair)), public)
            }
            RS256 | RS384 | RS512 | PS256 | PS384 | PS512 => {
                let pair = RsaKeyPair::from_pkcs8(der).map_err(refused)?;
                let parts: ring::rsa::PublicKeyComponents<Vec<u8>> = pair.public_key().into();
                let public = json!({ "kty": "RSA", "n": base64url(&parts.n), "e": base64url(&parts.e) });
                (Material::Library(Secret::RsaKeyPair(Arc::new(pair))), public)
            }
        };
        let Value::Object(public) = public else { return Err(InvalidKey::Unusable) };
        Ok(Self { algorithm, material, public })
    }

    pub(crate) fn generate(algorithm: Algorithm) -> Result<Self, InvalidKey> {
        let random = SystemRandom::new();
        let document = match algorithm {
            Algorithm::ES256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random),
            Algorithm::ES384 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &random),
            Algorithm::EdDSA => Ed25519KeyPair::generate_pkcs8(&random),
            rsa => return Err(InvalidKey::CannotGenerate(rsa)),
        };
        Self::from_pkcs8(algorithm, document.map_err(|_| InvalidKey::Unusable)?.as_ref())
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
    pub(crate) fn thumbprint(&self) -> Result<String, InvalidKey> {
        let members: Vec<&str> = self.public.keys().map(String::as_str).collect();
        let parameters = parameters(&self.public, &members).ok_or(InvalidKey::Unusable)?;
        parameters.thumbprint(&digest::SHA256).map_err(|_| InvalidKey::Unusable)
    }
}
