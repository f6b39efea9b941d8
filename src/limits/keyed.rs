use super::{Exceeded, Rate, table::Table};
use crate::clock::Clock;
use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

/// A budget for each key. The rate comes with each attempt. Clones share the budgets.
#[derive(Clone, Debug)]
pub(super) struct KeyedBudgets {
    clock: Clock,
    hasher: RandomState,
    table: Arc<Table>,
}

impl KeyedBudgets {
    pub(super) fn new(capacity: usize, clock: Clock) -> Self {
        Self { clock, hasher: RandomState::new(), table: Arc::new(Table::new(capacity)) }
    }

    pub(super) fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    pub(super) fn with_capacity(self, keys: usize) -> Self {
        Self { table: Arc::new(Table::new(keys)), ..self }
    }

    /// Takes one attempt from the budget of a key.
    pub(super) fn take<K: Hash + ?Sized>(&self, key: &K, rate: Rate) -> Result<(), Exceeded> {
        let now = nanoseconds(&self.clock);
        self.table.update(self.hasher.hash_one(key), now, |full_at| after(rate, full_at, now))
    }

    /// Whether the budget of a key has an attempt left.
    pub(super) fn check<K: Hash + ?Sized>(&self, key: &K, rate: Rate) -> Result<(), Exceeded> {
        let now = nanoseconds(&self.clock);
        let full_at = self.table.get(self.hasher.hash_one(key), now);
        after(rate, full_at, now).map(drop)
    }
}

/// The time at which a budget is full again after one more attempt: the generic cell rate algorithm (ITU-T I.371). A key
/// without a time has a full budget.
fn after(rate: Rate, full_at: Option<u64>, now: u64) -> Result<u64, Exceeded> {
    let latest = now.saturating_add(rate.window());
    // A budget that needs longer than the window to fill up was used before the clock was set back.
    let full_at = full_at.filter(|full_at| (now..=latest).contains(full_at)).unwrap_or(now);
    let after = full_at.saturating_add(rate.interval());
    match after.checked_sub(latest) {
        None | Some(0) => Ok(after),
        Some(wait) => Err(Exceeded { retry_after: Duration::from_nanos(wait) }),
    }
}

/// The time in nanoseconds since 1970.
pub(super) fn nanoseconds(clock: &Clock) -> u64 {
    let since = clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
