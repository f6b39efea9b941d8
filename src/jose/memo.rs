//! The memo of verified signatures.

use super::{Compact, public_key::Fingerprint};
use crate::{locks::lock, metrics, protocol::ClientId, random};
use siphasher::sip128::{Hasher128, SipHasher24};
use std::{
    cmp::Reverse,
    hash::{BuildHasher, Hasher, RandomState},
    sync::Mutex,
};

/// The entries of one bucket.
const BUCKET: usize = 16;

/// The signatures that were verified: which key verified which token.
///
/// An entry states that the signature of a token is good for a public key. That stays true for ever, whoever trusts the key:
/// an entry says nothing about an issuer, about the claims, or about time. Failed verifications have no entry. An entry has a
/// hash of the token, and no part of the token.
///
/// The memo has a fixed number of buckets, and a bucket has at most [`BUCKET`] entries. The hash of a token decides the bucket.
/// A new entry in a full bucket takes the place of an entry of the client with the most entries there.
pub(crate) struct SignatureMemo {
    /// The start of each hash of a token, which has a random key. Without the key, nobody can make a token for a hash.
    keyed: SipHasher24,
    hasher: RandomState,
    buckets: Box<[Mutex<Bucket>]>,
}

/// The keyed hash of a token: of its header, its payload and its signature.
pub(super) type TokenHash = u128;

/// A hash of the client that presents a token, or 0 if the client is not known.
type ClientHash = u64;

#[derive(Default)]
struct Bucket {
    entries: Vec<Entry>,
    /// The number of uses of the bucket so far.
    uses: u64,
}

struct Entry {
    token: TokenHash,
    key: Fingerprint,
    client: ClientHash,
    /// The number of the last use of the entry.
    used: u64,
}

/// A memo in the hands of one client.
#[derive(Clone, Copy)]
pub(crate) struct ClientMemo<'a> {
    memo: &'a SignatureMemo,
    client: ClientHash,
}

impl SignatureMemo {
    /// A memo with this number of entries, rounded up to full buckets. `None` for no entries, and if the system has no
    /// randomness.
    pub(crate) fn new(entries: usize) -> Option<Self> {
        let buckets = entries.div_ceil(BUCKET);
        let key = random::bytes().filter(|_| buckets > 0)?;
        let keyed = SipHasher24::new_with_key(&key);
        Some(Self { keyed, hasher: RandomState::new(), buckets: (0..buckets).map(|_| Mutex::default()).collect() })
    }

    pub(crate) fn for_client(&self, client: Option<&ClientId>) -> ClientMemo<'_> {
        ClientMemo { memo: self, client: client.map_or(0, |client| self.hasher.hash_one(client)) }
    }

    fn bucket(&self, token: TokenHash) -> &Mutex<Bucket> {
        // The remainder is less than a `usize`.
        &self.buckets[(token % self.buckets.len() as u128) as usize]
    }
}

impl ClientMemo<'_> {
    pub(super) fn hash(&self, jws: &Compact<'_>) -> TokenHash {
        let mut hasher = self.memo.keyed;
        // The signed bytes have one dot, so no other token has the same parts.
        [jws.signing_input.as_bytes(), b".", jws.signature()].into_iter().for_each(|part| hasher.write(part));
        hasher.finish128().as_u128()
    }

    /// Returns the key that verified the token.
    pub(super) fn key_of(&self, token: TokenHash) -> Option<Fingerprint> {
        let key = lock(self.memo.bucket(token)).use_entry(token);
        metrics::record_cache_lookup("signature", key.is_some());
        key
    }

    /// Remembers that the key verified the token.
    pub(super) fn remember(&self, token: TokenHash, key: Fingerprint) {
        lock(self.memo.bucket(token)).insert(token, key, self.client);
    }
}

impl Bucket {
    fn use_entry(&mut self, token: TokenHash) -> Option<Fingerprint> {
        self.uses += 1;
        let entry = self.entries.iter_mut().find(|entry| entry.token == token)?;
        entry.used = self.uses;
        Some(entry.key)
    }

