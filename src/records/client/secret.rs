use ring::digest::{SHA256, digest};
use std::fmt;
use subtle::{Choice, ConstantTimeEq};

/// The SHA-256 hash of a client secret.
#[derive(Clone)]
pub(crate) struct SecretHash([u8; 32]);

impl SecretHash {
    pub(crate) fn new(secret: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
        Self(hash)
    }

    pub(super) fn from_hex(hex: &str) -> Option<Self> {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// Whether the list contains this hash. The time depends only on the length of the list.
    pub(crate) fn is_one_of(&self, known: &[Self]) -> bool {
        known.iter().fold(Choice::from(0), |found, known| found | known.0.ct_eq(&self.0)).into()
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
