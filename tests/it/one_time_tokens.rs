//! Subject tokens that may be exchanged once.

use crate::support::*;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};
use tower::service_fn;
use tower_token_exchange::{
    Client, Issuer, Reason, TokenType,
    policy::{Decision, Query},
    records::{Introspection, SubjectMapping, TokenRules},
    replay::{MemoryReplayStore, UseKind, UseOnce, Used},
    signing::{Algorithm, LocalSigner, Signature, Signer, SigningRequest},
    token::{NumericDate, TokenToVerify, Verification},
};

fn no_change(clients: Vec<Client>) -> Vec<Client> {
    clients
}

/// A plan in which `orders` and `billing` may exchange the tokens of the foreign issuer, each token once.
fn with_one_time_issuer() -> Plan {
    let plan = plan_with(no_change, |targets| {
        targets.into_iter().map(|target| target.allow_clients(["orders", "billing"])).collect()
    });
    let keys = plan.idp.keys();
    plan.with(|builder| {
        builder.issuers([Issuer::new("https://desk.example")
            .keys(keys)
            .map_subjects(SubjectMapping::Prefix("desk|".into()))
            .allow_presenters(["orders", "billing"])
            .one_time_subject_tokens()])
    })
}

/// A plan in which `orders` may exchange each token once, and other clients as often as they like.
fn with_one_time_client() -> Plan {
    plan_with(
        |mut clients| {
            clients[0] = Client::new("orders").secret(secret_of("orders")).one_time_subject_tokens();
            clients
        },
        |targets| targets.into_iter().map(|target| target.allow_clients(["orders", "billing"])).collect(),
    )
}

fn desk(world: &World, changes: Value) -> String {
    let mut claims = json!({ "iss": "https://desk.example" });
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    world.idp.foreign(claims)
}

async fn exchange_as(world: &World, client: &str, token: &str, kind: &str) -> Reply {
    let mut form = exchange_form(token, &[]);
    form[2].1 = kind;
    world.post_as(client, &form).await
}

