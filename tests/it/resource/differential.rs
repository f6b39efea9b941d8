//! What the issuing side allows and what the receiving side accepts agree, for random chains and rules.
//!
//! The token that the issuing side would issue is also made by hand, so that a refused exchange has a token too.

use super::*;
use axum::body::Body;
use http_body_util::BodyExt;
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngAlgorithm, RngSeed, TestRunner},
};
use std::{cell::RefCell, collections::BTreeMap, convert::Infallible};
use tower::{Layer, service_fn};
use tower_token_exchange::{
    Client,
    Reason::*,
    Target, TokenExchangeLayer,
    policy::{Rule, Subjects},
    resource::{AccessRequest, PartySet},
};

const CLIENTS: [&str; 3] = ["orders", "reports", "web"];
const EARLIER: [&str; 4] = ["web", "gateway", "agent", "mailer"];

/// What one client may do.
#[derive(Clone, Debug)]
struct Permission {
    client: usize,
    /// `None` for every user.
    subject: Option<&'static str>,
    scope: &'static str,
    needs_mfa: bool,
}

#[derive(Clone, Debug)]
struct Case {
    permissions: Vec<Permission>,
    max_actors: usize,
    client: usize,
    subject: &'static str,
    /// The inbound chain, the current actor first: the name, and whether the actor belongs to another issuer.
    chain: Vec<(usize, bool)>,
    has_mfa: bool,
}

fn cases() -> impl Strategy<Value = Case> {
    let permission = |client: usize| {
        let of =
            (prop_oneof![Just(None), Just(Some("alice")), Just(Some("bob"))], prop_oneof![Just("read"), Just("write")]);
        proptest::option::weighted(0.7, (of, proptest::bool::weighted(0.2))).prop_map(move |made| {
            made.map(|((subject, scope), needs_mfa)| Permission { client, subject, scope, needs_mfa })
        })
    };
    let permissions = (permission(0), permission(1), permission(2))
        .prop_map(|(a, b, c)| [a, b, c].into_iter().flatten().collect::<Vec<_>>())
        .prop_filter("both sides need a rule", |permissions| !permissions.is_empty());
    let chain = vec((0..EARLIER.len(), proptest::bool::weighted(0.2)), 0..=4);
    (permissions, 1..=4_usize, 0..CLIENTS.len(), prop_oneof![Just("alice"), Just("bob")], chain, any::<bool>())
        .prop_map(|(permissions, max_actors, client, subject, chain, has_mfa)| Case {
            permissions,
            max_actors,
            client,
            subject,
            chain,
            has_mfa,
        })
}

impl Case {
    /// The claim `act` for an inbound chain.
    fn inbound(&self) -> Value {
        self.chain.iter().rev().fold(Value::Null, |inner, (name, is_foreign)| {
            let foreign = if *is_foreign { json!(IDP) } else { Value::Null };
            changed(json!({ "sub": EARLIER[*name] }), json!({ "iss": foreign, "act": inner }))
        })
    }

    fn claims(&self) -> Value {
        let acr = if self.has_mfa { json!("mfa") } else { Value::Null };
        json!({ "sub": self.subject, "scope": "read", "client_id": "app", "acr": acr })
    }

