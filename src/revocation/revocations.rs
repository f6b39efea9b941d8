use super::{
    AncestryKey, FoundRevocation, Revocation, RevocationKey, RevocationPart, RevocationQuestion, RevocationState,
};
use crate::{
    plug::{Failing, ask},
    protocol::{NumericDate, Reason, Rejection, refuse},
};
use std::time::Duration;

const FAILING: Failing = Failing { unavailable: Reason::RevocationsUnavailable, panicked: Reason::RevocationsPanicked };

/// The revocation store of a layer, and the key of its hashes. Clones ask the same store.
#[derive(Clone)]
pub(crate) struct Revocations {
    store: RevocationPart,
    key: AncestryKey,
    /// The most ancestors that an issued token names.
    max_ancestors: usize,
}

impl Revocations {
    pub(crate) fn new(store: RevocationPart, key: AncestryKey, max_ancestors: usize) -> Self {
        Self { store, key, max_ancestors }
    }

    pub(crate) fn key(&self) -> &AncestryKey {
        &self.key
    }

    pub(crate) fn max_ancestors(&self) -> usize {
        self.max_ancestors
    }

    /// Asks the store which of these keys have a revocation.
    pub(crate) async fn find(
        &self,
        keys: impl IntoIterator<Item = RevocationKey>,
    ) -> Result<Vec<FoundRevocation>, Rejection> {
        let question = RevocationQuestion::find(keys).made_with(self.key.fingerprint());
        match ask(&self.store, question, FAILING).await? {
            RevocationState::Found(found) => Ok(found),
            RevocationState::Revoked | RevocationState::ShareUsed { .. } => {
                Err(refuse(Reason::RevocationsUnavailable).with_detail("the store did not say what is revoked"))
            }
        }
    }

    /// Tells the store that something is revoked. A store that does not confirm the revocation has failed.
    pub(crate) async fn revoke(&self, revocation: Revocation, now: NumericDate) -> Result<(), Rejection> {
        let holder = revocation.holder.clone();
        let question = RevocationQuestion::revoke(revocation, now).made_with(self.key.fingerprint());
        match ask(&self.store, question, FAILING).await? {
            RevocationState::Revoked => Ok(()),
            RevocationState::ShareUsed { retry_at } => {
                let wait = Duration::from_secs(retry_at.seconds().saturating_sub(now.seconds()));
                let rejection = refuse(Reason::RevocationShareUsed).with_retry_after(wait);
                Err(match holder {
                    Some(holder) => rejection.with_detail(format_args!("client `{holder}`")),
                    None => rejection,
                })
            }
            RevocationState::Found(_) => {
                Err(refuse(Reason::RevocationsUnavailable).with_detail("the store did not take the revocation"))
            }
        }
    }
}
