//! A shadow rule has no effect, and the audit event states the effect that the rule would have.

use crate::support::*;
use serde_json::json;
use std::{convert::Infallible, future::ready, time::Duration};
use tower::{ServiceExt, service_fn};
use tower_token_exchange::{
    Reason,
    policy::{Decision, Names, Query, Rule, ShadowOutcome, Subjects, Table, all, any_deny},
    records::Party,
};

fn query() -> Query {
    let mut query = Query::new("orders", Party::new(AS, "alice"), "billing");
    query.max_scope = "read write".parse().unwrap();
    query
}

fn allow(id: &str) -> Rule {
    Rule::allow("orders", Subjects::any(), "billing").scopes(Names::any()).id(id)
}

fn deny(id: &str) -> Rule {
    Rule::deny("orders", Subjects::any(), "billing").id(id)
}

fn decide(rules: Vec<Rule>) -> Decision {
    Table::new(rules).unwrap().decide(&query())
}

#[test]
fn a_different_outcome_is_stated() {
    let strong = |id: &str| allow(id).require_acr(["phr"]);
    let stranger = || Rule::deny("web", Subjects::any(), Names::any()).shadow();
    for (rules, expected) in [
        (vec![allow("a"), deny("d").shadow()], Some("would deny: d")),
        (vec![deny("d").shadow(), allow("a")], Some("would deny: d")),
        (vec![allow("a").shadow()], Some("would allow: a")),
        (vec![allow("a").shadow(), deny("d").shadow()], None),
        (vec![strong("s").shadow()], Some("would step up: s")),
        (vec![strong("s"), allow("a").shadow()], Some("would allow: a")),
        (vec![strong("s"), strong("t").require_acr(["phrh"]).shadow()], None),
        (vec![strong("t").require_acr(["phrh"]).shadow(), strong("s")], Some("would step up: t")),
        // The shadow rule would grant something else.
        (vec![allow("a").scopes("read"), allow("b").shadow()], Some("would allow: b")),
        (vec![allow("b").max_lifetime(Duration::from_secs(9)).shadow(), allow("a")], Some("would allow: b")),
        (vec![allow("b").max_depth(1).shadow(), allow("a")], Some("would allow: b")),
        (vec![allow("b").impersonation().shadow(), allow("a")], Some("would allow: b")),
        // The shadow rule would decide, with the same effect.
        (vec![allow("a"), allow("b").shadow()], None),
        (vec![allow("b").shadow(), allow("a")], None),
        (vec![allow("a"), deny("d"), deny("e").shadow()], None),
        (vec![deny("e").shadow()], None),
        (vec![allow("a"), stranger()], None),
        (vec![], None),
    ] {
        let case = format!("{rules:?}");
        let decision = decide(rules);
        assert_eq!(decision.shadow().map(ToString::to_string).as_deref(), expected, "{case}");
    }
}

#[test]
fn a_shadow_rule_has_no_effect() {
    let plain = |decision: Decision| format!("{decision:?}").split(", shadow").next().unwrap().to_owned();
    let shadow_rules = || vec![deny("d"), allow("b"), allow("c").impersonation(), allow("s").require_acr(["phr"])];
    for real in [vec![], vec![allow("a").scopes("read")], vec![deny("e")], vec![allow("t").require_acr(["phrh"])]] {
        let expected = plain(decide(real.clone()));
        for rule in shadow_rules() {
            let with_shadow = [vec![rule.clone().shadow()], real.clone(), vec![rule.clone().shadow()]].concat();
            assert_eq!(plain(decide(with_shadow)), expected, "{rule:?}");
        }
    }
}

#[test]
fn an_explanation_marks_shadow_rules() {
    let table = Table::new([deny("d").shadow(), allow("a"), deny("e").shadow().require_actor_token()]).unwrap();
    let lines: Vec<String> = table.explain(&query()).iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "a (allow) decides",
            "d (shadow deny) matches and has no effect",
            "e (shadow deny) does not match: the rule requires an actor token",
        ]
    );
}

