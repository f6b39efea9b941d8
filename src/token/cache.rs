use crate::{clock::Clock, jose::Claims, metrics, protocol::sha256_of_secret};
use std::time::{Duration, SystemTime};

/// The answers of an introspection endpoint, kept for a short time under the hashes of the tokens.
///
/// Only the request to the endpoint is saved. Every rule is checked again for a kept answer.
#[derive(Clone)]
pub(super) struct Cache {
    entries: moka::sync::Cache<[u8; 32], (Claims, SystemTime)>,
    time_to_live: Duration,
    clock: Clock,
}

impl Cache {
    pub(super) fn new(entries: u64, time_to_live: Duration, clock: Clock) -> Self {
        let entries = moka::sync::Cache::builder().max_capacity(entries).time_to_live(time_to_live).build();
        Self { entries, time_to_live, clock }
    }

    pub(super) fn get(&self, token: &str) -> Option<Claims> {
        let found = self.find(token);
        metrics::record_cache_lookup("introspection", found.is_some());
        found
    }

    fn find(&self, token: &str) -> Option<Claims> {
        let (claims, since) = self.entries.get(&sha256_of_secret(token))?;
        // The clock of the layer decides. The clock of `moka` only frees memory.
        let age = self.clock.now().duration_since(since).ok()?;
        (age < self.time_to_live).then_some(claims)
    }

    /// Keeps an answer, unless the token has expired or has no `exp`. Such a token is refused in any case.
    pub(super) fn put(&self, token: &str, claims: &Claims) {
        if claims.seconds("exp").is_ok_and(|exp| exp.is_some_and(|exp| exp > self.clock.seconds())) {
            self.entries.insert(sha256_of_secret(token), (claims.clone(), self.clock.now()));
        }
    }
}
