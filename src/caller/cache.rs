//! Exchanged tokens that are kept for the next request with the same inputs.

use super::{
    ExchangeError,
    exchanged::ExchangedToken,
    key::Key,
    timed::{State, Timed},
};
use crate::{clock::Clock, flights::Flights, metrics, protocol::NumericDate};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most tokens that are refreshed ahead at the same time.
const MAX_REFRESHES: usize = 16;

/// Exchanged tokens under the hashes of the inputs of their requests.
pub(super) struct Cache {
    /// `None` if nothing is kept.
    entries: Option<moka::sync::Cache<Key, Arc<Entry>>>,
    flights: Flights<Result<ExchangedToken, ExchangeError>>,
    refreshes: Arc<Semaphore>,
    /// How often tokens were forgotten. A token whose request began before is not kept.
    forgotten: AtomicU64,
    clock: Clock,
}

struct Entry {
    token: Timed<ExchangedToken>,
    /// The hash of the subject token.
    subject: [u8; 32],
}

/// What the cache has for a request.
pub(super) enum Found {
    Token(ExchangedToken),
    /// The token can be used, and has to be refreshed ahead while the permit is held.
    RefreshAhead(ExchangedToken, OwnedSemaphorePermit),
    Nothing,
}

/// The inputs of an entry, as hashes, and the time at which the first of the input tokens expires.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) key: Key,
    pub(super) subject: [u8; 32],
    pub(super) latest: Option<NumericDate>,
}

impl Cache {
    pub(super) fn new(entries: u64, clock: Clock) -> Self {
        let kept = (entries > 0).then(|| {
            let memory = moka::sync::Cache::builder().max_capacity(entries).expire_after(Memory(clock.clone()));
            memory.build()
        });
        let refreshes = Arc::new(Semaphore::new(MAX_REFRESHES));
        Self { entries: kept, flights: Flights::default(), refreshes, forgotten: AtomicU64::new(0), clock }
    }

    pub(super) fn find(&self, key: &Key) -> Found {
        let Some(entries) = &self.entries else { return Found::Nothing };
        let entry = entries.get(key);
        let state = entry.as_ref().map_or(State::Expired, |entry| entry.token.state(self.clock.now().into()));
        metrics::record_cache_lookup("exchanged_token", state != State::Expired);
        let Some(entry) = entry.filter(|_| state != State::Expired) else { return Found::Nothing };
        let token = entry.token.value.clone();
        if state == State::RefreshAhead
            && let Ok(permit) = Arc::clone(&self.refreshes).try_acquire_owned()
        {
            return Found::RefreshAhead(token, permit);
        }
        Found::Token(token)
    }

    /// Returns a kept token, or the token of an exchange. Whoever asks for the same at the same time waits for the same exchange.
    pub(super) async fn join(
        &self,
        place: Place,
        exchange: impl Future<Output = Result<ExchangedToken, ExchangeError>>,
    ) -> Result<ExchangedToken, ExchangeError> {
        let first = async {
            // Another exchange may have ended since this caller looked.
            match self.kept(&place.key) {
                Some(token) => Ok(token),
                None => self.renew(place, exchange).await,
            }
        };
        self.flights.join(place.key, first).await
    }

    /// Keeps the token of an exchange, whatever was kept before.
    pub(super) async fn renew(
        &self,
        place: Place,
        exchange: impl Future<Output = Result<ExchangedToken, ExchangeError>>,
    ) -> Result<ExchangedToken, ExchangeError> {
        let (forgotten, before) = (self.forgotten.load(Ordering::Acquire), self.clock.now().into());
        let token = exchange.await?;
        let timed = token.expiry().and_then(|expires| Timed::new(token.clone(), before, expires, place.latest));
        if let (Some(entries), Some(timed)) = (&self.entries, timed) {
            entries.insert(place.key, Arc::new(Entry { token: timed, subject: place.subject }));
            // The count changes before the entries are removed, so one side sees the other.
            if self.forgotten.load(Ordering::Acquire) != forgotten {
                entries.invalidate(&place.key);
            }
        }
        Ok(token)
    }

    fn kept(&self, key: &Key) -> Option<ExchangedToken> {
        let entry = self.entries.as_ref()?.get(key)?;
        entry.token.is_usable(self.clock.now().into()).then(|| entry.token.value.clone())
    }

    /// Removes all tokens of a subject token.
    pub(super) fn forget(&self, subject: &[u8; 32]) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        let Some(entries) = &self.entries else { return };
        let of_subject = entries.iter().filter(|(_, entry)| entry.subject == *subject);
        of_subject.for_each(|(key, _)| entries.invalidate(&*key));
    }
}

/// Frees the memory of expired entries. The clock of the client decides whether an entry is used.
struct Memory(Clock);

impl moka::Expiry<Key, Arc<Entry>> for Memory {
    fn expire_after_create(&self, _: &Key, entry: &Arc<Entry>, _: Instant) -> Option<Duration> {
        Some(entry.token.usable_until().saturating_since(self.0.now().into()))
    }

    fn expire_after_update(
        &self,
        key: &Key,
        entry: &Arc<Entry>,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(key, entry, now)
    }
}
