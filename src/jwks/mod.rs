//! The keys of issuers: fixed ones, and those that are fetched and kept.
//!
//! A set that is fetched goes this way: [`source`] asks for it (through [`discovery`] where its address must be found),
//! [`kept`] knows how old it is, [`remote`] decides when to ask again and who waits, [`flight`] sees to it that one fetch
//! serves them all, [`readiness`] tells operators.

mod back_off;
mod discovery;
mod fetching;
mod flight;
mod freshness;
mod kept;
mod readiness;
mod remote;
mod source;

use crate::{
    protocol::Rejection,
    records::{IssuerRecord, KeySource, Registry},
};
use discovery::Discovery;
use flight::landed;
use futures_util::future::join_all;
use remote::RemoteKeys;
use source::Source;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

pub use crate::{
    jose::{IgnoredKey, IgnoredReason, KeySet, KeySetError},
    protocol::KeyId,
};
pub use readiness::{IssuerReadiness, KeyState, Readiness};

pub(crate) use fetching::Fetching;

/// Every issuer's keys, by the issuer's identifier. Keys of one issuer never verify a token of another.
#[derive(Clone)]
pub(crate) struct TrustedKeys {
    by_issuer: BTreeMap<String, Keys>,
}

#[derive(Clone)]
struct Keys {
    /// Known without asking anybody: a fixed set, and for our own issuer the signer's keys.
    fixed: KeySet,
    remote: Option<Arc<RemoteKeys>>,
}

impl TrustedKeys {
    /// The keys of these issuers. Those that come from where they came from before are taken over, with all that is
    /// known of them.
    pub(crate) fn new(registry: &Registry, signer_keys: &KeySet, fetching: &Fetching, before: Option<&Self>) -> Self {
        let remote = |issuer: &IssuerRecord, source: Source| {
            let known = before.and_then(|before| before.by_issuer.get(&issuer.id)?.remote.as_ref());
            let known = known.filter(|known| known.is_from(&source)).cloned();
            Some(known.unwrap_or_else(|| Arc::new(RemoteKeys::new(source, fetching.clone()))))
        };
        let keys_of = |issuer: &IssuerRecord| {
            let own = if registry.is_own(&issuer.id) { signer_keys.clone() } else { KeySet::empty() };
            match &issuer.keys {
                Some(KeySource::Fixed(keys)) => Keys { fixed: keys.union(&own), remote: None },
                Some(KeySource::Remote(uri)) => Keys { fixed: own, remote: remote(issuer, Source::At(uri.clone())) },
                Some(KeySource::Discovered) => {
                    Keys { fixed: own, remote: remote(issuer, Source::Discovered(Discovery::new(issuer.id.clone()))) }
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
        issuer: &IssuerRecord,
        has_kid: bool,
        verifies: impl Fn(&KeySet) -> Option<bool>,
    ) -> Result<Option<bool>, Rejection> {
        let Some(keys) = self.by_issuer.get(&issuer.id) else { return Ok(None) };
        let by_fixed = verifies(&keys.fixed);
        let Some(remote) = keys.remote.as_ref().filter(|_| by_fixed != Some(true)) else {
            return Ok(by_fixed);
        };
        let mut known = remote.current().await?;
        let mut by_fetched = verifies(&known.keys);
        // Every round brings a newer set. More than one is seldom needed: where the fetch that was under way set out
        // before the key was published.
        while by_fetched.is_none() || by_fetched == Some(false) && !has_kid {
            known = match remote.newer_than(&known).await {
                Ok(Some(newer)) => newer,
                Ok(None) => break,
                Err(_) if by_fetched.is_some() => break,
                Err(rejection) => return Err(rejection),
            };
            by_fetched = verifies(&known.keys).or(by_fetched);
        }
        Ok(by_fetched.or(by_fixed))
    }

    /// How things stand. Begins to load what is missing, and does not wait for it.
    pub(crate) fn readiness(&self) -> Readiness {
        for remote in self.remotes() {
            remote.begin_if_missing();
        }
        self.look()
    }

    /// Loads what is missing, and says how things stand then.
    pub(crate) async fn load(&self) -> Readiness {
        join_all(self.remotes().map(|remote| landed(remote.begin_if_missing()))).await;
        self.look()
    }

    fn look(&self) -> Readiness {
        let issuers = self.by_issuer.iter().filter_map(|(issuer, keys)| IssuerReadiness::of(issuer, keys)).collect();
        Readiness { issuers }
    }

    fn remotes(&self) -> impl Iterator<Item = &Arc<RemoteKeys>> {
        self.by_issuer.values().filter_map(|keys| keys.remote.as_ref())
    }
}

/// Whether the last time was less than `limit` ago; a time still to come was set by a clock that is no more.
fn is_within(limit: Duration, last: Option<SystemTime>, now: SystemTime) -> bool {
    last.is_some_and(|last| now.duration_since(last).is_ok_and(|since| since < limit))
}
