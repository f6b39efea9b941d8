use super::{Rule, bucket::Buckets};
use crate::{authority::Query, registry::ConfigError};

/// Finds the few rules of a table that can fit a query.
#[derive(Clone, Debug)]
pub(super) struct Index {
    rules: usize,
    buckets: Buckets,
    entries: Box<[Entry]>,
    /// Where in `entries` the hashes begin that have the same first bits: two looks find a bucket, however many
    /// there are.
    starts: Box<[u32]>,
    /// How many bits of a hash are not the first.
    rest: u32,
}

/// A rule in a bucket. They are in order, and small, so that much of a large table's index stays in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    hash: u32,
    position: u32,
}

impl Index {
    pub(super) fn of(rules: &[Rule]) -> Result<Self, ConfigError> {
        let mut buckets = Buckets::default();
        let mut entries = Vec::with_capacity(rules.len());
        for (position, rule) in (0..=number(rules.len())?).zip(rules) {
            buckets.add(rule, |hash| entries.push(Entry { hash, position }));
        }
        entries.sort_unstable();
        entries.dedup();
        let first_bits = number(entries.len())?.max(2).ilog2();
        let rest = u32::BITS - first_bits;
        let mut end = 0;
        let starts = (0..=1_u64 << first_bits).map(|cell| {
            let before = |entry: &&Entry| u64::from(entry.hash >> rest) < cell;
            end += entries[end as usize..].iter().take_while(before).map(|_| 1).sum::<u32>();
            end
        });
        Ok(Self { rules: rules.len(), buckets, starts: starts.collect(), entries: entries.into(), rest })
    }

    /// The positions of every rule that can fit, some perhaps twice, in no order.
    pub(super) fn candidates(&self, query: &Query) -> impl Iterator<Item = usize> {
        // A small table is read sooner than looked up, and a token with a thousand groups needs a thousand looks.
        let buckets = self.buckets.find(query).filter(|buckets| buckets.len() < self.rules);
        let all = if buckets.is_none() { 0..self.rules } else { 0..0 };
        buckets.into_iter().flatten().flat_map(|hash| self.bucket(hash)).chain(all)
    }

    fn bucket(&self, hash: u32) -> impl Iterator<Item = usize> {
        let cell = (hash >> self.rest) as usize;
        let alike = &self.entries[self.starts[cell] as usize..self.starts[cell + 1] as usize];
        let from = alike.partition_point(|entry| entry.hash < hash);
        alike[from..].iter().take_while(move |entry| entry.hash == hash).map(|entry| entry.position as usize)
    }
}

fn number(count: usize) -> Result<u32, ConfigError> {
    u32::try_from(count)
        .map_err(|_| ConfigError::new("policy: rules", "more than 4 294 967 295 places for them: split"))
}
