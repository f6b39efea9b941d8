//! A layer reports rules that can have no effect. Every decision stays the same without a reported rule.

use crate::support::*;
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};
use tower_token_exchange::{
    Client, ConfigError, Document, Issuer, Target, TokenExchangeLayer,
    policy::{Actors, Names, Query, Rule, Subjects, Table},
    records::{Party, SubjectMapping},
    signing::{Algorithm, LocalSigner},
};

const GROUPS: [&str; 2] = ["staff", "interns"];

/// The error of these rules, with records that allow everything.
fn error_of(rules: &Value) -> Option<ConfigError> {
    let agent = json!({ "iss": AS, "sub": "agent" });
    let document: Document = serde_json::from_value(json!({
        "client": [
            { "id": "orders", "secret": secret_of("orders"), "carries": [agent] },
            { "id": "web", "secret": secret_of("web") },
        ],
        "target": [
            { "id": "billing", "callers": ["orders", "web"], "scopes": ["read", "write"] },
            { "id": "ledger", "callers": ["orders", "web"], "scopes": ["read", "write"] },
        ],
        "issuer": [{ "issuer": IDP, "jwks_uri": "https://idp.example/jwks", "subjects": { "prefix": "idp|" } }],
        "rule": rules,
    }))
    .unwrap();
    let key = LocalSigner::generate(Algorithm::ES256).unwrap();
    TokenExchangeLayer::builder(AS).document(document).signer(key).build().err()
}

fn allow(changes: Value) -> Value {
    changed(json!({ "clients": "orders", "subjects": "any", "targets": "billing", "scopes": ["read"] }), changes)
}

fn deny(changes: Value) -> Value {
    changed(json!({ "effect": "deny", "clients": "orders", "subjects": "any", "targets": "billing" }), changes)
}

#[test]
fn a_rule_without_effect_is_reported_with_place() {
    let denied = "`rule 2` denies everything that the rule allows";
    let same = "`rule 1` states the same";
    let finance = json!({ "issuer": IDP, "groups": ["finance"] });
    let agent = json!([{ "iss": AS, "sub": "agent" }]);
    let cases = [
        (vec![allow(json!({})), allow(json!({}))], "rule[1]", same),
        (vec![allow(json!({})), allow(json!({ "id": "again" }))], "rule[1]", same),
        (
            vec![
                allow(json!({ "targets": ["billing", "ledger"] })),
                allow(json!({ "targets": ["ledger", "billing"] })),
            ],
            "rule[1]",
            same,
        ),
        (vec![deny(json!({})), allow(json!({ "clients": "web" })), deny(json!({}))], "rule[2]", same),
        (vec![allow(json!({})), deny(json!({}))], "rule[0]", denied),
        (vec![allow(json!({})), deny(json!({ "clients": "any", "targets": "any" }))], "rule[0]", denied),
        (
            vec![allow(json!({})), deny(json!({ "clients": ["web", "orders"], "targets": ["ledger", "billing"] }))],
            "rule[0]",
            denied,
        ),
        (
            vec![allow(json!({ "subjects": finance })), deny(json!({ "subjects": { "issuer": IDP } }))],
            "rule[0]",
            denied,
        ),
        (
            vec![allow(json!({ "subjects": finance })), deny(json!({ "subjects": { "groups": ["finance"] } }))],
            "rule[0]",
            denied,
        ),
        (
            vec![
                allow(json!({ "subjects": { "issuer": IDP, "names": ["bob"] } })),
                deny(json!({ "subjects": { "issuer": IDP, "names": ["alice", "bob"] } })),
            ],
            "rule[0]",
            denied,
        ),
        (
            vec![allow(json!({ "subjects": { "type": "jwt" } })), deny(json!({ "subjects": { "type": "jwt" } }))],
            "rule[0]",
            denied,
        ),
        (vec![allow(json!({ "actors": agent })), deny(json!({ "actors": agent }))], "rule[0]", denied),
        (
            vec![allow(json!({ "require_actor_token": true })), deny(json!({ "require_actor_token": true }))],
            "rule[0]",
            denied,
        ),
        (
            vec![allow(json!({ "actors": [{ "iss": AS, "sub": "robot" }] }))],
            "rule[0].actors[0]",
            "no client of the rule may present the actor `robot` of `https://as.example`",
        ),
        (
            vec![allow(json!({ "clients": "web", "actors": agent }))],
            "rule[0].actors[0]",
            "no client of the rule may present the actor `agent`",
        ),
        (
            vec![allow(json!({ "actors": [{ "iss": AS, "sub": "web" }] }))],
            "rule[0].actors[0]",
            "no client of the rule may present the actor `web`",
        ),
        (
            vec![deny(json!({ "clients": "any", "actors": [agent[0], { "iss": IDP, "sub": "agent" }] }))],
            "rule[0].actors[1]",
            "no client of the rule may present the actor `agent` of `https://idp.example`",
        ),
        (
            vec![allow(json!({ "subjects": { "issuer": IDP, "type": "urn:example:saml" } }))],
            "rule[0].subjects.type",
            "no issuer of the subjects has tokens of type `urn:example:saml`",
        ),
        (
            vec![allow(json!({ "subjects": { "type": "urn:example:saml" } }))],
            "rule[0].subjects.type",
            "no issuer of the subjects has tokens of type",
        ),
        (
            vec![deny(json!({ "require_sender_constraint": true }))],
            "rule[0].require_sender_constraint",
            "a deny rule refuses",
        ),
        (vec![allow(json!({ "max_depth": 0 }))], "rule[0].max_depth", "a delegation names at least one actor"),
    ];
    for (rules, place, words) in cases {
        let error = error_of(&json!(rules)).unwrap_or_else(|| panic!("none in {rules:?}"));
        assert_eq!(error.place(), Some(place), "{error}");
        assert!(error.help().contains(words), "{error}");
    }
}

