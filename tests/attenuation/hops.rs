//! Exchanges of issued tokens. The client that received an issued token exchanges it again. The second token never exceeds
//! the first token, nor the token that this client could have requested with the original subject token.

use crate::{
    Tally, cases, check,
    support::{ACCESS_TOKEN, AS, IDP, NOW},
    world::*,
};
use proptest::{option, prelude::*};
use serde_json::{Map, Value, json};
use tower_token_exchange::{Reason, proof::Permission};

/// A case, and the request for the second hop. The subject token of the second hop is the token issued for the case.
fn two_hops() -> impl Strategy<Value = (Case, Ask)> {
    let scope = option::weighted(0.4, (1..0b11111_u8).prop_map(Scopes));
    let cases = cases::case_with_a_grant_for_each_client();
    (cases, 0..3_usize, 0..3_usize, scope).prop_map(|(mut case, client, target, scope)| {
        smooth(&mut case);
        if let Some(first) = first_target(&case) {
            case.targets[first].owner = Some(client);
        }
        let (subject, targets) = (case.ask.subject.clone(), vec![(false, Some(target))]);
        let ask = Ask { client, subject, actor: None, targets, scope, requested_type: None, proof: None };
        (case, ask)
    })
}

/// Removes what would refuse most cases before the second hop for reasons unrelated to hops.
fn smooth(case: &mut Case) {
    case.targets.iter_mut().for_each(|target| target.callers = [true; 3]);
    for client in &mut case.clients {
        (client.targets, client.may_exchange, client.tenants) = (None, true, [true; 2]);
    }
    let Ask { client, subject, actor, targets, requested_type, proof, .. } = &mut case.ask;
    for token in actor.iter_mut().chain([&mut *subject]) {
        (token.cnf, token.authorization_details) = (Cnf::Nothing, false);
        // The name shows no tenant.
        if case.issuer.tenants && token.kind == Kind::Own && token.sub == "idp|bob" {
            token.sub = "idp|red|alice";
        }
    }
    if subject.kind == Kind::Own && subject.aud.len() == 1 {
        subject.aud = vec![CLIENTS[*client].to_owned()];
    }
    targets.truncate(1);
    (*requested_type, *proof) = (None, None);
}

fn first_target(case: &Case) -> Option<usize> {
    let asked = case.ask.targets.iter().find_map(|(_, target)| *target);
    asked.or(case.clients[case.ask.client].default_target)
}

/// The results of both hops, if the first hop issued a token.
async fn both(case: &Case, ask: &Ask) -> Option<(Issued, Outcome)> {
    let world = World::of(case);
    let Outcome::Issued(first) = world.exchange(&case.ask).await else { return None };
    let second = world.exchange_token(ask, first.token.clone(), ACCESS_TOKEN).await;
    Some((*first, second))
}

/// The scope that a scope means at a target.
fn worth(scope: Scopes, target: &TargetSpec) -> Scopes {
    let Some(entries) = &target.translation else { return scope };
    let worth = entries.iter().filter(|(upstream, _)| Scopes(1 << upstream).is_within(scope));
    worth.fold(Scopes::default(), |sum, (_, here)| sum.or(*here))
}

#[test]
fn a_second_hop_never_exceeds_the_first() {
    let runtime = runtime();
    let tally = Tally::default();
    check(2500, 8, two_hops(), |(case, ask)| {
        tally.note("case");
        let Some((first, second)) = runtime.block_on(both(&case, &ask)) else { return Ok(()) };
        tally.note("first");
        let Some(second) = second.issued() else { return Ok(()) };
        tally.note("second");
        let told = format!("{first:#?}\n{second:#?}");
        let [before, after] = [&first, second].map(|issued| &issued.claims);
        let target = ask.targets[0].1.unwrap();
        prop_assert!(second.scope().is_within(worth(first.scope(), &case.targets[target])), "{}", told);
        prop_assert!(second.exp() <= first.exp() && second.exp() > NOW, "{}", told);
        prop_assert_eq!(&before["sub"], &after["sub"]);
        prop_assert_eq!(&after["client_id"], CLIENTS[ask.client]);

        let mut act = json!({ "sub": CLIENTS[ask.client] });
        let act = match before.get("act") {
            None => vec![None, Some(act)],
            Some(prior) if is_client(&case, prior, ask.client) => vec![Some(prior.clone())],
            Some(prior) => {
                act["act"] = prior.clone();
                vec![Some(act)]
            }
        };
        prop_assert!(act.contains(&after.get("act").cloned()), "{}", told);
        tally.note(if before.contains_key("act") { "chain" } else { "no chain" });

        let of_whom = |claims: &Map<String, Value>| claims.get("exchanged_from").map(|from| from.get("iss").cloned());
        prop_assert_eq!(of_whom(before).flatten(), of_whom(after).flatten());
        let rewritten = ["scope", "exp", "jti", "client_id", "aud", "act", "exchanged_from"];
        let carried = after.iter().filter(|(name, _)| !rewritten.contains(&name.as_str()));
        for (name, value) in carried {
            prop_assert_eq!(before.get(name), Some(value));
        }
        Ok(())
    });
    tally.assert_percent("first", "case", 30);
    tally.assert_percent("second", "first", 30);
    tally.assert_percent("chain", "second", 50);
}

