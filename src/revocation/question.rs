use super::{KeyFingerprint, RevocationKey};
use crate::protocol::{ClientId, NumericDate};

/// A moment after every time of issue. The revocation of a single token has this moment.
const AFTER_EVERYTHING: NumericDate = NumericDate::from_seconds(u64::MAX);

/// One entry of a [`RevocationStore`](super::RevocationStore).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Revocation {
    /// What is revoked.
    pub key: RevocationKey,
    /// Only tokens that were issued before this moment are revoked. A second revocation of the same key has the later moment of
    /// both.
    pub issued_before: NumericDate,
    /// The client that revokes the token. A store that cannot grow without end gives each client a share. `None` for a
    /// revocation by the operator, by the application or by another server.
    pub holder: Option<ClientId>,
    /// The time after which the store may forget the revocation.
    pub until: NumericDate,
}

impl Revocation {
    /// The revocation of one token, which expires at `until`.
    pub fn of_token(key: RevocationKey, until: NumericDate) -> Self {
        Self { key, issued_before: AFTER_EVERYTHING, holder: None, until }
    }

    /// The revocation of all tokens of a [`CutOff`](super::CutOff) that were issued before a moment.
    pub fn cut_off(key: RevocationKey, issued_before: NumericDate, until: NumericDate) -> Self {
        Self { key, issued_before, holder: None, until }
    }

    /// Counts the revocation for the share of a client.
    #[must_use]
    pub fn by(mut self, holder: impl Into<ClientId>) -> Self {
        self.holder = Some(holder.into());
        self
    }
}

/// A question to a [`RevocationStore`](super::RevocationStore).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevocationQuestion {
    /// Asks the store to remember a revocation. A repeated question changes nothing.
    ///
    /// The store answers [`RevocationState::Revoked`] as soon as the store will not lose the revocation any more.
    #[non_exhaustive]
    Revoke {
        /// The revocation.
        revocation: Revocation,
        /// The current time.
        now: NumericDate,
        /// The key that made the hash in the revocation. A store with hashes of another key has to return an error.
        made_with: Option<KeyFingerprint>,
    },
    /// Asks which of these keys have a revocation. A token has several keys: its own, those of its ancestors, and those of its
    /// subject, its client and its other attributes.
    #[non_exhaustive]
    Find {
        /// The keys, in any order. A key can be in the list twice.
        keys: Vec<RevocationKey>,
        /// The key that made the hashes. A store with hashes of another key has to return an error.
        made_with: Option<KeyFingerprint>,
    },
}

impl RevocationQuestion {
    /// The question that adds a revocation.
    pub fn revoke(revocation: Revocation, now: NumericDate) -> Self {
        Self::Revoke { revocation, now, made_with: None }
    }

    /// The question which of these keys have a revocation.
    pub fn find(keys: impl IntoIterator<Item = RevocationKey>) -> Self {
        Self::Find { keys: keys.into_iter().collect(), made_with: None }
    }

    /// Says which key made the hashes.
    #[must_use]
    pub fn made_with(mut self, key: KeyFingerprint) -> Self {
        let (Self::Revoke { made_with, .. } | Self::Find { made_with, .. }) = &mut self;
        *made_with = Some(key);
        self
    }
}

/// The answer of a [`RevocationStore`](super::RevocationStore).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevocationState {
    /// The store has the revocation.
    Revoked,
    /// The keys that have a revocation. An empty list means that nothing is revoked.
    Found(Vec<FoundRevocation>),
    /// The store did not take the revocation, because its client has its share of the store. The client gets 429 with
    /// `Retry-After` (RFC 6585 section 4).
    ShareUsed {
        /// The time at which the client can revoke again.
        retry_at: NumericDate,
    },
}

/// A revocation in the answer of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundRevocation {
    /// What is revoked.
    pub key: RevocationKey,
    /// Only tokens that were issued before this moment are revoked.
    pub issued_before: NumericDate,
}

impl FoundRevocation {
    /// A revocation, as the store remembers it.
    pub fn new(key: RevocationKey, issued_before: NumericDate) -> Self {
        Self { key, issued_before }
    }
}
