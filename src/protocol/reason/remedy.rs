use serde::{Serialize, Serializer};
use std::fmt;

/// What an operator can do about a refusal.
///
/// A remedy names the settings that decide. `Display` names the methods of the builders, and [`in_keys`](Self::in_keys) names
/// the keys of a document.
///
/// ```
/// use tower_token_exchange::Reason;
///
/// let remedy = Reason::TokenTooOld.remedy();
/// assert!(remedy.to_string().contains("`Issuer::max_age`"));
/// assert!(remedy.in_keys().contains("`issuer.max_age`"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Remedy(
    /// The text, with each setting as the name of its method in braces.
    &'static str,
);

/// The tables of a document for the types whose methods are keys there.
const TABLES: [(&str, &str); 6] = [
    ("Client", "client"),
    ("Target", "target"),
    ("Issuer", "issuer"),
    ("TokenRules", "issuer.tokens"),
    ("Introspection", "issuer.introspection"),
    ("Rule", "rule"),
];

/// The keys that do not have the name of their method.
const KEYS: [(&str, &str); 24] = [
    ("Client::new", "client.id"),
    ("Client::keys", "client.jwks"),
    ("Client::tls_client_auth", "client.tls_client_auth_subject_dn"),
    ("Client::deny_exchange", "client.without_exchange"),
    ("Client::allow_actor", "client.carries"),
    ("Client::allow_tenants", "client.tenants"),
    ("Target::resource", "target.resources"),
    ("Target::name", "target.audiences"),
    ("Target::allow_clients", "target.callers"),
    ("Target::served_by", "target.owner"),
    ("Issuer::keys", "issuer.jwks"),
    ("Issuer::spiffe", "issuer.preset"),
    ("Issuer::accept", "issuer.tokens"),
    ("Issuer::accept_types", "issuer.tokens"),
    ("Issuer::accept_tenants", "issuer.tenants"),
    ("Issuer::accepted_audiences", "issuer.our_names"),
    ("Issuer::map_subjects", "issuer.subjects"),
    ("Issuer::map_client", "issuer.client_names"),
    ("Issuer::allow_presenters", "issuer.presenters"),
    ("Introspection::basic", "issuer.introspection"),
    ("Rule::allow", "rule"),
    ("Rule::deny", "rule"),
    ("Rule::delegation", "rule.grant"),
    ("Rule::impersonation", "rule.grant"),
];

impl Remedy {
    pub(super) const fn new(text: &'static str) -> Self {
        Self(text)
    }

    /// The text with the keys of a document, such as `target.owner`.
    ///
    /// A document has no keys for the options of the layer, so the text names the methods of these.
    pub fn in_keys(self) -> String {
        self.with_settings(|method, key| format!("`{}`", key.as_deref().unwrap_or(method)))
    }

    /// The text with this name for each setting. The function gets the method of the setting, such as
    /// `Target::served_by`, and the key of a document, such as `target.owner`, if there is one.
    ///
    /// ```
    /// use tower_token_exchange::Reason;
    ///
    /// let text = Reason::TokenTooOld.remedy().with_settings(|_, key| key.unwrap_or_default().to_uppercase());
    /// assert!(text.contains("ISSUER.MAX_AGE"));
    /// ```
    pub fn with_settings(self, mut name: impl FnMut(&str, Option<String>) -> String) -> String {
        let mut text = String::new();
        for (is_setting, piece) in self.pieces() {
            if is_setting {
                text.push_str(&name(piece, document_key(piece)));
            } else {
                text.push_str(piece);
            }
        }
        text
    }

    /// The pieces of the text, and whether a piece is the method of a setting.
    fn pieces(self) -> impl Iterator<Item = (bool, &'static str)> {
        self.0.split(['{', '}']).enumerate().map(|(at, piece)| (at % 2 == 1, piece))
    }
}

/// The key of a document for a method of a record, such as `target.owner` for `Target::served_by`. `None` for a method of
/// another type.
///
/// ```
/// use tower_token_exchange::error::document_key;
///
/// assert_eq!(document_key("Target::served_by").as_deref(), Some("target.owner"));
/// assert_eq!(document_key("Issuer::max_age").as_deref(), Some("issuer.max_age"));
/// assert_eq!(document_key("TokenExchangeBuilder::deadline"), None);
/// ```
pub fn document_key(method: &str) -> Option<String> {
    if let Some((_, key)) = KEYS.iter().find(|(known, _)| *known == method) {
        return Some((*key).to_owned());
    }
    let table = |kind: &str| TABLES.iter().find(|(known, _)| *known == kind).map(|(_, table)| *table);
    method.split_once("::").and_then(|(kind, name)| Some(format!("{}.{name}", table(kind)?)))
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_settings(|method, _| format!("`{method}`")))
    }
}

impl Serialize for Remedy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
