//! Random trees of exchanges, with revocations and cut-offs. A token is accepted exactly if neither the token nor an ancestor was
//! revoked or cut off. The oracle keeps the whole tree, and shares no code with the layer.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so")]
#![allow(unreachable_pub, reason = "what the modules of a test share is seen nowhere else")]

mod oracle;
#[path = "../support/mod.rs"]
mod support;
mod world;

use oracle::{Cut, Node, Oracle};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngAlgorithm, RngSeed, TestRunner},
};
use std::{cell::RefCell, collections::BTreeMap};
use world::{CLIENTS, Root, World};

/// A step of a case. The numbers choose among what exists at that step.
#[derive(Clone, Debug)]
enum Step {
    Root(Root),
    Exchange { subject: usize, actor: Option<usize>, target: usize },
    Revoke(usize),
    CutOff { cut: Cut, seconds_ago: u64 },
    Wait(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let exchange = (any::<usize>(), proptest::option::weighted(0.3, any::<usize>()), 0..CLIENTS.len());
    prop_oneof![
        3 => world::any_root().prop_map(Step::Root),
        8 => exchange.prop_map(|(subject, actor, target)| Step::Exchange { subject, actor, target }),
        1 => any::<usize>().prop_map(Step::Revoke),
        2 => (oracle::any_cut(), 0..60_u64).prop_map(|(cut, seconds_ago)| Step::CutOff { cut, seconds_ago }),
        3 => (1..40_u64).prop_map(Step::Wait),
    ]
}

/// Counts how often a situation occurred, so that the property cannot pass without its situation.
#[derive(Default)]
struct Tally(RefCell<BTreeMap<String, u32>>);

impl Tally {
    fn note(&self, what: impl Into<String>) {
        *self.0.borrow_mut().entry(what.into()).or_default() += 1;
    }

    fn assert_some(&self, what: &str) {
        assert!(self.0.borrow().contains_key(what), "{what} never occurred: {:?}", self.0.borrow());
    }
}

#[test]
fn a_token_is_good_until_its_tree_is_revoked() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let tally = Tally::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { Config::default().cases } else { 250 };
    let seed = match std::env::var("PROPTEST_RNG_SEED") {
        Ok(_) => Config::default().rng_seed,
        Err(_) => RngSeed::Fixed(1),
    };
    let config = Config {
        cases,
        rng_seed: seed,
        failure_persistence: None,
        rng_algorithm: RngAlgorithm::XorShift,
        max_shrink_iters: 300,
        ..Config::default()
    };
    let property = |steps: Vec<Step>| runtime.block_on(run(&steps, &tally));
    if let Err(failure) = TestRunner::new(config).run(&vec(any_step(), 1..60), property) {
        panic!("{failure}");
    }
    for what in ["accepted", "revoked", "4 hops", "actor token", "inactive", "active", "issued actor token"] {
        tally.assert_some(what);
    }
    for kind in Cut::KINDS {
        tally.assert_some(kind);
    }
}

async fn run(steps: &[Step], tally: &Tally) -> Result<(), TestCaseError> {
    let mut world = World::new();
    let mut oracle = Oracle::default();
    let mut tokens: Vec<String> = Vec::new();
    for step in steps {
        match step {
            Step::Root(root) => {
                tokens.push(world.mint(root, tokens.len()));
                oracle.nodes.push(root.node(world.now()));
            }
            Step::Exchange { .. } if tokens.is_empty() => {}
            Step::Exchange { subject, actor, target } => {
                let subject = subject % tokens.len();
                let actor = actor.and_then(|actor| oracle.actor_token(actor, subject, world.now()));
                let Some(client) = oracle.nodes[subject].presenter_at(*target) else { continue };
                if oracle.has_expired(subject, world.now()) || !oracle.can_be_subject(subject) {
                    continue;
                }
                let node = oracle.issued(subject, actor, client, *target, world.now());
                let expected = oracle.problem(&node, Some(&oracle.acting(actor, client)));
                let result = world.exchange(client, *target, &tokens, &oracle, subject, actor).await;
                check(&oracle, subject, actor, client, expected, result.as_ref().err().map(String::as_str))?;
                let Ok((token, expires_at)) = result else {
                    tally.note("revoked");
                    tally.note(expected.unwrap_or_default());
                    continue;
                };
                tally.note("accepted");
                tally.note(format!("{} hops", oracle.hops(&node)));
                if let Some(actor) = actor {
                    tally.note(if oracle.nodes[actor].is_issued() { "issued actor token" } else { "actor token" });
                }
                tokens.push(token);
                oracle.nodes.push(Node { expires_at, ..node });
            }
            Step::Revoke(_) if tokens.is_empty() => {}
            Step::Revoke(number) => {
                let number = number % tokens.len();
                world.revoke(&tokens[number]).await;
                oracle.nodes[number].is_revoked = true;
            }
            Step::CutOff { cut, seconds_ago } => {
                let moment = world.now() - seconds_ago;
                world.cut_off(cut, moment).await;
                oracle.cuts.push((cut.clone(), moment));
            }
            Step::Wait(seconds) => world.wait(*seconds),
        }
    }
    // Introspection agrees about every token that was issued.
    for (number, node) in oracle.nodes.iter().enumerate().filter(|(_, node)| node.is_issued()) {
        let is_active = world.is_active(&tokens[number], node).await;
        let expected = oracle.problem(node, None).is_none() && !oracle.has_expired(number, world.now());
        tally.note(if is_active { "active" } else { "inactive" });
        prop_assert_eq!(is_active, expected, "token {} at {}: {:#?}", number, world.now(), oracle);
    }
    Ok(())
}

fn check(
    oracle: &Oracle,
    subject: usize,
    actor: Option<usize>,
    client: usize,
    expected: Option<&'static str>,
    refused: Option<&str>,
) -> Result<(), TestCaseError> {
    let told = || format!("subject {subject}, actor {actor:?}, client {client}: {oracle:#?}");
    match (expected, refused) {
        (None, None) => {}
        (Some(_), Some("token_revoked" | "ancestor_revoked" | "token_cut_off")) => {}
        _ => prop_assert!(false, "expected {expected:?}, and the layer: {refused:?}; {}", told()),
    }
    Ok(())
}
