use super::{Rule, bucket::Buckets};
use crate::{policy::Query, records::ConfigError};
use std::slice;

/// Finds the few rules of a table that can fit a query.
#[derive(Clone, Debug)]
pub(super) struct Index {
    rules: usize,
    buckets: Buckets,
    /// Each bucket near the place that the first bits of its hash tell, with half of the places free: one look into
    /// memory finds it, however many there are.
    places: Box<[Place]>,
    /// How many bits of a hash are not the first.
    rest: u32,
    /// The rules of the buckets that have several, one bucket after the other.
    several: Box<[u32]>,
}

/// Where a bucket can be. They are small, so that many are in the cache.
#[derive(Clone, Copy, Debug)]
struct Place {
    hash: u32,
    rules: Found,
}

#[derive(Clone, Copy, Debug)]
struct Found(u32);

impl Found {
    const NONE: Self = Self(u32::MAX);
    /// Tells where in `several` they begin from the one there is.
    const SEVERAL: u32 = 1 << 31;
}

impl Index {
    pub(super) fn of(rules: &[Rule]) -> Result<Self, ConfigError> {
        let mut buckets = Buckets::default();
        let mut entries: Vec<(u32, u32)> = Vec::with_capacity(rules.len());
        for (position, rule) in (0..=number(rules.len())?).zip(rules) {
            buckets.add(rule, |hash| entries.push((hash, position)));
        }
        entries.sort_unstable();
        entries.dedup();
        let alike = || entries.chunk_by(|one, next| one.0 == next.0);
        let first_bits = number(alike().count() * 2)?.max(2).next_power_of_two().ilog2();
        let rest = u32::BITS - first_bits;
        let mut places = vec![Place { hash: 0, rules: Found::NONE }; 1 << first_bits];
        let mut several: Vec<u32> = Vec::new();
        for bucket in alike() {
            let (hash, first) = bucket[0];
            let rules = if bucket.len() == 1 {
                Found(first)
            } else {
                let from = number(several.len())?;
                // Their number, and then they.
                several.push(number(bucket.len())?);
                several.extend(bucket.iter().map(|(_, position)| position));
                Found(from | Found::SEVERAL)
            };
            let mut at = (hash >> rest) as usize;
            while !places[at].is_free() {
                at = (at + 1) % places.len();
            }
            places[at] = Place { hash, rules };
        }
        Ok(Self { rules: rules.len(), buckets, places: places.into(), rest, several: several.into() })
    }

    /// The positions of every rule that can fit, some perhaps twice, in no order.
    pub(super) fn candidates(&self, query: &Query) -> impl Iterator<Item = usize> {
        // A small table is read sooner than looked up, and a token with a thousand groups needs a thousand looks.
        let buckets = self.buckets.find(query).filter(|buckets| buckets.len() < self.rules);
        let all = if buckets.is_none() { 0..self.rules } else { 0..0 };
        buckets.into_iter().flatten().flat_map(|hash| self.bucket(hash)).map(|position| *position as usize).chain(all)
    }

    fn bucket(&self, hash: u32) -> &[u32] {
        let from = (hash >> self.rest) as usize;
        let places = self.places[from..].iter().chain(&self.places[..from]);
        let mut taken = places.take_while(|place| !place.is_free());
        match taken.find(|place| place.hash == hash).map(|place| &place.rules) {
            None => &[],
            Some(Found(position)) if position & Found::SEVERAL == 0 => slice::from_ref(position),
            Some(Found(from)) => {
                let from = (from & !Found::SEVERAL) as usize;
                let count = self.several[from] as usize;
                &self.several[from + 1..=from + count]
            }
        }
    }
}

impl Place {
    fn is_free(&self) -> bool {
        self.rules.0 == Found::NONE.0
    }
}

fn number(count: usize) -> Result<u32, ConfigError> {
    u32::try_from(count)
        .ok()
        .filter(|count| count & Found::SEVERAL == 0)
        .ok_or_else(|| ConfigError::new("policy: rules", "more than 2 147 483 647 places for them: split"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        policy::{Names, Subjects},
        records::Party,
    };

    const ISS: &str = "https://as.example";

    /// Whether a decision looks at more rules than it must shows in nothing but its time.
    #[test]
    fn what_has_nothing_to_do_with_a_query_is_not_looked_at() {
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
            let found: Vec<usize> = Index::of(&rules).unwrap().candidates(&query).collect();
            assert_eq!(found, [7], "{:?}", rules[7]);
        }
    }
}
