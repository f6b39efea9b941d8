use super::{Names, Rule, spread::spread, subjects::parties};
use crate::policy::Query;
use serde_json::Value;
use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    slice,
    sync::Arc,
};

/// Whose rules stand in a bucket.
#[derive(Hash)]
enum Whose<'a> {
    Anybody,
    Issuer(&'a str),
    /// Whoever has this name, at any issuer.
    Name(&'a str),
    Party(&'a str, &'a str),
    /// Whoever has this text as this claim, or in it.
    Claim(Option<&'a str>, &'a str, &'a str),
}

impl Whose<'_> {
    fn kind(&self) -> u32 {
        match self {
            Self::Anybody => 0,
            Self::Issuer(_) => 1,
            Self::Name(_) => 2,
            Self::Party(..) => 3,
            Self::Claim(None, ..) => 4,
            Self::Claim(Some(_), ..) => 5,
        }
    }
}

/// Tells the buckets that a rule stands in, and those in which a query looks for rules.
///
/// A bucket is for allows or denies of one client or any, one target or any, and one kind of subject. It goes by its
/// hash alone: what is found is still held against the query, so that two buckets with one hash only cost time.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets {
    hasher: RandomState,
    /// The claims that any of them goes by.
    claims: HashSet<String>,
    /// The kinds that there are, a bit for each: no query looks for others.
    kinds: u64,
}

impl Buckets {
    /// Puts a rule where every query that it fits will look. Lists that would multiply are left out: the rule then
    /// stands with those for any client, any target, or any subject of the issuer.
    pub(super) fn add(&mut self, rule: &Rule, mut put: impl FnMut(u32)) {
        let names = [&rule.clients, &rule.targets, &rule.subjects.subs].map(Names::listed);
        let [by_client, by_target, by_sub] = spread(names.map(|list| list.map_or(1, <[_]>::len)));
        let (clients, targets) = (each(names[0], by_client), each(names[1], by_target));
        let whose: Vec<(u32, u64)> =
            subjects(rule, by_sub).into_iter().map(|whose| (whose.kind(), self.hasher.hash_one(whose))).collect();
        let claim = text_claim(rule).filter(|_| rule.subjects.subs.listed().is_none());
        if let Some((name, _)) = claim.filter(|(name, _)| !self.claims.contains(*name)) {
            self.claims.insert(name.to_owned());
        }
        for client in clients {
            for target in &targets {
                let place = self.place(rule.allows, client, *target);
                for (kind, whose) in &whose {
                    self.kinds |= place.kind(*kind);
                    put(self.hash(&place, *whose));
                }
            }
        }
    }

    /// The buckets of every rule that fits a query; nothing where no bucket can tell.
    pub(super) fn find(&self, query: &Query) -> Option<Vec<u32>> {
        let mut found = Vec::new();
        for allows in [false, true] {
            let whose = self.whose(query, allows);
            // An allow is for all of the targets, so that it is for the first.
            let targets = if allows { slice::from_ref(query.targets.first()?) } else { &query.targets[..] };
            for target in targets.iter().map(|target| Some(target.as_str())).chain([None]) {
                for client in [Some(query.client_id.as_str()), None] {
                    let place = self.place(allows, client, target);
                    let here = whose.iter().filter(|(kind, _)| self.kinds & place.kind(*kind) != 0);
                    found.extend(here.map(|(_, whose)| self.hash(&place, *whose)));
                }
            }
        }
        Some(found)
    }

    fn whose(&self, query: &Query, allows: bool) -> Vec<(u32, u64)> {
        let mut found = Vec::new();
        let mut add = |whose: Whose<'_>| found.push((whose.kind(), self.hasher.hash_one(whose)));
        add(Whose::Anybody);
        for party in parties(query, allows) {
            add(Whose::Issuer(party.iss.as_str()));
            add(Whose::Name(&party.sub));
            add(Whose::Party(party.iss.as_str(), &party.sub));
        }
        let known = query.subject.claims.iter().filter(|(name, _)| self.claims.contains(*name));
        for (name, value) in known {
            let values = value.as_array().map_or(slice::from_ref(value), Vec::as_slice);
            for text in values.iter().filter_map(Value::as_str) {
                add(Whose::Claim(None, name, text));
                parties(query, allows).for_each(|party| add(Whose::Claim(Some(party.iss.as_str()), name, text)));
            }
        }
        found
    }

    fn hash(&self, place: &Place, whose: u64) -> u32 {
        // Half of it tells the buckets of any table apart.
        self.hasher.hash_one((place.hash, whose)) as u32
    }

    fn place(&self, allows: bool, client: Option<&str>, target: Option<&str>) -> Place {
        let bits = [allows, client.is_some(), target.is_some()].map(u32::from);
        Place { hash: self.hasher.hash_one((allows, client, target)), kind: bits[0] << 2 | bits[1] << 1 | bits[2] }
    }
}

/// A bucket but for the subject.
struct Place {
    hash: u64,
    kind: u32,
}

impl Place {
    fn kind(&self, whose: u32) -> u64 {
        1 << (whose * 8 + self.kind)
    }
}

fn each(list: Option<&[Arc<str>]>, by_name: bool) -> Vec<Option<&str>> {
    match list {
        Some(names) if by_name => names.iter().map(|name| Some(&**name)).collect(),
        _ => vec![None],
    }
}

fn subjects(rule: &Rule, by_sub: bool) -> Vec<Whose<'_>> {
    let iss = rule.subjects.issuer.as_deref();
    match (rule.subjects.subs.listed(), text_claim(rule), iss) {
        (Some(subs), _, Some(iss)) if by_sub => subs.iter().map(|sub| Whose::Party(iss, sub)).collect(),
        (Some(subs), _, None) if by_sub => subs.iter().map(|sub| Whose::Name(sub)).collect(),
        (None, Some((name, text)), _) => vec![Whose::Claim(iss, name, text)],
        (_, _, Some(iss)) => vec![Whose::Issuer(iss)],
        (_, _, None) => vec![Whose::Anybody],
    }
}

/// The first claim that is a text.
fn text_claim(rule: &Rule) -> Option<(&str, &str)> {
    rule.subjects.claims().iter().find_map(|(name, wanted)| Some((name.as_str(), wanted.as_str()?)))
}
