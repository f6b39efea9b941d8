//! The libraries that make and verify signatures.

mod components;
#[cfg(feature = "aws-lc-rs")]
mod with_aws_lc;
mod with_ring;

pub(super) use components::{KeyComponents, PublicComponents, RsaComponents};

use super::{Algorithm, public_key::PublicKey};

/// The library that makes and verifies signatures.
///
/// The library is chosen by a value and not by a feature, because Cargo enables a feature for the whole program if any crate
/// in it asks for the feature. Without a choice, everything uses [`Ring`](Self::Ring).
///
/// [`TokenExchangeBuilder::cryptography`](crate::TokenExchangeBuilder::cryptography) chooses the library that verifies
/// signatures, and [`LocalSigner::builder`](crate::signing::LocalSigner::builder) the library that signs. The page
/// [`signatures`](crate::manual::signatures) compares the libraries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cryptography {
    /// The crate `ring`. RSA keys that sign have 2048 to 4096 bits, a length that is a multiple of 512 bits, and an exponent of 65537
    /// or more.
    #[default]
    Ring,
    /// The crate `aws-lc-rs` (feature `aws-lc-rs`), in which RSA keys sign more than twice as fast. RSA keys that sign have
    /// 2048 to 8192 bits.
    #[cfg(feature = "aws-lc-rs")]
    AwsLcRs,
}

/// A pair of keys in the form of one library. The pair does not know its algorithm.
pub(super) enum KeyPair {
    Ring(with_ring::KeyPair),
    #[cfg(feature = "aws-lc-rs")]
    AwsLcRs(with_aws_lc::KeyPair),
}

impl Cryptography {
    /// Every library that the features of this build include.
    pub const ALL: &'static [Self] = &[
        Self::Ring,
        #[cfg(feature = "aws-lc-rs")]
        Self::AwsLcRs,
    ];

    /// Returns the name of the library, as the crate is named.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLcRs => "aws-lc-rs",
        }
    }

    /// Verifies a signature. The key has to fit the algorithm.
    pub(super) fn verify(self, key: &PublicKey, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Ring => with_ring::verify(key, algorithm, signed, signature),
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLcRs => with_aws_lc::verify(key, algorithm, signed, signature),
        }
    }

    /// Reads a PKCS#8 key for an algorithm. The error names the problem.
    pub(super) fn pair_from_pkcs8(self, algorithm: Algorithm, der: &[u8]) -> Result<KeyPair, &'static str> {
        match self {
            Self::Ring => with_ring::KeyPair::from_pkcs8(algorithm, der).map(KeyPair::Ring).map_err(|e| problem_of(&e)),
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLcRs => {
                with_aws_lc::KeyPair::from_pkcs8(algorithm, der).map(KeyPair::AwsLcRs).map_err(|e| problem_of(&e))
            }
        }
    }

    /// Makes a pair of its components. The error names the problem.
    pub(super) fn pair_from_components(self, components: &KeyComponents) -> Result<KeyPair, &'static str> {
        // `aws-lc-rs` would accept a number with zeros before it (RFC 7518 section 6.2.2.1).
        if let KeyComponents::P256 { private, public } | KeyComponents::P384 { private, public } = components
            && 2 * private.len() + 1 != public.len()
        {
            return Err("the private key has the wrong length");
        }
        match self {
            Self::Ring => {
                with_ring::KeyPair::from_components(components).map(KeyPair::Ring).map_err(|e| problem_of(&e))
            }
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLcRs => {
                with_aws_lc::KeyPair::from_components(components).map(KeyPair::AwsLcRs).map_err(|e| problem_of(&e))
            }
        }
    }
}

impl KeyPair {
    /// Signs with an algorithm that fits the pair. `None` if the pair does not fit, and if the system has no randomness.
    pub(super) fn sign(&self, algorithm: Algorithm, input: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Ring(pair) => pair.sign(algorithm, input),
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLcRs(pair) => pair.sign(algorithm, input),
        }
    }

    pub(super) fn public(&self) -> PublicComponents {
        match self {
            Self::Ring(pair) => pair.public(),
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLcRs(pair) => pair.public(),
        }
    }
}

/// Returns the problem with a key. Both libraries tell the problem only by the same names, such as `WrongAlgorithm`.
fn problem_of(rejected: &impl ToString) -> &'static str {
    match rejected.to_string().as_str() {
        "InconsistentComponents" => "the private key does not belong to the public key",
        "InvalidComponent" => "a number of the key is out of range",
        "InvalidEncoding" => "the encoding is malformed",
        "PrivateModulusLenNotMultipleOf512Bits" => "the length of a prime is not a multiple of 512 bits",
        "PublicKeyIsMissing" => "the public key is missing",
        "RNG failed" => "the system has no randomness",
        "TooLarge" => "the key is too long",
        "TooSmall" => "the key is too short",
        "VersionNotSupported" => "the version of the format is not supported",
        "WrongAlgorithm" => "the key is for another algorithm",
        _ => "the key is malformed",
    }
}
