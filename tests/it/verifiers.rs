//! A verifier of the user decides about tokens that are not JWTs, and every rule holds for the claims that it returns. A
//! status check sees the parties of each exchange and can refuse any of them.

use crate::support::*;
use http::{StatusCode, header};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tower_token_exchange::{
    Client, GRANT_TYPE, Issuer, Reason, TokenType,
    audit::{Outcome, Stage},
    policy::{Actors, Decision, Names, Query, Rule, Subjects},
    records::{Party, SubjectMapping, TokenRules},
    status::{Status, StatusQuery},
    token::{NumericDate, TokenRole, TokenToVerify, TokenVerifier, Verification},
};

const SAML2: &str = "urn:ietf:params:oauth:token-type:saml2";
const BADGE: &str = "urn:example:token-type:badge";
const DESK: &str = "https://desk.example";
/// An assertion as it comes, to be seen nowhere else.
const ASSERTION: &str = "PHNhbWxwOlJlc3BvbnNlPnpxOWNhbmFyeTwvc2FtbHA-";
const CANARY: &str = "zq9canary";

/// What the verifier says next, and what it was asked.
#[derive(Clone, Default)]
struct Desk {
    says: Arc<Mutex<Says>>,
    asked: Arc<Mutex<Vec<TokenToVerify>>>,
}

#[derive(Clone, Default)]
enum Says {
    #[default]
    Nothing,
    Genuine(Value),
    Rejected,
    Fails,
    Panics,
    Hangs,
}

impl Desk {
    fn verifier(&self) -> impl TokenVerifier {
        let desk = self.clone();
        tower::service_fn(move |question: TokenToVerify| {
            let desk = desk.clone();
            async move {
                desk.asked.lock().unwrap().push(question);
                let says = desk.says.lock().unwrap().clone();
                match says {
                    Says::Genuine(claims) => Ok(Verification::verified(claims.as_object().unwrap().clone())),
                    Says::Rejected => Ok(Verification::rejected(CANARY)),
                    Says::Nothing | Says::Fails => Err(CANARY),
                    Says::Panics => panic!("{CANARY}, as the test wants"),
                    Says::Hangs => std::future::pending().await,
                }
            }
        })
    }

    fn says(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    fn vouches(&self, changes: Value) {
        self.says(Says::Genuine(changed(genuine(), changes)));
    }

    fn asked(&self) -> Vec<TokenToVerify> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn genuine() -> Value {
    json!({ "iss": DESK, "sub": "carol", "aud": AS, "exp": NOW + 600, "iat": NOW, "scope": "read write", "jti": "a-1" })
}

/// Takes both types of its tokens, from clients and from those who act.
fn record() -> Issuer {
    Issuer::new(DESK)
        .accept_types([SAML2, BADGE].map(TokenType::from_static))
        .map_subjects(SubjectMapping::Prefix("desk|".into()))
        .allow_presenters(["orders"])
        .allow_actor_tokens()
}

/// A world that asks the desk about both; `orders` runs its agents.
fn plan_of(desk: &Desk, record: Issuer) -> Plan {
    let carrier = |clients: Vec<Client>| {
        clients
            .into_iter()
            .map(|client| client.allow_actor(Party::new(DESK, "agent-7")).allow_actor(Party::new(IDP, "agent-7")))
            .collect()
    };
    let rule = Rule::allow(Names::any(), Subjects::any().or_clients(), Names::any()).actors(Actors::any());
    let rules = [rule.scopes(Names::any())];
    plan_with(carrier, |targets| targets).with(|builder| {
        let builder = builder.issuers([record]).rules(rules);
        [SAML2, BADGE].into_iter().fold(builder, |builder, token_type| {
            builder.token_verifier(TokenType::from_static(token_type), desk.verifier())
        })
    })
}

fn subject<'a>(token: &'a str, token_type: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("grant_type", GRANT_TYPE),
        ("subject_token", token),
        ("subject_token_type", token_type),
        ("audience", "billing"),
    ]
}

