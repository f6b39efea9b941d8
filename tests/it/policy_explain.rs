//! A table explains a decision by the nearest rules and their mismatches.

use serde_json::json;
use std::time::Duration;
use tower_token_exchange::{
    TokenType,
    policy::{Actors, Decision, Effect, Mismatch, Names, Query, Rule, RuleTrace, Subjects, Table},
    records::Party,
};

const AS: &str = "https://as.example";
const IDP: &str = "https://idp.example";

fn query() -> Query {
    let mut query = Query::new("orders", Party::new(AS, "alice"), "billing");
    query.max_scope = "read write".parse().unwrap();
    query
}

fn explain(rules: impl IntoIterator<Item = Rule>, query: &Query) -> Vec<RuleTrace> {
    Table::new(rules).unwrap().explain(query)
}

fn for_subjects(subjects: Subjects) -> Rule {
    Rule::allow("orders", subjects, "billing").scopes(Names::any())
}

fn allow() -> Rule {
    for_subjects(Subjects::any())
}

#[test]
fn a_trace_states_the_first_mismatch() {
    let ours = || Subjects::of_issuer(AS);
    let at = |client: &str, target: &str| Rule::allow(client, Subjects::any(), target).scopes(Names::any());
    let somebody = || Actors::parties([Party::new(IDP, "agent")]);
    let cases = [
        (allow(), None),
        (at("web", "billing"), Some(Mismatch::Client)),
        (for_subjects(Subjects::of_issuer(IDP)), Some(Mismatch::SubjectIssuer)),
        (for_subjects(Subjects::of_issuer(IDP).named(["alice"])), Some(Mismatch::SubjectIssuer)),
        (for_subjects(ours().named(["bob"])), Some(Mismatch::SubjectName)),
        (for_subjects(ours().of_type(TokenType::ID_TOKEN)), Some(Mismatch::SubjectType)),
        (for_subjects(ours().in_group("finance")), Some(Mismatch::Claim)),
        (allow().actors(somebody()), Some(Mismatch::Actor)),
        (allow().require_actor_token(), Some(Mismatch::ActorToken)),
        (at("orders", "ledger"), Some(Mismatch::Target)),
        (allow().require_acr(["phr"]), Some(Mismatch::Login)),
        (allow().max_auth_age(Duration::from_secs(9)), Some(Mismatch::Login)),
        (allow().impersonation(), Some(Mismatch::SemanticsImpossible)),
        (allow().scopes("admin"), Some(Mismatch::ScopeEmpty)),
        (Rule::deny("orders", Subjects::any(), "billing"), None),
        (Rule::deny("orders", Subjects::any().in_group("finance"), "billing"), Some(Mismatch::Claim)),
        (Rule::deny("orders", Subjects::any(), "ledger"), Some(Mismatch::Target)),
        // The first of several mismatches.
        (Rule::allow("web", ours().named(["bob"]), "billing").scopes("admin"), Some(Mismatch::Client)),
        (for_subjects(ours().named(["bob"]).in_group("finance")).scopes("admin"), Some(Mismatch::SubjectName)),
    ];
    let mut query = query();
    query.impersonation_possible = false;
    for (rule, expected) in cases {
        let case = format!("{rule:?}");
        let [trace] = &explain([rule], &query)[..] else { panic!("{case}") };
        assert_eq!(trace.mismatch, expected, "{case}");
        assert_eq!(trace.claim.as_deref(), (expected == Some(Mismatch::Claim)).then_some("groups"), "{case}");
    }
    query.subject.is_client = true;
    assert_eq!(explain([allow()], &query)[0].mismatch, Some(Mismatch::SubjectIsClient));
    assert_eq!(explain([for_subjects(Subjects::any().or_clients())], &query)[0].mismatch, None);
}

