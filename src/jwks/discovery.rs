use super::fetcher::{FetchProblem, Fetcher};
use crate::{
    clock::is_within,
    locks::lock,
    metadata::{Missing, read_answer, well_known},
};
use std::{
    ops::ControlFlow,
    sync::{Mutex, MutexGuard},
    time::{Duration, SystemTime},
};
use tokio::time::Instant;

/// The longest time for which metadata is cached.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The place of a key set, which the metadata of the issuer names.
pub(super) struct Discovery {
    issuer: String,
    found: Mutex<Option<Discovered>>,
}

struct Discovered {
    jwks_uri: String,
    at: SystemTime,
}

impl Discovery {
    pub(super) fn new(issuer: String) -> Self {
        Self { issuer, found: Mutex::default() }
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the cached `jwks_uri`, or fetches the metadata.
    pub(super) async fn jwks_uri(&self, fetcher: &Fetcher, deadline: Instant) -> Result<String, FetchProblem> {
        if let Some(found) = &*self.lock()
            && is_within(LIFETIME, Some(found.at), fetcher.clock.now())
        {
            return Ok(found.jwks_uri.clone());
        }
        let jwks_uri = self.fetch_metadata(fetcher, deadline).await?;
        *self.lock() = Some(Discovered { jwks_uri: jwks_uri.clone(), at: fetcher.clock.now() });
        Ok(jwks_uri)
    }

    /// Discards the cached `jwks_uri`, so that the next fetch reads the metadata again.
    pub(super) fn forget(&self) {
        *self.lock() = None;
    }

    /// Asks the well-known locations in order. A location that has no document leads to the next location; any other
    /// response is final.
    async fn fetch_metadata(&self, fetcher: &Fetcher, deadline: Instant) -> Result<String, FetchProblem> {
        let mut missing = Missing::default();
        for uri in well_known(&self.issuer).into_iter().flatten() {
            let problem = |error| FetchProblem::at(&uri, error);
            match read_answer(&self.issuer, &fetcher.get(&uri, deadline).await?) {
                ControlFlow::Break(found) => {
                    let metadata = found.map_err(problem)?;
                    return metadata.jwks_uri().map(str::to_owned).map_err(problem);
                }
                ControlFlow::Continue(problem) => missing.add(&uri, problem),
            }
        }
        Err(match missing.0 {
            Some((uri, problem)) => FetchProblem::at(&uri, problem),
            None => FetchProblem::at(&self.issuer, "not an issuer identifier"),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Discovered>> {
        lock(&self.found)
    }
}