/// What becomes of an exchange, after a look at what the client is told.
async fn outcome(world: &mut World, form: &[(&str, &str)]) -> Result<Value, Reason> {
    let reply = world.post_as("orders", form).await;
    let event = world.event().await;
    assert!(world.no_event(), "one event for one attempt");
    assert!(!format!("{:?} {}", reply.headers, reply.text).contains(CANARY), "{}", reply.text);
    assert!(!format!("{event:?}").contains(ASSERTION), "{event:?}");
    let Some(reason) = event.reason else {
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
        return Ok(reply.claims());
    };
    let (status, outcome) = match reason.error().as_str() {
        "temporarily_unavailable" => (StatusCode::SERVICE_UNAVAILABLE, Outcome::Error),
        "server_error" => (StatusCode::INTERNAL_SERVER_ERROR, Outcome::Error),
        _ => (StatusCode::BAD_REQUEST, Outcome::Denied),
    };
    let told = json!({ "error": reason.error().as_str(), "error_description": reason.description() });
    assert_eq!((reply.status, reply.json()), (status, told), "{reason}: {:?}", event.detail);
    assert_eq!(event.outcome, outcome, "{reason}");
    let retry = status == StatusCode::SERVICE_UNAVAILABLE;
    assert_eq!(reply.headers.contains_key(header::RETRY_AFTER), retry, "{reason}");
    Err(reason)
}

/// The assertion as subject.
async fn vouched(world: &mut World, token_type: &str) -> Result<Value, Reason> {
    outcome(world, &subject(ASSERTION, token_type)).await
}

/// The assertion as actor, for a subject of ours.
async fn acting(world: &mut World, token_type: &str) -> Result<Value, Reason> {
    let alice = world.own.access_token(json!({}));
    let mut form = subject(&alice, ACCESS_TOKEN);
    form.extend([("actor_token", ASSERTION), ("actor_token_type", token_type)]);
    outcome(world, &form).await
}

#[tokio::test]
async fn a_verifier_decides_about_its_token_type() {
    let desk = Desk::default();
    let mut world = plan_of(&desk, record()).start().await;
    for token_type in [SAML2, BADGE] {
        // Nothing of it is carried on for having been said.
        desk.vouches(
            json!({ "client_id": "x", "acr": "gold", "roles": ["admin"], "email": "c@x.example", "azp": "y" }),
        );
        let issued = vouched(&mut world, token_type).await.unwrap();
        let expected = json!({
            "iss": AS, "sub": "desk|carol", "aud": "https://billing.example", "exp": NOW + 300, "iat": NOW,
            "jti": issued["jti"].clone(), "client_id": "orders", "scope": "read write", "act": { "sub": "orders" },
            "exchanged_from": { "iss": DESK, "token_types": [token_type] },
        });
        assert_eq!(issued, expected);
        desk.vouches(json!({ "sub": "agent-7", "scope": "admin", "exp": NOW + 60 }));
        let issued = acting(&mut world, token_type).await.unwrap();
        assert_eq!(issued["act"], json!({ "iss": DESK, "sub": "agent-7" }));
        // An actor gives its name and its time, and no scope.
        assert_eq!((&issued["scope"], &issued["exp"]), (&json!("read write"), &json!(NOW + 60)));
        let asked = desk.asked();
        let questions: Vec<_> =
            asked.iter().map(|asked| (asked.expose(), asked.token_type.as_str(), asked.role)).collect();
        let expected = [(ASSERTION, token_type, TokenRole::Subject), (ASSERTION, token_type, TokenRole::Actor)];
        assert_eq!(questions, expected);
        assert!(!format!("{asked:?}").contains(ASSERTION));
    }
}

