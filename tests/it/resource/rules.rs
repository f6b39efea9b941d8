//! Rules of who may act, without HTTP.

use super::*;
use tower_token_exchange::{
    Reason::*,
    resource::{AccessRules, PartySet},
    token::Claims,
};

fn access_token(changes: Value) -> AccessToken {
    let claims = json!({
        "iss": AS, "sub": "alice", "client_id": "web", "scope": "read", "exp": NOW + 600, "acr": "mfa", "auth_time": NOW - 60,
    });
    AccessToken::from_claims(changed(claims, changes).to_string().parse::<Claims>().unwrap()).unwrap()
}

fn decide(rules: impl IntoIterator<Item = AccessRule>, changes: Value) -> Option<Reason> {
    let rules = AccessRules::new(rules).unwrap();
    let decided = rules.decide(&access_token(changes), UNIX_EPOCH + Duration::from_secs(NOW));
    decided.err().map(|refusal| refusal.reason())
}

fn of(names: &[&str]) -> PartySet {
    PartySet::of(AS, names.iter().copied())
}

/// Actors from the current one to the first one.
fn chain(names: &[&str]) -> Value {
    let inner = names.iter().rev().fold(Value::Null, |inner, name| match inner {
        Value::Null => json!({ "sub": name }),
        inner => json!({ "sub": name, "act": inner }),
    });
    json!({ "act": inner })
}

#[test]
fn each_condition_allows_and_refuses() {
    let any = AccessRule::any_actor;
    let orders = || AccessRule::with_actor(of(&["orders"]));
    for (name, rule, allowed, refused, reason) in [
        ("no actor", AccessRule::without_actor(), json!({}), chain(&["orders"]), AccessActorRefused),
        ("an actor", orders(), chain(&["orders"]), json!({}), AccessActorRefused),
        ("another actor", orders(), chain(&["orders"]), chain(&["web"]), AccessActorRefused),
        ("a longer name", orders(), chain(&["orders"]), chain(&["orders2"]), AccessActorRefused),
        ("another case", orders(), chain(&["orders"]), chain(&["Orders"]), AccessActorRefused),
        (
            "an actor of another issuer",
            orders(),
            json!({ "act": { "iss": AS, "sub": "orders" } }),
            json!({ "act": { "iss": IDP, "sub": "orders" } }),
            AccessActorRefused,
        ),
        (
            "all actors of an issuer",
            AccessRule::with_actor(PartySet::all_of(IDP)),
            json!({ "act": { "iss": IDP, "sub": "agent-7" } }),
            chain(&["agent-7"]),
            AccessActorRefused,
        ),
        ("an earlier actor", orders(), chain(&["orders", "web"]), chain(&["web", "orders"]), AccessActorRefused),
        ("too many actors", any().max_actors(2), chain(&["a", "b"]), chain(&["a", "b", "c"]), AccessChainRefused),
        (
            "an earlier actor that is not named",
            any().earlier_actors(of(&["b", "c"])),
            chain(&["a", "b", "c"]),
            chain(&["a", "b", "d"]),
            AccessChainRefused,
        ),
        (
            "an earlier actor of another issuer",
            any().earlier_actors(of(&["b"])),
            chain(&["a", "b"]),
            json!({ "act": { "sub": "a", "act": { "iss": IDP, "sub": "b" } } }),
            AccessChainRefused,
        ),
        ("a subject", any().subjects(of(&["alice"])), json!({}), json!({ "sub": "bob" }), AccessSubjectRefused),
        (
            "a subject of another issuer",
            any().subjects(of(&["alice"])),
            json!({}),
            json!({ "iss": IDP }),
            AccessSubjectRefused,
        ),
        ("a user", any().for_users(), json!({}), json!({ "sub": "web" }), AccessSubjectRefused),
        ("a client", any().clients(of(&["web"])), json!({}), json!({ "client_id": "app" }), AccessClientRefused),
        ("no client", any().clients(of(&["web"])), json!({}), json!({ "client_id": null }), AccessClientRefused),
        (
            "a client of another issuer",
            any().clients(of(&["web"])),
            json!({}),
            json!({ "iss": IDP }),
            AccessClientRefused,
        ),
        ("a scope", any().scopes(["read"]), json!({}), json!({ "scope": "reader" }), AccessScopeInsufficient),
        (
            "two scopes",
            any().scopes(["read", "pay"]),
            json!({ "scope": "pay read" }),
            json!({}),
            AccessScopeInsufficient,
        ),
        ("no scope", any().scopes(["read"]), json!({}), json!({ "scope": null }), AccessScopeInsufficient),
        ("a login", any().require_acr(["mfa"]), json!({}), json!({ "acr": "pwd" }), StepUpRequired),
        (
            "a fresh login",
            any().max_auth_age(Duration::from_secs(60)),
            json!({}),
            json!({ "auth_time": NOW - 61 }),
            StepUpRequired,
        ),
        (
            "a bound token",
            any().require_sender_constraint(),
            json!({ "cnf": { "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" } }),
            json!({}),
            AccessBindingRequired,
        ),
    ] {
        assert_eq!(decide([rule.clone()], allowed), None, "{name}");
        assert_eq!(decide([rule], refused), Some(reason), "{name}");
    }
}

