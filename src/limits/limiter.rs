use super::{Exceeded, Rate, keyed::KeyedBudgets, settings::DEFAULT_CAPACITY};
use crate::clock::Clock;
use std::{hash::Hash, time::SystemTime};

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
    budgets: KeyedBudgets,
}

impl Limiter {
    /// Budgets of this size for up to 65 536 keys.
    pub fn new(rate: Rate) -> Self {
        Self { rate, budgets: KeyedBudgets::new(DEFAULT_CAPACITY, Clock::default()) }
    }

    /// Sets the number of keys that the limiter remembers, and empties the limiter. Default: 65 536.
    #[must_use]
    pub fn capacity(self, keys: usize) -> Self {
        Self { budgets: self.budgets.with_capacity(keys), ..self }
    }

    /// Sets the clock. Default: the clock of the system.
    #[must_use]
    pub fn clock(self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { budgets: self.budgets.with_clock(Clock::new(now)), ..self }
    }

    /// Takes one attempt from the budget of a key.
    ///
    /// # Errors
    /// [`Exceeded`] if the budget is spent. The refused attempt takes nothing from the budget.
    pub fn take<K: Hash + ?Sized>(&self, key: &K) -> Result<(), Exceeded> {
        self.budgets.take(key, self.rate)
    }

    /// Whether the budget of a key has an attempt left. Takes nothing from the budget.
    ///
    /// # Errors
    /// [`Exceeded`] if the budget is spent.
    pub fn check<K: Hash + ?Sized>(&self, key: &K) -> Result<(), Exceeded> {
        self.budgets.check(key, self.rate)
    }
}

#[cfg(test)]
#[path = "limiter_tests.rs"]
mod tests;
