//! A table grants what one rule allows, and refuses if no rule allows or one rule denies.

use crate::support::*;
use http::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;
use tower::ServiceExt;
use tower_token_exchange::{
    Client, Reason, Scope,
    policy::{Actors, Decision, Grant, Names, Query, Rule, Semantics, Subjects, Table},
    records::Party,
};

fn scope(text: &str) -> Scope {
    if text.is_empty() { Scope::empty() } else { text.parse().unwrap() }
}

/// The client `orders` asks for the own user `alice` at `billing`. The scope ceiling is `read write`.
fn query() -> Query {
    let mut query = Query::new("orders", Party::new(AS, "alice"), "billing");
    query.max_scope = scope("read write");
    query
}

fn query_with(change: impl FnOnce(&mut Query)) -> Query {
    let mut query = query();
    change(&mut query);
    query
}

fn table(rules: impl IntoIterator<Item = Rule>) -> Table {
    Table::new(rules).unwrap()
}

/// A rule that allows the whole query.
fn allow() -> Rule {
    Rule::allow("orders", Subjects::any(), "billing").scopes(Names::any())
}

fn granted(semantics: Semantics, by: &str, text: &str) -> Decision {
    Decision::Allow(Grant::new(semantics).scope(scope(text)).policy_id(by))
}

fn delegated(by: &str, text: &str) -> Decision {
    granted(Semantics::Delegation, by, text)
}

fn is_denied(decision: &Decision) -> bool {
    matches!(decision, Decision::Deny(_))
}

/// Whether an allow rule matches a query.
fn matches(rule: Rule, query: &Query) -> bool {
    !is_denied(&table([rule]).decide(query))
}

#[test]
fn no_rule_means_no_grant() {
    assert!(is_denied(&table([]).decide(&query())));
    let nobody = || Vec::<String>::new();
    let strangers = [
        Rule::allow("billing", Subjects::any(), "billing"),
        Rule::allow("Orders", Subjects::any(), "billing"),
        Rule::allow("order", Subjects::any(), "billing"),
        Rule::allow("orders", Subjects::any(), "ledger"),
        Rule::allow("orders", Subjects::any(), "bill"),
        Rule::allow("orders", Subjects::of_issuer(IDP), "billing"),
        Rule::allow("orders", Subjects::of_issuer(AS).named(["bob"]), "billing"),
        Rule::allow(nobody(), Subjects::any(), "billing"),
        Rule::allow("orders", Subjects::of_issuer(AS).named(nobody()), "billing"),
        Rule::allow("orders", Subjects::any(), nobody()),
    ];
    for rule in strangers {
        let rule = rule.scopes(Names::any());
        assert!(!matches(rule.clone(), &query()), "{rule:?}");
    }
}

/// A claim may hold personal data, which does not belong in a log.
#[test]
fn debug_output_hides_the_values_of_claims() {
    let query = query_with(|query| query.subject.claims.insert("email", "alice@home.example"));
    let text = format!("{query:?}");
    assert!(text.contains("email") && text.contains("alice") && !text.contains("home"), "{text}");
}

#[tokio::test]
async fn the_service_and_decide_agree() {
    let table = table([allow().id("all")]);
    assert_eq!(table.clone().oneshot(query()).await, Ok(table.decide(&query())));
    assert_eq!(table.decide(&query()), delegated("all", "read write"));
}

#[test]
fn a_deny_wins_in_every_order() {
    let deny = || Rule::deny("orders", Subjects::any().named(["alice"]), "billing").id("not alice");
    for rules in [vec![allow(), deny()], vec![deny(), allow()], vec![allow(), deny(), allow()]] {
        assert_eq!(table(rules).decide(&query()), Decision::deny("not alice"));
    }
    let for_bob = query_with(|query| query.subject.party.sub = "bob".into());
    assert_eq!(table([deny(), allow().id("all")]).decide(&for_bob), delegated("all", "read write"));
    assert!(is_denied(&table([deny()]).decide(&for_bob)), "a subject without a deny still needs an allow");
}

