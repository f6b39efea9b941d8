use super::{RevocationKey, RevocationKind};
use crate::{protocol::sha256_of_parts, random};
use siphasher::sip::SipHasher24;
use std::{fmt, hash::Hasher};
use zeroize::Zeroizing;

/// The fewest bytes of a key.
const MIN_BYTES: usize = 32;

/// The secret key of the hashes in the claim `ancestry` and in a revocation store ([`revocation`](crate::manual::revocation)).
///
/// The hashes are truncated outputs of SipHash-2-4. Without the key, nobody can tell which token, client, subject or session a
/// hash stands for, and nobody can make a token for a hash.
///
/// All processes that share a revocation store need the same key. A store that outlives the process needs the same key after a
/// restart: with another key, the store recognizes no revoked token.
///
/// ```
/// use tower_token_exchange::revocation::AncestryKey;
///
/// let key = AncestryKey::new([7; 32])?;
/// assert!(AncestryKey::new("short").is_err());
/// # let _ = key;
/// # Ok::<(), tower_token_exchange::revocation::AncestryKeyError>(())
/// ```
#[derive(Clone)]
pub struct AncestryKey {
    key: Zeroizing<[u8; 16]>,
    fingerprint: KeyFingerprint,
}

/// The reason why there is no [`AncestryKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AncestryKeyError {
    /// The text is too short.
    #[error("shorter than {MIN_BYTES} bytes: give {MIN_BYTES} random bytes or more")]
    TooShort,
    /// The system has no randomness.
    #[error("the system has no randomness: give a key of your own")]
    NoRandomness,
}

/// The fingerprint of an [`AncestryKey`], which tells two keys apart and reveals neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyFingerprint(u64);

impl KeyFingerprint {
    /// The fingerprint as bytes, for a database.
    pub fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// Reads the bytes that [`to_bytes`](Self::to_bytes) returned.
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(bytes))
    }
}

/// What names a token.
#[derive(Clone, Copy)]
pub(crate) enum TokenName<'a> {
    /// The `jti` of a token that the layer issued.
    Jti(&'a str),
    /// The signed part of a token of another server.
    Signed(&'a str),
    /// The whole text of a token of another server.
    Opaque(&'a str),
}

impl AncestryKey {
    /// Creates a key from at least 32 random bytes.
    ///
    /// # Errors
    /// [`AncestryKeyError::TooShort`] for fewer bytes.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, AncestryKeyError> {
        let secret = secret.as_ref();
        if secret.len() < MIN_BYTES {
            return Err(AncestryKeyError::TooShort);
        }
        let derived = Zeroizing::new(sha256_of_parts([b"ancestry".as_slice(), secret]));
        let mut key = Zeroizing::new([0; 16]);
        key.copy_from_slice(&derived[..16]);
        let mut this = Self { key, fingerprint: KeyFingerprint(0) };
        let number = this.hash(u8::MAX, &["fingerprint"]);
        this.fingerprint = KeyFingerprint::from_bytes(number);
        Ok(this)
    }

    /// Creates a random key, which nobody else has. The key is lost when the process ends.
    ///
    /// # Errors
    /// [`AncestryKeyError::NoRandomness`].
    pub fn random() -> Result<Self, AncestryKeyError> {
        Self::new(Zeroizing::new(random::bytes::<32>().ok_or(AncestryKeyError::NoRandomness)?))
    }

    /// The fingerprint of the key.
    pub fn fingerprint(&self) -> KeyFingerprint {
        self.fingerprint
    }

    pub(crate) fn token(&self, name: TokenName<'_>) -> RevocationKey {
        let (form, text) = match name {
            TokenName::Jti(text) => ("jti", text),
            TokenName::Signed(text) => ("signed", text),
            TokenName::Opaque(text) => ("opaque", text),
        };
        self.name(RevocationKind::Token, &[form, text])
    }

    /// The key of a subject, of an actor or of a session.
    pub(crate) fn of_issuer(&self, kind: RevocationKind, iss: &str, name: &str) -> RevocationKey {
        self.name(kind, &[iss, name])
    }

    /// The key of a signing key. Two keys of one issuer have the same hash in one case of 255: a cut-off of one of these keys
    /// then reaches the tokens of both keys.
    pub(crate) fn signing_key(&self, iss: &str, kid: &str) -> RevocationKey {
        let mut hash = [0; 4];
        hash[..3].copy_from_slice(&self.issuer(iss).hash::<3>());
        // Zero stands for a token without `kid`.
        hash[3] = self.hash(RevocationKind::SigningKey as u8, &[kid])[0].max(1);
        RevocationKey::from_hash(RevocationKind::SigningKey, hash)
    }

    pub(crate) fn client(&self, id: &str) -> RevocationKey {
        self.name(RevocationKind::Client, &[id])
    }

    pub(crate) fn issuer(&self, id: &str) -> RevocationKey {
        self.name(RevocationKind::Issuer, &[id])
    }

    fn name(&self, kind: RevocationKind, parts: &[&str]) -> RevocationKey {
        RevocationKey::new(kind, self.hash(kind as u8, parts))
    }

    fn hash(&self, kind: u8, parts: &[&str]) -> [u8; 8] {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write_u8(kind);
        for part in parts {
            // Without the length, two lists of parts could make the same text.
            hasher.write(&(part.len() as u64).to_le_bytes());
            hasher.write(part.as_bytes());
        }
        hasher.finish().to_be_bytes()
    }
}

// The key is a secret.
impl fmt::Debug for AncestryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AncestryKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_and_the_key_count() {
        let (key, other) = (AncestryKey::new([1; 32]).unwrap(), AncestryKey::new([2; 32]).unwrap());
        let subject = |key: &AncestryKey, iss, sub| key.of_issuer(RevocationKind::Subject, iss, sub);
        let keys = [
            subject(&key, "a", "bc"),
            subject(&key, "ab", "c"),
            subject(&key, "", "abc"),
            subject(&other, "a", "bc"),
            key.of_issuer(RevocationKind::Actor, "a", "bc"),
            key.token(TokenName::Jti("a")),
            key.token(TokenName::Signed("a")),
            key.token(TokenName::Opaque("a")),
        ];
        let different: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len());
        assert_ne!(key.fingerprint(), other.fingerprint());
    }

    /// Processes of different versions can share a store, so the hashes never change.
    #[test]
    fn a_key_makes_fixed_hashes() {
        let key = AncestryKey::new([7; 32]).unwrap();
        assert_eq!(key.client("orders").to_string(), "client:249dce");
    }

    #[test]
    fn a_key_has_32_bytes_and_stays_secret() {
        assert!(AncestryKey::new([0; 31]).is_err());
        assert_eq!(format!("{:?}", AncestryKey::new([65; 32]).unwrap()), "AncestryKey([redacted])");
    }
}
