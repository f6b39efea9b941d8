use crate::protocol::sha256_of_secret;
#[cfg(feature = "argon2")]
use crate::protocol::sha256_of_secret_bytes;
use std::fmt;
use subtle::{Choice, ConstantTimeEq};

/// The SHA-256 hash of a client secret.
#[derive(Clone)]
pub(crate) struct SecretHash([u8; 32]);

impl SecretHash {
    /// The hash of no secret that anybody knows.
    pub(crate) const OF_NO_SECRET: Self = Self([0; 32]);

    pub(crate) fn new(secret: &str) -> Self {
        Self(sha256_of_secret(secret))
    }

    /// The hash of bytes that need not be text.
    #[cfg(feature = "argon2")]
    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        Self(sha256_of_secret_bytes(bytes))
    }

    pub(super) fn from_hex(hex: &str) -> Option<Self> {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// Whether the list contains this hash. The time depends only on the length of the list.
    pub(crate) fn is_one_of(&self, known: &[Self]) -> bool {
        known.iter().fold(Choice::from(0), |found, known| found | self.0.ct_eq(&known.0)).into()
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
