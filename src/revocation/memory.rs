use super::{RevocationQuestion, RevocationState};
use crate::{
    locks::lock,
    protocol::{NumericDate, TokenId},
};
use std::{
    collections::{BTreeSet, HashMap},
    future::{Ready, ready},
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
};
use tower::Service;

/// A [`RevocationStore`](super::RevocationStore) in the memory of the process. After a restart, a revoked token that has
/// not expired is valid again.
///
/// The store has room for a fixed number of revocations and keeps each of them until the token expires. A full store
/// refuses a new revocation and never drops a revocation to make room.
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

/// A store that is full: every revocation in the store is of a token that has not expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the store is full with {capacity} revocations of tokens that have not expired; give the store a larger capacity"
)]
#[non_exhaustive]
pub struct RevocationsFull {
    /// The capacity of the store.
    pub capacity: usize,
}

#[derive(Debug, Default)]
struct Revoked {
    until: HashMap<TokenId, NumericDate>,
    /// The same revocations, by expiry time.
    by_expiry: BTreeSet<(NumericDate, TokenId)>,
}

impl MemoryRevocations {
    /// A store with room for `capacity` revocations.
    pub fn new(capacity: usize) -> Self {
        Self { revoked: Arc::default(), capacity }
    }

    pub(super) fn revoke(&self, jti: &TokenId, now: NumericDate, until: NumericDate) -> Result<(), RevocationsFull> {
        if !self.is_new(jti, now, until) {
            return Ok(());
        }
        self.make_room(jti, now)?;
        self.lock().insert(jti.clone(), until);
        Ok(())
    }

    /// Whether the revocation changes the store: the token has not expired, and the store does not have the revocation or
    /// would forget the revocation too early.
    pub(super) fn is_new(&self, jti: &TokenId, now: NumericDate, until: NumericDate) -> bool {
        until > now && self.lock().until.get(jti).is_none_or(|known| *known < until)
    }

    /// Forgets the revocations of expired tokens and returns the names of these tokens. Fails if there is no room for
    /// `jti` after that.
    pub(super) fn make_room(&self, jti: &TokenId, now: NumericDate) -> Result<Vec<TokenId>, RevocationsFull> {
        let mut revoked = self.lock();
        let forgotten = revoked.forget_expired(now);
        let has_room = revoked.until.len() < self.capacity || revoked.until.contains_key(jti);
        if has_room { Ok(forgotten) } else { Err(RevocationsFull { capacity: self.capacity }) }
    }

    pub(super) fn is_revoked(&self, jti: &TokenId) -> bool {
        self.lock().until.contains_key(jti)
    }

    fn lock(&self) -> MutexGuard<'_, Revoked> {
        lock(&self.revoked)
    }
}

impl Revoked {
    fn insert(&mut self, jti: TokenId, until: NumericDate) {
        if let Some(before) = self.until.insert(jti.clone(), until) {
            self.by_expiry.remove(&(before, jti.clone()));
        }
        self.by_expiry.insert((until, jti));
    }

    fn forget_expired(&mut self, now: NumericDate) -> Vec<TokenId> {
        let mut forgotten = Vec::new();
        while self.by_expiry.first().is_some_and(|(until, _)| *until <= now) {
            let Some((_, jti)) = self.by_expiry.pop_first() else { break };
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
    fn a_revocation_is_kept_until_the_token_expires() {
        let store = MemoryRevocations::new(2);
        let revoke = |jti: &str, now, until| {
            store.revoke(&jti.into(), NumericDate::from_seconds(now), NumericDate::from_seconds(until))
        };
        let is_revoked = |jti: &str| store.is_revoked(&jti.into());
        assert!(!is_revoked("a"));
        for jti in ["a", "b", "a"] {
            assert_eq!(revoke(jti, 10, 20), Ok(()), "{jti}");
        }
        assert_eq!(revoke("c", 19, 30), Err(RevocationsFull { capacity: 2 }));
        assert!(is_revoked("a") && is_revoked("b") && !is_revoked("c"));
        assert_eq!(revoke("c", 20, 30), Ok(()));
        assert!(is_revoked("c") && !is_revoked("a"));
        // If two tokens have one name, the later expiry time counts.
        for until in [40, 35] {
            assert_eq!(revoke("c", 21, until), Ok(()));
        }
        assert_eq!(revoke("b", 39, 50), Ok(()));
        assert!(is_revoked("c"));
        assert_eq!(revoke("e", 40, 50), Ok(()));
        assert!(!is_revoked("c"));
        // The revocation of an expired token needs no room.
        assert_eq!(revoke("d", 20, 20), Ok(()));
        assert!(!is_revoked("d"));
    }
}
