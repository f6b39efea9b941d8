//! A table of fixed size, in which each name has a time.

use crate::locks;
use std::{
    fmt,
    sync::{Mutex, OnceLock},
};

/// The entries of one bucket.
const ENTRIES: usize = 16;
/// No time is as far in the future as this, in nanoseconds. A clock that was set back makes such times.
const TOO_FAR: u64 = 2 * 3600 * 1_000_000_000;

/// The times until which names mean something. A name is the keyed hash of a key, so that nobody can choose the bucket of a
/// key, and that a long key needs no more room than a short one.
///
/// The table has a fixed number of entries and never grows. If the bucket of a new name is full, the new name takes the place
/// of the name whose time ends first.
pub(super) struct Table {
    /// Made at the first write.
    buckets: OnceLock<Box<[Mutex<Bucket>]>>,
    number: usize,
}

type Bucket = [Entry; ENTRIES];

#[derive(Clone, Copy, Default)]
struct Entry {
    name: u64,
    /// In nanoseconds since 1970.
    until: u64,
}

impl Entry {
    /// The time that is left. An entry without time is free.
    fn rest(self, now: u64) -> u64 {
        Some(self.until.saturating_sub(now)).filter(|rest| *rest <= TOO_FAR).unwrap_or(0)
    }
}

impl Table {
    pub(super) fn new(capacity: usize) -> Self {
        Self { buckets: OnceLock::new(), number: capacity.div_ceil(ENTRIES).max(1) }
    }

    /// The time of a name, if the time is in the future.
    pub(super) fn get(&self, name: u64, now: u64) -> Option<u64> {
        let bucket = locks::lock(self.buckets.get()?.get(self.position(name))?);
        find(&bucket, name, now).map(|at| bucket[at].until)
    }

    /// Replaces the time of a name, in one step. The function gets the time as [`get`](Self::get) returns it, and returns the
    /// new time, or an error if the time stays.
    pub(super) fn update<E>(
        &self,
        name: u64,
        now: u64,
        next: impl FnOnce(Option<u64>) -> Result<u64, E>,
    ) -> Result<(), E> {
        let buckets = self.buckets.get_or_init(|| (0..self.number).map(|_| Mutex::default()).collect());
        let mut bucket = locks::lock(&buckets[self.position(name)]);
        let found = find(&bucket, name, now);
        let until = next(found.map(|at| bucket[at].until))?;
        let first_to_end = || (0..ENTRIES).min_by_key(|at| bucket[*at].rest(now)).unwrap_or(0);
        let place = found.unwrap_or_else(first_to_end);
        bucket[place] = Entry { name, until };
        Ok(())
    }

    fn position(&self, name: u64) -> usize {
        // The remainder is less than a `usize`.
        (name % self.number as u64) as usize
    }
}

fn find(bucket: &Bucket, name: u64, now: u64) -> Option<usize> {
    bucket.iter().position(|entry| entry.name == name && entry.rest(now) > 0)
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("capacity", &(self.number * ENTRIES)).finish_non_exhaustive()
    }
}
