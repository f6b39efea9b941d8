//! The raw cryptography of each algorithm, as the library does it without the layer.

use super::{Scenario, Work};
use crate::world::private_key;
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
        ECDSA_P384_SHA384_FIXED_SIGNING, ED25519, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
        RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RSA_PSS_2048_8192_SHA256, RSA_PSS_SHA256, RsaEncoding,
        RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
    },
};
use std::hint::black_box;
use tower_token_exchange::signing::Algorithm;

/// The bytes of a signing input, about as long as that of an access token.
const MESSAGE: [u8; 400] = [7; 400];

const ALGORITHMS: [Algorithm; 5] =
    [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA, Algorithm::RS256, Algorithm::PS256];

/// The name of the verification of one signature.
pub fn verify(algorithm: Algorithm) -> String {
    format!("verify {algorithm}")
}

/// The name of the making of one signature.
pub fn sign(algorithm: Algorithm) -> String {
    format!("sign {algorithm}")
}

pub(super) fn scenarios() -> Vec<Scenario> {
    let verifications = ALGORITHMS.map(|algorithm| {
        Scenario::new(verify(algorithm), move || {
            let Key { public, verification, sign } = Key::new(algorithm);
            let (public, signature) = (UnparsedPublicKey::new(verification, public), sign());
            Work::call(move || {
                let verified = public.verify(black_box(&MESSAGE), black_box(&signature));
                assert!(verified.is_ok());
            })
        })
        .with_cryptography([verify(algorithm)])
    });
    let signatures = ALGORITHMS.map(|algorithm| {
        Scenario::new(sign(algorithm), move || {
            let sign = Key::new(algorithm).sign;
            Work::call(move || drop(black_box(sign())))
        })
        .with_cryptography([sign(algorithm)])
    });
    verifications.into_iter().chain(signatures).collect()
}

struct Key {
    public: Vec<u8>,
    verification: &'static dyn VerificationAlgorithm,
    sign: Box<dyn Fn() -> Vec<u8>>,
}

impl Key {
    fn new(algorithm: Algorithm) -> Self {
        let document = private_key(algorithm);
        match algorithm.as_str() {
            "ES256" => Self::ecdsa(&document, &ECDSA_P256_SHA256_FIXED_SIGNING, &ECDSA_P256_SHA256_FIXED),
            "ES384" => Self::ecdsa(&document, &ECDSA_P384_SHA384_FIXED_SIGNING, &ECDSA_P384_SHA384_FIXED),
            "RS256" => Self::rsa(&document, &RSA_PKCS1_SHA256, &RSA_PKCS1_2048_8192_SHA256),
            "PS256" => Self::rsa(&document, &RSA_PSS_SHA256, &RSA_PSS_2048_8192_SHA256),
            _ => {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&document).expect("a key");
                let public = pair.public_key().as_ref().to_vec();
                let sign = move || pair.sign(black_box(&MESSAGE)).as_ref().to_vec();
                Self { public, verification: &ED25519, sign: Box::new(sign) }
            }
        }
    }

    fn ecdsa(
        document: &[u8],
        signing: &'static EcdsaSigningAlgorithm,
        verification: &'static dyn VerificationAlgorithm,
    ) -> Self {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(signing, document, &random).expect("a key");
        let public = pair.public_key().as_ref().to_vec();
        let sign = move || pair.sign(&random, black_box(&MESSAGE)).expect("a signature").as_ref().to_vec();
        Self { public, verification, sign: Box::new(sign) }
    }

    fn rsa(
        document: &[u8],
        encoding: &'static dyn RsaEncoding,
        verification: &'static dyn VerificationAlgorithm,
    ) -> Self {
        let random = SystemRandom::new();
        let pair = RsaKeyPair::from_pkcs8(document).expect("a key");
        let public = pair.public_key().as_ref().to_vec();
        let sign = move || {
            let mut signature = vec![0; pair.public().modulus_len()];
            pair.sign(encoding, &random, black_box(&MESSAGE), &mut signature).expect("a signature");
            signature
        };
        Self { public, verification, sign: Box::new(sign) }
    }
}
