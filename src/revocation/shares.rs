use std::collections::{BTreeMap, HashMap};

/// A time in seconds since 1970. A time after the year 2105 is the last second of the range.
pub(super) type Seconds = u32;

/// A part of a keyed hash of a client id. Two clients with one tag have one share, so that a store of any size has few shares.
pub(super) type HolderTag = u16;

/// How many revocations of each client are in a store, by the time at which they expire.
#[derive(Debug, Default)]
pub(super) struct Shares(HashMap<HolderTag, Share>);

#[derive(Debug, Default)]
struct Share {
    number: usize,
    /// The number of revocations that expire at each time.
    expiring: BTreeMap<Seconds, u32>,
}

impl Shares {
    pub(super) fn add(&mut self, holder: HolderTag, until: Seconds) {
        let share = self.0.entry(holder).or_default();
        share.number += 1;
        *share.expiring.entry(until).or_default() += 1;
    }

    pub(super) fn remove(&mut self, holder: HolderTag, until: Seconds) {
        let Some(share) = self.0.get_mut(&holder) else { return };
        let Some(number) = share.expiring.get_mut(&until) else { return };
        *number -= 1;
        if *number == 0 {
            share.expiring.remove(&until);
        }
        share.number -= 1;
        if share.number == 0 {
            self.0.remove(&holder);
        }
    }

    /// The time at which a client can revoke again, if the client has at least as many revocations as places are free.
    ///
    /// At that time, so many revocations of the client have expired that the client has fewer than places are free, if no other
    /// client takes a place before.
    pub(super) fn retry_at(&self, holder: HolderTag, free: usize) -> Option<Seconds> {
        let share = self.0.get(&holder)?;
        // Each revocation that expires leaves the client with one less, and the store with one more free place.
        let mut missing = share.number.checked_sub(free)? / 2 + 1;
        for (until, number) in &share.expiring {
            if *number as usize >= missing {
                return Some(*until);
            }
            missing -= *number as usize;
        }
        share.expiring.last_key_value().map(|(until, _)| *until)
    }

    #[cfg(test)]
    pub(super) fn total(&self) -> usize {
        self.0.values().map(|share| share.expiring.values().sum::<u32>() as usize).sum()
    }
}
