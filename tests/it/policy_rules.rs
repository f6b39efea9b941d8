//! The conditions of a rule beyond names: the type of the token, an actor token, a strong or recent login.

use crate::support::*;
use http::StatusCode;
use serde_json::json;
use std::time::Duration;
use tower_token_exchange::{
    Issuer, Reason, TokenType,
    policy::{Decision, Denial, Names, Query, Rule, Subjects, Table},
    records::{Party, SubjectMapping},
    token::NumericDate,
};

fn query_with(change: impl FnOnce(&mut Query)) -> Query {
    let mut query = Query::new("orders", Party::new(AS, "alice"), "billing");
    (query.max_scope, query.now) = ("read write".parse().unwrap(), NumericDate::from_seconds(NOW));
    change(&mut query);
    query
}

fn allow() -> Rule {
    Rule::allow("orders", Subjects::any(), "billing").scopes(Names::any())
}

fn decide(rules: impl IntoIterator<Item = Rule>, query: &Query) -> Decision {
    Table::new(rules).unwrap().decide(query)
}

/// The rule that allows the query.
fn allowed_by(rules: impl IntoIterator<Item = Rule>, query: &Query) -> Option<String> {
    let Decision::Allow(grant) = decide(rules, query) else { return None };
    let text = format!("{grant:?}");
    Some(text.split("policy_id: Some(\"").nth(1).unwrap().split('"').next().unwrap().to_owned())
}

/// The step-up that the client gets, without the reason for the audit.
fn step_up(decision: Decision) -> Option<Denial> {
    let Decision::Deny(denial) = decision else { return None };
    let denial = denial.reason("");
    (denial != Denial::no_rule("") && Decision::Deny(denial.clone()) != Decision::deny("")).then_some(denial)
}

#[test]
fn a_rule_can_require_a_token_type() {
    let of = |types: &[TokenType]| types.iter().cloned().fold(Subjects::any(), Subjects::of_type);
    let id_token = query_with(|query| query.subject.token_type = TokenType::ID_TOKEN);
    for (types, access, id) in [
        (vec![], true, true),
        (vec![TokenType::ACCESS_TOKEN], true, false),
        (vec![TokenType::ID_TOKEN], false, true),
        (vec![TokenType::ID_TOKEN, TokenType::ACCESS_TOKEN], true, true),
        (vec![TokenType::JWT], false, false),
    ] {
        let only = Rule::allow("orders", of(&types), "billing").scopes(Names::any());
        let never = Rule::deny("orders", of(&types), "billing");
        for (query, expected) in [(query_with(|_| {}), access), (id_token.clone(), id)] {
            assert_eq!(allowed_by([only.clone()], &query).is_some(), expected, "{types:?}");
            assert_eq!(allowed_by([allow(), never.clone()], &query).is_none(), expected, "deny {types:?}");
        }
    }
}

#[test]
fn a_group_is_a_claim() {
    let finance = || Rule::allow("orders", Subjects::any().in_group("finance"), "billing").scopes(Names::any());
    let both =
        || Rule::allow("orders", Subjects::any().in_group("finance").in_group("leads"), "billing").scopes(Names::any());
    for (groups, one, two) in [
        (json!("finance"), true, false),
        (json!(["staff", "finance"]), true, false),
        (json!(["leads", "finance"]), true, true),
        (json!(["Finance"]), false, false),
        (json!("finance leads"), false, false),
        (json!({ "finance": true }), false, false),
        (json!([["finance"]]), false, false),
    ] {
        let query = query_with(|query| query.subject.claims.insert("groups", groups.clone()));
        assert_eq!(allowed_by([finance()], &query).is_some(), one, "{groups}");
        assert_eq!(allowed_by([both()], &query).is_some(), two, "{groups}");
    }
}

#[test]
fn a_rule_can_require_an_actor_token() {
    let vouched = query_with(|query| query.actor.by_token = true);
    let alone = query_with(|_| {});
    assert_eq!(allowed_by([allow().require_actor_token()], &alone), None);
    assert!(allowed_by([allow().require_actor_token()], &vouched).is_some());
    // The denial is not a step-up, so the client does not learn the cause.
    assert_eq!(step_up(decide([allow().require_actor_token()], &alone)), None);
    let deny = || Rule::deny("orders", Subjects::any(), "billing").require_actor_token();
    assert!(allowed_by([allow(), deny()], &alone).is_some());
    assert_eq!(allowed_by([allow(), deny()], &vouched), None);
}

