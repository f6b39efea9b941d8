use super::{Mismatch, Rule, subjects::parties};
use crate::policy::Query;

impl Rule {
    /// Whether it is about this query. Its lists must be in order.
    pub(super) fn matches(&self, query: &Query) -> bool {
        Mismatch::ABOUT.into_iter().all(|what| self.fits(what, query))
    }

    pub(super) fn fits(&self, what: Mismatch, query: &Query) -> bool {
        let subject = &query.subject;
        match what {
            Mismatch::Client => self.clients.include(&query.client_id),
            Mismatch::SubjectIssuer => parties(query, self.allows).any(|party| self.subjects.issued_by(party)),
            Mismatch::SubjectName => parties(query, self.allows).any(|party| self.subjects.name(party)),
            Mismatch::SubjectType => self.subjects.have_type_of(subject),
            Mismatch::Claim => self.subjects.missing_claim(subject).is_none(),
            Mismatch::SubjectIsClient => !self.allows || self.subjects.clients || !subject.is_client,
            Mismatch::Actor => self.actors.include(query),
            Mismatch::ActorToken => !self.by_token || query.actor.by_token,
            Mismatch::SenderConstraint => !self.bound || query.sender_constrained,
            Mismatch::Target if self.allows => query.targets.iter().all(|target| self.targets.include(target)),
            Mismatch::Target => self.shares_target(query),
            Mismatch::Login => self.is_logged_in(query),
            Mismatch::SemanticsImpossible => !self.allows || self.is_possible(query),
            Mismatch::ScopeEmpty => !self.allows || self.worth(query) > 0,
        }
    }

    /// Whether it is for any of the targets.
    pub(super) fn shares_target(&self, query: &Query) -> bool {
        query.targets.iter().any(|target| self.targets.include(target))
    }
}