#[tokio::test]
async fn claims_of_a_verifier_obey_jwt_rules() {
    let desk = Desk::default();
    let rules = |token_type| {
        TokenRules::new(TokenType::from_static(token_type))
            .require_value("level", 2)
            .forbid("guest")
            .presenter_claim("app")
    };
    let record = record()
        .accept(rules(SAML2))
        .accept(rules(BADGE).scope_claim("rights"))
        .accept_tenants("site", ["north"])
        .leeway(Duration::from_secs(5))
        .max_age(Duration::from_secs(600));
    let mut world = plan_of(&desk, record).start().await;
    let good = json!({ "level": 2, "site": "north", "rights": ["read", "write"] });
    let cases = [
        (json!({}), Ok(())),
        (json!({ "iss": null }), Err(Reason::TokenIssuerMissing)),
        (json!({ "iss": "" }), Err(Reason::TokenIssuerMissing)),
        (json!({ "iss": [DESK] }), Err(Reason::TokenIssuerMissing)),
        (json!({ "iss": "https://desk.example/" }), Err(Reason::TokenIssuerUnknown)),
        // Issuers that never take such a token, ours among them.
        (json!({ "iss": IDP }), Err(Reason::TokenTypeNotAccepted)),
        (json!({ "iss": AS, "aud": "https://orders.example" }), Err(Reason::TokenTypeNotAccepted)),
        (json!({ "sub": null }), Err(Reason::TokenSubjectInvalid)),
        (json!({ "sub": 7 }), Err(Reason::TokenSubjectInvalid)),
        (json!({ "sub": "a\u{202e}b" }), Err(Reason::TokenSubjectInvalid)),
        (json!({ "sub": "x".repeat(1025) }), Err(Reason::TokenSubjectInvalid)),
        (json!({ "sub": DESK }), Err(Reason::TokenTypeConfused)),
        (json!({ "exp": null }), Err(Reason::TokenExpiryMissing)),
        (json!({ "exp": NOW }), Err(Reason::TokenExpired)),
        (json!({ "exp": "2030-01-01T00:00:00Z" }), Err(Reason::TokenClaimsInvalid)),
        (json!({ "nbf": NOW + 6 }), Err(Reason::TokenNotYetValid)),
        (json!({ "iat": NOW + 6 }), Err(Reason::TokenIssuedInFuture)),
        (json!({ "iat": NOW - 601 }), Err(Reason::TokenTooOld)),
        (json!({ "aud": null }), Err(Reason::TokenNotForUs)),
        (json!({ "aud": "orders" }), Err(Reason::TokenNotForUs)),
        (json!({ "aud": "https://orders.example" }), Err(Reason::TokenNotForUs)),
        (json!({ "aud": [AS, "x"] }), Err(Reason::SeveralAudiences)),
        (json!({ "aud": [AS, 7] }), Err(Reason::TokenClaimsInvalid)),
        (json!({ "jti": 7 }), Err(Reason::TokenClaimsInvalid)),
        (json!({ "cnf": { "x5t#S256": "x" } }), Err(Reason::TokenSenderConstrained)),
        (json!({ "authorization_details": [] }), Err(Reason::AuthorizationDetailsUnsupported)),
        (json!({ "act": { "sub": "orders" } }), Err(Reason::ChainNotTrusted)),
        (json!({ "act": "orders" }), Err(Reason::ChainNotTrusted)),
        (json!({ "may_act": "orders" }), Err(Reason::MayActMalformed)),
        (json!({ "may_act": { "sub": "orders" } }), Err(Reason::MayActMismatch)),
        (json!({ "events": {} }), Err(Reason::TokenTypeConfused)),
        (json!({ "c_hash": "x" }), Err(Reason::TokenTypeConfused)),
        (json!({ "typ": "Refresh" }), Err(Reason::TokenTypeConfused)),
        (json!({ "level": null }), Err(Reason::TokenClaimRequired)),
        (json!({ "level": "2" }), Err(Reason::TokenClaimRequired)),
        (json!({ "guest": false }), Err(Reason::TokenClaimForbidden)),
        (json!({ "site": "south" }), Err(Reason::TokenTenantRefused)),
        (json!({ "site": null }), Err(Reason::TokenTenantRefused)),
        (json!({ "scope": "", "rights": [] }), Err(Reason::ScopeEmpty)),
        (json!({ "scope": ["read"], "rights": "\"" }), Err(Reason::TokenClaimsInvalid)),
        (json!({}), Ok(())),
    ];
    for (changes, expected) in cases {
        let mut claims = changed(genuine(), good.clone());
        claims = changed(claims, changes.clone());
        desk.says(Says::Genuine(claims));
        for token_type in [SAML2, BADGE] {
            let found = vouched(&mut world, token_type).await.map(|_| ());
            assert_eq!(found, expected, "{token_type}: {changes}");
        }
    }
}

