//! Combined policies allow what each policy allows, and fail closed if one policy fails.

use crate::support::plan;
use proptest::{collection::vec, option, prelude::*, sample::select};
use std::{
    convert::Infallible,
    future::ready,
    slice,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
use tower_token_exchange::{
    Reason, Scope,
    plug::{BoxPlug, boxed},
    policy::{Decision, Denial, Grant, Policy, Query, Semantics, Table, all, any_deny},
    records::Party,
};

fn query() -> Query {
    let mut query = Query::new("orders", Party::new("https://as.example", "alice"), "billing");
    query.max_scope = scope("a b c x");
    query
}

fn scope(text: &str) -> Scope {
    Scope::from_tokens(text.split_whitespace()).unwrap()
}

/// A policy with one answer, which counts its questions.
fn answers(decision: &Decision, asked: &Arc<AtomicUsize>) -> BoxPlug<Query, Decision> {
    let (decision, asked) = (decision.clone(), Arc::clone(asked));
    boxed(service_fn(move |_: Query| {
        asked.fetch_add(1, Ordering::Relaxed);
        ready(Ok::<_, Infallible>(decision.clone()))
    }))
}

fn failing() -> BoxPlug<Query, Decision> {
    boxed(service_fn(|_: Query| ready(Err::<Decision, _>("away"))))
}

fn policies_of(decisions: &[Decision]) -> Vec<BoxPlug<Query, Decision>> {
    let questions = Arc::default();
    decisions.iter().map(|decision| answers(decision, &questions)).collect()
}

async fn ask(policy: impl Policy) -> Result<Decision, BoxError> {
    boxed(policy).oneshot(query()).await
}

fn delegation() -> Grant {
    Grant::new(Semantics::Delegation)
}

#[tokio::test]
async fn all_intersects_the_grants() {
    let seconds = Duration::from_secs;
    let cases = [
        (vec![delegation()], delegation()),
        (vec![delegation(), delegation()], delegation()),
        (vec![delegation(), delegation().scope(scope("a b"))], delegation().scope(scope("a b"))),
        (vec![delegation().scope(scope("a b")), delegation()], delegation().scope(scope("a b"))),
        (
            vec![
                delegation().scope(scope("a b c")),
                delegation().scope(scope("c b")),
                delegation().scope(scope("b x")),
            ],
            delegation().scope(scope("b")),
        ),
        (vec![delegation().scope(scope("a")), delegation().scope(scope("b"))], delegation().scope(scope(""))),
        (
            vec![delegation().max_lifetime(seconds(9)), delegation().max_lifetime(seconds(7)), delegation()],
            delegation().max_lifetime(seconds(7)),
        ),
        (vec![delegation().max_depth(1), delegation().max_depth(3)], delegation().max_depth(1)),
        (vec![delegation().policy_id("one"), delegation().policy_id("two")], delegation().policy_id("one, two")),
        (vec![delegation(), delegation().policy_id("two")], delegation().policy_id("two")),
        (vec![Grant::new(Semantics::Impersonation); 3], Grant::new(Semantics::Impersonation)),
    ];
    for (grants, expected) in cases {
        let decisions: Vec<Decision> = grants.into_iter().map(Decision::Allow).collect();
        assert_eq!(ask(all(policies_of(&decisions))).await.unwrap(), Decision::Allow(expected), "{decisions:?}");
    }
}

#[tokio::test]
async fn all_denies_if_the_semantics_differ() {
    let one = Decision::Allow(delegation().policy_id("one"));
    let decided = ask(all(policies_of(&[one, Decision::impersonate()]))).await.unwrap();
    assert_eq!(decided, Decision::deny("one allows delegation, a policy impersonation"));
}

#[tokio::test]
async fn the_first_denial_ends_the_questions() {
    let strong = Decision::Deny(Denial::step_up(["phr"], None));
    for denial in [Decision::deny("no"), Decision::Deny(Denial::no_rule("nothing")), strong] {
        let asked: [Arc<AtomicUsize>; 3] = Default::default();
        let policies = || {
            let said = [Decision::delegate(), denial.clone(), Decision::deny("neither")];
            let policies: Vec<_> = said.iter().zip(&asked).map(|(decision, asked)| answers(decision, asked)).collect();
            policies
        };
        assert_eq!(ask(all(policies())).await.unwrap(), denial);
        let mut guards = policies();
        let first = guards.remove(0);
        assert_eq!(ask(any_deny(first, guards)).await.unwrap(), denial);
        assert_eq!(asked.map(|count| count.load(Ordering::Relaxed)), [2, 2, 0]);
    }
}

#[tokio::test]
async fn a_guard_cannot_grant() {
    let decided = Decision::Allow(delegation().scope(scope("a")).policy_id("the table"));
    let guards = [
        Decision::impersonate(),
        Decision::Allow(delegation().scope(scope("b"))),
        Decision::Allow(delegation().max_lifetime(Duration::from_secs(1))),
    ];
    let [policy] = &policies_of(slice::from_ref(&decided))[..] else { unreachable!() };
    assert_eq!(ask(any_deny(policy.clone(), policies_of(&guards))).await.unwrap(), decided);
    // A guard cannot revoke a denial.
    let [denies] = &policies_of(&[Decision::deny("no")])[..] else { unreachable!() };
    assert_eq!(ask(any_deny(denies.clone(), policies_of(&guards))).await.unwrap(), Decision::deny("no"));
    assert_eq!(ask(any_deny(policy.clone(), policies_of(&[]))).await.unwrap(), decided);
}

#[tokio::test]
async fn an_error_of_one_policy_is_the_answer() {
    let yes = || policies_of(&[Decision::delegate()]).remove(0);
    for policies in [vec![failing()], vec![failing(), yes()], vec![yes(), failing()], vec![yes(), yes(), failing()]] {
        assert_eq!(ask(all(policies.clone())).await.unwrap_err().to_string(), "away");
        let (first, guards) = policies.split_first().unwrap();
        assert_eq!(ask(any_deny(first.clone(), guards.to_vec())).await.unwrap_err().to_string(), "away");
    }
    let never = || service_fn(|_: Query| std::future::pending::<Result<Decision, Infallible>>());
    let slow = ServiceBuilder::new().timeout(Duration::from_millis(10)).service(never());
    assert!(ask(all([boxed(slow.clone()), yes()])).await.is_err());
    assert!(ask(any_deny(yes(), [slow])).await.is_err());
}

#[tokio::test]
async fn all_without_policies_denies() {
    assert_eq!(ask(all(policies_of(&[]))).await.unwrap(), Decision::deny("`all` has no policies"));
    assert!(matches!(ask(all([Table::new([]).unwrap()])).await.unwrap(), Decision::Deny(_)));
}

#[tokio::test]
async fn combined_policies_can_be_combined_again() {
    let (yes, no) = (Decision::delegate(), Decision::deny("no"));
    let both = |one: &Decision, other: &Decision| all(policies_of(&[one.clone(), other.clone()]));
    assert_eq!(ask(all([both(&yes, &yes), both(&yes, &yes)])).await.unwrap(), yes);
    assert_eq!(ask(all([both(&yes, &yes), both(&yes, &no)])).await.unwrap(), no);
    assert_eq!(ask(any_deny(both(&yes, &yes), [both(&no, &yes)])).await.unwrap(), no);
}

fn grant() -> impl Strategy<Value = Grant> {
    let scopes = option::of(vec(select(&["a", "b", "c", "d"][..]), 0..4));
    (scopes, option::of(1..9_u64), option::of(0..4_usize)).prop_map(|(scopes, seconds, depth)| {
        let mut grant = delegation();
        if let Some(scopes) = scopes {
            grant = grant.scope(Scope::from_tokens(scopes).unwrap());
        }
        if let Some(seconds) = seconds {
            grant = grant.max_lifetime(Duration::from_secs(seconds));
        }
        depth.into_iter().fold(grant, Grant::max_depth)
    })
}

proptest! {
    #[test]
    fn another_policy_never_widens_the_grant(grants in vec(grant(), 1..5)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let decisions: Vec<Decision> = grants.iter().cloned().map(Decision::Allow).collect();
        let decided = runtime.block_on(ask(all(policies_of(&decisions)))).unwrap();
        // The result is within each grant.
        for decision in &decisions {
            let again = runtime.block_on(ask(all(policies_of(&[decided.clone(), decision.clone()])))).unwrap();
            prop_assert_eq!(&again, &decided);
        }
    }
}

#[tokio::test]
async fn a_widening_policy_is_an_alarm() {
    let narrow = Grant::new(Semantics::Delegation).scope(scope("read")).max_lifetime(Duration::from_secs(60));
    let generous = [
        Grant::new(Semantics::Delegation).scope(scope("read write admin")),
        Grant::new(Semantics::Delegation).max_lifetime(Duration::from_secs(3600)),
    ];
    for (grant, narrow_first) in generous.into_iter().flat_map(|grant| [(grant.clone(), true), (grant, false)]) {
        let asked = Arc::default();
        let mut policies = [&narrow, &grant].map(|grant| answers(&Decision::Allow(grant.clone()), &asked));
        if !narrow_first {
            policies.reverse();
        }
        let mut world = plan().with(|builder| builder.policy(all(policies))).start().await;
        let token = world.own.access_token(serde_json::json!({}));
        assert_eq!(world.exchange(&token).await.error(), "server_error");
        let event = world.event().await;
        assert_eq!((event.reason, event.alarm), (Some(Reason::PolicyWidened), true));
    }

    let mut world = plan().start().await;
    let token = world.own.access_token(serde_json::json!({ "aud": "https://billing.example" }));
    assert_eq!(world.exchange(&token).await.error(), "invalid_request");
    assert!(!world.event().await.alarm, "a refusal is not an alarm");

    // A grant of the whole ceiling does not exceed the ceiling.
    let asked = Arc::default();
    let full = Grant::new(Semantics::Delegation).scope(scope("read write")).max_lifetime(Duration::from_secs(300));
    let policies = [&narrow, &full].map(|grant| answers(&Decision::Allow(grant.clone()), &asked));
    let mut world = plan().with(|builder| builder.policy(all(policies))).start().await;
    let token = world.own.access_token(serde_json::json!({}));
    assert_eq!(world.exchange(&token).await.json()["expires_in"], 60);
    assert!(!world.event().await.alarm);
}
