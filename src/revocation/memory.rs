use super::{RevocationQuestion, RevocationState, shares::Shares};
use crate::{
    locks::lock,
    protocol::{ClientId, NumericDate, TokenId},
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
/// The store has room for a fixed number of revocations and keeps each of them at least until the token expires. The store
/// forgets the revocations of expired tokens when another revocation needs the room, and not before: a clock that runs ahead
/// for a while makes no revoked token valid again. A full store refuses a new revocation and never drops a revocation of a
/// token that has not expired.
///
/// No client can have more revocations in the store than there are free places. One client alone therefore fills at most
/// half of the store, and two clients fill at most two thirds. A client that has its share gets
/// [`RevocationState::ShareUsed`], and other clients can still revoke tokens.
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

/// The revocation of one token.
#[derive(Clone, Debug)]
pub(super) struct Revocation {
    pub(super) jti: TokenId,
    /// The client to which the token was issued.
    pub(super) holder: ClientId,
    pub(super) until: NumericDate,
}

/// The room for another revocation.
pub(super) struct Room {
    /// Whether the revocation can be inserted.
    pub(super) is_free: bool,
    /// The answer.
    pub(super) state: Result<RevocationState, RevocationsFull>,
    /// The expired tokens whose revocations were forgotten to make room.
    #[cfg_attr(not(feature = "revocation-file"), allow(dead_code, reason = "only the file has to forget them too"))]
    pub(super) forgotten: Vec<TokenId>,
}

#[derive(Debug, Default)]
struct Revoked {
    until: HashMap<TokenId, (NumericDate, ClientId)>,
    /// The same revocations, by expiry time.
    by_expiry: BTreeSet<(NumericDate, TokenId)>,
    shares: Shares,
}

impl MemoryRevocations {
    /// A store with room for `capacity` revocations. One client has room for half of them.
    pub fn new(capacity: usize) -> Self {
        Self { revoked: Arc::default(), capacity }
    }

    fn revoke(&self, revocation: Revocation, now: NumericDate) -> Result<RevocationState, RevocationsFull> {
        let mut revoked = self.lock();
        if !revoked.is_new(&revocation) {
            return Ok(RevocationState::Revoked);
        }
        let Room { is_free, state, .. } = revoked.make_room(&revocation, now, self.capacity);
        if is_free {
            revoked.insert(revocation);
        }
        state
    }

    /// Whether the revocation changes the store: the store does not have the revocation, or could forget the revocation too
    /// early.
    #[cfg(feature = "revocation-file")]
    pub(super) fn is_new(&self, revocation: &Revocation) -> bool {
        self.lock().is_new(revocation)
    }

    /// Finds room for another revocation.
    #[cfg(feature = "revocation-file")]
    pub(super) fn make_room(&self, revocation: &Revocation, now: NumericDate) -> Room {
        self.lock().make_room(revocation, now, self.capacity)
    }

    /// Adds a revocation that the file has.
    #[cfg(feature = "revocation-file")]
    pub(super) fn insert(&self, revocation: Revocation) -> Result<(), RevocationsFull> {
        let mut revoked = self.lock();
        if revoked.until.len() >= self.capacity && !revoked.until.contains_key(&revocation.jti) {
            return Err(RevocationsFull { capacity: self.capacity });
        }
        revoked.insert(revocation);
        Ok(())
    }

    pub(super) fn is_revoked(&self, jti: &TokenId) -> bool {
        self.lock().until.contains_key(jti)
    }

    fn lock(&self) -> MutexGuard<'_, Revoked> {
        lock(&self.revoked)
    }
}

impl Revoked {
    fn is_new(&self, Revocation { jti, until, .. }: &Revocation) -> bool {
        self.until.get(jti).is_none_or(|(known, _)| known < until)
    }

    fn make_room(&mut self, revocation: &Revocation, now: NumericDate, capacity: usize) -> Room {
        const REVOKED: Result<RevocationState, RevocationsFull> = Ok(RevocationState::Revoked);
        let mut state = self.admit(revocation, capacity);
        let mut forgotten = Vec::new();
        if state != REVOKED {
            forgotten = self.forget_expired(now);
            state = self.admit(revocation, capacity);
        }
        let is_free = state == REVOKED;
        // An expired token is revoked without a place.
        Room { is_free, state: if revocation.until <= now { REVOKED } else { state }, forgotten }
    }

    fn admit(&self, revocation: &Revocation, capacity: usize) -> Result<RevocationState, RevocationsFull> {
        let Revocation { jti, holder, .. } = revocation;
        let free = capacity.saturating_sub(self.until.len());
        if self.until.contains_key(jti) {
            return Ok(RevocationState::Revoked);
        }
        match self.shares.retry_at(holder, free) {
            Some(retry_at) => Ok(RevocationState::ShareUsed { retry_at }),
            None if free == 0 => Err(RevocationsFull { capacity }),
            None => Ok(RevocationState::Revoked),
        }
    }

    fn insert(&mut self, Revocation { jti, holder, until }: Revocation) {
        self.shares.add(&holder, until);
        if let Some((before, holder)) = self.until.insert(jti.clone(), (until, holder)) {
            self.by_expiry.remove(&(before, jti.clone()));
            self.shares.remove(&holder, before);
        }
        self.by_expiry.insert((until, jti));
    }

