//! Attacks with times and sizes, and answers that could reveal something.

use super::*;
use crate::support::*;
use axum::body::Body;
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use futures_util::stream;
use http::{HeaderMap, Request, header};
use hyper_util::{client::legacy::Client as HyperClient, rt::TokioExecutor};
use serde_json::json;
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tower_token_exchange::{
    policy::{Actors, Decision, Grant, Query, Semantics},
    records::Party,
};

/// Sets the clock of a plan.
fn timed(plan: Plan, clock: &Arc<AtomicU64>) -> Plan {
    let clock = Arc::clone(clock);
    plan.with(|builder| builder.clock(move || UNIX_EPOCH + Duration::from_secs(clock.load(SeqCst))))
}

/// Attack: a session ends in ten minutes. The attacker exchanges each token just before its expiry, again and again.
#[tokio::test]
async fn th_25_an_exchange_does_not_extend_a_session() {
    let clock = Arc::new(AtomicU64::new(NOW));
    let records = |clients| {
        changing("orders", |client| client.allow_self_exchange().allow_actor(Party::new(AS, "helper")))(clients)
    };
    let long = |plan: Plan| {
        let rule = anything().actors(Actors::any()).max_lifetime(Duration::from_secs(86_400));
        plan.with(|builder| builder.max_lifetime(Duration::from_secs(86_400)).rules([rule]))
    };
    for (patient, plan) in [(false, plan_with(records, same)), (true, long(plan_with(records, same)))] {
        clock.store(NOW, SeqCst);
        let mut world = timed(plan, &clock).start().await;
        let own = world.own.clone();
        let mut token = own.access_token(json!({}));
        let mut hops = 0;
        loop {
            let next = ask("orders", &token).token(&mut world, "again").await;
            let (before, after) = (segment(&token, 1), segment(&next, 1));
            assert!(after["exp"].as_u64() <= before["exp"].as_u64(), "{before} {after}");
            assert_eq!(after["act"], json!({ "sub": "orders" }));
            let left = after["exp"].as_u64().unwrap() - clock.load(SeqCst);
            assert!(left <= if patient { 86_400 } else { 300 });
            token = next;
            hops += 1;
            // The next exchange happens in the last second of the token.
            if left == 1 {
                break;
            }
            clock.fetch_add(left - 1, SeqCst);
        }
        assert!(hops >= 2 && clock.load(SeqCst) < NOW + 600, "{hops}");
        clock.fetch_add(1, SeqCst);
        ask("orders", &token).refused(&mut world, Reason::TokenExpired, "the end").await;
        assert!(clock.load(SeqCst) <= NOW + 600);

        // The earlier expiry of the subject token and the actor token counts.
        clock.store(NOW, SeqCst);
        for (subject, actor) in [(20, 600), (600, 20), (20, 20)] {
            let subject = own.access_token(json!({ "exp": NOW + subject }));
            let actor = own.access_token(json!({ "sub": "helper", "client_id": "helper", "exp": NOW + actor }));
            let claims = if patient {
                ask("orders", &subject).actor(&actor, ACCESS_TOKEN).claims(&mut world, "with an actor").await
            } else {
                let actor = own
                    .access_token(json!({ "sub": "orders", "client_id": "orders", "exp": segment(&actor, 1)["exp"] }));
                ask("orders", &subject).actor(&actor, ACCESS_TOKEN).claims(&mut world, "with itself").await
            };
            assert_eq!(claims["exp"], NOW + 20);
        }
    }

    // A policy that grants more is broken: no token is issued.
    let generous = tower::service_fn(|query: Query| async move {
        let more = query.max_lifetime + Duration::from_secs(1);
        Ok::<_, Infallible>(Decision::Allow(Grant::new(Semantics::Delegation).max_lifetime(more)))
    });
    let mut world = plan().with(|builder| builder.policy(generous)).start().await;
    let reply = ask("orders", &world.own.access_token(json!({}))).send(&world).await;
    assert_refused(&mut world, &reply, (500, "server_error"), Reason::PolicyWidened, "a generous policy").await;
}

