//! What the caller learns if there is no token.

use super::*;
use crate::in_process::plan_of;
use proptest::prelude::*;
use tokio::net::TcpListener;
use tower_token_exchange::{
    Client,
    caller::{ExchangeError, SubjectToken},
    error::ErrorCode,
};

async fn outcome(answer: Response<Bytes>) -> Result<String, ExchangeError> {
    let answer = Arc::new(answer);
    let server = Server::default();
    let client = client_of(server.answering(move |_, _| (*answer).clone())).retries(0).build().unwrap();
    let token = client.exchange("the-subject-token").target("billing").await;
    token.map(|token| token.expose().to_owned())
}

#[tokio::test]
async fn an_answer_that_breaks_the_protocol_is_unusable() {
    let good = |changes| issued("token", changes);
    for (name, body, is_good) in [
        ("good", good(json!({})), true),
        ("lower case", good(json!({ "token_type": "bearer" })), true),
        ("a JWT", good(json!({ "issued_token_type": JWT })), true),
        ("no expires_in", good(json!({ "expires_in": null })), true),
        ("no access_token", good(json!({ "access_token": null })), false),
        ("an empty token", good(json!({ "access_token": "" })), false),
        ("a token with a space", good(json!({ "access_token": "a b" })), false),
        ("a token with a line break", good(json!({ "access_token": "a\nb" })), false),
        ("a token that is a number", good(json!({ "access_token": 7 })), false),
        ("no token_type", good(json!({ "token_type": null })), false),
        ("N_A", good(json!({ "token_type": "N_A" })), false),
        ("a bound token without a key", good(json!({ "token_type": "DPoP" })), false),
        ("no issued_token_type", good(json!({ "issued_token_type": null })), false),
        (
            "a refresh token",
            good(json!({ "issued_token_type": "urn:ietf:params:oauth:token-type:refresh_token" })),
            false,
        ),
        ("an ID token", good(json!({ "issued_token_type": ID_TOKEN })), false),
        ("a text as expires_in", good(json!({ "expires_in": "300" })), false),
        ("a negative expires_in", good(json!({ "expires_in": -1 })), false),
        ("a fraction", good(json!({ "expires_in": 1.5 })), false),
        ("a list as scope", good(json!({ "scope": ["a"] })), false),
        ("a bad scope", good(json!({ "scope": "a  b" })), false),
    ] {
        match outcome(reply(200, body)).await {
            Ok(token) => assert!(is_good && token == "token", "{name}"),
            Err(ExchangeError::UnusableAnswer { problem }) => {
                assert!(!is_good && !problem.contains("token\n"), "{name}: {problem}")
            }
            Err(other) => panic!("{name}: {other}"),
        }
    }
    let twice = issued("token", json!({})).to_string().replacen('{', r#"{"access_token":"other","#, 1);
    for (name, answer) in [
        ("a repeated member", reply(200, twice)),
        ("no JSON", reply(200, "<html>Welcome</html>")),
        ("a list", reply(200, "[]")),
        ("an empty body", reply(200, "")),
        ("201", reply(201, issued("token", json!({})))),
        ("302", reply(302, "")),
        ("404", reply(404, "not found")),
        ("400 without an error", reply(400, "{}")),
    ] {
        let error = outcome(answer).await.unwrap_err();
        assert!(matches!(error, ExchangeError::UnusableAnswer { .. }), "{name}: {error}");
    }
}

proptest! {
    /// Whatever a server answers: no panic, and no token that could break a header or that is for another use.
    #[test]
    fn a_hostile_answer_is_an_error_or_a_token(
        status in prop_oneof![Just(200_u16), Just(400), 100_u16..600],
        members in prop::collection::vec((prop::sample::select(MEMBERS), prop::sample::select(VALUES)), 0..8),
        cut in prop::option::of(0_usize..200),
    ) {
        let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let mut body = format!("{{{}}}", members.join(","));
        body.truncate(cut.unwrap_or(body.len()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        if let Ok(token) = runtime.block_on(outcome(reply(status, &body))) {
            let value: Value = serde_json::from_str(&body).unwrap();
            prop_assert!(status == 200 && value["access_token"] == *token && token == "abc");
            prop_assert!(value["token_type"].as_str().unwrap().eq_ignore_ascii_case("bearer"));
            prop_assert!(value["issued_token_type"] == ACCESS_TOKEN);
        }
    }
}

const MEMBERS: &[&str] = &[
    "access_token",
    "token_type",
    "issued_token_type",
    "expires_in",
    "scope",
    "error",
    "error_description",
    "max_age",
    "acr_values",
    "access\\u005ftoken",
];
const VALUES: &[&str] = &[
    "\"abc\"",
    "\"Bearer\"",
    "\"bEARER\"",
    "\"DPoP\"",
    "\"urn:ietf:params:oauth:token-type:access_token\"",
    "300",
    "-1",
    "1e99",
    "18446744073709551615",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "\"a\\r\\nb\"",
    "\"a b\"",
    "\"invalid_request\"",
    "\"\\ud800\"",
    "[[[[[[[[[[[[[[[[[[[[\"x\"]]]]]]]]]]]]]]]]]]]]",
];

#[tokio::test]
async fn a_refusal_says_what_the_server_said() {
    let body = json!({
        "error": "insufficient_user_authentication", "error_description": "log in again",
        "acr_values": "gold silver", "max_age": 60,
    });
    let ExchangeError::Refused(refusal) = outcome(reply(400, body)).await.unwrap_err() else { panic!("a refusal") };
    assert_eq!(refusal.code(), Some(ErrorCode::InsufficientUserAuthentication));
    assert_eq!((refusal.status(), refusal.description()), (StatusCode::BAD_REQUEST, Some("log in again")));
    assert_eq!(
        (refusal.acr_values(), refusal.max_age()),
        (&["gold".into(), "silver".into()][..], Some(Duration::from_secs(60)))
    );
    assert_eq!(refusal.to_string(), "400 `insufficient_user_authentication` (log in again)");

    let ExchangeError::Refused(other) = outcome(reply(403, json!({ "error": "my_own_error" }))).await.unwrap_err()
    else {
        panic!("a refusal")
    };
    assert_eq!((other.code(), other.error(), other.description()), (None, "my_own_error", None));
}

#[tokio::test]
async fn no_error_shows_a_token_or_a_secret() {
    let body = json!({ "error": "invalid_request", "error_description": "bad token the-subject-token\nforged line" });
    let error = outcome(reply(400, body)).await.unwrap_err();
    assert_eq!(error.to_string(), "the authorization server refused the exchange: 400 `invalid_request`");
    assert!(!format!("{error:?}").contains("the-subject-token"));

    let forged = json!({ "error": "invalid_request", "error_description": "a\nforged line" });
    assert!(!outcome(reply(400, forged)).await.unwrap_err().to_string().contains('\n'));

    let echo = json!({ "error": "the-subject-token" });
    assert!(!format!("{:?}", outcome(reply(400, echo)).await.unwrap_err()).contains("the-subject-token"));

    // The HTTP service of the application tells what it sent.
    let failing = tower::service_fn(|request: Request<Bytes>| async move {
        Err::<Response<Bytes>, _>(std::io::Error::other(format!("cannot send {request:?}")))
    });
    let client = client_of(failing).build().unwrap();
    let error = client.exchange("the-subject-token").target("billing").await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("the-subject-token"), "{error}");
    let shown =
        format!("{client:?} {:?} {:?}", client.exchange("the-subject-token"), SubjectToken::from("the-subject-token"));
    assert!(!shown.contains("the-subject-token") && !shown.contains(&secret_of("orders")), "{shown}");
}

#[tokio::test]
async fn a_refusal_of_the_layer_has_its_code() {
    let world = plan_of(Client::new("orders").secret(secret_of("orders"))).start().await;
    let subject = world.own.access_token(json!({}));
    let client = client_of(served_by(&world)).build().unwrap();
    for (target, scope, code) in [
        ("unknown", "read", ErrorCode::InvalidTarget),
        ("ledger", "read", ErrorCode::InvalidTarget),
        ("billing", "admin", ErrorCode::InvalidScope),
    ] {
        let error = client.exchange(&*subject).target(target).scope(scope).await.unwrap_err();
        assert_eq!(error.code(), Some(code), "{target} {scope}: {error}");
    }
    let wrong = ClientAuthentication::secret_basic("orders", "another-secret-that-is-long");
    let stranger = ExchangeClient::builder(ENDPOINT, wrong).http(served_by(&world)).build().unwrap();
    let error = stranger.exchange(SubjectToken::access_token("x")).target("billing").await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::InvalidClient), "{error}");
}

