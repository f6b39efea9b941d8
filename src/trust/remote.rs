use crate::{
    clock::Clock,
    jose::KeySet,
    part::{Failing, Part, ask},
    protocol::{Reason, Rejection, refuse},
};
use bytes::Bytes;
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use http::{Request, Response, StatusCode, header};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

/// The largest key set that is read.
const KEY_SET_BYTES: usize = 256 * 1024;
/// How long one fetch may take, whatever the client that makes it thinks.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a set is fresh when its answer does not say, and the bounds of what it may say.
const FRESH: Duration = Duration::from_secs(10 * 60);
const MIN_FRESH: Duration = Duration::from_secs(60);
const MAX_FRESH: Duration = Duration::from_secs(24 * 60 * 60);
/// How long after it was fresh a set still serves while no new one can be had.
const STALE: Duration = Duration::from_secs(60 * 60);
/// An unknown `kid` makes at most one fetch in this time; anybody can invent a `kid`.
const UNKNOWN_KEY_COOL_DOWN: Duration = Duration::from_secs(60);
/// The time between two fetches when fetching fails.
const FAILURE_COOL_DOWN: Duration = Duration::from_secs(1);

const FAILING: Failing =
    Failing { unavailable: Reason::IssuerKeysUnavailable, panicked: Reason::IssuerKeysUnavailable };

/// What fetching needs, beside the address.
#[derive(Clone)]
pub(crate) struct Fetching {
    pub(crate) fetch: Part<Request<Bytes>, Response<Bytes>>,
    pub(crate) clock: Clock,
}

/// A key set at a URL, fetched when needed and kept (RFC 7517 section 5).
///
/// One fetch at a time, whoever waits for it; it goes on when they leave.
pub(crate) struct RemoteKeys {
    uri: String,
    fetching: Fetching,
    state: Mutex<State>,
}

type Flight = Shared<BoxFuture<'static, Option<KeySet>>>;

#[derive(Default)]
struct State {
    kept: Option<Kept>,
    last_attempt: Option<SystemTime>,
    last_for_unknown_key: Option<SystemTime>,
    failing: bool,
    flight: Option<Flight>,
}

struct Kept {
    keys: KeySet,
    fetched: SystemTime,
    fresh: Duration,
}

impl Kept {
    /// `None` where the clock was set back since, so that nobody knows.
    fn age(&self, now: SystemTime) -> Option<Duration> {
        now.duration_since(self.fetched).ok()
    }
}

impl RemoteKeys {
    pub(crate) fn new(uri: String, fetching: Fetching) -> Self {
        Self { uri, fetching, state: Mutex::default() }
    }

    /// The set as it is known: fresh, or fetched now, or for a bounded time stale.
    pub(crate) async fn current(self: &Arc<Self>) -> Result<KeySet, Rejection> {
        let now = self.fetching.clock.now();
        let (stale, flight) = {
            let mut state = self.lock();
            let stale = match &state.kept {
                Some(kept) if kept.age(now).is_some_and(|age| age < kept.fresh) => return Ok(kept.keys.clone()),
                Some(kept) if kept.age(now).is_none_or(|age| age < kept.fresh + STALE) => Some(kept.keys.clone()),
                _ => None,
            };
            let flight = self.launch(&mut state, now);
            match stale {
                // The endpoint is known to be in trouble, and may make everybody wait for nothing.
                Some(stale) if state.failing => return Ok(stale),
                stale => (stale, flight),
            }
        };
        landed(flight).await.or(stale).ok_or_else(|| self.unavailable())
    }

    /// The set after one more fetch for the sake of an unknown key, or `None` if there was one not long ago.
    ///
    /// While fetching fails, nobody knows whether the key is unknown, so that is an error instead.
    pub(crate) async fn refreshed(self: &Arc<Self>) -> Result<Option<KeySet>, Rejection> {
        let flight = {
            let now = self.fetching.clock.now();
            let mut state = self.lock();
            if !state.failing && is_within(UNKNOWN_KEY_COOL_DOWN, state.last_for_unknown_key, now) {
                return Ok(None);
            }
            state.last_for_unknown_key = Some(now);
            self.launch(&mut state, now)
        };
        landed(flight).await.map(Some).ok_or_else(|| self.unavailable())
    }

