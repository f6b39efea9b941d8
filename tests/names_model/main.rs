//! An exhaustive check of names in small worlds: two parties never share a name, no deny is lost at any hop, and no allow
//! reaches another party.
//!
//! A *world* is a set of records, a first token, the types of the tokens that two exchanges issue, the actor of the first
//! exchange, and one rule. For each world, real exchanges through the layer lead the token along three hops. At each hop, the
//! question that the policy of the layer got is put to a real table with the rule, and the decision is compared with the
//! model. Worlds that differ only in the rule share their exchanges. A sample of the worlds is run once more with the rule as
//! the policy of the layer.
//!
//! A second check, in `binding.rs`, is about tokens that are bound to a key.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so")]
#![allow(unreachable_pub, reason = "what the modules of a test share is seen nowhere else")]

mod binding;
mod layer;
mod model;
#[path = "../support/mod.rs"]
mod support;
mod world;

use layer::{Exchanged, Token, World, first_token, name_of};
use model::{Hop, Name, Refusal, Rule, Who};
use std::collections::{BTreeMap, BTreeSet};
use tokio::runtime::Runtime;
use tower_token_exchange::{
    Reason,
    policy::{Decision, Query, Table},
};
use world::{ACTING, Acting, First, Iss, Own, ROUTES, Records, Type, all_records, first_tokens};

/// The most findings that are printed.
const SHOWN: usize = 20;
/// One of this number of worlds is run with its rule as the policy of the layer.
const SAMPLED: u64 = 3_989;

#[derive(Debug, Default)]
struct Counts {
    records: u64,
    refused_records: u64,
    refused_rules: u64,
    refused_tokens: u64,
    exchanges: u64,
    worlds: u64,
    decisions: u64,
    denied: u64,
    sampled: u64,
    findings: Vec<String>,
}

impl Counts {
    fn find(&mut self, finding: impl FnOnce() -> String) {
        self.findings.push(finding());
    }

    fn add(&mut self, other: Self) {
        self.records += other.records;
        self.refused_records += other.refused_records;
        self.refused_rules += other.refused_rules;
        self.refused_tokens += other.refused_tokens;
        self.exchanges += other.exchanges;
        self.worlds += other.worlds;
        self.decisions += other.decisions;
        self.denied += other.denied;
        self.sampled += other.sampled;
        self.findings.extend(other.findings);
    }
}

#[test]
fn no_small_world_confuses_its_parties() {
    let all = all_records();
    let (one, other) = std::thread::scope(|scope| {
        let half = |at: usize| all.iter().skip(at).step_by(2);
        let other = scope.spawn(move || checked(half(1)));
        (checked(half(0)), other.join().unwrap())
    });
    let mut counts = one;
    counts.add(other);
    let Counts { worlds, decisions, denied, sampled, findings, .. } = &counts;
    let Counts { records, refused_records, refused_rules, refused_tokens, exchanges, .. } = &counts;
    eprintln!(
        "worlds: {worlds}; decisions compared: {decisions}, of which denied: {denied}; worlds run with their rule as policy: \
         {sampled}; record sets: {records}, refused by the builder: {refused_records}; rules refused by the builder: \
         {refused_rules}; first tokens refused: {refused_tokens}; exchanges: {exchanges}; findings: {}",
        findings.len()
    );
    assert!(findings.is_empty(), "{:#?}", &findings[..findings.len().min(SHOWN)]);
    assert!(*worlds >= 1_000_000, "fewer worlds than promised: {worlds}");
    assert!(*sampled > 100 && *denied > 100_000 && *refused_tokens > 100, "too few of a kind");
}

fn checked<'a>(all: impl Iterator<Item = &'a Records>) -> Counts {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut counts = Counts::default();
    for records in all {
        counts.records += 1;
        match (World::build(records, None), records.collide()) {
            (Ok(world), false) => Check::new(records, world, &runtime, &mut counts).run(),
            (Err(error), true) if error.to_string().contains("map_subjects") => counts.refused_records += 1,
            (built, collide) => counts.find(|| format!("collide: {collide}, but {:?}: {records:?}", built.err())),
        }
    }
    counts
}