#[tokio::test]
async fn every_audit_event_states_the_shadow_outcome() {
    let narrow = || allow("a").scopes("read");
    for (rules, form, reason, shadow) in [
        (vec![allow("a"), deny("d").shadow()], vec![], None, Some("would deny: d")),
        (vec![allow("a").shadow()], vec![], Some(Reason::PolicyNoRule), Some("would allow: a")),
        (vec![deny("d"), allow("a").shadow()], vec![], Some(Reason::PolicyDenied), None),
        (
            vec![allow("a").require_acr(["phr"]), allow("b").shadow()],
            vec![],
            Some(Reason::StepUpRequired),
            Some("would allow: b"),
        ),
        // The layer refuses after the policy allowed the exchange.
        (
            vec![narrow(), allow("b").shadow()],
            vec![("scope", "write")],
            Some(Reason::ScopeEmpty),
            Some("would allow: b"),
        ),
        (vec![allow("a")], vec![], None, None),
    ] {
        let case = format!("{rules:?}");
        let mut world = plan().with(|builder| builder.rules(rules)).start().await;
        let subject = world.own.access_token(json!({}));
        let reply = world.post_as("orders", &exchange_form(&subject, &form)).await;
        assert!(!reply.text.contains("would"), "the client does not see the shadow outcome: {}", reply.text);
        let event = world.event().await;
        assert_eq!(
            (event.reason, event.shadow.as_ref().map(ToString::to_string).as_deref()),
            (reason, shadow),
            "{case}"
        );
        assert_eq!(event.granted.is_some(), reason.is_none(), "{case}");
        assert_eq!(serde_json::to_value(&event).unwrap()["shadow"], json!(shadow));
    }
}

#[tokio::test]
async fn a_custom_policy_can_state_a_shadow_outcome() {
    let outcome = || ShadowOutcome::WouldDeny { rule: "a\nb".to_owned() };
    let policy = service_fn(move |_: Query| ready(Ok::<_, Infallible>(Decision::delegate().with_shadow(outcome()))));
    let mut world = plan().with(|builder| builder.policy(policy)).start().await;
    world.exchange(&world.own.access_token(json!({}))).await;
    assert_eq!(world.event().await.shadow.unwrap().to_string(), "would deny: a\\u{a}b", "escaped, as every text");
}

#[tokio::test]
async fn combined_policies_keep_the_shadow_outcome() {
    let table = |rules: Vec<Rule>| Table::new(rules).unwrap();
    let guard = || table(vec![allow("a"), deny("d").shadow()]);
    let plain = || table(vec![allow("a")]);
    let generous = || table(vec![allow("a").scopes("read"), allow("b").shadow()]);
    let refuses = || table(vec![deny("e"), allow("a")]);
    let shadow = |decision: Decision| decision.shadow().map(ToString::to_string);
    for (policies, expected) in [
        ([plain(), guard()], Some("would deny: d")),
        ([guard(), plain()], Some("would deny: d")),
        ([plain(), plain()], None),
        ([guard(), refuses()], None),
    ] {
        let decision = all(policies.clone()).oneshot(query()).await.unwrap();
        assert_eq!(shadow(decision).as_deref(), expected);
        let [policy, guard] = policies;
        let decision = any_deny(policy, [guard]).oneshot(query()).await.unwrap();
        assert_eq!(shadow(decision).as_deref(), expected);
    }
    // The first of several outcomes is kept.
    let second = || table(vec![allow("a"), deny("f").shadow()]);
    for (policy, guards) in [(plain(), vec![guard(), second()]), (guard(), vec![second()])] {
        assert_eq!(shadow(any_deny(policy, guards).oneshot(query()).await.unwrap()).as_deref(), Some("would deny: d"));
    }
    // A shadow rule of a guard cannot grant.
    assert_eq!(shadow(any_deny(plain(), [generous()]).oneshot(query()).await.unwrap()), None);
    assert_eq!(
        shadow(any_deny(generous(), [plain()]).oneshot(query()).await.unwrap()).as_deref(),
        Some("would allow: b")
    );
}
