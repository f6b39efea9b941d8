use super::{
    back_off::BackOff,
    fetcher::{FetchProblem, Fetcher},
    freshness::{CachedKeys, Freshness, KeySnapshot},
    source::Source,
};
use crate::{
    clock::is_within,
    locks::lock,
    protocol::{Reason, Rejection, refuse},
};
use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};
use tokio::{runtime::Handle, sync::watch};

/// The shortest time between two fetches for an unknown `kid`. A client can invent any number of values of `kid`.
const UNKNOWN_KEY_COOL_DOWN: Duration = Duration::from_secs(60);

/// A key set at another server, which is fetched when a token needs the key set, and then cached (RFC 7517 section 5).
///
/// At most one fetch is under way at a time, and every exchange that needs the result waits for that fetch. The fetch
/// continues even if no exchange waits any more.
pub(super) struct RemoteKeys {
    source: Source,
    fetcher: Fetcher,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    cached: Option<CachedKeys>,
    refresh: Option<Refresh>,
    last_for_unknown_key: Option<SystemTime>,
    back_off: BackOff,
    fetches: u64,
    failures: u64,
    /// The problem of the last fetch, if that fetch failed.
    problem: Option<FetchProblem>,
}

/// A fetch that is under way. Every exchange that waits for the fetch has a clone.
#[derive(Clone)]
pub(super) struct Refresh(watch::Receiver<Option<KeySnapshot>>);

/// The state of a remote key set, for operators.
pub(super) struct KeyHealth {
    pub(super) usable: Option<UsableKeys>,
    pub(super) fetches: u64,
    pub(super) failures: u64,
    /// The problem of the last fetch, if that fetch failed.
    pub(super) problem: Option<String>,
}

/// A cached key set that may be used, for operators.
pub(super) struct UsableKeys {
    pub(super) count: usize,
    pub(super) age: Duration,
    pub(super) freshness: Freshness,
}

impl Refresh {
    /// Waits for the end of the fetch. `None` if the fetch failed.
    pub(super) async fn wait(mut self) -> Option<KeySnapshot> {
        self.0.wait_for(Option::is_some).await.ok()?.clone()
    }

    fn is_over(&self) -> bool {
        self.0.has_changed().is_err()
    }
}

async fn result_of(refresh: Option<Refresh>) -> Option<KeySnapshot> {
    refresh?.wait().await
}

impl RemoteKeys {
    pub(super) fn new(source: Source, fetcher: Fetcher) -> Self {
        Self { source, fetcher, state: Mutex::default() }
    }

    pub(super) fn is_from(&self, source: &Source) -> bool {
        self.source.is_same(source)
    }

    /// Returns a key set that is fresh, or that was fetched just now, or that is stale for a bounded time.
    pub(super) async fn current(self: &Arc<Self>) -> Result<KeySnapshot, Rejection> {
        let (stale, refresh) = {
            let (mut state, now) = self.lock();
            let usable = state.usable(now);
            match usable {
                Some((keys, Freshness::Fresh)) => return Ok(keys),
                Some((keys, Freshness::Ageing)) => {
                    self.start_refresh(&mut state, now);
                    return Ok(keys);
                }
                Some((keys, Freshness::Stale)) => {
                    let refresh = self.start_refresh(&mut state, now);
                    // While the server is failing, no exchange waits for the server.
                    if state.back_off.is_failing() {
                        return Ok(keys);
                    }
                    (Some(keys), refresh)
                }
                None => (None, self.start_refresh(&mut state, now)),
            }
        };
        result_of(refresh).await.or(stale).ok_or_else(|| self.unavailable())
    }

    /// Returns a newer key set than `seen`: a key set that was fetched meanwhile, or that is fetched now. `None` if the
    /// last fetch for an unknown `kid` was too recent.
    ///
    /// # Errors
    /// The fetch fails, so the layer cannot know whether the key exists.
    pub(super) async fn newer_than(self: &Arc<Self>, seen: &KeySnapshot) -> Result<Option<KeySnapshot>, Rejection> {
        let refresh = {
            let (mut state, now) = self.lock();
            if let Some((keys, _)) = state.usable(now)
                && keys.fetch > seen.fetch
            {
                return Ok(Some(keys));
            }
            let under_way = state.refresh_under_way(&self.source);
            if under_way.is_none() {
                let recent = is_within(UNKNOWN_KEY_COOL_DOWN, state.last_for_unknown_key, now);
                if recent && !state.back_off.is_failing() {
                    return Ok(None);
                }
            }
            under_way.or_else(|| {
                let started = self.start_refresh(&mut state, now)?;
                state.last_for_unknown_key = Some(now);
                Some(started)
            })
        };
        result_of(refresh).await.map(Some).ok_or_else(|| self.unavailable())
    }

    /// Starts a fetch if there is no usable key set. Does not wait.
    pub(super) fn refresh_if_missing(self: &Arc<Self>) -> Option<Refresh> {
        let (mut state, now) = self.lock();
        if state.usable(now).is_some() { None } else { self.start_refresh(&mut state, now) }
    }