/// The check of the worlds with the same records.
struct Check<'a> {
    records: &'a Records,
    world: World,
    runtime: &'a Runtime,
    counts: &'a mut Counts,
    /// The party that each name was found for.
    owners: BTreeMap<Name, Who>,
    rules: Vec<(Rule, Table)>,
}

impl<'a> Check<'a> {
    fn new(records: &'a Records, world: World, runtime: &'a Runtime, counts: &'a mut Counts) -> Self {
        let holders = first_tokens(records).into_iter().map(|first| first.holder);
        let holders = holders.chain(ACTING.into_iter().filter_map(|acting| records.actor(acting)));
        let mut names: BTreeSet<Name> = holders.flat_map(|holder| records.names(&holder)).collect();
        names.extend(model::CLIENTS.into_iter().flat_map(|client| records.names_of_client(client)));
        let all = model::rules(&names, records.g.is_some());
        let (refused, rules): (Vec<_>, Vec<_>) = all.into_iter().partition(|rule| rule.is_refused(records));
        for rule in refused {
            counts.refused_rules += 1;
            let refusal = layer::refusal(records, &rule);
            if !refusal.as_ref().is_some_and(|refusal| refusal.contains("name the actor by the `sub`")) {
                counts.find(|| format!("{rule:?} is refused because of {refusal:?}: {records:?}"));
            }
        }
        let rules = rules.into_iter().map(|rule| (rule.clone(), rule.table())).collect();
        Self { records, world, runtime, counts, owners: BTreeMap::new(), rules }
    }

    fn run(&mut self) {
        for first in first_tokens(self.records) {
            match self.records.issued_sub(&first.holder) {
                Ok(issued_sub) => self.routes(&first, &issued_sub),
                Err(refusal) => self.refused(&first, refusal),
            }
        }
    }

    fn refused(&mut self, first: &First, refusal: Refusal) {
        let expected = match refusal {
            Refusal::ForeignName => Reason::TokenOriginMissing,
            Refusal::NameOfClient => Reason::SubjectNotMapped,
        };
        let token = first_token(self.records, first);
        let found = self.exchange(0, &token, None, Type::Access).map(|exchanged| exchanged.sub);
        self.counts.refused_tokens += 1;
        if found.as_ref().err() != Some(&expected) {
            let records = self.records;
            self.counts.find(|| format!("{found:?} instead of {expected}: {first:?} {records:?}"));
        }
    }

    fn exchange(
        &mut self,
        hop: usize,
        subject: &Token,
        actor: Option<&Token>,
        issued: Type,
    ) -> Result<Exchanged, Reason> {
        self.counts.exchanges += 1;
        self.runtime.block_on(self.world.exchange(hop, subject, actor, issued))
    }

    /// All routes of a first token, and the other actors on the first route.
    fn routes(&mut self, first: &First, issued_sub: &str) {
        // Without a record for our own issuer, issued JWTs are not accepted as subject tokens.
        let routes = if self.records.own == Own::NoUsers { &ROUTES[..1] } else { &ROUTES };
        for route in routes {
            self.route(first, issued_sub, *route, Acting::Client);
        }
        if first.holder.sub == "alice" && first.token_type != Type::Id && !first.forged {
            for acting in ACTING.into_iter().skip(1) {
                self.route(first, issued_sub, ROUTES[0], acting);
            }
        }
    }

    /// The token of the actor. `None` if the actor cannot have the token.
    fn actor_token(&mut self, acting: Acting) -> Option<Token> {
        let records = self.records;
        let holder = records.actor(acting)?;
        records.issued_sub(&holder).ok()?;
        let token_type = if holder.iss == Iss::Ours { Type::Access } else { Type::Jwt };
        let token = first_token(records, &First { holder, token_type, forged: false });
        match acting {
            // An actor token has no `act`.
            Acting::Exchanged(_) => {
                self.counts.exchanges += 1;
                self.runtime.block_on(self.world.impersonate(&token)).ok().map(|issued| issued.token)
            }
            _ => Some(token),
        }
    }

