//! Introspection (RFC 7662) and revocation (RFC 7009) of issued tokens, and the revocation store.

use crate::support::*;
use http::StatusCode;
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::mpsc;
use tower::service_fn;
use tower_token_exchange::{
    Client, Reason,
    audit::Operation,
    revocation::{MemoryRevocations, RevocationQuestion, RevocationState},
    signing::{Algorithm, LocalSigner, Signature, Signer, SigningRequest},
};

fn planned() -> Plan {
    plan_with(
        |mut clients| {
            // A resource server, which introspects tokens and cannot exchange tokens.
            clients.push(Client::new("ledger").secret(secret_of("ledger")).deny_exchange());
            clients
        },
        |targets| targets,
    )
    .with(|builder| {
        builder
            .introspection_endpoint("/introspect")
            .revocation_endpoint("/revoke")
            .revocations(MemoryRevocations::new(100))
    })
}

impl World {
    /// A token of Alice for `billing`, issued to `orders`.
    async fn issued(&self) -> String {
        let reply = self.exchange(&self.own.access_token(json!({}))).await;
        reply.json()["access_token"].as_str().unwrap_or_else(|| panic!("{}", reply.text)).to_owned()
    }

    async fn ask(&self, path: &str, client: &str, token: &str) -> Reply {
        self.post_to(path, Some(&basic(client, &secret_of(client))), encode(&[("token", token)])).await
    }

    async fn introspect(&self, client: &str, token: &str) -> Value {
        let reply = self.ask("/introspect", client, token).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
        assert_eq!(reply.headers["content-type"], "application/json");
        assert_eq!(reply.headers["cache-control"], "no-store");
        reply.json()
    }

    fn passed(&self) -> usize {
        self.passed.lock().unwrap().len()
    }
}

#[tokio::test]
async fn holder_and_target_can_introspect_a_token() {
    let world = planned().start().await;
    let token = world.issued().await;
    let mut expected = segment(&token, 1);
    expected["active"] = true.into();
    expected["token_type"] = "Bearer".into();
    assert_eq!(expected["act"], json!({ "sub": "orders" }));
    // The client that holds the token, and the client that serves the target.
    for client in ["orders", "billing"] {
        assert_eq!(world.introspect(client, &token).await, expected, "{client}");
    }
    // Other clients learn nothing.
    for client in ["reports", "ledger"] {
        assert_eq!(world.introspect(client, &token).await, json!({ "active": false }), "{client}");
    }
    assert_eq!(world.passed(), 0);
}

#[tokio::test]
async fn introspection_needs_no_exchange_grant() {
    let planned = plan_with(
        |mut clients| {
            clients[1] = Client::new("billing").secret(secret_of("billing")).deny_exchange();
            clients
        },
        |targets| targets,
    );
    let world = planned.with(|builder| builder.introspection_endpoint("/introspect")).start().await;
    assert_eq!(world.introspect("billing", &world.issued().await).await["active"], true);
}

#[tokio::test]
async fn introspection_needs_client_authentication() {
    let world = planned().start().await;
    let token = world.issued().await;
    for path in ["/introspect", "/revoke"] {
        let form = encode(&[("token", &token)]);
        let wrong = world.post_to(path, Some(&basic("orders", "a-wrong-secret-of-length")), form.clone()).await;
        assert_eq!((wrong.status, wrong.error()), (StatusCode::UNAUTHORIZED, "invalid_client".into()), "{path}");
        assert!(wrong.headers.contains_key("www-authenticate"));
        let nobody = world.post_to(path, None, form).await;
        assert_eq!((nobody.status, nobody.error()), (StatusCode::BAD_REQUEST, "invalid_client".into()), "{path}");
        let both = encode(&[("token", "x"), ("token", &token)]);
        let twice = world.post_to(path, Some(&basic("orders", &secret_of("orders"))), both).await;
        assert_eq!((twice.status, twice.error()), (StatusCode::BAD_REQUEST, "invalid_request".into()), "{path}");
    }
    assert_eq!(world.introspect("orders", &token).await["active"], true);
    assert_eq!(world.passed(), 0);
}

