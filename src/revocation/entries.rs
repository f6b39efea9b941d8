//! The revocations that a store remembers, in little memory.

use super::{
    FoundRevocation, Revocation, RevocationKey, RevocationState, RevocationsFull,
    shares::{HolderTag, Seconds, Shares},
};
use crate::protocol::{ClientId, NumericDate};
use std::{
    collections::{BTreeSet, HashMap},
    hash::{BuildHasher, RandomState},
};

/// The number of maps. A map that grows copies its entries while every request waits, so a map has only a part of the entries.
const MAPS: usize = 16;

/// The revocations that were not forgotten. One revocation needs 60 to 100 bytes.
#[derive(Debug)]
pub(super) struct Entries {
    known: [HashMap<RevocationKey, Entry>; MAPS],
    /// The number of revocations in all maps.
    number: usize,
    /// The same revocations, by the time at which they can be forgotten.
    by_expiry: BTreeSet<(Seconds, RevocationKey)>,
    shares: Shares,
    tags: RandomState,
    capacity: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    until: Seconds,
    issued_before: Seconds,
    /// `None` for a revocation that is of no client.
    holder: Option<HolderTag>,
}

/// The room for another revocation.
pub(super) struct Room {
    /// Whether the revocation can be inserted.
    pub(super) is_free: bool,
    /// The answer.
    pub(super) state: Result<RevocationState, RevocationsFull>,
    /// The expired revocations that were forgotten to make room.
    #[cfg_attr(not(feature = "revocation-file"), allow(dead_code, reason = "only the file has to forget them too"))]
    pub(super) forgotten: Vec<RevocationKey>,
}

impl Entries {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            known: Default::default(),
            number: 0,
            by_expiry: BTreeSet::new(),
            shares: Shares::default(),
            tags: RandomState::new(),
            capacity,
        }
    }

    /// The revocations with these keys.
    pub(super) fn find(&self, keys: &[RevocationKey]) -> Vec<FoundRevocation> {
        if self.number == 0 {
            return Vec::new();
        }
        let found = keys.iter().filter_map(|key| {
            let entry = self.map(*key).get(key)?;
            Some(FoundRevocation::new(*key, date(entry.issued_before)))
        });
        found.collect()
    }

    /// Whether the revocation changes the store: the store does not have the revocation, could forget the revocation too early,
    /// or has an earlier moment.
    pub(super) fn is_new(&self, revocation: &Revocation) -> bool {
        let known = self.map(revocation.key).get(&revocation.key);
        known.is_none_or(|known| {
            known.until < seconds(revocation.until) || known.issued_before < seconds(revocation.issued_before)
        })
    }

    /// Remembers a revocation, if there is room.
    pub(super) fn revoke(
        &mut self,
        revocation: &Revocation,
        now: NumericDate,
    ) -> Result<RevocationState, RevocationsFull> {
        if !self.is_new(revocation) {
            return Ok(RevocationState::Revoked);
        }
        let Room { is_free, state, .. } = self.make_room(revocation, now);
        if is_free {
            self.insert(revocation);
        }
        state
    }

    /// Finds room for a revocation that is new.
    pub(super) fn make_room(&mut self, revocation: &Revocation, now: NumericDate) -> Room {
        let mut state = self.admit(revocation);
        let mut forgotten = Vec::new();
        if state != Ok(RevocationState::Revoked) {
            forgotten = self.forget_expired(seconds(now));
            state = self.admit(revocation);
        }
        let is_free = state == Ok(RevocationState::Revoked);
        // An expired token is revoked without a place.
        let state = if revocation.until <= now { Ok(RevocationState::Revoked) } else { state };
        Room { is_free, state, forgotten }
    }

    fn admit(&self, revocation: &Revocation) -> Result<RevocationState, RevocationsFull> {
        let free = self.capacity.saturating_sub(self.number);
        if self.map(revocation.key).contains_key(&revocation.key) {
            return Ok(RevocationState::Revoked);
        }
        let holder = revocation.holder.as_ref().map(|holder| self.tag(holder));
        match holder.and_then(|holder| self.shares.retry_at(holder, free)) {
            Some(retry_at) => Ok(RevocationState::ShareUsed { retry_at: date(retry_at) }),
            None if free == 0 => Err(RevocationsFull { capacity: self.capacity }),
            None => Ok(RevocationState::Revoked),
        }
    }

    /// Adds a revocation. A revocation of the same key gets the later times of both.
    pub(super) fn insert(&mut self, revocation: &Revocation) {
        let mut new = Entry {
            until: seconds(revocation.until),
            issued_before: seconds(revocation.issued_before),
            holder: revocation.holder.as_ref().map(|holder| self.tag(holder)),
        };
        if let Some(known) = self.remove(revocation.key) {
            self.by_expiry.remove(&(known.until, revocation.key));
            new.until = new.until.max(known.until);
            new.issued_before = new.issued_before.max(known.issued_before);
        }
        if let Some(holder) = new.holder {
            self.shares.add(holder, new.until);
        }
        self.by_expiry.insert((new.until, revocation.key));
        self.known[index(revocation.key)].insert(revocation.key, new);
        self.number += 1;
    }

    fn forget_expired(&mut self, now: Seconds) -> Vec<RevocationKey> {
        let mut forgotten = Vec::new();
        while self.by_expiry.first().is_some_and(|(until, _)| *until <= now) {
            let Some((_, key)) = self.by_expiry.pop_first() else { break };
            self.remove(key);
            forgotten.push(key);
        }
        forgotten
    }

    /// Removes a revocation, except from the list by expiry.
    fn remove(&mut self, key: RevocationKey) -> Option<Entry> {
        let removed = self.known[index(key)].remove(&key)?;
        self.number -= 1;
        if let Some(holder) = removed.holder {
            self.shares.remove(holder, removed.until);
        }
        Some(removed)
    }

    fn map(&self, key: RevocationKey) -> &HashMap<RevocationKey, Entry> {
        &self.known[index(key)]
    }

    fn tag(&self, holder: &ClientId) -> HolderTag {
        // 16384 shares at most.
        (self.tags.hash_one(holder) & 0x3fff) as HolderTag
    }
}

