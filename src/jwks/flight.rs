use super::{
    back_off::BackOff,
    fetching::Problem,
    kept::{Kept, Known},
    remote::RemoteKeys,
    source::Source,
};
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use std::{sync::Arc, time::SystemTime};
use tokio::runtime::Handle;

/// A fetch under way, for all who wait for it. It goes on when they leave.
pub(super) type Flight = Shared<BoxFuture<'static, Option<Known>>>;

/// What is known of a key set elsewhere, and of the fetches so far.
#[derive(Default)]
pub(super) struct State {
    pub(super) kept: Option<Kept>,
    pub(super) last_for_unknown_key: Option<SystemTime>,
    pub(super) back_off: BackOff,
    pub(super) fetches: u64,
    pub(super) failures: u64,
    pub(super) problem: Option<Problem>,
    flight: Option<Flight>,
}

impl RemoteKeys {
    /// Joins the fetch under way, or begins one, but not soon after one that failed, and not without a runtime.
    pub(super) fn launch(self: &Arc<Self>, state: &mut State, now: SystemTime) -> Option<Flight> {
        if let Some(flight) = state.under_way(&self.source) {
            return Some(flight);
        }
        let runtime = Handle::try_current().ok().filter(|_| state.back_off.is_over(now))?;
        state.fetches += 1;
        let (number, keys) = (state.fetches, Arc::clone(self));
        let landed = runtime.spawn(async move { keys.fetch(number).await }).map(|landed| landed.ok().flatten());
        let flight = landed.boxed().shared();
        state.flight = Some(flight.clone());
        Some(flight)
    }

    /// Fetches, and takes note of how it went. Nobody may be waiting any more by then.
    async fn fetch(&self, number: u64) -> Option<Known> {
        let fetched = self.source.fetch(&self.fetching).await;
        let (mut state, now) = self.lock();
        state.flight = None;
        match fetched {
            Ok((keys, fresh)) => {
                let known = Known { keys, fetch: number };
                state.back_off.succeeded();
                state.problem = None;
                state.kept = Some(Kept::new(known.clone(), now, fresh));
                Some(known)
            }
            Err(problem) => {
                state.back_off.failed(now);
                state.failures += 1;
                state.problem = Some(problem.clone());
                drop(state);
                let jwks_uri = self.source.name();
                tracing::warn!(jwks_uri, %problem, "the key set of an issuer could not be fetched");
                None
            }
        }
    }
}

impl State {
    /// The fetch that is not over yet.
    pub(super) fn under_way(&mut self, source: &Source) -> Option<Flight> {
        let flight = self.flight.take()?;
        if flight.clone().now_or_never().is_none() {
            self.flight = Some(flight.clone());
            return Some(flight);
        }
        // One that comes to its end takes itself off the list. This one crashed, or its runtime was shut down.
        self.failures += 1;
        self.problem = Some(Problem::at(source.name(), "the fetch was broken off"));
        None
    }
}

/// What a fetch brought, if there was one to wait for and it brought anything.
pub(super) async fn landed(flight: Option<Flight>) -> Option<Known> {
    flight?.await
}
