use super::{RevocationQuestion, RevocationState, RevocationsFull, entries::Entries};
use crate::locks::lock;
use std::{
    future::{Ready, ready},
    sync::{Arc, Mutex},
    task::{Context, Poll},
};
use tower::Service;

/// A [`RevocationStore`](super::RevocationStore) in the memory of the process. After a restart, a revoked token that has
/// not expired is valid again.
///
/// The store has room for a fixed number of revocations and keeps each of them at least until the token expires. A million
/// revocations need at most 100 MiB. The memory is taken when revocations arrive. The store forgets the revocations of expired
/// tokens when another revocation needs the room, and not before: a clock that runs ahead for a while makes no revoked token
/// valid again. A full store refuses a new revocation and never drops a revocation of a token that has not expired.
///
/// No client can have more revocations in the store than there are free places. One client alone therefore fills at most
/// half of the store, and two clients fill at most two thirds. A client that has its share gets
/// [`RevocationState::ShareUsed`], and other clients can still revoke tokens. Revocations by the operator have no share.
///
/// ```
/// use tower_token_exchange::{
///     Client, Target, TokenExchangeLayer,
///     policy::{Rule, Subjects},
///     revocation::MemoryRevocations,
///     signing::{Algorithm, LocalSigner},
/// };
///
/// let layer = TokenExchangeLayer::builder("https://as.example")
///     .revocation_endpoint("/revoke")
///     .revocations(MemoryRevocations::new(100_000))
///     .clients([Client::new("orders").secret("a-long-and-random-secret")])
///     .targets([Target::new("billing").allow_clients(["orders"]).scopes(["read"])])
///     .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["read"])])
///     .signer(LocalSigner::generate(Algorithm::ES256)?)
///     .build()?;
/// # let _ = layer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct MemoryRevocations {
    entries: Arc<Mutex<Entries>>,
}

impl MemoryRevocations {
    /// A store with room for `capacity` revocations. One client has room for half of them.
    pub fn new(capacity: usize) -> Self {
        Self { entries: Arc::new(Mutex::new(Entries::new(capacity))) }
    }
}

impl Service<RevocationQuestion> for MemoryRevocations {
    type Response = RevocationState;
    type Error = RevocationsFull;
    type Future = Ready<Result<RevocationState, RevocationsFull>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), RevocationsFull>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, question: RevocationQuestion) -> Self::Future {
        let mut entries = lock(&self.entries);
        ready(match question {
            RevocationQuestion::Revoke { revocation, now, .. } => entries.revoke(&revocation, now),
            RevocationQuestion::Find { keys, .. } => Ok(RevocationState::Found(entries.find(&keys))),
        })
    }
}
