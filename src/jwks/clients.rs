use super::{fetcher::Fetcher, lookup, remote::RemoteKeys, source::Source};
use crate::{
    jose::{KeyMatch, KeySet},
    protocol::{Detail, Reason, Rejection, refuse},
    records::{ClientId, ClientKeySource, ClientRecord, Registry},
};
use std::{collections::HashMap, sync::Arc};

/// The fetched key sets of clients. Each client has a fetch of its own, so no client delays another.
#[derive(Clone)]
pub(crate) struct ClientKeys {
    remote: HashMap<ClientId, Arc<RemoteKeys>>,
}

impl ClientKeys {
    /// Collects the key sets of all clients in the registry. A key set of `before` that comes from the same URL is kept.
    pub(crate) fn new(registry: &Registry, fetcher: &Fetcher, before: Option<&Self>) -> Self {
        let remote = registry.clients().filter_map(|client| {
            let Some(ClientKeySource::Remote(uri)) = &client.methods.keys else { return None };
            let source = Source::Address(uri.clone());
            let known = before.and_then(|before| before.remote.get(&client.id));
            let known = known.filter(|known| known.is_from(&source)).cloned();
            Some((client.id.clone(), known.unwrap_or_else(|| Arc::new(RemoteKeys::new(source, fetcher.clone())))))
        });
        Self { remote: remote.collect() }
    }

    /// Looks for a key in the key set of a client.
    pub(crate) async fn find(
        &self,
        client: &ClientRecord,
        has_kid: bool,
        check: impl Fn(&KeySet) -> KeyMatch,
    ) -> Result<KeyMatch, Rejection> {
        let in_fixed = match &client.methods.keys {
            Some(ClientKeySource::Fixed(keys)) => check(keys),
            _ => KeyMatch::NoKey,
        };
        let found = lookup::find(in_fixed, self.remote.get(&client.id), has_kid, check).await;
        found.map_err(|rejection| {
            let detail = rejection.detail().cloned().unwrap_or_else(|| Detail::from("no keys"));
            refuse(Reason::ClientKeysUnavailable).with_detail(detail)
        })
    }
}