/// Whether the current actor of a chain is a registered client.
fn is_client(case: &Case, act: &Value, client: usize) -> bool {
    let name_there = case.issuer.client_names[client].then_some(NAMES_THERE[client]);
    match act.get("iss").and_then(Value::as_str) {
        None => act["sub"] == CLIENTS[client],
        Some(iss) => iss == IDP && act["sub"].as_str() == name_there,
    }
}

/// Removes what gives the second hop more than its client has by itself: a translation at the first target, the scopes of
/// the first client for scopeless subjects, and `may_act`, which concerns the first hop only.
fn nothing_of_the_first_client(case: &mut Case) {
    if let Some(first) = first_target(case) {
        case.targets[first].translation = None;
    }
    let subject = &mut case.ask.subject;
    subject.kind = if subject.kind == Kind::Own { Kind::Own } else { Kind::Foreign };
    subject.scope = Some(subject.scope.unwrap_or(Scopes(0b1111)));
    subject.may_act = None;
    // The tests below check a client that is the subject.
    if [CLIENTS, NAMES_THERE].concat().contains(&subject.sub) {
        subject.sub = "alice";
    }
    if subject.kind == Kind::Foreign {
        subject.aud = vec![AS.to_owned()];
    }
}

/// The request of the second hop with the original subject token, as if its client had received that token.
fn directly(case: &Case, ask: &Ask) -> Case {
    let mut case = case.clone();
    let mut subject = case.ask.subject.clone();
    match subject.kind {
        Kind::Own => subject.aud = vec![CLIENTS[ask.client].to_owned()],
        Kind::Foreign | Kind::IdToken => case.issuer.presenters[ask.client] = true,
    }
    case.ask = Ask { subject, ..ask.clone() };
    case
}

/// Removes rules that depend on facts which an exchange does not keep: an allow for own subjects also matches subjects that
/// an exchange mapped, an allow by a type is about the type of the last token, and a deny by a claim needs the claim. A deny
/// by a name or by a type stays.
fn takes_the_subject_as_it_is(policy: &mut PolicySpec) {
    let PolicySpec::Rules(rules) = policy else { return };
    for rule in rules {
        rule.claim = None;
        if rule.allows {
            (rule.issuer, rule.subs, rule.token_type) = (None, None, None);
        }
    }
}

#[test]
fn two_hops_never_grant_more_than_one() {
    let runtime = runtime();
    let tally = Tally::default();
    check(2500, 9, two_hops(), |(mut case, ask)| {
        nothing_of_the_first_client(&mut case);
        takes_the_subject_as_it_is(&mut case.policy);
        tally.note("case");
        let Some((first, second)) = runtime.block_on(both(&case, &ask)) else { return Ok(()) };
        let Some(second) = second.issued() else { return Ok(()) };
        tally.note("second");
        let direct = runtime.block_on(put(&directly(&case, &ask)));
        let told = format!("{first:#?}\n{second:#?}\n{direct:#?}");
        let Some(direct) = direct.issued() else { return Err(TestCaseError::fail(told)) };
        prop_assert!(second.scope().is_within(direct.scope()) && second.exp() <= direct.exp(), "{}", told);
        prop_assert_eq!(&direct.claims["sub"], &second.claims["sub"]);
        let carried = LOGIN.into_iter().chain(EXTRA);
        for name in carried.filter(|name| second.claims.contains_key(*name)) {
            prop_assert_eq!(direct.claims.get(name), second.claims.get(name));
        }
        Ok(())
    });
    tally.assert_percent("second", "case", 15);
}

