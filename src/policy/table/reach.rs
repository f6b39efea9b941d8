use super::{Names, Rule, Table, index::Index};
use crate::{
    policy::Query,
    protocol::TokenType,
    records::{ConfigError, Party, Place, Wording},
};
use serde_json::{Map, Value};
use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasher, RandomState},
};

/// How many denies are held against an allow that the index leads to: more would make a table of a million rules that
/// are all about the same slow to load.
const MOST_DENIES: usize = 100;

/// A name that nobody has.
const NOBODY: &str = "\0";

impl Table {
    /// Refuses rules that can have no effect: those that say what one before them says, and allows all of which a deny
    /// refuses. What it refuses never has an effect; that it finds all such rules is not promised.
    pub(crate) fn check_reach(&self) -> Result<(), ConfigError> {
        let rules = self.rules();
        check_repetitions(rules)?;
        check_allows(rules)
    }
}

fn check_repetitions(rules: &[Rule]) -> Result<(), ConfigError> {
    let hasher = RandomState::new();
    let mut seen: HashMap<u64, usize> = HashMap::with_capacity(rules.len());
    for (position, rule) in rules.iter().enumerate() {
        match seen.entry(hasher.hash_one(rule.content())) {
            Entry::Vacant(free) => _ = free.insert(position),
            Entry::Occupied(before) if rules[*before.get()].content() == rule.content() => {
                let help = format!("says what `{}` says: remove one of them", rules[*before.get()].name());
                return Err(whole(rule, help));
            }
            Entry::Occupied(_) => {}
        }
    }
    Ok(())
}

fn check_allows(rules: &[Rule]) -> Result<(), ConfigError> {
    let denies: Vec<Rule> = rules.iter().filter(|rule| !rule.allows && !rule.shadow).cloned().collect();
    if denies.is_empty() {
        return Ok(());
    }
    let index = Index::of(&denies)?;
    // One on trial has none in any case.
    for allow in rules.iter().filter(|rule| rule.allows && !rule.shadow) {
        // Whatever denies all that an allow is about denies this too.
        let query = example_of(allow);
        let mut near = index.candidates(&query).take(MOST_DENIES).map(|position| &denies[position]);
        if let Some(deny) = near.find(|deny| deny.covers(allow)) {
            let help =
                format!("`{}` denies all that it is about, so it has no effect: remove one of them", deny.name());
            return Err(whole(allow, help));
        }
    }
    Ok(())
}

fn whole(rule: &Rule, help: String) -> ConfigError {
    Place::new("rule", rule.number() - 1, &rule.name(), Wording::Methods).wrong_whole(help)
}

impl Rule {
    /// Whether it is about everything that the other, an allow, is about.
    fn covers(&self, allow: &Self) -> bool {
        self.clients.cover(&allow.clients)
            && self.targets.cover(&allow.targets)
            && self.subjects.cover(&allow.subjects)
            && self.actors.cover(&allow.actors)
            && (!self.by_token || allow.by_token)
    }
}

fn first(names: &Names) -> &str {
    names.listed().and_then(<[_]>::first).map_or(NOBODY, |name| name)
}

/// A query that the allow matches, with nothing in it that the allow does not name.
fn example_of(allow: &Rule) -> Query {
    let issuer = allow.subjects.issuer.as_deref().unwrap_or(NOBODY);
    let subject = Party::new(issuer, first(&allow.subjects.subs));
    let mut query = Query::new(first(&allow.clients), subject, first(&allow.targets));
    query.subject.claims = example_claims(allow.subjects.claims()).into();
    query.subject.token_type = allow.subjects.types().first().cloned().unwrap_or_else(|| TokenType::declared(NOBODY));
    query
}

fn example_claims(wanted: &[(String, Value)]) -> Map<String, Value> {
    let mut claims = Map::new();
    for (name, value) in wanted {
        let several = claims.entry(name.clone()).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(several) = several {
            several.push(value.clone());
        }
    }
    claims
}
