//! The keys that a store remembers, in little memory.

use super::{UseOnce, Used};
use crate::protocol::{ClientId, NumericDate};
use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, RandomState},
};

/// The short form of a key.
pub(super) type ShortKey = [u8; 16];

/// The number of maps. A map that grows copies its keys while every request waits, so a map has only a part of the keys.
const MAPS: usize = 16;

/// The keys that were used and have not been forgotten. One key needs 60 to 90 bytes.
#[derive(Debug)]
pub(super) struct Uses {
    known: [HashMap<ShortKey, Use>; MAPS],
    /// The number of keys in all maps.
    number: usize,
    /// The same keys, by the time at which they can be forgotten.
    by_expiry: BTreeMap<Seconds, Vec<ShortKey>>,
    /// The number of keys of each client.
    shares: HashMap<ClientTag, u32>,
    tags: RandomState,
    capacity: usize,
}

/// A time in seconds since 1970. A time after the year 2105 is the last second of the range.
type Seconds = u32;

/// 32 bits of a keyed hash of a client id. Two clients with one tag have one share.
type ClientTag = u32;

#[derive(Clone, Copy, Debug)]
struct Use {
    until: Seconds,
    client: ClientTag,
}

impl Uses {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            known: Default::default(),
            number: 0,
            by_expiry: BTreeMap::new(),
            shares: HashMap::new(),
            tags: RandomState::new(),
            capacity,
        }
    }

    /// Remembers a key that is new, if there is room. `forgotten` gets the expired keys that made room.
    pub(super) fn use_once(&mut self, question: &UseOnce, forgotten: impl FnMut(ShortKey)) -> Used {
        let (key, now) = (question.key.short(), seconds(question.now));
        if self.map(&key).get(&key).is_some_and(|known| known.until > now) {
            return Used::Again;
        }
        let client = self.tag(&question.client_id);
        let mut room = self.room(client);
        if room != Used::First {
            self.forget_expired(now, forgotten);
            room = self.room(client);
        }
        if room == Used::First {
            self.insert(key, Use { until: seconds(question.remember_until), client });
        }
        room
    }

    /// Whether there is room for another key of a client.
    fn room(&self, client: ClientTag) -> Used {
        let free = self.capacity.saturating_sub(self.number);
        let share = self.shares.get(&client).map_or(0, |number| *number as usize);
        match free {
            0 => Used::Full,
            free if share >= free => Used::ShareUsed,
            _ => Used::First,
        }
    }

    fn insert(&mut self, key: ShortKey, new: Use) {
        // An expired key is used again.
        self.forget(&key);
        self.map(&key).insert(key, new);
        self.number += 1;
        *self.shares.entry(new.client).or_default() += 1;
        self.by_expiry.entry(new.until).or_default().push(key);
    }

    /// Forgets a key. The key counts as new.
    pub(super) fn forget(&mut self, key: &ShortKey) {
        let Some(known) = self.remove(key) else { return };
        if let Some(list) = self.by_expiry.get_mut(&known.until) {
            list.retain(|other| other != key);
        }
    }

    fn forget_expired(&mut self, now: Seconds, mut forgotten: impl FnMut(ShortKey)) {
        while let Some(list) = self.by_expiry.first_entry()
            && *list.key() <= now
        {
            for key in list.remove() {
                self.remove(&key);
                forgotten(key);
            }
        }
    }

    fn remove(&mut self, key: &ShortKey) -> Option<Use> {
        let removed = self.map(key).remove(key)?;
        self.number -= 1;
        self.leave_share(removed.client);
        Some(removed)
    }

    fn map(&mut self, key: &ShortKey) -> &mut HashMap<ShortKey, Use> {
        &mut self.known[usize::from(key[0]) % MAPS]
    }

    fn leave_share(&mut self, client: ClientTag) {
        let Some(number) = self.shares.get_mut(&client) else { return };
        *number -= 1;
        if *number == 0 {
            self.shares.remove(&client);
        }
    }

    /// The number of keys that the store has room for.
    #[cfg(feature = "replay-file")]
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Remembers a key that a file has.
    #[cfg(feature = "replay-file")]
    pub(super) fn restore(&mut self, key: ShortKey, client_id: &ClientId, until: NumericDate) {
        let client = self.tag(client_id);
        self.insert(key, Use { until: seconds(until), client });
    }

    fn tag(&self, client_id: &ClientId) -> ClientTag {
        self.tags.hash_one(client_id) as ClientTag
    }
}

