//! An issued token names the subject, the actor and all actors before. A client that may not present the subject token
//! gets no token.

use crate::support::*;
use http::StatusCode;
use serde_json::{Value, json};
use tower_token_exchange::{
    Client, Issuer, Reason, Target, TokenExchangeLayer, TokenType,
    policy::{Actors, Decision, Names, Query, Rule, Subjects},
    records::{Party, SubjectMapping},
    signing::Algorithm,
};

const PARTNER: &str = "https://partner.example";

/// A world with the users of the authorization server and the users of `IDP`. The test completes the record of `IDP`.
/// Every client may call `billing`, and the default rules allow every actor.
fn plan_of(idp_record: impl FnOnce(Issuer) -> Issuer, clients: impl FnOnce(Client) -> Client + Copy) -> Plan {
    let own = Minter::new(AS, Algorithm::ES256);
    let idp = Minter::new(IDP, Algorithm::ES256);
    let ids = ["orders", "billing", "reports", "selfish", "plural"];
    let target = |id: &str| Target::new(id).audience_claim(format!("https://{id}.example")).scopes(["read", "write"]);
    let record = |id: &str| clients(Client::new(id).secret(secret_of(id)));
    let builder = TokenExchangeLayer::builder(AS)
        .clock(|| std::time::UNIX_EPOCH + std::time::Duration::from_secs(NOW))
        .clients(ids.map(record))
        .targets([
            target("orders").served_by("orders"),
            target("billing").served_by("billing").allow_clients(ids),
            target("plural").served_by("plural"),
            target("ledger").allow_clients(["billing"]),
        ])
        .issuers([idp_record(Issuer::new(IDP).keys(idp.keys()))])
        .rules([Rule::allow(Names::any(), Subjects::any().or_clients(), Names::any())
            .actors(Actors::any())
            .scopes(Names::any())])
        .signer(own.key.clone());
    Plan { own, idp, builder }
}

fn prefixed(issuer: Issuer) -> Issuer {
    issuer.map_subjects(SubjectMapping::Prefix("idp|".into()))
}

/// A record of the foreign issuer that trusts as much as a record can.
fn trusted(issuer: Issuer) -> Issuer {
    prefixed(issuer)
        .map_client("orders-there", "orders")
        .map_client("billing-there", "billing")
        .allow_presenters(["orders"])
        .allow_actor_tokens()
        .trust_act()
        .trust_may_act()
}

/// `orders` may present the tokens of its agents.
fn carrier(client: Client) -> Client {
    match client.id().as_str() {
        "orders" => client
            .allow_actor(Party::new(IDP, "agent-7"))
            .allow_actor(Party::new(AS, "helper"))
            .allow_actor(Party::new(AS, "alice"))
            .allow_actor(Party::new(IDP, "bob"))
            .allow_actor(Party::new(AS, "idp|bob")),
        _ => client,
    }
}

fn plain(client: Client) -> Client {
    client
}

/// Exchanges a token and checks the answer. Returns the claims of the issued token, or the reason of the refusal.
async fn outcome(world: &mut World, client: &str, form: &[(&str, &str)]) -> Result<Value, Reason> {
    let reply = world.post_as(client, form).await;
    let event = world.event().await;
    assert!(world.no_event(), "one event for one attempt");
    match event.reason {
        None => {
            assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
            let claims = reply.claims();
            let noted: Vec<_> = event.act.iter().map(|party| (party.iss.as_str(), party.sub.as_str())).collect();
            assert_eq!(noted, parties(&claims), "the event names the actors that the token names");
            assert_eq!(event.act_depth, Some(noted.len()));
            Ok(claims)
        }
        Some(reason) => {
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{reason}: {}", reply.text);
            let told = json!({ "error": reason.error().as_str(), "error_description": reason.description() });
            assert_eq!(reply.json(), told, "{reason}");
            Err(reason)
        }
    }
}

/// The actors that an own token names, the current actor first.
fn parties(claims: &Value) -> Vec<(&str, &str)> {
    let hops = std::iter::successors(claims.get("act"), |act| act.get("act"));
    hops.map(|act| (act["iss"].as_str().unwrap_or(AS), act["sub"].as_str().unwrap())).collect()
}

/// Exchanges an own access token as `orders` for `billing`.
async fn own(world: &mut World, changes: Value) -> Result<Value, Reason> {
    let token = world.own.access_token(changes);
    outcome(world, "orders", &exchange_form(&token, &[])).await
}

/// Exchanges a token of the foreign issuer.
async fn foreign(world: &mut World, client: &str, changes: Value) -> Result<Value, Reason> {
    let token = world.idp.foreign(changes);
    outcome(world, client, &foreign_form(&token, JWT)).await
}

fn foreign_form<'a>(token: &'a str, token_type: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut form = exchange_form(token, &[]);
    form.retain(|(name, _)| *name != "subject_token_type");
    form.push(("subject_token_type", token_type));
    form
}

/// Exchanges with an actor token.
async fn with_actor(world: &mut World, subject: &str, actor: (&str, &str)) -> Result<Value, Reason> {
    let (token, token_type) = actor;
    let form = exchange_form(subject, &[("actor_token", token), ("actor_token_type", token_type)]);
    outcome(world, "orders", &form).await
}

fn act_of(outcome: Result<Value, Reason>) -> Result<Value, Reason> {
    outcome.map(|claims| claims["act"].clone())
}

/// A chain of actors, the current actor first.
fn chain(subs: &[&str]) -> Value {
    subs.iter()
        .rev()
        .fold(None, |inner: Option<Value>, sub| match inner {
            None => Some(json!({ "sub": sub })),
            Some(inner) => Some(json!({ "sub": sub, "act": inner })),
        })
        .unwrap()
}

#[tokio::test]
async fn without_an_actor_token_the_client_acts() {
    let mut world = plan().start().await;
    for (client, token) in [
        ("orders", world.own.access_token(json!({}))),
        ("billing", world.own.access_token(json!({ "aud": "https://billing.example" }))),
    ] {
        let target = if client == "orders" { "billing" } else { "ledger" };
        let mut form = exchange_form(&token, &[]);
        form.retain(|(name, _)| *name != "audience");
        form.push(("audience", target));
        let claims = outcome(&mut world, client, &form).await.unwrap();
        assert_eq!(claims["act"], json!({ "sub": client }));
        assert_eq!(claims["sub"], "alice");
        assert_eq!(claims["client_id"], client);
    }
}

