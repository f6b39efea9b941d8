//! One party has one set of names, and two parties never share a name: at every hop, for subjects and for actors.

use crate::support::*;
use http::StatusCode;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::{Duration, UNIX_EPOCH},
};
use tower_token_exchange::{
    Client, GRANT_TYPE, Issuer, Reason, Target, TokenExchangeLayer, TokenType,
    limits::{Limits, Rate},
    policy::{Actors, Names, Rule, Subjects},
    records::{Party, SubjectMapping},
    signing::Algorithm,
    status::{Status, StatusQuery},
};

/// The name of a token in a form, and its type.
type Declared<'a> = (&'a str, &'a str);

/// Exchanges a token as a client for a target, with or without an actor token. Returns the issued token and its claims.
async fn hop(
    world: &mut World,
    (client, target): (&str, &str),
    subject: Declared<'_>,
    actor: Option<Declared<'_>>,
) -> Result<(String, Value), Reason> {
    let mut form = vec![
        ("grant_type", GRANT_TYPE),
        ("subject_token", subject.0),
        ("subject_token_type", subject.1),
        ("audience", target),
    ];
    if let Some((token, token_type)) = actor {
        form.extend([("actor_token", token), ("actor_token_type", token_type)]);
    }
    let reply = world.post_as(client, &form).await;
    match world.reason().await {
        None => {
            assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
            Ok((reply.json()["access_token"].as_str().unwrap().to_owned(), reply.claims()))
        }
        Some(reason) => Err(reason),
    }
}

const FIRST: (&str, &str) = ("orders", "billing");
const SECOND: (&str, &str) = ("billing", "ledger");

/// The foreign issuer of most tests: `orders` presents its tokens, also ID tokens and actor tokens.
fn idp_record(idp: &Minter) -> Issuer {
    Issuer::new(IDP)
        .keys(idp.keys())
        .map_subjects(SubjectMapping::Prefix("idp|".into()))
        .map_client("reports-there", "reports")
        .map_client("orders-there", "orders")
        .accept_types([TokenType::JWT, TokenType::ID_TOKEN])
        .allow_presenters(["orders"])
        .allow_actor_tokens()
}

/// Every delegation within the records is allowed, except what the rules deny.
fn plan_of(idp_record: impl FnOnce(&Minter) -> Issuer, rules: Vec<Rule>) -> Plan {
    let (own, idp) = (Minter::new(AS, Algorithm::ES256), Minter::new(IDP, Algorithm::ES256));
    let client = |id: &str| Client::new(id).secret(secret_of(id));
    let carried = [(IDP, "agent"), (AS, "idp|agent"), (AS, "reports")];
    let orders = client("orders").scopes_for_scopeless_subjects(TokenType::ID_TOKEN, ["read"]);
    let orders = carried.into_iter().fold(orders, |client, (iss, name)| client.allow_actor(Party::new(iss, name)));
    let target = |id: &str| Target::new(id).audience_claim(format!("https://{id}.example")).scopes(["read"]);
    let allow = Rule::allow(Names::any(), Subjects::any().or_clients(), Names::any())
        .actors(Actors::any())
        .scopes(Names::any());
    let builder = TokenExchangeLayer::builder(AS)
        .clock(|| UNIX_EPOCH + Duration::from_secs(NOW))
        .clients([orders, client("billing"), client("reports")])
        .targets([
            target("orders").served_by("orders"),
            target("billing").served_by("billing").allow_clients(["orders"]),
            target("ledger").allow_clients(["billing"]),
        ])
        .issuers([idp_record(&idp)])
        .rules([allow].into_iter().chain(rules))
        .signer(own.key.clone());
    Plan { own, idp, builder }
}

fn deny(iss: &str, sub: &str, target: &str) -> Rule {
    Rule::deny(Names::any(), Subjects::of_issuer(iss).named([sub]), target)
}