#[tokio::test]
async fn a_secret_can_be_in_the_form() {
    let world = planned().start().await;
    let token = world.issued().await;
    let secret = secret_of("orders");
    let form = [("token", &*token), ("token_type_hint", "refresh_token"), ("client_id", "orders")];
    let form = encode(&[&form[..], &[("client_secret", &secret)]].concat());
    assert_eq!(world.post_to("/introspect", None, form).await.json()["active"], true);
}

#[tokio::test]
async fn a_foreign_token_is_passed_unchanged() {
    let world = planned().with(|builder| builder.body_limit(100_000)).start().await;
    let theirs = Minter::new(AS, Algorithm::ES256);
    let mut tampered = world.issued().await;
    tampered.replace_range(tampered.len() - 4.., "AAAA");
    let forged = Minter { key: theirs.key.clone().with_key_id(world.own.key.key_id().clone()), ..theirs.clone() };
    let other_issuer = Minter { iss: "https://other.example", key: world.own.key.clone() };
    let tokens = [
        "opaque".to_owned(),
        String::new(),
        tampered,
        theirs.access_token(json!({})),
        forged.access_token(json!({})),
        other_issuer.access_token(json!({})),
        "x".repeat(70_000),
    ];
    let bodies = tokens.iter().map(|token| format!("token={token}&token_type_hint=%zz&x;y"));
    for (count, body) in bodies.chain(["no form at all".to_owned()]).enumerate() {
        for path in ["/introspect", "/revoke"] {
            let reply = world.post_to(path, Some("Bearer whatever"), body.clone()).await;
            assert!(reply.status == StatusCode::OK && reply.text == body, "{path} {count}");
        }
        assert_eq!(world.passed(), 2 * (count + 1));
    }
    // An unread revocation is refused, because the wrapped service would confirm it.
    let (before, large) = (world.passed(), "y".repeat(200_000));
    let asked = world.post_to("/introspect", None, large.clone()).await;
    assert_eq!((asked.status, world.passed()), (StatusCode::OK, before + 1));
    let revoked = world.post_to("/revoke", None, large).await;
    assert_eq!((revoked.status, revoked.error()), (StatusCode::PAYLOAD_TOO_LARGE, "invalid_request".into()));
    assert_eq!(world.passed(), before + 1);
}

/// What the layer does with a request: it answers, refuses for a reason, or passes the request unchanged.
#[derive(Debug, PartialEq)]
enum Done {
    Answered,
    Refused(Reason),
    Passed,
}
use Done::{Answered, Passed, Refused};

