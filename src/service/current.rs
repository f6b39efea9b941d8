use crate::exchange::Exchange;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

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
        Arc::clone(&self.exchange.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another in its place, or leaves it.
    pub(crate) fn replace<E>(&self, make: impl FnOnce(&Exchange) -> Result<Exchange, E>) -> Result<(), E> {
        let _one_at_a_time = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let next = Arc::new(make(&self.exchange())?);
        *self.exchange.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }
}