fn index(key: RevocationKey) -> usize {
    usize::from(key.to_bytes()[7]) % MAPS
}

fn seconds(time: NumericDate) -> Seconds {
    Seconds::try_from(time.seconds()).unwrap_or(Seconds::MAX)
}

/// The time of an entry. The last second of the range stands for every later time.
fn date(seconds: Seconds) -> NumericDate {
    NumericDate::from_seconds(if seconds == Seconds::MAX { u64::MAX } else { seconds.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revocation::RevocationKind;

    const REVOKED: Result<RevocationState, RevocationsFull> = Ok(RevocationState::Revoked);

    fn at(seconds: u64) -> NumericDate {
        NumericDate::from_seconds(seconds)
    }

    fn token(name: &str) -> RevocationKey {
        let mut hash = [0; 8];
        hash[..name.len().min(6)].copy_from_slice(&name.as_bytes()[..name.len().min(6)]);
        RevocationKey::new(RevocationKind::Token, hash)
    }

    impl Entries {
        fn try_revoke(
            &mut self,
            holder: &str,
            name: &str,
            now: u64,
            until: u64,
        ) -> Result<RevocationState, RevocationsFull> {
            self.revoke(&Revocation::of_token(token(name), at(until)).by(holder), at(now))
        }

        fn is_revoked(&self, name: &str) -> bool {
            !self.find(&[token(name)]).is_empty()
        }
    }

    fn share_used(retry_at: u64) -> Result<RevocationState, RevocationsFull> {
        Ok(RevocationState::ShareUsed { retry_at: at(retry_at) })
    }

    #[test]
    fn a_clock_that_runs_ahead_loses_no_revocation() {
        let mut store = Entries::new(10);
        assert_eq!(store.try_revoke("orders", "before", 10, 20), REVOKED);
        // The clock is ahead, so that both tokens seem to have expired.
        assert_eq!(store.try_revoke("orders", "mean", 3610, 20), REVOKED);
        assert_eq!(store.try_revoke("orders", "other", 3610, 4000), REVOKED);
        assert!(["before", "mean", "other"].iter().all(|name| store.is_revoked(name)));
    }

    #[test]
    fn a_revocation_is_kept_until_the_token_expires() {
        let mut store = Entries::new(2);
        // Each token is of another client.
        let mut revoke = |name: &str, now, until, is_revoked: &[&str]| {
            let state = store.try_revoke(name, name, now, until);
            let found = ["a", "b", "c", "d", "e"].into_iter().filter(|name| store.is_revoked(name));
            assert_eq!(found.collect::<Vec<_>>(), is_revoked, "{name} at {now}");
            state
        };
        assert_eq!(revoke("a", 10, 20, &["a"]), REVOKED);
        assert_eq!(revoke("b", 10, 20, &["a", "b"]), REVOKED);
        assert_eq!(revoke("a", 10, 20, &["a", "b"]), REVOKED);
        assert_eq!(revoke("c", 19, 30, &["a", "b"]), Err(RevocationsFull { capacity: 2 }));
        assert_eq!(revoke("c", 20, 30, &["c"]), REVOKED);
        // If two tokens have one name, the later expiry time counts.
        for until in [40, 35] {
            assert_eq!(revoke("c", 21, until, &["c"]), REVOKED);
        }
        assert_eq!(revoke("b", 39, 50, &["b", "c"]), REVOKED);
        assert_eq!(revoke("e", 40, 50, &["b", "e"]), REVOKED);
        // The revocation of an expired token needs no room.
        assert_eq!(revoke("d", 20, 20, &["b", "e"]), REVOKED);
    }

    #[test]
    fn the_later_moment_of_two_cut_offs_counts() {
        let mut store = Entries::new(2);
        let key = RevocationKey::new(RevocationKind::Client, [1; 8]);
        for (moment, expected) in [(100, 100), (90, 100), (110, 110)] {
            let cut_off = Revocation::cut_off(key, at(moment), at(1000));
            assert_eq!(store.revoke(&cut_off, at(50)), REVOKED);
            assert_eq!(store.find(&[key]), [FoundRevocation::new(key, at(expected))]);
        }
        assert_eq!(store.number, 1);
    }

    #[test]
    fn one_client_leaves_room_for_others() {
        let mut store = Entries::new(100);
        let mut take_share = |client: &str| {
            let is_taken =
                |number: &u64| store.try_revoke(client, &format!("{}{number}", &client[..1]), 10, 20) == REVOKED;
            (0..1000).take_while(is_taken).count()
        };
        let shares = ["greedy", "second", "third"].map(&mut take_share);
        assert_eq!(shares, [50, 25, 13], "each client leaves as many places free as it has");
        // The operator is served to the last place.
        for number in 0..12 {
            let key = RevocationKey::new(RevocationKind::Client, [number; 8]);
            assert_eq!(store.revoke(&Revocation::cut_off(key, at(10), at(20)), at(10)), REVOKED);
        }
        assert_eq!(store.try_revoke("late", "late", 10, 20), Err(RevocationsFull { capacity: 100 }));
        // The known revocations of a client with a full share stay, and can be repeated.
        assert_eq!(store.try_revoke("greedy", "g0", 10, 20), REVOKED);
    }

    #[test]
    fn a_share_is_free_when_the_store_says() {
        let mut store = Entries::new(4);
        assert_eq!(store.try_revoke("orders", "a", 10, 20), REVOKED);
        assert_eq!(store.try_revoke("orders", "b", 10, 30), REVOKED);
        assert_eq!(store.try_revoke("orders", "c", 10, 40), share_used(20));
        assert_eq!(store.try_revoke("billing", "d", 10, 100), REVOKED);
        assert_eq!(store.try_revoke("orders", "c", 19, 40), share_used(20));
        assert_eq!(store.try_revoke("orders", "c", 20, 40), REVOKED);
        // One more place is not enough if others came meanwhile.
        assert_eq!(store.try_revoke("reports", "e", 20, 100), REVOKED);
        assert_eq!(store.try_revoke("orders", "f", 30, 50), share_used(40));
        assert_eq!(store.try_revoke("orders", "f", 40, 50), REVOKED);
    }

    #[test]
    fn expired_revocations_leave_nothing_behind() {
        let mut store = Entries::new(8);
        for round in 0..100 {
            for client in 0..8 {
                let name = format!("{}", client % 4 + (round % 2) * 4);
                let _ = store.try_revoke(&client.to_string(), &name, round * 10, round * 10 + 10);
            }
        }
        let known: usize = store.known.iter().map(HashMap::len).sum();
        assert!(known <= 8);
        assert_eq!((store.by_expiry.len(), store.number), (known, known));
        assert_eq!(store.shares.total(), known);
    }
}