#[tokio::test]
async fn an_actor_token_needs_an_allowed_actor() {
    let partner = Minter::new(PARTNER, Algorithm::ES256);
    let record = Issuer::new(PARTNER).keys(partner.keys()).map_subjects(SubjectMapping::Prefix("partner|".into()));
    let mut world = plan_of(trusted, carrier).with(|builder| builder.issuers([record])).start().await;
    let subject = world.own.access_token(json!({}));
    let (own, idp) = (world.own.clone(), world.idp.clone());
    let ours = |changes: Value| (own.access_token(changes), ACCESS_TOKEN);
    let theirs = |changes: Value| (idp.foreign(changes), JWT);
    let client_itself = json!({ "sub": "orders" });
    type Case = (&'static str, (String, &'static str), Result<Value, Reason>);
    let cases: Vec<Case> = vec![
        ("its own token", ours(json!({ "sub": "orders", "client_id": "orders" })), Ok(client_itself.clone())),
        (
            "a user who is called as the client",
            ours(json!({ "sub": "orders", "client_id": "web" })),
            Err(Reason::ActorNotCarried),
        ),
        (
            "another client's token",
            ours(json!({ "sub": "billing", "client_id": "billing" })),
            Err(Reason::ActorNotCarried),
        ),
        (
            "a user's token issued to the client",
            ours(json!({ "sub": "carol", "client_id": "orders" })),
            Err(Reason::ActorNotCarried),
        ),
        (
            "a party of ours that it carries",
            ours(json!({ "sub": "helper", "client_id": "helper" })),
            Ok(json!({ "sub": "helper" })),
        ),
        (
            "a foreign party that it carries",
            theirs(json!({ "sub": "agent-7" })),
            Ok(json!({ "iss": IDP, "sub": "agent-7" })),
        ),
        ("a foreign party that it does not", theirs(json!({ "sub": "agent-8" })), Err(Reason::ActorNotCarried)),
        ("ours and not theirs is carried", theirs(json!({ "sub": "helper" })), Err(Reason::ActorNotCarried)),
        ("theirs and not ours is carried", ours(json!({ "sub": "agent-7" })), Err(Reason::ActorNotCarried)),
        ("itself by its foreign name", theirs(json!({ "sub": "orders-there" })), Ok(client_itself.clone())),
        ("another by its foreign name", theirs(json!({ "sub": "billing-there" })), Err(Reason::ActorNotCarried)),
        ("a foreign name that only looks like ours", theirs(json!({ "sub": "orders" })), Err(Reason::ActorNotCarried)),
        (
            "a delegated token",
            ours(json!({ "sub": "orders", "client_id": "orders", "act": { "sub": "web" } })),
            Err(Reason::ActorDelegated),
        ),
        (
            "a delegated token of a carried party",
            theirs(json!({ "sub": "agent-7", "act": { "sub": "web" } })),
            Err(Reason::ActorDelegated),
        ),
        (
            "may_act of the actor is not an object",
            ours(json!({ "sub": "orders", "client_id": "orders", "may_act": "billing" })),
            Err(Reason::MayActMalformed),
        ),
        (
            "an issuer that must not say who acts",
            (partner.foreign(json!({ "sub": "agent-7" })), JWT),
            Err(Reason::ActorIssuerNotTrusted),
        ),
        ("an ID token", (theirs(json!({ "sub": "agent-7" })).0, ID_TOKEN), Err(Reason::ActorTokenTypeUnsupported)),
        ("an expired one", theirs(json!({ "sub": "agent-7", "exp": NOW })), Err(Reason::TokenExpired)),
        (
            "one for somebody else",
            theirs(json!({ "sub": "agent-7", "aud": "https://other.example" })),
            Err(Reason::TokenNotForUs),
        ),
        (
            "a bound one",
            ours(json!({ "sub": "orders", "client_id": "orders", "cnf": { "jkt": "x" } })),
            Err(Reason::TokenSenderConstrained),
        ),
    ];
    for (case, (token, token_type), expected) in cases {
        let found = act_of(with_actor(&mut world, &subject, (&token, token_type)).await);
        assert_eq!(found, expected, "{case}");
    }
    // `act: null` is present and not an object. (`null` in changes removes a claim.)
    let claims = json!({
        "iss": AS, "sub": "orders", "client_id": "orders", "aud": "https://billing.example", "exp": NOW + 60,
        "act": null,
    });
    let null = world.own.sign(&world.own.header("at+jwt"), &claims);
    let refused = with_actor(&mut world, &subject, (&null, ACCESS_TOKEN)).await;
    assert_eq!(refused, Err(Reason::ActorDelegated));
}

#[tokio::test]
async fn the_actor_is_never_the_subject() {
    let mut world = plan_of(trusted, carrier).start().await;
    let (own_minter, idp) = (world.own.clone(), world.idp.clone());
    let alice = own_minter.access_token(json!({}));
    let alice_too = own_minter.access_token(json!({ "client_id": "other" }));
    assert_eq!(with_actor(&mut world, &alice, (&alice_too, ACCESS_TOKEN)).await, Err(Reason::ActorIsSubject));
    assert_eq!(with_actor(&mut world, &alice, (&alice, ACCESS_TOKEN)).await, Err(Reason::ActorIsSubject));

    // The client is subject and actor.
    let client = json!({ "sub": "orders", "client_id": "orders" });
    assert_eq!(own(&mut world, client).await, Err(Reason::ActorIsSubject));

    // A foreign subject is its own actor, under its foreign name and under its `sub` in issued tokens.
    let bob = idp.foreign(json!({}));
    for (actor, token_type) in [
        (bob.clone(), JWT),
        (own_minter.access_token(json!({ "sub": "idp|bob", "exchanged_from": exchanged_from(IDP) })), ACCESS_TOKEN),
    ] {
        let mut form = foreign_form(&bob, JWT);
        form.extend([("actor_token", actor.as_str()), ("actor_token_type", token_type)]);
        assert_eq!(outcome(&mut world, "orders", &form).await, Err(Reason::ActorIsSubject));
    }
}

#[tokio::test]
async fn a_foreign_name_does_not_hide_the_subject() {
    let mut world = plan_of(trusted, carrier).start().await;
    // The record of the foreign issuer maps `bob` to `idp|bob`.
    let subject = world.own.access_token(json!({ "sub": "idp|bob", "exchanged_from": exchanged_from(IDP) }));
    let actor = world.idp.foreign(json!({ "sub": "bob" }));
    assert_eq!(with_actor(&mut world, &subject, (&actor, JWT)).await, Err(Reason::ActorIsSubject));
}

