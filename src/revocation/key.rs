use crate::protocol::named_values;
use data_encoding::HEXLOWER;
use std::fmt;

/// What a revocation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RevocationKind {
    /// One token, and everything that was exchanged for the token.
    Token,
    /// The tokens of a subject.
    Subject,
    /// The tokens of a session.
    Session,
    /// The tokens that were issued to a client.
    Client,
    /// The tokens that name an actor.
    Actor,
    /// The tokens of an issuer.
    Issuer,
    /// The tokens that a key signed.
    SigningKey,
}

impl RevocationKind {
    /// Every kind.
    pub const ALL: &'static [Self] =
        &[Self::Token, Self::Subject, Self::Session, Self::Client, Self::Actor, Self::Issuer, Self::SigningKey];

    /// The name of the kind, in `snake_case`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Subject => "subject",
            Self::Session => "session",
            Self::Client => "client",
            Self::Actor => "actor",
            Self::Issuer => "issuer",
            Self::SigningKey => "signing_key",
        }
    }

    /// The number of bytes of a hash of this kind. The claim `ancestry` has hashes of the same lengths.
    const fn bytes(self) -> usize {
        match self {
            Self::Token | Self::Actor => 6,
            Self::Subject | Self::Session => 5,
            // The hash of the issuer, and one byte for the key.
            Self::SigningKey => 4,
            Self::Client | Self::Issuer => 3,
        }
    }
}

named_values!(RevocationKind, as_str, "`token`, `subject`, `session`, `client`, `actor`, `issuer` or `signing_key`");

/// The name of a revocation in a store: its kind, and a hash that only the owner of the
/// [`AncestryKey`](super::AncestryKey) can compute. A key contains no token and no name.
///
/// `Display` writes the kind, a colon and the hash, which is a key for a database.
///
/// ```
/// use tower_token_exchange::revocation::{AncestryKey, CutOff, RevocationKey, RevocationKind};
///
/// let ancestry_key = AncestryKey::new([7; 32])?;
/// let key = CutOff::client("orders").key(&ancestry_key);
/// assert_eq!(key.kind(), RevocationKind::Client);
/// assert!(key.to_string().starts_with("client:"));
/// assert_eq!(RevocationKey::from_bytes(key.to_bytes()), Some(key));
/// # Ok::<(), tower_token_exchange::revocation::AncestryKeyError>(())
/// ```
// The number of the kind is in the first byte, and the hash is in the last bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RevocationKey(u64);

impl RevocationKey {
    /// A key with the first bytes of a hash.
    pub(crate) fn new(kind: RevocationKind, hash: [u8; 8]) -> Self {
        let mut bytes = [0; 8];
        let length = kind.bytes();
        bytes[8 - length..].copy_from_slice(&hash[..length]);
        bytes[0] = kind as u8;
        Self(u64::from_be_bytes(bytes))
    }

    /// A key with a hash that the claim `ancestry` has.
    pub(crate) fn from_hash<const N: usize>(kind: RevocationKind, hash: [u8; N]) -> Self {
        let mut bytes = [0; 8];
        bytes[8 - N..].copy_from_slice(&hash);
        bytes[0] = kind as u8;
        Self(u64::from_be_bytes(bytes))
    }

    /// The hash in the key. `N` is the length of the hashes of the kind.
    pub(crate) fn hash<const N: usize>(self) -> [u8; N] {
        let mut hash = [0; N];
        hash.copy_from_slice(&self.to_bytes()[8 - N..]);
        hash
    }

    /// The kind.
    pub fn kind(self) -> RevocationKind {
        // Every constructor takes a kind.
        RevocationKind::ALL.get(usize::from(self.to_bytes()[0])).copied().unwrap_or(RevocationKind::Token)
    }

    /// The key as bytes, for a database.
    pub fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// Reads the bytes that [`to_bytes`](Self::to_bytes) returned. `None` if the first byte is not that of a kind.
    pub fn from_bytes(bytes: [u8; 8]) -> Option<Self> {
        let is_kind = usize::from(bytes[0]) < RevocationKind::ALL.len();
        is_kind.then_some(Self(u64::from_be_bytes(bytes)))
    }
}

impl fmt::Display for RevocationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.to_bytes();
        write!(f, "{}:{}", self.kind(), HEXLOWER.encode_display(&bytes[8 - self.kind().bytes()..]))
    }
}

impl fmt::Debug for RevocationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RevocationKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_kind_and_hash() {
        for kind in RevocationKind::ALL {
            let key = RevocationKey::new(*kind, [1, 2, 3, 4, 5, 6, 7, 8]);
            assert_eq!(key.kind(), *kind);
            assert_eq!(RevocationKey::from_bytes(key.to_bytes()), Some(key));
            assert_eq!(key.hash::<3>()[..], [1, 2, 3, 4, 5, 6][kind.bytes() - 3..kind.bytes()]);
            assert_eq!(key, RevocationKey::from_hash(*kind, key.hash::<6>()));
        }
        assert_eq!(RevocationKey::new(RevocationKind::Client, [0xab; 8]).to_string(), "client:ababab");
        assert_eq!(RevocationKey::from_bytes([7, 0, 0, 0, 0, 0, 0, 0]), None);
    }
}
