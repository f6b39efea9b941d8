use crate::jose::Thumbprint;
use serde::Serialize;
use serde_json::Value;

/// The member of `cnf` for the key of a DPoP proof (RFC 9449 section 6.1).
const KEY: &str = "jkt";
/// The member of `cnf` for a certificate (RFC 8705 section 3.1).
const CERTIFICATE: &str = "x5t#S256";

/// The key and the certificate that a token is bound to, or that the sender of a request has proven to possess.
///
/// As JSON, a binding has the members of the claim `cnf` (RFC 7800 section 3.1).
///
/// ```
/// use tower_token_exchange::proof::Binding;
///
/// let key = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I".parse()?;
/// let binding = Binding::of_key(key);
/// assert_eq!(serde_json::to_value(binding)?, serde_json::json!({ "jkt": key.to_string() }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Binding {
    /// The key that signs DPoP proofs (RFC 9449).
    #[serde(rename = "jkt", skip_serializing_if = "Option::is_none")]
    pub key: Option<Thumbprint>,
    /// The certificate of the client in the TLS handshake (RFC 8705).
    #[serde(rename = "x5t#S256", skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Thumbprint>,
}

impl Binding {
    /// Creates a binding to nothing: the binding of a bearer token.
    pub const fn none() -> Self {
        Self { key: None, certificate: None }
    }

    /// Creates a binding to the key of a DPoP proof.
    pub const fn of_key(key: Thumbprint) -> Self {
        Self { key: Some(key), certificate: None }
    }

    /// Creates a binding to a certificate.
    pub const fn of_certificate(certificate: Thumbprint) -> Self {
        Self { key: None, certificate: Some(certificate) }
    }

    /// Returns whether there is neither a key nor a certificate.
    pub const fn is_none(&self) -> bool {
        self.key.is_none() && self.certificate.is_none()
    }

    /// Returns the binding to everything that this or the other binding names. If both name a key, or both name a
    /// certificate, the first stays.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { key: self.key.or(other.key), certificate: self.certificate.or(other.certificate) }
    }

    /// Returns whether this binding names everything that the other binding names.
    pub(crate) fn contains(&self, other: &Self) -> bool {
        (other.key.is_none() || other.key == self.key)
            && (other.certificate.is_none() || other.certificate == self.certificate)
    }

    /// Returns how a token with this binding is used, as the `token_type` of an answer (RFC 6749 section 7.1). A token that is
    /// bound to a certificate only is used as `Bearer` (RFC 8705 section 3), and a token that is no access token as `N_A` (RFC
    /// 8693 section 2.2.1).
    pub(crate) fn token_type(&self, is_access_token: bool) -> &'static str {
        match self.key {
            _ if !is_access_token => "N_A",
            Some(_) => "DPoP",
            None => "Bearer",
        }
    }
}

/// What a received token says about its binding, in the claim `cnf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confirmation {
    /// The token has no `cnf`: a bearer token.
    Free,
    /// The token is bound to a key, to a certificate, or to both.
    Bound(Binding),
    /// The claim has a member that the layer cannot check, or is malformed.
    Unknown,
}

impl Confirmation {
    /// Reads the claim `cnf`. Every member has to be one that the layer can check.
    pub(crate) fn read(cnf: Option<&Value>) -> Self {
        let Some(cnf) = cnf else { return Self::Free };
        let mut binding = Binding::none();
        for (name, value) in cnf.as_object().into_iter().flatten() {
            let thumbprint = value.as_str().and_then(|text| text.parse().ok());
            match (name.as_str(), thumbprint) {
                (KEY, Some(key)) => binding.key = Some(key),
                (CERTIFICATE, Some(certificate)) => binding.certificate = Some(certificate),
                _ => return Self::Unknown,
            }
        }
        if binding.is_none() { Self::Unknown } else { Self::Bound(binding) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ONE: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
    const OTHER: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

    #[test]
    fn every_member_of_cnf_is_understood() {
        let (one, other) = (ONE.parse().unwrap(), OTHER.parse().unwrap());
        for (cnf, binding) in [
            (json!({ "jkt": ONE }), Binding::of_key(one)),
            (json!({ "x5t#S256": OTHER }), Binding::of_certificate(other)),
            (json!({ "jkt": ONE, "x5t#S256": OTHER }), Binding { key: Some(one), certificate: Some(other) }),
        ] {
            assert_eq!(Confirmation::read(Some(&cnf)), Confirmation::Bound(binding), "{cnf}");
            assert_eq!(json!(binding), cnf);
        }
        assert_eq!(Confirmation::read(None), Confirmation::Free);
        for unknown in [
            json!(null),
            json!({}),
            json!([]),
            json!(ONE),
            json!({ "jkt": null }),
            json!({ "jkt": "x" }),
            json!({ "jkt": [ONE] }),
            json!({ "JKT": ONE }),
            json!({ "kid": "a" }),
            json!({ "jwk": { "kty": "EC" } }),
            json!({ "x5t": ONE }),
            json!({ "jkt": ONE, "kid": "a" }),
        ] {
            assert_eq!(Confirmation::read(Some(&unknown)), Confirmation::Unknown, "{unknown}");
        }
    }

    #[test]
    fn the_binding_decides_the_token_type() {
        let (one, other) = (ONE.parse().unwrap(), OTHER.parse().unwrap());
        for (binding, token_type) in [
            (Binding::none(), "Bearer"),
            (Binding::of_key(one), "DPoP"),
            (Binding::of_certificate(one), "Bearer"),
            (Binding { key: Some(one), certificate: Some(other) }, "DPoP"),
        ] {
            assert_eq!(binding.token_type(true), token_type);
            assert_eq!(binding.token_type(false), "N_A");
        }
    }

    #[test]
    fn a_binding_contains_only_what_it_names() {
        let (one, other) = (ONE.parse().unwrap(), OTHER.parse().unwrap());
        let both = Binding { key: Some(one), certificate: Some(other) };
        for (proven, needed, contained) in [
            (Binding::none(), Binding::none(), true),
            (both, Binding::none(), true),
            (both, both, true),
            (both, Binding::of_key(one), true),
            (both, Binding::of_key(other), false),
            (Binding::of_key(one), both, false),
            (Binding::none(), Binding::of_key(one), false),
            (Binding::of_key(one), Binding::of_certificate(one), false),
        ] {
            assert_eq!(proven.contains(&needed), contained, "{proven:?} {needed:?}");
        }
        assert_eq!(Binding::of_key(one).and(Binding { key: Some(other), certificate: Some(other) }), both);
    }
}