#[tokio::test]
async fn a_deny_matches_every_name_at_every_hop() {
    let of_bob = [(IDP, "bob"), (AS, "idp|bob")];
    let of_reports = [(IDP, "reports-there"), (AS, "idp|reports-there"), (AS, "reports")];
    for (sub, names) in [("bob", &of_bob[..]), ("reports-there", &of_reports[..])] {
        for (iss, name) in names {
            let mut world = plan_of(idp_record, vec![deny(iss, name, "billing")]).start().await;
            let token = world.idp.foreign(json!({ "sub": sub }));
            let first = hop(&mut world, FIRST, (&token, JWT), None).await.map(drop);
            assert_eq!(first, Err(Reason::PolicyDenied), "{name} of {iss} at the first hop");

            let mut world = plan_of(idp_record, vec![deny(iss, name, "ledger")]).start().await;
            let token = world.idp.foreign(json!({ "sub": sub }));
            let (issued, _) = hop(&mut world, FIRST, (&token, JWT), None).await.unwrap();
            let second = hop(&mut world, SECOND, (&issued, ACCESS_TOKEN), None).await.map(drop);
            assert_eq!(second, Err(Reason::PolicyDenied), "{name} of {iss} at the second hop");
        }
    }
    for (iss, name) in [(AS, "bob"), (IDP, "idp|bob"), (AS, "orders"), (IDP, "carol")] {
        let rules = vec![deny(iss, name, "billing"), deny(iss, name, "ledger")];
        let mut world = plan_of(idp_record, rules).start().await;
        let token = world.idp.foreign(json!({}));
        let (issued, _) = hop(&mut world, FIRST, (&token, JWT), None).await.unwrap();
        let second = hop(&mut world, SECOND, (&issued, ACCESS_TOKEN), None).await;
        assert!(second.is_ok(), "{name} of {iss} is somebody else: {second:?}");
    }
}

#[tokio::test]
async fn a_deny_by_type_matches_at_every_hop() {
    let of_type = |token_type| vec![Rule::deny(Names::any(), Subjects::any().of_type(token_type), "ledger")];
    for (denied, expected) in [
        (TokenType::ID_TOKEN, Err(Reason::PolicyDenied)),
        (TokenType::ACCESS_TOKEN, Err(Reason::PolicyDenied)),
        (TokenType::JWT, Ok(())),
    ] {
        let mut world = plan_of(idp_record, of_type(denied.clone())).start().await;
        let token = world.idp.foreign(json!({ "aud": "orders-there", "scope": null }));
        let first = hop(&mut world, FIRST, (&token, ID_TOKEN), None).await;
        let Ok((issued, _)) = first else { panic!("{denied}: {first:?}") };
        let second = hop(&mut world, SECOND, (&issued, ACCESS_TOKEN), None).await.map(drop);
        assert_eq!(second, expected, "{denied}");
    }
}

#[tokio::test]
async fn two_parties_never_share_a_name() {
    let mut world = plan_of(idp_record, vec![]).start().await;
    let foreign = world.idp.foreign(json!({}));
    let (issued, claims) = hop(&mut world, FIRST, (&foreign, JWT), None).await.unwrap();
    assert_eq!((&claims["sub"], &claims["exchanged_from"]["iss"]), (&json!("idp|bob"), &json!(IDP)));
    let (_, claims) = hop(&mut world, SECOND, (&issued, ACCESS_TOKEN), None).await.unwrap();
    assert_eq!((&claims["sub"], &claims["exchanged_from"]["iss"]), (&json!("idp|bob"), &json!(IDP)));

    // A user of our own issuer with the name of the foreign user.
    let namesake = world.own.access_token(json!({ "sub": "idp|bob" }));
    let own = hop(&mut world, FIRST, (&namesake, ACCESS_TOKEN), None).await.map(drop);
    assert_eq!(own, Err(Reason::TokenOriginMissing), "as the subject");
    let alice = world.own.access_token(json!({}));
    let agent = world.own.access_token(json!({ "sub": "idp|agent" }));
    let acting = hop(&mut world, FIRST, (&alice, ACCESS_TOKEN), Some((&agent, ACCESS_TOKEN))).await.map(drop);
    assert_eq!(acting, Err(Reason::TokenOriginMissing), "as the actor");

    let (_, claims) = hop(&mut world, FIRST, (&alice, ACCESS_TOKEN), None).await.unwrap();
    assert_eq!(claims.get("exchanged_from"), None, "an own user from an access token");
}

