//! The methods of a workload, which presents a token that its platform issued.

use super::Client;
use crate::records::{ConfigErrorKind, IssuerId, Place, Problems, issuer::trust_domain, names::Names};

/// The end of a SPIFFE ID that stands for all IDs below a path.
const ANY_BELOW: &str = "/*";

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
    spiffe_ids: Vec<String>,
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

    pub(super) fn check(&self, place: &Place<'_>, names: &Names, problems: &mut Problems) {
        for (index, credential) in self.federated.iter().enumerate() {
            let FederatedCredential { issuer, subject, audience } = credential;
            let mut refuse = |kind, help: String| {
                problems.add(place.wrong_member("federated_credential", index, help).of_kind(kind));
            };
            if names.is_own(issuer) {
                let help = "this server is no platform of workloads: give the issuer of the platform";
                refuse(ConfigErrorKind::Conflict, help.to_owned());
            } else if !names.has_issuer(issuer) {
                refuse(ConfigErrorKind::Unknown, names.unknown_issuer(issuer));
            }
            if subject.is_empty() || audience.as_ref().is_some_and(String::is_empty) {
                let help = "an empty `subject` or `audience`: give the exact value of the claim";
                refuse(ConfigErrorKind::Invalid, help.to_owned());
            }
        }
        for (index, id) in self.spiffe_ids.iter().enumerate() {
            let mut refuse = |kind, help: String| {
                problems.add(place.wrong_member("spiffe_id", index, help).of_kind(kind));
            };
            let plain = id.strip_suffix(ANY_BELOW).map_or_else(|| id.clone(), |path| format!("{path}/x"));
            let Some(domain) = trust_domain(&plain).map(IssuerId::from) else {
                let help = "not a SPIFFE ID: give `spiffe://`, the trust domain and a path, which may end with `/*`";
                refuse(ConfigErrorKind::Invalid, help.to_owned());
                continue;
            };
            if !names.has_issuer(&domain) {
                refuse(ConfigErrorKind::Unknown, names.unknown_issuer(&domain));
            }
        }
    }
}

/// How a workload authenticates as the client, without a secret of its own.
impl Client {
    /// Accepts a token of another issuer as the client assertion. Each call adds a credential.
    ///
    /// The request has the `client_assertion_type` of a signed JWT (RFC 7523 section 2.2), and a `client_id`, because the token
    /// does not name the client.
    pub fn federated_credential(mut self, credential: FederatedCredential) -> Self {
        self.methods.workloads.federated.push(credential);
        self
    }

    /// Accepts the workload with this SPIFFE ID. Each call adds an ID. The end `/*` stands for every ID below the path.
    ///
    /// The workload presents a JWT-SVID as `client_assertion`, with the `client_assertion_type`
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-spiffe`, or an X.509-SVID as the certificate of its connection. The trust
    /// domain needs a record ([`Issuer::spiffe`](crate::Issuer::spiffe)), whose keys verify a JWT-SVID. The TLS acceptor
    /// verifies an X.509-SVID, and must trust only authorities whose names of the domain count.
    ///
    /// ```
    /// use tower_token_exchange::{Client, Issuer};
    ///
    /// let domain = Issuer::spiffe("shop.example", "https://spire.shop.example/bundle").for_clients_only();
    /// let orders = Client::new("orders").spiffe_id("spiffe://shop.example/ns/shop/orders");
    /// # let _ = (domain, orders);
    /// ```
    pub fn spiffe_id(mut self, id: impl Into<String>) -> Self {
        self.methods.workloads.spiffe_ids.push(id.into());
        self
    }
}
