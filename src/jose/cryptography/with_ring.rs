//! Signatures by `ring`. Biscuit calls ring for RSA and ECDSA. Biscuit has no EdDSA.

use super::components::{KeyComponents, PublicComponents, RsaComponents};
use crate::jose::{Algorithm, public_key::PublicKey};
use biscuit::{jwa::SignatureAlgorithm, jws::Secret};
use ring::{
    error::KeyRejected,
    rand::SystemRandom,
    rsa,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ED25519, EcdsaKeyPair, EcdsaSigningAlgorithm,
        Ed25519KeyPair, KeyPair as _, RsaKeyPair, UnparsedPublicKey,
    },
};
use std::sync::Arc;

pub(in crate::jose) enum KeyPair {
    Ecdsa(Secret, Vec<u8>),
    Ed25519(Box<Ed25519KeyPair>),
    Rsa(Secret, rsa::PublicKeyComponents<Vec<u8>>),
}

// Biscuit panics if key and algorithm do not fit, so every caller checks that both fit.
pub(super) fn verify(key: &PublicKey, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
    match (key, for_biscuit(algorithm)) {
        (PublicKey::Ed25519(public), None) => {
            UnparsedPublicKey::new(&ED25519, public).verify(signed, signature).is_ok()
        }
        (PublicKey::Rsa(secret) | PublicKey::P256(secret) | PublicKey::P384(secret), Some(algorithm)) => {
            algorithm.verify(signature, signed, secret).is_ok()
        }
        _ => false,
    }
}

/// Returns the algorithm in the terms of biscuit, which does not support EdDSA.
const fn for_biscuit(algorithm: Algorithm) -> Option<SignatureAlgorithm> {
    Some(match algorithm {
        Algorithm::ES256 => SignatureAlgorithm::ES256,
        Algorithm::ES384 => SignatureAlgorithm::ES384,
        Algorithm::PS256 => SignatureAlgorithm::PS256,
        Algorithm::PS384 => SignatureAlgorithm::PS384,
        Algorithm::PS512 => SignatureAlgorithm::PS512,
        Algorithm::RS256 => SignatureAlgorithm::RS256,
        Algorithm::RS384 => SignatureAlgorithm::RS384,
        Algorithm::RS512 => SignatureAlgorithm::RS512,
        Algorithm::EdDSA => return None,
    })
}

impl KeyPair {
    pub(super) fn from_pkcs8(algorithm: Algorithm, der: &[u8]) -> Result<Self, KeyRejected> {
        let ecdsa = |curve| EcdsaKeyPair::from_pkcs8(curve, der, &SystemRandom::new()).map(Self::ecdsa);
        match algorithm {
            Algorithm::ES256 => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING),
            Algorithm::ES384 => ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING),
            Algorithm::EdDSA => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Self::ed25519),
            _ => RsaKeyPair::from_pkcs8(der).map(Self::rsa),
        }
    }

    pub(super) fn from_components(components: &KeyComponents) -> Result<Self, KeyRejected> {
        let ecdsa = |curve: &'static EcdsaSigningAlgorithm, private: &[u8], public: &[u8]| {
            EcdsaKeyPair::from_private_key_and_public_key(curve, private, public, &SystemRandom::new()).map(Self::ecdsa)
        };
        match components {
            KeyComponents::P256 { private, public } => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING, private, public),
            KeyComponents::P384 { private, public } => ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING, private, public),
            KeyComponents::Ed25519 { seed, public } => {
                Ed25519KeyPair::from_seed_and_public_key(seed, public).map(Self::ed25519)
            }
            KeyComponents::Rsa(RsaComponents { n, e, d, p, q, dp, dq, qi }) => {
                let components = rsa::KeyPairComponents {
                    public_key: rsa::PublicKeyComponents { n, e },
                    d,
                    p,
                    q,
                    dP: dp,
                    dQ: dq,
                    qInv: qi,
                };
                RsaKeyPair::from_components(&components).map(Self::rsa)
            }
        }
    }

    fn ecdsa(pair: EcdsaKeyPair) -> Self {
        let point = pair.public_key().as_ref().to_vec();
        Self::Ecdsa(Secret::EcdsaKeyPair(Arc::new(pair)), point)
    }

    fn ed25519(pair: Ed25519KeyPair) -> Self {
        Self::Ed25519(Box::new(pair))
    }

    fn rsa(pair: RsaKeyPair) -> Self {
        let public = pair.public_key().into();
        Self::Rsa(Secret::RsaKeyPair(Arc::new(pair)), public)
    }

    pub(super) fn sign(&self, algorithm: Algorithm, input: &[u8]) -> Option<Vec<u8>> {
        match (self, for_biscuit(algorithm)) {
            (Self::Ecdsa(secret, _) | Self::Rsa(secret, _), Some(algorithm)) => algorithm.sign(input, secret).ok(),
            (Self::Ed25519(pair), None) => Some(pair.sign(input).as_ref().to_vec()),
            _ => None,
        }
    }

    pub(super) fn public(&self) -> PublicComponents {
        match self {
            Self::Ecdsa(_, point) => PublicComponents::Elliptic(point.clone()),
            Self::Ed25519(pair) => PublicComponents::Ed25519(pair.public_key().as_ref().to_vec()),
            Self::Rsa(_, public) => PublicComponents::Rsa { n: public.n.clone(), e: public.e.clone() },
        }
    }
}
