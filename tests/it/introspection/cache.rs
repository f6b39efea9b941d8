//! Positive answers can be kept for a short time. No answer is kept by default.

use super::*;
use crate::jwks::{Time, timed};

async fn caching(entries: u64, seconds: u64) -> (Endpoint, Time, World) {
    let (endpoint, time) = (Endpoint::up().await, Time::new());
    let plan = asking(&endpoint, |record| record.cache(entries, Duration::from_secs(seconds)));
    let world = timed(plan, &time).start().await;
    (endpoint, time, world)
}

#[tokio::test]
async fn without_a_cache_every_exchange_asks() {
    let (endpoint, mut world) = world().await;
    for _ in 0..3 {
        exchanged(&mut world, OPAQUE).await.unwrap();
        assert_eq!(endpoint.hits(), 1);
    }
}

#[tokio::test]
async fn an_answer_is_kept_for_its_time() {
    let (endpoint, time, mut world) = caching(10, 60).await;
    exchanged(&mut world, OPAQUE).await.unwrap();
    assert_eq!(endpoint.hits(), 1);
    // Revoked, which goes unnoticed for so long.
    endpoint.says(&json!({ "active": false }));
    time.pass(59);
    exchanged(&mut world, OPAQUE).await.unwrap();
    assert_eq!(endpoint.hits(), 0);
    time.pass(1);
    assert_eq!(exchanged(&mut world, OPAQUE).await, Err(Reason::TokenInactive));
    assert_eq!(endpoint.hits(), 1);
    // And it does not come back when the clock is set back.
    time.set(NOW - 10);
    assert_eq!(exchanged(&mut world, OPAQUE).await, Err(Reason::TokenInactive));
    assert_eq!(endpoint.hits(), 1);
}

#[tokio::test]
async fn no_answer_outlives_its_token() {
    let (endpoint, time, mut world) = caching(10, 3600).await;
    endpoint.says(&active(json!({ "exp": NOW + 30 })));
    let issued = exchanged(&mut world, OPAQUE).await.unwrap();
    assert_eq!(issued["exp"], NOW + 30);
    time.pass(29);
    let issued = exchanged(&mut world, OPAQUE).await.unwrap();
    assert_eq!((&issued["exp"], endpoint.hits()), (&json!(NOW + 30), 1));
    time.pass(1);
    assert_eq!(exchanged(&mut world, OPAQUE).await, Err(Reason::TokenExpired));
}

#[tokio::test]
async fn a_kept_answer_is_checked_each_time() {
    let (endpoint, time) = (Endpoint::up().await, Time::new());
    let own = Issuer::new(AS)
        .introspection(endpoint.record().cache(10, Duration::from_secs(3600)))
        .max_age(Duration::from_secs(60));
    let plan = plan().with(|builder| builder.issuers([own]).http(loopback()));
    let mut world = timed(plan, &time).start().await;
    exchanged(&mut world, OPAQUE).await.unwrap();
    // In the hands of somebody else it is worth no more than it was.
    let mut form = exchange_form(OPAQUE, &[]);
    form.retain(|(name, _)| *name != "audience");
    form.push(("audience", "ledger"));
    assert_eq!(world.post_as("billing", &form).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.reason().await, Some(Reason::PresenterUnrelated));
    let id_token = declared(&mut world, OPAQUE, ID_TOKEN).await;
    assert_eq!(id_token, Err(Reason::SubjectTokenTypeUnsupported));
    time.pass(61);
    assert_eq!(exchanged(&mut world, OPAQUE).await, Err(Reason::TokenTooOld));
    assert_eq!(endpoint.hits(), 1, "all of it by one answer");
}