#[test]
fn a_deny_applies_to_every_actor_by_default() {
    let agent = Party::new(IDP, "agent-7");
    let by_agent = query_with(|query| {
        query.actor.party = agent.clone();
        query.actor.is_client = false;
    });
    let deny = || Rule::deny(Names::any(), Subjects::any(), Names::any());
    let refuses = |rule: Rule, query: &Query| is_denied(&table([allow().actors(Actors::any()), rule]).decide(query));
    assert!(refuses(deny(), &query()) && refuses(deny(), &by_agent));
    let of_agent = || deny().actors(Actors::parties([agent.clone()]));
    assert!(!refuses(of_agent(), &query()) && refuses(of_agent(), &by_agent));
    let of_client = || deny().actors(Actors::client());
    assert!(refuses(of_client(), &query()) && !refuses(of_client(), &by_agent));
}

#[test]
fn exactly_one_allow_decides() {
    let rule = |id: &str, scopes: &str| {
        let scopes: Vec<String> = scopes.split(' ').map(str::to_owned).collect();
        Rule::allow("orders", Subjects::any(), "billing").scopes(scopes).id(id)
    };
    let (read, write) = (|| rule("read", "read"), || rule("write", "write"));
    let both = || rule("both", "read write");
    let cases = [
        // Grants do not add up. The first of equal rules decides.
        (vec![read(), write()], "read write", Some(delegated("read", "read"))),
        (vec![write(), read()], "read write", Some(delegated("write", "write"))),
        (vec![read(), write()], "", Some(delegated("read", "read"))),
        // The rule that grants most of the requested scope decides.
        (vec![read(), write()], "write", Some(delegated("write", "write"))),
        (vec![read(), both()], "read write", Some(delegated("both", "read write"))),
        (vec![both(), read()], "read write", Some(delegated("both", "read write"))),
        (vec![read(), both()], "", Some(delegated("both", "read write"))),
        (vec![read(), both()], "read", Some(delegated("read", "read"))),
        (vec![both(), read()], "read", Some(delegated("both", "read write"))),
        // Scopes beyond the ceiling, and scopes that are not requested, do not count.
        (vec![rule("wide", "read a b c d"), both()], "read write", Some(delegated("both", "read write"))),
        (vec![rule("wide", "a b c d"), read()], "", Some(delegated("read", "read"))),
        (vec![rule("first", "read"), rule("second", "read")], "read", Some(delegated("first", "read"))),
    ];
    for (rules, asked, expected) in cases {
        let query = query_with(|query| query.requested_scope = (!asked.is_empty()).then(|| scope(asked)));
        let case = format!("{rules:?} asked for `{asked}`");
        assert_eq!(Some(table(rules).decide(&query)), expected, "{case}");
    }
}

#[test]
fn a_grant_stays_within_the_ceiling() {
    let narrow = query_with(|query| query.max_scope = scope("read"));
    for scopes in [Names::any(), ["read", "write", "admin"].into()] {
        let rule = Rule::allow("orders", Subjects::any(), "billing").scopes(scopes).id("all");
        assert_eq!(table([rule]).decide(&narrow), delegated("all", "read"));
    }
    for (rule, allowed) in [(60, 60), (300, 300), (3600, 300)] {
        let long = allow().id("all").max_lifetime(Duration::from_secs(rule));
        let grant = Grant::new(Semantics::Delegation).scope(scope("read write")).policy_id("all");
        let expected = Decision::Allow(grant.max_lifetime(Duration::from_secs(allowed)));
        assert_eq!(table([long]).decide(&query()), expected, "{rule} s");
    }
}

#[test]
fn delegation_and_impersonation_are_separate_permissions() {
    use Semantics::{Delegation, Impersonation};
    let cases = [
        (allow(), Delegation),
        (allow().delegation(), Delegation),
        (allow().impersonation(), Impersonation),
        (allow().delegation().impersonation(), Delegation),
        (allow().impersonation().delegation(), Delegation),
    ];
    for (rule, semantics) in cases {
        let case = format!("{rule:?}");
        assert_eq!(table([rule.id("r")]).decide(&query()), granted(semantics, "r", "read write"), "{case}");
    }
    // The scopes of a rule count only for the semantics of that rule.
    let read_as_client = || allow().scopes("read").id("delegate");
    let write_as_subject = || allow().scopes("write").impersonation().id("impersonate");
    let decide = |asked: &str| {
        let query = query_with(|query| query.requested_scope = Some(scope(asked)));
        table([read_as_client(), write_as_subject()]).decide(&query)
    };
    assert_eq!(decide("read"), granted(Delegation, "delegate", "read"));
    assert_eq!(decide("write"), granted(Impersonation, "impersonate", "write"));
    assert_eq!(decide("read write"), granted(Delegation, "delegate", "read"));
}