#[tokio::test]
async fn an_actor_chain_is_kept_or_extended_whole() {
    let mut world = plan_of(prefixed, plain).start().await;
    let cases: Vec<(Value, Result<Value, Reason>)> = vec![
        (chain(&["web"]), Ok(chain(&["orders", "web"]))),
        (chain(&["web", "app"]), Ok(chain(&["orders", "web", "app"]))),
        // The current actor acts again.
        (chain(&["orders"]), Ok(chain(&["orders"]))),
        (chain(&["orders", "web"]), Ok(chain(&["orders", "web"]))),
        (json!({ "iss": AS, "sub": "orders" }), Ok(chain(&["orders"]))),
        // An earlier actor acts again.
        (chain(&["web", "orders"]), Err(Reason::ActorRepeated)),
        (chain(&["web", "app", "orders"]), Err(Reason::ActorRepeated)),
        // Another party of the same name.
        (
            json!({ "iss": IDP, "sub": "orders" }),
            Ok(json!({ "sub": "orders", "act": { "iss": IDP, "sub": "orders" } })),
        ),
        // The members that identify an actor stay unchanged.
        (
            json!({ "sub": "web", "client_id": "web", "sub_profile": "service", "email": "w@x.example", "name": "Web" }),
            Ok(json!({ "sub": "orders", "act": {
                "sub": "web", "client_id": "web", "sub_profile": "service", "email": "w@x.example", "name": "Web",
            } })),
        ),
        // An inner actor without `iss` is a party of the issuer of the token, not of the outer actor.
        (
            json!({ "iss": IDP, "sub": "gateway", "act": { "sub": "web" } }),
            Ok(json!({ "sub": "orders", "act": { "iss": IDP, "sub": "gateway", "act": { "sub": "web" } } })),
        ),
        // The limit applies to the issued chain.
        (chain(&["a", "b", "c"]), Ok(chain(&["orders", "a", "b", "c"]))),
        (chain(&["orders", "a", "b", "c"]), Ok(chain(&["orders", "a", "b", "c"]))),
        (chain(&["a", "b", "c", "d"]), Err(Reason::ChainTooDeep)),
        (chain(&["orders", "a", "b", "c", "d"]), Err(Reason::ChainTooDeep)),
    ];
    for (act, expected) in cases {
        assert_eq!(act_of(own(&mut world, json!({ "act": act })).await), expected, "{act}");
    }
}

#[tokio::test]
async fn a_record_can_allow_repeated_actors() {
    let coming_back = |client: Client| client.allow_repeated_actors();
    let mut world = plan_of(prefixed, coming_back).start().await;
    let act = act_of(own(&mut world, json!({ "act": chain(&["web", "orders"]) })).await);
    assert_eq!(act, Ok(chain(&["orders", "web", "orders"])));
    let act = act_of(own(&mut world, json!({ "act": chain(&["orders", "web"]) })).await);
    assert_eq!(act, Ok(chain(&["orders", "web"])), "the current actor is not repeated all the same");
    let deep = own(&mut world, json!({ "act": chain(&["a", "orders", "b", "orders"]) })).await;
    assert_eq!(deep, Err(Reason::ChainTooDeep));
}

#[tokio::test]
async fn the_chain_depth_is_configurable() {
    let mut world = plan_of(prefixed, plain).with(|builder| builder.max_chain_depth(5)).start().await;
    let act = act_of(own(&mut world, json!({ "act": chain(&["a", "b", "c", "d"]) })).await);
    assert_eq!(act, Ok(chain(&["orders", "a", "b", "c", "d"])));
    let deeper = own(&mut world, json!({ "act": chain(&["a", "b", "c", "d", "e"]) })).await;
    assert_eq!(deeper, Err(Reason::ChainTooDeep));

    let mut world = plan_of(prefixed, plain).with(|builder| builder.max_chain_depth(1)).start().await;
    assert_eq!(act_of(own(&mut world, json!({})).await), Ok(chain(&["orders"])));
    assert_eq!(own(&mut world, json!({ "act": chain(&["a"]) })).await, Err(Reason::ChainTooDeep));
}

#[tokio::test]
async fn a_chain_has_at_most_4096_bytes() {
    let mut world = plan_of(prefixed, plain).start().await;
    let of = |name: &str| json!({ "sub": "a", "name": name });
    let around = json!({ "sub": "orders", "act": of("") }).to_string().len();
    for (bytes, fits) in [(4096, true), (4097, false), (20_000, false)] {
        let long = "x".repeat(bytes - around);
        let whole = json!({ "sub": "orders", "act": of(&long) });
        let expected = if fits { Ok(whole) } else { Err(Reason::ChainTooDeep) };
        let found = act_of(own(&mut world, json!({ "act": of(&long) })).await);
        assert!(found == expected, "{bytes} bytes");
    }
}

#[tokio::test]
async fn a_malformed_chain_is_refused() {
    let mut world = plan_of(prefixed, plain).start().await;
    let mut bad = vec![
        json!("web"),
        json!(7),
        json!(true),
        json!([]),
        json!([{ "sub": "web" }]),
        json!({}),
        json!({ "iss": AS }),
        json!({ "client_id": "web" }),
        json!({ "sub": "" }),
        json!({ "sub": null }),
        json!({ "sub": 7 }),
        json!({ "sub": ["web"] }),
        json!({ "iss": null, "sub": "web" }),
        json!({ "iss": 7, "sub": "web" }),
        json!({ "name": { "first": "W" }, "sub": "web" }),
        json!({ "sub": "web", "act": null }),
        json!({ "sub": "web", "act": "app" }),
        json!({ "sub": "web", "act": [] }),
        json!({ "sub": "web", "act": {} }),
        json!({ "sub": "orders", "act": { "name": "no sub" } }),
    ];
    for stray in ["exp", "nbf", "iat", "aud", "jti", "scope", "cnf", "may_act", "roles", "acr"] {
        bad.push(json!({ "sub": "web", stray: "x" }));
        bad.push(json!({ "sub": "orders", "act": { "sub": "web", stray: "x" } }));
    }
    for act in bad {
        assert_eq!(own(&mut world, json!({ "act": act })).await, Err(Reason::ChainMalformed), "{act}");
    }
    // The helper removes a claim that is `null`.
    let claims = json!({
        "iss": AS, "sub": "alice", "aud": "https://orders.example", "exp": NOW + 600, "client_id": "web",
        "scope": "read", "act": null,
    });
    let token = world.own.sign(&world.own.header("at+jwt"), &claims);
    let refused = outcome(&mut world, "orders", &exchange_form(&token, &[])).await;
    assert_eq!(refused, Err(Reason::ChainMalformed));
}

#[tokio::test]
async fn a_foreign_chain_needs_a_trusting_record() {
    let listed = |issuer| prefixed(issuer).allow_presenters(["orders"]);
    let mut world = plan_of(listed, plain).start().await;
    for act in [chain(&["gateway"]), json!({ "iss": IDP, "sub": "gateway" }), json!("gateway"), json!({})] {
        let refused = foreign(&mut world, "orders", json!({ "act": act })).await;
        assert_eq!(refused, Err(Reason::ChainNotTrusted), "{act}");
    }

    let mut world = plan_of(|issuer| listed(issuer).trust_act(), plain).start().await;
    let other = "https://other.example";
    let cases = [
        (chain(&["gateway"]), json!({ "sub": "orders", "act": { "iss": IDP, "sub": "gateway" } })),
        (
            chain(&["gateway", "app"]),
            json!({ "sub": "orders", "act": { "iss": IDP, "sub": "gateway", "act": { "iss": IDP, "sub": "app" } } }),
        ),
        (
            json!({ "iss": other, "sub": "a", "act": { "sub": "b" } }),
            json!({ "sub": "orders", "act": { "iss": other, "sub": "a", "act": { "iss": IDP, "sub": "b" } } }),
        ),
        // The foreign `orders` is not the client `orders`.
        (chain(&["orders"]), json!({ "sub": "orders", "act": { "iss": IDP, "sub": "orders" } })),
    ];
    for (act, expected) in cases {
        let found = act_of(foreign(&mut world, "orders", json!({ "act": act })).await);
        assert_eq!(found, Ok(expected), "{act}");
    }
    let malformed = foreign(&mut world, "orders", json!({ "act": { "sub": "gateway", "exp": 7 } })).await;
    assert_eq!(malformed, Err(Reason::ChainMalformed));
}

