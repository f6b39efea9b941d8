use super::{Names, Rule};
use crate::{
    authority::{Decision, Denial, Grant, Query, Semantics},
    protocol::Scope,
    registry::{ConfigError, Record},
};
use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};
use tower::Service;

/// A policy made of rules, each to be understood by itself.
///
/// A deny that matches refuses. Of the allows that match, exactly one decides: the one that grants most of what
/// was asked, the first if several do. Allows never add up. Without a rule that matches, nothing is granted.
///
/// ```
/// use tower_token_exchange::{Decision, Party, Query, policy::{Rule, Subjects, Table}};
///
/// let table = Table::new([Rule::allow("orders", Subjects::any(), "billing").scopes(["invoices:read"])])?;
///
/// let alice = Party::new("https://as.example", "alice");
/// let query = Query::new("orders", alice.clone(), "billing");
/// assert!(matches!(table.decide(&query), Decision::Allow(_)));
/// let query = Query::new("mallory", alice, "billing");
/// assert!(matches!(table.decide(&query), Decision::Deny(_)));
/// # Ok::<(), tower_token_exchange::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Table(Arc<[Rule]>);

impl Table {
    /// A table of these rules, in this order.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Result<Self, ConfigError> {
        let mut rules: Vec<Rule> = rules.into_iter().collect();
        for (position, rule) in rules.iter_mut().enumerate() {
            let id = rule.id.get_or_insert_with(|| format!("rule {}", position + 1)).clone();
            let record = Record { kind: "rule", position, name: &id };
            let wrong = |field: &str, way_out: &str| Err(record.wrong(field, way_out));
            let lists = [("clients", &rule.clients.0), ("targets", &rule.targets.0), ("subjects", &rule.subjects.subs)];
            for (field, list) in lists {
                if !rule.allows && list.as_ref().is_some_and(Vec::is_empty) {
                    return wrong(field, "a deny with an empty list never matches: name some, or any");
                }
            }
            if !rule.allows && rule.actors.are_none() {
                return wrong("actors", "a deny with an empty list never matches: name some, or any");
            }
            if rule.allows && rule.subjects.subs.is_some() && rule.subjects.issuer.is_none() {
                return wrong("subjects", "the same name means somebody else at each issuer: begin with `of_issuer`");
            }
            let narrowed = rule.max_lifetime.is_some() || rule.max_depth.is_some();
            if !rule.allows && (narrowed || rule.delegation || rule.impersonation) {
                return wrong("semantics or limits", "a deny refuses the whole request: leave them out");
            }
            if rule.max_lifetime.is_some_and(|lifetime| lifetime.as_secs() == 0) {
                return wrong("max_lifetime", "give 1 s or more");
            }
            match (&rule.scopes, rule.allows) {
                (None, true) => return wrong("scopes", "none: name those that it allows, or `Names::any()`"),
                (Some(_), false) => return wrong("scopes", "a deny refuses the whole request: leave them out"),
                (Some(Names(Some(list))), _) if list.is_empty() || Scope::from_tokens(list).is_err() => {
                    return wrong("scopes", "not a list of scope tokens");
                }
                _ => {}
            }
        }
        Ok(Self(rules.into()))
    }

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.0
    }

    /// The decision of the table.
    pub fn decide(&self, query: &Query) -> Decision {
        let matching = |allows| self.0.iter().filter(move |rule| rule.allows == allows && rule.matches(query));
        if let Some(rule) = matching(false).next() {
            return Decision::deny(rule.id.clone().unwrap_or_default());
        }
        let possible = |rule: &&Rule| match rule.semantics() {
            Semantics::Delegation => query.delegation_possible,
            Semantics::Impersonation => query.impersonation_possible,
        };
        // A rule that cannot be carried out decides only where no other can, so that the audit quotes it.
        let best =
            most_granting(matching(true).filter(possible), query).or_else(|| most_granting(matching(true), query));
        match best {
            Some(rule) => Decision::Allow(grant(rule, query)),
            None => Decision::Deny(Denial::no_rule(format!(
                "no rule lets client `{}`, acting as `{}`, exchange for subject `{}` of `{}` at {:?}",
                query.client_id, query.actor.party.sub, query.subject.party.sub, query.subject.party.iss, query.targets,
            ))),
        }
    }
}

fn granted(rule: &Rule, query: &Query) -> Scope {
    let listed = match &rule.scopes {
        Some(Names(Some(list))) => Scope::from_tokens(list).unwrap_or_default(),
        Some(Names(None)) => query.ceiling.clone(),
        None => Scope::empty(),
    };
    query.ceiling.intersection(&listed)
}

fn most_granting<'a>(rules: impl Iterator<Item = &'a Rule>, query: &Query) -> Option<&'a Rule> {
    let worth = |rule: &Rule| {
        let granted = granted(rule, query);
        query.asked.as_ref().map_or(granted.len(), |asked| asked.intersection(&granted).len())
    };
    // `max_by_key` returns the last of several equals; going backwards, that is the first in order.
    rules.collect::<Vec<_>>().into_iter().rev().max_by_key(|rule| worth(rule))
}

fn grant(rule: &Rule, query: &Query) -> Grant {
    Grant {
        semantics: rule.semantics(),
        scope: Some(granted(rule, query)),
        max_lifetime: rule.max_lifetime.map(|lifetime| lifetime.min(query.max_lifetime)),
        max_depth: rule.max_depth,
        because: rule.id.clone(),
    }
}

impl Service<Query> for Table {
    type Response = Decision;
    type Error = Infallible;
    type Future = Ready<Result<Decision, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, query: Query) -> Self::Future {
        ready(Ok(self.decide(&query)))
    }
}
