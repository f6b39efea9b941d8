//! An issued token never exceeds its inputs in scope, lifetime, targets, subject, actors, login or other claims. Records,
//! tokens, requests and policies are random; some policies grant too much. An oracle, which shares no code with the layer,
//! computes the allowed results.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so")]
#![allow(unreachable_pub, reason = "what the modules of a test share is seen nowhere else")]

mod cases;
mod changes;
mod hops;
mod oracle;
#[path = "../support/mod.rs"]
mod support;
mod world;

use changes::Change;
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngAlgorithm, RngSeed, TestRunner},
};
use std::{cell::RefCell, collections::BTreeMap};
use tower_token_exchange::{Reason, error::ErrorCode};
use world::{Ask, Case, Cnf, Issued, Kind, Outcome, PolicySpec, Scopes, put, runtime};

/// Runs a property on the same cases every time. `PROPTEST_RNG_SEED` and `PROPTEST_CASES` select other and more cases.
fn check<S: Strategy>(cases: u32, seed: u64, strategy: S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let mut config = Config { failure_persistence: None, rng_algorithm: RngAlgorithm::XorShift, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    if std::env::var_os("PROPTEST_RNG_SEED").is_none() {
        config.rng_seed = RngSeed::Fixed(seed);
    }
    if let Err(failure) = TestRunner::new(config).run(&strategy, property) {
        panic!("{failure}");
    }
}

/// Counts how often a situation occurred, so that a property cannot pass without its situation.
#[derive(Default)]
struct Tally(RefCell<BTreeMap<String, u32>>);

impl Tally {
    fn note(&self, what: impl Into<String>) {
        *self.0.borrow_mut().entry(what.into()).or_default() += 1;
    }

    fn count(&self, what: &str) -> u32 {
        self.0.borrow().get(what).copied().unwrap_or_default()
    }

    fn assert_percent(&self, what: &str, of: &str, percent: u32) {
        let (count, all) = (self.count(what), self.count(of));
        assert!(all > 0 && count * 100 >= percent * all, "{what}: {count} of {all}; {:?}", self.0.borrow());
    }
}

#[test]
fn no_issued_token_exceeds_its_inputs() {
    let runtime = runtime();
    let tally = Tally::default();
    check(10_000, 1, cases::any_case(), |case| {
        let verdict = oracle::judge(&case);
        let outcome = runtime.block_on(put(&case));
        tally.note("case");
        match &outcome {
            Outcome::Issued(issued) => {
                tally.note("issued");
                note(&tally, &case, issued);
                let exceeded: Vec<_> = verdict.grants.iter().map(|bound| bound.exceeded_by(issued)).collect();
                prop_assert!(exceeded.contains(&None), "too much: {exceeded:?}\n{verdict:#?}\n{outcome:#?}");
                let reached = verdict.grants.iter().any(|bound| bound.is_reached_by(issued));
                prop_assert!(reached, "less than the oracle thinks: {verdict:#?}\n{outcome:#?}");
            }
            Outcome::Refused(reason) => {
                tally.note(reason.code());
                let told = format!("refused because of {reason}\n{verdict:#?}");
                prop_assert!(verdict.grounds.contains(reason.code()), "{}", told);
                prop_assert!(*reason != Reason::PolicyWidened || reason.error() == ErrorCode::ServerError);
            }
        }
        Ok(())
    });
    tally.assert_percent("issued", "case", 25);
    tally.assert_percent("policy_widened", "case", 3);
    for (what, percent) in OFTEN {
        tally.assert_percent(what, "issued", percent);
    }
}

/// The minimal share of each kind among the cases that end in a token, in percent.
const OFTEN: [(&str, u32); 14] = [
    ("by rules", 30),
    ("by a service", 30),
    ("impersonation", 10),
    ("a chain", 10),
    ("of a foreign subject", 15),
    ("for an ID token", 10),
    ("with an actor token", 10),
    ("with may_act", 10),
    ("with several audiences", 8),
    ("for several targets", 3),
    ("of an exchanged token", 5),
    ("of a tenant", 3),
    ("a bound token", 20),
    ("of a bound token", 5),
];

fn note(tally: &Tally, case: &Case, issued: &Issued) {
    let actors = issued.claims.get("act").map_or(0, |act| act.to_string().matches("\"sub\"").count());
    let Ask { subject, actor, .. } = &case.ask;
    let by_rules = matches!(case.policy, PolicySpec::Rules(_));
    let happened = [
        by_rules,
        !by_rules,
        actors == 0,
        actors > 1,
        subject.kind == Kind::Foreign,
        subject.kind == Kind::IdToken,
        actor.is_some(),
        subject.may_act.is_some(),
        subject.aud.len() > 1,
        issued.aud().len() > 1,
        subject.kind == Kind::Own && subject.origin.is_some(),
        subject.kind != Kind::Own && case.issuer.tenants,
        issued.claims.contains_key("cnf"),
        matches!(subject.cnf, Cnf::Key(_)),
    ];
    for ((what, _), _) in OFTEN.into_iter().zip(happened).filter(|(_, happened)| *happened) {
        tally.note(what);
    }
}

// Reductions.

/// Returns what the second token has and the first has not.
fn widened(before: &Outcome, after: &Outcome) -> Option<String> {
    let after = after.issued()?;
    let Some(before) = before.issued() else { return Some("issued, and was not before".to_owned()) };
    if !after.scope().is_within(before.scope()) || after.exp() > before.exp() {
        return Some("more scope, or longer".to_owned());
    }
    let changed = |(name, value): &(&String, &serde_json::Value)| {
        !["jti", "scope", "exp"].contains(&name.as_str()) && before.claims.get(*name) != Some(value)
    };
    let same_actors = before.claims.get("act") == after.claims.get("act") && before.semantics == after.semantics;
    let stray = after.claims.iter().find(changed).map(|(name, _)| format!("another `{name}`"));
    stray.or_else(|| (!same_actors).then(|| "other actors".to_owned()))
}

/// Reduces cases, and compares the results before and after.
fn less_is_never_more(seed: u64, change: impl Strategy<Value = Change>) {
    let runtime = runtime();
    let tally = Tally::default();
    check(1000, seed, (cases::case_with_one_grant(), vec(change, 3)), |(case, changes)| {
        let before = runtime.block_on(put(&case));
        for change in changes {
            let Some(with_less) = change.applied(&case) else { continue };
            // In strict mode, a smaller request can succeed where a larger request fails.
            let asked_too_much = before.refused() == Some(Reason::ScopeExceeded);
            if asked_too_much && matches!(change, Change::ScopeOfRequest(_)) {
                continue;
            }
            let after = runtime.block_on(put(&with_less));
            tally.note("compared");
            if after.issued().is_some() {
                tally.note("issued");
            }
            if widened(&after, &before).is_some() {
                tally.note("less");
            }
            let wider = widened(&before, &after);
            prop_assert!(wider.is_none(), "{wider:?} after {change:?}\n{before:#?}\n{after:#?}");
        }
        Ok(())
    });
    tally.assert_percent("issued", "compared", 15);
    tally.assert_percent("less", "compared", 2);
}

#[test]
fn fewer_scopes_never_widen() {
    less_is_never_more(2, changes::fewer_scopes());
}

#[test]
fn shorter_lifetimes_never_widen() {
    less_is_never_more(3, changes::shorter_lifetimes());
}

#[test]
fn lower_depths_never_widen() {
    less_is_never_more(4, changes::lower_depths());
}

#[test]
fn fewer_permissions_never_widen() {
    less_is_never_more(5, changes::fewer_permissions());
}

#[test]
fn another_deny_refuses_or_changes_nothing() {
    let runtime = runtime();
    let tally = Tally::default();
    let tables = prop_oneof![cases::case_with_one_grant(), cases::case_with_many_grants()];
    check(1000, 6, (tables, vec((cases::deny(), any::<prop::sample::Index>()), 3)), |(case, denies)| {
        let PolicySpec::Rules(rules) = &case.policy else { return Ok(()) };
        let before = runtime.block_on(put(&case));
        for (deny, position) in denies {
            let mut denied = case.clone();
            let mut rules = rules.clone();
            rules.insert(position.index(rules.len() + 1), deny);
            denied.policy = PolicySpec::Rules(rules);
            let after = runtime.block_on(put(&denied));
            tally.note("compared");
            let unchanged = match (&before, &after) {
                (Outcome::Issued(_), Outcome::Issued(_)) => {
                    tally.note("issued");
                    widened(&before, &after).or_else(|| widened(&after, &before)).is_none()
                }
                (_, Outcome::Refused(Reason::PolicyDenied)) => {
                    tally.note("denied");
                    true
                }
                (before, after) => before.refused() == after.refused(),
            };
            prop_assert!(unchanged, "{before:#?}\n{after:#?}");
        }
        Ok(())
    });
    tally.assert_percent("issued", "compared", 20);
    tally.assert_percent("denied", "compared", 5);
}

/// The allow rule that grants most decides, so a smaller ceiling can select another rule. The result is still a result that
/// the larger case would give to a smaller request.
#[test]
fn fewer_scopes_never_widen_a_decision() {
    let runtime = runtime();
    let tally = Tally::default();
    check(2500, 7, (cases::case_with_many_grants(), changes::fewer_scopes()), |(mut case, change)| {
        let PolicySpec::Rules(rules) = &mut case.policy else { return Ok(()) };
        // Another rule may allow what the deciding rule refuses.
        rules.iter_mut().for_each(|rule| rule.max_depth = None);
        case.clients.iter_mut().for_each(|client| client.ignored = Scopes::default());
        let Some(with_less) = change.applied(&case) else { return Ok(()) };
        let after = runtime.block_on(put(&with_less));
        tally.note("compared");
        let Some(issued) = after.issued() else { return Ok(()) };
        tally.note("issued");
        case.ask.scope = Some(issued.scope());
        let before = runtime.block_on(put(&case));
        let had = before.issued().map(Issued::scope);
        prop_assert!(had == Some(issued.scope()), "{before:#?}\n{after:#?}");
        Ok(())
    });
    tally.assert_percent("issued", "compared", 25);
}
