use super::{
    fetching::{Fetching, Problem},
    is_within,
    metadata::{Metadata, well_known},
};
use http::StatusCode;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
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
    metadata: Metadata,
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
            return Ok(found.metadata.jwks_uri.clone());
        }
        let metadata = self.look_up(fetching, deadline).await?;
        let jwks_uri = metadata.jwks_uri.clone();
        *self.lock() = Some(Found { metadata, at: fetching.clock.now() });
        Ok(jwks_uri)
    }

    /// Looks it up again the next time: there was no key set.
    pub(super) fn forget(&self) {
        *self.lock() = None;
    }

    /// Asks at one well-known location after the other, as long as the answer is that there is nothing there. What is
    /// there is the answer, good or bad.
    async fn look_up(&self, fetching: &Fetching, deadline: Instant) -> Result<Metadata, Problem> {
        let mut missing = Problem::at(&self.issuer, "not an issuer identifier");
        for uri in well_known(&self.issuer).into_iter().flatten() {
            let response = fetching.get(&uri, deadline).await?;
            match response.status() {
                StatusCode::OK => {
                    return Metadata::parse(response.body(), &self.issuer).map_err(|error| Problem::at(&uri, error));
                }
                status => missing = Problem::at(&uri, format_args!("status {}", status.as_u16())),
            }
            if !response.status().is_client_error() {
                break;
            }
        }
        Err(missing)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Found>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
