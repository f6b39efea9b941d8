use super::{attempt::Attempt, method::ServerMethod};
use crate::{
    client_auth::AuthenticationMethod,
    metrics,
    protocol::{ClientAddress, ClientId, hash_secret},
};
use moka::sync::Cache;
use ring::{hmac, rand::SystemRandom};
use std::time::Duration;

const MAX_CLIENTS: u64 = 10_000;
/// How long a proof by a success counts. A proof needs a failed login at the server, and a server may lock a client after too
/// many failed logins.
const PROOF_BY_SUCCESS: Duration = Duration::from_secs(3600);
/// How long a proof by an error counts. An error can change its meaning, for example while the server locks the client.
const PROOF_BY_ERROR: Duration = Duration::from_secs(300);

/// What shows that the server accepts credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// The answer that only an authenticated client gets.
    Success,
    /// An error that only an authenticated client gets.
    Error,
}

/// The credentials that the server accepted a short time ago, and the proofs that the server rejects a wrong secret instead.
///
/// Credentials are kept as a keyed hash. The key never leaves the process, so the hashes are of no use elsewhere.
pub(super) struct Memory {
    key: hmac::Key,
    /// `None` if accepted credentials are not remembered.
    accepted: Option<Cache<[u8; 32], ()>>,
    proofs_by_success: Cache<[u8; 32], ()>,
    proofs_by_error: Cache<[u8; 32], ()>,
    /// The method by which the server accepted a client that sent its secret in this way. A server can take a secret in one
    /// way at one endpoint, and in another way at another endpoint.
    methods: Cache<(ClientId, AuthenticationMethod), ServerMethod>,
}

impl Memory {
    /// Returns `None` if the system has no randomness.
    pub(super) fn new(entries: u64, time_to_live: Duration) -> Option<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok()?;
        let cache = |entries, time| Cache::builder().max_capacity(entries).time_to_live(time).build();
        Some(Self {
            key,
            accepted: (entries > 0 && !time_to_live.is_zero()).then(|| cache(entries, time_to_live)),
            proofs_by_success: cache(MAX_CLIENTS, PROOF_BY_SUCCESS),
            proofs_by_error: cache(MAX_CLIENTS, PROOF_BY_ERROR),
            methods: Cache::builder().max_capacity(MAX_CLIENTS).time_to_live(PROOF_BY_SUCCESS).build(),
        })
    }

    /// The client of the attempts, if the server accepted one of them a short time ago.
    pub(super) fn accepted(&self, attempts: &[Attempt]) -> Option<ClientId> {
        let accepted = self.accepted.as_ref()?;
        let found = attempts.iter().find(|attempt| accepted.contains_key(&self.hash(&attempt.identity())));
        metrics::record_cache_lookup("client", found.is_some());
        found.map(|attempt| attempt.client_id().clone())
    }

    /// Remembers credentials that the server accepted.
    pub(super) fn accept(&self, method: ServerMethod, attempt: &Attempt) {
        if let Some(accepted) = &self.accepted {
            accepted.insert(self.hash(&attempt.identity()), ());
        }
        self.methods.insert((attempt.client_id().clone(), attempt.method()), method);
    }

    /// The method by which the server accepted this client within the last hour, in the way of this attempt.
    pub(super) fn method_of(&self, attempt: &Attempt) -> Option<ServerMethod> {
        self.methods.get(&(attempt.client_id().clone(), attempt.method()))
    }

    /// Whether the server was seen to reject a wrong secret in place of these credentials.
    pub(super) fn is_proven(&self, method: ServerMethod, attempt: &Attempt, evidence: Evidence) -> bool {
        self.proofs(evidence).contains_key(&self.proof(method, attempt))
    }

    pub(super) fn note_proof(&self, method: ServerMethod, attempt: &Attempt, evidence: Evidence) {
        self.proofs(evidence).insert(self.proof(method, attempt), ());
    }

    fn proofs(&self, evidence: Evidence) -> &Cache<[u8; 32], ()> {
        match evidence {
            Evidence::Success => &self.proofs_by_success,
            Evidence::Error => &self.proofs_by_error,
        }
    }

    fn proof(&self, method: ServerMethod, attempt: &Attempt) -> [u8; 32] {
        let [sent_as, id, secret] = attempt.identity();
        self.hash(&[method.as_str().as_bytes(), sent_as, id, secret])
    }

    /// The name of a question: the same attempts of the same client at the same address.
    pub(super) fn name_of(&self, attempts: &[Attempt], address: Option<&ClientAddress>) -> [u8; 32] {
        let address = address.map(|address| address.address().to_string()).unwrap_or_default();
        let parts = attempts.iter().flat_map(Attempt::identity).chain([address.as_bytes()]);
        self.hash(&parts.collect::<Vec<_>>())
    }

    fn hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        hash_secret(|parts| self.hmac(parts), parts)
    }

    fn hmac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            // Each part comes with its length, so that different parts never join to the same bytes.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(context.sign().as_ref());
        hash
    }
}
