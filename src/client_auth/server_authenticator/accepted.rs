use super::probe::Probe;
use crate::{client_auth::AuthenticationMethod, metrics, protocol::ClientId};
use ring::{hmac, rand::SystemRandom};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

const MAX_CHECKED_CLIENTS: u64 = 10_000;
/// The check is rare, because each check is a failed login at the server, and a server may lock a client after too many
/// failed logins.
const CHECK_INTERVAL: Duration = Duration::from_secs(3600);

/// The credentials that the server accepted a short time ago, and the proofs that the server checks credentials at all.
///
/// Credentials are kept as a keyed hash. The key never leaves the process, so the hashes are of no use elsewhere.
pub(super) struct AcceptedCredentials {
    key: hmac::Key,
    /// `None` if the cache is off.
    hashes: Option<moka::sync::Cache<[u8; 32], ()>>,
    /// The clients whose wrong secret the server rejected, by authentication method and by the encoding of the client id.
    checked_clients: moka::sync::Cache<CheckedClient, ()>,
    rejected_unknown_client: AtomicBool,
}

/// A client as the server gets the client id.
#[derive(PartialEq, Eq, Hash)]
struct CheckedClient {
    method: AuthenticationMethod,
    client_id: ClientId,
    encoded_client_id: Option<Vec<u8>>,
}

impl CheckedClient {
    fn new(probe: &Probe) -> Self {
        Self { method: probe.method, client_id: probe.client_id.clone(), encoded_client_id: probe.encoded_client_id() }
    }
}

impl AcceptedCredentials {
    /// Returns `None` if the system has no randomness.
    pub(super) fn new(entries: u64, time_to_live: Duration) -> Option<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok()?;
        let cache = || moka::sync::Cache::builder().max_capacity(entries).time_to_live(time_to_live).build();
        let hashes = (entries > 0 && !time_to_live.is_zero()).then(cache);
        let checked_clients =
            moka::sync::Cache::builder().max_capacity(MAX_CHECKED_CLIENTS).time_to_live(CHECK_INTERVAL).build();
        Some(Self { key, hashes, checked_clients, rejected_unknown_client: AtomicBool::new(false) })
    }

    pub(super) fn contains(&self, probe: &Probe) -> bool {
        let Some(hashes) = &self.hashes else { return false };
        let is_hit = hashes.contains_key(&self.hash(probe));
        metrics::record_cache_lookup("client", is_hit);
        is_hit
    }

    pub(super) fn insert(&self, probe: &Probe) {
        if let Some(hashes) = &self.hashes {
            hashes.insert(self.hash(probe), ());
        }
    }

    /// Whether the server rejected a wrong secret of this client, sent with this method and in this encoding, within the
    /// last hour.
    pub(super) fn has_rejected_wrong_secret(&self, probe: &Probe) -> bool {
        self.checked_clients.contains_key(&CheckedClient::new(probe))
    }

    pub(super) fn note_rejected_wrong_secret(&self, probe: &Probe) {
        self.checked_clients.insert(CheckedClient::new(probe), ());
    }

    /// Whether the server rejected a client that does not exist.
    pub(super) fn has_rejected_unknown_client(&self) -> bool {
        self.rejected_unknown_client.load(Ordering::Relaxed)
    }

    pub(super) fn note_rejected_unknown_client(&self) {
        self.rejected_unknown_client.store(true, Ordering::Relaxed);
    }

    fn hash(&self, probe: &Probe) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(probe.method.as_str().as_bytes());
        for part in probe.identity() {
            // Each part comes with its length, so that different parts never join to the same bytes.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(context.sign().as_ref());
        hash
    }
}
