//! How a client authenticates.

#[cfg(feature = "argon2")]
use super::ChosenSecret;
#[cfg(feature = "client-certificates")]
use super::ClientCertificates;
use super::{SecretHash, workloads::ClientWorkloads};
use crate::jose::{Algorithm, KeySet};
#[cfg(feature = "argon2")]
use std::sync::Arc;
use std::time::Duration;

/// The longest time for which a client assertion may be valid, unless the record sets another.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(300);
/// The algorithms of FAPI 2.0 (security profile, section 5.4).
pub(super) const FAPI_ALGORITHMS: [Algorithm; 3] = [Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA];

/// Where the keys of a client come from.
#[derive(Clone, Debug)]
pub(crate) enum ClientKeySource {
    Fixed(KeySet),
    /// The URL of the key set.
    Remote(String),
}

/// The methods of a client, with what each method needs.
#[derive(Clone, Debug)]
pub(crate) struct ClientMethods {
    pub(crate) secrets: Vec<SecretHash>,
    #[cfg(feature = "argon2")]
    pub(crate) chosen_secrets: Vec<Arc<ChosenSecret>>,
    /// The keys for `private_key_jwt`.
    pub(crate) keys: Option<ClientKeySource>,
    pub(super) has_several_key_sources: bool,
    /// The algorithms that the record names. Empty for all that are permitted.
    pub(super) algorithms: Vec<Algorithm>,
    /// The `aud` of assertions that the record permits beside the issuer identifier.
    pub(crate) older_audience: Option<String>,
    pub(super) assertion_lifetime: Option<Duration>,
    #[cfg(feature = "client-certificates")]
    pub(crate) certificates: ClientCertificates,
    pub(crate) workloads: ClientWorkloads,
    /// Whether the client may send its id alone.
    pub(crate) public: bool,
    pub(crate) fapi: bool,
}

impl ClientMethods {
    pub(super) fn new() -> Self {
        Self {
            secrets: Vec::new(),
            #[cfg(feature = "argon2")]
            chosen_secrets: Vec::new(),
            keys: None,
            has_several_key_sources: false,
            algorithms: Vec::new(),
            older_audience: None,
            assertion_lifetime: None,
            #[cfg(feature = "client-certificates")]
            certificates: ClientCertificates::default(),
            workloads: ClientWorkloads::default(),
            public: false,
            fapi: false,
        }
    }

    /// Whether the record has a method.
    pub(crate) fn are_some(&self) -> bool {
        self.public || self.authenticate()
    }

    /// Whether the client has a way to authenticate.
    pub(super) fn authenticate(&self) -> bool {
        self.has_secret() || self.keys.is_some() || self.workloads.are_some() || self.accept_certificates()
    }

    pub(super) fn has_secret(&self) -> bool {
        #[cfg(feature = "argon2")]
        return !self.secrets.is_empty() || !self.chosen_secrets.is_empty();
        #[cfg(not(feature = "argon2"))]
        return !self.secrets.is_empty();
    }

    /// Whether the client may present a certificate.
    pub(crate) fn accept_certificates(&self) -> bool {
        #[cfg(feature = "client-certificates")]
        return self.certificates.are_some() || self.workloads.have_spiffe_ids();
        #[cfg(not(feature = "client-certificates"))]
        return false;
    }

    /// Whether the client may present a certificate with a name, and one with a key or a hash.
    pub(super) fn certificate_methods(&self) -> [bool; 2] {
        #[cfg(feature = "client-certificates")]
        return [self.certificates.name().is_some(), self.certificates.are_of_keys()];
        #[cfg(not(feature = "client-certificates"))]
        return [false; 2];
    }

    /// Whether the client may sign assertions with an algorithm.
    pub(crate) fn permit(&self, algorithm: Algorithm) -> bool {
        (self.algorithms.is_empty() || self.algorithms.contains(&algorithm)) && self.permit_in_proofs(algorithm)
    }

    /// Whether the client may sign DPoP proofs with an algorithm.
    pub(crate) fn permit_in_proofs(&self, algorithm: Algorithm) -> bool {
        !self.fapi || FAPI_ALGORITHMS.contains(&algorithm)
    }

    /// The longest time between now and the `exp` of an assertion.
    pub(crate) fn assertion_lifetime(&self) -> Duration {
        self.assertion_lifetime.unwrap_or(ASSERTION_LIFETIME)
    }

    pub(super) fn set_keys(&mut self, source: ClientKeySource) {
        self.has_several_key_sources |= self.keys.is_some();
        self.keys = Some(source);
    }
}
