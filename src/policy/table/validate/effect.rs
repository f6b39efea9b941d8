use super::place;
use crate::{
    policy::{Names, Query, Rule, table::index::Index},
    records::{
        ConfigError,
        ConfigErrorKind::{Conflict, Duplicate},
        Party, Problems,
    },
    token::Claims,
};
use serde_json::Value;
use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

/// The most deny rules that are compared with one allow rule. Without a limit, a table of a million rules for the same
/// client and target would take long to load.
const MAX_COMPARISONS: usize = 100;

/// A name that no client, target or subject has.
const NO_NAME: &str = "\0";

/// Reports rules that can have no effect: a rule that repeats an earlier rule, and an allow rule that a deny rule always
/// overrides. The rules are in a table.
///
/// Every reported rule has no effect. The check does not find every such rule: it compares an allow rule with one deny
/// rule at a time.
pub(crate) fn check_effect(rules: &[Rule]) -> Result<(), ConfigError> {
    let mut problems = Problems::default();
    let denies: Vec<Rule> = rules.iter().filter(|rule| rule.is_deny() && !rule.shadow).cloned().collect();
    let index = Index::new(&denies);
    let mut seen = Seen::default();
    for rule in rules {
        let (kind, help) = if let Some(earlier) = seen.earlier_equal(rule) {
            (Duplicate, format!("`{}` states the same: remove one of the two rules", earlier.name()))
        } else if let Some(deny) = overriding_deny(rule, &denies, &index) {
            let help = "denies everything that the rule allows, so the rule has no effect: remove one of the two rules";
            (Conflict, format!("`{}` {help}", deny.name()))
        } else {
            continue;
        };
        problems.add(place(rule, rule.position(), &rule.name()).wrong_whole(help).of_kind(kind));
    }
    problems.or(())
}

/// The rules that were read so far, by a hash of their content.
#[derive(Default)]
struct Seen<'a> {
    hasher: RandomState,
    rules: HashMap<u64, &'a Rule>,
}

impl<'a> Seen<'a> {
    fn earlier_equal(&mut self, rule: &'a Rule) -> Option<&'a Rule> {
        let earlier = *self.rules.entry(self.hasher.hash_one(rule.content())).or_insert(rule);
        (earlier.position() != rule.position() && earlier.content() == rule.content()).then_some(earlier)
    }
}

/// A deny rule that matches whenever the allow rule matches.
fn overriding_deny<'a>(rule: &Rule, denies: &'a [Rule], index: &Index) -> Option<&'a Rule> {
    if denies.is_empty() || rule.is_deny() || rule.shadow {
        return None;
    }
    // A deny rule that always overrides the allow rule also matches this query, so the index finds the deny rule.
    let candidates = index.candidates(&narrowest_query(rule)).into_iter().take(MAX_COMPARISONS);
    candidates.map(|position| &denies[position]).find(|deny| always_overrides(deny, rule))
}

fn always_overrides(deny: &Rule, allow: &Rule) -> bool {
    deny.clients.contains_all(&allow.clients)
        && deny.targets.contains_all(&allow.targets)
        && deny.subjects.contain_all(&allow.subjects)
        && deny.actors.contains_all(&allow.actors)
        && (!deny.requires_actor_token || allow.requires_actor_token)
}

/// A query that an allow rule matches and that has nothing else: where the rule accepts any name, the query has a name that
/// no rule lists.
fn narrowest_query(allow: &Rule) -> Query {
    let first = |names: &Names| {
        names.listed().and_then(<[_]>::first).map_or_else(|| NO_NAME.to_owned(), |name| name.to_string())
    };
    let issuer = allow.subjects.issuer.as_deref().unwrap_or(NO_NAME);
    let subject = Party::new(issuer, first(&allow.subjects.names));
    let mut query = Query::new(first(&allow.clients), subject, first(&allow.targets));
    query.subject.claims = claims_of(allow.subjects.claims());
    if let Some(token_type) = allow.subjects.types().first() {
        query.subject.token_type = token_type.clone();
    }
    query
}

/// Claims that contain every required value. A claim with several required values is an array.
fn claims_of(required: &[(String, Value)]) -> Claims {
    let mut claims = Claims::new();
    for (name, _) in required {
        let values: Vec<Value> =
            required.iter().filter(|(other, _)| other == name).map(|(_, value)| value.clone()).collect();
        claims.insert(name, values);
    }
    claims
}