#[tokio::test]
async fn impersonation_never_hides_an_actor() {
    let rule = || {
        Rule::allow(Names::any(), Subjects::any(), Names::any())
            .actors(Actors::any())
            .scopes(Names::any())
            .impersonation()
    };
    let by_rule = plan_of(trusted, carrier).with(|builder| builder.rules([rule()]));
    let by_service = plan_of(trusted, carrier).with(|builder| {
        builder.policy(tower::service_fn(|_: Query| async { Ok::<_, std::io::Error>(Decision::impersonate()) }))
    });
    for plan in [by_rule, by_service] {
        let mut world = plan.start().await;
        let claims = own(&mut world, json!({})).await.unwrap();
        assert_eq!((claims.get("act"), &claims["sub"]), (None, &json!("alice")));

        let delegated = [chain(&["web"]), chain(&["orders"]), chain(&["web", "app"])];
        for act in delegated {
            let refused = own(&mut world, json!({ "act": act })).await;
            assert_eq!(refused, Err(Reason::ImpersonationImpossible), "{act}");
            let refused = foreign(&mut world, "orders", json!({ "act": act })).await;
            assert_eq!(refused, Err(Reason::ImpersonationImpossible), "foreign {act}");
        }
        let subject = world.own.access_token(json!({}));
        let actor = world.own.access_token(json!({ "sub": "orders", "client_id": "orders" }));
        let refused = with_actor(&mut world, &subject, (&actor, ACCESS_TOKEN)).await;
        assert_eq!(refused, Err(Reason::ImpersonationImpossible));
        let agent = world.idp.foreign(json!({ "sub": "agent-7" }));
        let refused = with_actor(&mut world, &subject, (&agent, JWT)).await;
        assert_eq!(refused, Err(Reason::ImpersonationImpossible));
    }
}

#[tokio::test]
async fn every_member_of_may_act_must_match() {
    let mut world = plan_of(trusted, carrier).start().await;
    let cases: Vec<(Value, Result<(), Reason>)> = vec![
        (json!({ "sub": "orders" }), Ok(())),
        (json!({ "iss": AS, "sub": "orders" }), Ok(())),
        (json!({ "client_id": "orders" }), Ok(())),
        (json!({ "sub": "orders", "client_id": "orders" }), Ok(())),
        (json!({ "iss": IDP, "sub": "orders-there" }), Ok(())),
        (json!({ "sub": "billing" }), Err(Reason::MayActMismatch)),
        (json!({ "sub": "orders-there" }), Err(Reason::MayActMismatch)),
        (json!({ "sub": "Orders" }), Err(Reason::MayActMismatch)),
        (json!({ "iss": IDP, "sub": "orders" }), Err(Reason::MayActMismatch)),
        (json!({ "iss": "https://nobody.example", "sub": "orders" }), Err(Reason::MayActMismatch)),
        (json!({ "client_id": "billing" }), Err(Reason::MayActMismatch)),
        (json!({ "sub": "orders", "client_id": "billing" }), Err(Reason::MayActMismatch)),
        (json!({ "sub": "billing", "client_id": "orders" }), Err(Reason::MayActMismatch)),
        // Without an actor token, nothing proves another member.
        (json!({ "sub": "orders", "email": "orders@as.example" }), Err(Reason::MayActMismatch)),
        (json!({ "sub": "orders", "exp": NOW + 60 }), Err(Reason::MayActMismatch)),
        (json!("orders"), Err(Reason::MayActMalformed)),
        (json!(7), Err(Reason::MayActMalformed)),
        (json!([{ "sub": "orders" }]), Err(Reason::MayActMalformed)),
        (json!({}), Err(Reason::MayActMalformed)),
        (json!({ "iss": AS }), Err(Reason::MayActMalformed)),
        (json!({ "email": "orders@as.example" }), Err(Reason::MayActMalformed)),
        (json!({ "sub": 7 }), Err(Reason::MayActMalformed)),
        (json!({ "sub": null }), Err(Reason::MayActMalformed)),
        (json!({ "sub": ["orders"] }), Err(Reason::MayActMalformed)),
        (json!({ "sub": "orders", "client_id": ["orders"] }), Err(Reason::MayActMalformed)),
        (json!({ "sub": "orders", "iss": null }), Err(Reason::MayActMalformed)),
    ];
    for (may_act, expected) in cases {
        let found = own(&mut world, json!({ "may_act": may_act })).await;
        if let Ok(claims) = &found {
            assert!(claims.get("may_act").is_none(), "never copied on: {may_act}");
        }
        assert_eq!(found.map(|_| ()), expected, "{may_act}");
    }
    let claims = json!({
        "iss": AS, "sub": "alice", "aud": "https://orders.example", "exp": NOW + 600, "client_id": "web",
        "scope": "read", "may_act": null,
    });
    let null = world.own.sign(&world.own.header("at+jwt"), &claims);
    let refused = outcome(&mut world, "orders", &exchange_form(&null, &[])).await;
    assert_eq!(refused, Err(Reason::MayActMalformed));
}

#[tokio::test]
async fn may_act_names_clients_of_its_issuer_only() {
    let mut world = plan_of(trusted, carrier).start().await;
    // All members must match, also an `iss` that qualifies a `client_id`.
    for iss in [IDP, "https://nobody.example"] {
        let may_act = json!({ "iss": iss, "client_id": "orders" });
        let refused = own(&mut world, json!({ "may_act": may_act })).await.map(|_| ());
        assert_eq!(refused, Err(Reason::MayActMismatch), "{may_act}");
    }
}

