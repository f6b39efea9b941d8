//! Sources of actor tokens.

use super::{authentication::TextFile, *};
use tower_token_exchange::{
    TokenType,
    caller::{ActorSource, ActorToken, ActorTokenRequest, ExchangeError},
};

/// A client whose server numbers the client's own tokens, which live for 60 s.
fn client_with(source: ActorSource) -> (Server, ExchangeClient, TestClock) {
    let (server, clock) = (Server::default(), TestClock::new());
    let own = Arc::new(AtomicU64::new(0));
    let http = server.answering(move |seen, earlier| match seen.value("grant_type") {
        "client_credentials" => {
            let name = format!("own-{}", own.fetch_add(1, Ordering::Relaxed));
            let own = json!({ "access_token": name, "token_type": "Bearer", "expires_in": 60 });
            reply(200, own)
        }
        _ => reply(200, issued(&format!("t-{earlier}"), json!({}))),
    });
    let client = client_of(http).actor(source).clock(clock.source()).build().unwrap();
    (server, client, clock)
}

async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// The actor tokens of all exchanges so far.
fn actors(server: &Server) -> Vec<String> {
    let seen = server.seen();
    let exchanges = seen.iter().filter(|seen| seen.value("grant_type") != "client_credentials");
    exchanges.map(|seen| seen.values("actor_token").join(",")).collect()
}

#[tokio::test]
async fn the_own_token_is_refreshed_ahead() {
    let source = ActorSource::client_credentials().scope("act").unwrap().target("as").resource("urn:as");
    let (server, client, clock) = client_with(source);
    for subject in ["a", "b"] {
        client.exchange(subject).target("billing").await.unwrap();
    }
    let own = &server.seen()[0];
    assert_eq!((own.value("scope"), own.value("audience"), own.value("resource")), ("act", "as", "urn:as"));
    assert!(own.headers.contains_key("authorization") && own.values("subject_token").is_empty());
    assert_eq!(actors(&server), ["own-0", "own-0"]);
    clock.set(48);
    client.exchange("c").target("billing").await.unwrap();
    settle().await;
    client.exchange("d").target("billing").await.unwrap();
    assert_eq!(actors(&server)[2..], ["own-0", "own-1"]);
    clock.set(48 + 54);
    client.exchange("e").target("billing").await.unwrap();
    assert_eq!(actors(&server)[4], "own-2", "an expired token is never sent");
}

#[tokio::test]
async fn concurrent_exchanges_get_one_own_token() {
    let (server, client, _) = client_with(ActorSource::client_credentials());
    let subjects: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    let calls = subjects.iter().map(|subject| client.exchange(&**subject).target("billing").into_future());
    futures_util::future::try_join_all(calls).await.unwrap();
    assert_eq!(server.count(), 51);
}

#[tokio::test]
async fn a_request_can_choose_its_actor() {
    let (server, client, _) = client_with(ActorSource::client_credentials());
    client.exchange("s").target("billing").actor_token(ActorToken::new("agent", TokenType::JWT)).await.unwrap();
    client.exchange("s").target("billing").without_actor_token().await.unwrap();
    assert_eq!(actors(&server), ["agent", ""]);
    assert_eq!(server.seen()[0].value("actor_token_type"), JWT);
    assert_eq!(server.count(), 2, "nobody needed the own token");
}

#[tokio::test]
async fn another_actor_token_is_another_exchange() {
    let file = TextFile::new("first\n");
    let (server, client, clock) = client_with(ActorSource::file(&file.0, TokenType::JWT));
    client.exchange("s").target("billing").await.unwrap();
    std::fs::write(&file.0, "second").unwrap();
    client.exchange("s").target("billing").await.unwrap();
    assert_eq!(actors(&server), ["first"]);
    clock.set(20);
    client.exchange("s").target("billing").await.unwrap();
    assert_eq!(actors(&server), ["first", "second"]);
}

#[tokio::test]
async fn a_source_that_fails_stops_the_exchange() {
    let failing = tower::service_fn(|_: ActorTokenRequest| async { Err::<ActorToken, _>(std::io::Error::other("no")) });
    let panicking = tower::service_fn(|_: ActorTokenRequest| async {
        assert!(std::hint::black_box(false), "the service panics");
        Ok::<_, std::io::Error>(ActorToken::access_token("t"))
    });
    let silent = tower::service_fn(|_: ActorTokenRequest| std::future::pending::<Result<ActorToken, std::io::Error>>());
    for (name, source) in [
        ("no file", ActorSource::file("/does/not/exist", TokenType::JWT)),
        ("an error", ActorSource::service(failing)),
        ("a panic", ActorSource::service(panicking)),
    ] {
        let (server, client, _) = client_with(source);
        let error = client.exchange("s").target("billing").await.unwrap_err();
        assert!(matches!(error, ExchangeError::NoActorToken { .. }), "{name}: {error}");
        assert_eq!(server.count(), 0, "{name}");
    }
    tokio::time::pause();
    let (_, client, _) = client_with(ActorSource::service(silent));
    let error = client.exchange("s").target("billing").await.unwrap_err();
    assert!(matches!(error, ExchangeError::NoActorToken { .. }), "{error}");
}

#[tokio::test]
async fn a_service_is_asked_again_when_its_token_ends() {
    let count = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&count);
    let service = tower::service_fn(move |_: ActorTokenRequest| {
        let number = counter.fetch_add(1, Ordering::Relaxed);
        let end = UNIX_EPOCH + Duration::from_secs(NOW + 60);
        let token = ActorToken::access_token(format!("actor-{number}")).expires_at(end);
        std::future::ready(Ok::<_, Infallible>(token))
    });
    let (server, client, clock) = client_with(ActorSource::service(service));
    for subject in ["a", "b"] {
        client.exchange(subject).target("billing").await.unwrap();
    }
    clock.set(54);
    client.exchange("c").target("billing").await.unwrap();
    assert_eq!(actors(&server), ["actor-0", "actor-0", "actor-1"]);
}