/// `billing` exchanges a token for `shop`, which `web` serves. Then `web` exchanges the issued token for `ledger`. Clients
/// may be subjects in exchanges of `billing`, and in no other.
fn by_billing_and_web(kind: Kind, sub: &'static str) -> (Case, Ask) {
    let everything = Scopes(0b11111);
    let client = ClientSpec {
        may_exchange: true,
        targets: None,
        scopes: None,
        scopes_for_scopeless: [Scopes::default(); 3],
        ignored: Scopes::default(),
        default_target: None,
        max_lifetime: None,
        self_exchange: false,
        several_audiences: false,
        repeated_actors: false,
        jwt_output: false,
        tenants: [false; 2],
        carries: Vec::new(),
    };
    let target = |owner| TargetSpec {
        owner,
        callers: [true; 3],
        scopes: everything,
        translation: None,
        claims: [false; 3],
        max_lifetime: None,
    };
    let allow = |clients, or_clients| RuleSpec {
        allows: true,
        clients: Some(clients),
        issuer: None,
        subs: None,
        or_clients,
        token_type: None,
        claim: None,
        targets: None,
        actors: ActorsSpec::Client,
        scopes: None,
        delegation: true,
        impersonation: false,
        max_lifetime: None,
        max_depth: None,
        binding: Permission::Unchanged,
    };
    let subject = TokenSpec {
        kind,
        sub,
        tenant: TENANTS[0],
        origin: None,
        aud: vec![if kind == Kind::Own { "billing" } else { AS }.to_owned()],
        left: 600_000,
        client_id: (kind == Kind::Own).then_some(sub),
        azp: None,
        scope: Some(everything),
        act: None,
        may_act: None,
        login: [None, None, None],
        extra: [false; 3],
        cnf: Cnf::Nothing,
        authorization_details: false,
    };
    let ask = |client, target| Ask {
        client,
        subject: subject.clone(),
        actor: None,
        targets: vec![(false, Some(target))],
        scope: None,
        requested_type: None,
        proof: None,
    };
    let case = Case {
        server: ServerSpec { max_lifetime: 300, max_targets: 1, max_depth: 4, strict: false },
        clients: [client.clone(), client.clone(), client],
        targets: [target(Some(2)), target(None), target(None)],
        issuer: IssuerSpec {
            client_names: [true; 3],
            presenters: [false, true, false],
            tenants: false,
            id_tokens: false,
            actor_tokens: false,
            act: false,
            may_act: false,
            acr: false,
            claims: [false; 3],
        },
        policy: PolicySpec::Rules(vec![allow([false, true, false], true), allow([true, false, true], false)]),
        ask: ask(1, 0),
    };
    (case, ask(2, 1))
}

fn second_of(kind: Kind, sub: &'static str) -> Option<Reason> {
    let (case, ask) = by_billing_and_web(kind, sub);
    let (_, second) = runtime().block_on(both(&case, &ask)).expect("a first hop");
    second.refused()
}

#[test]
fn a_user_stays_a_user_at_both_hops() {
    assert_eq!(second_of(Kind::Own, "alice"), None);
    assert_eq!(second_of(Kind::Foreign, "alice"), None);
}

#[test]
fn a_client_does_not_become_a_user() {
    let refused = Some(Reason::PolicyNoRule);
    assert_eq!((second_of(Kind::Own, "orders"), second_of(Kind::Foreign, "orders-there")), (refused, refused));
}

#[test]
fn a_client_never_acts_for_itself() {
    let (mut case, ask) = by_billing_and_web(Kind::Foreign, "web-there");
    if let PolicySpec::Rules(rules) = &mut case.policy {
        rules.iter_mut().for_each(|rule| rule.or_clients = true);
    }
    let itself = runtime().block_on(put(&directly(&case, &ask)));
    assert_eq!(itself.refused(), Some(Reason::ActorIsSubject), "at the first hop");
    let (_, second) = runtime().block_on(both(&case, &ask)).expect("a first hop");
    assert_eq!(second.refused(), Some(Reason::ActorIsSubject), "{second:#?}");
}
