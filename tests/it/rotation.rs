//! Rotation of keys under load. While an issuer changes its keys, goes down and comes back, every client gets the right
//! answer in time, and the layer sends exactly the promised number of requests to the issuer.

use crate::jwks::*;
use crate::support::*;
use futures_util::future::join_all;
use http::{StatusCode, header};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use tower_token_exchange::{Issuer, Reason, jwks::KeyState};

/// The number of simultaneous exchanges in each round. A round has to end within 5 s, the longest time of a fetch, also while other
/// programs use the processors.
const LOAD: usize = 40;

/// The expected outcome for a token.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Issued,
    /// The key of the token is not a key of the issuer.
    Refused,
    /// The layer cannot know whether the key is a key of the issuer.
    Unavailable,
}

struct Scene {
    world: World,
    jwks: Jwks,
    time: Time,
    /// The number of fetches so far, and the number of failed fetches.
    fetches: u64,
    failures: u64,
}

impl Scene {
    async fn begin(jwks: Jwks, issuer: Issuer) -> Self {
        let time = Time::new();
        let plan = timed(plan(), &time).with(|builder| builder.issuers([issuer]).http(loopback()));
        Self { world: plan.start().await, jwks, time, fetches: 0, failures: 0 }
    }

    /// Sends the tokens of the mix in turn, `LOAD` tokens at the same time.
    async fn send(&mut self, why: &str, mix: &[(&str, Outcome)]) {
        let sent: Vec<_> = mix.iter().cycle().take(LOAD).collect();
        let forms: Vec<_> = sent.iter().map(|(token, _)| form(token)).collect();
        let exchanges = join_all(forms.iter().map(|form| self.world.post_as("orders", form)));
        let replies = tokio::time::timeout(Duration::from_secs(60), exchanges).await.expect("an exchange did not end");
        for (reply, (_, then)) in replies.iter().zip(&sent) {
            let expected = match then {
                Outcome::Issued => StatusCode::OK,
                Outcome::Refused => StatusCode::BAD_REQUEST,
                Outcome::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            };
            assert_eq!(reply.status, expected, "{why}: {then:?}: {}", reply.text);
            let told_when = reply.headers.contains_key(header::RETRY_AFTER);
            assert_eq!(told_when, *then == Outcome::Unavailable, "{why}: {then:?}");
            if *then == Outcome::Issued {
                assert_eq!(reply.claims()["sub"], format!("{}|bob", key_report(&self.world).issuer), "{why}");
            }
        }
        let mut reasons = Vec::new();
        for _ in &sent {
            reasons.push(self.world.reason().await);
        }
        for (then, reason) in [
            (Outcome::Issued, None),
            (Outcome::Refused, Some(Reason::TokenKeyUnknown)),
            (Outcome::Unavailable, Some(Reason::IssuerKeysUnavailable)),
        ] {
            let expected = sent.iter().filter(|(_, other)| *other == then).count();
            assert_eq!(reasons.iter().filter(|other| **other == reason).count(), expected, "{why}: {then:?}");
        }
        assert!(self.world.no_event(), "{why}: one event for each");
    }

    /// Checks the number of new fetches and of new failures, as the issuer and the readiness report count them.
    async fn fetched(&mut self, why: &str, more: u64, failed: u64) {
        self.fetches += more;
        self.failures += failed;
        let counts = || {
            let report = key_report(&self.world);
            (report.fetches, report.failures)
        };
        // A fetch in the background may not have ended yet. A fetch too many would stay in the counts.
        until(|| counts().1 >= self.failures && self.jwks.hits() as u64 >= self.fetches).await;
        assert_eq!(counts(), (self.fetches, self.failures), "{why}");
        assert_eq!(self.jwks.hits() as u64, self.fetches, "{why}");
    }

    async fn landed(&self) {
        until(|| key_report(&self.world).age == Some(Duration::ZERO)).await;
    }
}

