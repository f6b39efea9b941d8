//! The edges: each rule, for each pair of a client and a target that the records permit.

use super::Edge;
use crate::{
    policy::Rule,
    records::{ClientRecord, Registry, TargetRecord},
};
use std::{collections::HashMap, sync::Arc};

/// The most edges of a graph. Rules for any client and any target make an edge for each pair that the records permit.
const MAX_EDGES: usize = 200_000;

/// A client, and a target for which the records of both permit an exchange.
type Pair<'a> = (&'a ClientRecord, &'a TargetRecord);

/// The pairs that the records permit, in the order of the records.
struct Pairs<'a> {
    all: Vec<Pair<'a>>,
    of_client: HashMap<&'a str, Vec<Pair<'a>>>,
    of_target: HashMap<&'a str, Vec<Pair<'a>>>,
}

/// The edges of these rules, and the number of edges beyond the limit.
pub(super) fn all(registry: &Registry, rules: &[Rule]) -> (Vec<Edge>, usize) {
    let pairs = Pairs::new(registry);
    let (mut edges, mut omitted) = (Vec::new(), 0);
    for rule in rules {
        let pairs = pairs.of_rule(rule);
        if edges.len() >= MAX_EDGES {
            omitted += pairs.len();
            continue;
        }
        let facts = Facts::of(rule);
        edges.extend(pairs.into_iter().filter_map(|pair| facts.edge(pair)));
        omitted += edges.len().saturating_sub(MAX_EDGES);
        edges.truncate(MAX_EDGES);
    }
    (edges, omitted)
}

impl<'a> Pairs<'a> {
    fn new(registry: &'a Registry) -> Self {
        let mut clients: Vec<&ClientRecord> = registry.clients().map(|client| &**client).collect();
        clients.sort_by_key(|client| client.position);
        let mut all: Vec<Pair<'_>> = Vec::new();
        for target in registry.targets() {
            let callers = target.callers().filter_map(|id| registry.client(id));
            let may_ask = |client: &&Arc<ClientRecord>| {
                client.may_exchange && client.targets.as_ref().is_none_or(|targets| targets.contains(&target.id))
            };
            all.extend(callers.filter(may_ask).map(|client| (&**client, &**target)));
        }
        all.sort_by_key(|(client, _)| client.position);
        let (mut of_client, mut of_target) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        for pair @ (client, target) in all.iter().copied() {
            of_client.entry(client.id.as_str()).or_default().push(pair);
            of_target.entry(target.id.as_str()).or_default().push(pair);
        }
        Self { all, of_client, of_target }
    }

    fn of_rule(&self, rule: &Rule) -> Vec<Pair<'a>> {
        let is_target = |pair: &&Pair<'a>| rule.targets.contains(&pair.1.id);
        match (rule.clients.listed(), rule.targets.listed()) {
            (Some(clients), _) => {
                let pairs = clients.iter().filter_map(|client| self.of_client.get(&**client)).flatten();
                pairs.filter(is_target).copied().collect()
            }
            (None, Some(targets)) => {
                targets.iter().filter_map(|target| self.of_target.get(&**target)).flatten().copied().collect()
            }
            (None, None) => self.all.clone(),
        }
    }
}

/// A rule, and the texts that its edges share.
struct Facts<'a> {
    rule: &'a Rule,
    name: Arc<str>,
    subjects: Arc<str>,
    actors: Arc<[String]>,
    conditions: Arc<[String]>,
}

impl<'a> Facts<'a> {
    fn of(rule: &'a Rule) -> Self {
        Self {
            rule,
            name: rule.name().into(),
            subjects: rule.subjects.to_string().into(),
            actors: rule.actor_texts().into(),
            conditions: rule.condition_texts().into(),
        }
    }

    /// The edge for a pair. `None` if the rule allows no scope that the records permit for the pair.
    fn edge(&self, (client, target): Pair<'_>) -> Option<Edge> {
        let rule = self.rule;
        let is_allowed = |scope: &str| {
            rule.scopes.as_ref().is_some_and(|scopes| scopes.contains(scope))
                && client.scopes.as_ref().is_none_or(|scopes| scopes.contains(scope))
        };
        let mut scopes: Vec<String> = match rule.is_allow() {
            true => target.scopes.iter().filter(|scope| is_allowed(scope)).map(str::to_owned).collect(),
            false => Vec::new(),
        };
        if scopes.is_empty() && rule.is_allow() {
            return None;
        }
        scopes.sort_unstable();
        let lifetimes = [rule.max_lifetime, target.max_lifetime, client.max_lifetime];
        Some(Edge {
            rule: Arc::clone(&self.name),
            effect: rule.effect,
            shadow: rule.shadow,
            client: client.id.clone(),
            target: target.id.clone(),
            subjects: Arc::clone(&self.subjects),
            actors: Arc::clone(&self.actors),
            scopes: scopes.into(),
            semantics: rule.is_allow().then(|| rule.semantics()),
            max_lifetime: lifetimes
                .into_iter()
                .flatten()
                .min()
                .filter(|_| rule.is_allow())
                .map(|limit| limit.as_secs()),
            max_depth: rule.max_depth,
            conditions: Arc::clone(&self.conditions),
        })
    }
}