#[tokio::test]
async fn may_act_must_name_the_actor() {
    let mut world = plan_of(trusted, carrier).start().await;
    let agent = (world.idp.foreign(json!({ "sub": "agent-7", "email": "a7@idp.example" })), JWT);
    let cases = [
        (json!({ "iss": IDP, "sub": "agent-7" }), Ok(())),
        (json!({ "iss": IDP, "sub": "agent-7", "email": "a7@idp.example" }), Ok(())),
        (json!({ "iss": IDP, "sub": "agent-7", "email": "a8@idp.example" }), Err(Reason::MayActMismatch)),
        (json!({ "iss": IDP, "sub": "agent-7", "role": "agent" }), Err(Reason::MayActMismatch)),
        (json!({ "sub": "agent-7" }), Err(Reason::MayActMismatch)),
        (json!({ "sub": "orders" }), Err(Reason::MayActMismatch)),
    ];
    for (may_act, expected) in cases {
        let subject = world.own.access_token(json!({ "may_act": may_act }));
        let found = with_actor(&mut world, &subject, (&agent.0, agent.1)).await;
        assert_eq!(found.map(|_| ()), expected, "{may_act}");
    }
    // `may_act` for the agent does not relate the client to the token.
    let may_act = json!({ "iss": IDP, "sub": "agent-7" });
    let stolen = world.own.access_token(json!({ "aud": "https://billing.example", "may_act": may_act }));
    let refused = with_actor(&mut world, &stolen, (&agent.0, agent.1)).await;
    assert_eq!(refused, Err(Reason::PresenterUnrelated));
}

#[tokio::test]
async fn may_act_for_the_client_excludes_its_actors() {
    let mut world = plan_of(trusted, carrier).start().await;
    let subject = world.own.access_token(json!({ "may_act": { "client_id": "orders" } }));
    let agent = world.idp.foreign(json!({ "sub": "agent-7" }));
    let found = with_actor(&mut world, &subject, (&agent, JWT)).await;
    assert_eq!(act_of(found), Err(Reason::MayActMismatch), "the agent acts, and `may_act` names the client");
}

#[tokio::test]
async fn may_act_relates_clients_but_overrides_no_denial() {
    let mut world = plan_of(trusted, plain).start().await;
    let named = json!({ "sub": "orders" });
    for aud in [json!("https://billing.example"), json!(["https://billing.example", "https://orders.example"])] {
        let without = own(&mut world, json!({ "aud": aud })).await;
        assert!(matches!(without, Err(Reason::PresenterUnrelated | Reason::SeveralAudiences)), "{aud}");
        let with = own(&mut world, json!({ "aud": aud, "may_act": named })).await;
        assert_eq!(act_of(with), Ok(named.clone()), "{aud}");
    }
    let no_origin = own(&mut world, json!({ "aud": null, "may_act": named })).await;
    assert_eq!(no_origin, Err(Reason::PresenterUnknown));

    let anybody = || Rule::allow(Names::any(), Subjects::any(), Names::any()).scopes(Names::any());
    let deny = || Rule::deny("orders", Subjects::any(), "billing");
    for (rules, reason) in [(vec![anybody(), deny()], Reason::PolicyDenied), (vec![], Reason::PolicyNoRule)] {
        let mut world = plan_of(trusted, plain).with(|builder| builder.rules(rules)).start().await;
        assert_eq!(own(&mut world, json!({ "may_act": named })).await, Err(reason));
    }
    // The denial also holds for an impersonation.
    let impersonation = || anybody().impersonation();
    let mut world = plan_of(trusted, plain).with(|builder| builder.rules([impersonation()])).start().await;
    let other = own(&mut world, json!({ "may_act": { "sub": "billing" } })).await;
    assert_eq!(other, Err(Reason::MayActMismatch));
}

#[tokio::test]
async fn a_foreign_may_act_relates_only_if_trusted() {
    let mapped = |issuer| prefixed(issuer).map_client("orders-there", "orders").map_client("billing-there", "billing");
    let named = json!({ "may_act": { "sub": "orders-there" } });
    let other = json!({ "may_act": { "sub": "billing-there" } });
    let lookalike = json!({ "may_act": { "sub": "orders" } });

    let mut world = plan_of(mapped, plain).start().await;
    assert_eq!(foreign(&mut world, "orders", named.clone()).await, Err(Reason::PresenterUnrelated));

    let mut world = plan_of(|issuer| mapped(issuer).allow_presenters(["orders"]), plain).start().await;
    assert!(foreign(&mut world, "orders", named.clone()).await.is_ok());
    assert_eq!(foreign(&mut world, "orders", other.clone()).await, Err(Reason::MayActMismatch));
    assert_eq!(foreign(&mut world, "orders", lookalike.clone()).await, Err(Reason::MayActMismatch));

    let mut world = plan_of(|issuer| mapped(issuer).trust_may_act(), plain).start().await;
    assert_eq!(act_of(foreign(&mut world, "orders", named.clone()).await), Ok(json!({ "sub": "orders" })));
    assert!(foreign(&mut world, "orders", json!({ "may_act": { "client_id": "orders-there" } })).await.is_ok());
    assert_eq!(foreign(&mut world, "orders", other).await, Err(Reason::MayActMismatch));
    assert_eq!(foreign(&mut world, "orders", lookalike).await, Err(Reason::MayActMismatch));
    // The audience of a foreign token is checked first, and `may_act` does not replace that check.
    let elsewhere = changed(named, json!({ "aud": "https://other.example" }));
    assert_eq!(foreign(&mut world, "orders", elsewhere).await, Err(Reason::TokenNotForUs));
}

#[tokio::test]
async fn only_related_clients_may_present_an_own_token() {
    let records = |client: Client| match client.id().as_str() {
        "selfish" => client.allow_self_exchange(),
        "plural" => client.allow_several_audiences(),
        _ => client,
    };
    let mut world = plan_of(prefixed, records).start().await;
    let [unrelated, unknown, several] =
        [Reason::PresenterUnrelated, Reason::PresenterUnknown, Reason::SeveralAudiences].map(Err);
    let (orders, billing) = ("https://orders.example", "https://billing.example");
    let cases: Vec<(&str, Value, Result<(), Reason>)> = vec![
        ("orders", json!({ "aud": "orders" }), Ok(())),
        ("orders", json!({ "aud": orders }), Ok(())),
        ("orders", json!({ "aud": [orders] }), Ok(())),
        ("orders", json!({ "aud": [orders, orders] }), Ok(())),
        ("orders", json!({ "aud": "billing" }), unrelated),
        ("orders", json!({ "aud": billing }), unrelated),
        ("reports", json!({ "aud": orders }), unrelated),
        // A target without an owner, an unknown resource, the authorization server, and similar names.
        ("orders", json!({ "aud": "https://ledger.example" }), unrelated),
        ("orders", json!({ "aud": "https://other.example" }), unrelated),
        ("orders", json!({ "aud": AS }), unrelated),
        ("orders", json!({ "aud": "https://orders.example/" }), unrelated),
        ("orders", json!({ "aud": "Orders" }), unrelated),
        // The client that the token was issued to counts only with `allow_self_exchange`.
        ("orders", json!({ "aud": billing, "client_id": "orders" }), unrelated),
        ("selfish", json!({ "aud": billing, "client_id": "selfish" }), Ok(())),
        ("selfish", json!({ "aud": billing, "client_id": "selfish", "azp": "web" }), Ok(())),
        ("selfish", json!({ "aud": billing, "client_id": "web", "azp": "selfish" }), unrelated),
        ("selfish", json!({ "aud": billing, "client_id": "web" }), unrelated),
        ("selfish", json!({ "aud": billing, "sub": "selfish" }), unrelated),
        // No audience.
        ("orders", json!({ "aud": null }), unknown),
        ("orders", json!({ "aud": [] }), unknown),
        ("orders", json!({ "aud": null, "client_id": "orders" }), unknown),
        ("selfish", json!({ "aud": null, "client_id": "selfish" }), unknown),
        // Several audiences.
        ("orders", json!({ "aud": [orders, billing] }), several),
        ("orders", json!({ "aud": [billing, orders] }), several),
        ("orders", json!({ "aud": [orders, "orders"] }), several),
        ("orders", json!({ "aud": [billing, "https://ledger.example"] }), unrelated),
        ("selfish", json!({ "aud": [orders, billing], "client_id": "selfish" }), several),
        ("plural", json!({ "aud": ["https://plural.example", billing] }), Ok(())),
        ("plural", json!({ "aud": [billing, orders, "plural"] }), Ok(())),
        ("plural", json!({ "aud": [billing, orders] }), unrelated),
    ];
    for (client, changes, expected) in cases {
        let token = world.own.access_token(changes.clone());
        let found = outcome(&mut world, client, &exchange_form(&token, &[])).await;
        assert_eq!(found.map(|_| ()), expected, "{client} {changes}");
    }
}

