//! The keys that a store remembers, in little memory.

use super::{UseOnce, Used};
use crate::protocol::{ClientId, NumericDate};
use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, RandomState},
};

/// The short form of a key.
pub(super) type ShortKey = [u8; 16];

/// The keys that were used and have not been forgotten. One key needs 60 to 90 bytes.
#[derive(Debug)]
pub(super) struct Uses {
    known: HashMap<ShortKey, Use>,
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
            known: HashMap::new(),
            by_expiry: BTreeMap::new(),
            shares: HashMap::new(),
            tags: RandomState::new(),
            capacity,
        }
    }

    /// Remembers a key that is new, if there is room.
    pub(super) fn use_once(&mut self, question: &UseOnce) -> Used {
        let now = seconds(question.now);
        if self.known.get(&question.key.short()).is_some_and(|known| known.until > now) {
            return Used::Again;
        }
        let client = self.tag(&question.client_id);
        let mut room = self.room(client);
        if room != Used::First {
            self.forget_expired(now);
            room = self.room(client);
        }
        if room == Used::First {
            self.insert(question.key.short(), client, seconds(question.remember_until));
        }
        room
    }

    /// Whether there is room for another key of a client.
    fn room(&self, client: ClientTag) -> Used {
        let free = self.capacity.saturating_sub(self.known.len());
        let share = self.shares.get(&client).map_or(0, |number| *number as usize);
        match free {
            0 => Used::Full,
            free if share >= free => Used::ShareUsed,
            _ => Used::First,
        }
    }

    fn insert(&mut self, key: ShortKey, client: ClientTag, until: Seconds) {
        // An expired key is used again.
        if let Some(before) = self.known.insert(key, Use { until, client }) {
            self.leave_share(before.client);
            if let Some(list) = self.by_expiry.get_mut(&before.until) {
                list.retain(|other| *other != key);
            }
        }
        *self.shares.entry(client).or_default() += 1;
        self.by_expiry.entry(until).or_default().push(key);
    }

    fn forget_expired(&mut self, now: Seconds) {
        while let Some(list) = self.by_expiry.first_entry()
            && *list.key() <= now
        {
            for key in list.remove() {
                if let Some(expired) = self.known.remove(&key) {
                    self.leave_share(expired.client);
                }
            }
        }
    }

    fn leave_share(&mut self, client: ClientTag) {
        let Some(number) = self.shares.get_mut(&client) else { return };
        *number -= 1;
        if *number == 0 {
            self.shares.remove(&client);
        }
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
        uses.use_once(&UseOnce { key, client_id: client.into(), now: at(now), remember_until: at(expires) })
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
        assert!(uses.known.len() <= 8);
        assert_eq!((listed, shared as usize), (uses.known.len(), uses.known.len()));
    }
}
