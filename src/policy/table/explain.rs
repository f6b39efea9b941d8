use super::{Effect, Mismatch, Rule, Table};
use crate::{policy::Query, records::record_path};
use serde::Serialize;
use std::{collections::BinaryHeap, fmt};

/// The most rules that an explanation lists.
const MAX_TRACES: usize = 100;

/// The part of one rule in a decision, as [`Table::explain`] reports it.
///
/// The text form is one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RuleTrace {
    /// The name of the rule in audit events.
    pub rule: String,
    /// The place of the rule, such as `rule[2]`, counted as in [`ConfigError::place`](crate::ConfigError::place).
    pub place: String,
    /// The text form of the rule.
    pub says: String,
    /// Whether the rule allows or denies.
    pub effect: Effect,
    /// Whether the rule is a shadow rule, which has no effect.
    pub shadow: bool,
    /// Whether the rule decides the query.
    pub decides: bool,
    /// The first condition that the query does not meet. `None` for a rule that matches.
    pub mismatch: Option<Mismatch>,
    /// The name of the claim, if `mismatch` is [`Mismatch::Claim`].
    pub claim: Option<String>,
}

impl RuleTrace {
    fn new(rule: &Rule, decides: bool, query: &Query) -> Self {
        let mismatch = rule.mismatches(query).next();
        let claim = rule.subjects.missing_claim(&query.subject).filter(|_| mismatch == Some(Mismatch::Claim));
        Self {
            rule: rule.name(),
            place: record_path("rule", rule.position()),
            says: rule.to_string(),
            effect: rule.effect,
            shadow: rule.shadow,
            decides,
            mismatch,
            claim: claim.map(str::to_owned),
        }
    }
}

impl Table {
    /// Explains a decision by the rules that have the client or a target in common with the query.
    ///
    /// The deciding rule comes first. The other rules follow, those with the fewest mismatches first, at most 100 in all.
    ///
    /// An explanation reads every rule and is therefore much slower than a decision in a large table. Use an explanation
    /// to answer a person's question and not for every request.
    ///
    /// ```
    /// use tower_token_exchange::{policy::{Query, Rule, Subjects, Table}, records::Party};
    ///
    /// let table = Table::new([
    ///     Rule::allow("orders", Subjects::any(), "billing").scopes(["read"]),
    ///     Rule::allow("orders", Subjects::any().in_group("finance"), "ledger").scopes(["read"]),
    /// ])?;
    ///
    /// let mut query = Query::new("orders", Party::new("https://as.example", "alice"), "ledger");
    /// query.max_scope = "read".parse().unwrap_or_default();
    /// let lines: Vec<String> = table.explain(&query).iter().map(ToString::to_string).collect();
    /// assert_eq!(lines, [
    ///     "rule 1 (allow) does not match: the rule is for other targets, or not for all requested targets",
    ///     "rule 2 (allow) does not match: the subject token does not have this claim, or has another value: groups",
    /// ]);
    /// # Ok::<(), tower_token_exchange::ConfigError>(())
    /// ```
    pub fn explain(&self, query: &Query) -> Vec<RuleTrace> {
        let deciding = self.deciding_rule(query);
        let decides = |rule: &Rule| deciding.is_some_and(|deciding| std::ptr::eq(deciding, rule));
        let mut nearest = BinaryHeap::new();
        for (position, rule) in self.rules().iter().enumerate() {
            if rule.meets(Mismatch::Client, query) || rule.shares_a_target_with(query) {
                nearest.push((!decides(rule), rule.mismatches(query).count(), position));
            }
            if nearest.len() > MAX_TRACES {
                nearest.pop();
            }
        }
        let rules = nearest.into_sorted_vec().into_iter().map(|(_, _, position)| &self.rules()[position]);
        rules.map(|rule| RuleTrace::new(rule, decides(rule), query)).collect()
    }
}

impl Table {
    /// The change of the actor with which a rule would allow the query, if a rule asks for another actor and for nothing
    /// else.
    pub(crate) fn advice_on_actor(&self, query: &Query) -> Option<String> {
        let needs_only_actor = |rule: &&Rule| {
            let mut mismatches = rule.mismatches(query).peekable();
            rule.is_allow()
                && !rule.shadow
                && mismatches.peek().is_some()
                && mismatches.all(|mismatch| matches!(mismatch, Mismatch::Actor | Mismatch::ActorToken))
        };
        let rule = self.rules().iter().find(needs_only_actor)?;
        let name = rule.name();
        let actors: Vec<String> =
            rule.actors.listed().iter().map(|party| format!("`{}` of `{}`", party.sub, party.iss)).collect();
        Some(match actors.is_empty() {
            false => format!(
                "{name} allows this exchange for the actor {}. Send a token of that actor as `actor_token`.",
                actors.join(" or ")
            ),
            true if rule.requires_actor_token => {
                format!("{name} allows this exchange with an actor token. Send a token of the actor as `actor_token`.")
            }
            true => format!("{name} allows this exchange if the client itself acts. Send no `actor_token`."),
        })
    }
}

impl fmt::Display for RuleTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, effect, shadow, decides, mismatch, claim, .. } = self;
        let kind = if *shadow { "shadow " } else { "" };
        let part = match (decides, mismatch) {
            (true, None) => "decides",
            (true, Some(_)) => "decides, but no token can be issued",
            (false, None) if *shadow => "matches and has no effect",
            (false, None) => "matches, but another rule decides",
            (false, Some(_)) => "does not match",
        };
        write!(f, "{rule} ({kind}{effect}) {part}")?;
        if let Some(mismatch) = mismatch {
            write!(f, ": {mismatch}")?;
        }
        claim.iter().try_for_each(|claim| write!(f, ": {claim}"))
    }
}
