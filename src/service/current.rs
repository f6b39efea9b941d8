use crate::{exchange::Exchange, locks};
use std::sync::{Arc, Mutex, RwLock};

/// The exchange that counts now. Whoever took it goes on with it when another takes its place.
pub(crate) struct Current {
    exchange: RwLock<Arc<Exchange>>,
    /// Held while a new one is made from the one before, so that no two are made from the same.
    replacing: Mutex<()>,
}

impl Current {
    pub(crate) fn new(exchange: Exchange) -> Self {
        Self { exchange: RwLock::new(Arc::new(exchange)), replacing: Mutex::new(()) }
    }

    pub(crate) fn exchange(&self) -> Arc<Exchange> {
        Arc::clone(&locks::read(&self.exchange))
    }

    /// Puts another in its place, or leaves it.
    pub(crate) fn replace<E>(&self, make: impl FnOnce(&Exchange) -> Result<Exchange, E>) -> Result<(), E> {
        let _one_at_a_time = locks::lock(&self.replacing);
        let next = Arc::new(make(&self.exchange())?);
        *locks::write(&self.exchange) = next;
        Ok(())
    }
}
