//! The time of one decision of a table with 10 to 1 000 000 rules, and with many rules for one client and one target.
//!
//! Run `cargo bench --bench policy`. Compare the ratios, because the times depend on the machine. Each query matches
//! another rule, so that the largest table does not stay in the caches of the processor. Each table of 1 000 000 rules
//! prints its load time and, if the system reports it, its memory.

#![allow(clippy::print_stdout, reason = "a bench prints its results")]

use divan::{AllocProfiler, Bencher, black_box};
use serde_json::{Value, json};
use std::{fs, time::Instant};
use tower_token_exchange::{
    Client, Target, TokenExchangeLayer,
    policy::{Decision, Query, Rule, Subjects, Table},
    records::Party,
    signing::{Algorithm, LocalSigner},
};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const ISSUER: &str = "https://as.example";
const SIZES: [usize; 3] = [10, 10_000, 1_000_000];
const FOR_ONE_PAIR: usize = 10_000;

fn main() {
    divan::main();
}

/// One rule for each pair of client and target, for any subject.
#[divan::bench(args = SIZES, sample_size = 100, sample_count = 200)]
fn a_pairs(bencher: Bencher<'_, '_>, size: usize) {
    let (client, target) = (|at: usize| format!("client-{}", at / 1000), |at: usize| format!("target-{}", at % 1000));
    let rule = |at| Rule::allow(client(at).as_str(), Subjects::any(), target(at).as_str());
    let query = |at| Query::new(client(at), Party::new(ISSUER, "alice"), target(at));
    decide(bencher, size, rule, query);
}

/// One rule for each user, for one client and one target.
#[divan::bench(args = SIZES, sample_size = 100, sample_count = 200)]
fn b_users(bencher: Bencher<'_, '_>, size: usize) {
    let rule = |at| Rule::allow("orders", Subjects::of_issuer(ISSUER).named([format!("user-{at}")]), "billing");
    decide(bencher, size, rule, |at| of_user(&format!("user-{at}")));
}

/// One rule for each group, for one client and one target. The index finds a rule by a claim with a text value.
#[divan::bench(args = [10, FOR_ONE_PAIR])]
fn c_groups(bencher: Bencher<'_, '_>, size: usize) {
    let rule = |at| Rule::allow("orders", Subjects::any().with_claim("groups", format!("group-{at}")), "billing");
    decide(bencher, size, rule, |at| with("groups", json!(["staff", format!("group-{at}"), "all"])));
}

/// One rule for each level, for one client and one target. The index cannot find a rule by a number, so the query is
/// compared with every rule.
#[divan::bench(args = [10, FOR_ONE_PAIR])]
fn d_numbers(bencher: Bencher<'_, '_>, size: usize) {
    let rule = |at| Rule::allow("orders", Subjects::any().with_claim("level", at), "billing");
    decide(bencher, size, rule, |at| with("level", json!(at)));
}

/// Many equal rules for one client and one target. Every rule matches, and the table looks for the rule that grants most.
#[divan::bench(args = [10, FOR_ONE_PAIR])]
fn e_alike(bencher: Bencher<'_, '_>, size: usize) {
    decide(bencher, size, |_| Rule::allow("orders", Subjects::any(), "billing"), |_| of_user("alice"));
}

/// An explanation, which reads every rule.
#[divan::bench(args = [10, 1_000_000], sample_count = 20)]
fn f_explain(bencher: Bencher<'_, '_>, size: usize) {
    let rule = |at| Rule::allow("orders", Subjects::of_issuer(ISSUER).named([format!("user-{at}")]), "billing");
    let table = Table::new((0..size).map(|at| rule(at).scopes(["read"]))).expect("a table");
    bencher.bench_local(|| table.explain(black_box(&of_user("nobody"))));
}

/// The start of a layer, or a reload: every rule is compared with the records and with the other rules. A tenth of the
/// rules are deny rules.
#[divan::bench(args = [10, 10_000, 1_000_000], sample_count = 1, sample_size = 1)]
fn g_build(bencher: Bencher<'_, '_>, size: usize) {
    let (client, target) = (|at: usize| format!("client-{}", at / 1000), |at: usize| format!("target-{}", at % 1000));
    let rule = |at: usize| match at % 10 {
        9 => Rule::deny(&*client(at), Subjects::any().in_group("interns"), &*target(at)),
        _ => Rule::allow(&*client(at), Subjects::any(), &*target(at)).scopes(["read"]),
    };
    let clients: Vec<String> = (0..size.div_ceil(1000)).map(|at| client(at * 1000)).collect();
    let targets = || (0..size.min(1000)).map(|at| Target::new(target(at)).allow_clients(&clients).scopes(["read"]));
    let signer = LocalSigner::generate(Algorithm::ES256).expect("a key");
    let build = |rules: Vec<Rule>| {
        let builder = TokenExchangeLayer::builder(ISSUER).clients(clients.iter().map(Client::new)).targets(targets());
        builder.rules(rules).signer(signer.clone()).build().expect("a layer")
    };
    bencher.with_inputs(|| (0..size).map(rule).collect::<Vec<_>>()).bench_local_values(build);
}

fn of_user(name: &str) -> Query {
    Query::new("orders", Party::new(ISSUER, name), "billing")
}

fn with(claim: &str, value: Value) -> Query {
    let mut query = of_user("alice");
    query.subject.claims.insert(claim, value);
    query
}

fn decide(bencher: Bencher<'_, '_>, size: usize, rule: impl Fn(usize) -> Rule, query: impl Fn(usize) -> Query) {
    let (before, started) = (resident(), Instant::now());
    let table = Table::new((0..size).map(|at| rule(at).scopes(["read", "write"]))).expect("a table");
    if size == SIZES[2] {
        let bytes = resident().saturating_sub(before) / size;
        println!("(built and loaded in {:.1?}, with {bytes} bytes for each rule)", started.elapsed());
    }
    let query = |at| {
        let mut query = query(at);
        query.max_scope = "read write".parse().expect("a scope");
        query
    };
    // The step has no common factor with the sizes, so the queries reach every rule.
    let queries: Vec<Query> = (0..size.min(10_000)).map(|turn| query(turn * 7_919 % size)).collect();
    let mut turn = 0;
    // The query is created just before the decision, as in an exchange.
    let next = || {
        turn = (turn + 1) % queries.len();
        queries[turn].clone()
    };
    bencher.with_inputs(next).bench_local_refs(|query| {
        let decision = table.decide(black_box(query));
        assert!(matches!(decision, Decision::Allow(_)));
        decision
    });
}

/// The memory of this process in bytes. 0 if the system does not report the memory.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0) * 1024
}
