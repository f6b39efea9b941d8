use super::{RevocationQuestion, RevocationState};
use std::{
    collections::{BTreeSet, HashMap},
    future::{Ready, ready},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};
use tower::Service;

/// A [`RevocationStore`](super::RevocationStore) in this process's memory: after a restart, a token that was revoked and
/// has not expired yet is good again.
///
/// It holds a bounded number of revocations, each until its token expires, and never drops one to make room: a full
/// store takes no more, so that a revocation is refused rather than forgotten.
///
/// ```
/// use tower_token_exchange::{
///     Client, Target, TokenExchangeLayer,
///     policy::{Rule, Subjects},
///     revocation::MemoryRevocations,
///     signing::{Algorithm, LocalSigner},
/// };
///
/// let layer = TokenExchangeLayer::builder("https://as.example")
///     .revocation_endpoint("/revoke")
///     .revocations(MemoryRevocations::new(100_000))
///     .clients([Client::new("orders").secret("a-long-and-random-secret")])
///     .targets([Target::new("billing").allow_clients(["orders"]).scopes(["read"])])
///     .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["read"])])
///     .signer(LocalSigner::generate(Algorithm::ES256)?)
///     .build()?;
/// # let _ = layer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct MemoryRevocations {
    revoked: Arc<Mutex<Revoked>>,
    capacity: usize,
}

/// The store is full of revocations of tokens that have not expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} revocations are remembered already, and none of their tokens has expired")]
pub struct RevocationsFull(usize);

#[derive(Debug, Default)]
struct Revoked {
    until: HashMap<Arc<str>, u64>,
    /// The same in the order in which they can be forgotten.
    order: BTreeSet<(u64, Arc<str>)>,
}

impl MemoryRevocations {
    /// For so many at a time.
    pub fn new(capacity: usize) -> Self {
        Self { revoked: Arc::default(), capacity }
    }

    pub(super) fn revoke(&self, jti: &str, now: u64, until: u64) -> Result<(), RevocationsFull> {
        if !self.is_news(jti, now, until) {
            return Ok(());
        }
        self.make_room(jti, now)?;
        self.lock().insert(jti.into(), until);
        Ok(())
    }

    /// Whether there is something to remember: not of a token that has expired, nor what is remembered for as long.
    pub(super) fn is_news(&self, jti: &str, now: u64, until: u64) -> bool {
        until > now && self.lock().until.get(jti).is_none_or(|known| *known < until)
    }

    /// Forgets whose time is over, and gives back their names. An error if there is no place for this one then.
    pub(super) fn make_room(&self, jti: &str, now: u64) -> Result<Vec<Arc<str>>, RevocationsFull> {
        let mut revoked = self.lock();
        let forgotten = revoked.forget_expired(now);
        let has_room = revoked.until.len() < self.capacity || revoked.until.contains_key(jti);
        if has_room { Ok(forgotten) } else { Err(RevocationsFull(self.capacity)) }
    }

    pub(super) fn is_revoked(&self, jti: &str) -> bool {
        self.lock().until.contains_key(jti)
    }

    fn lock(&self) -> MutexGuard<'_, Revoked> {
        self.revoked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Revoked {
    fn insert(&mut self, jti: Arc<str>, until: u64) {
        if let Some(before) = self.until.insert(Arc::clone(&jti), until) {
            self.order.remove(&(before, Arc::clone(&jti)));
        }
        self.order.insert((until, jti));
    }

    fn forget_expired(&mut self, now: u64) -> Vec<Arc<str>> {
        let mut forgotten = Vec::new();
        while self.order.first().is_some_and(|(until, _)| *until <= now) {
            let Some((_, jti)) = self.order.pop_first() else { break };
            self.until.remove(&jti);
            forgotten.push(jti);
        }
        forgotten
    }
}

impl Service<RevocationQuestion> for MemoryRevocations {
    type Response = RevocationState;
    type Error = RevocationsFull;
    type Future = Ready<Result<RevocationState, RevocationsFull>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), RevocationsFull>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, question: RevocationQuestion) -> Self::Future {
        ready(match question {
            RevocationQuestion::Revoke { jti, now, until } => {
                self.revoke(&jti, now, until).map(|()| RevocationState::Revoked)
            }
            RevocationQuestion::IsRevoked { jti } if self.is_revoked(&jti) => Ok(RevocationState::Revoked),
            RevocationQuestion::IsRevoked { .. } => Ok(RevocationState::NotRevoked),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_revoked_stays_so_until_it_expires_and_never_makes_room() {
        let store = MemoryRevocations::new(2);
        assert!(!store.is_revoked("a"));
        for jti in ["a", "b", "a"] {
            assert_eq!(store.revoke(jti, 10, 20), Ok(()), "{jti}");
        }
        assert_eq!(store.revoke("c", 19, 30), Err(RevocationsFull(2)));
        assert!(store.is_revoked("a") && store.is_revoked("b") && !store.is_revoked("c"));
        assert_eq!(store.revoke("c", 20, 30), Ok(()));
        assert!(store.is_revoked("c") && !store.is_revoked("a"));
        // Of two tokens of one name, the later one counts.
        for until in [40, 35] {
            assert_eq!(store.revoke("c", 21, until), Ok(()));
        }
        assert_eq!(store.revoke("b", 39, 50), Ok(()));
        assert!(store.is_revoked("c"));
        assert_eq!(store.revoke("e", 40, 50), Ok(()));
        assert!(!store.is_revoked("c"));
        // One that is over takes no place.
        assert_eq!(store.revoke("d", 20, 20), Ok(()));
        assert!(!store.is_revoked("d"));
    }
}