#[tokio::test]
async fn only_good_answers_are_kept() {
    let (endpoint, _, mut world) = caching(10, 60).await;
    let bad = [
        (json!({ "active": false }), Reason::TokenInactive),
        (json!({ "active": "true" }), Reason::IntrospectionUnavailable),
        (active(json!({ "token_type": "refresh" })), Reason::TokenTypeConfused),
        (active(json!({ "exp": null })), Reason::TokenExpiryMissing),
        (active(json!({ "exp": NOW })), Reason::TokenExpired),
        (active(json!({ "exp": "soon" })), Reason::TokenClaimsInvalid),
    ];
    for (answer, reason) in bad {
        endpoint.says(&answer);
        for _ in 0..2 {
            assert_eq!(exchanged(&mut world, OPAQUE).await, Err(reason), "{answer}");
            assert_eq!(endpoint.hits(), 1, "{answer}");
        }
    }
    endpoint.says(&active(json!({})));
    exchanged(&mut world, OPAQUE).await.unwrap();
    assert_eq!(endpoint.hits(), 1, "what was refused is asked about anew");
}

/// An answer is one token's, and its issuer's.
#[tokio::test]
async fn an_answer_belongs_to_one_token() {
    let (own, foreign) = (Endpoint::up().await, Endpoint::up().await);
    foreign.says(&active(json!({ "iss": crate::jwks::REMOTE, "sub": "bob", "aud": AS })));
    let plan = asking(&own, |record| record.cache(10, Duration::from_secs(60)));
    let remote =
        crate::jwks::record(crate::jwks::REMOTE).introspection(foreign.record().cache(10, Duration::from_secs(60)));
    let mut world = plan.with(|builder| builder.issuers([remote])).start().await;
    for _ in 0..2 {
        assert_eq!(exchanged(&mut world, OPAQUE).await.unwrap()["sub"], "alice");
        assert_eq!(declared(&mut world, OPAQUE, JWT).await.unwrap()["sub"], format!("{}|bob", crate::jwks::REMOTE));
    }
    assert_eq!((own.hits(), foreign.hits()), (1, 1));
    own.says(&json!({ "active": false }));
    let longer = format!("{OPAQUE}A");
    for other in [&longer[..], &OPAQUE[1..], &OPAQUE.to_uppercase()] {
        assert_eq!(exchanged(&mut world, other).await, Err(Reason::TokenInactive), "{other}");
    }
    assert_eq!(own.hits(), 3);
}

#[tokio::test]
async fn a_verified_token_uses_the_cache_too() {
    let (endpoint, time) = (Endpoint::up().await, Time::new());
    let plan =
        asking(&endpoint, |record| record.introspect(IntrospectedTokens::Every).cache(10, Duration::from_secs(60)));
    let mut world = timed(plan, &time).start().await;
    let token = world.own.access_token(json!({}));
    exchanged(&mut world, &token).await.unwrap();
    exchanged(&mut world, &token).await.unwrap();
    assert_eq!(endpoint.hits(), 1);
    time.pass(60);
    endpoint.says(&json!({ "active": false }));
    assert_eq!(exchanged(&mut world, &token).await, Err(Reason::TokenInactive));
}

/// The library lets a few more in before it clears up; what matters is that it does not grow with what comes.
#[tokio::test]
async fn the_cache_is_bounded() {
    let (endpoint, _, mut world) = caching(2, 3600).await;
    let tokens: Vec<_> = (0..400).map(|number| format!("opaque-{number}")).collect();
    for _ in 0..2 {
        for token in &tokens {
            exchanged(&mut world, token).await.unwrap();
        }
    }
    let hits = endpoint.hits();
    assert!(hits > 600, "asked {hits} times: {} answers were kept", 800 - hits);
}

#[test]
fn an_unlimited_cache_is_refused() {
    let build = |seconds| {
        let record = Introspection::bearer("https://as.example/introspect", "x").cache(1, Duration::from_secs(seconds));
        without_idp().builder.issuers([Issuer::new(AS).introspection(record)]).build()
    };
    assert!(build(24 * 3600).is_ok());
    let error = build(u64::MAX).unwrap_err().to_string();
    assert!(error.starts_with("issuer `https://as.example`: introspection: ") && error.contains("1 day"), "{error}");
}