#[tokio::test]
async fn azp_names_the_presenter_without_client_id() {
    let records = |client: Client| if client.id() == "selfish" { client.allow_self_exchange() } else { client };
    let own_record = Issuer::new(AS).allow_untyped_access_tokens();
    let mut world = plan_of(prefixed, records).with(|builder| builder.issuers([own_record])).start().await;
    for (azp, expected) in [("selfish", Ok(())), ("web", Err(Reason::PresenterUnrelated))] {
        let claims = json!({
            "iss": AS, "sub": "alice", "aud": "https://billing.example", "exp": NOW + 600, "scope": "read", "azp": azp,
        });
        let token = world.own.sign(&world.own.header("JWT"), &claims);
        let found = outcome(&mut world, "selfish", &exchange_form(&token, &[])).await;
        assert_eq!(found.map(|_| ()), expected, "{azp}");
    }
}

#[tokio::test]
async fn a_resource_is_never_taken_for_a_client() {
    // `gateway` serves the target with `aud` `stock`. A client `stock` is another party.
    let plan = || {
        plan_of(prefixed, plain).with(|builder| {
            builder.clients(["gateway", "stock"].map(|id| Client::new(id).secret(secret_of(id)))).targets([
                Target::new("stock").served_by("gateway").scopes(["read"]),
                Target::new("depot").allow_clients(["gateway", "stock"]).scopes(["read"]),
            ])
        })
    };
    // Either the layer refuses both records, or the audience is the resource.
    if plan().builder.build().is_err() {
        return;
    }
    let mut world = plan().start().await;
    let token = world.own.access_token(json!({ "aud": "stock" }));
    let mut form = exchange_form(&token, &[]);
    form.retain(|(name, _)| *name != "audience");
    form.push(("audience", "depot"));
    let refused = outcome(&mut world, "stock", &form).await.map(|_| ());
    assert_eq!(refused, Err(Reason::PresenterUnrelated), "the token was issued for the service of `gateway`");
}

#[tokio::test]
async fn foreign_names_count_only_through_the_record() {
    let records = |client: Client| match client.id().as_str() {
        "selfish" => client.allow_self_exchange(),
        "plural" => client.allow_several_audiences(),
        _ => client,
    };
    let idp = |issuer| {
        prefixed(issuer)
            .allow_presenters(["orders"])
            .map_client("selfish-there", "selfish")
            .map_client("plural-there", "plural")
    };
    let mut world = plan_of(idp, records).start().await;
    let [unrelated, not_for_us] = [Reason::PresenterUnrelated, Reason::TokenNotForUs].map(Err);
    let cases: Vec<(&str, Value, Result<(), Reason>)> = vec![
        ("orders", json!({}), Ok(())),
        ("reports", json!({}), unrelated),
        ("reports", json!({ "client_id": "reports", "azp": "reports" }), unrelated),
        ("selfish", json!({ "client_id": "selfish" }), unrelated),
        ("selfish", json!({ "azp": "selfish" }), unrelated),
        ("selfish", json!({ "client_id": "selfish-there" }), Ok(())),
        ("selfish", json!({ "azp": "selfish-there" }), Ok(())),
        ("selfish", json!({ "client_id": "other", "azp": "selfish-there" }), unrelated),
        ("plural", json!({ "aud": [AS, "plural"] }), unrelated),
        ("plural", json!({ "aud": [AS, "https://plural.example"] }), unrelated),
        ("plural", json!({ "aud": [AS, "plural-there"] }), Ok(())),
        ("orders", json!({ "aud": [AS, "https://other.example"] }), Err(Reason::SeveralAudiences)),
        // The token is meant for another server.
        ("orders", json!({ "aud": "https://other.example" }), not_for_us),
        ("orders", json!({ "aud": "orders" }), not_for_us),
        ("orders", json!({ "aud": "https://orders.example" }), not_for_us),
        ("orders", json!({ "aud": null }), not_for_us),
        ("orders", json!({ "aud": [] }), not_for_us),
        ("plural", json!({ "aud": "plural-there" }), not_for_us),
    ];
    for (client, changes, expected) in cases {
        let found = foreign(&mut world, client, changes.clone()).await;
        assert_eq!(found.map(|_| ()), expected, "{client} {changes}");
    }
}

#[tokio::test]
async fn an_accepted_audience_replaces_the_own_identifier() {
    let idp = |issuer| prefixed(issuer).allow_presenters(["orders"]).accepted_audiences(["urn:us"]);
    let mut world = plan_of(idp, plain).start().await;
    assert!(foreign(&mut world, "orders", json!({ "aud": "urn:us" })).await.is_ok());
    assert_eq!(foreign(&mut world, "orders", json!({ "aud": AS })).await, Err(Reason::TokenNotForUs));
}