    /// The reason why the issuing side refuses, or the issued token.
    async fn exchange(&self, own: &Minter) -> Result<String, Reason> {
        let client = CLIENTS[self.client];
        let rules = self.permissions.iter().map(|Permission { client, subject, scope, needs_mfa }| {
            let subjects = subject.map_or(Subjects::any(), |name| Subjects::of_issuer(AS).named([name]));
            let rule = Rule::allow(CLIENTS[*client], subjects, "billing").scopes([*scope]);
            if *needs_mfa { rule.require_acr(["mfa"]) } else { rule }
        });
        let home =
            |id: &str| Target::new(id).audience_claim(format!("https://{id}.example")).served_by(id).scopes(["read"]);
        let mut targets: Vec<_> = CLIENTS.iter().map(|client| home(client)).collect();
        targets.push(Target::new("billing").audience_claim(BILLING).allow_clients(CLIENTS).scopes(["read", "write"]));
        let layer = TokenExchangeLayer::builder(AS)
            .clock(|| UNIX_EPOCH + Duration::from_secs(NOW))
            .clients(CLIENTS.map(|client| Client::new(client).secret(secret_of(client))))
            .targets(targets)
            .rules(rules)
            .max_chain_depth(self.max_actors)
            .strict_scope()
            .signer(own.key.clone())
            .build()
            .unwrap();
        let token = own.access_token(changed(
            self.claims(),
            json!({ "aud": format!("https://{client}.example"), "act": self.inbound() }),
        ));
        let request = Request::post("/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", basic(client, &secret_of(client)))
            .body(Body::from(encode(&exchange_form(&token, &[("scope", "read")]))))
            .unwrap();
        let teapot = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(http::Response::new(Body::empty())) });
        let response = layer.layer(teapot).oneshot(request).await.unwrap();
        let reason = response.extensions().get::<Reason>().copied();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        match reason {
            Some(reason) => Err(reason),
            None => Ok(body["access_token"].as_str().unwrap().to_owned()),
        }
    }

    /// The token that the issuing side would issue if every rule allowed the exchange.
    fn wished(&self, own: &Minter) -> String {
        let client = CLIENTS[self.client];
        let inbound = self.inbound();
        // The current actor stays, and every other actor is put in front.
        let act = match self.chain.first() {
            Some((name, false)) if EARLIER[*name] == client => inbound,
            _ => changed(json!({ "sub": client }), json!({ "act": inbound })),
        };
        token(own, changed(self.claims(), json!({ "client_id": client, "act": act })))
    }

    fn resource(&self, own: &Minter) -> ResourceServerLayer {
        let rules = self.permissions.iter().map(|Permission { client, subject, scope, needs_mfa }| {
            let rule = AccessRule::with_actor(PartySet::of(AS, [CLIENTS[*client]])).for_users().scopes([*scope]);
            let rule = subject.map_or(rule.clone(), |name| rule.subjects(PartySet::of(AS, [name])));
            if *needs_mfa { rule.require_acr(["mfa"]) } else { rule }
        });
        builder(own).max_chain_depth(self.max_actors).rules(rules).build().unwrap()
    }
}

#[test]
fn both_ends_agree_about_chains_and_rules() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let own = issuer();
    let tally = RefCell::new(BTreeMap::<String, u32>::new());
    let mut config = Config { failure_persistence: None, rng_algorithm: RngAlgorithm::XorShift, ..Config::default() };
    config.cases = 1000;
    config.rng_seed = RngSeed::Fixed(18);
    let checked = TestRunner::new(config).run(&cases(), |case| {
        runtime.block_on(async {
            let resource = case.resource(&own);
            let wished = case.wished(&own);
            let accepted = resource.verify(AccessRequest::bearer(&wished)).await;
            let received = accepted.as_ref().map(|_| ()).map_err(|refusal| refusal.reason());
            let issued = case.exchange(&own).await;
            let names = (issued.as_ref().map(|_| ()).map_err(|reason| *reason), received);
            *tally.borrow_mut().entry(format!("{names:?}")).or_default() += 1;
            match (issued, accepted) {
                (Ok(issued), Ok(token)) => {
                    let from_issuer = resource.verify(AccessRequest::bearer(&issued)).await;
                    let from_issuer = from_issuer.map_err(|refusal| TestCaseError::fail(refusal.to_string()))?;
                    prop_assert_eq!(from_issuer.actors(), token.actors());
                    prop_assert_eq!(from_issuer.subject(), token.subject());
                    prop_assert_eq!(from_issuer.scope(), token.scope());
                }
                // A circle of calls is a matter of the issuing side.
                (Err(ActorRepeated), _) => {}
                (Err(_), Err(_)) => {}
                (issued, accepted) => prop_assert!(false, "{:?} and {:?}", issued, accepted),
            }
            Ok(())
        })
    });
    checked.unwrap_or_else(|failure| panic!("{failure}"));
    let tally = tally.into_inner();
    for (situation, least) in [
        ("(Ok(()), Ok(()))", 100),
        ("(Err(ChainTooDeep), Err(ChainTooDeep))", 50),
        ("Err(StepUpRequired))", 10),
        ("Err(AccessActorRefused))", 50),
        ("Err(AccessSubjectRefused))", 50),
        ("Err(AccessScopeInsufficient))", 50),
    ] {
        let count: u32 = tally.iter().filter(|(name, _)| name.contains(situation)).map(|(_, count)| count).sum();
        assert!(count >= least, "{situation}: {count}; {tally:#?}");
    }
}
