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
    /// refresh where nothing fits and one is due. `None` if nothing fits then.
    pub(crate) async fn find<T>(
        &self,
        issuer: &Issuer,
        mut fit: impl FnMut(&KeySet) -> Option<T>,
    ) -> Result<Option<T>, Rejection> {
        let Some(keys) = self.by_issuer.get(&issuer.id) else { return Ok(None) };
        if let Some(found) = fit(&keys.fixed) {
            return Ok(Some(found));
        }
        let Some(remote) = &keys.remote else { return Ok(None) };
        if let Some(found) = fit(&remote.current().await?) {
            return Ok(Some(found));
        }
        Ok(remote.refreshed().await.and_then(|keys| fit(&keys)))
    }
}
