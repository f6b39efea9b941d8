use super::{Mismatch, Rule, Table};
use crate::{policy::Query, records::record_path};
use serde::Serialize;
use std::{collections::BinaryHeap, fmt};

/// The most rules that an explanation is about.
const NEAREST: usize = 100;

/// What one rule had to do with a decision: an answer of [`Table::explain`].
///
/// As a text it is one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RuleTrace {
    /// The name of the rule, as the audit quotes it.
    pub rule: String,
    /// Its place, such as `rule[2]`, counted as in [`ConfigError::place`](crate::ConfigError::place).
    pub place: String,
    /// The rule in a line, as its own text is.
    pub says: String,
    /// What it is for.
    pub effect: Effect,
    /// Whether it is on trial, and without an effect.
    pub shadow: bool,
    /// Whether it is the one that decides.
    pub decides: bool,
    /// The first thing that does not fit; a rule without one matches.
    pub mismatch: Option<Mismatch>,
    /// The name of the claim, where that is what does not fit.
    pub claim: Option<String>,
}

/// What a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Effect {
    /// It allows.
    Allow,
    /// It denies.
    Deny,
}

impl RuleTrace {
    fn of(rule: &Rule, decides: bool, query: &Query) -> Self {
        let mismatch = Mismatch::all().find(|what| !rule.fits(*what, query));
        let claim = rule.subjects.missing_claim(&query.subject).filter(|_| mismatch == Some(Mismatch::Claim));
        let name = rule.name();
        let place = record_path("rule", rule.number() - 1);
        Self {
            rule: name,
            place,
            says: rule.to_string(),
            effect: if rule.allows { Effect::Allow } else { Effect::Deny },
            shadow: rule.shadow,
            decides,
            mismatch,
            claim: claim.map(str::to_owned),
        }
    }
}

impl Table {
    /// Why it decides as it does: of the rules that share the client or a target with the query, the nearest 100. The
    /// one that decides comes first, then the others, those with the fewest things that do not fit in front.
    ///
    /// It looks at every rule, which takes a large table far longer than to decide: it is for people who ask why.
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
    ///     "rule 1 (allow) does not match: it is for other targets, or not for all of these",
    ///     "rule 2 (allow) does not match: it wants a claim that the subject token does not have, or not like this: groups",
    /// ]);
    /// # Ok::<(), tower_token_exchange::ConfigError>(())
    /// ```
    pub fn explain(&self, query: &Query) -> Vec<RuleTrace> {
        let decisive = self.decisive(query);
        let decides = |rule: &Rule| decisive.is_some_and(|decisive| std::ptr::eq(decisive, rule));
        let mut nearest = BinaryHeap::new();
        for (position, rule) in self.rules().iter().enumerate() {
            if rule.fits(Mismatch::Client, query) || rule.shares_target(query) {
                let distance = Mismatch::all().filter(|what| !rule.fits(*what, query)).count();
                nearest.push((!decides(rule), distance, position));
            }
            if nearest.len() > NEAREST {
                nearest.pop();
            }
        }
        let rules = nearest.into_sorted_vec().into_iter().map(|(_, _, position)| &self.rules()[position]);
        rules.map(|rule| RuleTrace::of(rule, decides(rule), query)).collect()
    }
}

impl fmt::Display for RuleTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, effect, shadow, decides, mismatch, claim, .. } = self;
        let on_trial = if *shadow { ", on trial" } else { "" };
        let what = match (decides, mismatch) {
            (true, None) => "decides",
            (true, Some(_)) => "decides, but",
            (false, None) if *shadow => "matches, without an effect",
            (false, None) => "matches, but another decides",
            (false, Some(_)) => "does not match",
        };
        write!(f, "{rule} ({effect}{on_trial}) {what}")?;
        if let Some(mismatch) = mismatch {
            write!(f, ": {mismatch}")?;
        }
        claim.iter().try_for_each(|claim| write!(f, ": {claim}"))
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        })
    }
}
