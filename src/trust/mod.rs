//! The keys of issuers: fixed ones, and those that are fetched and kept.

mod remote;

use crate::{
    jose::KeySet,
    protocol::Rejection,
    registry::{Issuer, KeySource, Registry},
};
use remote::RemoteKeys;
use std::{collections::HashMap, sync::Arc};

pub(crate) use remote::Fetching;

/// Every issuer's keys, by the issuer's identifier. Keys of one issuer never verify a token of another.
pub(crate) struct TrustedKeys {
    by_issuer: HashMap<String, Keys>,
}

struct Keys {
    /// Known without asking anybody: a fixed set, and for our own issuer the signer's keys.
    fixed: KeySet,
    remote: Option<Arc<RemoteKeys>>,
}

impl TrustedKeys {
    pub(crate) fn new(registry: &Registry, signer_keys: &KeySet, fetching: &Fetching) -> Self {
        let keys_of = |issuer: &Issuer| {
            let own = if registry.is_own(&issuer.id) { signer_keys.clone() } else { KeySet::empty() };
            match &issuer.keys {
                Some(KeySource::Fixed(keys)) => Keys { fixed: keys.union(&own), remote: None },
                Some(KeySource::Remote(uri)) => {
                    Keys { fixed: own, remote: Some(Arc::new(RemoteKeys::new(uri.clone(), fetching.clone()))) }
                }
                None => Keys { fixed: own, remote: None },
            }
        };
        Self { by_issuer: registry.issuers().map(|issuer| (issuer.id.clone(), keys_of(issuer))).collect() }
    }

    /// Looks an issuer's keys through: those known for sure first, then those fetched, and once more after a
    /// refresh where no key fits and one is due. `None` if no key fits then, else whether one verifies.
    /// A token without `kid` names no key, so for it a refresh is due where none verifies, too.
    pub(crate) async fn verify(
        &self,
        issuer: &Issuer,
        has_kid: bool,
        verifies: impl Fn(&KeySet) -> Option<bool>,
    ) -> Result<Option<bool>, Rejection> {
        let Some(keys) = self.by_issuer.get(&issuer.id) else { return Ok(None) };
        let by_fixed = verifies(&keys.fixed);
        let Some(remote) = keys.remote.as_ref().filter(|_| by_fixed != Some(true)) else {
            return Ok(by_fixed);
        };
        match verifies(&remote.current().await?) {
            Some(false) if !has_kid => {
                let refreshed = remote.refreshed().await.ok().flatten();
                return Ok(refreshed.and_then(|keys| verifies(&keys)).or(Some(false)));
            }
            Some(by_fetched) => return Ok(Some(by_fetched)),
            None => {}
        }
        let by_refreshed = remote.refreshed().await?.and_then(|keys| verifies(&keys));
        Ok(by_refreshed.or(by_fixed))
    }
}
