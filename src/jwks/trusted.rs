use super::{
    discovery::Discovery,
    fetcher::Fetcher,
    lookup,
    readiness::{IssuerReadiness, Readiness},
    remote::{KeyHealth, RemoteKeys},
    source::Source,
};
use crate::{
    jose::{KeyMatch, KeySet},
    protocol::Rejection,
    records::{IssuerId, IssuerRecord, KeySource, Registry},
};
use std::{collections::BTreeMap, sync::Arc};

/// The keys of every issuer, by the identifier of the issuer. A key never verifies a token of another issuer.
#[derive(Clone)]
pub(crate) struct TrustedKeys {
    by_issuer: BTreeMap<IssuerId, IssuerKeys>,
}

#[derive(Clone)]
struct IssuerKeys {
    /// The fixed key set of the record. If the record describes issued tokens too, also the keys of the signer.
    fixed: KeySet,
    /// The keys of the signer, if issued tokens have a record of their own. These keys verify no other token.
    issued: KeySet,
    remote: Option<Arc<RemoteKeys>>,
}

impl TrustedKeys {
    /// Collects the keys of all issuers in the registry.
    ///
    /// A key set of `before` that comes from the same source is kept, with everything that is known about the source.
    pub(crate) fn new(registry: &Registry, signer_keys: &KeySet, fetcher: &Fetcher, before: Option<&Self>) -> Self {
        let remote = |issuer: &IssuerRecord, source: Source| {
            let known = before.and_then(|before| before.by_issuer.get(&issuer.id)?.remote.as_ref());
            let known = known.filter(|known| known.is_from(&source)).cloned();
            known.unwrap_or_else(|| Arc::new(RemoteKeys::new(source, fetcher.clone())))
        };
        let keys_of = |issuer: &IssuerRecord| {
            let own = if registry.is_own(&issuer.id) { signer_keys.clone() } else { KeySet::empty() };
            let (named, source) = match &issuer.keys {
                Some(KeySource::Fixed(keys)) => (keys.clone(), None),
                Some(KeySource::Remote(uri)) => (KeySet::empty(), Some(Source::Address(uri.clone()))),
                Some(KeySource::Discovered) => {
                    let discovery = Discovery::new(issuer.id.to_string(), issuer.key_origins.clone());
                    (KeySet::empty(), Some(Source::Discovered(discovery)))
                }
                None => (KeySet::empty(), None),
            };
            let (issued, fixed) = match registry.issued() {
                Some(_) => (own.without(&named), named),
                None => (KeySet::empty(), named.union(&own)),
            };
            IssuerKeys { fixed, issued, remote: source.map(|source| remote(issuer, source)) }
        };
        Self { by_issuer: registry.issuers().map(|issuer| (issuer.id.clone(), keys_of(issuer))).collect() }
    }

    /// Whether a key of the signer verifies a token of this authorization server, so that this layer issued the token.
    pub(crate) fn verifies_as_issued(&self, own: &IssuerId, check: impl Fn(&KeySet) -> KeyMatch) -> bool {
        self.by_issuer.get(own).is_some_and(|keys| check(&keys.issued) == KeyMatch::Verified)
    }

    /// Looks for the key of a token in the key sets of an issuer: first in the fixed key set, then in the fetched one.
    ///
    /// If no key has the `kid`, the algorithm and the use that the token needs, the key set is fetched again, unless the
    /// last such fetch was too recent. For a token without `kid`, the key set is also fetched again if no key verifies the
    /// signature.
    pub(crate) async fn verify(
        &self,
        issuer: &IssuerRecord,
        has_kid: bool,
        check: impl Fn(&KeySet) -> KeyMatch,
    ) -> Result<KeyMatch, Rejection> {
        let Some(keys) = self.by_issuer.get(&issuer.id) else { return Ok(KeyMatch::NoKey) };
        // A key of the signer with the name in the token did not sign the token: otherwise the token would be an issued one.
        let in_issued = if check(&keys.issued) == KeyMatch::Mismatch { KeyMatch::Mismatch } else { KeyMatch::NoKey };
        lookup::find(check(&keys.fixed).max(in_issued), keys.remote.as_ref(), has_kid, check).await
    }

    /// Reports which issuers have keys. Starts to fetch the key sets that are missing, and does not wait for them.
    pub(crate) fn readiness(&self) -> Readiness {
        for remote in self.remotes() {
            remote.refresh_if_missing();
        }
        self.report()
    }

    /// Fetches the key sets that are missing, and reports which issuers have keys afterwards.
    pub(crate) async fn load(&self) -> Readiness {
        let refreshes: Vec<_> = self.remotes().filter_map(RemoteKeys::refresh_if_missing).collect();
        for refresh in refreshes {
            refresh.wait().await;
        }
        self.report()
    }

    fn report(&self) -> Readiness {
        let known = |keys: &IssuerKeys| keys.fixed.len() + keys.issued.len();
        let with_keys = self.by_issuer.iter().filter(|(_, keys)| keys.remote.is_some() || known(keys) > 0);
        let readiness = |(issuer, keys): (&IssuerId, &IssuerKeys)| {
            let remote: Option<KeyHealth> = keys.remote.as_ref().map(|remote| remote.health());
            IssuerReadiness::new(issuer, known(keys), remote)
        };
        Readiness { issuers: with_keys.map(readiness).collect() }
    }

    fn remotes(&self) -> impl Iterator<Item = &Arc<RemoteKeys>> {
        self.by_issuer.values().filter_map(|keys| keys.remote.as_ref())
    }
}