/// Runs the scenario for an issuer whose key set is fetched in one request, once its URL is known.
async fn rotates(jwks: Jwks, issuer: Issuer, [a, b, c]: [Minter; 3]) {
    use Outcome::{Issued, Refused, Unavailable};
    let mut scene = Scene::begin(jwks.clone(), issuer).await;
    let (of_a, of_b, of_c) = (&*token(&a), &*token(&b), &*token(&c));
    let (random, another) = (&*token_with_kid(&b, "random"), &*token_with_kid(&b, "another"));

    jwks.now(Answer::keys(&a));
    scene.send("a cold start", &[(of_a, Issued)]).await;
    scene.fetched("a cold start", 1, 0).await;
    scene.time.pass(60);
    scene.send("kept", &[(of_a, Issued)]).await;
    scene.fetched("kept", 0, 0).await;

    // The issuer publishes its second key, and signs with the key at once.
    jwks.now(Answer::both(&a, &b));
    scene.send("rotated in", &[(of_a, Issued), (of_b, Issued)]).await;
    scene.fetched("rotated in", 1, 0).await;
    scene.send("a flood", &[(of_b, Issued), (random, Refused), (of_a, Issued), (another, Refused)]).await;
    scene.fetched("a flood in the cool-down", 0, 0).await;
    scene.time.pass(60);
    scene.send("a flood", &[(of_b, Issued), (random, Refused), (of_a, Issued), (another, Refused)]).await;
    scene.fetched("a flood after the cool-down", 1, 0).await;

    // The issuer removes its first key. The layer uses the old key set until the refresh, which starts early, has ended.
    let gate = Arc::new(Semaphore::new(0));
    jwks.now(Answer::keys(&b).behind(&gate));
    scene.time.pass(480);
    scene.send("ageing", &[(of_a, Issued), (of_b, Issued)]).await;
    scene.fetched("ageing", 1, 0).await;
    gate.add_permits(LOAD);
    scene.landed().await;
    scene.send("rotated out", &[(of_a, Refused), (of_b, Issued)]).await;
    scene.fetched("rotated out, and asked whether that is so", 1, 0).await;
    scene.send("rotated out", &[(of_a, Refused), (of_b, Issued)]).await;
    scene.fetched("rotated out", 0, 0).await;

    // The issuer is down for a minute, in which the key set expires. An unknown key may be a new key.
    jwks.now(Answer::status(503));
    scene.time.pass(600);
    scene.send("down", &[(of_b, Issued), (of_c, Unavailable)]).await;
    scene.fetched("down", 1, 1).await;
    for seconds in [1, 2, 4, 8, 16, 32] {
        let why = format!("down, {seconds} s more");
        scene.time.pass(seconds);
        scene.send(&why, &[(of_b, Issued), (of_c, Unavailable), (of_a, Unavailable)]).await;
        scene.fetched(&why, 1, 1).await;
        scene.send(&why, &[(of_b, Issued), (of_c, Unavailable)]).await;
        scene.fetched(&why, 0, 0).await;
        assert_eq!(key_report(&scene.world).state, KeyState::Stale);
    }

    // The issuer is back with its third key.
    jwks.now(Answer::both(&b, &c));
    scene.time.pass(60);
    scene.send("back", &[(of_b, Issued), (of_c, Issued)]).await;
    scene.fetched("back", 1, 0).await;
    scene.time.pass(60);
    scene.send("back", &[(of_a, Refused), (of_b, Issued), (of_c, Issued)]).await;
    scene.fetched("back, and asked whether the first key is", 1, 0).await;

    // The issuer is down for longer than a key set may be used.
    jwks.now(Answer::status(500));
    scene.time.pass(600 + 60 * 60);
    let nothing_known = [(of_a, Unavailable), (of_b, Unavailable), (of_c, Unavailable), (random, Unavailable)];
    scene.send("nothing is known", &nothing_known).await;
    scene.fetched("nothing is known", 1, 1).await;
    assert!(!scene.world.layer.readiness().is_ready());
    scene.send("nothing is known", &nothing_known).await;
    scene.fetched("nothing is known, in the back-off", 0, 0).await;
    jwks.now(Answer::keys(&c));
    scene.time.pass(1);
    scene.send("back", &[(of_c, Issued)]).await;
    scene.fetched("back", 1, 0).await;
    assert!(scene.world.layer.readiness().is_ready());
    scene.send("back, without its second key", &[(of_b, Refused), (of_c, Issued)]).await;
    scene.fetched("asked whether that is so", 1, 0).await;
}

#[tokio::test]
async fn keys_at_a_url_rotate_under_load() {
    let jwks = Jwks::up(Answer::status(503)).await;
    let issuer = remote(REMOTE, jwks.url());
    rotates(jwks, issuer, [(); 3].map(|()| self::issuer())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys_rotate_under_load_on_several_threads() {
    let jwks = Jwks::up(Answer::status(503)).await;
    let issuer = remote(REMOTE, jwks.url());
    rotates(jwks, issuer, [(); 3].map(|()| self::issuer())).await;
}

#[tokio::test]
async fn discovered_keys_rotate_under_load() {
    let jwks = Jwks::up(Answer::status(503)).await;
    let iss: &str = String::leak(jwks.origin());
    let openid = "/.well-known/openid-configuration";
    jwks.at(openid, Answer::metadata(iss, &jwks.url()));
    rotates(jwks.clone(), record(iss).discovery(), [(); 3].map(|()| Minter { iss, ..issuer() })).await;
    let looked_up = jwks.asked().iter().filter(|path| *path == openid).count();
    // One request at the start, and one after each of the eight failures.
    assert_eq!(looked_up, 1 + 8);
}