#[tokio::test]
async fn an_origin_fits_the_subject() {
    let mut world = plan_of(idp_record, vec![]).start().await;
    let types = json!([JWT]);
    let invalid = Err(Reason::TokenOriginInvalid);
    let cases = [
        ("idp|bob", json!({ "iss": IDP, "token_types": types }), Ok(())),
        ("idp|bob", json!({ "iss": IDP, "sub": "bob", "token_types": types }), invalid),
        ("idp|bob", json!({ "iss": IDP, "sub": "carol", "token_types": types }), invalid),
        ("idp|bob", json!({ "iss": "https://gone.example", "token_types": types }), invalid),
        ("idp|bob", json!({ "sub": "bob", "token_types": types }), invalid),
        ("idp|bob", json!({ "iss": IDP }), invalid),
        ("idp|bob", json!({ "iss": IDP, "token_types": [7] }), invalid),
        ("idp|bob", json!({ "iss": 7, "token_types": types }), invalid),
        ("idp|bob", json!(IDP), invalid),
        ("idp|bob", json!(null), invalid),
        ("idp|bob", json!({ "token_types": types }), Err(Reason::TokenOriginMissing)),
        ("alice", json!({ "token_types": types }), Ok(())),
        ("alice", json!({ "iss": IDP, "token_types": types }), invalid),
        ("alice", json!({ "iss": AS, "token_types": types }), invalid),
        ("orders", json!({ "iss": IDP, "sub": "orders-there", "token_types": types }), invalid),
    ];
    for (sub, stated, expected) in cases {
        let mut claims = segment(&world.own.access_token(json!({ "sub": sub })), 1);
        claims["exchanged_from"] = stated.clone();
        let token = world.own.sign(&world.own.header("at+jwt"), &claims);
        let outcome = hop(&mut world, FIRST, (&token, ACCESS_TOKEN), None).await.map(drop);
        assert_eq!(outcome, expected, "{sub} {stated}");
    }
}

#[tokio::test]
async fn only_the_layer_states_an_origin() {
    let stated = json!({ "sub": "idp|bob", "exchanged_from": exchanged_from(IDP) });
    // The server behind the layer has the same issuer identifier and other keys.
    let server = Minter::new(AS, Algorithm::ES256);
    let of_server = Issuer::new(AS).keys(server.keys());
    let mut world = plan_of(idp_record, vec![]).with(|builder| builder.issuers([of_server])).start().await;
    let from_server = server.access_token(stated.clone());
    let outcome = hop(&mut world, FIRST, (&from_server, ACCESS_TOKEN), None).await.map(drop);
    assert_eq!(outcome, Err(Reason::TokenOriginMissing), "the server behind the layer");
    let by_layer = world.own.access_token(stated.clone());
    assert!(hop(&mut world, FIRST, (&by_layer, ACCESS_TOKEN), None).await.is_ok());

    // A foreign issuer states nothing by this claim, also about the types.
    let of_type = Rule::deny(Names::any(), Subjects::any().of_type(TokenType::ID_TOKEN), Names::any());
    let mut world = plan_of(idp_record, vec![of_type]).start().await;
    let elsewhere = json!({ "iss": "https://other.example", "token_types": [ID_TOKEN] });
    let foreign = world.idp.foreign(json!({ "exchanged_from": elsewhere }));
    let (_, claims) = hop(&mut world, FIRST, (&foreign, JWT), None).await.unwrap();
    assert_eq!(claims["exchanged_from"], exchanged_from(IDP));

    let target = Target::new("copies").scopes(["read"]).claims(["exchanged_from"]);
    let error = plan().with(|builder| builder.targets([target])).builder.build().unwrap_err().to_string();
    assert!(error.contains("cannot repeat the claim `exchanged_from`"), "{error}");
}