    pub(super) fn health(&self) -> KeyHealth {
        let (mut state, now) = self.lock();
        let usable = state.cached.as_mut().and_then(|cached| {
            let (count, freshness) = cached.usable(now).map(|(keys, freshness)| (keys.keys.len(), freshness))?;
            Some(UsableKeys { count, age: cached.age(now), freshness })
        });
        KeyHealth {
            usable,
            fetches: state.fetches,
            failures: state.failures,
            problem: state.problem.as_ref().map(FetchProblem::to_string),
        }
    }

    /// Returns the fetch that is under way, or starts a fetch. `None` in the back-off after a failure, and outside of a
    /// runtime.
    fn start_refresh(self: &Arc<Self>, state: &mut State, now: SystemTime) -> Option<Refresh> {
        if let Some(refresh) = state.refresh_under_way(&self.source) {
            return Some(refresh);
        }
        let runtime = Handle::try_current().ok().filter(|_| state.back_off.is_over(now))?;
        state.fetches += 1;
        let (fetch, keys) = (state.fetches, Arc::clone(self));
        let (result, refresh) = watch::channel(None);
        // If the sender is dropped without a result, every exchange that waits learns that the fetch failed.
        runtime.spawn(async move {
            if let Some(fetched) = keys.fetch(fetch).await {
                result.send_replace(Some(fetched));
            }
        });
        let refresh = Refresh(refresh);
        state.refresh = Some(refresh.clone());
        Some(refresh)
    }

    /// Fetches the key set and records the result.
    async fn fetch(&self, fetch: u64) -> Option<KeySnapshot> {
        let fetched = self.source.fetch(&self.fetcher).await;
        let (mut state, now) = self.lock();
        state.refresh = None;
        match fetched {
            Ok((keys, lifetime)) => {
                let snapshot = KeySnapshot { keys, fetch };
                state.back_off.succeeded();
                state.problem = None;
                state.cached = Some(CachedKeys::new(snapshot.clone(), now, lifetime));
                Some(snapshot)
            }
            Err(problem) => {
                state.back_off.failed(now);
                state.failures += 1;
                state.problem = Some(problem.clone());
                drop(state);
                let jwks_uri = self.source.name();
                tracing::warn!(jwks_uri, %problem, "a key set could not be fetched");
                None
            }
        }
    }

    fn unavailable(&self) -> Rejection {
        let (state, _) = self.lock();
        match &state.problem {
            Some(problem) => refuse(Reason::IssuerKeysUnavailable).with_detail(problem),
            None => refuse(Reason::IssuerKeysUnavailable).with_detail(self.source.name()),
        }
    }

    /// Returns the state and the time. The time is read under the lock, so that no cached key set is newer than the time.
    fn lock(&self) -> (MutexGuard<'_, State>, SystemTime) {
        let state = lock(&self.state);
        (state, self.fetcher.clock.now())
    }
}

impl State {
    fn usable(&mut self, now: SystemTime) -> Option<(KeySnapshot, Freshness)> {
        self.cached.as_mut()?.usable(now).map(|(keys, freshness)| (keys.clone(), freshness))
    }

    fn refresh_under_way(&mut self, source: &Source) -> Option<Refresh> {
        let refresh = self.refresh.take()?;
        if !refresh.is_over() {
            self.refresh = Some(refresh.clone());
            return Some(refresh);
        }
        // A fetch that ends removes itself from the state. This fetch panicked, or its runtime was shut down.
        self.failures += 1;
        self.problem = Some(FetchProblem::at(source.name(), "the fetch was aborted"));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Clock, plug::boxed};
    use bytes::Bytes;
    use http::{Request, Response};
    use std::convert::Infallible;

    #[tokio::test]
    async fn a_newer_key_set_needs_no_further_fetch() {
        let keys = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
        let fetch =
            tower::service_fn(move |_: Request<Bytes>| async move { Ok::<_, Infallible>(Response::new(keys.into())) });
        let clock = Clock::new(|| SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let source = Source::Address("https://idp.example/jwks".into());
        let remote = Arc::new(RemoteKeys::new(source, Fetcher { http: boxed(fetch), clock }));
        let newer_than =
            async |seen: &KeySnapshot| remote.newer_than(seen).await.map(|keys| keys.map(|keys| keys.fetch));

        let first = remote.current().await.unwrap();
        assert_eq!(first.fetch, 1);
        assert_eq!(newer_than(&first).await.unwrap(), Some(2), "one more fetch");
        assert_eq!(newer_than(&first).await.unwrap(), Some(2), "fetched meanwhile");
        let second = remote.current().await.unwrap();
        assert_eq!(newer_than(&second).await.unwrap(), None, "no fetch in the cool-down");
        assert_eq!(remote.health().fetches, 2);
    }
}
