use super::{
    fetching::{Fetching, Problem},
    flight::{Flight, State, landed},
    is_within,
    kept::{Age, Known},
    source::Source,
};
use crate::protocol::{Reason, Rejection, refuse};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

/// An unknown `kid` makes at most one fetch in this time; anybody can invent a `kid`.
const UNKNOWN_KEY_COOL_DOWN: Duration = Duration::from_secs(60);

/// A key set elsewhere, fetched when needed and kept (RFC 7517 section 5).
///
/// One fetch at a time, whoever waits for it; it goes on when they leave.
pub(super) struct RemoteKeys {
    pub(super) source: Source,
    pub(super) fetching: Fetching,
    state: Mutex<State>,
}

/// How things stand.
pub(super) struct Standing {
    /// The usable keys, how old they are, and what that means.
    pub(super) keys: Option<(usize, Duration, Age)>,
    pub(super) fetches: u64,
    pub(super) failures: u64,
    pub(super) problem: Option<String>,
}

impl RemoteKeys {
    pub(super) fn new(source: Source, fetching: Fetching) -> Self {
        Self { source, fetching, state: Mutex::default() }
    }

    /// Whether the set comes from there.
    pub(super) fn is_from(&self, source: &Source) -> bool {
        self.source.is_as(source)
    }

    /// The set as it is known: fresh, or fetched now, or for a bounded time stale.
    pub(super) async fn current(self: &Arc<Self>) -> Result<Known, Rejection> {
        let (stale, flight) = {
            let (mut state, now) = self.lock();
            let usable = state.kept.as_mut().and_then(|kept| kept.usable(now));
            match usable.map(|(known, age)| (known.clone(), age)) {
                Some((known, Age::Fresh)) => return Ok(known),
                Some((known, Age::Ageing)) => {
                    self.launch(&mut state, now);
                    return Ok(known);
                }
                Some((known, Age::Stale)) => {
                    let flight = self.launch(&mut state, now);
                    // The endpoint is known to be in trouble, and may make everybody wait for nothing.
                    if state.back_off.is_failing() {
                        return Ok(known);
                    }
                    (Some(known), flight)
                }
                None => (None, self.launch(&mut state, now)),
            }
        };
        landed(flight).await.or(stale).ok_or_else(|| self.unavailable())
    }

    /// A newer set than one that was looked through in vain: one that came meanwhile, or comes with the fetch under
    /// way or with one more. `None` if such a fetch was not long ago.
    ///
    /// While fetching fails, nobody knows whether the key is unknown, so that is an error instead.
    pub(super) async fn newer_than(self: &Arc<Self>, seen: &Known) -> Result<Option<Known>, Rejection> {
        let flight = {
            let (mut state, now) = self.lock();
            if let Some((known, _)) = state.kept.as_mut().and_then(|kept| kept.usable(now))
                && known.fetch > seen.fetch
            {
                return Ok(Some(known.clone()));
            }
            let joined = state.under_way(&self.source);
            if joined.is_none() {
                let recent = is_within(UNKNOWN_KEY_COOL_DOWN, state.last_for_unknown_key, now);
                if recent && !state.back_off.is_failing() {
                    return Ok(None);
                }
            }
            joined.or_else(|| {
                let launched = self.launch(&mut state, now)?;
                state.last_for_unknown_key = Some(now);
                Some(launched)
            })
        };
        landed(flight).await.map(Some).ok_or_else(|| self.unavailable())
    }

    /// Begins a fetch where there is no usable set, and waits for nothing.
    pub(super) fn begin_if_missing(self: &Arc<Self>) -> Option<Flight> {
        let (mut state, now) = self.lock();
        match state.kept.as_mut().and_then(|kept| kept.usable(now)) {
            Some(_) => None,
            None => self.launch(&mut state, now),
        }
    }

    pub(super) fn standing(&self) -> Standing {
        let (mut state, now) = self.lock();
        let usable = state.kept.as_mut().and_then(|kept| {
            let (count, age) = kept.usable(now).map(|(known, age)| (known.keys.len(), age))?;
            Some((count, kept.since(now), age))
        });
        Standing {
            keys: usable,
            fetches: state.fetches,
            failures: state.failures,
            problem: state.problem.as_ref().map(Problem::to_string),
        }
    }

    fn unavailable(&self) -> Rejection {
        let (state, _) = self.lock();
        match &state.problem {
            Some(problem) => refuse(Reason::IssuerKeysUnavailable).because(problem),
            None => refuse(Reason::IssuerKeysUnavailable).because(self.source.name()),
        }
    }

    /// The state, and the time: read in this order, so that no set seems to come from the future.
    pub(super) fn lock(&self) -> (MutexGuard<'_, State>, SystemTime) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state, self.fetching.clock.now())
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
    async fn a_set_that_came_meanwhile_is_looked_through_even_in_the_cool_down() {
        let keys = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
        let fetch =
            tower::service_fn(move |_: Request<Bytes>| async move { Ok::<_, Infallible>(Response::new(keys.into())) });
        let clock = Clock::new(|| SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let source = Source::At("https://idp.example/jwks".into());
        let remote = Arc::new(RemoteKeys::new(source, Fetching { fetch: boxed(fetch), clock }));
        let newer_than = async |seen: &Known| remote.newer_than(seen).await.map(|known| known.map(|known| known.fetch));

        let first = remote.current().await.unwrap();
        assert_eq!(first.fetch, 1);
        assert_eq!(newer_than(&first).await.unwrap(), Some(2), "one more fetch");
        assert_eq!(newer_than(&first).await.unwrap(), Some(2), "it has come meanwhile");
        let second = remote.current().await.unwrap();
        assert_eq!(newer_than(&second).await.unwrap(), None, "in the cool-down there is no other");
        assert_eq!(remote.standing().fetches, 2);
    }
}
