use super::{names::Names, rule::Rule, subjects};
use crate::{
    policy::{Denial, Grant, Query, Semantics},
    proof::{Outcome, Permission},
};
use serde::Serialize;
use std::fmt;

/// The condition of a rule that a query does not meet.
///
/// ```
/// use tower_token_exchange::policy::Mismatch;
///
/// assert_eq!(Mismatch::Client.to_string(), "the rule is for other clients");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Mismatch {
    /// The clients of the rule.
    Client,
    /// The issuer of the subjects.
    SubjectIssuer,
    /// The names of the subjects.
    SubjectName,
    /// The types of the subject tokens.
    SubjectType,
    /// A claim of the subject tokens.
    Claim,
    /// The subject is a client that acts for itself, and the rule is for users.
    SubjectIsClient,
    /// The actors of the rule.
    Actor,
    /// The rule requires an actor token.
    ActorToken,
    /// The rule requires that the issued token is bound to its sender.
    SenderConstraint,
    /// The targets of the rule: an allow rule must name all requested targets, a deny rule one of them.
    Target,
    /// The login that the rule requires.
    Login,
    /// The layer cannot issue the delegation or impersonation that the rule allows.
    SemanticsImpossible,
    /// The subject token is bound, and the rule permits neither this client nor this proof.
    Binding,
    /// The rule allows none of the requested scope tokens that are in the ceiling.
    ScopeEmpty,
}

impl Mismatch {
    /// The conditions that decide whether a rule matches a query.
    const OF_MATCHING: [Self; 10] = [
        Self::Client,
        Self::SubjectIssuer,
        Self::SubjectName,
        Self::SubjectType,
        Self::Claim,
        Self::SubjectIsClient,
        Self::Actor,
        Self::ActorToken,
        Self::SenderConstraint,
        Self::Target,
    ];

    /// The conditions under which a matching allow rule can lead to a token.
    const OF_EFFECT: [Self; 4] = [Self::Login, Self::SemanticsImpossible, Self::Binding, Self::ScopeEmpty];
}

impl Rule {
    /// Whether the rule applies to the query. The lists of the rule must be normalized.
    pub(super) fn matches(&self, query: &Query) -> bool {
        Mismatch::OF_MATCHING.into_iter().all(|condition| self.meets(condition, query))
    }

    /// Every condition that the query does not meet.
    pub(super) fn mismatches(&self, query: &Query) -> impl Iterator<Item = Mismatch> {
        let conditions = Mismatch::OF_MATCHING.into_iter().chain(Mismatch::OF_EFFECT);
        conditions.filter(|condition| !self.meets(*condition, query))
    }

    pub(super) fn meets(&self, condition: Mismatch, query: &Query) -> bool {
        // A deny rule matches under every name, an allow rule only under the name in the token.
        let mut names = subjects::names(query, self.is_deny());
        match condition {
            Mismatch::Client => self.clients.contains(&query.client_id),
            Mismatch::SubjectIssuer => names.any(|name| self.subjects.has_issuer_of(name)),
            Mismatch::SubjectName => names.any(|name| self.subjects.contains(name)),
            Mismatch::SubjectType => self.subjects.accept_type_of(&query.subject, self.is_deny()),
            Mismatch::Claim => self.subjects.missing_claim(&query.subject).is_none(),
            Mismatch::SubjectIsClient => self.is_deny() || self.subjects.or_clients || !query.subject.is_client,
            Mismatch::Actor => self.actors.contains_actor_of(query, self.is_deny()),
            Mismatch::ActorToken => !self.requires_actor_token || query.actor.by_token,
            Mismatch::SenderConstraint => !self.requires_sender_constraint || self.binds(query),
            Mismatch::Target if self.is_allow() => query.targets.iter().all(|target| self.targets.contains(target)),
            Mismatch::Target => self.shares_a_target_with(query),
            Mismatch::Login => self.accepts_login(query),
            Mismatch::SemanticsImpossible => self.is_deny() || self.has_possible_semantics(query),
            Mismatch::Binding => self.is_deny() || self.has_possible_binding(query),
            Mismatch::ScopeEmpty => self.is_deny() || self.granted_count(query) > 0,
        }
    }

    pub(super) fn shares_a_target_with(&self, query: &Query) -> bool {
        query.targets.iter().any(|target| self.targets.contains(target))
    }

