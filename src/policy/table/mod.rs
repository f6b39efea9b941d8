//! The table: a policy made of rules.
//!
//! The function [`decide`] chooses among the matching rules: a deny rule wins, then the allow rule that grants most.

mod actors;
mod display;
mod explain;
mod index;
mod matching;
mod names;
mod rule;
mod serde;
mod subjects;
mod validate;

pub use actors::Actors;
pub use explain::RuleTrace;
pub use matching::Mismatch;
pub use names::Names;
pub use rule::{Effect, Rule};
pub use subjects::Subjects;

use self::{index::Index, names::SharedNames};
use crate::{
    policy::{Decision, Denial, Query, ShadowOutcome},
    records::{ConfigError, Problems, Registry},
};
use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};
use tower::Service;

/// A policy made of rules. Each rule can be understood alone.
///
/// * A matching deny rule refuses the exchange.
/// * Otherwise exactly one matching allow rule decides: the rule that grants most of the requested scope. If several
///   rules grant the same amount, the first of them decides. Grants of several rules never add up.
/// * If the query meets every condition of an allow rule except the login ([`Rule::require_acr`]), and no other rule
///   allows the exchange, the client is told which login is sufficient.
/// * Without a matching rule, the exchange is refused.
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
/// An index finds the rules of the query's client, target and subject. The subject of a rule is its names, its issuer, or
/// its first claim with a text value. A rule takes about 300 bytes of memory.
///
/// The index cannot distinguish rules for the same client and target that apply to any subject, or that require only claims
/// with other values than texts. A query is compared with each of those rules.
#[derive(Clone, Debug)]
pub struct Table(Arc<Rules>);

#[derive(Debug)]
struct Rules {
    list: Box<[Rule]>,
    index: Index,
}

/// The result of the matching rules.
#[derive(Clone, Copy, Debug)]
enum Verdict<'a> {
    Deny(&'a Rule),
    Allow(&'a Rule),
    /// The rule would allow the exchange if the subject logged in as the rule requires.
    StepUp(&'a Rule),
    NoRule,
}

/// Chooses the rule that decides. `matching` has the rules that match the query, in the order of the table.
///
/// A deny rule wins over all allow rules. The best allow rule is found by these questions, in this order:
///
/// 1. Does the login of the subject meet the condition of the rule?
/// 2. Can the layer issue the delegation or impersonation that the rule allows?
/// 3. Which rule grants most of the requested scope?
/// 4. Which rule is first in the table?
///
/// A rule with *no* in question 2 still decides if there is no better rule, so that the audit event names the rule. A
/// step-up needs a rule with *yes* in question 2.
fn decide<'a>(matching: &[&'a Rule], query: &Query) -> Verdict<'a> {
    if let Some(deny) = matching.iter().find(|rule| rule.is_deny()) {
        return Verdict::Deny(deny);
    }
    let quality = |rule: &Rule| (rule.accepts_login(query), rule.can_be_issued(query), rule.granted_count(query));
    // `max_by_key` returns the last of several equals. In reverse order, that is the first rule.
    match matching.iter().rev().max_by_key(|rule| quality(rule)) {
        Some(best) if best.accepts_login(query) => Verdict::Allow(best),
        Some(best) if best.can_be_issued(query) => Verdict::StepUp(best),
        _ => Verdict::NoRule,
    }
}

impl Table {
    /// Creates a table of these rules, in this order.
    ///
    /// # Errors
    /// [`ConfigError`] with every rule that contradicts itself, such as an allow rule without scopes.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Result<Self, ConfigError> {
        let mut problems = Problems::default();
        let rules = rules.into_iter().enumerate().inspect(|(position, rule)| {
            validate::check_alone(rule, *position, &mut problems);
        });
        let table = Self::from_checked(rules.map(|(_, rule)| rule));
        problems.or(table)
    }

    /// Creates a table of these rules, in this order, and compares the rules with the records and with each other.
    pub(crate) fn for_records(rules: Vec<Rule>, registry: &Registry) -> Result<Self, ConfigError> {
        validate::check_with_records(&rules, registry)?;
        let table = Self::from_checked(rules);
        validate::check_effect(table.rules())?;
        Ok(table)
    }

    fn from_checked(rules: impl IntoIterator<Item = Rule>) -> Self {
        let mut shared = SharedNames::default();
        let list: Box<[Rule]> =
            rules.into_iter().zip(1..).map(|(rule, number)| rule.in_table(number, &mut shared)).collect();
        Self(Arc::new(Rules { index: Index::new(&list), list }))
    }

    /// Decides a query.
    pub fn decide(&self, query: &Query) -> Decision {
        let matching = self.matching(query);
        if !matching.iter().any(|rule| rule.shadow) {
            return decide(&matching, query).decision(query);
        }
        let decision = decide(&without_shadow_rules(&matching), query).decision(query);
        let would_be = decide(&matching, query);
        match would_be.shadow_outcome() {
            Some(outcome) if !would_be.decision(query).has_same_effect(&decision) => decision.with_shadow(outcome),
            _ => decision,
        }
    }

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.0.list
    }

    /// The rule that decides a query.
    fn deciding_rule(&self, query: &Query) -> Option<&Rule> {
        decide(&without_shadow_rules(&self.matching(query)), query).rule()
    }

    /// The rules that match a query, in the order of the table.
    fn matching(&self, query: &Query) -> Vec<&Rule> {
        let Rules { list, index } = &*self.0;
        let candidates = index.candidates(query).into_iter().map(|position| &list[position]);
        candidates.filter(|rule| rule.matches(query)).collect()
    }
}

fn without_shadow_rules<'a>(rules: &[&'a Rule]) -> Vec<&'a Rule> {
    rules.iter().copied().filter(|rule| !rule.shadow).collect()
}

impl<'a> Verdict<'a> {
    fn rule(self) -> Option<&'a Rule> {
        match self {
            Self::Deny(rule) | Self::Allow(rule) | Self::StepUp(rule) => Some(rule),
            Self::NoRule => None,
        }
    }

    fn decision(self, query: &Query) -> Decision {
        match self {
            Self::Deny(rule) => Denial::new(rule.name()).into(),
            Self::Allow(rule) => rule.grant(query).into(),
            Self::StepUp(rule) => rule.step_up(query).into(),
            Self::NoRule => Denial::no_rule(format!(
                "no rule allows client `{}`, with the actor `{}`, to exchange a token of subject `{}` of `{}` at {:?}",
                query.client_id, query.actor.party.sub, query.subject.party.sub, query.subject.party.iss, query.targets,
            ))
            .into(),
        }
    }

    fn shadow_outcome(self) -> Option<ShadowOutcome> {
        let rule = self.rule()?.name();
        Some(match self {
            Self::Allow(_) => ShadowOutcome::WouldAllow { rule },
            Self::StepUp(_) => ShadowOutcome::WouldStepUp { rule },
            Self::Deny(_) | Self::NoRule => ShadowOutcome::WouldDeny { rule },
        })
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