#[test]
fn subjects_match_by_issuer_name_and_claims() {
    let claims = json!({
        "department": "finance", "groups": ["staff", "auditors"], "level": 3, "suspended": false, "none": null,
        "address": { "country": "AT" },
    });
    let Value::Object(claims) = claims else { unreachable!() };
    let query = query_with(|query| query.subject.claims = claims.into());
    let any = Subjects::any;
    let cases = [
        (any(), true),
        (Subjects::of_issuer(AS), true),
        (Subjects::of_issuer(IDP), false),
        (Subjects::of_issuer("https://as.example/"), false),
        (Subjects::of_issuer("https://AS.example"), false),
        (Subjects::of_issuer(AS).named(["alice"]), true),
        (Subjects::of_issuer(AS).named(["bob", "alice"]), true),
        (Subjects::of_issuer(AS).named(["Alice"]), false),
        (Subjects::of_issuer(AS).named(["ali"]), false),
        (Subjects::of_issuer(IDP).named(["alice"]), false),
        (any().with_claim("department", "finance"), true),
        (any().with_claim("department", "Finance"), false),
        (any().with_claim("department", "fin"), false),
        (any().with_claim("Department", "finance"), false),
        (any().with_claim("groups", "staff"), true),
        (any().with_claim("groups", "auditors"), true),
        (any().with_claim("groups", "admins"), false),
        (any().with_claim("groups", json!(["staff", "auditors"])), true),
        (any().with_claim("groups", json!(["auditors", "staff"])), false),
        (any().with_claim("groups", json!(["staff"])), false),
        (any().with_claim("level", 3), true),
        (any().with_claim("level", 4), false),
        (any().with_claim("level", "3"), false),
        (any().with_claim("suspended", false), true),
        (any().with_claim("suspended", true), false),
        (any().with_claim("suspended", "false"), false),
        (any().with_claim("none", Value::Null), true),
        (any().with_claim("missing", Value::Null), false),
        (any().with_claim("missing", false), false),
        (any().with_claim("address", json!({ "country": "AT" })), true),
        (any().with_claim("address", "AT"), false),
        (any().with_claim("department", "finance").with_claim("groups", "staff"), true),
        (any().with_claim("department", "finance").with_claim("groups", "admins"), false),
        (any().with_claim("groups", "staff").with_claim("groups", "auditors"), true),
        (Subjects::of_issuer(AS).named(["alice"]).with_claim("groups", "staff"), true),
        (Subjects::of_issuer(AS).named(["bob"]).with_claim("groups", "staff"), false),
    ];
    for (subjects, expected) in cases {
        let rule = Rule::allow("orders", subjects.clone(), "billing").scopes(Names::any());
        assert_eq!(matches(rule, &query), expected, "{subjects:?}");
        let deny = Rule::deny("orders", subjects.clone(), "billing");
        assert_eq!(is_denied(&table([allow(), deny]).decide(&query)), expected, "deny {subjects:?}");
    }
}

#[test]
fn subjects_match_by_name_at_their_issuer() {
    let query = query_with(|query| {
        query.subject.party = Party::new(IDP, "bob");
        query.subject.issued_sub = "idp|bob".into();
    });
    for (subjects, expected) in [
        (Subjects::of_issuer(IDP).named(["bob"]), true),
        (Subjects::of_issuer(IDP).named(["idp|bob"]), false),
        (Subjects::of_issuer(AS).named(["idp|bob"]), false),
        (Subjects::of_issuer(AS).named(["bob"]), false),
    ] {
        let rule = Rule::allow("orders", subjects.clone(), "billing").scopes(Names::any());
        assert_eq!(matches(rule, &query), expected, "{subjects:?}");
    }
}

