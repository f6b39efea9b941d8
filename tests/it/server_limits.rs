//! A server that limits wrong secrets: who waits, and who does not.

#![cfg(feature = "server-authenticator")]

use crate::support::*;
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::json;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::net::TcpListener;
use tower::{ServiceExt, service_fn};
use tower_token_exchange::{
    Reason,
    client_auth::{Authentication, AuthenticationMethod, ClientAddress, Credentials, ProbeError, ServerAuthenticator},
    fetch::HttpFetch,
};

/// The wrong secrets after which the server limits an address.
const MAX_FAILURES: usize = 5;

#[derive(Clone, Default)]
struct Limiting {
    /// The wrong secrets of each forwarded address. Questions of the authenticator itself have no address.
    failures: Arc<Mutex<HashMap<String, usize>>>,
}

async fn introspect(State(server): State<Limiting>, headers: HeaderMap) -> Response {
    let address = headers.get("x-forwarded-for").map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    if !address.is_empty() {
        assert_eq!(headers["forwarded"], format!("for={address}"));
    }
    // A server hashes the secret slowly.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let known = headers.get("authorization").is_some_and(|value| {
        let known = ["orders", "billing"].map(|client| basic(client, &secret_of(client)));
        known.iter().any(|known| value == known.as_str())
    });
    let mut failures = server.failures.lock().unwrap();
    let number = failures.entry(address.clone()).or_default();
    if *number >= MAX_FAILURES && !address.is_empty() {
        return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "120")]).into_response();
    }
    if known {
        return axum::Json(json!({ "active": false })).into_response();
    }
    *number += 1;
    StatusCode::UNAUTHORIZED.into_response()
}

async fn start() -> (Limiting, ServerAuthenticator) {
    let server = Limiting::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/introspect", listener.local_addr().unwrap());
    let app = Router::new().route("/introspect", post(introspect)).with_state(server.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let http = HttpFetch::builder().allow_loopback_http().build().unwrap();
    (server, ServerAuthenticator::by_introspection(url).http(http).build().unwrap())
}

async fn ask(authenticator: &ServerAuthenticator, client: &str, secret: &str, address: [u8; 4]) -> Authentication {
    let credentials = Credentials::new(AuthenticationMethod::ClientSecretBasic, client, secret);
    let credentials = credentials.with_client_address(ClientAddress::new(IpAddr::from(address)));
    authenticator.clone().oneshot(credentials).await.unwrap()
}

const ATTACKER: [u8; 4] = [203, 0, 113, 66];
const NEIGHBOUR: [u8; 4] = [192, 0, 2, 7];

#[tokio::test]
async fn a_thousand_wrong_secrets_stop_nobody_else() {
    let (server, authenticator) = start().await;
    authenticator.probe().await.unwrap();
    let wrong = (0..1000).map(|number| {
        let authenticator = authenticator.clone();
        async move { ask(&authenticator, "orders", &format!("wrong-{number}"), ATTACKER).await }
    });
    let attack = futures_util::future::join_all(wrong);
    // The attacked client itself, and another client, at another address.
    let others = async {
        for client in ["orders", "billing"] {
            let started = std::time::Instant::now();
            let answer = ask(&authenticator, client, &secret_of(client), NEIGHBOUR).await;
            assert_eq!(answer, Authentication::Client(client.into()));
            assert!(started.elapsed() < Duration::from_secs(2), "{client} waited {:?}", started.elapsed());
        }
    };
    let (answers, ()) = tokio::join!(attack, others);
    let limited = answers.iter().filter(|answer| matches!(answer, Authentication::TooManyAttempts { .. })).count();
    let rejected = answers.iter().filter(|answer| **answer == Authentication::Rejected).count();
    assert_eq!(limited + rejected, 1000);
    assert!(rejected <= MAX_FAILURES + 4, "{rejected}");

    // One after the other, the wait of the server is kept.
    let mut longest = Duration::ZERO;
    for number in 0..20 {
        match ask(&authenticator, "orders", &format!("later-{number}"), ATTACKER).await {
            Authentication::TooManyAttempts { retry_after } => longest = longest.max(retry_after),
            answer => assert_eq!(answer, Authentication::Rejected),
        }
    }
    assert!(longest > Duration::from_secs(110), "{longest:?}");
    let failures = server.failures.lock().unwrap();
    let attacker = IpAddr::from(ATTACKER).to_string();
    assert!(failures[&attacker] <= MAX_FAILURES + 4, "{failures:?}");
}

#[tokio::test]
async fn too_many_attempts_are_answered_with_429() {
    let authenticator = service_fn(|_: Credentials| async {
        Ok::<_, std::io::Error>(Authentication::TooManyAttempts { retry_after: Duration::from_millis(6500) })
    });
    let clients = |_| ["orders", "billing", "reports"].map(tower_token_exchange::Client::new).into();
    let plan = plan_with(clients, |targets| targets);
    let mut world = plan.with(|builder| builder.client_authenticator(authenticator)).start().await;
    let form = encode(&exchange_form(&world.own.access_token(json!({})), &[]));
    let reply = world.post(Some(&basic("orders", "wrong")), form).await;
    assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(reply.headers["retry-after"], "7");
    assert_eq!(reply.json()["error"], "temporarily_unavailable");
    assert_eq!(world.event().await.reason, Some(Reason::TooManyClientAttempts));
}

#[tokio::test]
async fn probes_wait_as_the_server_asks() {
    let questions = Arc::new(Mutex::new(0));
    let asked = Arc::clone(&questions);
    let limits = service_fn(move |_: http::Request<bytes::Bytes>| {
        *asked.lock().unwrap() += 1;
        let response = http::Response::builder().status(429).header("retry-after", "3").body(bytes::Bytes::new());
        async { Ok::<_, std::convert::Infallible>(response.unwrap()) }
    });
    let auto = ServerAuthenticator::auto("https://as.example/token", Some("https://as.example/introspect"));
    let authenticator = auto.http(limits).build().unwrap();
    for _ in 0..25 {
        assert!(matches!(authenticator.probe().await, Err(ProbeError::Unavailable(_))));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(*questions.lock().unwrap(), 1);
}
