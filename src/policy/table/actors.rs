use crate::{policy::Query, records::Party};

/// The actors that a rule applies to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Actors(Kind);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Client,
    Any,
    Parties(Box<[Party]>),
}

impl Actors {
    /// Creates a condition for the authenticated client itself.
    pub fn client() -> Self {
        Self(Kind::Client)
    }

    /// Creates a condition for the client and for every party that the client may present as an actor
    /// ([`Client::allow_actor`](crate::Client::allow_actor)).
    pub fn any() -> Self {
        Self(Kind::Any)
    }

    /// Creates a condition for these parties.
    ///
    /// An allow rule compares the name of the current actor. A deny rule compares every name of the current actor and of
    /// every earlier actor. So a denied party gets no token by letting another party act after it.
    pub fn parties(parties: impl IntoIterator<Item = Party>) -> Self {
        Self(Kind::Parties(parties.into_iter().collect()))
    }

    /// The named parties. The list is empty for [`Actors::client`] and [`Actors::any`].
    pub(super) fn listed(&self) -> &[Party] {
        match &self.0 {
            Kind::Parties(parties) => parties,
            Kind::Client | Kind::Any => &[],
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(&self.0, Kind::Parties(parties) if parties.is_empty())
    }

    /// Whether the current actor meets the condition, or, `with_others`, under one of its other names or as an earlier
    /// actor.
    pub(super) fn contains_actor_of(&self, query: &Query, with_others: bool) -> bool {
        let Query { actor, prior_actors, prior_actor_other_names, .. } = query;
        let others = || [&actor.other_names, prior_actors, prior_actor_other_names].into_iter().flatten();
        match &self.0 {
            Kind::Client => actor.is_client,
            Kind::Any => true,
            Kind::Parties(parties) => {
                parties.contains(&actor.party) || with_others && others().any(|name| parties.contains(name))
            }
        }
    }

    /// Whether these actors include every one of the other actors.
    pub(super) fn contains_all(&self, others: &Self) -> bool {
        match (&self.0, &others.0) {
            (Kind::Any, _) | (Kind::Client, Kind::Client) => true,
            (Kind::Parties(own), Kind::Parties(others)) => others.iter().all(|party| own.contains(party)),
            _ => false,
        }
    }
}