    fn forget_expired(&mut self, now: NumericDate) -> Vec<TokenId> {
        let mut forgotten = Vec::new();
        while self.by_expiry.first().is_some_and(|(until, _)| *until <= now) {
            let Some((_, jti)) = self.by_expiry.pop_first() else { break };
            if let Some((until, holder)) = self.until.remove(&jti) {
                self.shares.remove(&holder, until);
            }
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
            RevocationQuestion::Revoke { jti, holder, now, until } => {
                self.revoke(Revocation { jti, holder, until }, now)
            }
            RevocationQuestion::IsRevoked { jti } if self.is_revoked(&jti) => Ok(RevocationState::Revoked),
            RevocationQuestion::IsRevoked { .. } => Ok(RevocationState::NotRevoked),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REVOKED: Result<RevocationState, RevocationsFull> = Ok(RevocationState::Revoked);

    fn at(seconds: u64) -> NumericDate {
        NumericDate::from_seconds(seconds)
    }

    impl MemoryRevocations {
        fn try_revoke(
            &self,
            holder: &str,
            jti: &str,
            now: u64,
            until: u64,
        ) -> Result<RevocationState, RevocationsFull> {
            self.revoke(Revocation { jti: jti.into(), holder: holder.into(), until: at(until) }, at(now))
        }
    }

    fn share_used(retry_at: u64) -> Result<RevocationState, RevocationsFull> {
        Ok(RevocationState::ShareUsed { retry_at: at(retry_at) })
    }

    #[test]
    fn a_clock_that_runs_ahead_loses_no_revocation() {
        let store = MemoryRevocations::new(10);
        assert_eq!(store.try_revoke("orders", "before", 10, 20), REVOKED);
        // The clock is ahead, so that both tokens seem to have expired.
        assert_eq!(store.try_revoke("orders", "meanwhile", 3610, 20), REVOKED);
        assert_eq!(store.try_revoke("orders", "another", 3610, 4000), REVOKED);
        assert!(["before", "meanwhile", "another"].iter().all(|jti| store.is_revoked(&(*jti).into())));
    }

    #[test]
    fn a_revocation_is_kept_until_the_token_expires() {
        let store = MemoryRevocations::new(2);
        // Each token is of another client.
        let revoke = |jti: &str, now, until| store.try_revoke(jti, jti, now, until);
        let is_revoked = |jti: &str| store.is_revoked(&jti.into());
        assert!(!is_revoked("a"));
        for jti in ["a", "b", "a"] {
            assert_eq!(revoke(jti, 10, 20), REVOKED, "{jti}");
        }
        assert_eq!(revoke("c", 19, 30), Err(RevocationsFull { capacity: 2 }));
        assert!(is_revoked("a") && is_revoked("b") && !is_revoked("c"));
        assert_eq!(revoke("c", 20, 30), REVOKED);
        assert!(is_revoked("c") && !is_revoked("a"));
        // If two tokens have one name, the later expiry time counts.
        for until in [40, 35] {
            assert_eq!(revoke("c", 21, until), REVOKED);
        }
        assert_eq!(revoke("b", 39, 50), REVOKED);
        assert!(is_revoked("c"));
        assert_eq!(revoke("e", 40, 50), REVOKED);
        assert!(!is_revoked("c"));
        // The revocation of an expired token needs no room.
        assert_eq!(revoke("d", 20, 20), REVOKED);
        assert!(!is_revoked("d"));
    }

    #[test]
    fn one_client_leaves_room_for_others() {
        let store = MemoryRevocations::new(100);
        let take_share = |client: &str| {
            let is_taken = |number: &u64| store.try_revoke(client, &format!("{client}-{number}"), 10, 20) == REVOKED;
            (0..1000).take_while(is_taken).count()
        };
        let shares = ["greedy", "second", "third"].map(take_share);
        assert_eq!(shares, [50, 25, 13], "each client leaves as many places free as it has");
        // A client without revocations is served to the last place.
        for client in 0..12 {
            let client = format!("modest-{client}");
            assert_eq!(store.try_revoke(&client, &client, 10, 20), REVOKED);
        }
        assert_eq!(store.try_revoke("late", "late", 10, 20), Err(RevocationsFull { capacity: 100 }));
        // The known revocations of a client with a full share stay, and can be repeated.
        assert_eq!(store.try_revoke("greedy", "greedy-0", 10, 20), REVOKED);
    }

    #[test]
    fn a_share_is_free_when_the_store_says() {
        let store = MemoryRevocations::new(4);
        assert_eq!(store.try_revoke("orders", "a", 10, 20), REVOKED);
        assert_eq!(store.try_revoke("orders", "b", 10, 30), REVOKED);
        assert_eq!(store.try_revoke("orders", "c", 10, 40), share_used(20));
        assert_eq!(store.try_revoke("billing", "d", 10, 100), REVOKED);
        assert_eq!(store.try_revoke("orders", "c", 19, 40), share_used(20));
        assert_eq!(store.try_revoke("orders", "c", 20, 40), REVOKED);
        // One more place is not enough if others came meanwhile.
        assert_eq!(store.try_revoke("reports", "e", 20, 100), REVOKED);
        assert_eq!(store.try_revoke("orders", "f", 30, 50), share_used(40));
        assert_eq!(store.try_revoke("orders", "f", 40, 50), REVOKED);
    }
}
