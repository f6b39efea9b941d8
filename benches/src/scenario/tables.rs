//! Decisions of policy tables of several sizes.

use super::{Scenario, Work};
use crate::world::ISSUER;
use std::hint::black_box;
use tower_token_exchange::{
    policy::{Decision, Query, Rule, Subjects, Table},
    records::Party,
};

const SIZES: [usize; 3] = [10, 1_000, 10_000];

pub(super) fn scenarios() -> Vec<Scenario> {
    SIZES.map(|size| Scenario::new(format!("decision of {size} rules"), move || decision(size))).into()
}

/// One rule for each pair of client and target. Each query matches another rule.
fn decision(size: usize) -> Work {
    let (client, target) = (|at: usize| format!("client-{}", at / 100), |at: usize| format!("target-{}", at % 100));
    let rule = |at| Rule::allow(client(at).as_str(), Subjects::any(), target(at).as_str()).scopes(["read"]);
    let table = Table::new((0..size).map(rule)).expect("a table");
    let queries: Vec<Query> = (0..size)
        .map(|at| {
            let mut query = Query::new(client(at), Party::new(ISSUER, "alice"), target(at));
            query.max_scope = "read write".parse().expect("a scope");
            query
        })
        .collect();
    let mut turn = 0;
    Work::call(move || {
        // The step has no common factor with the sizes.
        turn = (turn + 7_919) % queries.len();
        assert!(matches!(table.decide(black_box(&queries[turn])), Decision::Allow(_)));
    })
}