/// Returns a public key of this many bits. No private key exists.
fn rsa_of(bits: usize) -> Value {
    let modulus = vec![0xff; bits / 8];
    json!({ "kty": "RSA", "n": BASE64URL_NOPAD.encode(&modulus), "e": "AQAB", "kid": bits.to_string() })
}

/// Attack: the attacker sends input that costs more to read than to write. The largest accepted input passes.
#[tokio::test]
async fn th_34_every_input_has_a_bound() {
    use Reason::*;
    let weak = key_set([1024, 2040, 2048, 8192, 8200, 16_384].map(rsa_of));
    let partner = Minter::new(PARTNER, Algorithm::ES256);
    let two = |mut targets: Vec<Target>| {
        targets.push(Target::new("second").allow_clients(["orders"]).scopes(["read", "write"]));
        targets
    };
    let record = partner_record(&partner).keys(weak);
    let mut world = plan_with(same, two).with(|builder| builder.issuers([record])).start().await;
    let own = world.own.clone();
    let honest = ask("orders", &own.access_token(json!({})));

    let padded = |bytes: usize| {
        let length = |padding: usize| own.access_token(json!({ "pad": "x".repeat(padding) })).len();
        let start = (bytes - length(1)) * 3 / 4;
        let padding = (start.saturating_sub(8)..start + 8).find(|padding| length(*padding) == bytes);
        own.access_token(json!({ "pad": "x".repeat(padding.unwrap()) }))
    };
    let headed = |bytes: usize| {
        let plain = own.header("at+jwt").to_string();
        let open = &plain[..plain.len() - 1];
        let header = format!("{open},\"pad\":\"{}\"}}", "x".repeat(bytes - open.len() - 10));
        assert_eq!(header.len(), bytes);
        own.sign_text(&header, &segment(&own.access_token(json!({})), 1).to_string())
    };
    let nested = |depth: usize, open: &str, close: &str| {
        let claims = segment(&own.access_token(json!({})), 1).to_string();
        let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        let claims = format!("{},\"x\":{deep}}}", &claims[..claims.len() - 1]);
        own.sign_text(&own.header("at+jwt").to_string(), &claims)
    };
    let parameters = |count: usize| {
        let more = count - honest.form.len();
        (0..more).fold(honest.clone(), |ask, n| ask.and(&format!("x{n}"), ""))
    };
    let scopes = |count: usize| {
        let more: Vec<String> = (1..count).map(|n| format!("s{n}")).collect();
        honest.clone().scope(&format!("read {}", more.join(" ")))
    };
    let cases = [
        ("a token", ask("orders", &padded(65_536)), ask("orders", &padded(65_537)), "invalid_request", TokenTooLarge),
        (
            "a header",
            ask("orders", &headed(8192)),
            ask("orders", &headed(8193)),
            "invalid_request",
            TokenHeaderMalformed,
        ),
        (
            "arrays",
            ask("orders", &nested(15, "[", "]")),
            ask("orders", &nested(16, "[", "]")),
            "invalid_request",
            TokenClaimsMalformed,
        ),
        (
            "objects",
            ask("orders", &nested(15, "{\"a\":", "}")),
            ask("orders", &nested(5_000, "{\"a\":", "}")),
            "invalid_request",
            TokenClaimsMalformed,
        ),
        ("parameters", parameters(64), parameters(65), "invalid_request", TooManyParameters),
        ("scopes", scopes(64), scopes(65), "invalid_scope", ScopeMalformed),
        (
            "a scope",
            honest.clone().scope(&format!("read {}", "x".repeat(256))),
            honest.clone().scope(&format!("read {}", "x".repeat(257))),
            "invalid_scope",
            ScopeMalformed,
        ),
        (
            "targets",
            honest.clone().and("resource", "https://billing.example/api"),
            honest.clone().and("audience", "second"),
            "invalid_target",
            TooManyTargets,
        ),
    ];
    for (why, largest, larger, error, reason) in cases {
        largest.token(&mut world, why).await;
        larger.refused_as(error, &mut world, reason, why).await;
    }
    let actor = ask("orders", &own.access_token(json!({}))).actor(&"a".repeat(65_537), ACCESS_TOKEN);
    actor.refused(&mut world, TokenTooLarge, "an actor token").await;

    // Keys outside of the bounds are not used.
    for (bits, reason) in [
        (1024, TokenKeyUnknown),
        (2040, TokenKeyUnknown),
        (2048, TokenSignatureInvalid),
        (8192, TokenSignatureInvalid),
        (8200, TokenKeyUnknown),
        (16_384, TokenKeyUnknown),
    ] {
        let claims = segment(&partner.foreign(json!({})), 1);
        let header = json!({ "alg": "RS256", "kid": bits.to_string() });
        let token = partner.sign(&header, &claims);
        ask_foreign("orders", &token).refused(&mut world, reason, &format!("{bits} bits")).await;
    }
    assert!(
        plan_with(same, same)
            .with(|builder| builder.issuers([partner_record(&partner).keys(key_set([rsa_of(1024)]))]))
            .builder
            .build()
            .is_err()
    );

    // A body is bounded by its `Content-Length`, and without this header by the bytes that arrive.
    let filled = |bytes: usize| {
        let body = honest.body();
        format!("{body}&pad={}", "x".repeat(bytes - body.len() - 5))
    };
    let authorization = basic("orders", &secret_of("orders"));
    let (limit, why) = (1024 * 1024, "a body");
    assert_eq!(world.post(Some(&authorization), filled(limit)).await.status, StatusCode::OK);
    assert_eq!(world.reason().await, None);
    let reply = world.post(Some(&authorization), filled(limit + 1)).await;
    assert_refused(&mut world, &reply, (413, "invalid_request"), BodyTooLarge, why).await;
    for (bytes, status) in [(limit, 200), (4 * limit, 413)] {
        let text = filled(bytes);
        let pieces: Vec<_> =
            text.as_bytes().chunks(16 * 1024).map(Bytes::copy_from_slice).map(Ok::<_, Infallible>).collect();
        let request = Request::post(format!("{}/token", world.url))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::AUTHORIZATION, &authorization)
            .body(Body::from_stream(stream::iter(pieces)))
            .unwrap();
        let response = HyperClient::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
        assert_eq!(response.status(), status, "{bytes} bytes of no announced length");
        assert_eq!(world.reason().await, (status == 413).then_some(BodyTooLarge));
    }
}

