use super::{Client, Issuer, Target};
use std::collections::{HashMap, HashSet};

/// The names of all records. The checks of one record look up other records here.
pub(super) struct Names {
    own_issuer: String,
    clients: HashSet<String>,
    /// The targets with the clients that each of them lists.
    targets: HashMap<String, HashSet<String>>,
    issuers: HashSet<String>,
}

impl Names {
    pub(super) fn new(own_issuer: &str, clients: &[Client], targets: &[Target], issuers: &[Issuer]) -> Self {
        let callers = |target: &Target| (target.id.clone(), target.callers.iter().cloned().collect());
        Self {
            own_issuer: own_issuer.to_owned(),
            clients: clients.iter().map(|client| client.id.clone()).collect(),
            targets: targets.iter().map(callers).collect(),
            issuers: issuers.iter().map(|issuer| issuer.id.clone()).chain([own_issuer.to_owned()]).collect(),
        }
    }

    pub(super) fn own_issuer(&self) -> &str {
        &self.own_issuer
    }

    pub(super) fn is_own(&self, issuer: &str) -> bool {
        self.own_issuer == issuer
    }

    pub(super) fn has_client(&self, id: &str) -> bool {
        self.clients.contains(id)
    }

    pub(super) fn has_target(&self, id: &str) -> bool {
        self.targets.contains_key(id)
    }

    pub(super) fn has_issuer(&self, id: &str) -> bool {
        self.issuers.contains(id)
    }

    /// Whether a target lists a client.
    pub(super) fn lists_client(&self, target: &str, client: &str) -> bool {
        self.targets.get(target).is_some_and(|callers| callers.contains(client))
    }
}