    fn insert(&mut self, token: TokenHash, key: Fingerprint, client: ClientHash) {
        self.uses += 1;
        let entry = Entry { token, key, client, used: self.uses };
        let known = self.entries.iter().position(|entry| entry.token == token);
        match known.or_else(|| self.replaceable(client)) {
            Some(place) => self.entries[place] = entry,
            None => {
                // The first entry reserves the whole bucket, so a bucket does not grow beyond its bound.
                self.entries.reserve_exact(BUCKET - self.entries.len());
                self.entries.push(entry);
            }
        }
    }

    /// Returns the entry of a full bucket whose place a new entry of the client takes: of the entries of the client with the
    /// most entries, the entry that was not used for the longest time. The new entry counts too.
    fn replaceable(&self, newcomer: ClientHash) -> Option<usize> {
        let held_by = |client| {
            let held = self.entries.iter().filter(|entry| entry.client == client).count();
            held + usize::from(client == newcomer)
        };
        let places = 0..self.entries.len();
        let worst = |place: &usize| (held_by(self.entries[*place].client), Reverse(self.entries[*place].used));
        if self.entries.len() < BUCKET { None } else { places.max_by_key(worst) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Fingerprint = [7; 32];

    /// The hash of a token. All hashes of the same `bucket` are in one bucket.
    fn token(bucket: u8, number: u16) -> TokenHash {
        u128::from(number) << 64 | u128::from(bucket)
    }

    fn memo(entries: usize) -> SignatureMemo {
        SignatureMemo::new(entries).unwrap()
    }

    fn present(memo: &SignatureMemo, client: &str, tokens: impl IntoIterator<Item = u16>) {
        let memo = memo.for_client(Some(&ClientId::from(client)));
        tokens.into_iter().for_each(|number| memo.remember(token(0, number), KEY));
    }

    fn known(memo: &SignatureMemo, tokens: impl IntoIterator<Item = u16>) -> usize {
        let memo = memo.for_client(None);
        tokens.into_iter().filter(|number| memo.key_of(token(0, *number)) == Some(KEY)).count()
    }

    #[test]
    fn no_entries_are_no_memo() {
        assert!(SignatureMemo::new(0).is_none());
    }

    #[test]
    fn the_number_of_entries_is_bounded() {
        let memo = memo(64);
        let client = memo.for_client(None);
        for bucket in 0..=u8::MAX {
            (0..100).for_each(|number| client.remember(token(bucket, number), KEY));
        }
        let entries: Vec<_> = memo.buckets.iter().map(|bucket| lock(bucket).entries.len()).collect();
        assert_eq!(entries, [BUCKET; 4]);
        assert!(memo.buckets.iter().all(|bucket| lock(bucket).entries.capacity() == BUCKET));
    }

    #[test]
    fn a_repeated_token_takes_one_entry() {
        let memo = memo(BUCKET);
        (0..100).for_each(|_| present(&memo, "orders", [1]));
        assert_eq!(lock(&memo.buckets[0]).entries.len(), 1);
    }

    #[test]
    fn a_used_entry_stays_longest() {
        let memo = memo(BUCKET);
        present(&memo, "orders", 0..16);
        assert_eq!(known(&memo, [0]), 1);
        present(&memo, "orders", 16..31);
        assert_eq!(known(&memo, [0]), 1, "used");
        assert_eq!(known(&memo, 1..16), 0, "not used");
    }

    #[test]
    fn a_client_crowds_out_no_other_client() {
        for (name, before, flood, kept) in [
            ("one entry", 0..1, 100..200, 1),
            ("a half of the bucket", 0..8, 100..200, 8),
            ("more than a half", 0..16, 100..200, 8),
        ] {
            let memo = memo(BUCKET);
            present(&memo, "orders", before.clone());
            present(&memo, "flood", flood);
            assert_eq!(known(&memo, before), kept, "{name}");
        }
        // Many clients with few entries each share the bucket.
        let memo = memo(BUCKET);
        for client in 0..16 {
            present(&memo, &format!("client-{client}"), [client]);
        }
        present(&memo, "flood", 100..200);
        assert_eq!(known(&memo, 0..16), 15);
        assert_eq!(known(&memo, 100..200), 1);
    }

    #[test]
    fn an_entry_has_the_documented_size() {
        assert_eq!(size_of::<Entry>(), 64);
    }
}
