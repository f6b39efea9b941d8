use crate::protocol::{named_values, sha256_of_parts};
use data_encoding::BASE64URL_NOPAD;
use std::fmt;

/// A kind of what may be used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UseKind {
    /// A signed assertion that authenticates a client (RFC 7523 section 2.2).
    ClientAssertion,
    /// A DPoP proof (RFC 9449 section 4).
    DpopProof,
    /// A subject token that may be exchanged once.
    SubjectToken,
}

impl UseKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[Self::ClientAssertion, Self::DpopProof, Self::SubjectToken];

    /// The name of the kind, in `snake_case`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientAssertion => "client_assertion",
            Self::DpopProof => "dpop_proof",
            Self::SubjectToken => "subject_token",
        }
    }
}

named_values!(UseKind, as_str, "`client_assertion`, `dpop_proof` or `subject_token`");

/// The name of something that may be used once: its kind, and a SHA-256 hash. The hash contains no token and no secret.
///
/// `Display` writes the kind, a colon and the hash in base64url, which is a key for a database.
///
/// ```
/// use tower_token_exchange::replay::{UseKey, UseKind};
///
/// let key = UseKey::new(UseKind::ClientAssertion, "orders", "assertion-1");
/// assert_eq!(key, UseKey::new(UseKind::ClientAssertion, "orders", "assertion-1"));
/// assert_ne!(key, UseKey::new(UseKind::ClientAssertion, "billing", "assertion-1"));
/// assert!(key.to_string().starts_with("client_assertion:"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct UseKey {
    kind: UseKind,
    hash: [u8; 32],
}

impl UseKey {
    /// Names something by its kind, by the owner that chose the id, and by the id.
    ///
    /// The owner is the client or the issuer of a client assertion, the thumbprint of the key of a DPoP proof, or the issuer of a
    /// subject token. Two owners can choose the same id.
    pub fn new(kind: UseKind, owner: impl AsRef<str>, id: impl AsRef<str>) -> Self {
        let parts = [kind.as_str(), owner.as_ref(), id.as_ref()];
        let hash = sha256_of_parts(parts.map(str::as_bytes));
        Self { kind, hash }
    }

    /// The kind.
    pub fn kind(&self) -> UseKind {
        self.kind
    }

    /// The hash over the kind, the owner and the id.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// The first half of the hash, for stores that keep many keys. Whoever finds two keys with one half, for which about 2^64
    /// keys have to be tried, gets only one of them accepted.
    pub(super) fn short(&self) -> [u8; 16] {
        let mut short = [0; 16];
        short.copy_from_slice(&self.hash[..16]);
        short
    }
}

impl fmt::Display for UseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, BASE64URL_NOPAD.encode_display(&self.hash))
    }
}

impl fmt::Debug for UseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UseKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_part_of_a_key_counts() {
        let parts = [("a", "bc"), ("ab", "c"), ("", "abc"), ("abc", ""), ("a", "b")];
        let keys = UseKind::ALL.iter().flat_map(|kind| parts.map(|(owner, id)| UseKey::new(*kind, owner, id)));
        let shorts: HashSet<_> = keys.map(|key| key.short()).collect();
        assert_eq!(shorts.len(), UseKind::ALL.len() * parts.len());
    }

    /// Servers of different versions can share a store, so the hash never changes.
    #[test]
    fn a_key_has_a_fixed_text() {
        let key = UseKey::new(UseKind::DpopProof, "thumbprint", "proof-1");
        assert_eq!(key.to_string(), "dpop_proof:ZMDTcXXMjM35UasCcXlkhVBGshpxA35lI0RIX1lzyiI");
    }
}