#[test]
fn the_client_is_the_actor_by_default() {
    let acting = |iss: &str, sub: &str, is_client: bool| {
        query_with(|query| {
            query.actor.party = Party::new(iss, sub);
            query.actor.is_client = is_client;
        })
    };
    let client = acting(AS, "orders", true);
    let agent = acting(IDP, "agent-7", false);
    let lookalike = acting(IDP, "orders", false);
    let agent_of_ours = acting(AS, "agent-7", false);
    let parties = || Actors::parties([Party::new(IDP, "agent-7"), Party::new(AS, "orders")]);
    let cases = [
        (allow(), [true, false, false, false]),
        (allow().actors(Actors::client()), [true, false, false, false]),
        (allow().actors(Actors::any()), [true, true, true, true]),
        (allow().actors(parties()), [true, true, false, false]),
        (allow().actors(Actors::parties([])), [false, false, false, false]),
    ];
    for (rule, expected) in cases {
        let found = [&client, &agent, &lookalike, &agent_of_ours].map(|query| matches(rule.clone(), query));
        assert_eq!(found, expected, "{rule:?}");
    }
}

#[test]
fn prior_actors_do_not_count() {
    let prior = query_with(|query| query.prior_actors = vec![Party::new(IDP, "agent-7")]);
    let of_agent = allow().actors(Actors::parties([Party::new(IDP, "agent-7")]));
    assert!(!matches(of_agent, &prior));
    assert!(matches(allow(), &prior));
}

#[test]
fn an_allow_needs_all_targets_a_deny_one() {
    let both = query_with(|query| query.targets = vec!["billing".into(), "ledger".into()]);
    let allow_at = |targets: Names| Rule::allow("orders", Subjects::any(), targets).scopes(Names::any());
    for (targets, expected) in [
        (Names::any(), true),
        (["billing", "ledger"].into(), true),
        (["ledger", "reports", "billing"].into(), true),
        ("billing".into(), false),
        ("ledger".into(), false),
        (["billing", "reports"].into(), false),
    ] {
        let case = format!("{targets:?}");
        assert_eq!(matches(allow_at(targets), &both), expected, "{case}");
    }
    // Two rules for one target each do not add up to a rule for both.
    assert!(is_denied(&table([allow_at("billing".into()), allow_at("ledger".into())]).decide(&both)));

    for (targets, expected) in [
        (Names::any(), true),
        ("billing".into(), true),
        ("ledger".into(), true),
        (["ledger", "reports"].into(), true),
        ("reports".into(), false),
    ] {
        let case = format!("{targets:?}");
        let deny = Rule::deny("orders", Subjects::any(), targets);
        assert_eq!(is_denied(&table([allow_at(Names::any()), deny]).decide(&both)), expected, "{case}");
    }
}

#[test]
fn clients_are_named_or_any() {
    for (clients, expected) in [
        (Names::any(), true),
        ("orders".into(), true),
        (["billing", "orders"].into(), true),
        ("billing".into(), false),
        ("ORDERS".into(), false),
        ("".into(), false),
        ("*".into(), false),
    ] {
        let rule = Rule::allow(clients, Subjects::any(), "billing").scopes(Names::any());
        assert_eq!(matches(rule.clone(), &query()), expected, "{rule:?}");
    }
}

#[test]
fn a_rule_is_named_by_id_or_position() {
    let never = || Rule::allow("billing", Subjects::any(), "billing").scopes(Names::any());
    assert_eq!(table([never(), allow()]).decide(&query()), delegated("rule 2", "read write"));
    assert_eq!(table([never(), allow().id("the one")]).decide(&query()), delegated("the one", "read write"));
    let deny = Rule::deny("orders", Subjects::any(), "billing");
    assert_eq!(table([never(), never(), deny]).decide(&query()), Decision::deny("rule 3"));
}

#[test]
fn a_table_refuses_rules_without_meaning() {
    let naked = || Rule::allow("orders", Subjects::any(), "billing");
    for (rule, field) in [
        (naked(), "rule `rule 1`: scopes"),
        (naked().id("mine"), "rule `mine`: scopes"),
        (naked().scopes(Vec::<String>::new()), "rule `rule 1`: scopes"),
        (naked().scopes("read write"), "rule `rule 1`: scopes"),
        (naked().scopes(""), "rule `rule 1`: scopes"),
        (naked().scopes(["read", "wr\"ite"]), "rule `rule 1`: scopes"),
        (Rule::deny("orders", Subjects::any(), "billing").scopes("read"), "rule `rule 1`: scopes"),
    ] {
        let case = format!("{rule:?}");
        assert_eq!(Table::new([rule]).map(|_| ()).unwrap_err().field(), field, "{case}");
    }
    for (rule, field) in [
        (Rule::allow("order", Subjects::any(), "billing").scopes("read"), "rule `rule 1`: clients"),
        (Rule::allow("orders", Subjects::any(), "biling").scopes("read"), "rule `rule 1`: targets"),
        (Rule::deny("orders", Subjects::any(), "https://billing.example"), "rule `rule 1`: targets"),
    ] {
        let case = format!("{rule:?}");
        let error = plan().with(|builder| builder.rules([rule])).builder.build().map(|_| ()).unwrap_err();
        assert_eq!(error.field(), field, "{case}");
    }
}