/// The mapped name does not show the name that the issuer uses.
#[tokio::test]
async fn a_claim_mapped_subject_keeps_its_first_name() {
    let by_email = |idp: &Minter| idp_record(idp).map_subjects(SubjectMapping::Claim("login".into()));
    let names = [(IDP, "u-7", true), (AS, "bob@here", true), (IDP, "bob@here", false), (AS, "u-7", false)];
    for (iss, name, is_denied) in names {
        for target in ["billing", "ledger"] {
            let plan = plan_of(by_email, vec![deny(iss, name, target)]);
            let mut world = plan.with(|builder| builder.federated_subjects_only()).start().await;
            let token = world.idp.foreign(json!({ "sub": "u-7", "login": "bob@here" }));
            let outcome = match hop(&mut world, FIRST, (&token, JWT), None).await {
                Ok((issued, _)) => hop(&mut world, SECOND, (&issued, ACCESS_TOKEN), None).await.map(drop),
                Err(reason) => Err(reason),
            };
            assert_eq!(outcome.is_err(), is_denied, "{name} of {iss} at {target}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn a_deny_matches_actors_under_every_name() {
    let of_agent = [(IDP, "agent"), (AS, "idp|agent")];
    let of_reports = [(AS, "reports"), (IDP, "reports-there"), (AS, "idp|reports-there")];
    for (actor, names) in [("agent", &of_agent[..]), ("reports-there", &of_reports[..])] {
        for (iss, name) in names {
            for target in ["billing", "ledger"] {
                let actors = Actors::parties([Party::new(*iss, *name)]);
                let rule = Rule::deny(Names::any(), Subjects::any(), target).actors(actors);
                let mut world = plan_of(idp_record, vec![rule]).start().await;
                let (alice, acting) = (world.own.access_token(json!({})), world.idp.foreign(json!({ "sub": actor })));
                let first = hop(&mut world, FIRST, (&alice, ACCESS_TOKEN), Some((&acting, JWT))).await;
                let outcome = match first {
                    Ok((issued, _)) => hop(&mut world, SECOND, (&issued, ACCESS_TOKEN), None).await.map(drop),
                    Err(reason) => Err(reason),
                };
                assert_eq!(outcome, Err(Reason::PolicyDenied), "{name} of {iss} at {target}");
            }
        }
    }
}

/// An actor whose token an exchange issued is the same actor as before that exchange.
#[tokio::test]
async fn an_actor_has_one_name_in_act() {
    let mut world = plan_of(idp_record, vec![]).start().await;
    let alice = world.own.access_token(json!({}));
    let issued = world.own.access_token(json!({ "sub": "idp|agent", "exchanged_from": exchanged_from(IDP) }));
    let foreign = world.idp.foreign(json!({ "sub": "agent" }));
    for actor in [(&*issued, ACCESS_TOKEN), (&*foreign, JWT)] {
        let (_, claims) = hop(&mut world, FIRST, (&alice, ACCESS_TOKEN), Some(actor)).await.unwrap();
        assert_eq!(claims["act"], json!({ "iss": IDP, "sub": "agent" }));
    }
    // An earlier actor acts again, under its other name.
    let act = json!({ "sub": "web", "act": { "iss": IDP, "sub": "agent" } });
    let acted = world.own.access_token(json!({ "act": act }));
    let again = hop(&mut world, FIRST, (&acted, ACCESS_TOKEN), Some((&issued, ACCESS_TOKEN))).await.map(drop);
    assert_eq!(again, Err(Reason::ActorRepeated));
}

#[tokio::test]
async fn a_status_check_sees_every_name() {
    let asked: Arc<Mutex<Vec<StatusQuery>>> = Arc::default();
    let log = Arc::clone(&asked);
    let check = tower::service_fn(move |query: StatusQuery| {
        log.lock().unwrap().push(query);
        async { Ok::<_, Infallible>(Status::Good) }
    });
    let mut world = plan_of(idp_record, vec![]).with(|builder| builder.status(check)).start().await;
    let (token, acting) = (world.idp.foreign(json!({})), world.idp.foreign(json!({ "sub": "agent" })));
    let (issued, _) = hop(&mut world, FIRST, (&token, JWT), Some((&acting, JWT))).await.unwrap();
    hop(&mut world, SECOND, (&issued, ACCESS_TOKEN), None).await.unwrap();
    let asked = asked.lock().unwrap();
    for query in asked.iter() {
        let names: Vec<_> = query.subject_other_names.iter().chain([&query.subject]).collect();
        assert!(names.contains(&&Party::new(IDP, "bob")) && names.contains(&&Party::new(AS, "idp|bob")), "{query:?}");
    }
    assert_eq!((asked.len(), &asked[0].actor_other_names[..]), (2, &[Party::new(AS, "idp|agent")][..]));
}

#[tokio::test]
async fn an_event_names_the_subject_at_its_issuer() {
    let mut world = plan_of(idp_record, vec![]).start().await;
    let token = world.idp.foreign(json!({}));
    let exchanged = world.own.access_token(json!({ "sub": "idp|bob", "exchanged_from": exchanged_from(IDP) }));
    let own = world.own.access_token(json!({}));
    for (subject, token_type, named, origin) in [
        (&token, JWT, Party::new(IDP, "bob"), None),
        (&exchanged, ACCESS_TOKEN, Party::new(AS, "idp|bob"), Some(Party::new(IDP, "bob"))),
        (&own, ACCESS_TOKEN, Party::new(AS, "alice"), None),
    ] {
        let form = exchange_form(subject, &[]).into_iter();
        let form: Vec<_> =
            form.map(|(name, value)| (name, if name == "subject_token_type" { token_type } else { value })).collect();
        assert_eq!(world.post_as("orders", &form).await.status, StatusCode::OK);
        let event = world.event().await;
        assert_eq!((event.subject, event.subject_origin), (Some(named), origin));
    }
}

#[tokio::test]
async fn a_subject_has_one_budget_under_every_name() {
    let limits = Limits::none().exchanges_per_subject(Rate::per_hour(1));
    let mut world = plan_of(idp_record, vec![]).with(|builder| builder.limits(limits)).start().await;
    let bob = world.idp.foreign(json!({}));
    let (issued, _) = hop(&mut world, FIRST, (&bob, JWT), None).await.unwrap();
    let again = hop(&mut world, SECOND, (&issued, ACCESS_TOKEN), None).await.map(drop);
    assert_eq!(again, Err(Reason::SubjectRateLimited));
    let carol = world.idp.foreign(json!({ "sub": "carol" }));
    assert!(hop(&mut world, FIRST, (&carol, JWT), None).await.is_ok());
}

#[tokio::test]
async fn an_explanation_tells_every_name() {
    let mut world = plan_of(idp_record, vec![]).start().await;
    let token = world.idp.foreign(json!({}));
    let (issued, _) = hop(&mut world, FIRST, (&token, JWT), None).await.unwrap();
    let form = |subject: &str, token_type: &str, target: &str| {
        encode(&[
            ("grant_type", GRANT_TYPE),
            ("subject_token", subject),
            ("subject_token_type", token_type),
            ("audience", target),
        ])
    };
    let cases = [
        ("orders", form(&token, JWT, "billing"), format!("idp|bob of {AS}"), None),
        ("billing", form(&issued, ACCESS_TOKEN, "ledger"), format!("bob of {IDP}"), Some(JWT)),
    ];
    for (client, form, names, types) in cases {
        let explanation = world.layer.explain(client, form.as_bytes()).await;
        let facts = || explanation.stages.iter().flat_map(|stage| &stage.facts);
        let found = |about: &str| facts().find(|fact| fact.about == about).map(|fact| fact.found.as_str());
        assert_eq!(found("other names of the subject"), Some(&*names), "{client}");
        assert_eq!(found("types of earlier subject tokens"), types, "{client}");
    }
}

#[test]
fn a_deny_names_actors_as_act_does() {
    let by_login = |idp: &Minter| idp_record(idp).map_subjects(SubjectMapping::Claim("login".into()));
    let built = |iss: &str, sub: &str| {
        let actors = Actors::parties([Party::new(iss, sub)]);
        let plan = plan_of(by_login, vec![Rule::deny(Names::any(), Subjects::any(), "ledger").actors(actors)]);
        plan.with(|builder| builder.federated_subjects_only())
            .builder
            .audit(recorder(tokio::sync::mpsc::unbounded_channel().0))
            .build()
            .map(drop)
    };
    assert_eq!(built(IDP, "agent").map_err(|error| error.to_string()), Ok(()));
    let error = built(AS, "idp|agent").unwrap_err().to_string();
    assert!(error.contains("name the actor by the `sub` that the issuer uses"), "{error}");
}
