//! Fair limits: no client, no peer and no subject takes the service away from the others.

use crate::support::*;
use http::StatusCode;
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};
use tower_token_exchange::{Reason, TokenExchangeBuilder, revocation::MemoryRevocations};

/// A clock in seconds that a test moves.
#[derive(Clone)]
struct TestClock(Arc<AtomicU64>);

impl TestClock {
    fn new() -> Self {
        Self(Arc::new(AtomicU64::new(NOW)))
    }

    fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }

    fn of(&self, builder: TokenExchangeBuilder) -> TokenExchangeBuilder {
        let clock = self.clone();
        builder.clock(move || UNIX_EPOCH + Duration::from_secs(clock.0.load(Ordering::Relaxed)))
    }
}

/// The whole seconds in `Retry-After`.
fn retry_after(reply: &Reply) -> u64 {
    reply.headers["retry-after"].to_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn one_client_cannot_fill_the_revocation_store() {
    let clock = TestClock::new();
    let world = plan()
        .with(|builder| clock.of(builder).revocation_endpoint("/revoke").revocations(MemoryRevocations::new(8)))
        .start()
        .await;
    let revoke = async |client: &str, jti: &str, expires_in: u64| {
        let token = world.own.access_token(json!({ "client_id": client, "jti": jti, "exp": NOW + expires_in }));
        world.post_to("/revoke", Some(&basic(client, &secret_of(client))), encode(&[("token", &token)])).await
    };
    for number in 0..4 {
        assert_eq!(revoke("orders", &format!("greedy-{number}"), 100 + number).await.status, StatusCode::OK);
    }
    let refused = revoke("orders", "greedy-4", 600).await;
    assert_eq!((refused.status, refused.error()), (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable".into()));
    assert_eq!(retry_after(&refused), 100);
    for client in ["billing", "reports"] {
        assert_eq!(revoke(client, client, 600).await.status, StatusCode::OK, "{client}");
    }
    // A repeated revocation needs no room.
    assert_eq!(revoke("orders", "greedy-0", 100).await.status, StatusCode::OK);
    // Two revocations of others came meanwhile, so the client waits for the second of its own to expire.
    let refused = revoke("orders", "greedy-4", 600).await;
    assert_eq!(retry_after(&refused), 101);
    clock.advance(101);
    assert_eq!(revoke("orders", "greedy-4", 600).await.status, StatusCode::OK);
}

#[test]
fn limits_are_denials_and_not_failures() {
    for reason in [Reason::TooManyClientAttempts, Reason::RevocationShareUsed] {
        assert_eq!(reason.status(), StatusCode::TOO_MANY_REQUESTS, "{reason}");
        assert!(!reason.is_alarm());
    }
}
