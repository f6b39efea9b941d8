use crate::protocol::sha256_of_secret;
use ring::hmac;
use std::fmt;

/// The SHA-256 hash of a client secret.
#[derive(Clone)]
pub(crate) struct SecretHash([u8; 32]);

impl SecretHash {
    pub(crate) fn new(secret: &str) -> Self {
        Self(sha256_of_secret(secret))
    }

    pub(super) fn from_hex(hex: &str) -> Option<Self> {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// Whether the list contains this hash. The time depends only on the length of the list.
    pub(crate) fn is_one_of(&self, known: &[Self]) -> bool {
        // The comparison of HMAC tags takes constant time.
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let tag = hmac::sign(&key, &self.0);
        known.iter().fold(false, |found, known| found | hmac::verify(&key, &known.0, tag.as_ref()).is_ok())
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
