//! Clients, targets, issuers and rules can come from one document. A mistake in the document is reported with its place.
//! A reload replaces the document, and does not disturb the requests that have already started.

use crate::jwks::*;
use crate::support::*;
use http::StatusCode;
use serde_json::{Value, json};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use tower_token_exchange::{
    Document, Reason, TokenExchangeBuilder, TokenExchangeLayer, TokenType,
    policy::{Actors, Decision, Names, Query, Rule, Subjects},
    records::Party,
    signing::{Algorithm, LocalSigner},
    status::{Status, StatusQuery},
};

/// A document with the clients `orders` and `billing`, their targets, and one rule.
fn world_as_json() -> Value {
    let client = |id: &str| json!({ "id": id, "secret": secret_of(id) });
    json!({
        "client": [client("orders"), client("billing")],
        "target": [
            {
                "id": "orders", "aud": "https://orders.example", "owner": "orders", "scopes": ["read", "write"],
            },
            {
                "id": "billing", "aud": "https://billing.example", "owner": "billing", "callers": ["orders"],
                "resources": ["https://billing.example/api"], "scopes": ["read", "write"], "max_lifetime": "2m",
            },
        ],
        "rule": [rule(json!({}))],
    })
}

/// The rule of [`world_as_json`] with changed keys.
fn rule(changes: Value) -> Value {
    changed(json!({ "clients": "orders", "subjects": "any", "targets": "billing", "scopes": ["read"] }), changes)
}

fn document(json: &Value) -> Document {
    serde_json::from_value(json.clone()).unwrap()
}

fn from_document(json: &Value) -> Plan {
    let own = Minter::new(AS, Algorithm::ES256);
    let idp = Minter::new(IDP, Algorithm::ES256);
    let builder = bare().document(document(json)).signer(own.key.clone());
    Plan { own, idp, builder }
}

fn bare() -> TokenExchangeBuilder {
    TokenExchangeLayer::builder(AS).clock(|| std::time::UNIX_EPOCH + Duration::from_secs(NOW))
}

/// The document of [`world_as_json`] with another value at a JSON pointer.
fn with(pointer: &str, value: Value) -> Value {
    let mut json = world_as_json();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match json.pointer_mut(parent).unwrap() {
        Value::Array(list) => list[name.parse::<usize>().unwrap()] = value,
        parent => parent[name] = value,
    }
    json
}

#[tokio::test]
async fn toml_and_json_give_the_same_document() {
    let toml = toml::to_string(&world_as_json()).unwrap();
    let from_toml: Document = toml::from_str(&toml).unwrap();
    assert_eq!(format!("{from_toml:?}"), format!("{:?}", document(&world_as_json())));
    let world = from_document(&world_as_json()).start().await;
    let reply = world.exchange(&world.own.access_token(json!({}))).await;
    assert_eq!((reply.status, &reply.json()["scope"]), (StatusCode::OK, &json!("read")), "{}", reply.text);
    assert_eq!(reply.json()["expires_in"], 120);
}