#[tokio::test]
async fn the_server_never_answers_for_issued_tokens() {
    const FORM: &str = "application/x-www-form-urlencoded";
    const JSON: &str = "application/json";
    let misplaced = || Refused(Reason::IssuedTokenMisplaced);
    let unreadable = || Refused(Reason::BodyUnreadable);
    // The method, what follows the path, the media type, the body, and the result without guard and with guard. `OWN` stands
    // for an issued token.
    let cases = [
        ("POST", "", FORM, "token=OWN", Answered, Answered),
        ("POST", "", FORM, "TOKEN=OWN", misplaced(), misplaced()),
        ("POST", "", FORM, "x=y;token=+OWN", misplaced(), misplaced()),
        ("POST", "", FORM, "token[]=OWN", misplaced(), misplaced()),
        ("PUT", "", FORM, "token=OWN", misplaced(), misplaced()),
        ("POST", "", JSON, r#"{"a":[{"token":"OWN"}]}"#, misplaced(), misplaced()),
        ("POST", "?token=OWN", FORM, "", misplaced(), misplaced()),
        ("GET", "?token=OWN", "", "", misplaced(), misplaced()),
        ("POST", "", "text/plain", "token=OWN", unreadable(), unreadable()),
        ("POST", "", "", "token=OWN", unreadable(), unreadable()),
        ("POST", "", "application/x-www-form-urlencoded; charset=utf-16", "x", unreadable(), unreadable()),
        ("POST", "", JSON, "/**/{}", unreadable(), unreadable()),
        // Other spellings of the path.
        ("POST", "/", FORM, "token=OWN", Passed, Answered),
        ("POST", "/x/..", FORM, "token=OWN", Passed, Answered),
        ("POST", ".json", FORM, "token=OWN", Passed, misplaced()),
        ("POST", ".json", FORM, "token=x", Passed, Passed),
        // Other tokens.
        ("POST", "", FORM, "token=x.y.z", Passed, Passed),
        ("PUT", "", FORM, "token=x.y.z&other=OWN", Passed, Passed),
        ("POST", "", JSON, r#"{"token":"x.y.z"}"#, Passed, Passed),
        ("POST", "?token=x.y.z", FORM, "token=x", Passed, Passed),
        ("GET", "?x=y", "", "", Passed, Passed),
        ("OPTIONS", "", "", "", Passed, Passed),
    ];
    for guarded in [false, true] {
        let world = planned().with(|builder| if guarded { builder.guard() } else { builder }).start().await;
        let token = world.issued().await;
        for path in ["/introspect", "/revoke"] {
            for (method, rest, media, body, open, guard) in &cases {
                let [rest, body] = [rest, body].map(|text| text.replace("OWN", &token));
                let mut request = http::Request::builder().method(*method).uri(format!("{}{path}{rest}", world.url));
                request = request.header("authorization", basic("billing", &secret_of("billing")));
                if !media.is_empty() {
                    request = request.header("content-type", *media);
                }
                let before = world.passed();
                let reply = world.send(request.body(body.clone().into()).unwrap()).await;
                let is_echo = world.passed() > before;
                // The wrapped service has no other paths and methods.
                let is_unknown = matches!(reply.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED);
                let description = serde_json::from_str::<Value>(&reply.text).unwrap_or_default();
                let reasons = [Reason::IssuedTokenMisplaced, Reason::BodyUnreadable];
                let refused = reasons.into_iter().find(|is| description["error_description"] == is.description());
                let done = match refused {
                    Some(reason) => Refused(reason),
                    None if is_echo || is_unknown => Passed,
                    None => Answered,
                };
                let name = format!("{method} {path}{rest} {media} {body}, guarded: {guarded}");
                assert_eq!(done, *if guarded { guard } else { open }, "{name}: {}", reply.text);
                assert!(!is_echo || reply.text == body, "{name}: passed, but not as it came");
            }
        }
        let many: Vec<_> = (0..17).map(|_| ("token", "x.y.z")).collect();
        let reply = world.post_to("/revoke", None, encode(&many)).await;
        assert_eq!(reply.json()["error_description"], Reason::IssuedTokenMisplaced.description());
        // A compressed body.
        for path in ["/introspect", "/revoke"] {
            let request = http::Request::post(format!("{}{path}", world.url)).header("content-type", FORM);
            let request = request.header("content-encoding", "gzip").body("token".into()).unwrap();
            assert_eq!(world.send(request).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{path}");
        }
        assert_eq!(world.introspect("billing", &token).await["active"], true);
    }
}

#[tokio::test]
async fn a_revoked_token_is_refused_everywhere() {
    let mut world = planned().start().await;
    let token = world.issued().await;
    world.event().await;
    let mut form = exchange_form(&token, &[]);
    form[3].1 = "ledger";
    assert_eq!(world.post_as("billing", &form).await.status, StatusCode::OK);
    world.event().await;

    // Neither the target nor any other client can revoke the token.
    for client in ["billing", "reports"] {
        let refused = world.ask("/revoke", client, &token).await;
        assert_eq!((refused.status, refused.error()), (StatusCode::BAD_REQUEST, "unauthorized_client".into()));
        assert_eq!(refused.json()["error_description"], Reason::TokenNotHeld.description());
    }
    assert_eq!(world.introspect("billing", &token).await["active"], true);

    for _ in 0..2 {
        let revoked = world.ask("/revoke", "orders", &token).await;
        assert_eq!((revoked.status, &*revoked.text), (StatusCode::OK, ""));
        assert_eq!(revoked.headers["cache-control"], "no-store");
    }
    for client in ["orders", "billing"] {
        assert_eq!(world.introspect(client, &token).await, json!({ "active": false }));
    }
    let refused = world.post_as("billing", &form).await;
    assert_eq!((refused.status, refused.error()), (StatusCode::BAD_REQUEST, "invalid_request".into()));
    for _ in 0..7 {
        assert_ne!(world.event().await.operation, Operation::Exchange);
    }
    assert_eq!(world.reason().await, Some(Reason::TokenRevoked));

    // The token is refused with every token type, and as an actor token.
    let subject = world.own.access_token(json!({ "aud": "https://billing.example" }));
    for (subject, subject_type, actor) in [(&token, JWT, None), (&subject, ACCESS_TOKEN, Some(&token))] {
        let mut form = exchange_form(subject, &[]);
        form[2].1 = subject_type;
        form[3].1 = "ledger";
        if let Some(actor) = actor {
            form.extend([("actor_token", actor.as_str()), ("actor_token_type", ACCESS_TOKEN)]);
        }
        assert_eq!(world.post_as("billing", &form).await.status, StatusCode::BAD_REQUEST);
        world.event().await;
    }
    assert_eq!(world.passed(), 0);
}

#[tokio::test]
async fn an_expired_token_is_inactive() {
    let now = Arc::new(AtomicU64::new(NOW));
    let clock = Arc::clone(&now);
    let world = planned()
        .with(|builder| {
            builder
                .clock(move || std::time::UNIX_EPOCH + std::time::Duration::from_secs(clock.load(Ordering::Relaxed)))
                .revocations(MemoryRevocations::new(0))
        })
        .start()
        .await;
    let token = world.issued().await;
    // A full store forgets nothing, and the client gets 503.
    let full = world.ask("/revoke", "orders", &token).await;
    assert_eq!((full.status, full.error()), (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable".into()));
    now.store(NOW + 300, Ordering::Relaxed);
    assert_eq!(world.introspect("orders", &token).await, json!({ "active": false }));
    assert_eq!(world.ask("/revoke", "orders", &token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_failing_store_fails_closed() {
    let broken = service_fn(|question: RevocationQuestion| async move {
        match question {
            RevocationQuestion::Revoke { .. } => Ok(RevocationState::Found(Vec::new())),
            _ => Err("the store is gone"),
        }
    });
    let mut world = planned().with(|builder| builder.revocations(broken)).start().await;
    let token = world.own.access_token(json!({}));
    let refused = world.exchange(&token).await;
    assert_eq!((refused.status, refused.error()), (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable".into()));
    let event = world.event().await;
    assert_eq!(event.reason, Some(Reason::RevocationsUnavailable));
    assert!(event.detail.unwrap().contains("the store is gone"));
    // The store is asked about every token.
    let nameless = world.own.access_token(json!({ "jti": null }));
    for token in [nameless, world.idp.foreign(json!({}))] {
        let mut form = exchange_form(&token, &[]);
        form[2].1 = if segment(&token, 1)["iss"] == IDP { JWT } else { ACCESS_TOKEN };
        assert_eq!(world.post_as("orders", &form).await.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(world.reason().await, Some(Reason::RevocationsUnavailable));
    }
    let minted = world.own.access_token(json!({ "client_id": "orders" }));
    for path in ["/introspect", "/revoke"] {
        assert_eq!(world.ask(path, "orders", &minted).await.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
    }
}

#[tokio::test]
async fn the_signer_is_rotated_without_a_gap() {
    let world = planned().start().await;
    let before = world.issued().await;
    let new = LocalSigner::generate(Algorithm::EdDSA).unwrap();
    let published = new.published_keys().and(world.own.key.published_keys());
    world.layer.rotate_signer(Signer::from(new.clone()).also_accept(published.key_set())).unwrap();
    let after = world.issued().await;
    assert_eq!(
        (segment(&after, 0)["alg"].as_str(), segment(&after, 0)["kid"].as_str()),
        (Some("EdDSA"), Some(new.key_id().as_str()))
    );
    for token in [&before, &after] {
        assert_eq!(world.introspect("orders", token).await["active"], true);
        let mut form = exchange_form(token, &[]);
        form[3].1 = "ledger";
        assert_eq!(world.post_as("billing", &form).await.status, StatusCode::OK);
    }

    // A signer without public keys is refused, because the endpoints need the keys. The signer before it stays.
    let signs = service_fn(|_: SigningRequest| async { Ok::<_, std::io::Error>(Signature::new("")) });
    let lost = Signer::unchecked(key_id("lost"), Algorithm::ES256, signs);
    assert_eq!(world.layer.rotate_signer(lost).unwrap_err().field(), "signer");
    assert_eq!(segment(&world.issued().await, 0)["kid"], new.key_id().as_str());

    // Without the old key, its tokens are not recognized any more.
    world.layer.rotate_signer(new).unwrap();
    let mut form = exchange_form(&before, &[]);
    form[3].1 = "ledger";
    assert_eq!(world.post_as("billing", &form).await.status, StatusCode::BAD_REQUEST);
    // The new signer stays when the records change.
    let records = json!({
        "client": [{ "id": "orders", "secret": secret_of("orders") }],
        "target": [{ "id": "orders", "aud": "https://orders.example", "owner": "orders", "scopes": ["read"] },
                   { "id": "billing", "callers": ["orders"], "scopes": ["read"] }],
        "rule": [{ "clients": "orders", "subjects": "any", "targets": "billing", "scopes": ["read"] }]
    });
    world.layer.reload(serde_json::from_value(records).unwrap()).unwrap();
}

#[tokio::test]
async fn endpoints_that_cannot_work_are_refused() {
    let (sender, _events) = mpsc::unbounded_channel();
    let signs = service_fn(|_: SigningRequest| async { Ok::<_, std::io::Error>(Signature::new("")) });
    let unknown = Signer::unchecked(key_id("kms"), Algorithm::ES256, signs);
    for (field, builder) in [
        ("revocation_endpoint", plan().builder.revocation_endpoint("/revoke")),
        ("introspection_endpoint", plan().builder.introspection_endpoint("introspect")),
        ("introspection_endpoint", plan().builder.endpoint("/token").introspection_endpoint("/token")),
        ("revocation_endpoint", planned().builder.revocation_endpoint("/introspect")),
        ("revocation_endpoint", planned().builder.revocation_endpoint("//introspect/")),
        ("signer", plan().builder.introspection_endpoint("/introspect").signer(unknown)),
    ] {
        let refused = builder.audit(recorder(sender.clone())).build().unwrap_err();
        assert_eq!(refused.field(), field);
    }
}

#[cfg(feature = "revocation-file")]
#[test]
fn a_revocation_survives_a_restart() {
    use tower_token_exchange::revocation::{AncestryKey, FileRevocations};

    let folder = std::env::temp_dir().join(format!("revocations-after-restart-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("revocations.redb");
    let own = Minter::new(AS, Algorithm::ES256);
    let token = |jti: &str| own.access_token(json!({ "client_id": "orders", "jti": jti, "exp": NOW + 300 }));
    // Each run has its own runtime, which closes the file at its end.
    let run = |revoke: Option<&str>| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let store = FileRevocations::open(&path, 10).unwrap();
            let taken = FileRevocations::open(&path, 10).unwrap_err();
            assert_eq!(taken.path(), path);
            let key = AncestryKey::new([7; 32]).unwrap();
            let plan = planned().with(|builder| builder.revocations(store).ancestry_key(key).signer(own.key.clone()));
            let world = plan.start().await;
            if let Some(jti) = revoke {
                assert_eq!(world.ask("/revoke", "orders", &token(jti)).await.status, StatusCode::OK);
            }
            let mut good = Vec::new();
            for jti in ["a", "b"] {
                let active = world.introspect("orders", &token(jti)).await["active"] == true;
                assert_eq!(active, world.exchange(&token(jti)).await.status == StatusCode::OK);
                good.extend(active.then_some(jti));
            }
            good
        })
    };
    assert_eq!(run(None), ["a", "b"]);
    assert_eq!(run(Some("a")), ["b"]);
    assert_eq!(run(None), ["b"]);
    std::fs::remove_dir_all(&folder).unwrap();
}