/// RFC 8693 section 4.1: prior actors are not to be considered.
#[test]
fn only_the_current_actor_decides() {
    let rule = AccessRule::with_actor(of(&["orders"]));
    for earlier in [&[][..], &["web"], &["evil", "web"], &["orders"], &["billing", "orders", "web"]] {
        let names = [&["orders"], earlier].concat();
        assert_eq!(decide([rule.clone()], chain(&names)), None, "{names:?}");
        let names = [&["evil"], earlier, &["orders"]].concat();
        assert_eq!(decide([rule.clone()], chain(&names)), Some(AccessActorRefused), "{names:?}");
    }
}

#[test]
fn one_rule_is_enough() {
    let rules =
        || [AccessRule::without_actor().scopes(["pay"]), AccessRule::with_actor(of(&["orders"])).scopes(["read"])];
    assert_eq!(decide(rules(), chain(&["orders"])), None);
    assert_eq!(decide(rules(), json!({ "scope": "pay" })), None);
    // Conditions of different rules do not add up.
    assert_eq!(decide(rules(), json!({ "scope": "read" })), Some(AccessScopeInsufficient));
    assert_eq!(decide(rules(), changed(chain(&["orders"]), json!({ "scope": "pay" }))), Some(AccessScopeInsufficient));
    assert_eq!(decide(rules(), chain(&["web"])), Some(AccessActorRefused));
}

#[test]
fn a_rule_has_two_forms() {
    let built = AccessRule::with_actor(of(&["billing"]).and(PartySet::all_of(IDP)))
        .subjects(of(&["alice"]))
        .for_users()
        .clients(of(&["web"]))
        .scopes(["c:read"])
        .max_actors(2)
        .earlier_actors(of(&["web"]))
        .require_acr(["mfa"])
        .max_auth_age(Duration::from_secs(900))
        .require_sender_constraint();
    let read: AccessRule = toml::from_str(
        r#"
        actor = [{ issuer = "https://as.example", names = ["billing"] }, { issuer = "https://idp.example", names = "any" }]
        subjects = [{ issuer = "https://as.example", names = "alice" }]
        for_users = true
        clients = [{ issuer = "https://as.example", names = ["web"] }]
        scopes = ["c:read"]
        max_actors = 2
        earlier_actors = [{ issuer = "https://as.example", names = ["web"] }]
        require_acr = ["mfa"]
        max_auth_age = "15m"
        require_sender_constraint = true
        "#,
    )
    .unwrap();
    assert_eq!(read, built);
    for (word, rule) in [("none", AccessRule::without_actor()), ("any", AccessRule::any_actor())] {
        assert_eq!(serde_json::from_value::<AccessRule>(json!({ "actor": word })).unwrap(), rule);
    }
    for (wrong, problem) in [
        (json!({}), "missing field `actor`"),
        (json!({ "actor": "orders" }), "write `none`, `any`, or a list"),
        (json!({ "actor": "any", "scope": ["a"] }), "unknown field `scope`"),
        (json!({ "actor": [{ "names": ["a"] }] }), "missing field `issuer`"),
        (json!({ "actor": "any", "max_auth_age": "soon" }), "is not a duration"),
    ] {
        let error = serde_json::from_value::<AccessRule>(wrong.clone()).unwrap_err().to_string();
        assert!(error.contains(problem), "{wrong}: {error}");
    }
}

#[test]
fn a_rule_that_allows_nothing_is_a_mistake() {
    let none = || of(&[]);
    for rule in [
        AccessRule::with_actor(none()),
        AccessRule::any_actor().subjects(none()),
        AccessRule::any_actor().clients(none()),
        AccessRule::any_actor().require_acr(Vec::<String>::new()),
        AccessRule::any_actor().max_actors(0),
        AccessRule::any_actor().max_auth_age(Duration::ZERO),
        AccessRule::any_actor().scopes([""]),
    ] {
        assert!(AccessRules::new([rule.clone()]).is_err(), "{rule:?}");
    }
    assert!(AccessRules::new([]).is_err());
}