#[test]
fn rules_for_other_clients_or_targets_are_omitted() {
    let stranger = Rule::allow("web", Subjects::any(), "ledger").scopes("read");
    assert_eq!(explain([stranger.clone(), allow(), stranger], &query()).len(), 1);
    assert_eq!(explain([], &query()), []);
    let mut two = query();
    two.targets.push("ledger".into());
    let rules =
        ["billing", "ledger", "reports"].map(|target| Rule::allow("web", Subjects::any(), target).scopes("read"));
    assert_eq!(explain(rules, &two).len(), 2);
}

#[test]
fn the_deciding_rule_comes_first() {
    let far = Rule::allow("orders", Subjects::of_issuer(IDP).named(["bob"]), "ledger").scopes("read").id("far");
    let near = allow().require_actor_token().id("near");
    let rules = [far, near, allow().scopes("read").id("less"), allow().id("more")];
    let traces = explain(rules.clone(), &query());
    assert_eq!(traces.iter().map(|trace| trace.rule.as_str()).collect::<Vec<_>>(), ["more", "less", "near", "far"]);
    assert_eq!(traces.iter().map(|trace| trace.decides).collect::<Vec<_>>(), [true, false, false, false]);
    assert_eq!(
        traces.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "more (allow) decides",
            "less (allow) matches, but another rule decides",
            "near (allow) does not match: the rule requires an actor token",
            "far (allow) does not match: the rule is for subjects of another issuer",
        ]
    );
    let deny = Rule::deny(Names::any(), Subjects::any(), Names::any()).id("nobody");
    let traces = explain(rules.into_iter().chain([deny]), &query());
    assert_eq!(traces[0].to_string(), "nobody (deny) decides");
    assert_eq!(traces[0].effect, Effect::Deny);
    // A rule that the layer cannot carry out can decide. The trace then states the mismatch.
    let mut impossible = query();
    impossible.delegation_possible = false;
    let text = explain([allow()], &impossible)[0].to_string();
    assert_eq!(
        text,
        "rule 1 (allow) decides, but no token can be issued: the layer cannot issue the delegation or impersonation that the rule allows"
    );
}

#[test]
fn a_trace_has_stable_json_names() {
    let rules = [for_subjects(Subjects::any().in_group("finance")), allow().id("everybody")];
    let says = rules.clone().map(|rule| rule.to_string());
    let traces = explain(rules, &query());
    assert_eq!(
        serde_json::to_value(traces).unwrap(),
        json!([
            {
                "rule": "everybody", "place": "rule[1]", "says": says[1], "effect": "allow", "shadow": false,
                "decides": true, "mismatch": null, "claim": null,
            },
            {
                "rule": "rule 1", "place": "rule[0]", "says": says[0], "effect": "allow", "shadow": false,
                "decides": false, "mismatch": "claim", "claim": "groups",
            },
        ])
    );
}

#[test]
fn an_explanation_lists_at_most_a_hundred_rules() {
    let many = 10_000;
    let of_user = |at: usize| Rule::allow("orders", Subjects::of_issuer(AS).named([format!("user-{at}")]), "billing");
    let rules = (0..many).map(|at| of_user(at).scopes("read").id(format!("user {at}")));
    let near = for_subjects(Subjects::of_issuer(AS).named(["alice"])).require_acr(["phr"]).id("alice, if only");
    let table = Table::new(rules.chain([near])).unwrap();
    assert!(matches!(table.decide(&query()), Decision::Deny(_)));
    let traces = table.explain(&query());
    assert_eq!(traces.len(), 100);
    assert_eq!((traces[0].rule.as_str(), traces[0].mismatch), ("alice, if only", Some(Mismatch::Login)));
    assert_eq!((traces[1].rule.as_str(), traces[1].mismatch), ("user 0", Some(Mismatch::SubjectName)));
    // The deciding rule is listed even if many rules match.
    let alike = (0..1000).map(|_| allow().scopes("read")).chain([allow().id("more")]);
    let traces = explain(alike, &query());
    assert_eq!((traces.len(), traces[0].to_string().as_str()), (100, "more (allow) decides"));
}