#[test]
fn a_login_must_be_strong_and_recent() {
    let strong = || allow().require_acr(["phrh", "phr"]);
    let young = || allow().max_auth_age(Duration::from_secs(300));
    let both = || strong().max_auth_age(Duration::from_secs(300));
    let cases = [
        (None, None, [false; 3]),
        (Some("phr"), None, [true, false, false]),
        (Some("phrh"), None, [true, false, false]),
        (Some("pwd"), None, [false; 3]),
        (Some("PHR"), None, [false; 3]),
        (Some("phrh phr"), None, [false; 3]),
        (None, Some(NOW), [false, true, false]),
        (Some("phr"), Some(NOW), [true; 3]),
        (Some("phr"), Some(NOW - 300), [true; 3]),
        (Some("phr"), Some(NOW - 301), [true, false, false]),
        (Some("phr"), Some(0), [true, false, false]),
        (Some("pwd"), Some(NOW - 299), [false, true, false]),
        // The clock of an issuer may be ahead.
        (Some("phr"), Some(NOW + 30), [true; 3]),
    ];
    let age = Some(Duration::from_secs(300));
    for (acr, auth_time, expected) in cases {
        let query = query_with(|query| {
            query.subject.acr = acr.map(str::to_owned);
            query.subject.auth_time = auth_time.map(NumericDate::from_seconds);
            // Claims of the subject token that the issued token will not have do not count.
            query.subject.claims = json!({ "acr": "phr", "auth_time": NOW }).as_object().unwrap().clone().into();
        });
        let told = [
            Denial::step_up(["phrh", "phr"], None),
            Denial::step_up([""; 0], age),
            Denial::step_up(["phrh", "phr"], age),
        ];
        for ((rule, fits), told) in [strong(), young(), both()].into_iter().zip(expected).zip(told) {
            let decision = decide([rule.clone()], &query);
            assert_eq!(matches!(decision, Decision::Allow(_)), fits, "{rule:?} {acr:?} {auth_time:?}");
            assert_eq!(step_up(decision), (!fits).then_some(told), "{rule:?} {acr:?} {auth_time:?}");
        }
    }
}

#[test]
fn only_deciding_rules_lead_to_a_step_up() {
    let rule = |acr: &str| allow().require_acr([acr]).id(acr);
    let told = |acr: &str| Some(Denial::step_up([acr], None));
    let (wide, narrow) = (|| rule("wide"), || rule("narrow").scopes("read"));
    let deny = || Rule::deny("orders", Subjects::any(), "billing");
    let elsewhere = || Rule::allow("orders", Subjects::any(), "ledger").scopes(Names::any()).require_acr(["other"]);
    for (rules, expected) in [
        (vec![wide()], told("wide")),
        (vec![narrow(), wide()], told("wide")),
        (vec![wide(), narrow()], told("wide")),
        (vec![narrow(), rule("second").scopes("write")], told("narrow")),
        (vec![elsewhere(), narrow()], told("narrow")),
        (vec![elsewhere()], None),
        // An allow rule with a sufficient login decides, however little the rule grants. A deny rule refuses every login.
        (vec![wide(), allow().scopes("write")], None),
        (vec![wide(), allow().scopes("other")], None),
        (vec![wide(), deny()], None),
        // The layer could not issue the token after the login either.
        (vec![wide().impersonation()], None),
        (vec![wide().impersonation(), narrow()], told("narrow")),
    ] {
        let query = query_with(|query| query.impersonation_possible = false);
        let case = format!("{rules:?}");
        assert_eq!(step_up(decide(rules, &query)), expected, "{case}");
    }
}

