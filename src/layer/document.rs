use crate::{
    policy::Rule,
    records::{Client, ConfigError, Issuer, Problems, Target},
};
use serde::Deserialize;
use std::{fmt, path::Path};

/// The most entries of each kind that a summary names.
const MAX_NAMED: usize = 20;

/// All records and rules of a layer: built in code, or read from TOML, JSON or another format with serde.
///
/// A document has the keys `client`, `target`, `issuer`, `rule`, `federated_subjects_only` and `fapi`. The keys of a record are
/// listed in the documentation of its type. Durations are texts such as `30s` or `5m`. An unknown key is an error.
///
/// The layer checks the document as a whole, and reports each mistake with its
/// [`place`](crate::error::ConfigProblem::place).
///
/// ```
/// use tower_token_exchange::{Document, TokenExchangeLayer, signing::{Algorithm, LocalSigner}};
///
/// let document: Document = toml::from_str(r#"
///     [[client]]
///     id = "orders"
///     secret_sha256 = "6ca13d52ca70c883e0f0bb101e425a89e8624de51db2d2392593af6a84118090"
///     targets = ["billing"]             # the client requests tokens for these targets only
///
///     [[target]]
///     id = "billing"
///     aud = "https://billing.example"
///     callers = ["orders"]              # only these clients may request a token for the target
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a document with clients, targets, issuers and rules")]
#[must_use]
#[non_exhaustive]
pub struct Document {
    /// The clients.
    #[serde(default, rename = "client")]
    pub clients: Vec<Client>,
    /// The targets.
    #[serde(default, rename = "target")]
    pub targets: Vec<Target>,
    /// The issuers of subject tokens and actor tokens, except this authorization server.
    #[serde(default, rename = "issuer")]
    pub issuers: Vec<Issuer>,
    /// The rules, in order. `None` if the layer has a policy that is not a table of rules.
    #[serde(rename = "rule")]
    pub rules: Option<Vec<Rule>>,
    /// Whether every subject comes from a foreign issuer; see
    /// [`TokenExchangeBuilder::federated_subjects_only`](crate::TokenExchangeBuilder::federated_subjects_only).
    #[serde(default)]
    pub federated_subjects_only: bool,
    /// Whether every client has to follow the rules of FAPI 2.0; see
    /// [`TokenExchangeBuilder::fapi`](crate::TokenExchangeBuilder::fapi).
    #[serde(default)]
    pub fapi: bool,
}

impl Document {
    /// Creates an empty document.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds clients.
    pub fn clients(mut self, clients: impl IntoIterator<Item = Client>) -> Self {
        self.clients.extend(clients);
        self
    }

    /// Adds targets.
    pub fn targets(mut self, targets: impl IntoIterator<Item = Target>) -> Self {
        self.targets.extend(targets);
        self
    }

    /// Adds issuers.
    pub fn issuers(mut self, issuers: impl IntoIterator<Item = Issuer>) -> Self {
        self.issuers.extend(issuers);
        self
    }

    /// Adds rules.
    pub fn rules(mut self, rules: impl IntoIterator<Item = Rule>) -> Self {
        self.rules.get_or_insert_default().extend(rules);
        self
    }

    /// Reads the files that the records name, such as `client_secret_file` in the record of an issuer. A relative path
    /// starts in this folder.
    ///
    /// # Errors
    /// [`ConfigError`] with each file that cannot be read or is empty.
    pub fn read_files(&mut self, folder: impl AsRef<Path>) -> Result<(), ConfigError> {
        let mut problems = Problems::default();
        for (position, issuer) in self.issuers.iter_mut().enumerate() {
            problems.check(issuer.read_files(position, folder.as_ref()));
        }
        problems.or(())
    }

    /// The files that the records name, in the order of the records, without those that were read.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.issuers.iter().filter_map(Issuer::file)
    }

    /// States that every subject comes from a foreign issuer; see
    /// [`TokenExchangeBuilder::federated_subjects_only`](crate::TokenExchangeBuilder::federated_subjects_only).
    pub fn federated_subjects_only(mut self) -> Self {
        self.federated_subjects_only = true;
        self
    }

    /// States that every client has to follow the rules of FAPI 2.0; see
    /// [`TokenExchangeBuilder::fapi`](crate::TokenExchangeBuilder::fapi).
    pub fn fapi(mut self) -> Self {
        self.fapi = true;
        self
    }
}

/// Writes a summary of a few lines for the log of a server: the issuers with their
/// [statements](Issuer::statements), clients, targets and rules. The summary names the first 20 entries of each kind and
/// counts the others.
///
/// ```
/// use tower_token_exchange::{Client, Document, Target, policy::{Rule, Subjects}};
///
/// let document = Document::new()
///     .clients([Client::new("orders")])
///     .targets([Target::new("billing")])
///     .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["read"])]);
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
        let line = |f: &mut fmt::Formatter<'_>, name: &str, ids: Vec<&str>, none: &str| match ids.len() {
            0 => writeln!(f, "{name:<12} {none}"),
            1..=MAX_NAMED => writeln!(f, "{name:<12} {}", ids.join(" ")),
            all => writeln!(f, "{name:<12} {} and {} more", ids[..MAX_NAMED].join(" "), all - MAX_NAMED),
        };
        line(f, "issuers", self.issuers.iter().map(|issuer| issuer.id().as_str()).collect(), "(none but its own)")?;
        let statements = self.issuers.iter().flat_map(|issuer| {
            issuer.statements().into_iter().map(|statement| format!("{}: {statement}", issuer.id()))
        });
        let statements: Vec<String> = statements.collect();
        for statement in statements.iter().take(MAX_NAMED) {
            writeln!(f, "{:<12} {statement}", "tokens")?;
        }
        if let more @ 1.. = statements.len().saturating_sub(MAX_NAMED) {
            writeln!(f, "{:<12} {more} more statements", "…")?;
        }
        line(f, "clients", self.clients.iter().map(|client| client.id().as_str()).collect(), "(none)")?;
        line(f, "targets", self.targets.iter().map(|target| target.id().as_str()).collect(), "(none)")?;
        let Some(rules) = &self.rules else { return writeln!(f, "rules        (a policy of its own)") };
        if rules.is_empty() {
            return writeln!(f, "rules        (none: nothing can be exchanged)");
        }
        for (number, rule) in (1..).zip(rules.iter().take(MAX_NAMED)) {
            writeln!(f, "{:<12} {rule}", rule.name_at(number))?;
        }
        match rules.len().saturating_sub(MAX_NAMED) {
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
    fn a_summary_names_at_most_twenty_per_kind() {
        assert!(Document::new().to_string().ends_with("rules        (a policy of its own)\n"));
        assert!(Document::new().rules([]).to_string().ends_with("rules        (none: nothing can be exchanged)\n"));
        for (count, lines) in [(20, 23), (21, 24), (1000, 24)] {
            let rule = |_| Rule::allow("orders", Subjects::any(), "billing").scopes(["read"]);
            let document = Document::new()
                .rules((0..count).map(rule))
                .clients((0..count).map(|number| Client::new(format!("c{number}"))));
            let text = document.to_string();
            assert_eq!(text.lines().count(), lines, "{text}");
            let more = format!("c19 and {} more", count - 20);
            assert_eq!(text.contains(&more), count > 20, "{text}");
        }
    }
}