#[tokio::test]
async fn missing_rules_and_denials_look_alike() {
    let mut bodies = Vec::new();
    let deny = || Rule::deny("orders", Subjects::of_issuer(AS).named(["alice"]), "billing").id("not alice");
    let elsewhere = || Rule::allow("billing", Subjects::any(), "ledger").scopes(Names::any());
    for (rules, reason) in [(vec![elsewhere()], Reason::PolicyNoRule), (vec![allow(), deny()], Reason::PolicyDenied)] {
        let mut world = plan().with(|builder| builder.rules(rules)).start().await;
        let reply = world.exchange(&world.own.access_token(json!({}))).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        let event = world.event().await;
        assert_eq!(event.reason, Some(reason));
        assert_eq!(event.stage.as_str(), "policy");
        if reason == Reason::PolicyDenied {
            assert_eq!(event.detail.as_deref(), Some("not alice"), "the audit says which rule");
        }
        bodies.push(reply.text);
    }
    assert_eq!(bodies[0], bodies[1]);
}

#[tokio::test]
async fn the_token_is_what_the_rule_allows() {
    let rules = || {
        [
            allow().id("short").scopes("read").max_lifetime(Duration::from_secs(60)),
            allow().id("long").scopes("write").max_lifetime(Duration::from_secs(100_000)),
        ]
    };
    let mut world = plan().with(|builder| builder.rules(rules())).start().await;
    let subject = world.own.access_token(json!({}));
    for (asked, scope, seconds, by) in [
        ("read", "read", 60, "short"),
        ("write", "write", 300, "long"),
        ("read write", "read", 60, "short"),
        ("write read", "read", 60, "short"),
        ("write other", "write", 300, "long"),
    ] {
        let reply = world.post_as("orders", &exchange_form(&subject, &[("scope", asked)])).await;
        let claims = reply.claims();
        assert_eq!((&claims["scope"], &claims["exp"]), (&json!(scope), &json!(NOW + seconds)), "{asked}");
        assert_eq!(claims["act"], json!({ "sub": "orders" }));
        let event = world.event().await;
        assert_eq!((event.policy_id.as_deref(), event.semantics), (Some(by), Some(Semantics::Delegation)), "{asked}");
    }
    let reply = world.post_as("orders", &exchange_form(&subject, &[("scope", "other")])).await;
    assert_eq!(reply.error(), "invalid_scope");
}

#[tokio::test]
async fn a_rule_without_requested_scope_gives_invalid_scope() {
    let mut world = plan().with(|builder| builder.rules([allow().scopes("read")])).start().await;
    let subject = world.own.access_token(json!({}));
    let reply = world.post_as("orders", &exchange_form(&subject, &[("scope", "write")])).await;
    assert_eq!((reply.status, reply.error().as_str()), (StatusCode::BAD_REQUEST, "invalid_scope"));
    assert_eq!(world.reason().await, Some(Reason::ScopeEmpty));
}

#[tokio::test]
async fn a_rule_can_limit_the_number_of_actors() {
    let chain = json!({ "sub": "web" });
    for (depth, act, expected) in [
        (1, json!({}), None),
        (2, json!({ "act": chain }), None),
        (1, json!({ "act": chain }), Some(Reason::ChainTooDeep)),
        (0, json!({}), Some(Reason::ChainTooDeep)),
        // A rule cannot raise the limit of the layer.
        (
            9,
            json!({ "act": { "sub": "a", "act": { "sub": "b", "act": { "sub": "c", "act": { "sub": "d" } } } } }),
            Some(Reason::ChainTooDeep),
        ),
    ] {
        let mut world =
            plan().with(|builder| builder.policy(Table::new([allow().max_depth(depth)]).unwrap())).start().await;
        world.exchange(&world.own.access_token(act.clone())).await;
        assert_eq!(world.reason().await, expected, "{depth} {act}");
    }
}

