use super::{Rule, subjects::parties};
use crate::authority::Query;

/// What a rule says that can fail to fit a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aspect {
    Client,
    SubjectIssuer,
    SubjectName,
    SubjectType,
    Claim,
    SubjectIsClient,
    Actor,
    ActorToken,
    Target,
}

impl Aspect {
    /// All of them, in the order in which they are looked at.
    pub(super) const ALL: [Self; 9] = [
        Self::Client,
        Self::SubjectIssuer,
        Self::SubjectName,
        Self::SubjectType,
        Self::Claim,
        Self::SubjectIsClient,
        Self::Actor,
        Self::ActorToken,
        Self::Target,
    ];
}

impl Rule {
    /// Whether it is about this query. Its lists must be in order.
    pub(super) fn matches(&self, query: &Query) -> bool {
        Aspect::ALL.into_iter().all(|aspect| self.fits(aspect, query))
    }

    pub(super) fn fits(&self, aspect: Aspect, query: &Query) -> bool {
        match aspect {
            Aspect::Client => self.clients.include(&query.client_id),
            Aspect::SubjectIssuer => parties(query, self.allows).any(|party| self.subjects.issued_by(party)),
            Aspect::SubjectName => parties(query, self.allows).any(|party| self.subjects.name(party)),
            Aspect::SubjectType => self.subjects.have_type_of(&query.subject),
            Aspect::Claim => self.subjects.have_claims_of(&query.subject),
            Aspect::SubjectIsClient => !self.allows || self.subjects.clients || !query.subject.is_client,
            Aspect::Actor => self.actors.include(query),
            Aspect::ActorToken => !self.by_token || query.actor.by_token,
            Aspect::Target if self.allows => query.targets.iter().all(|target| self.targets.include(target)),
            Aspect::Target => query.targets.iter().any(|target| self.targets.include(target)),
        }
    }
}
