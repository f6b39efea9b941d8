//! Attacks on the chain of actors: false actors, and attempts to hide actors.

use super::*;
use crate::support::*;
use serde_json::json;
use tower_token_exchange::{
    policy::{Actors, Decision, Query, Semantics},
    records::Party,
};

fn agent() -> Value {
    json!({ "iss": PARTNER, "sub": "agent-7" })
}

/// Lets `orders` present the agents 7 and 9 of the second foreign issuer.
fn platform(client: Client) -> Client {
    client.allow_actor(Party::new(PARTNER, "agent-7")).allow_actor(Party::new(PARTNER, "agent-9"))
}

/// Returns a token with which one of our clients presents itself as the actor.
fn itself(own: &Minter, client: &str) -> String {
    own.access_token(json!({ "sub": client, "client_id": client }))
}

/// Returns a chain of actors, the current actor first.
fn chain(subs: &[&str]) -> Value {
    let around = |inner: Value, sub: &&str| {
        if inner.is_null() { json!({ "sub": sub }) } else { json!({ "sub": sub, "act": inner }) }
    };
    subs.iter().rev().fold(Value::Null, around)
}

/// Returns the usual plan with services that all call each other.
fn mesh(ids: [&'static str; 6]) -> Plan {
    let target = |id| {
        Target::new(id)
            .audience_claim(format!("https://{id}.example"))
            .served_by(id)
            .allow_clients(ids)
            .scopes(["read"])
    };
    plan().with(|builder| builder.clients(ids.map(client)).targets(ids.map(target)))
}

/// Attack: the attacker has a good token of alice and an unrelated good token of an agent, and requests a token in which
/// the agent acts for alice.
#[tokio::test]
async fn th_03_two_good_tokens_do_not_make_a_delegation() {
    use Reason::*;
    let partner = partner();
    let record = partner_record(&partner).allow_actor_tokens();
    let edge = || {
        Rule::allow("orders", Subjects::of_issuer(AS).named(["alice"]), "billing")
            .actors(Actors::parties([Party::new(PARTNER, "agent-7")]))
            .scopes(Names::any())
    };
    let targets = |mut targets: Vec<Target>| {
        targets.push(Target::new("archive").allow_clients(["orders"]).scopes(["read"]));
        open_billing(targets)
    };
    let plan = plan_with(changing("orders", platform), targets);
    // Every client may be the actor itself, so the agent must be the reason of the refusal.
    let mut world = plan.with(|builder| builder.issuers([record]).rules([anything(), edge()])).start().await;
    let own = world.own.clone();
    let alice = own.access_token(json!({}));
    let agent_token = |changes: Value| partner.foreign(changed(json!({ "sub": "agent-7" }), changes));
    let seven = agent_token(json!({}));
    let cases = [
        (
            "an agent of nobody's",
            ask("orders", &alice).actor(&agent_token(json!({ "sub": "agent-8" })), JWT),
            ActorNotCarried,
        ),
        (
            "an agent without a rule",
            ask("orders", &alice).actor(&agent_token(json!({ "sub": "agent-9" })), JWT),
            PolicyNoRule,
        ),
        (
            "for a subject that no rule gives it",
            ask("orders", &own.access_token(json!({ "sub": "bob" }))).actor(&seven, JWT),
            PolicyNoRule,
        ),
        ("at a target that no rule gives it", ask("orders", &alice).at("archive").actor(&seven, JWT), PolicyNoRule),
        (
            "by a client that does not run it",
            ask("reports", &own.access_token(json!({ "aud": "reports" }))).actor(&seven, JWT),
            ActorNotCarried,
        ),
        (
            "with a subject token of somebody else",
            ask("orders", &own.access_token(json!({ "aud": BILLING }))).actor(&seven, JWT),
            PresenterUnrelated,
        ),
        (
            "with a subject that named another actor",
            ask("orders", &own.access_token(json!({ "may_act": { "iss": PARTNER, "sub": "agent-9" } })))
                .actor(&seven, JWT),
            MayActMismatch,
        ),
        (
            "with a subject that named the client, not its agent",
            ask("orders", &own.access_token(json!({ "may_act": { "sub": "orders" } }))).actor(&seven, JWT),
            MayActMismatch,
        ),
        (
            "with an actor of ours by the same name",
            ask("orders", &alice)
                .actor(&own.access_token(json!({ "sub": "agent-7", "client_id": "agent-7" })), ACCESS_TOKEN),
            ActorNotCarried,
        ),
        (
            "with a token of another client",
            ask("orders", &alice).actor(&itself(&own, "billing"), ACCESS_TOKEN),
            ActorNotCarried,
        ),
    ];
    for (why, spliced, reason) in cases {
        spliced.refused(&mut world, reason, why).await;
    }
    let claims = ask("orders", &alice).actor(&seven, JWT).claims(&mut world, "the edge that is there").await;
    assert_eq!((&claims["sub"], &claims["act"]), (&json!("alice"), &agent()));
}

/// Attack: `reports` has stolen the token of another actor, and wants the audit to show that actor.
#[tokio::test]
async fn th_04_no_client_acts_under_a_foreign_name() {
    use Reason::*;
    let partner = partner();
    let record = partner_record(&partner).allow_actor_tokens().map_client("orders-there", "orders");
    let rules = || [anything().actors(Actors::any())];
    let plan = plan_with(changing("orders", platform), open_billing);
    let mut world = plan.with(|builder| builder.issuers([record]).rules(rules())).start().await;
    let own = world.own.clone();
    let subject = own.access_token(json!({ "aud": "reports" }));
    let foreign = |sub: &str| (partner.foreign(json!({ "sub": sub })), JWT);
    let ours = |changes: Value| (own.access_token(changes), ACCESS_TOKEN);
    for (why, (token, declared), reason) in [
        ("another client's token", ours(json!({ "sub": "orders", "client_id": "orders" })), ActorNotCarried),
        ("that client by its name elsewhere", foreign("orders-there"), ActorNotCarried),
        ("an agent of that client", foreign("agent-7"), ActorNotCarried),
        ("its own name from a stranger's mouth", foreign("reports"), ActorNotCarried),
        (
            "a user who is called as the attacker",
            ours(json!({ "sub": "reports", "client_id": "web" })),
            ActorNotCarried,
        ),
        (
            "a user who was sent to the attacker",
            ours(json!({ "sub": "carol", "client_id": "reports" })),
            ActorNotCarried,
        ),
        (
            "a bound one, without its key",
            ours(json!({ "sub": "reports", "client_id": "reports", "cnf": { "jkt": "x" } })),
            TokenSenderConstrained,
        ),
    ] {
        ask("reports", &subject).actor(&token, declared).refused(&mut world, reason, why).await;
    }
    let honest = ask("reports", &subject).actor(&itself(&own, "reports"), ACCESS_TOKEN);
    assert_eq!(honest.claims(&mut world, "its own").await["act"], json!({ "sub": "reports" }));
    let platform = ask("orders", &own.access_token(json!({}))).actor(&foreign("agent-7").0, JWT);
    assert_eq!(platform.claims(&mut world, "the platform for its agent").await["act"], agent());
}

/// Attack: `billing` was called with a token in which `orders` acts for alice. `billing` presents this token as an actor
/// token, to act for bob as alice or as `orders`.
#[tokio::test]
async fn th_05_a_delegated_token_is_no_actor_token() {
    use Reason::*;
    let carrier = |client: Client| {
        client
            .allow_actor(Party::new(AS, "alice"))
            .allow_actor(Party::new(AS, "orders"))
            .allow_actor(Party::new(PARTNER, "agent-7"))
    };
    let partner = partner();
    let record = partner_record(&partner).allow_actor_tokens().trust_act().allow_presenters(["orders", "billing"]);
    let rules = || [anything().actors(Actors::any())];
    let plan = plan_with(changing("billing", carrier), same);
    let mut world = plan.with(|builder| builder.issuers([record]).rules(rules())).start().await;
    let own = world.own.clone();
    let delegated = ask("orders", &own.access_token(json!({}))).token(&mut world, "orders for alice").await;
    let bob = own.access_token(json!({ "sub": "bob", "aud": BILLING }));
    let attack = |token: &str, declared: &str| ask("billing", &bob).at("ledger").actor(token, declared);

    let null_act = json!({
        "iss": AS, "sub": "alice", "aud": BILLING, "exp": NOW + 60, "iat": NOW, "client_id": "web", "act": null,
    });
    let typed = |typ: &str| signed(&partner, typ, &segment(&partner.foreign(json!({ "sub": "agent-7" })), 1));
    for (why, token, declared, reason) in [
        ("the token that it was called with", delegated, ACCESS_TOKEN, ActorDelegated),
        ("an `act` of nothing", signed(&own, "at+jwt", &null_act), ACCESS_TOKEN, ActorDelegated),
        ("a foreign one", partner.foreign(json!({ "sub": "agent-7", "act": { "sub": "x" } })), JWT, ActorDelegated),
        ("an ID token", partner.foreign(json!({ "sub": "agent-7" })), ID_TOKEN, ActorTokenTypeUnsupported),
        ("a refresh token", own.access_token(json!({})), REFRESH_TOKEN, ActorTokenTypeUnsupported),
        ("an ID-JAG", typed("oauth-id-jag+jwt"), JWT, TokenTypeConfused),
        ("a client's assertion", typed("client-authentication+jwt"), JWT, TokenTypeConfused),
    ] {
        attack(&token, declared).refused(&mut world, reason, why).await;
    }
    let plain = [(own.access_token(json!({})), ACCESS_TOKEN), (partner.foreign(json!({ "sub": "agent-7" })), JWT)];
    for (token, declared) in plain {
        attack(&token, declared).token(&mut world, "the same credentials without `act`").await;
    }
}

/// Attack: the subject and the actor change places or are the same party, so alice acts for herself or for the agent.
#[tokio::test]
async fn th_06_subject_and_actor_do_not_change_places() {
    use Reason::*;
    let partner = partner();
    let idle = Minter::new("https://idle.example", Algorithm::ES256);
    // The client may present every actor. Only the rules for subjects and actors stop the attack.
    let greedy = |client: Client| {
        platform(client)
            .allow_actor(Party::new(AS, "alice"))
            .allow_actor(Party::new(AS, "partner|bob"))
            .allow_actor(Party::new(PARTNER, "bob"))
    };
    let records = [
        partner_record(&partner).allow_actor_tokens(),
        Issuer::new(idle.iss)
            .keys(idle.keys())
            .map_subjects(SubjectMapping::Prefix("idle|".into()))
            .allow_presenters(["orders"]),
    ];
    let plan = plan_with(changing("orders", greedy), same);
    let rules = || [anything().actors(Actors::any())];
    let mut world = plan.with(|builder| builder.issuers(records).rules(rules())).start().await;
    let own = world.own.clone();
    let alice = own.access_token(json!({}));
    let bob = partner.foreign(json!({}));
    let bob_of_ours = own.access_token(json!({ "sub": "partner|bob", "exchanged_from": exchanged_from(PARTNER) }));
    let orders = itself(&own, "orders");
    let seven = partner.foreign(json!({ "sub": "agent-7" }));
    let user_only = idle.foreign(json!({ "sub": "agent-7" }));
    for (why, attack, reason) in [
        ("the same token twice", ask("orders", &alice).actor(&alice, ACCESS_TOKEN), ActorIsSubject),
        (
            "another token of the same user",
            { ask("orders", &alice).actor(&own.access_token(json!({ "client_id": "app" })), ACCESS_TOKEN) },
            ActorIsSubject,
        ),
        ("a foreign user twice", ask_foreign("orders", &bob).actor(&bob, JWT), ActorIsSubject),
        (
            "the name there and the name here",
            ask_foreign("orders", &bob).actor(&bob_of_ours, ACCESS_TOKEN),
            ActorIsSubject,
        ),
        ("the name here and the name there", ask("orders", &bob_of_ours).actor(&bob, JWT), ActorIsSubject),
        ("the client for itself", ask("orders", &orders), ActorIsSubject),
        ("the client for itself, shown twice", ask("orders", &orders).actor(&orders, ACCESS_TOKEN), ActorIsSubject),
        // An issuer of users is not an issuer of actors.
        ("an issuer of users only", ask("orders", &alice).actor(&user_only, JWT), ActorIssuerNotTrusted),
        // The agent's token is the subject token, and a user's token is the actor token.
        (
            "swapped",
            { ask_foreign("orders", &seven).actor(&own.access_token(json!({ "sub": "bob" })), ACCESS_TOKEN) },
            ActorNotCarried,
        ),
    ] {
        attack.refused(&mut world, reason, why).await;
    }
    let honest = ask("orders", &alice).actor(&seven, JWT).claims(&mut world, "each in its place").await;
    assert_eq!((&honest["sub"], &honest["act"]), (&json!("alice"), &agent()));
}

/// Attack: `billing` was called with a token in which `orders` acts for alice. `billing` has the permission to
/// impersonate, and tries every request that could remove the chain.
#[tokio::test]
async fn th_07_a_chain_is_never_stripped() {
    use Reason::*;
    let may_impersonate = || [anything(), anything().impersonation()];
    let only_impersonate = || [anything().impersonation()];
    let by_service = tower::service_fn(|_: Query| async { Ok::<_, std::io::Error>(Decision::impersonate()) });
    let records =
        changing("billing", |client| client.allow_jwt_output().allow_several_audiences().allow_self_exchange());
    let plan = || plan_with(records, same);
    let alice = json!({ "aud": BILLING });
    let delegated = json!({ "aud": BILLING, "act": { "sub": "orders" } });

    // If a rule allows both semantics, the issued token names all actors.
    let mut world = plan().with(|builder| builder.rules(may_impersonate())).start().await;
    let own = world.own.clone();
    let token = ask("orders", &own.access_token(json!({}))).token(&mut world, "orders for alice").await;
    let full = json!({ "sub": "billing", "act": { "sub": "orders" } });
    let hop = ask("billing", &token).at("ledger");
    let no_actor = hop.clone().set("actor_token", "").set("actor_token_type", "");
    for (why, attack) in [
        ("asked again", hop.clone()),
        ("with an empty actor", no_actor),
        ("as another kind of token", hop.clone().set("requested_token_type", JWT)),
        ("by parameters that nobody knows", hop.clone().set("act", "{}").set("semantics", "impersonation")),
        ("with itself as the actor", hop.clone().actor(&itself(&own, "billing"), ACCESS_TOKEN)),
    ] {
        assert_eq!(attack.claims(&mut world, why).await["act"], full, "{why}");
    }

    let refusing =
        [plan().with(|builder| builder.rules(only_impersonate())), plan().with(|builder| builder.policy(by_service))];
    for plan in refusing {
        let mut world = plan.start().await;
        let own = world.own.clone();
        let cases = [
            ("a chain", delegated.clone(), ImpersonationImpossible),
            ("a chain of itself only", json!({ "aud": BILLING, "act": { "sub": "billing" } }), ImpersonationImpossible),
            ("a chain with nobody in it", json!({ "aud": BILLING, "act": {} }), ChainMalformed),
            ("a chain in an array", json!({ "aud": BILLING, "act": [{ "sub": "orders" }] }), ChainMalformed),
            ("a chain as text", json!({ "aud": BILLING, "act": "orders" }), ChainMalformed),
        ];
        for (why, changes, reason) in cases {
            ask("billing", &own.access_token(changes)).at("ledger").refused(&mut world, reason, why).await;
        }
        let attack = ask("billing", &own.access_token(alice.clone())).at("ledger");
        let named = attack.clone().actor(&itself(&own, "billing"), ACCESS_TOKEN);
        named.refused(&mut world, ImpersonationImpossible, "an actor token and no `act`").await;
        let claims = attack.claims(&mut world, "nobody acted before").await;
        assert_eq!((claims.get("act"), &claims["sub"]), (None, &json!("alice")));
    }
}

/// Attack: a foreign issuer invents the actors in its tokens, to look trustworthy or to match a rule about actors.
#[tokio::test]
async fn th_08_an_invented_chain_gains_nothing() {
    use Reason::*;
    let by_billing = || {
        Rule::allow(Names::any(), Subjects::any(), "billing")
            .actors(Actors::parties([Party::new(AS, "billing"), Party::new(PARTNER, "agent-7")]))
            .scopes(Names::any())
    };
    let chains = [
        json!({ "iss": AS, "sub": "billing" }),
        json!({ "sub": "agent-7" }),
        json!({ "sub": "x", "act": { "iss": AS, "sub": "billing" } }),
        json!({ "iss": AS, "sub": "orders", "act": { "iss": AS, "sub": "billing" } }),
    ];
    let partner = partner();

    // The issuer is not trusted for actors: the token is refused, and not only its chain ignored.
    let mut world =
        plan().with(|builder| builder.issuers([partner_record(&partner)]).rules([anything()])).start().await;
    for act in chains.iter().chain(&[json!({}), json!("billing"), json!([])]) {
        let token = partner.foreign(json!({ "act": act }));
        ask_foreign("orders", &token).refused(&mut world, ChainNotTrusted, &act.to_string()).await;
    }
    ask_foreign("orders", &partner.foreign(json!({}))).token(&mut world, "without a chain").await;

    // The issuer is trusted for actors: prior actors decide nothing, and a malformed chain is refused.
    let record = partner_record(&partner).trust_act().allow_actor_tokens();
    let with_agents = plan_with(changing("orders", platform), same).with(|builder| builder.rules([by_billing()]));
    let mut world = with_agents.with(|builder| builder.issuers([record.clone()])).start().await;
    let seven = partner.foreign(json!({ "sub": "agent-7" }));
    let now = ask_foreign("orders", &partner.foreign(json!({}))).actor(&seven, JWT);
    assert_eq!(now.claims(&mut world, "the agent, here and now").await["act"], agent());
    for act in &chains {
        let token = partner.foreign(json!({ "act": act }));
        ask_foreign("orders", &token).refused(&mut world, PolicyNoRule, &act.to_string()).await;
    }
    let mut world = plan().with(|builder| builder.issuers([record]).rules([anything()])).start().await;
    for (why, act) in [
        ("rights inside", json!({ "sub": "gateway", "scope": "admin" })),
        ("a key inside", json!({ "sub": "gateway", "cnf": { "jkt": "x" } })),
        ("nobody inside", json!({ "iss": AS })),
        ("a nothing behind", json!({ "sub": "gateway", "act": null })),
    ] {
        let token = partner.foreign(json!({ "act": act }));
        ask_foreign("orders", &token).refused(&mut world, ChainMalformed, why).await;
    }
    // A foreign name does not become a name of our own issuer.
    let token = partner.foreign(json!({ "act": { "sub": "billing" } }));
    let act = ask_foreign("orders", &token).claims(&mut world, "kept whole").await["act"].clone();
    assert_eq!(act, json!({ "sub": "orders", "act": { "iss": PARTNER, "sub": "billing" } }));
}

/// Attack: services call each other in a circle or in an endless line, and each exchange makes the token longer.
#[tokio::test]
async fn th_09_a_chain_has_no_circle_and_a_bound() {
    use Reason::*;
    let line = ["a", "b", "c", "d", "e", "f"];
    let mut world = mesh(line).start().await;
    let own = world.own.clone();
    let alice = own.access_token(json!({ "aud": "a" }));
    let mut token = alice.clone();
    for hop in line.windows(2).take(4) {
        token = ask(hop[0], &token).at(hop[1]).token(&mut world, "the next in line").await;
    }
    assert_eq!(segment(&token, 1)["act"], chain(&["d", "c", "b", "a"]));
    ask("e", &token).at("f").refused(&mut world, ChainTooDeep, "the fifth in line").await;

    let there = ask("a", &alice).at("b").token(&mut world, "there").await;
    let back = ask("b", &there).at("a").token(&mut world, "and back").await;
    ask("a", &back).at("b").refused(&mut world, ActorRepeated, "and there again").await;
    ask("a", &back).at("c").refused(&mut world, ActorRepeated, "and on").await;

    // Values that are not chains.
    let bomb = |depth: usize| {
        let (open, close) = (r#"{"sub":"x","act":"#.repeat(depth), "}".repeat(depth));
        let plain = segment(&alice, 1).to_string();
        let claims = format!(r#"{},"act":{open}{{"sub":"x"}}{close}}}"#, &plain[..plain.len() - 1]);
        own.sign_text(&own.header("at+jwt").to_string(), &claims)
    };
    for (depth, reason) in
        [(4, ChainTooDeep), (10, ChainTooDeep), (20, TokenClaimsMalformed), (2_000, TokenClaimsMalformed)]
    {
        ask("a", &bomb(depth)).at("b").refused(&mut world, reason, &format!("{depth} more inside")).await;
    }
    ask("a", &bomb(2)).at("b").token(&mut world, "three and the current one").await;
    for (actor, reason) in [
        (json!({ "sub": "x".repeat(5_000) }), ChainMalformed),
        (json!({ "sub": "x", "name": "x".repeat(5_000) }), ChainTooDeep),
        (json!({ "sub": "x", "name": "x".repeat(40_000) }), ChainTooDeep),
    ] {
        let wide = own.access_token(json!({ "aud": "a", "act": actor }));
        ask("a", &wide).at("b").refused(&mut world, reason, "one wide actor").await;
    }
}

/// Attack: a client without the permission to impersonate tries to become alice.
#[tokio::test]
async fn th_10_impersonation_is_never_the_default() {
    let mut world = plan().start().await;
    let own = world.own.clone();
    let honest = ask("orders", &own.access_token(json!({})));
    let asked = |name: &str, value: &str| honest.clone().set(name, value);
    for (why, attack) in [
        ("only asking", honest.clone()),
        ("asking for it", asked("semantics", "impersonation")),
        ("asking for no actor", asked("act", "null")),
        ("taking the client out", asked("requested_actor", "")),
        (
            "with a subject that says who may act",
            ask("orders", &own.access_token(json!({ "may_act": { "sub": "orders" } }))),
        ),
        ("with a token that was issued to it", ask("orders", &own.access_token(json!({ "client_id": "orders" })))),
    ] {
        let reply = attack.send(&world).await;
        let event = world.event().await;
        assert_eq!(reply.claims()["act"], json!({ "sub": "orders" }), "{why}");
        assert_eq!((event.semantics, event.act_depth), (Some(Semantics::Delegation), Some(1)), "{why}");
    }

    // The permission is for one client, one subject and one target.
    let for_alice = || {
        Rule::allow("orders", Subjects::of_issuer(AS).named(["alice"]), "billing").scopes(Names::any()).impersonation()
    };
    let targets = |targets| {
        let mut targets = open_billing(targets);
        targets.push(Target::new("archive").allow_clients(["orders"]).scopes(["read"]));
        targets
    };
    let mut world = plan_with(same, targets).with(|builder| builder.rules([for_alice()])).start().await;
    let own = world.own.clone();
    let alice = own.access_token(json!({}));
    for (why, attack) in [
        ("another subject", ask("orders", &own.access_token(json!({ "sub": "bob" })))),
        ("another target", ask("orders", &alice).at("archive")),
        ("another client", ask("reports", &own.access_token(json!({ "aud": "reports" })))),
    ] {
        attack.refused(&mut world, Reason::PolicyNoRule, why).await;
    }
    let reply = ask("orders", &alice).send(&world).await;
    let event = world.event().await;
    assert_eq!((event.semantics, event.act_depth), (Some(Semantics::Impersonation), Some(0)), "the audit tells it");
    assert_eq!((reply.claims().get("act"), &reply.claims()["sub"]), (None, &json!("alice")));
}

/// Attack: `may_act` names a permitted actor. The attacker finds, forges, inherits or extends a `may_act`.
#[tokio::test]
async fn th_11_may_act_permits_only_the_named_actor() {
    use Reason::*;
    let partner = partner();
    let record = |partner: &Minter| {
        partner_record(partner).map_client("reports-there", "reports").map_client("orders-there", "orders")
    };
    let names = |sub: &str| json!({ "may_act": { "sub": sub } });

    // An issuer that is not trusted for `may_act` names the attacker.
    let untrusted = || plan_with(same, open_billing).with(|builder| builder.issuers([record(&partner)]));
    let mut world = untrusted().start().await;
    let token = partner.foreign(names("reports-there"));
    ask_foreign("reports", &token).refused(&mut world, PresenterUnrelated, "an issuer that may not").await;

    let trusted = || plan_with(same, open_billing).with(|builder| builder.issuers([record(&partner).trust_may_act()]));
    let mut world = trusted().start().await;
    let own = world.own.clone();
    ask_foreign("reports", &token).token(&mut world, "an issuer that may").await;
    let ours = |changes: Value| own.access_token(changed(json!({ "aud": BILLING }), changes));
    for (why, attack, reason) in [
        (
            "a name of theirs that looks like ours",
            ask_foreign("reports", &partner.foreign(names("reports"))),
            MayActMismatch,
        ),
        ("named there, not here", ask("reports", &ours(names("reports-there"))), MayActMismatch),
        (
            "another issuer's",
            ask("reports", &ours(json!({ "may_act": { "iss": PARTNER, "sub": "reports" } }))),
            MayActMismatch,
        ),
        (
            "half of it",
            ask("reports", &ours(json!({ "may_act": { "sub": "reports", "client_id": "orders" } }))),
            MayActMismatch,
        ),
        (
            "a promise beside",
            ask("reports", &ours(json!({ "may_act": { "sub": "reports", "role": "x" } }))),
            MayActMismatch,
        ),
        (
            "a list",
            ask("reports", &ours(json!({ "may_act": [{ "sub": "orders" }, { "sub": "reports" }] }))),
            MayActMalformed,
        ),
        ("everybody", ask("reports", &ours(json!({ "may_act": {} }))), MayActMalformed),
        ("a pattern", ask("reports", &ours(json!({ "may_act": { "sub": "*" } }))), MayActMismatch),
        ("named, but another presents", ask("orders", &own.access_token(names("reports"))), MayActMismatch),
        (
            "one level down",
            ask("reports", &ours(json!({ "act": { "sub": "orders", "may_act": { "sub": "reports" } } }))),
            PresenterUnrelated,
        ),
    ] {
        attack.refused(&mut world, reason, why).await;
    }

    // The permission is used up: the client that receives the issued token cannot use `may_act` again.
    let named = ask("reports", &ours(names("reports")));
    let claims = named.claims(&mut world, "named").await;
    assert_eq!((claims.get("may_act"), &claims["act"]), (None, &json!({ "sub": "reports" })));
    let issued = named.token(&mut world, "named").await;
    ask("reports", &issued).refused(&mut world, PresenterUnrelated, "inherited").await;

    // `may_act` does not replace the policy.
    let deny = || Rule::deny("reports", Subjects::any(), "billing");
    for (rules, reason) in [(vec![anything(), deny()], PolicyDenied), (vec![], PolicyNoRule)] {
        let mut world = trusted().with(|builder| builder.rules(rules)).start().await;
        let token = world.own.access_token(changed(json!({ "aud": BILLING }), names("reports")));
        ask("reports", &token).refused(&mut world, reason, "against a denial").await;
    }
}