/// Attack: the attacker changes the times in tokens, or the clock of the server.
#[tokio::test]
async fn th_49_times_are_read_exactly() {
    use Reason::*;
    let mut world = plan().start().await;
    let (own, idp) = (world.own.clone(), world.idp.clone());
    let late = |seconds: f64| json!(NOW as f64 + seconds);
    let last = 9_007_199_254_740_991_u64;
    for (changes, refused) in [
        (json!({ "exp": NOW + 1 }), None),
        (json!({ "exp": NOW }), Some(TokenExpired)),
        (json!({ "exp": NOW - 1 }), Some(TokenExpired)),
        (json!({ "exp": late(0.9) }), Some(TokenExpired)),
        (json!({ "exp": 0 }), Some(TokenExpired)),
        (json!({ "exp": last }), None),
        (json!({ "exp": u64::MAX }), Some(TokenClaimsInvalid)),
        (json!({ "exp": i64::MIN }), Some(TokenClaimsInvalid)),
        (json!({ "exp": 1e300 }), Some(TokenClaimsInvalid)),
        (json!({ "exp": -1 }), Some(TokenClaimsInvalid)),
        (json!({ "nbf": NOW + 30 }), None),
        (json!({ "nbf": NOW + 31 }), Some(TokenNotYetValid)),
        (json!({ "nbf": last }), Some(TokenNotYetValid)),
        (json!({ "nbf": u64::MAX }), Some(TokenClaimsInvalid)),
        (json!({ "nbf": -1 }), Some(TokenClaimsInvalid)),
        (json!({ "iat": NOW + 30 }), None),
        (json!({ "iat": NOW + 31 }), Some(TokenIssuedInFuture)),
        (json!({ "iat": NOW + 3600, "nbf": NOW }), Some(TokenIssuedInFuture)),
        (json!({ "iat": last }), Some(TokenIssuedInFuture)),
        (json!({ "iat": u64::MAX }), Some(TokenClaimsInvalid)),
        (json!({ "iat": "1" }), Some(TokenClaimsInvalid)),
    ] {
        let attacks =
            [ask("orders", &own.access_token(changes.clone())), ask_foreign("orders", &idp.foreign(changes.clone()))];
        for attack in attacks {
            match refused {
                Some(reason) => attack.refused(&mut world, reason, &changes.to_string()).await,
                None => {
                    let claims = attack.claims(&mut world, &changes.to_string()).await;
                    assert!(claims["exp"].as_u64().is_some_and(|exp| exp > NOW && exp <= NOW + 300), "{claims}");
                }
            }
        }
    }

    // The leeway is limited.
    for (seconds, builds) in [(0, true), (60, true), (61, false), (3600, false)] {
        let built = plan().with(|builder| builder.leeway(Duration::from_secs(seconds))).builder.build();
        assert_eq!(built.is_ok(), builds, "{seconds} s");
    }
    let exact = |builder: tower_token_exchange::TokenExchangeBuilder| builder.leeway(Duration::ZERO);
    let mut world = plan().with(exact).start().await;
    let token = world.own.access_token(json!({ "nbf": NOW + 1 }));
    ask("orders", &token).refused(&mut world, TokenNotYetValid, "no leeway").await;

    // With a wrong clock, tokens are refused. Nothing worse happens.
    let far = UNIX_EPOCH + Duration::from_secs(1 << 60);
    let clocks: [(&str, SystemTime, Reason); 4] = [
        ("1970", UNIX_EPOCH, TokenIssuedInFuture),
        ("before 1970", UNIX_EPOCH - Duration::from_secs(3600), TokenIssuedInFuture),
        ("the end of time", far, TokenExpired),
        ("an hour ahead", UNIX_EPOCH + Duration::from_secs(NOW + 3600), TokenExpired),
    ];
    for (why, now, reason) in clocks {
        let mut world = plan().with(|builder| builder.clock(move || now)).start().await;
        let token = world.own.access_token(json!({}));
        ask("orders", &token).refused(&mut world, reason, why).await;
    }
}