#[tokio::test]
async fn only_the_audience_presents_an_id_token() {
    let records = |client: Client| client.scopes_for_scopeless_subjects(TokenType::ID_TOKEN, ["read"]);
    let idp = |issuer| {
        prefixed(issuer)
            .accept_types([TokenType::ID_TOKEN])
            .map_client("orders-there", "orders")
            .map_client("billing-there", "billing")
    };
    let mut world = plan_of(idp, records).start().await;
    let [unrelated, not_for_us] = [Reason::PresenterUnrelated, Reason::TokenNotForUs].map(Err);
    let cases = vec![
        (json!({ "aud": "orders-there" }), Ok(())),
        (json!({ "aud": "orders-there", "azp": "orders-there" }), Ok(())),
        (json!({ "aud": "billing-there" }), unrelated),
        (json!({ "aud": "billing-there", "azp": "orders-there" }), unrelated),
        (json!({ "aud": "orders" }), not_for_us),
        (json!({ "aud": AS }), not_for_us),
        (json!({ "aud": ["orders-there", "billing-there"], "azp": "billing-there" }), Err(Reason::SeveralAudiences)),
        (json!({ "aud": ["orders-there", "billing-there"] }), Err(Reason::SeveralAudiences)),
    ];
    for (changes, expected) in cases {
        let claims = json!({ "iss": IDP, "sub": "bob", "exp": NOW + 600, "iat": NOW });
        let token = world.idp.sign(&world.idp.header("JWT"), &changed(claims, changes.clone()));
        let found = outcome(&mut world, "orders", &foreign_form(&token, ID_TOKEN)).await;
        assert_eq!(found.map(|claims| claims["scope"] == "read"), expected.map(|()| true), "{changes}");
    }
}

#[tokio::test]
async fn the_record_maps_a_foreign_subject() {
    let by_claim = || SubjectMapping::Claim("username".into());
    let prefix = |text: &str| SubjectMapping::Prefix(text.into());
    let mapped = |text: &str| Ok(text.to_owned());
    let refused = || Err(Reason::SubjectNotMapped);
    let cases: Vec<(SubjectMapping, Value, Result<String, Reason>)> = vec![
        (SubjectMapping::Keep, json!({}), mapped("bob")),
        (SubjectMapping::Keep, json!({ "sub": "orders" }), refused()),
        (prefix("idp|"), json!({}), mapped("idp|bob")),
        (prefix("idp|"), json!({ "sub": "orders" }), mapped("idp|orders")),
        (prefix("or"), json!({ "sub": "ders" }), refused()),
        (by_claim(), json!({ "username": "robert" }), mapped("robert")),
        (by_claim(), json!({}), refused()),
        (by_claim(), json!({ "username": "" }), refused()),
        (by_claim(), json!({ "username": 7 }), refused()),
        (by_claim(), json!({ "username": ["robert"] }), refused()),
        (by_claim(), json!({ "username": "orders" }), refused()),
        (by_claim(), json!({ "Username": "robert" }), refused()),
    ];
    for (mapping, changes, expected) in cases {
        let case = format!("{mapping:?} {changes}");
        let plan = plan_of(|issuer| issuer.map_subjects(mapping).allow_presenters(["orders"]), plain);
        let mut world = plan.with(|builder| builder.federated_subjects_only()).start().await;
        let found = foreign(&mut world, "orders", changes).await;
        assert_eq!(found.map(|claims| claims["sub"].as_str().unwrap().to_owned()), expected, "{case}");
    }
}

#[tokio::test]
async fn a_mapped_subject_must_be_a_name() {
    let by_claim = SubjectMapping::Claim("username".into());
    let plan = plan_of(|issuer| issuer.map_subjects(by_claim).allow_presenters(["orders"]), plain);
    let mut world = plan.with(|builder| builder.federated_subjects_only()).start().await;
    // A claim that replaces `sub` must be a name, as `sub` must.
    for name in ["bob\nroot".to_owned(), "bob\u{0}".to_owned(), "x".repeat(20_000)] {
        let as_sub = foreign(&mut world, "orders", json!({ "sub": name, "username": "robert" })).await;
        assert_eq!(as_sub.map(|_| ()), Err(Reason::TokenSubjectInvalid));
        let as_claim = foreign(&mut world, "orders", json!({ "username": name })).await.map(|_| ());
        assert!(as_claim.is_err(), "{:?} became a subject", &name[..name.len().min(20)]);
    }
}

#[tokio::test]
async fn login_claims_are_copied_unchanged_or_omitted() {
    let idp = |issuer| prefixed(issuer).allow_presenters(["orders"]).map_acr("theirs", "ours");
    let mut world = plan_of(idp, plain).start().await;
    let kept = |claims: Value| {
        let members =
            ["acr", "amr", "auth_time"].map(|name| claims.get(name).map(|value| (name.into(), value.clone())));
        Value::Object(members.into_iter().flatten().collect())
    };
    let all = json!({ "acr": "high", "amr": ["pwd", "otp"], "auth_time": NOW - 900 });
    assert_eq!(own(&mut world, all.clone()).await.map(kept), Ok(all.clone()));
    assert_eq!(own(&mut world, json!({})).await.map(kept), Ok(json!({})));
    let odd = json!({ "acr": 7, "amr": "pwd", "auth_time": "yesterday" });
    assert_eq!(own(&mut world, odd).await.map(kept), Ok(json!({})), "what they are not is left out");

    let cases = [
        (all, json!({ "amr": ["pwd", "otp"], "auth_time": NOW - 900 })),
        (json!({ "acr": "theirs" }), json!({ "acr": "ours" })),
        (json!({ "acr": "ours" }), json!({})),
        // Clocks differ by at most a minute. A login before 1970 is not possible.
        (json!({ "auth_time": NOW + 60 }), json!({ "auth_time": NOW + 60 })),
        (json!({ "auth_time": NOW + 61 }), json!({})),
        (json!({ "auth_time": 0 }), json!({ "auth_time": 0 })),
        (json!({ "auth_time": -1 }), json!({})),
    ];
    for (changes, expected) in cases {
        let found = foreign(&mut world, "orders", changes.clone()).await.map(kept);
        assert_eq!(found, Ok(expected), "{changes}");
    }
}

#[tokio::test]
async fn an_actor_token_adds_no_scope_and_login() {
    let mut world = plan_of(trusted, carrier).start().await;
    let subject = world.own.access_token(json!({ "scope": "read", "acr": "low" }));
    let actor = world.own.access_token(json!({
        "sub": "orders", "client_id": "orders", "scope": "read write", "acr": "high", "amr": ["hwk"], "auth_time": NOW,
    }));
    let claims = with_actor(&mut world, &subject, (&actor, ACCESS_TOKEN)).await.unwrap();
    assert_eq!((&claims["scope"], &claims["acr"]), (&json!("read"), &json!("low")));
    assert_eq!((claims.get("amr"), claims.get("auth_time")), (None, None));
}

