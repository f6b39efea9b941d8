use crate::{records::Registry, revocation::AncestryKey};
use std::collections::HashSet;

/// The hashes of the clients that have a record. A token that was issued to a client without a record is revoked, and so is
/// everything that was exchanged for the token.
#[derive(Debug)]
pub(crate) struct KnownClients(HashSet<[u8; 3]>);

impl KnownClients {
    pub(crate) fn new(registry: &Registry, key: &AncestryKey) -> Self {
        Self(registry.clients().map(|client| key.client(client.id.as_str()).hash()).collect())
    }

    pub(super) fn contains(&self, client: [u8; 3]) -> bool {
        self.0.contains(&client)
    }
}