fn seconds(time: NumericDate) -> Seconds {
    Seconds::try_from(time.seconds()).unwrap_or(Seconds::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::{UseKey, UseKind};

    fn ask(uses: &mut Uses, client: &str, id: &str, now: u64, expires: u64) -> Used {
        let key = UseKey::new(UseKind::SubjectToken, "https://as.example", id);
        let at = NumericDate::from_seconds;
        uses.use_once(&UseOnce { key, client_id: client.into(), now: at(now), remember_until: at(expires) }, drop)
    }

    #[test]
    fn a_key_is_first_once_until_it_expires() {
        let mut uses = Uses::new(100);
        for (id, now, until, expected) in [
            ("a", 10, 20, Used::First),
            ("a", 10, 20, Used::Again),
            ("b", 10, 20, Used::First),
            ("a", 19, 90, Used::Again),
            ("a", 20, 30, Used::First),
            ("a", 29, 90, Used::Again),
        ] {
            assert_eq!(ask(&mut uses, "orders", id, now, until), expected, "{id} at {now}");
        }
    }

    #[test]
    fn a_full_store_refuses_and_forgets_nothing() {
        let mut uses = Uses::new(2);
        assert_eq!(ask(&mut uses, "orders", "a", 10, 20), Used::First);
        assert_eq!(ask(&mut uses, "billing", "b", 10, 30), Used::First);
        assert_eq!(ask(&mut uses, "reports", "c", 19, 40), Used::Full);
        assert_eq!(ask(&mut uses, "reports", "a", 19, 40), Used::Again);
        assert_eq!(ask(&mut uses, "reports", "c", 20, 40), Used::First, "`a` has expired");
        assert_eq!(ask(&mut uses, "reports", "b", 20, 40), Used::Again);
        assert_eq!(ask(&mut uses, "late", "d", 29, 40), Used::Full);
    }

    #[test]
    fn a_clock_that_runs_ahead_loses_no_key() {
        let mut uses = Uses::new(100);
        assert_eq!(ask(&mut uses, "orders", "before", 10, 20), Used::First);
        assert_eq!(ask(&mut uses, "orders", "meanwhile", 3610, 3700), Used::First);
        assert_eq!(ask(&mut uses, "orders", "before", 11, 20), Used::Again);
    }

    #[test]
    fn one_client_leaves_room_for_others() {
        let mut uses = Uses::new(100);
        let mut take_share = |client: &str| {
            let is_taken = |number: &u32| ask(&mut uses, client, &format!("{client}-{number}"), 10, 20) == Used::First;
            (0..1000).take_while(is_taken).count()
        };
        let shares = ["greedy", "second", "third"].map(&mut take_share);
        assert_eq!(shares, [50, 25, 13], "each client leaves as many places free as it has");
        assert_eq!(ask(&mut uses, "greedy", "another", 10, 20), Used::ShareUsed);
        assert_eq!(ask(&mut uses, "greedy", "another", 20, 30), Used::First, "the share has expired");
    }

    #[test]
    fn expired_keys_leave_nothing_behind() {
        let mut uses = Uses::new(8);
        for round in 0..100 {
            let now = round * 10;
            for client in 0..8 {
                let (client, id) = (client.to_string(), format!("{}", client % 4 + (round % 2) * 4));
                ask(&mut uses, &client, &id, now, now + 10);
            }
        }
        let listed: usize = uses.by_expiry.values().map(Vec::len).sum();
        let shared: u32 = uses.shares.values().sum();
        let known: usize = uses.known.iter().map(HashMap::len).sum();
        assert!(known <= 8);
        assert_eq!((listed, shared as usize, uses.number), (known, known, known));
    }
}
