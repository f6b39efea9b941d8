use crate::protocol::{ClientId, NumericDate};
use std::collections::{BTreeMap, HashMap};

/// How many revocations of each client are in a store, by the time at which they expire.
#[derive(Debug, Default)]
pub(super) struct Shares(HashMap<ClientId, Share>);

#[derive(Debug, Default)]
struct Share {
    number: usize,
    /// The number of revocations that expire at each time.
    expiring: BTreeMap<NumericDate, usize>,
}

impl Shares {
    pub(super) fn add(&mut self, holder: &ClientId, until: NumericDate) {
        let share = self.0.entry(holder.clone()).or_default();
        share.number += 1;
        *share.expiring.entry(until).or_default() += 1;
    }

    pub(super) fn remove(&mut self, holder: &ClientId, until: NumericDate) {
        let Some(share) = self.0.get_mut(holder) else { return };
        let Some(number) = share.expiring.get_mut(&until) else { return };
        *number -= 1;
        if *number == 0 {
            share.expiring.remove(&until);
        }
        share.number -= 1;
        if share.number == 0 {
            self.0.remove(holder);
        }
    }

    /// The time at which a client can revoke again, if the client has at least as many revocations as places are free.
    ///
    /// At that time, so many revocations of the client have expired that the client has fewer than places are free, if no other
    /// client takes a place before.
    pub(super) fn retry_at(&self, holder: &ClientId, free: usize) -> Option<NumericDate> {
        let share = self.0.get(holder)?;
        // Each revocation that expires leaves the client with one less, and the store with one more free place.
        let mut missing = share.number.checked_sub(free)? / 2 + 1;
        for (until, number) in &share.expiring {
            if *number >= missing {
                return Some(*until);
            }
            missing -= number;
        }
        share.expiring.last_key_value().map(|(until, _)| *until)
    }
}