#[test]
fn an_overriding_deny_is_found_among_many() {
    let user = |at: usize| json!({ "issuer": IDP, "names": [format!("user-{at}")] });
    let many = |allowed: usize| {
        let denies = (0..300).map(|at| deny(json!({ "subjects": user(at) })));
        json!(denies.chain([allow(json!({ "subjects": user(allowed) }))]).collect::<Vec<_>>())
    };
    let error = error_of(&many(7)).unwrap();
    assert_eq!(error.place(), Some("rule[300]"));
    assert!(error.help().starts_with("`rule 8` denies"), "{error}");
    assert_eq!(error_of(&many(300)), None);
}

#[test]
fn a_rule_with_an_effect_is_accepted() {
    let agent = json!([{ "iss": AS, "sub": "agent" }]);
    for rules in [
        vec![allow(json!({})), allow(json!({ "scopes": ["write"] }))],
        vec![allow(json!({})), allow(json!({ "max_lifetime": "1m" }))],
        vec![allow(json!({})), allow(json!({ "shadow": true }))],
        vec![allow(json!({})), deny(json!({ "shadow": true }))],
        vec![allow(json!({ "shadow": true })), deny(json!({}))],
        vec![allow(json!({ "clients": "any" })), deny(json!({}))],
        vec![allow(json!({ "clients": ["orders", "web"] })), deny(json!({}))],
        vec![allow(json!({ "targets": ["billing", "ledger"] })), deny(json!({}))],
        vec![allow(json!({ "targets": "any" })), deny(json!({}))],
        vec![allow(json!({})), deny(json!({ "subjects": { "issuer": IDP } }))],
        vec![allow(json!({ "subjects": { "issuer": AS } })), deny(json!({ "subjects": { "issuer": IDP } }))],
        vec![
            allow(json!({ "subjects": { "issuer": IDP } })),
            deny(json!({ "subjects": { "issuer": IDP, "names": ["bob"] } })),
        ],
        vec![allow(json!({})), deny(json!({ "subjects": { "groups": ["interns"] } }))],
        vec![
            allow(json!({ "subjects": { "groups": ["staff"] } })),
            deny(json!({ "subjects": { "groups": ["interns"] } })),
        ],
        vec![allow(json!({})), deny(json!({ "subjects": { "type": "access_token" } }))],
        vec![allow(json!({ "subjects": { "type": "jwt" } })), deny(json!({ "subjects": { "type": "access_token" } }))],
        vec![allow(json!({ "actors": "any" })), deny(json!({ "actors": "client" }))],
        vec![allow(json!({})), deny(json!({ "actors": agent }))],
        vec![allow(json!({})), deny(json!({ "require_actor_token": true }))],
        vec![allow(json!({ "actors": [{ "iss": AS, "sub": "orders" }, agent[0]] }))],
        vec![allow(json!({ "clients": "any", "actors": [{ "iss": AS, "sub": "web" }] }))],
        vec![allow(json!({ "max_depth": 0, "grant": ["impersonation"] }))],
    ] {
        assert_eq!(error_of(&json!(rules)), None, "{rules:?}");
    }
}