#[test]
fn a_mistake_is_reported_with_place_and_remedy() {
    let issuer = |changes: Value| {
        let record = json!({
            "issuer": IDP, "jwks_uri": "https://idp.example/jwks.json", "subjects": { "prefix": "idp|" },
        });
        with("/issuer", json!([changed(record, changes)]))
    };
    let cases = [
        (with("/client/1/id", json!("orders")), "client[1]", "keep one record"),
        (with("/client/0/secret", json!("short")), "client[0].secret", "16 characters"),
        (with("/client/0/targets", json!(["billing", "bling"])), "client[0].targets[1]", "no target `bling`"),
        (with("/client/1/default_target", json!("billing")), "client[1].default_target", "to its `callers`"),
        (with("/client/0/carries", json!([{ "iss": IDP, "sub": "a" }])), "client[0].carries[0]", "no issuer"),
        (with("/client/0/max_lifetime", json!("0s")), "client[0].max_lifetime", "1 s or more"),
        (with("/target/1/callers", json!(["order"])), "target[1].callers[0]", "no client `order`"),
        (with("/target/1/owner", json!("bill")), "target[1].owner", "no client `bill`"),
        (with("/target/1/aud", json!("https://orders.example")), "target[1].aud", "a different value"),
        (with("/target/1/resources", json!(["https://b.example", "b"])), "target[1].resources[1]", "`b`"),
        (with("/target/1/audiences", json!(["orders"])), "target[1].audiences[0]", "already names target `orders`"),
        (with("/target/1/id", json!("orders")), "target[1].id", "keep one record"),
        (with("/target/1/token_typ", json!("id_token")), "target[1].token_typ", "`at+jwt` or `JWT`"),
        (with("/target/1/translate", json!({ "up": ["admin"] })), "target[1].translate.up", "add `admin` to `scopes`"),
        (with("/target/1/claims", json!(["tenant", "act"])), "target[1].claims[1]", "leave `act` out"),
        (issuer(json!({ "jwks_uri": "https://a@idp.example/" })), "issuer[0].jwks_uri", "user information"),
        (issuer(json!({ "jwks_uri": "http://idp.example/" })), "issuer[0].jwks_uri", "not https"),
        (issuer(json!({ "subjects": null })), "issuer[0].subjects", "prefix ="),
        (issuer(json!({ "presenters": ["orders", "x"] })), "issuer[0].presenters[1]", "no client `x`"),
        (issuer(json!({ "client_names": { "there": "x" } })), "issuer[0].client_names.there", "no client `x`"),
        (
            issuer(json!({ "tokens": [{ "type": "urn:ietf:params:oauth:token-type:refresh_token" }] })),
            "issuer[0].tokens[0]",
            "never accepted",
        ),
        (issuer(json!({ "leeway": "2m" })), "issuer[0].leeway", "60 s"),
        (with("/rule/0/clients", json!(["orders", "order"])), "rule[0].clients[1]", "no client `order`"),
        (with("/rule/0/clients", json!("billing")), "rule[0].targets[0]", "does not list `billing` in `callers`"),
        (with("/client/0/targets", json!(["orders"])), "rule[0].targets[0]", "in `targets`"),
        (with("/rule/0/clients", json!(["orders", "billing"])), "rule[0].clients[1]", "lists `billing` in `callers`"),
        (with("/rule/0/targets", json!(["billing", "bling"])), "rule[0].targets[1]", "no target `bling`"),
        (with("/rule/0/scopes", json!(["read", "admin"])), "rule[0].scopes[1]", "no target of the rule has a scope"),
        (with("/rule/0/subjects", json!({ "issuer": IDP })), "rule[0].subjects.issuer", "no issuer"),
        (with("/rule/0/actors", json!([{ "iss": IDP, "sub": "a" }])), "rule[0].actors[0].iss", "no issuer"),
        (with("/rule/0/max_lifetime", json!("0s")), "rule[0].max_lifetime", "1 s or more"),
        (
            with("/rule", json!([rule(json!({})), rule(json!({ "max_lifetime": "0s" }))])),
            "rule[1].max_lifetime",
            "1 s or more",
        ),
    ];
    let mut wrong = Vec::new();
    for (json, place, help) in cases {
        let reported = bare()
            .document(document(&json))
            .signer(LocalSigner::generate(Algorithm::EdDSA).unwrap())
            .build()
            .err()
            .map(|error| (error.place().unwrap_or_default().to_owned(), error.to_string()));
        if !reported.as_ref().is_some_and(|(found, text)| found.starts_with(place) && text.contains(help)) {
            wrong.push(format!("{place}: {reported:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_unknown_key_or_value_is_refused() {
    for (json, words) in [
        (with("/clients", json!([])), "unknown field `clients`"),
        (with("/client/0/secrets", json!("x")), "unknown field `secrets`"),
        (with("/target/0/caller", json!("x")), "unknown field `caller`"),
        (with("/rule/0/client", json!("x")), "unknown field `client`"),
        (with("/rule/0/effect", json!("maybe")), "`allow` or `deny`"),
        (with("/rule/0/subjects", json!("alice")), "a name without an issuer"),
        (with("/rule/0/subjects", json!({ "name": "alice" })), "unknown field `name`"),
        (with("/rule/0/actors", json!("alice")), "write `client`, `any`"),
        (with("/rule/0/max_lifetime", json!(60)), "expected a string"),
        (with("/rule/0/max_lifetime", json!("60")), "write `30s` or `5m`"),
        (with("/client/0/secret", json!(7)), "a text or a list of texts"),
        (with("/issuer", json!([{ "issuer": IDP, "tokens": [{ "type": "jwd" }] }])), "`jwd` is not a token type"),
        (with("/issuer", json!([{ "jwks_uri": "https://a.example" }])), "give `issuer` or `preset`"),
    ] {
        let error = serde_json::from_value::<Document>(json).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn each_key_of_a_rule_has_its_method() {
    let seconds = Duration::from_secs;
    let allow = |subjects| Rule::allow("orders", subjects, "billing").scopes(["read"]);
    let deny = || Rule::deny("orders", Subjects::any(), "billing");
    let plain = || allow(Subjects::any());
    let alice = || Party::new(IDP, "alice");
    for (changes, expected) in [
        (json!({}), plain()),
        (json!({ "effect": "allow", "id": "mine" }), plain().id("mine")),
        (json!({ "effect": "deny", "scopes": null }), deny()),
        (
            json!({ "clients": "any", "targets": "any" }),
            Rule::allow(Names::any(), Subjects::any(), Names::any()).scopes(["read"]),
        ),
        (
            json!({ "clients": ["orders", "any"] }),
            Rule::allow(["orders", "any"], Subjects::any(), "billing").scopes(["read"]),
        ),
        (json!({ "scopes": "any" }), plain().scopes(Names::any())),
        (json!({ "scopes": "read" }), plain()),
        (json!({ "subjects": { "issuer": IDP } }), allow(Subjects::of_issuer(IDP))),
        (
            json!({ "subjects": { "issuer": IDP, "names": ["alice"] } }),
            allow(Subjects::of_issuer(IDP).named(["alice"])),
        ),
        (json!({ "subjects": { "type": ID_TOKEN } }), allow(Subjects::any().of_type(TokenType::ID_TOKEN))),
        (json!({ "subjects": { "groups": ["a", "b"] } }), allow(Subjects::any().in_group("a").in_group("b"))),
        (json!({ "subjects": { "claims": { "level": 2 } } }), allow(Subjects::any().with_claim("level", 2))),
        (json!({ "subjects": { "or_clients": true } }), allow(Subjects::any().or_clients())),
        (json!({ "actors": "any" }), plain().actors(Actors::any())),
        (json!({ "actors": "client", "effect": "deny", "scopes": null }), deny().actors(Actors::client())),
        (json!({ "actors": [{ "iss": IDP, "sub": "alice" }] }), plain().actors(Actors::parties([alice()]))),
        (json!({ "grant": ["delegation", "impersonation"] }), plain().delegation().impersonation()),
        (json!({ "grant": ["impersonation"] }), plain().impersonation()),
        (json!({ "max_lifetime": "1m", "max_depth": 2 }), plain().max_lifetime(seconds(60)).max_depth(2)),
        (json!({ "require_actor_token": true, "shadow": true }), plain().require_actor_token().shadow()),
        (
            json!({ "require_acr": ["phr"], "max_auth_age": "5m" }),
            plain().require_acr(["phr"]).max_auth_age(seconds(300)),
        ),
    ] {
        assert_eq!(serde_json::from_value::<Rule>(rule(changes.clone())).unwrap(), expected, "{changes}");
    }
}

#[tokio::test]
async fn the_next_request_uses_the_new_document() {
    let mut world = from_document(&world_as_json()).start().await;
    let token = world.own.access_token(json!({}));
    assert_eq!(world.exchange(&token).await.json()["scope"], "read");
    world.layer.reload(document(&with("/rule/0/scopes", json!(["write"])))).unwrap();
    assert_eq!(world.exchange(&token).await.json()["scope"], "write");

    let refused = world.layer.reload(document(&with("/rule/0/scopes", json!(["admin"])))).unwrap_err();
    assert_eq!(refused.place(), Some("rule[0].scopes[0]"));
    assert_eq!(world.exchange(&token).await.json()["scope"], "write", "the earlier document stays in force");

    let mut without = world_as_json();
    without["client"].as_array_mut().unwrap().swap(0, 1);
    without["client"].as_array_mut().unwrap().pop();
    without["target"][0].as_object_mut().unwrap().shift_remove("owner");
    without["target"][1]["callers"] = json!(["billing"]);
    without["rule"][0]["clients"] = json!("billing");
    world.layer.reload(document(&without)).unwrap();
    assert_eq!(world.exchange(&token).await.error(), "invalid_client");
    for _ in 0..3 {
        world.event().await;
    }
    assert_eq!(world.reason().await, Some(Reason::ClientRejected));
}

#[tokio::test]
async fn a_request_under_way_keeps_its_document() {
    let (reached, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (here, held) = (Arc::clone(&reached), Arc::clone(&gate));
    let slow = tower::service_fn(move |_: StatusQuery| {
        here.add_permits(1);
        let held = Arc::clone(&held);
        async move {
            held.acquire().await.unwrap().forget();
            Ok::<_, Infallible>(Status::Good)
        }
    });
    let world = Arc::new(from_document(&world_as_json()).with(|builder| builder.status(slow)).start().await);
    let token = world.own.access_token(json!({}));
    let (asking, subject) = (Arc::clone(&world), token.clone());
    let under_way = tokio::spawn(async move { asking.exchange(&subject).await });
    reached.acquire().await.unwrap().forget();
    world.layer.reload(document(&with("/rule/0/scopes", json!(["write"])))).unwrap();
    gate.add_permits(2);
    assert_eq!(under_way.await.unwrap().json()["scope"], "read");
    assert_eq!(world.exchange(&token).await.json()["scope"], "write");
}

#[tokio::test]
async fn a_reload_keeps_keys_of_remaining_issuers_only() {
    let remote = issuer();
    let jwks = Jwks::up(Answer::keys(&remote)).await;
    let record = json!({
        "issuer": REMOTE, "jwks_uri": jwks.url(), "subjects": { "prefix": "remote|" }, "presenters": ["orders"],
    });
    let known = with("/issuer", json!([record]));
    let mut world = from_document(&known).with(|builder| builder.http(loopback())).start().await;
    assert_good(&mut world, &token(&remote), "known").await;
    world.layer.reload(document(&known)).unwrap();
    assert_good(&mut world, &token(&remote), "still known").await;
    assert_eq!(jwks.hits(), 1, "a reload fetches no key set that the layer has");

    world.layer.reload(document(&world_as_json())).unwrap();
    assert_refused(&mut world, &token(&remote), Reason::SubjectTokenTypeUnsupported, "gone").await;
    world.layer.reload(document(&known)).unwrap();
    assert_good(&mut world, &token(&remote), "back").await;
    assert_eq!(jwks.hits(), 2, "the layer forgets the keys of a removed issuer");
}

#[test]
fn rules_and_a_policy_exclude_each_other() {
    let mut without_rules = world_as_json();
    without_rules.as_object_mut().unwrap().shift_remove("rule");
    let deny = tower::service_fn(|_: Query| async { Ok::<_, Infallible>(Decision::deny("closed")) });
    let layer = bare()
        .document(document(&without_rules))
        .policy(deny)
        .signer(LocalSigner::generate(Algorithm::EdDSA).unwrap())
        .build()
        .unwrap();
    layer.reload(document(&without_rules)).unwrap();
    let refused = layer.reload(document(&world_as_json())).unwrap_err();
    assert!(refused.to_string().starts_with("rules: "), "{refused}");
}

#[test]
fn the_document_in_the_readme_is_valid() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let block = readme.split("```toml\n").find(|block| block.starts_with("[[client]]")).unwrap();
    let document: Document = toml::from_str(block.split("```").next().unwrap()).unwrap();
    bare().document(document).signer(LocalSigner::generate(Algorithm::EdDSA).unwrap()).build().unwrap();
}
