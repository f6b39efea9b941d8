//! The checks of the methods of a client, alone and against the other records.

use super::{
    ClientKeySource, ClientMethods, FederatedCredential,
    methods::FAPI_ALGORITHMS,
    workloads::{ANY_BELOW, ClientWorkloads},
};
use crate::records::{
    ConfigErrorKind, IssuerId, Place, Problems, is_absolute, issuer::trust_domain, names::Names, place::Field,
};
use std::time::Duration;

const MAX_ASSERTION_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

const KEYS: Field = Field::new("jwks", "keys");

impl ClientMethods {
    /// Checks the methods alone and together.
    pub(super) fn check(&self, place: &Place<'_>, names: &Names, problems: &mut Problems) {
        self.check_keys(place, problems);
        #[cfg(feature = "client-certificates")]
        self.certificates.check(self.keys.is_some(), place, problems);
        self.workloads.check(place, names, problems);
        let needs_keys = [
            ("algorithms", !self.algorithms.is_empty()),
            ("allow_assertion_audience", self.older_audience.is_some()),
            ("max_assertion_lifetime", self.assertion_lifetime.is_some()),
        ];
        for (field, is_set) in needs_keys {
            if is_set && self.keys.is_none() {
                let keys = place.word(KEYS);
                let help =
                    format!("only for clients that sign assertions: give `{keys}` or `jwks_uri`, or remove this");
                problems.add(place.wrong(field, help).of_kind(ConfigErrorKind::Conflict));
            }
        }
        if self.older_audience.as_ref().is_some_and(|url| !is_absolute(url)) {
            let help = "not an `http` or `https` URL: give the URL of the token endpoint in full";
            problems.add(place.wrong("allow_assertion_audience", help));
        }
        let lifetimes = Duration::from_secs(1)..=MAX_ASSERTION_LIFETIME;
        if self.assertion_lifetime.is_some_and(|lifetime| !lifetimes.contains(&lifetime)) {
            problems.add(place.wrong("max_assertion_lifetime", "out of range: give 1 s to 24 h"));
        }
        if self.public && self.authenticate() {
            let help = "the client also has a way to authenticate, which nobody would need: remove one of the two";
            problems.add(place.wrong("allow_public", help).of_kind(ConfigErrorKind::Conflict));
        }
        if self.fapi {
            self.check_fapi(place, problems);
        }
    }

    fn check_keys(&self, place: &Place<'_>, problems: &mut Problems) {
        if self.has_several_key_sources {
            let field = if place.word(KEYS) == "jwks" { "jwks or jwks_uri" } else { "keys or jwks_uri" };
            let help = "more than one source of keys: keep one";
            problems.add(place.wrong(field, help).of_kind(ConfigErrorKind::Conflict));
        }
        match &self.keys {
            Some(ClientKeySource::Fixed(keys)) if !keys.verifies_tokens() => {
                let help = "no usable key in the set: give an RSA key of at least 2048 bits, P-256, P-384 or Ed25519";
                problems.add(place.wrong(KEYS, help));
            }
            Some(ClientKeySource::Remote(uri)) if uri.contains('@') || !is_absolute(uri) => {
                let help = "not an `http` or `https` URL without user information: give the URL in full";
                problems.add(place.wrong("jwks_uri", help));
            }
            _ => {}
        }
    }

    fn check_fapi(&self, place: &Place<'_>, problems: &mut Problems) {
        let mut refuse = |field: &'static str, is_set: bool, help: &str| {
            if is_set {
                problems.add(place.wrong(field, help).of_kind(ConfigErrorKind::Conflict));
            }
        };
        let needs_a_key = "a FAPI client proves that it has a key: remove this, or remove `fapi`";
        refuse("secret", self.has_secret(), needs_a_key);
        refuse("allow_public", self.public, needs_a_key);
        refuse("federated_credential", !self.workloads.federated.is_empty(), needs_a_key);
        let one_audience = "a FAPI client names the issuer alone: remove this, or remove `fapi`";
        refuse("allow_assertion_audience", self.older_audience.is_some(), one_audience);
        let is_other = self.algorithms.iter().any(|algorithm| !FAPI_ALGORITHMS.contains(algorithm));
        refuse("algorithms", is_other, "FAPI permits PS256, ES256 and EdDSA: remove the others, or remove `fapi`");
    }
}

impl ClientWorkloads {
    fn check(&self, place: &Place<'_>, names: &Names, problems: &mut Problems) {
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
