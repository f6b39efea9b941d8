//! Everything that is configured by records, in one document.

use crate::{
    policy::Rule,
    records::{Client, Issuer, Target},
};
use serde::Deserialize;
use std::fmt;

/// The most of each kind that a summary names.
const NAMED: usize = 20;

/// Clients, targets, issuers and rules, as one document says them: in TOML, JSON or whatever else serde reads.
///
/// Fields are called as the builders' methods are, and an unknown one is an error. Durations are texts such as `30s` or
/// `5m`. Mistakes that only show between records are told by the layer, with their
/// [`place`](crate::ConfigError::place).
///
/// ```
/// use tower_token_exchange::{Document, TokenExchangeLayer, signing::{Algorithm, LocalSigner}};
///
/// let document: Document = toml::from_str(r#"
///     [[client]]
///     id = "orders"
///     secret_sha256 = "6ca13d52ca70c883e0f0bb101e425a89e8624de51db2d2392593af6a84118090"
///     targets = ["billing"]             # where it means to go
///
///     [[target]]
///     id = "billing"
///     aud = "https://billing.example"
///     callers = ["orders"]              # who may come
///     scopes = ["invoices:read"]
///     translate = { "orders:read" = ["invoices:read"] }
///
///     [[issuer]]
///     preset = { keycloak = { base = "https://login.example", realm = "staff" } }
///     client_names = { "orders-frontend" = "orders" }
///
///     [[rule]]
///     clients = "orders"
///     subjects = { issuer = "https://login.example/realms/staff", groups = ["sales"] }
///     targets = "billing"
///     scopes = ["invoices:read"]
///     max_lifetime = "1m"
/// "#)?;
/// let layer = TokenExchangeLayer::builder("https://as.example")
///     .document(document)
///     .signer(LocalSigner::generate(Algorithm::ES256)?)
///     .build()?;
/// # let _ = layer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Document {
    /// The clients.
    #[serde(default, rename = "client")]
    pub clients: Vec<Client>,
    /// The targets.
    #[serde(default, rename = "target")]
    pub targets: Vec<Target>,
    /// The issuers of subject and actor tokens, beside this authorization server's own.
    #[serde(default, rename = "issuer")]
    pub issuers: Vec<Issuer>,
    /// The rules, in order; `None` where the layer has a policy of its own.
    #[serde(rename = "rule")]
    pub rules: Option<Vec<Rule>>,
    /// See [`TokenExchangeBuilder::federated_subjects_only`](crate::TokenExchangeBuilder::federated_subjects_only).
    #[serde(default)]
    pub federated_subjects_only: bool,
}

/// In a few lines, for the log of a server that starts: whom it trusts, who is known, and who may exchange what. Of each kind
/// the first 20 are named, and the number of the others.
///
/// ```
/// use tower_token_exchange::{Client, Document, Target, policy::{Rule, Subjects}};
///
/// let mut document = Document::default();
/// document.clients = vec![Client::new("orders")];
/// document.targets = vec![Target::new("billing")];
/// document.rules = Some(vec![Rule::allow("orders", Subjects::any(), "billing").scopes(["read"])]);
/// let expected = "\
/// issuers      (none but its own)
/// clients      orders
/// targets      billing
/// rule 1       allow orders, at billing, for users of any issuer: delegation, scopes read
/// ";
/// assert_eq!(document.to_string(), expected);
/// ```
impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, ids: Vec<&str>, none: &str| match ids.len() {
            0 => writeln!(f, "{name:<12} {none}"),
            1..=NAMED => writeln!(f, "{name:<12} {}", ids.join(" ")),
            all => writeln!(f, "{name:<12} {} and {} more", ids[..NAMED].join(" "), all - NAMED),
        };
        line("issuers", self.issuers.iter().map(|issuer| issuer.id().as_str()).collect(), "(none but its own)")?;
        line("clients", self.clients.iter().map(|client| client.id().as_str()).collect(), "(none)")?;
        line("targets", self.targets.iter().map(|target| target.id().as_str()).collect(), "(none)")?;
        let Some(rules) = &self.rules else { return writeln!(f, "rules        (a policy of its own)") };
        if rules.is_empty() {
            return writeln!(f, "rules        (none: nothing can be exchanged)");
        }
        for (number, rule) in (1..).zip(rules.iter().take(NAMED)) {
            writeln!(f, "{:<12} {rule}", rule.name_at(number))?;
        }
        match rules.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => writeln!(f, "{:<12} {more} more", "…"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Subjects;

    #[test]
    fn a_summary_is_bounded() {
        let mut document = Document::default();
        assert!(document.to_string().ends_with("rules        (a policy of its own)\n"));
        document.rules = Some(Vec::new());
        assert!(document.to_string().ends_with("rules        (none: nothing can be exchanged)\n"));
        for (count, lines) in [(20, 23), (21, 24), (1000, 24)] {
            let rule = |_| Rule::allow("orders", Subjects::any(), "billing").scopes(["read"]);
            document.rules = Some((0..count).map(rule).collect());
            document.clients = (0..count).map(|number| Client::new(format!("c{number}"))).collect();
            let text = document.to_string();
            assert_eq!(text.lines().count(), lines, "{text}");
            let more = format!("c19 and {} more", count - 20);
            assert_eq!(text.contains(&more), count > 20, "{text}");
        }
    }
}
