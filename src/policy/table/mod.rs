//! A policy made of rules.

mod actors;
mod bucket;
mod checks;
mod explain;
mod fit;
mod index;
mod login;
mod mismatch;
mod names;
mod reach;
mod rule;
mod rule_checks;
mod rule_document;
mod rule_text;
mod spread;
mod subjects;
mod verdict;

pub use actors::Actors;
pub use explain::{Effect, RuleTrace};
pub use mismatch::Mismatch;
pub use names::Names;
pub use rule::Rule;
pub use subjects::Subjects;

pub(crate) use rule_checks::check_rules;

use self::{checks::check, index::Index, names::Pool, verdict::Verdict};
use crate::{
    policy::{Decision, Query},
    records::ConfigError,
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
/// was asked, the first if several do. Allows never add up. Without a rule that matches, nothing is granted; where all
/// that is amiss is how the subject logged in ([`Rule::require_acr`]), the client is told.
///
/// ```
/// use tower_token_exchange::{policy::{Decision, Query, Rule, Subjects, Table}, records::Party};
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
///
/// # Large tables
///
/// An index leads to the rules of the client and the target, and among them to those of the subject: by its name, by
/// its issuer, or by the first text that the rule wants as a claim. Only those are held against the query, so that the
/// number of rules does not matter: with 1 000 000, a decision takes 1.5 to 1.9 times the time that it takes with ten,
/// and that only because the memory of so many does not fit into the caches of the processor (`benches/policy.rs`).
/// With 10 000 groups of one client and target it takes 1.6 times as long as with ten. What the index cannot tell apart
/// is read rule by rule: 10 000 rules of one client and target that are for any subject, or want a claim that is no
/// text, take 270 to 400 times as long as ten.
///
/// A rule takes 210 to 260 bytes, and the names that no other rule has; of these, the index is 16 to 32 for each place
/// in which the rule stands. A rule with lists stands in a place for each client, target and subject together, but in
/// 64 at most, or as many as its lists hold names. One that would stand in more is found by fewer of its lists, and
/// looked at more often. 1 000 000 rules load in about 1 s, and a layer that holds them against its records and against
/// each other is built in 2 to 3 s.
#[derive(Clone, Debug)]
pub struct Table(Arc<Rules>);

#[derive(Debug)]
struct Rules {
    list: Box<[Rule]>,
    index: Index,
}

impl Table {
    /// A table of these rules, in this order.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Result<Self, ConfigError> {
        let mut pool = Pool::default();
        let settled = rules.into_iter().zip(1..).map(|(mut rule, number)| {
            rule.settle(number, &mut pool);
            check(&rule).map(|()| rule)
        });
        let list = settled.collect::<Result<Box<[Rule]>, ConfigError>>()?;
        Ok(Self(Arc::new(Rules { index: Index::of(&list)?, list })))
    }

    pub(super) fn rules(&self) -> &[Rule] {
        &self.0.list
    }

    /// The decision of the table.
    pub fn decide(&self, query: &Query) -> Decision {
        let matching = self.matching(query);
        let real = real(&matching);
        let decision = Verdict::of(&real, query).decision(query);
        if real.len() == matching.len() {
            return decision;
        }
        let would = Verdict::of(&matching, query);
        match would.shadow_outcome() {
            Some(outcome) if !would.decision(query).has_same_effect(&decision) => decision.with_shadow(outcome),
            _ => decision,
        }
    }

    /// The rule that decides.
    pub(super) fn decisive(&self, query: &Query) -> Option<&Rule> {
        Verdict::of(&real(&self.matching(query)), query).rule()
    }

    /// The rules that match, in order.
    fn matching(&self, query: &Query) -> Vec<&Rule> {
        let Rules { list, index } = &*self.0;
        let mut matching: Vec<usize> =
            index.candidates(query).filter(|position| list[*position].matches(query)).collect();
        matching.sort_unstable();
        matching.dedup();
        matching.into_iter().map(|position| &list[position]).collect()
    }
}

/// All but those on trial.
fn real<'a>(rules: &[&'a Rule]) -> Vec<&'a Rule> {
    rules.iter().copied().filter(|rule| !rule.shadow).collect()
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