#[tokio::test]
async fn no_issued_token_outlives_the_received_tokens() {
    let mut world = plan_of(trusted, carrier).start().await;
    for (subject, actor, expected) in [
        (json!(600), None, Ok(300)),
        (json!(100), None, Ok(100)),
        (json!(1), None, Ok(1)),
        (json!(600), Some(50), Ok(50)),
        (json!(40), Some(600), Ok(40)),
        (json!(0), None, Err(Reason::TokenExpired)),
        (json!(600), Some(0), Err(Reason::TokenExpired)),
        (json!(100.9), None, Ok(100)),
    ] {
        let exp = match subject.as_u64() {
            Some(left) => json!(NOW + left),
            None => json!(NOW as f64 + subject.as_f64().unwrap()),
        };
        let token = world.own.access_token(json!({ "exp": exp }));
        let found = match actor {
            None => outcome(&mut world, "orders", &exchange_form(&token, &[])).await,
            Some(left) => {
                let changes = json!({ "sub": "orders", "client_id": "orders", "exp": NOW + left });
                let actor = world.own.access_token(changes);
                with_actor(&mut world, &token, (&actor, ACCESS_TOKEN)).await
            }
        };
        let found = found.map(|claims| claims["exp"].as_u64().unwrap() - NOW);
        assert_eq!(found, expected, "{subject} {actor:?}");
    }

    let longer = |builder: tower_token_exchange::TokenExchangeBuilder| {
        builder.max_lifetime(std::time::Duration::from_secs(1_000_000_000_000))
    };
    let mut world = plan_of(trusted, carrier).with(longer).start().await;
    let claims = own(&mut world, json!({})).await.unwrap();
    assert_eq!(claims["exp"], NOW + 600, "not even where the lifetime is set to more");
    // The largest `exp` and the largest lifetime do not overflow.
    let claims = own(&mut world, json!({ "exp": 9_007_199_254_740_991_u64 })).await.unwrap();
    assert_eq!(claims["exp"], NOW + 1_000_000_000_000);
}

#[tokio::test]
async fn the_receiver_exchanges_an_issued_token_again() {
    let mut world = plan().start().await;
    let first = world.exchange(&world.own.access_token(json!({ "exp": NOW + 200, "acr": "high" }))).await;
    world.event().await;
    let issued = first.json()["access_token"].as_str().unwrap().to_owned();

    let mut form = exchange_form(&issued, &[("scope", "read")]);
    form.retain(|(name, _)| *name != "audience");
    form.push(("audience", "ledger"));
    let mut claims = outcome(&mut world, "billing", &form).await.unwrap();
    claims["jti"].take();
    let expected = json!({
        "iss": AS, "sub": "alice", "aud": "https://ledger.example", "exp": NOW + 200, "iat": NOW, "jti": null,
        "client_id": "billing", "scope": "read", "act": { "sub": "billing", "act": { "sub": "orders" } }, "acr": "high",
    });
    assert_eq!(claims, expected);

    // The client that requested the token is not the receiver of the token.
    let back = outcome(&mut world, "orders", &exchange_form(&issued, &[])).await;
    assert_eq!(back, Err(Reason::PresenterUnrelated));
    let stranger = outcome(&mut world, "reports", &exchange_form(&issued, &[("scope", "read")])).await;
    assert!(stranger.is_err());
}

#[tokio::test]
async fn two_hops_keep_the_name_of_the_subject() {
    let idp = |issuer| prefixed(issuer).allow_presenters(["orders"]).trust_act();
    let mut world = plan_of(idp, plain).start().await;
    let token = world.idp.foreign(json!({ "act": { "sub": "app" } }));
    let reply = world.post_as("orders", &foreign_form(&token, JWT)).await;
    world.event().await;
    let issued = reply.json()["access_token"].as_str().unwrap().to_owned();
    let mut form = exchange_form(&issued, &[]);
    form.retain(|(name, _)| *name != "audience");
    form.push(("audience", "ledger"));
    let claims = outcome(&mut world, "billing", &form).await.unwrap();
    assert_eq!(claims["sub"], "idp|bob");
    let act = json!({ "sub": "billing", "act": { "sub": "orders", "act": { "iss": IDP, "sub": "app" } } });
    assert_eq!(claims["act"], act);
}

#[tokio::test]
async fn a_deny_matches_foreign_subjects_at_every_hop() {
    let mut world = plan_of(|issuer| prefixed(issuer).allow_presenters(["orders"]), plain)
        .with(|builder| {
            builder.rules([
                Rule::allow(Names::any(), Subjects::any(), Names::any()).scopes(Names::any()),
                Rule::deny(Names::any(), Subjects::of_issuer(IDP).named(["bob"]), "ledger"),
            ])
        })
        .start()
        .await;
    for (sub, expected) in [("bob", Err(Reason::PolicyDenied)), ("carol", Ok(()))] {
        let token = world.idp.foreign(json!({ "sub": sub }));
        let reply = world.post_as("orders", &foreign_form(&token, JWT)).await;
        world.event().await;
        let issued = reply.json()["access_token"].as_str().unwrap().to_owned();
        let mut form = exchange_form(&issued, &[]);
        form.retain(|(name, _)| *name != "audience");
        form.push(("audience", "ledger"));
        assert_eq!(outcome(&mut world, "billing", &form).await.map(|_| ()), expected, "{sub}");
    }
}

#[tokio::test]
async fn foreign_claims_are_copied_only_if_listed() {
    for (believed, expected) in [(vec![], json!(null)), (vec!["roles"], json!(["admin"]))] {
        let mut world = plan_of(|issuer| prefixed(issuer).allow_presenters(["orders"]).claims(believed), plain)
            .with(|builder| {
                let target = Target::new("roles").allow_clients(["orders"]).scopes(["read"]).claims(["roles"]);
                builder.targets([target])
            })
            .start()
            .await;
        let token = world.idp.foreign(json!({ "roles": ["admin"] }));
        let mut form = foreign_form(&token, JWT);
        form.retain(|(name, _)| *name != "audience");
        form.push(("audience", "roles"));
        assert_eq!(outcome(&mut world, "orders", &form).await.unwrap()["roles"], expected);
    }
}

#[tokio::test]
async fn an_untyped_access_token_needs_a_record() {
    let untyped = |issuer: Issuer| issuer.allow_untyped_access_tokens();
    let types = [TokenType::ACCESS_TOKEN, TokenType::ID_TOKEN];
    let record = |issuer| {
        prefixed(issuer).allow_presenters(["orders"]).map_client("orders-there", "orders").accept_types(types.clone())
    };
    let scope = json!({});
    let id_token = json!({ "scope": null, "azp": AS });
    for (allowed, changes, expected) in [
        (false, &scope, Err(Reason::TokenTypeConfused)),
        (true, &scope, Ok(())),
        (true, &id_token, Err(Reason::TokenTypeConfused)),
    ] {
        let idp = |issuer| if allowed { untyped(record(issuer)) } else { record(issuer) };
        let mut world = plan_of(idp, plain).start().await;
        let token = world.idp.foreign(changes.clone());
        let found = outcome(&mut world, "orders", &foreign_form(&token, ACCESS_TOKEN)).await.map(|_| ());
        assert_eq!(found, expected, "{allowed} {changes}");
    }
}