#[tokio::test]
async fn impersonation_needs_its_own_permission() {
    let cases = [
        (allow(), Some(Semantics::Delegation)),
        (allow().delegation(), Some(Semantics::Delegation)),
        (allow().impersonation(), Some(Semantics::Impersonation)),
        (allow().impersonation().delegation(), Some(Semantics::Delegation)),
    ];
    for (rule, expected) in cases {
        let mut world = plan().with(|builder| builder.rules([rule.clone()])).start().await;
        let claims = world.exchange(&world.own.access_token(json!({}))).await.claims();
        let event = world.event().await;
        assert_eq!(event.semantics, expected, "{rule:?}");
        assert_eq!(claims.get("act").is_some(), expected == Some(Semantics::Delegation), "{rule:?}");
        assert_eq!(event.act_depth, Some(usize::from(expected == Some(Semantics::Delegation))));
        assert_eq!(claims["sub"], "alice");
    }
    // If a rule allows both and a delegation is impossible, the layer does not issue an impersonation instead.
    let both = Rule::allow("orders", Subjects::any().or_clients(), "billing").scopes(Names::any());
    let both = both.impersonation().delegation();
    let mut world = plan().with(|builder| builder.rules([both])).start().await;
    let itself = world.own.access_token(json!({ "sub": "orders", "client_id": "orders" }));
    let reply = world.exchange(&itself).await;
    assert_eq!((reply.status, world.reason().await), (StatusCode::BAD_REQUEST, Some(Reason::ActorIsSubject)));
}

#[tokio::test]
async fn a_rule_for_the_client_excludes_other_actors() {
    let carrier = |clients: Vec<Client>| {
        clients
            .into_iter()
            .map(|client| if client.id() == "orders" { client.allow_actor(Party::new(AS, "agent")) } else { client })
    };
    let agent = || Actors::parties([Party::new(AS, "agent")]);
    for (rule, by_client, by_agent) in [
        (allow(), None, Some(Reason::PolicyNoRule)),
        (allow().actors(agent()), Some(Reason::PolicyNoRule), None),
        (allow().actors(Actors::any()), None, None),
    ] {
        let plan = plan_with(|clients| carrier(clients).collect(), |targets| targets);
        let mut world = plan.with(|builder| builder.rules([rule.clone()])).start().await;
        let subject = world.own.access_token(json!({}));
        let actor = world.own.access_token(json!({ "sub": "agent", "client_id": "agent" }));
        world.exchange(&subject).await;
        assert_eq!(world.reason().await, by_client, "{rule:?}");
        let form = exchange_form(&subject, &[("actor_token", &actor), ("actor_token_type", ACCESS_TOKEN)]);
        world.post_as("orders", &form).await;
        assert_eq!(world.reason().await, by_agent, "{rule:?}");
    }
}

#[tokio::test]
async fn a_client_for_itself_is_not_a_user() {
    let of_ours = || Subjects::of_issuer(AS);
    let allow = |subjects| Rule::allow("orders", subjects, "billing").scopes(Names::any());
    // A client that acts for itself, with a name that a user could have.
    let itself = json!({ "sub": "billing", "client_id": "billing" });
    for (subjects, expected) in [
        (Subjects::any(), Some(Reason::PolicyNoRule)),
        (of_ours(), Some(Reason::PolicyNoRule)),
        (of_ours().named(["billing"]), Some(Reason::PolicyNoRule)),
        (Subjects::any().or_clients(), None),
        (of_ours().named(["billing"]).or_clients(), None),
    ] {
        let mut world = plan().with(|builder| builder.rules([allow(subjects.clone())])).start().await;
        world.exchange(&world.own.access_token(itself.clone())).await;
        assert_eq!(world.reason().await, expected, "{subjects:?}");
    }
    // A deny rule applies to every subject that the rule names.
    let deny = Rule::deny(Names::any(), of_ours().named(["billing"]), Names::any());
    let mut world = plan().with(|builder| builder.rules([allow(Subjects::any().or_clients()), deny])).start().await;
    world.exchange(&world.own.access_token(itself)).await;
    assert_eq!(world.reason().await, Some(Reason::PolicyDenied));
}
