use super::{Client, ClientId, Issuer, IssuerId, Target, TargetId, unknown};
use std::collections::{HashMap, HashSet};

/// The names of all records. The checks of one record look up other records here.
pub(super) struct Names {
    own_issuer: IssuerId,
    clients: HashSet<ClientId>,
    /// The targets with the clients that each of them lists.
    targets: HashMap<TargetId, HashSet<ClientId>>,
    issuers: HashSet<IssuerId>,
}

impl Names {
    pub(super) fn new(own_issuer: &IssuerId, clients: &[Client], targets: &[Target], issuers: &[Issuer]) -> Self {
        let callers = |target: &Target| (target.id.clone(), target.callers.iter().cloned().collect());
        Self {
            own_issuer: own_issuer.clone(),
            clients: clients.iter().map(|client| client.id.clone()).collect(),
            targets: targets.iter().map(callers).collect(),
            issuers: issuers.iter().map(|issuer| issuer.id.clone()).chain([own_issuer.clone()]).collect(),
        }
    }

    pub(super) fn own_issuer(&self) -> &IssuerId {
        &self.own_issuer
    }

    pub(super) fn is_own(&self, issuer: &IssuerId) -> bool {
        self.own_issuer == *issuer
    }

    pub(super) fn has_client(&self, id: impl AsRef<str>) -> bool {
        self.clients.contains(id.as_ref())
    }

    /// Whether there are clients, but none with this id. Without any client, the missing clients are the only mistake.
    pub(super) fn lacks_client(&self, id: &ClientId) -> bool {
        !self.clients.is_empty() && !self.clients.contains(id)
    }

    /// Whether there are targets, but none with this id. Without any target, the missing targets are the only mistake.
    pub(super) fn lacks_target(&self, id: &TargetId) -> bool {
        !self.targets.is_empty() && !self.targets.contains_key(id)
    }

    pub(super) fn has_issuer(&self, id: &IssuerId) -> bool {
        self.issuers.contains(id)
    }

    pub(super) fn unknown_client(&self, id: &ClientId) -> String {
        unknown("client", id, &self.clients)
    }

    pub(super) fn unknown_target(&self, id: &TargetId) -> String {
        unknown("target", id, self.targets.keys())
    }

    pub(super) fn unknown_issuer(&self, id: &IssuerId) -> String {
        unknown("issuer", id, &self.issuers)
    }

    /// Whether a target lists a client.
    pub(super) fn lists_client(&self, target: &TargetId, client: &ClientId) -> bool {
        self.targets.is_empty() || self.targets.get(target).is_some_and(|callers| callers.contains(client))
    }
}