/// The status, the headers without `Date`, and the body of an answer.
type Answer = (StatusCode, HeaderMap, String);

async fn answer_of(ask: &Ask, world: &mut World) -> (Answer, Option<Reason>) {
    let Reply { status, mut headers, text } = ask.send(world).await;
    headers.remove(header::DATE);
    ((status, headers, text), world.reason().await)
}

/// Attack: a client tries to find out which issuers, keys, users, rules and targets exist. All answers are equal.
#[tokio::test]
async fn th_50_answers_do_not_reveal_the_records() {
    use Reason::*;
    let partner = partner();
    let record = partner_record(&partner).allow_actor_tokens();
    let deny = || Rule::deny("orders", Subjects::of_issuer(AS).named(["mallory"]), "billing");
    let for_some =
        || Rule::allow("orders", Subjects::of_issuer(AS).named(["alice", "mallory"]), "billing").scopes(Names::any());
    let theirs = || Rule::allow("orders", Subjects::of_issuer(PARTNER), "billing").scopes(Names::any());
    let plan = plan().with(|builder| builder.issuers([record]).rules([for_some(), theirs(), deny()]));
    let mut world = plan.start().await;
    let own = world.own.clone();
    let stranger = Minter::new(PARTNER, Algorithm::ES256);
    let good = partner.foreign(json!({}));
    let cut = format!("{}AAAA", &good[..good.len() - 4]);
    let foreign = |changes: Value| ask_foreign("orders", &partner.foreign(changes));
    let ours = |changes: Value| ask("orders", &own.access_token(changes));
    let other_key = Minter { key: stranger.key.clone().with_key_id(partner.key.key_id().clone()), ..stranger.clone() };
    let actor =
        |sub: &str| ours(json!({})).actor(&own.access_token(json!({ "sub": sub, "client_id": sub })), ACCESS_TOKEN);
    let questions = [
        ("an issuer that nobody knows", foreign(json!({ "iss": "https://nobody.example" })), TokenIssuerUnknown),
        ("a signature of nobody's", ask_foreign("orders", &other_key.foreign(json!({}))), TokenSignatureInvalid),
        ("a signature cut off", ask_foreign("orders", &cut), TokenSignatureInvalid),
        ("a key that nobody knows", ask_foreign("orders", &stranger.foreign(json!({}))), TokenKeyUnknown),
        ("no signature", ask_foreign("orders", &under_none(&good)), TokenAlgorithmRefused),
        ("no token", ask_foreign("orders", "x.y.z"), TokenMalformed),
        ("a large token", ask_foreign("orders", &"x".repeat(65_537)), TokenTooLarge),
        ("an expired token", foreign(json!({ "exp": NOW - 1 })), TokenExpired),
        ("an early token", foreign(json!({ "nbf": NOW + 100 })), TokenNotYetValid),
        ("a token for others", foreign(json!({ "aud": "https://other.example" })), TokenNotForUs),
        ("a bound token", foreign(json!({ "cnf": { "jkt": "x" } })), TokenSenderConstrained),
        ("a token of another kind", foreign(json!({ "events": {} })), TokenTypeConfused),
        ("a token without an end", foreign(json!({ "exp": null })), TokenExpiryMissing),
        ("a made-up chain", foreign(json!({ "act": { "sub": "x" } })), ChainNotTrusted),
        ("a broken chain", ours(json!({ "act": 7 })), ChainMalformed),
        ("another's token", ours(json!({ "aud": BILLING })), PresenterUnrelated),
        ("a token for many", ours(json!({ "aud": [ORDERS, BILLING] })), SeveralAudiences),
        ("meant for another actor", ours(json!({ "may_act": { "sub": "billing" } })), MayActMismatch),
        ("an actor of another client", actor("billing"), ActorNotCarried),
        ("an actor that nobody knows", actor("nobody"), ActorNotCarried),
        ("a subject without a rule", ours(json!({ "sub": "bob" })), PolicyNoRule),
        ("a subject with a denial", ours(json!({ "sub": "mallory" })), PolicyDenied),
    ];
    let (first, reason) = answer_of(&questions[0].1, &mut world).await;
    assert_eq!((first.0, reason), (StatusCode::BAD_REQUEST, Some(TokenIssuerUnknown)));
    for (why, question, expected) in &questions {
        let (found, reason) = answer_of(question, &mut world).await;
        assert_eq!(reason, Some(*expected), "{why}: not what was meant");
        assert_eq!(found, first, "{why}");
    }

    // The answers about targets, and about clients, are equal too.
    let honest = ours(json!({}));
    let unknown = answer_of(&honest.clone().at("nowhere"), &mut world).await;
    let forbidden = answer_of(&honest.clone().at("ledger"), &mut world).await;
    assert_eq!((unknown.1, forbidden.1), (Some(TargetUnknown), Some(TargetNotAllowed)));
    assert_eq!(unknown.0, forbidden.0);
    let mut answers = Vec::new();
    for (id, secret) in
        [("orders", "a-guess-at-the-secret"), ("nobody", "a-guess-at-the-secret"), ("orders", ""), ("nobody", "")]
    {
        let Reply { status, mut headers, text } = world.post(Some(&basic(id, secret)), honest.body()).await;
        headers.remove(header::DATE);
        assert_eq!(world.reason().await, Some(ClientRejected), "{id} {secret}");
        answers.push((status, headers, text));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");

    // No answer contains a name. The comparison itself finds answers that differ.
    let all = format!("{first:?} {:?} {answers:?}", unknown.0);
    for name in ["partner", "idp.example", "ledger", "billing", "reports", "alice"] {
        assert!(!all.contains(name), "{name}");
    }
    assert_ne!(first, unknown.0);
    honest.token(&mut world, "a good one of ours").await;
    foreign(json!({})).token(&mut world, "a good one of theirs").await;
}

/// Returns the same claims under the header `alg: none`.
fn under_none(token: &str) -> String {
    let claims = token.split('.').nth(1).unwrap();
    format!("{}.{claims}.", BASE64URL_NOPAD.encode(br#"{"alg":"none"}"#))
}
