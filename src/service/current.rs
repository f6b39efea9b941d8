use crate::{exchange::Exchange, locks};
use std::sync::{Arc, Mutex, RwLock};

/// The current exchange, which a reload replaces. A request that has begun keeps the exchange with which it began.
pub(crate) struct Current {
    exchange: RwLock<Arc<Exchange>>,
    /// Held while an exchange is replaced, so that each new exchange is made from the latest one.
    replacing: Mutex<()>,
}

impl Current {
    pub(crate) fn new(exchange: Exchange) -> Self {
        Self { exchange: RwLock::new(Arc::new(exchange)), replacing: Mutex::new(()) }
    }

    pub(crate) fn exchange(&self) -> Arc<Exchange> {
        Arc::clone(&locks::read(&self.exchange))
    }

    /// Replaces the exchange by the exchange that the function makes.
    pub(crate) fn replace(&self, make: impl FnOnce(&Exchange) -> Exchange) {
        let _guard = locks::lock(&self.replacing);
        let next = Arc::new(make(&self.exchange()));
        *locks::write(&self.exchange) = next;
    }
}
