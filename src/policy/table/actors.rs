use crate::{policy::Query, records::Party};

/// The actors that a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Actors(Acting);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Acting {
    Client,
    Any,
    Parties(Box<[Party]>),
}

impl Actors {
    /// The authenticated client itself.
    pub fn client() -> Self {
        Self(Acting::Client)
    }

    /// The client, and whoever it is registered to carry.
    pub fn any() -> Self {
        Self(Acting::Any)
    }

    /// These parties, by their issuer and name.
    pub fn parties(parties: impl IntoIterator<Item = Party>) -> Self {
        Self(Acting::Parties(parties.into_iter().collect()))
    }

    /// The parties that it names.
    pub(super) fn listed(&self) -> &[Party] {
        match &self.0 {
            Acting::Parties(parties) => parties,
            Acting::Client | Acting::Any => &[],
        }
    }

    /// Whether whoever the others include is one of these.
    pub(super) fn cover(&self, others: &Self) -> bool {
        match (&self.0, &others.0) {
            (Acting::Any, _) | (Acting::Client, Acting::Client) => true,
            (Acting::Parties(own), Acting::Parties(others)) => others.iter().all(|party| own.contains(party)),
            _ => false,
        }
    }

    pub(super) fn are_none(&self) -> bool {
        matches!(&self.0, Acting::Parties(parties) if parties.is_empty())
    }

    pub(super) fn include(&self, query: &Query) -> bool {
        match &self.0 {
            Acting::Client => query.actor.is_client,
            Acting::Any => true,
            Acting::Parties(parties) => parties.contains(&query.actor.party),
        }
    }
}
