//! Kept tokens: how often the server is asked, and how long a token is used.

use super::*;
use tower_token_exchange::caller::{ExchangeError, SubjectToken};

/// A client whose server numbers the tokens, and the clock of both.
fn numbered(changes: Value) -> (Server, ExchangeClient, TestClock) {
    let (server, clock) = (Server::default(), TestClock::new());
    let http = server.answering(move |_, earlier| reply(200, issued(&format!("token-{earlier}"), changes.clone())));
    let client = client_of(http).clock(clock.source()).build().unwrap();
    (server, client, clock)
}

async fn token(client: &ExchangeClient, subject: impl Into<SubjectToken>) -> String {
    client.exchange(subject).target("billing").await.unwrap().expose().to_owned()
}

/// Lets the tasks in the background run.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_equal_calls_are_one_exchange() {
    let server = Server::default();
    let http =
        server.answering(|seen, _| reply(200, issued(&format!("for-{}", seen.value("subject_token")), json!({}))));
    let client = client_of(http).build().unwrap();
    let calls: Vec<_> = (0..10_000)
        .map(|call| {
            let client = client.clone();
            tokio::spawn(async move {
                let subject = format!("subject-{}", call % 100);
                let token = client.exchange(&*subject).target("billing").await.unwrap();
                assert_eq!(token.expose(), format!("for-{subject}"));
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(server.count(), 100);
}

#[tokio::test]
async fn a_token_is_used_until_shortly_before_its_end() {
    let (server, client, clock) = numbered(json!({}));
    for (seconds, name) in [(0, "token-0"), (100, "token-0"), (239, "token-0")] {
        clock.set(seconds);
        assert_eq!(token(&client, "s").await, name, "after {seconds} s");
    }
    clock.set(290);
    assert_eq!(token(&client, "s").await, "token-1");
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_token_is_refreshed_ahead_once() {
    let (server, client, clock) = numbered(json!({}));
    assert_eq!(token(&client, "s").await, "token-0");
    clock.set(240);
    for _ in 0..5 {
        assert_eq!(token(&client, "s").await, "token-0", "nobody waits for the refresh");
    }
    settle().await;
    assert_eq!((token(&client, "s").await, server.count()), ("token-1".to_owned(), 2));
    clock.set(240 + 239);
    assert_eq!(token(&client, "s").await, "token-1");
}

#[tokio::test]
async fn a_failed_refresh_is_tried_again_after_a_pause() {
    let (server, clock) = (Server::default(), TestClock::new());
    let http = server.answering(|_, earlier| match earlier {
        0 | 2 => reply(200, issued(&format!("token-{earlier}"), json!({}))),
        _ => reply(500, ""),
    });
    let client = client_of(http).clock(clock.source()).build().unwrap();
    assert_eq!(token(&client, "s").await, "token-0");
    for (seconds, name, requests) in
        [(240, "token-0", 2), (244, "token-0", 2), (245, "token-0", 3), (246, "token-2", 3)]
    {
        clock.set(seconds);
        assert_eq!(token(&client, "s").await, name, "after {seconds} s");
        settle().await;
        assert_eq!(server.count(), requests, "after {seconds} s");
    }
}

#[tokio::test]
async fn a_kept_token_dies_with_its_input_tokens() {
    let own = Minter::new(AS, tower_token_exchange::signing::Algorithm::ES256);
    let jwt = own.access_token(json!({ "exp": NOW + 100 }));
    let stated = SubjectToken::from("opaque").expires_at(UNIX_EPOCH + Duration::from_secs(NOW + 100));
    for subject in [SubjectToken::from(&*jwt), stated] {
        let (server, client, clock) = numbered(json!({ "expires_in": 600 }));
        for seconds in [0, 99] {
            clock.set(seconds);
            assert_eq!(token(&client, &subject).await, "token-0");
        }
        clock.set(100);
        let error = client.exchange(&subject).target("billing").await.unwrap_err();
        assert!(matches!(error, ExchangeError::SubjectTokenExpired), "{error}");
        assert_eq!(server.count(), 1, "the token is not refreshed, because a new one would not live longer");
    }
    let (server, client, clock) = numbered(json!({ "expires_in": 600 }));
    let with_actor = || client.exchange("s").target("billing").actor_token(&*jwt);
    with_actor().await.unwrap();
    clock.set(99);
    with_actor().await.unwrap();
    assert_eq!(server.count(), 1);
    clock.set(100);
    with_actor().await.unwrap();
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn nothing_is_kept_that_should_not_be() {
    for (name, changes) in
        [("no expires_in", json!({ "expires_in": null })), ("no lifetime", json!({ "expires_in": 0 }))]
    {
        let (server, client, _) = numbered(changes);
        token(&client, "s").await;
        token(&client, "s").await;
        assert_eq!(server.count(), 2, "{name}");
    }
    let (server, client, clock) = numbered(json!({}));
    clock.set(50);
    assert_eq!(token(&client, "s").await, "token-0");
    clock.set(49);
    assert_eq!(token(&client, "s").await, "token-1", "the clock was set back");
    assert_eq!(server.count(), 2);

    let server = Server::default();
    let http = server.answering(|_, earlier| match earlier {
        0 => reply(400, json!({ "error": "invalid_target" })),
        _ => reply(200, issued("t", json!({}))),
    });
    let client = client_of(http).build().unwrap();
    client.exchange("s").target("billing").await.unwrap_err();
    assert_eq!(token(&client, "s").await, "t");

    let server = Server::default();
    let client =
        client_of(server.answering(|_, _| reply(200, issued("t", json!({}))))).cache_entries(0).build().unwrap();
    token(&client, "s").await;
    token(&client, "s").await;
    assert_eq!(server.count(), 2, "the cache is off");
}

#[tokio::test]
async fn a_fresh_token_replaces_the_kept_token() {
    let (server, client, _) = numbered(json!({}));
    assert_eq!(token(&client, "s").await, "token-0");
    assert_eq!(client.exchange("s").target("billing").fresh().await.unwrap().expose(), "token-1");
    assert_eq!((token(&client, "s").await, server.count()), ("token-1".to_owned(), 2));
}

#[tokio::test]
async fn tokens_of_a_forgotten_subject_are_gone() {
    let (server, client, _) = numbered(json!({}));
    for subject in ["s", "other"] {
        token(&client, subject).await;
        client.exchange(subject).target("ledger").await.unwrap();
    }
    client.forget("s");
    assert_eq!(token(&client, "s").await, "token-4");
    assert_eq!(token(&client, "other").await, "token-2");
    client.exchange("s").target("ledger").await.unwrap();
    assert_eq!(server.count(), 6);
}

#[tokio::test]
async fn an_exchange_that_was_forgotten_is_not_kept() {
    let (server, client, _) = numbered(json!({}));
    let (token, ()) = tokio::join!(async { token(&client, "s").await }, async {
        while server.count() == 0 {
            tokio::task::yield_now().await;
        }
        client.forget("s");
    });
    assert_eq!(token, "token-0");
    assert_eq!(self::token(&client, "s").await, "token-1");
}

#[tokio::test]
async fn the_cache_is_bounded() {
    let server = Server::default();
    let http = server.answering(|_, _| reply(200, issued("t", json!({}))));
    let client = client_of(http).cache_entries(10).build().unwrap();
    for subject in 0..1_000 {
        token(&client, subject.to_string()).await;
    }
    let before = server.count();
    // The cache frees memory in the background of later calls.
    for subject in 0..1_000 {
        token(&client, subject.to_string()).await;
    }
    assert!(server.count() - before > 900, "{}", server.count() - before);
}

#[tokio::test]
async fn a_caller_that_is_gone_causes_no_second_exchange() {
    let (server, client, _) = numbered(json!({}));
    let gone = tokio::spawn(client.exchange("s").target("billing").into_future());
    while server.count() == 0 {
        tokio::task::yield_now().await;
    }
    gone.abort();
    let _ = gone.await;
    assert_eq!((token(&client, "s").await, server.count()), ("token-0".to_owned(), 1));
}
