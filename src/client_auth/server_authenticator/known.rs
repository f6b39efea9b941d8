use super::Question;
use crate::metrics;
use ring::{hmac, rand::SystemRandom};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

const CLIENTS_TOLD_APART: u64 = 10_000;
/// Rarely, since each is a failed login there, of which a server may count only so many.
const TOLD_APART_FOR: Duration = Duration::from_secs(3600);

/// What the server accepted a short while ago, by a hash whose key nobody else has: what could be read out of this
/// memory is good for nothing elsewhere.
pub(super) struct Known {
    key: hmac::Key,
    /// None where nothing is to be kept.
    accepted: Option<moka::sync::Cache<[u8; 32], ()>>,
    /// The clients of which it was seen to reject a wrong secret, presented like this.
    told_apart: moka::sync::Cache<(&'static str, String), ()>,
    /// Whether it was seen to reject a client that was made up.
    server_rejects: AtomicBool,
}

impl Known {
    /// Nothing if the system has no randomness.
    pub(super) fn new(entries: u64, time_to_live: Duration) -> Option<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok()?;
        let cache = || moka::sync::Cache::builder().max_capacity(entries).time_to_live(time_to_live).build();
        let accepted = (entries > 0 && !time_to_live.is_zero()).then(cache);
        let told_apart =
            moka::sync::Cache::builder().max_capacity(CLIENTS_TOLD_APART).time_to_live(TOLD_APART_FOR).build();
        Some(Self { key, accepted, told_apart, server_rejects: AtomicBool::new(false) })
    }

    pub(super) fn has(&self, question: &Question) -> bool {
        let Some(accepted) = &self.accepted else { return false };
        let found = accepted.contains_key(&self.hash(question));
        metrics::record_cache_lookup("client", found);
        found
    }

    pub(super) fn remember(&self, question: &Question) {
        if let Some(accepted) = &self.accepted {
            accepted.insert(self.hash(question), ());
        }
    }

    /// Whether the server was seen a while ago to look at the secret of this client.
    pub(super) fn is_told_apart(&self, question: &Question) -> bool {
        self.told_apart.contains_key(&(question.method.as_str(), question.client_id.clone()))
    }

    pub(super) fn note_told_apart(&self, question: &Question) {
        self.told_apart.insert((question.method.as_str(), question.client_id.clone()), ());
    }

    pub(super) fn server_rejects(&self) -> bool {
        self.server_rejects.load(Ordering::Relaxed)
    }

    pub(super) fn note_that_server_rejects(&self) {
        self.server_rejects.store(true, Ordering::Relaxed);
    }

    fn hash(&self, question: &Question) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(question.method.as_str().as_bytes());
        for part in question.identity() {
            // With their lengths, so that no two questions run together to the same bytes.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(context.sign().as_ref());
        hash
    }
}
