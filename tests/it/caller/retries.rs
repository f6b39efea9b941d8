//! Which requests are repeated, and how long the client waits.

use super::*;
use tokio::time::Instant;
use tower::BoxError;
use tower_token_exchange::caller::ExchangeError;

fn with_retry_after(status: u16, value: &'static str) -> Response<Bytes> {
    let mut response = reply(status, "{}");
    response.headers_mut().insert("retry-after", value.parse().unwrap());
    response
}

#[tokio::test(start_paused = true)]
async fn only_an_unprocessed_request_is_repeated() {
    for (name, answer, requests) in [
        ("429", reply(429, "{}"), 3),
        ("503", reply(503, "{}"), 3),
        ("503 with an error", reply(503, json!({ "error": "temporarily_unavailable" })), 3),
        ("500", reply(500, json!({ "error": "server_error" })), 1),
        ("502", reply(502, ""), 1),
        ("504", reply(504, ""), 1),
        ("400", reply(400, json!({ "error": "invalid_request" })), 1),
        ("401", reply(401, json!({ "error": "invalid_client" })), 1),
        ("403", reply(403, json!({ "error": "access_denied" })), 1),
        ("404", reply(404, ""), 1),
        ("307", reply(307, ""), 1),
        ("an unusable answer", reply(200, "{}"), 1),
        ("a nonce that nobody needs", reply(400, json!({ "error": "use_dpop_nonce" })), 1),
    ] {
        let server = Server::default();
        let answer = Arc::new(answer);
        let client = client_of(server.answering(move |_, _| (*answer).clone())).build().unwrap();
        client.exchange("s").target("billing").await.unwrap_err();
        assert_eq!(server.count(), requests, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_is_not_repeated() {
    let count = Arc::new(AtomicU64::new(0));
    for (name, is_panic) in [("an error", false), ("a panic", true)] {
        count.store(0, Ordering::Relaxed);
        let counter = Arc::clone(&count);
        let http = tower::service_fn(move |_: Request<Bytes>| {
            counter.fetch_add(1, Ordering::Relaxed);
            async move {
                assert!(!is_panic, "the service panics");
                Err::<Response<Bytes>, _>(BoxError::from("the connection broke"))
            }
        });
        let error = client_of(http).build().unwrap().exchange("s").target("billing").await.unwrap_err();
        assert!(matches!(error, ExchangeError::Unavailable(_)), "{name}: {error}");
        assert_eq!(count.load(Ordering::Relaxed), 1, "{name}");
    }
}

#[tokio::test]
async fn a_refused_connection_is_repeated() {
    // A port at which nobody listens any more.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/token", listener.local_addr().unwrap());
    drop(listener);
    let http = HttpFetch::builder().allow_loopback_http().build().unwrap();
    let count = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&count);
    let counted = tower::service_fn(move |request: Request<Bytes>| {
        counter.fetch_add(1, Ordering::Relaxed);
        http.clone().oneshot(request)
    });
    let credentials = ClientAuthentication::secret_basic("orders", secret_of("orders"));
    let client = ExchangeClient::builder(endpoint, credentials).http(counted).build().unwrap();
    let error = client.exchange("s").target("billing").await.unwrap_err();
    assert!(error.to_string().contains("could not connect"), "{error}");
    assert_eq!(count.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn the_client_waits_as_long_as_it_is_told() {
    let server = Server::default();
    let http = server.answering(|_, earlier| match earlier {
        0 => with_retry_after(429, "3"),
        _ => reply(200, issued("t", json!({}))),
    });
    let start = Instant::now();
    client_of(http).build().unwrap().exchange("s").target("billing").await.unwrap();
    let waited = start.elapsed();
    assert!((3000..3200).contains(&waited.as_millis()), "{waited:?}");
    assert_eq!(server.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_wait_beyond_the_deadline_is_an_error() {
    let server = Server::default();
    let http = server.answering(|_, _| with_retry_after(503, "60"));
    let start = Instant::now();
    let error = client_of(http).build().unwrap().exchange("s").target("billing").await.unwrap_err();
    assert_eq!((error.retry_after(), server.count()), (Some(Duration::from_secs(60)), 1), "{error}");
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn no_exchange_takes_longer_than_its_deadline() {
    let silent = tower::service_fn(|_: Request<Bytes>| std::future::pending::<Result<Response<Bytes>, BoxError>>());
    let client = client_of(silent).deadline(Duration::from_secs(2)).build().unwrap();
    let start = Instant::now();
    let error = client.exchange("s").target("billing").await.unwrap_err();
    assert!(matches!(error, ExchangeError::TimedOut { .. }), "{error}");
    assert_eq!(start.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_repeated_request_has_credentials_of_its_own() {
    use tower_token_exchange::signing::{Algorithm, LocalSigner};
    let server = Server::default();
    let http = server.answering(|_, _| reply(503, "{}"));
    let key = LocalSigner::generate(Algorithm::ES256).unwrap();
    let credentials = ClientAuthentication::private_key_jwt("orders", AS, key.clone());
    let client = ExchangeClient::builder(ENDPOINT, credentials).http(http).dpop(key).build().unwrap();
    client.exchange("s").target("billing").await.unwrap_err();
    let seen = server.seen();
    let ids = |of: &dyn Fn(&Seen) -> String| {
        let ids: std::collections::HashSet<_> =
            seen.iter().map(|seen| claims_of(&of(seen))["jti"].to_string()).collect();
        ids.len()
    };
    assert_eq!(seen.len(), 3);
    assert_eq!(ids(&|seen| seen.value("client_assertion").to_owned()), 3);
    assert_eq!(ids(&|seen| seen.headers["dpop"].to_str().unwrap().to_owned()), 3);
}