#[tokio::test]
async fn a_token_of_the_issuer_is_exchanged_once() {
    let mut world = with_one_time_issuer().start().await;
    let token = desk(&world, json!({}));
    for (client, status, reason) in [
        ("orders", StatusCode::OK, None),
        ("orders", StatusCode::BAD_REQUEST, Some(Reason::SubjectTokenUsedAgain)),
        ("billing", StatusCode::BAD_REQUEST, Some(Reason::SubjectTokenUsedAgain)),
    ] {
        let reply = exchange_as(&world, client, &token, JWT).await;
        assert_eq!(reply.status, status, "{client}: {}", reply.text);
        let event = world.event().await;
        assert_eq!(event.reason, reason, "{client}");
        assert!(event.subject_token.unwrap().one_time, "{client}");
        assert_eq!(event.granted.is_some(), reason.is_none(), "{client}");
    }
    let another = desk(&world, json!({ "jti": "another" }));
    assert_eq!(exchange_as(&world, "billing", &another, JWT).await.status, StatusCode::OK);
    // Other issuers, and tokens of the authorization server, have no such limit.
    for _ in 0..2 {
        assert_eq!(world.exchange(&world.own.access_token(json!({}))).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_client_record_can_demand_single_use() {
    let mut world = with_one_time_client().start().await;
    let token = world.own.access_token(json!({ "aud": ["https://orders.example"] }));
    assert_eq!(world.exchange(&token).await.status, StatusCode::OK);
    assert_eq!(world.reason().await, None);
    assert_eq!(world.exchange(&token).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.reason().await, Some(Reason::SubjectTokenUsedAgain));
    let of_billing = world.own.access_token(json!({ "aud": "https://billing.example", "jti": "of-billing" }));
    for _ in 0..2 {
        let mut form = exchange_form(&of_billing, &[]);
        form[3].1 = "ledger";
        assert_eq!(world.post_as("billing", &form).await.status, StatusCode::OK);
    }
}

/// The same content can be signed again, and some servers accept several spellings of one signature.
#[tokio::test]
async fn another_signature_is_the_same_token() {
    let mut world = with_one_time_issuer().start().await;
    // Each signature of ECDSA is different.
    let tokens = [(); 2].map(|()| desk(&world, json!({ "jti": null })));
    assert_ne!(tokens[0], tokens[1]);
    let mut reasons = Vec::new();
    for token in &tokens {
        exchange_as(&world, "orders", token, JWT).await;
        reasons.push(world.reason().await);
    }
    assert_eq!(reasons, [None, Some(Reason::SubjectTokenUsedAgain)]);
    let other_content = desk(&world, json!({ "jti": null, "sub": "carol" }));
    assert_eq!(exchange_as(&world, "orders", &other_content, JWT).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_introspected_token_is_known_by_its_text() {
    let endpoint = service_fn(|_: Request<Bytes>| async {
        let answer = json!({
            "active": true, "iss": "https://opaque.example", "sub": "bob", "aud": AS, "exp": NOW + 600,
            "token_type": "Bearer", "client_id": "web", "scope": "read",
        });
        let response = http::Response::builder().header(header::CONTENT_TYPE, "application/json");
        Ok::<_, Infallible>(response.body(Bytes::from(answer.to_string())).unwrap())
    });
    let issuer = Issuer::new("https://opaque.example")
        .introspection(Introspection::basic("https://opaque.example/introspect", "layer", "secret").http(endpoint))
        .accept_types([TokenType::ACCESS_TOKEN])
        .map_subjects(SubjectMapping::Prefix("opaque|".into()))
        .allow_presenters(["orders"])
        .one_time_subject_tokens();
    let mut world = plan().with(|builder| builder.issuers([issuer])).start().await;
    let used_again = Some(Reason::SubjectTokenUsedAgain);
    // The header of the last tokens is `{"alg":"ES256"}`, and no strict reader takes them for a JWT.
    for (token, reason) in [
        ("opaque-1", None),
        ("opaque-1", used_again),
        ("opaque-1==", used_again),
        ("opaque-2", None),
        ("opaque-1 ", Some(Reason::OneTimeTokenUnidentified)),
        ("eyJhbGciOiJFUzI1NiJ9.e30.AB", None),
        ("eyJhbGciOiJFUzI1NiJ9.e30.AA==", used_again),
    ] {
        world.exchange(token).await;
        assert_eq!(world.reason().await, reason, "{token}");
    }
}

#[tokio::test]
async fn a_verifier_must_name_one_time_tokens() {
    const BADGE: &str = "urn:example:badge";
    let verifier = service_fn(|question: TokenToVerify| async move {
        let mut claims = vec![
            ("iss", json!("https://desk.example")),
            ("sub", json!("dora")),
            ("aud", json!(AS)),
            ("exp", json!(NOW + 600)),
            ("scope", json!("read")),
        ];
        if question.expose().contains("named") {
            claims.push(("jti", json!("badge-1")));
        }
        Ok::<_, Infallible>(Verification::verified(claims))
    });
    let issuer = Issuer::new("https://desk.example")
        .accept(TokenRules::new(TokenType::from_static(BADGE)))
        .map_subjects(SubjectMapping::Prefix("desk|".into()))
        .allow_presenters(["orders"])
        .one_time_subject_tokens();
    let plan = plan().with(|builder| builder.issuers([issuer]).token_verifier(TokenType::from_static(BADGE), verifier));
    let mut world = plan.start().await;
    for (token, reason) in [
        ("badge", Some(Reason::OneTimeTokenUnidentified)),
        ("named", None),
        ("named-in-other-letters", Some(Reason::SubjectTokenUsedAgain)),
    ] {
        exchange_as(&world, "orders", token, BADGE).await;
        assert_eq!(world.reason().await, reason, "{token}");
    }
}

#[tokio::test]
async fn a_long_lived_token_cannot_be_one_time() {
    const DAY: u64 = 24 * 60 * 60;
    let mut world = with_one_time_issuer().start().await;
    for (lifetime, reason) in [(DAY, None), (DAY + 1, Some(Reason::OneTimeTokenTooLong))] {
        let token = desk(&world, json!({ "exp": NOW + lifetime, "jti": lifetime.to_string() }));
        exchange_as(&world, "orders", &token, JWT).await;
        assert_eq!(world.reason().await, reason, "{lifetime} s");
    }
}

/// An exchange that is refused before the token is signed, or whose token is not signed, leaves the subject token unused.
#[tokio::test]
async fn a_refused_exchange_uses_nothing_up() {
    let fails = Arc::new(Mutex::new("policy"));
    let is = |name: &'static str| {
        let fails = Arc::clone(&fails);
        move || *fails.lock().unwrap() == name
    };
    let (policy_fails, signer_fails) = (is("policy"), is("signer"));
    let plan = with_one_time_issuer();
    let key = plan.own.key.clone();
    let keys = key.published_keys().key_set();
    let (key_id, algorithm) = (key.key_id().clone(), key.algorithm());
    let service = service_fn(move |request: SigningRequest| {
        let signature = match signer_fails() {
            true => Err("the key is locked".to_owned()),
            false => Ok(Signature::new(key.sign(&request.signing_input).unwrap())),
        };
        async move { signature }
    });
    let policy = service_fn(move |_: Query| {
        let decision = if policy_fails() { Decision::deny("closed") } else { Decision::delegate() };
        async move { Ok::<_, Infallible>(decision) }
    });
    let plan =
        plan.with(|builder| builder.policy(policy).signer(Signer::new(key_id, algorithm, service, keys).unwrap()));
    let mut world = plan.start().await;
    let token = desk(&world, json!({}));
    for (failing, reason) in [
        ("policy", Some(Reason::PolicyDenied)),
        ("signer", Some(Reason::SignerUnavailable)),
        ("nothing", None),
        ("policy", Some(Reason::PolicyDenied)),
        ("nothing", Some(Reason::SubjectTokenUsedAgain)),
    ] {
        *fails.lock().unwrap() = failing;
        exchange_as(&world, "orders", &token, JWT).await;
        assert_eq!(world.reason().await, reason, "{failing}");
    }
}

/// Both requests pass every other check before one of them reaches the store.
#[tokio::test]
async fn of_simultaneous_exchanges_one_succeeds() {
    let world = with_one_time_issuer().start().await;
    let token = desk(&world, json!({}));
    let replies = (0..40).map(|_| exchange_as(&world, "orders", &token, JWT));
    let replies = futures_util::future::join_all(replies).await;
    let accepted = replies.iter().filter(|reply| reply.status == StatusCode::OK).count();
    assert_eq!(accepted, 1);
}

#[tokio::test]
async fn the_store_is_asked_with_the_expiry() {
    let questions = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&questions);
    let store = service_fn(move |question: UseOnce| {
        log.lock().unwrap().push(question);
        async { Ok::<_, Infallible>(Used::First) }
    });
    let world = with_one_time_client().with(|builder| builder.replay_store(store)).start().await;
    world.exchange(&world.own.access_token(json!({}))).await;
    let [question] = &questions.lock().unwrap()[..] else { panic!("one question") };
    assert_eq!(question.key.kind(), UseKind::SubjectToken);
    assert_eq!(question.client_id, "orders");
    assert_eq!(question.now, NumericDate::from_seconds(NOW));
    assert_eq!(question.remember_until, NumericDate::from_seconds(NOW + 600 + 60));
    assert!(!format!("{question:?}").contains("subject-1"));
}

#[tokio::test]
async fn a_full_store_refuses_and_a_share_is_limited() {
    let mut world =
        with_one_time_client().with(|builder| builder.replay_store(MemoryReplayStore::new(2))).start().await;
    let token = |world: &World, jti: &str| world.own.access_token(json!({ "jti": jti }));
    for (jti, status, reason) in [
        ("a", StatusCode::OK, None),
        ("b", StatusCode::TOO_MANY_REQUESTS, Some(Reason::ReplayShareUsed)),
        ("a", StatusCode::BAD_REQUEST, Some(Reason::SubjectTokenUsedAgain)),
    ] {
        let reply = world.exchange(&token(&world, jti)).await;
        assert_eq!(reply.status, status, "{jti}: {}", reply.text);
        assert_eq!(world.reason().await, reason, "{jti}");
    }
}

#[tokio::test]
async fn a_reload_keeps_what_was_used() {
    let world = with_one_time_client().start().await;
    let token = world.own.access_token(json!({}));
    assert_eq!(world.exchange(&token).await.status, StatusCode::OK);
    let new = LocalSigner::generate(Algorithm::ES256).unwrap();
    let signer = Signer::from(new).also_accept(world.own.keys());
    world.layer.rotate_signer(signer).unwrap();
    assert_eq!(world.exchange(&token).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_dry_run_uses_nothing_up() {
    let world = with_one_time_client().start().await;
    let token = world.own.access_token(json!({}));
    let form = encode(&exchange_form(&token, &[]));
    let explanation = world.layer.explain("orders", form.as_bytes()).await.to_string();
    assert!(explanation.contains("subject token: may be exchanged once"), "{explanation}");
    assert_eq!(world.exchange(&token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_document_can_demand_single_use() {
    let secret = secret_of("orders");
    let record = format!("id = \"orders\"\nsecret = \"{secret}\"\none_time_subject_tokens = true");
    let with_record = |mut clients: Vec<Client>| {
        clients[0] = toml::from_str(&record).unwrap();
        clients
    };
    let world = plan_with(with_record, |targets| targets).start().await;
    let token = world.own.access_token(json!({}));
    assert_eq!(world.exchange(&token).await.status, StatusCode::OK);
    assert_eq!(world.exchange(&token).await.status, StatusCode::BAD_REQUEST);
}