    /// Whether the subject has logged in as the rule requires.
    pub(super) fn accepts_login(&self, query: &Query) -> bool {
        self.login.as_ref().is_none_or(|login| {
            let acr = query.subject.acr.as_ref();
            let has_acr = |values: &Vec<String>| acr.is_some_and(|acr| values.contains(acr));
            let is_recent = |max_age| login_age(query).is_some_and(|age| age <= max_age);
            login.acr_values.as_ref().is_none_or(has_acr)
                && login.max_age.is_none_or(|max_age| is_recent(max_age.as_secs()))
        })
    }

    /// Whether the layer can issue a token that the rule allows.
    pub(super) fn can_be_issued(&self, query: &Query) -> bool {
        self.has_possible_semantics(query) && self.has_possible_binding(query)
    }

    /// Whether the issued token is bound to its sender.
    fn binds(&self, query: &Query) -> bool {
        match self.binding {
            Permission::Unchanged => query.sender_constrained,
            permission => query.bindings.outcome(permission).is_bound(),
        }
    }

    fn has_possible_binding(&self, query: &Query) -> bool {
        query.bindings.outcome(self.binding) != Outcome::Refused
    }

    fn has_possible_semantics(&self, query: &Query) -> bool {
        match self.semantics() {
            Semantics::Delegation => query.delegation_possible,
            Semantics::Impersonation => query.impersonation_possible,
        }
    }

    /// The number of requested scope tokens that the rule grants. Without a requested scope, every scope token of the
    /// ceiling counts.
    pub(super) fn granted_count(&self, query: &Query) -> usize {
        let requested = |scope: &&str| query.requested_scope.as_ref().is_none_or(|scopes| scopes.contains(scope));
        query.max_scope.iter().filter(requested).filter(|scope| self.allows_scope(scope)).count()
    }

    /// The grant of an allow rule, within the ceiling of the query.
    pub(super) fn grant(&self, query: &Query) -> Grant {
        Grant {
            semantics: self.semantics(),
            scope: Some(query.max_scope.keep(|scope| self.allows_scope(scope))),
            max_lifetime: self.max_lifetime.map(|lifetime| lifetime.min(query.max_lifetime)),
            max_depth: self.max_depth,
            binding: self.binding,
            policy_id: Some(self.name()),
            shadow: None,
        }
    }

    /// The denial that tells the client which login the rule requires. The reason states the login of the subject.
    pub(super) fn step_up(&self, query: &Query) -> Denial {
        let login = self.login.as_deref().cloned().unwrap_or_default();
        let acr = query.subject.acr.as_ref().map_or("no acr".to_owned(), |acr| format!("acr `{acr}`"));
        let age = login_age(query).map_or("at an unknown time".to_owned(), |age| format!("{age} s ago"));
        Denial::step_up(login.acr_values.unwrap_or_default(), login.max_age)
            .reason(format!("{}: logged in {age}, with {acr}", self.name()))
    }

    fn allows_scope(&self, scope: &str) -> bool {
        let contains = |names: &Names| names.listed().is_none_or(|names| names.iter().any(|own| **own == *scope));
        self.scopes.as_ref().is_some_and(contains)
    }
}

/// The time since the login of the subject, in seconds.
fn login_age(query: &Query) -> Option<u64> {
    query.subject.auth_time.map(|time| query.now.saturating_since(time).as_secs())
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "the rule is for other clients",
            Self::SubjectIssuer => "the rule is for subjects of another issuer",
            Self::SubjectName => "the rule is for other subjects of this issuer",
            Self::SubjectType => "the rule is for subject tokens of another type",
            Self::Claim => "the subject token does not have this claim, or has another value",
            Self::SubjectIsClient => "the subject is a client, and the rule is for users",
            Self::Actor => "the rule is for other actors",
            Self::ActorToken => "the rule requires an actor token",
            Self::SenderConstraint => "the rule requires that the issued token is bound to its sender",
            Self::Target => "the rule is for other targets, or not for all requested targets",
            Self::Login => "the rule requires a stronger or more recent login",
            Self::SemanticsImpossible => "the layer cannot issue the delegation or impersonation that the rule allows",
            Self::Binding => "the subject token is bound, and the rule does not permit this client or this proof",
            Self::ScopeEmpty => "the rule allows no part of the scope",
        })
    }
}
