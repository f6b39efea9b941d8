use super::{Names, Rule};
use crate::{
    authority::{Grant, Query, Semantics},
    protocol::Scope,
};

/// What the rules that match come to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict<'a> {
    Deny(&'a Rule),
    Allow(&'a Rule),
    NoRule,
}

impl<'a> Verdict<'a> {
    /// Of rules that match, in the order of the table.
    pub(super) fn of(matching: &[&'a Rule], query: &Query) -> Self {
        if let Some(rule) = matching.iter().find(|rule| !rule.allows) {
            return Self::Deny(rule);
        }
        let allows = || matching.iter().copied();
        // A rule that cannot be carried out decides only where no other can, so that the audit quotes it.
        let possible = allows().filter(|rule| rule.is_possible(query));
        match most_granting(possible, query).or_else(|| most_granting(allows(), query)) {
            Some(rule) => Self::Allow(rule),
            None => Self::NoRule,
        }
    }
}

fn most_granting<'a>(rules: impl DoubleEndedIterator<Item = &'a Rule>, query: &Query) -> Option<&'a Rule> {
    // `max_by_key` returns the last of several equals; going backwards, that is the first in order.
    rules.rev().max_by_key(|rule| rule.worth(query))
}

impl Rule {
    /// Whether what it allows can be issued at all.
    pub(super) fn is_possible(&self, query: &Query) -> bool {
        match self.semantics() {
            Semantics::Delegation => query.delegation_possible,
            Semantics::Impersonation => query.impersonation_possible,
        }
    }

    /// How much it grants of what was asked.
    pub(super) fn worth(&self, query: &Query) -> usize {
        let asked = |scope: &&str| query.asked.as_ref().is_none_or(|asked| asked.contains(scope));
        query.ceiling.iter().filter(asked).filter(|scope| self.grants(scope)).count()
    }

    pub(super) fn grant(&self, query: &Query) -> Grant {
        let granted = query.ceiling.iter().filter(|scope| self.grants(scope));
        Grant {
            semantics: self.semantics(),
            // Part of a scope is a scope.
            scope: Some(Scope::from_tokens(granted).unwrap_or_default()),
            max_lifetime: self.max_lifetime.map(|lifetime| lifetime.min(query.max_lifetime)),
            max_depth: self.max_depth,
            because: Some(self.name()),
        }
    }

    fn grants(&self, scope: &str) -> bool {
        let listed = |names: &Names| names.listed().is_none_or(|names| names.iter().any(|own| **own == *scope));
        self.scopes.as_ref().is_some_and(listed)
    }
}
