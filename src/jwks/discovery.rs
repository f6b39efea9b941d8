use super::fetching::{Fetching, Problem};
use crate::{
    clock::is_within,
    locks::lock,
    metadata::{read_answer, well_known},
};
use std::{
    ops::ControlFlow,
    sync::{Mutex, MutexGuard},
    time::{Duration, SystemTime},
};
use tokio::time::Instant;

/// The longest that metadata is kept.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Where an issuer's metadata says that its key set is.
pub(super) struct Discovery {
    issuer: String,
    found: Mutex<Option<Found>>,
}

struct Found {
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

    /// The `jwks_uri`, as it is known or as it is found now.
    pub(super) async fn jwks_uri(&self, fetching: &Fetching, deadline: Instant) -> Result<String, Problem> {
        if let Some(found) = &*self.lock()
            && is_within(KEPT, Some(found.at), fetching.clock.now())
        {
            return Ok(found.jwks_uri.clone());
        }
        let jwks_uri = self.look_up(fetching, deadline).await?;
        *self.lock() = Some(Found { jwks_uri: jwks_uri.clone(), at: fetching.clock.now() });
        Ok(jwks_uri)
    }

    /// Looks it up again the next time: there was no key set.
    pub(super) fn forget(&self) {
        *self.lock() = None;
    }

    /// Asks at one well-known location after the other, as long as the answer is that there is nothing there. What is
    /// there is the answer, good or bad.
    async fn look_up(&self, fetching: &Fetching, deadline: Instant) -> Result<String, Problem> {
        let mut missing = Problem::at(&self.issuer, "not an issuer identifier");
        for uri in well_known(&self.issuer).into_iter().flatten() {
            let problem = |error| Problem::at(&uri, error);
            match read_answer(&self.issuer, &fetching.get(&uri, deadline).await?) {
                ControlFlow::Break(found) => {
                    let metadata = found.map_err(problem)?;
                    return metadata.jwks_uri().map(str::to_owned).map_err(problem);
                }
                ControlFlow::Continue(status) => missing = problem(status),
            }
        }
        Err(missing)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Found>> {
        lock(&self.found)
    }
}