    fn route(&mut self, first: &First, issued_sub: &str, route: [Type; 2], acting: Acting) {
        let records = self.records;
        let actor = match acting {
            Acting::Client => None,
            acting => {
                let is_subject =
                    records.actor(acting).is_some_and(|actor| records.who(&actor) == records.who(&first.holder));
                match self.actor_token(acting) {
                    Some(token) if !is_subject => Some(token),
                    _ => return,
                }
            }
        };
        let expected = model::hops(records, first, issued_sub, route, acting);
        let mut token = first_token(records, first);
        let mut queries = Vec::new();
        for (hop, issued) in [route[0], route[1], Type::Access].into_iter().enumerate() {
            match self.exchange(hop, &token, actor.as_ref().filter(|_| hop == 0), issued) {
                Ok(exchanged) if exchanged.sub == issued_sub => {
                    let acts = records.actor(acting).filter(|_| hop == 0);
                    let acts = acts.map_or(Who::Client(model::CLIENTS[hop].into()), |actor| records.who(&actor));
                    self.own_names(&records.who(&first.holder), &acts, &exchanged);
                    queries.push(exchanged.query);
                    token = exchanged.token;
                }
                found => {
                    let found = found.map(|exchanged| exchanged.sub);
                    self.counts.find(|| {
                        format!(
                            "hop {hop}: {found:?} instead of {issued_sub}: {first:?} {route:?} {acting:?} {records:?}"
                        )
                    });
                    return;
                }
            }
        }
        self.decisions(first, &expected, &queries, route, acting);
    }

    /// Notes whose the names are that the layer uses, and finds names of two parties.
    fn own_names(&mut self, subject: &Who, actor: &Who, exchanged: &Exchanged) {
        let Query { subject: asked, actor: acting, .. } = &exchanged.query;
        let issued = (Iss::Ours, exchanged.sub.clone());
        let of_subject = asked.other_names.iter().chain([&asked.party]).map(name_of).chain([issued]);
        let of_actor = acting.other_names.iter().chain([&acting.party]).map(name_of);
        let names = of_subject.map(|name| (name, subject)).chain(of_actor.map(|name| (name, actor)));
        for (name, who) in names {
            let owner = self.owners.entry(name.clone()).or_insert_with(|| who.clone());
            if owner != who {
                let (owner, records) = (owner.clone(), self.records);
                self.counts.find(|| format!("{name:?} is the name of {owner:?} and of {who:?}: {records:?}"));
            }
        }
    }

    fn decisions(&mut self, first: &First, expected: &[Hop; 3], queries: &[Query], route: [Type; 2], acting: Acting) {
        let mut sample = Vec::new();
        for (rule, table) in &self.rules {
            self.counts.worlds += 1;
            for (hop, (expected, query)) in expected.iter().zip(queries).enumerate() {
                let allowed = matches!(table.decide(query), Decision::Allow(_));
                self.counts.decisions += 1;
                self.counts.denied += u64::from(!allowed);
                // A deny rule refuses what the rule is about, and an allow rule allows nothing else.
                if allowed != (rule.is_about(expected) != rule.is_deny()) {
                    let records = self.records;
                    self.counts.find(|| {
                        format!("{rule:?} at hop {hop}: allowed {allowed}: {first:?} {route:?} {acting:?} {records:?}")
                    });
                }
            }
            if self.counts.worlds.is_multiple_of(SAMPLED) && acting == Acting::Client {
                sample.push((rule.clone(), table.clone()));
            }
        }
        for (rule, table) in sample {
            self.with_rule(first, expected, route, &rule, table);
        }
    }

    /// Runs a world with the rule as the policy of the layer.
    fn with_rule(&mut self, first: &First, expected: &[Hop; 3], route: [Type; 2], rule: &Rule, table: Table) {
        let world = World::build(self.records, Some(table)).unwrap();
        let mut token = first_token(self.records, first);
        self.counts.sampled += 1;
        for (hop, issued) in [route[0], route[1], Type::Access].into_iter().enumerate() {
            let allowed = rule.is_about(&expected[hop]) != rule.is_deny();
            match (self.runtime.block_on(world.exchange(hop, &token, None, issued)), allowed) {
                (Ok(exchanged), true) => token = exchanged.token,
                (Err(Reason::PolicyDenied | Reason::PolicyNoRule), false) => return,
                (found, _) => {
                    let (found, records) = (found.map(|exchanged| exchanged.sub), self.records);
                    self.counts.find(|| format!("{rule:?} as the policy, hop {hop}: {found:?}: {first:?} {records:?}"));
                    return;
                }
            }
        }
    }
}