/// A verifier that is deceived, or that is somebody else's, cannot make more of a token than its issuer may.
#[tokio::test]
async fn a_verifier_cannot_make_an_actor_or_client() {
    let desk = Desk::default();
    let mut world = plan_of(&desk, record()).start().await;
    let agent = json!({ "iss": DESK, "sub": "agent-7" });
    let cases = [
        (json!({ "sub": "agent-7" }), Ok(agent.clone())),
        (json!({ "sub": "agent-8" }), Err(Reason::ActorNotCarried)),
        (json!({ "sub": "orders", "client_id": "orders" }), Err(Reason::ActorNotCarried)),
        (json!({ "sub": "desk|agent-7" }), Err(Reason::ActorNotCarried)),
        (json!({ "iss": AS, "sub": "orders", "client_id": "orders" }), Err(Reason::TokenTypeNotAccepted)),
        // Carried, but this is not how its issuer's tokens are known.
        (json!({ "iss": IDP, "sub": "agent-7" }), Err(Reason::TokenTypeNotAccepted)),
        (json!({ "sub": "agent-7", "act": { "sub": "x" } }), Err(Reason::ActorDelegated)),
        (json!({ "sub": "agent-7", "may_act": [] }), Err(Reason::MayActMalformed)),
        (json!({ "sub": "agent-7", "cnf": {} }), Err(Reason::TokenSenderConstrained)),
        (json!({ "sub": "agent-7", "aud": "x" }), Err(Reason::TokenNotForUs)),
        (json!({ "sub": "agent-7", "exp": NOW }), Err(Reason::TokenExpired)),
        (json!({ "sub": "agent-7", "htm": "POST" }), Err(Reason::TokenTypeConfused)),
        (json!({ "sub": "agent-7" }), Ok(agent)),
    ];
    for (changes, expected) in cases {
        desk.vouches(changes.clone());
        let found = acting(&mut world, BADGE).await.map(|issued| issued["act"].clone());
        assert_eq!(found, expected, "{changes}");
    }
    // Without the record's leave nobody acts by such a token.
    let quiet = Issuer::new(DESK)
        .accept_types([TokenType::from_static(BADGE)])
        .map_subjects(SubjectMapping::Prefix("desk|".into()));
    let mut world = plan_of(&desk, quiet).start().await;
    desk.vouches(json!({ "sub": "agent-7" }));
    assert_eq!(acting(&mut world, BADGE).await, Err(Reason::ActorIssuerNotTrusted));
    // And a client that nobody lists has no relation to the token, whatever the token says of it.
    desk.vouches(json!({ "client_id": "orders", "azp": "orders" }));
    assert_eq!(vouched(&mut world, BADGE).await, Err(Reason::PresenterUnrelated));
}

#[tokio::test]
async fn a_failing_verifier_stops_one_exchange_only() {
    let desk = Desk::default();
    let mut world = plan_of(&desk, record()).start().await;
    for (says, reason) in [
        (Says::Rejected, Reason::TokenVerifierRejected),
        (Says::Fails, Reason::TokenVerifierUnavailable),
        (Says::Panics, Reason::TokenVerifierPanicked),
    ] {
        for token_type in [SAML2, BADGE] {
            desk.says(says.clone());
            assert_eq!(vouched(&mut world, token_type).await, Err(reason), "subject");
            assert_eq!(acting(&mut world, token_type).await, Err(reason), "actor");
            let signed = world.own.access_token(json!({}));
            assert!(outcome(&mut world, &subject(&signed, ACCESS_TOKEN)).await.is_ok(), "who needs it not");
            desk.vouches(json!({}));
            assert!(vouched(&mut world, token_type).await.is_ok());
        }
    }
}

