//! The methods of a workload, which presents a token that its platform issued.

use crate::records::IssuerId;

/// The end of a SPIFFE ID that stands for all IDs below a path.
pub(super) const ANY_BELOW: &str = "/*";

/// A token of another issuer that a client may present as its assertion: the `iss`, the `sub` and the `aud` of the token.
///
/// The issuer needs a record with its keys. The three claims are compared exactly, and the token must have no other audience. A
/// token that a workload gets from its platform, such as the token of a Kubernetes service account, can be presented until the
/// token expires.
///
/// ```
/// use tower_token_exchange::{Client, Issuer, records::FederatedCredential};
///
/// let cluster = Issuer::new("https://kubernetes.default.svc.cluster.local").discovery().for_clients_only();
/// let credential = FederatedCredential::new(
///     "https://kubernetes.default.svc.cluster.local",
///     "system:serviceaccount:shop:orders",
/// );
/// let orders = Client::new("orders").federated_credential(credential);
/// # let _ = (cluster, orders);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct FederatedCredential {
    pub(crate) issuer: IssuerId,
    pub(crate) subject: String,
    pub(crate) audience: Option<String>,
}

impl FederatedCredential {
    /// A token of this issuer with this `sub`, whose `aud` is the issuer identifier of this server.
    pub fn new(issuer: impl Into<IssuerId>, subject: impl Into<String>) -> Self {
        Self { issuer: issuer.into(), subject: subject.into(), audience: None }
    }

    /// Sets the `aud` of the token. Default: the issuer identifier of this server.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }
}

/// The workloads that are a client.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientWorkloads {
    pub(crate) federated: Vec<FederatedCredential>,
    pub(super) spiffe_ids: Vec<String>,
}

impl ClientWorkloads {
    pub(super) fn are_some(&self) -> bool {
        !self.federated.is_empty() || !self.spiffe_ids.is_empty()
    }

    /// Whether a workload of a SPIFFE trust domain can be the client.
    pub(crate) fn have_spiffe_ids(&self) -> bool {
        !self.spiffe_ids.is_empty()
    }

    /// Whether a workload with this SPIFFE ID is the client.
    pub(crate) fn have_spiffe_id(&self, id: &str) -> bool {
        self.spiffe_ids.iter().any(|known| match known.strip_suffix(ANY_BELOW) {
            Some(path) => id.strip_prefix(path).is_some_and(|rest| rest.len() > 1 && rest.starts_with('/')),
            None => known == id,
        })
    }
}
