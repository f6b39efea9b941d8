//! Signatures by `aws-lc-rs`.

use super::components::{KeyComponents, PublicComponents, RsaComponents};
use crate::jose::{Algorithm, public_key::PublicKey};
use aws_lc_rs::{
    error::KeyRejected,
    rand::SystemRandom,
    rsa,
    signature::{
        self, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
        ECDSA_P384_SHA384_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaEncoding, RsaKeyPair,
        RsaParameters, UnparsedPublicKey, VerificationAlgorithm,
    },
};
use biscuit::jws::Secret;

pub(in crate::jose) enum KeyPair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

pub(super) fn verify(key: &PublicKey, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
    let plain = |kind: &'static dyn VerificationAlgorithm, public: &[u8]| {
        UnparsedPublicKey::new(kind, public).verify(signed, signature).is_ok()
    };
    match (key, algorithm, rsa_parameters(algorithm)) {
        (PublicKey::P256(Secret::PublicKey(point)), Algorithm::ES256, _) => plain(&ECDSA_P256_SHA256_FIXED, point),
        (PublicKey::P384(Secret::PublicKey(point)), Algorithm::ES384, _) => plain(&ECDSA_P384_SHA384_FIXED, point),
        (PublicKey::Ed25519(public), Algorithm::EdDSA, _) => plain(&ED25519, public),
        (PublicKey::Rsa(Secret::RSAModulusExponent { n, e }), _, Some((verification, _))) => {
            let key = rsa::PublicKeyComponents { n: n.to_bytes_be(), e: e.to_bytes_be() };
            key.verify(verification, signed, signature).is_ok()
        }
        _ => false,
    }
}

/// Returns what verifies and what signs with an RSA algorithm.
fn rsa_parameters(algorithm: Algorithm) -> Option<(&'static RsaParameters, &'static dyn RsaEncoding)> {
    Some(match algorithm {
        Algorithm::RS256 => (&signature::RSA_PKCS1_2048_8192_SHA256, &signature::RSA_PKCS1_SHA256),
        Algorithm::RS384 => (&signature::RSA_PKCS1_2048_8192_SHA384, &signature::RSA_PKCS1_SHA384),
        Algorithm::RS512 => (&signature::RSA_PKCS1_2048_8192_SHA512, &signature::RSA_PKCS1_SHA512),
        Algorithm::PS256 => (&signature::RSA_PSS_2048_8192_SHA256, &signature::RSA_PSS_SHA256),
        Algorithm::PS384 => (&signature::RSA_PSS_2048_8192_SHA384, &signature::RSA_PSS_SHA384),
        Algorithm::PS512 => (&signature::RSA_PSS_2048_8192_SHA512, &signature::RSA_PSS_SHA512),
        Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA => return None,
    })
}

impl KeyPair {
    pub(super) fn from_pkcs8(algorithm: Algorithm, der: &[u8]) -> Result<Self, KeyRejected> {
        match algorithm {
            Algorithm::ES256 => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map(Self::Ecdsa),
            Algorithm::ES384 => EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, der).map(Self::Ecdsa),
            Algorithm::EdDSA => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Self::Ed25519),
            _ => RsaKeyPair::from_pkcs8(der).map(Self::Rsa),
        }
    }

    pub(super) fn from_components(components: &KeyComponents) -> Result<Self, KeyRejected> {
        match components {
            KeyComponents::P256 { private, public } => {
                let curve = &ECDSA_P256_SHA256_FIXED_SIGNING;
                EcdsaKeyPair::from_private_key_and_public_key(curve, private, public).map(Self::Ecdsa)
            }
            KeyComponents::P384 { private, public } => {
                let curve = &ECDSA_P384_SHA384_FIXED_SIGNING;
                EcdsaKeyPair::from_private_key_and_public_key(curve, private, public).map(Self::Ecdsa)
            }
            KeyComponents::Ed25519 { seed, public } => {
                Ed25519KeyPair::from_seed_and_public_key(seed, public).map(Self::Ed25519)
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
                RsaKeyPair::from_components(&components).map(Self::Rsa)
            }
        }
    }

    pub(super) fn sign(&self, algorithm: Algorithm, input: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match (self, rsa_parameters(algorithm)) {
            (Self::Ecdsa(pair), None) => Some(pair.sign(&random, input).ok()?.as_ref().to_vec()),
            (Self::Ed25519(pair), None) => Some(pair.try_sign(input).ok()?.as_ref().to_vec()),
            (Self::Rsa(pair), Some((_, encoding))) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, input, &mut signature).ok().map(|()| signature)
            }
            _ => None,
        }
    }

    pub(super) fn public(&self) -> PublicComponents {
        match self {
            Self::Ecdsa(pair) => PublicComponents::Elliptic(pair.public_key().as_ref().to_vec()),
            Self::Ed25519(pair) => PublicComponents::Ed25519(pair.public_key().as_ref().to_vec()),
            Self::Rsa(pair) => {
                let key: rsa::PublicKeyComponents<Vec<u8>> = pair.public_key().into();
                PublicComponents::Rsa { n: key.n, e: key.e }
            }
        }
    }
}