#[tokio::test]
async fn a_malformed_request_is_not_sent() {
    let server = Server::default();
    let client = client_of(server.answering(|_, _| reply(200, issued("t", json!({}))))).build().unwrap();
    for request in [
        client.exchange("s").target("a b"),
        client.exchange("s").target(""),
        client.exchange("s").resource("billing"),
        client.exchange("s").resource("https://billing.example/#x"),
        client.exchange("s").target("billing").scope("a\"b"),
    ] {
        let error = request.await.unwrap_err();
        assert!(matches!(error, ExchangeError::InvalidRequest(_)), "{error}");
    }
    let expired = SubjectToken::from("s").expires_at(UNIX_EPOCH + Duration::from_secs(NOW));
    let error = client.exchange(expired).target("billing").await.unwrap_err();
    assert!(matches!(error, ExchangeError::SubjectTokenExpired), "{error}");
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_token() {
    let (elsewhere, here) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let serve = async |answer: axum::Router| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, answer).await });
        url
    };
    let count = Arc::clone(&elsewhere);
    let thief = axum::Router::new().fallback(move || async move {
        count.fetch_add(1, Ordering::Relaxed);
        StatusCode::OK
    });
    let thief = serve(thief).await;
    for status in [301, 302, 303, 307, 308] {
        let (count, location) = (Arc::clone(&here), format!("{thief}/token"));
        let redirecting = axum::Router::new().fallback(move || async move {
            count.fetch_add(1, Ordering::Relaxed);
            (StatusCode::from_u16(status).unwrap(), [("location", location)])
        });
        let endpoint = format!("{}/token", serve(redirecting).await);
        let credentials = ClientAuthentication::secret_post("orders", secret_of("orders"));
        let http = HttpFetch::builder().allow_loopback_http().build().unwrap();
        let client = ExchangeClient::builder(endpoint, credentials).http(http).build().unwrap();
        let error = client.exchange("s").target("billing").await.unwrap_err();
        assert!(matches!(error, ExchangeError::UnusableAnswer { .. }), "{status}: {error}");
    }
    assert_eq!((here.load(Ordering::Relaxed), elsewhere.load(Ordering::Relaxed)), (5, 0));
}
