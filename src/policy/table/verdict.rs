use super::{Names, Rule, login::Login};
use crate::{
    policy::{Decision, Denial, Grant, Query, Semantics, ShadowOutcome},
    protocol::Scope,
};

/// What the rules that match come to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict<'a> {
    Deny(&'a Rule),
    Allow(&'a Rule),
    /// It would allow if the subject had logged in like this.
    StepUp(&'a Rule, &'a Login),
    NoRule,
}

impl<'a> Verdict<'a> {
    /// Of rules that match, in the order of the table.
    pub(super) fn of(matching: &[&'a Rule], query: &Query) -> Self {
        if let Some(rule) = matching.iter().find(|rule| !rule.allows) {
            return Self::Deny(rule);
        }
        let allows = |logged_in| matching.iter().copied().filter(move |rule| rule.is_logged_in(query) == logged_in);
        let possible = |logged_in| allows(logged_in).filter(|rule| rule.is_possible(query));
        // A rule that cannot be carried out decides only where no other can, so that the audit quotes it.
        if let Some(rule) = most_granting(possible(true), query).or_else(|| most_granting(allows(true), query)) {
            return Self::Allow(rule);
        }
        // Nobody is sent to log in for what could not be issued even then.
        match most_granting(possible(false), query).and_then(|rule| Some((rule, rule.login.as_deref()?))) {
            Some((rule, login)) => Self::StepUp(rule, login),
            None => Self::NoRule,
        }
    }

    pub(super) fn decision(self, query: &Query) -> Decision {
        match self {
            Self::Deny(rule) => Decision::deny(rule.name()),
            Self::Allow(rule) => Decision::Allow(rule.grant(query)),
            Self::StepUp(rule, login) => Decision::Deny(login.denial(&rule.name(), query)),
            Self::NoRule => Decision::Deny(Denial::no_rule(format!(
                "no rule lets client `{}`, acting as `{}`, exchange for subject `{}` of `{}` at {:?}",
                query.client_id, query.actor.party.sub, query.subject.party.sub, query.subject.party.iss, query.targets,
            ))),
        }
    }

    /// What is said of it where it is not the real one. Rules on trial only add to those that match, so that one of
    /// them always has the last word.
    pub(super) fn shadow_outcome(self) -> Option<ShadowOutcome> {
        let rule = self.rule()?.name();
        Some(match self {
            Self::Allow(_) => ShadowOutcome::WouldAllow { rule },
            Self::StepUp(..) => ShadowOutcome::WouldStepUp { rule },
            Self::Deny(_) | Self::NoRule => ShadowOutcome::WouldDeny { rule },
        })
    }

    /// The rule that decides.
    pub(super) fn rule(self) -> Option<&'a Rule> {
        match self {
            Self::Deny(rule) | Self::Allow(rule) | Self::StepUp(rule, _) => Some(rule),
            Self::NoRule => None,
        }
    }
}

fn most_granting<'a>(rules: impl DoubleEndedIterator<Item = &'a Rule>, query: &Query) -> Option<&'a Rule> {
    // `max_by_key` returns the last of several equals; going backwards, that is the first in order.
    rules.rev().max_by_key(|rule| rule.worth(query))
}

impl Rule {
    pub(super) fn is_logged_in(&self, query: &Query) -> bool {
        self.login.as_ref().is_none_or(|login| login.is_strong_enough(query) && login.is_young_enough(query))
    }

    /// Whether what it allows can be issued at all.
    pub(super) fn is_possible(&self, query: &Query) -> bool {
        match self.semantics() {
            Semantics::Delegation => query.delegation_possible,
            Semantics::Impersonation => query.impersonation_possible,
        }
    }

    /// How much it grants of what was asked.
    pub(super) fn worth(&self, query: &Query) -> usize {
        let asked = |scope: &&str| query.requested_scope.as_ref().is_none_or(|asked| asked.contains(scope));
        query.max_scope.iter().filter(asked).filter(|scope| self.grants(scope)).count()
    }

    pub(super) fn grant(&self, query: &Query) -> Grant {
        let granted = query.max_scope.iter().filter(|scope| self.grants(scope));
        let limits = self.limits.as_deref().copied().unwrap_or_default();
        Grant {
            semantics: self.semantics(),
            // Part of a scope is a scope.
            scope: Some(Scope::from_tokens(granted).unwrap_or_default()),
            max_lifetime: limits.lifetime.map(|lifetime| lifetime.min(query.max_lifetime)),
            max_depth: limits.depth,
            policy_id: Some(self.name()),
            shadow: None,
        }
    }

    fn grants(&self, scope: &str) -> bool {
        let listed = |names: &Names| names.listed().is_none_or(|names| names.iter().any(|own| **own == *scope));
        self.scopes.as_ref().is_some_and(listed)
    }
}