    fn unavailable(&self) -> Rejection {
        refuse(Reason::IssuerKeysUnavailable).because(&self.uri)
    }

    /// Joins the fetch under way, or starts one, but not right after another.
    fn launch(self: &Arc<Self>, state: &mut State, now: SystemTime) -> Option<Flight> {
        // One that crashed has not taken itself off the list.
        if let Some(flight) = state.flight.as_ref().filter(|flight| flight.peek().is_none()) {
            return Some(flight.clone());
        }
        if state.failing && is_within(FAILURE_COOL_DOWN, state.last_attempt, now) {
            return None;
        }
        state.last_attempt = Some(now);
        let keys = Arc::clone(self);
        let landed = tokio::spawn(async move { keys.fetch().await }).map(|landed| landed.ok().flatten());
        let flight = landed.boxed().shared();
        state.flight = Some(flight.clone());
        Some(flight)
    }

    /// Fetches, and takes note of how it went. Nobody may be waiting any more by then.
    async fn fetch(&self) -> Option<KeySet> {
        let fetched = self.fetch_in_time().await;
        let mut state = self.lock();
        state.flight = None;
        match fetched {
            Ok((keys, fresh)) => {
                state.failing = false;
                state.kept = Some(Kept { keys: keys.clone(), fetched: self.fetching.clock.now(), fresh });
                Some(keys)
            }
            Err(problem) => {
                state.failing = true;
                drop(state);
                tracing::warn!(jwks_uri = self.uri, problem, "the key set of an issuer could not be fetched");
                None
            }
        }
    }

    async fn fetch_in_time(&self) -> Result<(KeySet, Duration), String> {
        let answer = tokio::time::timeout(FETCH_TIMEOUT, self.ask()).await;
        answer.unwrap_or_else(|_elapsed| Err("no answer in time".to_owned()))
    }

    async fn ask(&self) -> Result<(KeySet, Duration), String> {
        let request = Request::get(&self.uri)
            .header(header::ACCEPT, "application/jwk-set+json, application/json")
            .body(Bytes::new())
            .map_err(|error| error.to_string())?;
        let response = ask(&self.fetching.fetch, request, FAILING)
            .await
            .map_err(|rejection| rejection.detail().unwrap_or("the fetch panicked").to_owned())?;
        if response.status() != StatusCode::OK {
            return Err(format!("status {}", response.status()));
        }
        if response.body().len() > KEY_SET_BYTES {
            return Err(format!("larger than {KEY_SET_BYTES} bytes"));
        }
        let keys = KeySet::from_json(response.body()).map_err(|error| error.to_string())?;
        if keys.is_empty() {
            return Err("no usable key in the set".to_owned());
        }
        Ok((keys, freshness(&response)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a fetch brought, if there was one to wait for and it brought anything.
async fn landed(flight: Option<Flight>) -> Option<KeySet> {
    flight?.await
}

/// Whether the last time was less than `cool_down` ago; a time still to come was set by a clock that is no more.
fn is_within(cool_down: Duration, last: Option<SystemTime>, now: SystemTime) -> bool {
    last.is_some_and(|last| now.duration_since(last).is_ok_and(|since| since < cool_down))
}

fn freshness(response: &Response<Bytes>) -> Duration {
    response
        .headers()
        .get_all(header::CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|directive| directive.trim().split_once('='))
        .find_map(|(name, seconds)| name.eq_ignore_ascii_case("max-age").then(|| seconds.parse().ok())?)
        .map_or(FRESH, |seconds| Duration::from_secs(seconds).clamp(MIN_FRESH, MAX_FRESH))
}
