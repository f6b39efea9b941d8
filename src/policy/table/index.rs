use super::{names::Names, rule::Rule, subjects};
use crate::policy::Query;
use serde_json::Value;
use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, Hash, RandomState},
    slice,
    sync::Arc,
};

/// The most keys that one rule is listed under, unless one of its lists is longer.
const MAX_KEYS: usize = 64;

/// Finds the few rules of a large table that can match a query.
///
/// A rule is listed under its client, its target and its subject. A query looks under its own names and under "any". The
/// rules that are found are then compared with the query, so the index may return too many rules but never too few.
///
/// A key is represented by its hash. If two keys have the same hash, a query finds the rules of both.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    rules: usize,
    hasher: RandomState,
    /// The positions of the rules that are listed under a key. A client and a target alone are the key of the rules for any
    /// subject; that key exists also if only rules for certain subjects are listed.
    keys: HashMap<u64, Listed>,
    lists: Vec<Vec<u32>>,
    /// The kinds of pairs and of subjects that a rule is listed under, and the claims. A query does not look for others.
    pairs: [bool; PAIRS],
    kinds: [bool; SubjectKey::KINDS],
    claims: HashSet<String>,
}

/// The kinds of pairs: of a client and a target, of any client or of any target, or of both.
const PAIRS: usize = 4;

/// The kind of a pair of a client and a target. `None` stands for any.
fn pair_kind(client: Option<&str>, target: Option<&str>) -> usize {
    usize::from(client.is_some()) * 2 + usize::from(target.is_some())
}

