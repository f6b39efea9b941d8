use super::{Exceeded, Rate, table::Table};
use crate::clock::Clock;
use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The number of keys that a [`Limiter`] remembers, if nothing else is set.
pub(super) const DEFAULT_CAPACITY: usize = 65_536;

/// A budget for each key, with a fixed amount of memory.
///
/// A key is any value that can be hashed, such as a [`Peer`](super::Peer) or a pair of a peer and a client id. Each key has a
/// budget of its own of the size of a [`Rate`]. All clones of a limiter share the budgets.
///
/// # Memory
///
/// The limiter needs 17 bytes for each key of its [capacity](Self::capacity), however long the keys are, and no memory before
/// the first attempt. A budget that is full again needs no place. If there is no place for a new key, the key with the
/// fullest budget loses its place, and its budget is full. A spent budget is the last to lose its place: somebody with many
/// keys has to spend the budgets of about as many keys as the capacity before one spent budget is full too early. No key
/// makes the budget of another key smaller.
///
/// # Clock
///
/// The limiter uses the clock of the system. If the clock is set forward, budgets fill up too early. If the clock is set back,
/// a budget fills up at most once too early, and never later than in the usual time after the change.
///
/// ```
/// use std::net::IpAddr;
/// use tower_token_exchange::limits::{Limiter, Peer, Rate};
///
/// let attempts = Limiter::new(Rate::per_minute(2));
/// let [red, blue] = ["192.0.2.1", "2001:db8::1"].map(|address| Peer::from(address.parse::<IpAddr>().unwrap()));
/// assert!(attempts.take(&red).is_ok() && attempts.take(&red).is_ok());
///
/// let exceeded = attempts.take(&red).unwrap_err();
/// assert!(exceeded.retry_after.as_secs() <= 30);
/// assert!(attempts.take(&blue).is_ok(), "each peer has a budget of its own");
/// ```
#[derive(Clone, Debug)]
pub struct Limiter {
    rate: Rate,
    clock: Clock,
    hasher: RandomState,
    table: Arc<Table>,
}

impl Limiter {
    /// Budgets of this size for up to 65 536 keys.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            clock: Clock::default(),
            hasher: RandomState::new(),
            table: Arc::new(Table::new(DEFAULT_CAPACITY)),
        }
    }

    /// Sets the number of keys that the limiter remembers, and empties the limiter. Default: 65 536.
    #[must_use]
    pub fn capacity(self, keys: usize) -> Self {
        Self { table: Arc::new(Table::new(keys)), ..self }
    }

    /// Sets the clock. Default: the clock of the system.
    #[must_use]
    pub fn clock(self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.with_clock(Clock::new(now))
    }

    pub(super) fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Takes one attempt from the budget of a key.
    ///
    /// # Errors
    /// [`Exceeded`] if the budget is spent. The refused attempt takes nothing from the budget.
    pub fn take<K: Hash + ?Sized>(&self, key: &K) -> Result<(), Exceeded> {
        self.take_at(key, self.rate)
    }

    /// Takes one attempt from the budget of a key that has a rate of its own.
    pub(super) fn take_at<K: Hash + ?Sized>(&self, key: &K, rate: Rate) -> Result<(), Exceeded> {
        let now = nanoseconds(&self.clock);
        self.table.update(self.hasher.hash_one(key), now, |full_at| after(rate, full_at, now))
    }

    /// Whether the budget of a key has an attempt left. Takes nothing from the budget.
    ///
    /// # Errors
    /// [`Exceeded`] if the budget is spent.
    pub fn check<K: Hash + ?Sized>(&self, key: &K) -> Result<(), Exceeded> {
        let now = nanoseconds(&self.clock);
        let full_at = self.table.get(self.hasher.hash_one(key), now);
        after(self.rate, full_at, now).map(drop)
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

#[cfg(test)]
#[path = "limiter_tests.rs"]
mod tests;
