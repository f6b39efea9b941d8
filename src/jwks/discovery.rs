use super::fetcher::{FetchProblem, Fetcher};
use crate::{
    clock::is_within,
    fetch::origin,
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
    /// The origins that may have the key set, beside the origin of the issuer.
    key_origins: Vec<String>,
    found: Mutex<Option<Discovered>>,
}

struct Discovered {
    jwks_uri: String,
    at: SystemTime,
}

impl Discovery {
    pub(super) fn new(issuer: String, key_origins: Vec<String>) -> Self {
        Self { issuer, key_origins, found: Mutex::default() }
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.issuer == other.issuer && self.key_origins == other.key_origins
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
                    let jwks_uri = metadata.jwks_uri().map_err(problem)?;
                    return self.permitted(jwks_uri).map(str::to_owned);
                }
                ControlFlow::Continue(problem) => missing.add(&uri, problem),
            }
        }
        Err(match missing.0 {
            Some((uri, problem)) => FetchProblem::at(&uri, problem),
            None => FetchProblem::at(&self.issuer, "not an issuer identifier"),
        })
    }

    /// Returns the place of the keys if the place is at the origin of the issuer, or at an origin that the record names.
    /// Whoever can write the metadata must not choose which server the layer asks.
    fn permitted<'a>(&self, jwks_uri: &'a str) -> Result<&'a str, FetchProblem> {
        let found = origin(jwks_uri);
        let mut known = [&self.issuer].into_iter().chain(&self.key_origins).map(|known| origin(known));
        if found.is_some() && known.any(|known| known == found) {
            return Ok(jwks_uri);
        }
        let problem = "the jwks_uri of the metadata, at another origin than the issuer; if the keys are there, add the origin \
                       to `key_origins` of the issuer";
        Err(FetchProblem::at(jwks_uri, problem))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Discovered>> {
        lock(&self.found)
    }
}