/// A rule from few parts, so that many rules repeat or override each other.
fn rule() -> impl Strategy<Value = Rule> {
    let some_of = |names: [&'static str; 2]| {
        prop_oneof![Just(Names::any()), Just(names[0].into()), Just(names[1].into()), Just(names.into())]
    };
    let subjects = (
        option::of(select(vec![AS, IDP])),
        option::weighted(0.3, select(vec!["alice", "bob"])),
        option::of(select(GROUPS.to_vec())),
    )
        .prop_map(|(issuer, name, group)| {
            // A name needs an issuer.
            let subjects = issuer.map_or_else(Subjects::any, Subjects::of_issuer);
            let subjects = name.filter(|_| issuer.is_some()).into_iter().fold(subjects, |all, name| all.named([name]));
            group.into_iter().fold(subjects, Subjects::in_group)
        });
    let actors = select(vec![Actors::client(), Actors::any(), Actors::parties([Party::new(AS, "agent")])]);
    let lists = (some_of(["orders", "web"]), subjects, some_of(["billing", "ledger"]), actors);
    (any::<bool>(), lists, any::<[bool; 2]>()).prop_map(
        |(allows, (clients, subjects, targets, actors), [needs_actor_token, shadow])| {
            let rule = match allows {
                true => Rule::allow(clients, subjects, targets).scopes(Names::any()),
                false => Rule::deny(clients, subjects, targets),
            };
            let rule = rule.actors(actors);
            let rule = if needs_actor_token { rule.require_actor_token() } else { rule };
            if shadow && needs_actor_token { rule.shadow() } else { rule }
        },
    )
}

fn query() -> impl Strategy<Value = Query> {
    let names = (select(vec!["orders", "web"]), select(vec![AS, IDP]), select(vec!["alice", "bob", "carol"]));
    let targets = prop_oneof![Just(vec!["billing"]), Just(vec!["ledger"]), Just(vec!["billing", "ledger"])];
    (names, targets, vec(select(GROUPS.to_vec()), 0..3), 0..3_usize).prop_map(
        |((client, iss, sub), targets, groups, actor)| {
            let mut query = Query::new(client, Party::new(iss, sub), targets[0]);
            query.targets = targets.into_iter().map(Into::into).collect();
            query.max_scope = "read".parse().unwrap();
            query.subject.claims.insert("groups", json!(groups));
            query.actor.by_token = actor > 0;
            if actor == 2 {
                (query.actor.party, query.actor.is_client) = (Party::new(AS, "agent"), false);
            }
            query
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_reported_rule_has_no_effect(
        rules in vec(rule(), 1..8).prop_map(named),
        queries in vec(query(), 40),
    ) {
        let build = |rules: &[Rule]| {
            let client = |id: &str| Client::new(id).secret(secret_of(id)).allow_actor(Party::new(AS, "agent"));
            let target = |id: &str| Target::new(id).allow_clients(["orders", "web"]).scopes(["read"]);
            let idp = Issuer::new(IDP).keys(KEYS.with(|keys| keys.clone())).map_subjects(SubjectMapping::Prefix("idp|".into()));
            TokenExchangeLayer::builder(AS)
                .clients(["orders", "web"].map(client))
                .targets(["billing", "ledger"].map(target))
                .issuers([idp])
                .rules(rules.to_vec())
                .http(tower::service_fn(|_| async { Err::<http::Response<bytes::Bytes>, _>("no request is expected") }))
                .signer(KEY.with(LocalSigner::clone))
                .build()
        };
        let mut left = rules.clone();
        while let Err(error) = build(&left) {
            let place = error.place().unwrap();
            let position: usize = place.trim_start_matches("rule[").trim_end_matches(']').parse().unwrap();
            drop(left.remove(position));
        }
        let (all, left) = (Table::new(rules).unwrap(), Table::new(left).unwrap());
        for query in queries {
            prop_assert_eq!(all.decide(&query), left.decide(&query), "{:?}", query);
        }
    }
}

thread_local! {
    static KEY: LocalSigner = LocalSigner::generate(Algorithm::ES256).unwrap();
    static KEYS: tower_token_exchange::jwks::KeySet = KEY.with(|key| key.published_keys().key_set());
}

/// Gives each rule an id, so that the other rules keep their names if a rule is removed.
fn named(rules: Vec<Rule>) -> Vec<Rule> {
    rules.into_iter().zip('a'..).map(|(rule, id)| rule.id(id.to_string())).collect()
}