/// On a clock of the test's own, so that nobody waits.
#[tokio::test(start_paused = true)]
async fn a_verifier_that_never_answers_is_an_outage() {
    let desk = Desk::default();
    let record = crate::jwks::record(DESK).accept_types([TokenType::JWT]);
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    let plan = plan().with(|builder| {
        builder.issuers([record]).token_verifier(TokenType::JWT, desk.verifier()).audit(recorder(sender))
    });
    let layer = plan.builder.build().unwrap();
    desk.says(Says::Hangs);
    let (status, retry_after, _) = crate::jwks::post(&layer, ASSERTION).await;
    assert_eq!((status, retry_after.is_some()), (StatusCode::SERVICE_UNAVAILABLE, true));
    assert_eq!(events.recv().await.unwrap().reason, Some(Reason::DeadlineExceeded));
    desk.vouches(json!({}));
    assert_eq!(crate::jwks::post(&layer, ASSERTION).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_verifier_is_asked_about_its_type_only() {
    let (desk, other) = (Desk::default(), Desk::default());
    other.vouches(json!({ "sub": "other" }));
    desk.vouches(json!({}));
    // The last one given for a type counts; one for a type that no record takes is never asked.
    let plan = plan_of(&desk, record()).with(|builder| {
        builder
            .token_verifier(TokenType::from_static(BADGE), other.verifier())
            .token_verifier(TokenType::from_static("urn:example:token-type:pass"), other.verifier())
    });
    let mut world = plan.start().await;
    let (own, idp) = (world.own.clone(), world.idp.clone());
    let (signed, foreign) = (own.access_token(json!({})), idp.foreign(json!({})));
    let cases = [
        (ASSERTION, SAML2, Ok("desk|carol"), (1, 0)),
        (ASSERTION, BADGE, Ok("desk|other"), (0, 1)),
        (ASSERTION, "urn:example:token-type:pass", Err(Reason::SubjectTokenTypeUnsupported), (0, 0)),
        (ASSERTION, "urn:example:token-type:BADGE", Err(Reason::SubjectTokenTypeUnsupported), (0, 0)),
        (ASSERTION, "urn:ietf:params:oauth:token-type:saml1", Err(Reason::SubjectTokenTypeUnsupported), (0, 0)),
        (ASSERTION, ACCESS_TOKEN, Err(Reason::TokenMalformed), (0, 0)),
        (&signed, ACCESS_TOKEN, Ok("alice"), (0, 0)),
        (&foreign, JWT, Ok("idp|bob"), (0, 0)),
        // Whatever is handed in under the type is the verifier's to judge, a JWT too.
        (&foreign, SAML2, Ok("desk|carol"), (1, 0)),
        (ASSERTION, SAML2, Ok("desk|carol"), (1, 0)),
    ];
    for (token, token_type, expected, asked) in cases {
        let found = outcome(&mut world, &subject(token, token_type)).await;
        let sub = found.map(|issued| issued["sub"].as_str().unwrap().to_owned());
        assert_eq!(sub, expected.map(str::to_owned), "{token_type}");
        assert_eq!((desk.asked().len(), other.asked().len()), asked, "{token_type}");
    }
    // Nobody is asked for a client that is not known, or that may not have what it wants.
    let form = encode(&subject(ASSERTION, SAML2));
    for (authorization, form, reason) in [
        (None, form.clone(), Reason::ClientCredentialsMissing),
        (Some(basic("orders", "wrong")), form.clone(), Reason::ClientRejected),
        (
            Some(basic("orders", &secret_of("orders"))),
            format!("{form}&resource=https://x.example"),
            Reason::TargetUnknown,
        ),
    ] {
        world.post(authorization.as_deref(), form).await;
        assert_eq!((world.reason().await, desk.asked().len()), (Some(reason), 0));
    }
}

/// A record with keys takes a type by its verifier alone, where there is one: a signature is not asked for, and a
/// record without keys takes nothing else.
#[tokio::test]
async fn a_verifier_replaces_the_signature_check() {
    let desk = Desk::default();
    desk.vouches(json!({ "iss": IDP, "sub": "bob" }));
    let plan = plan().with(|builder| builder.token_verifier(TokenType::JWT, desk.verifier()));
    let mut world = plan.start().await;
    let idp = world.idp.clone();
    let unsigned = format!("{}.", idp.foreign(json!({})).rsplit_once('.').unwrap().0);
    for token in [&unsigned[..], "no JWT", &idp.foreign(json!({ "sub": "eve" }))] {
        let found = outcome(&mut world, &subject(token, JWT)).await;
        assert_eq!(found.unwrap()["sub"], "idp|bob");
    }
    desk.says(Says::Rejected);
    let found = outcome(&mut world, &subject(&idp.foreign(json!({})), JWT)).await;
    assert_eq!(found, Err(Reason::TokenVerifierRejected), "a good signature is no way around it");
}

type Check = fn(&StatusQuery) -> bool;

/// A status check that refuses what the test selects, and keeps all questions.
#[derive(Clone, Default)]
struct Register {
    refuses: Arc<Mutex<Option<Check>>>,
    asked: Arc<Mutex<Vec<StatusQuery>>>,
}

impl Register {
    fn plan(&self, plan: Plan) -> Plan {
        let register = self.clone();
        plan.with(|builder| {
            builder.status(tower::service_fn(move |query: StatusQuery| {
                let register = register.clone();
                async move {
                    let refuses = *register.refuses.lock().unwrap();
                    let refused = refuses.is_some_and(|refuses| refuses(&query));
                    register.asked.lock().unwrap().push(query);
                    Ok::<_, &str>(if refused { Status::refused(CANARY) } else { Status::Good })
                }
            }))
        })
    }

    fn refuses(&self, refuses: Option<Check>) {
        *self.refuses.lock().unwrap() = refuses;
    }

    fn asked(&self) -> Vec<StatusQuery> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

#[tokio::test]
async fn a_status_check_sees_parties_and_tokens() {
    let (desk, register) = (Desk::default(), Register::default());
    let mut world = register.plan(plan_of(&desk, record())).start().await;
    desk.vouches(json!({ "sub": "agent-7", "jti": "badge-9", "sid": "shift-3", "exp": NOW + 50, "iat": NOW - 5 }));
    let token = world.idp.foreign(json!({ "jti": "foreign-7", "sid": "session-7", "iat": NOW - 9 }));
    let mut form = subject(&token, JWT);
    form.extend([("actor_token", ASSERTION), ("actor_token_type", BADGE)]);
    outcome(&mut world, &form).await.unwrap();
    let asked = register.asked();
    let [query] = &asked[..] else { panic!("asked {} times", asked.len()) };
    assert_eq!((query.client_id.as_str(), query.issued_sub.as_str()), ("orders", "idp|bob"));
    assert_eq!((&query.subject, &query.actor), (&Party::new(IDP, "bob"), &Party::new(DESK, "agent-7")));
    assert_eq!(query.targets, ["billing"]);
    let reference = &query.subject_token;
    assert_eq!((reference.token_type.as_str(), reference.iss.as_str()), (JWT, IDP));
    assert_eq!((reference.jti.clone(), reference.sid.as_deref()), (Some("foreign-7".into()), Some("session-7")));
    assert_eq!(
        (reference.iat, reference.exp),
        (Some(NumericDate::from_seconds(NOW - 9)), NumericDate::from_seconds(NOW + 600))
    );
    let reference = query.actor_token.as_ref().unwrap();
    assert_eq!((reference.token_type.as_str(), reference.iss.as_str()), (BADGE, DESK));
    assert_eq!((reference.jti.clone(), reference.sid.as_deref()), (Some("badge-9".into()), Some("shift-3")));
    assert_eq!(
        (reference.iat, reference.exp),
        (Some(NumericDate::from_seconds(NOW - 5)), NumericDate::from_seconds(NOW + 50))
    );
    let text = format!("{query:?}");
    assert!(!text.contains(&token) && !text.contains(ASSERTION), "{text}");

    // Absent claims stay absent. Without an actor token, the client is the actor.
    let bare = world.idp.foreign(json!({ "jti": null, "sid": 7, "iat": null }));
    outcome(&mut world, &subject(&bare, JWT)).await.unwrap();
    let query = register.asked().remove(0);
    let reference = &query.subject_token;
    assert_eq!((&reference.jti, &reference.sid, reference.iat), (&None, &None, None));
    assert_eq!((query.actor, query.actor_token), (Party::new(AS, "orders"), None));
    // The query names the target by the id of its record.
    let own = world.own.access_token(json!({}));
    let mut form = subject(&own, ACCESS_TOKEN);
    form.retain(|(name, _)| *name != "audience");
    form.push(("resource", "https://billing.example/api"));
    outcome(&mut world, &form).await.unwrap();
    let query = register.asked().remove(0);
    assert_eq!((query.targets, query.subject), (vec!["billing".into()], Party::new(AS, "alice")));
}

#[tokio::test]
async fn a_status_check_can_refuse_any_party() {
    let (desk, register) = (Desk::default(), Register::default());
    let mut world = register.plan(plan_of(&desk, record())).start().await;
    desk.vouches(json!({ "sub": "agent-7", "jti": "badge-9" }));
    let token = world.idp.foreign(json!({ "sid": "session-7" }));
    let mut form = subject(&token, JWT);
    form.extend([("actor_token", ASSERTION), ("actor_token_type", BADGE)]);
    let checks: [(&str, Check); 8] = [
        ("the subject", |query| query.subject == Party::new(IDP, "bob")),
        ("the subject by its name here", |query| query.issued_sub == "idp|bob"),
        ("the session", |query| query.subject_token.sid.as_deref() == Some("session-7")),
        ("the subject token", |query| query.subject_token.jti == Some("foreign-1".into())),
        ("the actor", |query| query.actor == Party::new(DESK, "agent-7")),
        ("the actor token", |query| {
            query.actor_token.as_ref().is_some_and(|token| token.jti == Some("badge-9".into()))
        }),
        ("the client", |query| query.client_id == "orders"),
        ("the target", |query| query.targets.iter().any(|target| target == "billing")),
    ];
    for (name, check) in checks {
        register.refuses(None);
        assert!(outcome(&mut world, &form).await.is_ok(), "{name}");
        register.refuses(Some(check));
        assert_eq!(outcome(&mut world, &form).await, Err(Reason::StatusRefused), "{name}");
        assert_eq!(register.asked().len(), 2, "asked at every exchange");
    }
}

#[tokio::test]
async fn the_status_check_runs_before_the_policy() {
    let register = Register::default();
    let decisions = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&decisions);
    let policy = tower::service_fn(move |_: Query| {
        *counter.lock().unwrap() += 1;
        async { Ok::<_, &str>(Decision::delegate()) }
    });
    let mut world = register.plan(plan().with(|builder| builder.policy(policy))).start().await;
    let token = world.own.access_token(json!({}));
    for (changes, refuses, expected, asked, decided) in [
        (json!({}), None, None, 1, 1),
        (json!({}), Some((|_| true) as Check), Some(Reason::StatusRefused), 1, 0),
        (json!({ "exp": NOW }), None, Some(Reason::TokenExpired), 0, 0),
        (json!({ "aud": "x" }), None, Some(Reason::PresenterUnrelated), 0, 0),
        (json!({ "scope": "x" }), None, Some(Reason::ScopeEmpty), 0, 0),
        (json!({}), None, None, 1, 1),
    ] {
        register.refuses(refuses);
        *decisions.lock().unwrap() = 0;
        let token = if changes == json!({}) { token.clone() } else { world.own.access_token(changes.clone()) };
        world.exchange(&token).await;
        let event = world.event().await;
        assert_eq!(event.reason, expected, "{changes}");
        if expected == Some(Reason::StatusRefused) {
            assert_eq!(event.stage, Stage::Status);
            assert_eq!(event.detail.as_deref(), Some(CANARY), "for the audit alone");
        }
        assert_eq!((register.asked().len(), *decisions.lock().unwrap()), (asked, decided), "{changes}");
    }
}
