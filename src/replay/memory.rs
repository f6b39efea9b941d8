use super::{UseOnce, Used, uses::Uses};
use crate::locks::lock;
use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{Arc, Mutex},
    task::{Context, Poll},
};
use tower::Service;

/// The number of keys that the store of a layer has room for, if the layer has no other store.
pub(crate) const DEFAULT_CAPACITY: usize = 1_000_000;

/// A [`ReplayStore`](super::ReplayStore) in the memory of the process, for one process. After a restart, everything that has
/// not expired can be used once more.
///
/// The store has room for a fixed number of keys, and keeps each of them until it expires. A million keys need at most
/// 100 MiB. The memory is taken when keys arrive. The store forgets expired keys when another key needs their room, and not
/// before: a clock that runs ahead for a while makes no key new again. A full store answers [`Used::Full`].
///
/// No client can have more keys in the store than there are free places. One client alone therefore fills at most half of
/// the store, and two clients fill at most two thirds. A client that has its share gets [`Used::ShareUsed`].
///
/// Clones of a store share the keys. A layer without a [`replay_store`](crate::TokenExchangeBuilder::replay_store) has a
/// store of this type with room for 1 000 000 keys.
///
/// ```
/// use tower::ServiceExt;
/// use tower_token_exchange::{
///     replay::{MemoryReplayStore, UseKey, UseKind, UseOnce, Used},
///     token::NumericDate,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let store = MemoryReplayStore::new(10_000);
/// let key = UseKey::new(UseKind::SubjectToken, "https://as.example", "token-1");
/// let question = UseOnce::new(key, "orders", NumericDate::from_seconds(100), NumericDate::from_seconds(400));
/// assert!(matches!(store.clone().oneshot(question.clone()).await, Ok(Used::First)));
/// assert!(matches!(store.oneshot(question).await, Ok(Used::Again)));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MemoryReplayStore {
    uses: Arc<Mutex<Uses>>,
}

impl MemoryReplayStore {
    /// Creates a store with room for `capacity` keys. One client has room for half of them.
    pub fn new(capacity: usize) -> Self {
        Self { uses: Arc::new(Mutex::new(Uses::new(capacity))) }
    }
}

impl Default for MemoryReplayStore {
    /// Creates a store with room for 1 000 000 keys.
    fn default() -> Self {
        Self::new(DEFAULT_CAPACITY)
    }
}

impl Service<UseOnce> for MemoryReplayStore {
    type Response = Used;
    type Error = Infallible;
    type Future = Ready<Result<Used, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, question: UseOnce) -> Self::Future {
        ready(Ok(lock(&self.uses).use_once(&question, drop)))
    }
}