/// The subject of a key. A rule for any subject has none.
#[derive(Hash)]
enum SubjectKey<'a> {
    Issuer(&'a str),
    /// A name at any issuer.
    Name(&'a str),
    Party(&'a str, &'a str),
    /// A claim with a text value, of one issuer or of any issuer.
    Claim(Option<&'a str>, &'a str, &'a str),
}

impl SubjectKey<'_> {
    const KINDS: usize = 4;

    fn kind(&self) -> usize {
        match self {
            Self::Issuer(_) => 0,
            Self::Name(_) => 1,
            Self::Party(..) => 2,
            Self::Claim(..) => 3,
        }
    }
}

/// The rules under a key. Most keys have one rule, which needs no list on the heap.
#[derive(Clone, Copy, Debug)]
enum Listed {
    None,
    /// The position of a rule.
    One(u32),
    /// The index of a list in [`Index::lists`].
    Several(u32),
}

impl Index {
    pub(super) fn new(rules: &[Rule]) -> Self {
        let mut index = Self { rules: rules.len(), ..Self::default() };
        for (position, rule) in (0..).zip(rules) {
            index.add(position, rule);
        }
        index
    }

    fn add(&mut self, position: u32, rule: &Rule) {
        let Keys { clients, targets, subjects } = keys_of(rule);
        for subject in subjects.iter().flatten() {
            self.kinds[subject.kind()] = true;
            if let SubjectKey::Claim(_, name, _) = subject
                && !self.claims.contains(*name)
            {
                self.claims.insert((*name).to_owned());
            }
        }
        for client in &clients {
            for target in &targets {
                self.pairs[pair_kind(*client, *target)] = true;
                let pair = self.hasher.hash_one((client, target));
                self.keys.entry(pair).or_insert(Listed::None);
                for subject in &subjects {
                    let key = subject.as_ref().map_or(pair, |subject| self.hasher.hash_one((pair, subject)));
                    let listed = self.keys.entry(key).or_insert(Listed::None);
                    match *listed {
                        Listed::None => *listed = Listed::One(position),
                        Listed::One(first) => {
                            *listed = Listed::Several(self.lists.len() as u32);
                            self.lists.push(vec![first, position]);
                        }
                        Listed::Several(list) => self.lists[list as usize].push(position),
                    }
                }
            }
        }
    }

    fn positions<'a>(&'a self, listed: &'a Listed) -> &'a [u32] {
        match listed {
            Listed::None => &[],
            Listed::One(position) => slice::from_ref(position),
            Listed::Several(list) => &self.lists[*list as usize],
        }
    }

    /// The positions of every rule that can match the query, in the order of the table.
    pub(super) fn candidates(&self, query: &Query) -> Vec<usize> {
        let subjects = self.subject_keys(query);
        // It is cheaper to read a small table than to look up more keys than the table has rules.
        if query.targets.is_empty() || subjects.len() >= self.rules {
            return (0..self.rules).collect();
        }
        let mut found = Vec::new();
        for client in [Some(query.client_id.as_str()), None] {
            for target in query.targets.iter().map(|target| Some(target.as_str())).chain([None]) {
                if !self.pairs[pair_kind(client, target)] {
                    continue;
                }
                let pair = self.hasher.hash_one((client, target));
                let Some(for_any_subject) = self.keys.get(&pair) else { continue };
                let keys = subjects.iter().map(|subject| self.hasher.hash_one((pair, subject)));
                let for_subject = keys.filter_map(|key| self.keys.get(&key));
                let listed = for_subject.chain([for_any_subject]).flat_map(|listed| self.positions(listed));
                found.extend(listed.map(|position| *position as usize));
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Every subject key that can lead to a rule for the subject of the query.
    fn subject_keys<'a>(&'a self, query: &'a Query) -> Vec<SubjectKey<'a>> {
        let mut keys = Vec::new();
        let is_listed = |key: &SubjectKey<'_>| self.kinds[key.kind()];
        for party in subjects::names(query, true) {
            let (iss, sub) = (party.iss.as_str(), party.sub.as_str());
            let of_party = [SubjectKey::Issuer(iss), SubjectKey::Name(sub), SubjectKey::Party(iss, sub)];
            keys.extend(of_party.into_iter().filter(is_listed));
        }
        for name in &self.claims {
            let values = query.subject.claims.get(name).map(|value| match value {
                Value::Array(values) => &values[..],
                value => slice::from_ref(value),
            });
            for text in values.unwrap_or_default().iter().filter_map(Value::as_str) {
                keys.push(SubjectKey::Claim(None, name, text));
                keys.extend(
                    subjects::names(query, true).map(|party| SubjectKey::Claim(Some(party.iss.as_str()), name, text)),
                );
            }
        }
        keys
    }
}

/// The clients, the targets and the subjects that a rule is listed under. `None` stands for any.
struct Keys<'a> {
    clients: Vec<Option<&'a str>>,
    targets: Vec<Option<&'a str>>,
    subjects: Vec<Option<SubjectKey<'a>>>,
}

/// The names that a rule is listed under.
///
/// A list with too many names counts as any name, so that a rule with long lists is not listed under every combination.
fn keys_of(rule: &Rule) -> Keys<'_> {
    let lists = [&rule.clients, &rule.targets, &rule.subjects.names];
    let longest = lists.into_iter().filter_map(Names::listed).map(<[_]>::len).max().unwrap_or_default();
    let mut keys = 1;
    let [clients, targets, names] = lists.map(|names| {
        let names = names.listed().filter(|names| keys * names.len() <= longest.max(MAX_KEYS))?;
        keys *= names.len();
        Some(names)
    });
    let issuer = rule.subjects.issuer.as_deref();
    let claim = rule.subjects.claims().iter().find_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    let subjects = match (names, claim, issuer) {
        (Some(names), _, Some(issuer)) => names.iter().map(|name| Some(SubjectKey::Party(issuer, name))).collect(),
        (Some(names), _, None) => names.iter().map(|name| Some(SubjectKey::Name(name))).collect(),
        (None, Some((claim, text)), _) => vec![Some(SubjectKey::Claim(issuer, claim, text))],
        (None, None, Some(issuer)) => vec![Some(SubjectKey::Issuer(issuer))],
        (None, None, None) => vec![None],
    };
    Keys { clients: each_or_any(clients), targets: each_or_any(targets), subjects }
}

fn each_or_any(names: Option<&[Arc<str>]>) -> Vec<Option<&str>> {
    names.map_or_else(|| vec![None], |names| names.iter().map(|name| Some(&**name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        policy::{Names, Subjects},
        records::Party,
    };

    const ISS: &str = "https://as.example";

    /// The public tests cannot see how many rules a decision looks at.
    #[test]
    fn only_rules_that_can_match_are_compared() {
        let user = |at: usize| Subjects::of_issuer(ISS).named([format!("user-{at}")]);
        let group = |at: usize| Subjects::any().in_group(format!("group-{at}"));
        let name = |at: usize| format!("n-{at}");
        type Make<'a> = &'a dyn Fn(usize) -> Rule;
        let by_user: Make<'_> = &|at| Rule::allow("orders", user(at), "billing");
        let by_group: Make<'_> = &|at| Rule::allow("orders", group(at), "billing");
        let by_client: Make<'_> = &|at| Rule::allow(&*name(at), Subjects::any(), Names::any());
        let by_target: Make<'_> = &|at| Rule::deny(Names::any(), Subjects::any(), &*name(at));
        let by_issuer: Make<'_> = &|at| Rule::allow("orders", Subjects::of_issuer(name(at)), "billing");
        for (rule, client, party, target) in [
            (by_user, "orders", Party::new(ISS, "user-7"), "billing"),
            (by_group, "orders", Party::new(ISS, "alice"), "billing"),
            (by_client, "n-7", Party::new(ISS, "alice"), "billing"),
            (by_target, "orders", Party::new(ISS, "alice"), "n-7"),
            (by_issuer, "orders", Party::new("n-7", "alice"), "billing"),
        ] {
            let rules: Vec<Rule> = (0..1000).map(rule).collect();
            let mut query = Query::new(client, party, target);
            query.subject.claims.insert("groups", serde_json::json!(["group-7"]));
            let found = Index::new(&rules).candidates(&query);
            assert_eq!(found, [7], "{:?}", rules[7]);
        }
    }

    #[test]
    fn long_lists_do_not_multiply_index_keys() {
        let names = |count: usize| (0..count).map(|at| at.to_string()).collect::<Vec<_>>();
        for ([clients, targets, subjects], expected) in [
            ([1, 1, 1], 1),
            ([8, 8, 1], 64),
            ([9, 9, 1], 9),
            ([5, 4, 4], 20),
            ([1, 50_000, 1], 50_000),
            ([1, 3, 50_000], 3),
            ([1000, 2, 900], 1000),
            ([0, 1000, 1000], 0),
        ] {
            let subjects = Subjects::of_issuer(ISS).named(names(subjects));
            let rule = Rule::deny(names(clients), subjects, names(targets));
            let Keys { clients, targets, subjects } = keys_of(&rule);
            assert_eq!(clients.len() * targets.len() * subjects.len(), expected, "{rule:?}");
        }
    }
}