#[test]
fn a_contradiction_is_an_error_with_its_field() {
    let deny = || Rule::deny("orders", Subjects::any(), "billing");
    for (rule, field) in [
        (allow().require_acr([""; 0]), "require_acr"),
        (allow().require_acr([""; 0]).max_auth_age(Duration::from_secs(9)), "require_acr"),
        (allow().require_acr(["a b"]), "require_acr"),
        (allow().require_acr(["a", ""]), "require_acr"),
        (allow().require_acr(["a\n"]), "require_acr"),
        (allow().max_auth_age(Duration::ZERO), "max_auth_age"),
        (allow().max_auth_age(Duration::from_millis(999)), "max_auth_age"),
        (deny().require_acr(["phr"]), "require_acr"),
        (deny().max_auth_age(Duration::from_secs(9)), "max_auth_age"),
        (deny().delegation(), "delegation"),
        (deny().impersonation(), "impersonation"),
        (deny().max_lifetime(Duration::from_secs(9)), "max_lifetime"),
        (allow().require_actor_token().impersonation(), "require_actor_token"),
    ] {
        let case = format!("{rule:?}");
        let error = Table::new([rule]).map(|_| ()).unwrap_err();
        assert_eq!(error.field(), format!("rule `rule 1`: {field}"), "{case}");
    }
    Table::new([allow().require_actor_token().impersonation().delegation()]).unwrap();
}

#[tokio::test]
async fn a_step_up_states_the_sufficient_login() {
    let strong = || allow().id("strong").require_acr(["phrh", "phr"]).max_auth_age(Duration::from_secs(300));
    let mut world = plan().with(|builder| builder.rules([strong()])).start().await;
    let reply = world.exchange(&world.own.access_token(json!({ "acr": "pwd", "auth_time": NOW - 900 }))).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        reply.json(),
        json!({
            "error": "insufficient_user_authentication",
            "error_description": "the user must log in again or more strongly",
            "acr_values": "phrh phr",
            "max_age": 300,
        })
    );
    let event = world.event().await;
    assert_eq!((event.reason, event.outcome.as_str()), (Some(Reason::StepUpRequired), "denied"));
    assert_eq!(event.detail.as_deref(), Some("strong: logged in 900 s ago, with acr `pwd`"));

    // The issued token keeps the login claims, so that the next hop can require the same login.
    let login = json!({ "acr": "phr", "auth_time": NOW as f64 - 299.5 });
    let claims = world.exchange(&world.own.access_token(login.clone())).await.claims();
    assert_eq!((&claims["acr"], &claims["auth_time"]), (&login["acr"], &login["auth_time"]));
    assert_eq!(world.event().await.policy_id.as_deref(), Some("strong"));
}

#[tokio::test]
async fn a_foreign_login_counts_as_its_record_translates() {
    for (theirs, expected) in [("urn:theirs:strong", None), ("phr", Some(Reason::StepUpRequired))] {
        let base = plan();
        let partner = Issuer::new("https://partner.example")
            .keys(base.idp.keys())
            .map_subjects(SubjectMapping::Prefix("partner|".into()))
            .allow_presenters(["orders"])
            .map_acr("urn:theirs:strong", "phr");
        let rule = Rule::allow("orders", Subjects::of_issuer("https://partner.example"), "billing")
            .scopes(Names::any())
            .require_acr(["phr"]);
        let mut world = base.with(|builder| builder.issuers([partner]).rules([rule])).start().await;
        let token = world.idp.foreign(json!({ "iss": "https://partner.example", "acr": theirs }));
        let reply = world.post_as("orders", &exchange_form_of(&token)).await;
        assert_eq!(world.reason().await, expected, "{theirs}");
        if expected.is_none() {
            assert_eq!(reply.claims()["acr"], "phr");
        }
    }
}

fn exchange_form_of(token: &str) -> Vec<(&str, &str)> {
    let mut form = exchange_form(token, &[]);
    form.retain(|(name, _)| *name != "subject_token_type");
    form.push(("subject_token_type", JWT));
    form
}

#[tokio::test]
async fn a_client_can_present_its_own_actor_token() {
    let mut world = plan().with(|builder| builder.rules([allow().require_actor_token()])).start().await;
    let subject = world.own.access_token(json!({}));
    world.exchange(&subject).await;
    assert_eq!(world.reason().await, Some(Reason::PolicyNoRule));
    let actor = world.own.access_token(json!({ "sub": "orders", "client_id": "orders" }));
    let form = exchange_form(&subject, &[("actor_token", &actor), ("actor_token_type", ACCESS_TOKEN)]);
    world.post_as("orders", &form).await;
    assert_eq!(world.reason().await, None);
}
