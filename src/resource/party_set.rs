use crate::records::{IssuerId, Party, SubjectId};

/// Parties of one or several issuers, for a rule.
///
/// A name counts only within its issuer, and is compared byte for byte.
///
/// ```
/// use tower_token_exchange::{records::Party, resource::PartySet};
///
/// let services = PartySet::of("https://as.example", ["orders", "billing"]).and(PartySet::all_of("https://mesh.example"));
/// assert!(services.contains(&Party::new("https://as.example", "orders")));
/// assert!(services.contains(&Party::new("https://mesh.example", "orders")));
/// assert!(!services.contains(&Party::new("https://other.example", "orders")));
/// ```
///
/// In a document, a set is a list of tables: `[{ issuer = "https://as.example", names = ["orders", "billing"] }]`. The word
/// `any` in place of the list means every party of the issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct PartySet(pub(super) Vec<PartiesOfIssuer>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PartiesOfIssuer {
    pub(super) issuer: IssuerId,
    /// `None` for every party of the issuer.
    pub(super) names: Option<Vec<SubjectId>>,
}

impl PartySet {
    /// Creates a set of parties by their names at one issuer.
    pub fn of<T: Into<SubjectId>>(issuer: impl Into<IssuerId>, names: impl IntoIterator<Item = T>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        Self(vec![PartiesOfIssuer { issuer: issuer.into(), names: Some(names) }])
    }

    /// Creates the set of all parties of an issuer.
    pub fn all_of(issuer: impl Into<IssuerId>) -> Self {
        Self(vec![PartiesOfIssuer { issuer: issuer.into(), names: None }])
    }

    /// Adds the parties of another set.
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Returns whether a party is in the set.
    pub fn contains(&self, party: &Party) -> bool {
        self.0
            .iter()
            .any(|of| of.issuer == party.iss && of.names.as_ref().is_none_or(|names| names.contains(&party.sub)))
    }

    /// Returns whether no party can be in the set.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|of| of.names.as_ref().is_some_and(Vec::is_empty))
    }
}

impl FromIterator<Party> for PartySet {
    fn from_iter<I: IntoIterator<Item = Party>>(parties: I) -> Self {
        Self(
            parties
                .into_iter()
                .map(|Party { iss, sub }| PartiesOfIssuer { issuer: iss, names: Some(vec![sub]) })
                .collect(),
        )
    }
}
