//! Authentication by another server, which counts only if the server is seen to check secrets.

#![cfg(feature = "server-authenticator")]

use crate::support::*;
use axum::{
    Form, Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use data_encoding::BASE64;
use serde_json::json;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::net::TcpListener;
use tower::ServiceExt;
use tower_token_exchange::{
    Client, Reason, TokenExchangeLayer,
    client_auth::{
        Authentication, AuthenticationMethod, Credentials, ProbeError, ServerAuthenticator, ServerAuthenticatorBuilder,
    },
    fetch::HttpFetch,
};

/// A secret with characters that form encoding changes.
const SECRET: &str = "zq9 sécret+of/orders=%41";

/// The behaviour of the other server.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Habit {
    Exact,
    /// Accepts any secret for `orders`, as many servers do for a public client.
    PublicClient,
    /// Accepts any secret for `orders~1`, and does not decode the header.
    PublicClientUndecoded,
    TakesAnybody,
    /// Accepts every client in the header, and checks the form.
    TakesAnyHeader,
    /// Checks the header, and accepts any secret of `orders` in the form.
    TakesAnyForm,
    /// Accepts a request without readable credentials.
    AnswersNobody,
    SaysBadRequest,
    Fails,
    SaysHtml,
    KnowsTheToken,
    RefusesTheGrant,
    /// Does not decode the header, and knows `my-client`.
    Undecoded,
    TakesOnlyForms,
    Slow,
    Hangs,
}

/// The header and the form of a request.
type Asked = (Option<String>, HashMap<String, String>);

#[derive(Clone)]
struct Legacy {
    url: String,
    habit: Arc<Mutex<Habit>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Legacy {
    async fn start(habit: Habit) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let legacy = Self { url, habit: Arc::new(Mutex::new(habit)), asked: Arc::default() };
        let app = Router::new().route("/introspect", post(ask)).route("/token", post(ask)).with_state(legacy.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        legacy
    }

    fn now(&self, habit: Habit) {
        *self.habit.lock().unwrap() = habit;
    }

    fn questions(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// The secrets that the server received for this client.
    fn secrets_of(&self, client: &str) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        let of = asked.iter().filter_map(|(header, form)| pair(header.as_deref(), form));
        of.filter(|(id, _)| id == client).map(|(_, secret)| secret).collect()
    }

    fn by_introspection(&self) -> ServerAuthenticatorBuilder {
        ServerAuthenticator::by_introspection(format!("{}/introspect", self.url)).http(fetch())
    }

    fn by_client_credentials(&self) -> ServerAuthenticatorBuilder {
        ServerAuthenticator::by_client_credentials(format!("{}/token", self.url)).http(fetch())
    }
}

fn fetch() -> HttpFetch {
    HttpFetch::builder().allow_loopback_http().build().unwrap()
}

/// The client id and the secret in the header or the form.
fn pair(header: Option<&str>, form: &HashMap<String, String>) -> Option<(String, String)> {
    let Some(basic) = header.and_then(|header| header.strip_prefix("Basic ")) else {
        return Some((form.get("client_id")?.clone(), form.get("client_secret")?.clone()));
    };
    let text = String::from_utf8(BASE64.decode(basic.as_bytes()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let decoded = |text: &str| {
        let pairs = format!("x={text}");
        form_urlencoded::parse(pairs.as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    Some((decoded(id)?, decoded(secret)?))
}

/// The client id and the secret in the header, for a server that does not decode them (RFC 7617).
fn undecoded(header: &str) -> Option<(String, String)> {
    let text = String::from_utf8(BASE64.decode(header.strip_prefix("Basic ")?.as_bytes()).ok()?).ok()?;
    text.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned()))
}

async fn ask(State(legacy): State<Legacy>, headers: HeaderMap, Form(form): Form<HashMap<String, String>>) -> Response {
    let header = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    legacy.asked.lock().unwrap().push((header.clone(), form.clone()));
    let habit = *legacy.habit.lock().unwrap();
    if habit == Habit::Slow {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let error = |status: StatusCode, error: &str| (status, Json(json!({ "error": error }))).into_response();
    let known = match habit {
        Habit::TakesAnybody => true,
        Habit::TakesAnyHeader if header.is_some() => true,
        Habit::TakesAnyForm if header.is_none() => form.get("client_id").is_some_and(|id| id == "orders"),
        Habit::AnswersNobody if pair(header.as_deref(), &form).is_none() => true,
        Habit::Undecoded => header.as_deref().and_then(undecoded) == Some(("my-client".to_owned(), "a+b/1".to_owned())),
        Habit::TakesOnlyForms if header.is_some() => false,
        Habit::PublicClientUndecoded => header.as_deref().and_then(undecoded).is_some_and(|(id, _)| id == "orders~1"),
        Habit::PublicClient => pair(header.as_deref(), &form).is_some_and(|(id, _)| id == "orders"),
        _ => pair(header.as_deref(), &form) == Some(("orders".to_owned(), SECRET.to_owned())),
    };
    match habit {
        Habit::Hangs => std::future::pending::<()>().await,
        Habit::Fails => return error(StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        Habit::SaysHtml => return "<html>Welcome</html>".into_response(),
        Habit::KnowsTheToken => return Json(json!({ "active": true, "access_token": 1 })).into_response(),
        Habit::RefusesTheGrant if known => return error(StatusCode::BAD_REQUEST, "unauthorized_client"),
        Habit::SaysBadRequest if !known => return error(StatusCode::BAD_REQUEST, "invalid_client"),
        _ if !known => return error(StatusCode::UNAUTHORIZED, "invalid_client"),
        _ => {}
    }
    match form.contains_key("token") {
        true => Json(json!({ "active": false })).into_response(),
        false => Json(json!({ "access_token": "thrown-away", "token_type": "Bearer" })).into_response(),
    }
}

/// A world whose clients have no secrets.
async fn world(authenticator: ServerAuthenticator) -> World {
    let nobody_has_a_secret = |_| ["orders", "billing", "reports"].map(Client::new).into();
    plan_with(nobody_has_a_secret, |targets| targets)
        .with(|builder| builder.client_authenticator(authenticator))
        .start()
        .await
}

async fn exchange_as(world: &mut World, header: Option<&str>, more: &[(&str, &str)]) -> (StatusCode, Option<Reason>) {
    let token = world.own.access_token(json!({}));
    let reply = world.post(header, encode(&exchange_form(&token, more))).await;
    (reply.status, world.event().await.reason)
}

fn basic_of(id: &str, secret: &str) -> String {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    basic(&encoded(id), &encoded(secret))
}

const GOOD: (StatusCode, Option<Reason>) = (StatusCode::OK, None);
const REJECTED: (StatusCode, Option<Reason>) = (StatusCode::UNAUTHORIZED, Some(Reason::ClientRejected));
const UNAVAILABLE: (StatusCode, Option<Reason>) =
    (StatusCode::SERVICE_UNAVAILABLE, Some(Reason::AuthenticatorUnavailable));
const MISCONFIGURED: (StatusCode, Option<Reason>) =
    (StatusCode::INTERNAL_SERVER_ERROR, Some(Reason::AuthenticatorMisconfigured));

#[tokio::test]
async fn the_server_decides_who_is_authenticated() {
    for habit in [Habit::Exact, Habit::SaysBadRequest] {
        for by_introspection in [true, false] {
            let legacy = Legacy::start(habit).await;
            let asking = if by_introspection { legacy.by_introspection() } else { legacy.by_client_credentials() };
            let mut world = world(asking.build().unwrap()).await;
            let case = format!("{habit:?}, {by_introspection}");
            let post = [("client_id", "orders"), ("client_secret", SECRET)];
            let wrong = [("client_id", "orders"), ("client_secret", "wrong")];
            assert_eq!(exchange_as(&mut world, Some(&basic_of("orders", SECRET)), &[]).await, GOOD, "{case}");
            assert_eq!(exchange_as(&mut world, None, &post).await, GOOD, "{case}");
            assert_eq!(exchange_as(&mut world, Some(&basic_of("orders", "wrong")), &[]).await, REJECTED, "{case}");
            let (status, reason) = exchange_as(&mut world, None, &wrong).await;
            assert_eq!((status, reason), (StatusCode::BAD_REQUEST, REJECTED.1), "{case}");
            assert_eq!(exchange_as(&mut world, Some(&basic_of("reports", SECRET)), &[]).await, REJECTED, "{case}");
        }
    }
}

#[tokio::test]
async fn only_accepted_credentials_are_remembered() {
    let legacy = Legacy::start(Habit::Exact).await;
    let mut world = world(legacy.by_introspection().build().unwrap()).await;
    let good = basic_of("orders", SECRET);
    assert_eq!(exchange_as(&mut world, Some(&good), &[]).await, GOOD);
    assert_eq!(legacy.questions(), 5, "two made up, nobody at all, the client, the client with a wrong secret");
    legacy.now(Habit::Fails);
    assert_eq!(exchange_as(&mut world, Some(&good), &[]).await, GOOD);
    assert_eq!(legacy.questions(), 5);
    // The secret and the method are remembered, not the client.
    assert_eq!(exchange_as(&mut world, Some(&basic_of("orders", "wrong")), &[]).await, UNAVAILABLE);
    legacy.now(Habit::Exact);
    for _ in 0..2 {
        assert_eq!(exchange_as(&mut world, Some(&basic_of("orders", "wrong")), &[]).await, REJECTED);
    }
    assert_eq!(legacy.questions(), 8);

    let never = legacy.by_introspection().cache(10, Duration::ZERO).build().unwrap();
    let mut world = self::world(never).await;
    for _ in 0..2 {
        assert_eq!(exchange_as(&mut world, Some(&good), &[]).await, GOOD);
    }
    assert_eq!(legacy.questions(), 8 + 3 + 2 + 1, "whether a wrong secret is wrong, it is asked once");
}

#[tokio::test]
async fn a_server_that_accepts_everybody_is_a_misconfiguration() {
    let case = async |habit: Habit, by_introspection: bool| {
        let legacy = Legacy::start(habit).await;
        let asking = if by_introspection { legacy.by_introspection() } else { legacy.by_client_credentials() };
        let authenticator = asking.build().unwrap();
        assert!(matches!(authenticator.probe().await, Err(ProbeError::CannotTell(_))), "{habit:?}");
        assert_eq!(authenticator.chosen_method(), None);
        let mut world = world(authenticator.clone()).await;
        let questions = legacy.questions();
        for secret in [SECRET, "wrong"] {
            let answer = exchange_as(&mut world, Some(&basic_of("orders", secret)), &[]).await;
            assert_eq!(answer, MISCONFIGURED, "{habit:?}");
        }
        assert_eq!(legacy.questions(), questions, "the server is not probed again at once");
        // Soon after the server checks clients, exchanges succeed.
        legacy.now(Habit::Exact);
        tokio::time::sleep(Duration::from_millis(1300)).await;
        assert_eq!(exchange_as(&mut world, Some(&basic_of("orders", SECRET)), &[]).await, GOOD);
        assert!(authenticator.probe().await.is_ok());
    };
    let cases = [Habit::TakesAnybody, Habit::TakesAnyHeader, Habit::AnswersNobody]
        .into_iter()
        .flat_map(|habit| [case(habit, true), case(habit, false)]);
    futures_util::future::join_all(cases).await;
}

#[tokio::test]
async fn probes_back_off() {
    let legacy = Legacy::start(Habit::Fails).await;
    let authenticator = legacy.by_introspection().build().unwrap();
    // Until 4 s, there are probes at about 0 s, 1 s and 3 s; each asks one question.
    let until = tokio::time::Instant::now() + Duration::from_secs(4);
    while tokio::time::Instant::now() < until {
        assert!(matches!(authenticator.probe().await, Err(ProbeError::Unavailable(_))));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!((2..=4).contains(&legacy.questions()), "{}", legacy.questions());
}

#[tokio::test]
async fn a_public_client_is_rejected() {
    let legacy = Legacy::start(Habit::PublicClient).await;
    for asking in [legacy.by_introspection(), legacy.by_client_credentials()] {
        let authenticator = asking.build().unwrap();
        assert!(authenticator.probe().await.is_ok(), "the server rejects a client that does not exist");
        let mut world = world(authenticator).await;
        for secret in [SECRET, "wrong"] {
            assert_eq!(exchange_as(&mut world, Some(&basic_of("orders", secret)), &[]).await, REJECTED);
        }
    }
}

#[tokio::test]
async fn a_wrong_secret_is_tried_in_the_same_encoding() {
    let legacy = Legacy::start(Habit::PublicClientUndecoded).await;
    let authenticator = legacy.by_introspection().build().unwrap();
    let mut world = plan_with(
        |_| [Client::new("orders~1"), Client::new("orders"), Client::new("billing"), Client::new("reports")].into(),
        |targets| targets,
    )
    .with(|builder| builder.client_authenticator(authenticator))
    .start()
    .await;
    for secret in ["wrong", "another-wrong-secret"] {
        assert_eq!(exchange_as(&mut world, Some(&basic("orders~1", secret)), &[]).await, REJECTED);
    }
}

#[tokio::test]
async fn each_method_is_checked_by_itself() {
    let legacy = Legacy::start(Habit::TakesAnyForm).await;
    let mut world = world(legacy.by_introspection().build().unwrap()).await;
    assert_eq!(exchange_as(&mut world, Some(&basic_of("orders", SECRET)), &[]).await, GOOD);
    let (status, reason) = exchange_as(&mut world, None, &[("client_id", "orders"), ("client_secret", "wrong")]).await;
    assert_eq!((status, reason), (StatusCode::BAD_REQUEST, REJECTED.1));
}

#[tokio::test]
async fn an_unclear_answer_fails_closed() {
    for habit in [Habit::Fails, Habit::SaysHtml, Habit::KnowsTheToken] {
        let legacy = Legacy::start(Habit::Exact).await;
        for asking in [legacy.by_introspection(), legacy.by_client_credentials()] {
            let authenticator = asking.build().unwrap();
            legacy.now(Habit::Exact);
            authenticator.probe().await.unwrap();
            legacy.now(habit);
            let mut world = world(authenticator).await;
            let answer = exchange_as(&mut world, Some(&basic_of("orders", SECRET)), &[]).await;
            assert_eq!(answer, UNAVAILABLE, "{habit:?}");
        }
    }
    let away = ServerAuthenticator::by_introspection("http://127.0.0.1:9/introspect").http(fetch()).build().unwrap();
    let mut world = world(away).await;
    assert_eq!(exchange_as(&mut world, Some(&basic_of("orders", SECRET)), &[]).await, UNAVAILABLE);
}

#[tokio::test]
async fn a_hanging_server_times_out() {
    let legacy = Legacy::start(Habit::Hangs).await;
    let mut world = world(legacy.by_introspection().build().unwrap()).await;
    assert_eq!(exchange_as(&mut world, Some(&basic_of("orders", SECRET)), &[]).await, UNAVAILABLE);
}

#[tokio::test]
async fn a_refused_grant_authenticates_at_the_token_endpoint() {
    let legacy = Legacy::start(Habit::RefusesTheGrant).await;
    for (asking, answer) in [(legacy.by_introspection(), REJECTED), (legacy.by_client_credentials(), GOOD)] {
        let mut world = world(asking.build().unwrap()).await;
        assert_eq!(exchange_as(&mut world, Some(&basic_of("orders", SECRET)), &[]).await, answer);
        assert_eq!(exchange_as(&mut world, Some(&basic_of("orders", "wrong")), &[]).await, REJECTED);
    }
}

#[tokio::test]
async fn every_spelling_of_the_header_is_understood() {
    let legacy = Legacy::start(Habit::Exact).await;
    let mut world = world(legacy.by_introspection().build().unwrap()).await;
    let odd = format!("Basic {}", BASE64.encode(b"or%64ers:zq9%20s%C3%A9cret%2Bof/orders%3d%2541"));
    assert_eq!(exchange_as(&mut world, Some(&odd), &[]).await, GOOD);

    // The server gets every spelling of the header in the standard alphabet.
    for (header, answer) in [(basic_of("orders", SECRET), GOOD), (basic_of("orders", "wrong"), REJECTED)] {
        let (_, token) = header.split_once(' ').unwrap();
        for odd in [
            format!("bAsIc   {}", token.trim_end_matches('=')),
            format!("Basic {}", token.replace('+', "-").replace('/', "_")),
        ] {
            assert_eq!(exchange_as(&mut world, Some(&odd), &[]).await, answer, "{odd}");
        }
    }

    let before = legacy.questions();
    for header in [basic_of("orders", ""), basic("a%20b", "secret"), basic("a+b", "secret"), basic("orders", "%00")] {
        assert_eq!(exchange_as(&mut world, Some(&header), &[]).await, REJECTED, "{header}");
    }
    assert_eq!(legacy.questions(), before, "empty secrets and ambiguous client ids are not sent");

    // A made-up secret has the length and the special characters of the right one.
    let made_up: Vec<_> =
        legacy.secrets_of("orders").into_iter().filter(|secret| secret != SECRET && secret != "wrong").collect();
    assert_eq!(made_up.len(), 1);
    let special = |secret: &str| secret.replace(|c: char| c.is_ascii_alphanumeric(), "x");
    assert_eq!(special(&made_up[0]), special(SECRET));
}

/// Servers that do not decode the header need no change either.
#[tokio::test]
async fn a_server_that_decodes_nothing_authenticates() {
    let legacy = Legacy::start(Habit::Undecoded).await;
    let clients = |_| ["my-client", "orders", "billing", "reports"].map(Client::new).into();
    let plan = plan_with(clients, |targets| targets);
    let authenticator = legacy.by_introspection().build().unwrap();
    let mut world = plan.with(|builder| builder.client_authenticator(authenticator)).start().await;
    // The client encodes strictly, as RFC 6749 permits, or not at all.
    for header in [basic("my%2Dclient", "a%2Bb%2F1"), basic("my-client", "a+b/1")] {
        // The client is authenticated, but the target does not list the client.
        let (_, reason) = exchange_as(&mut world, Some(&header), &[]).await;
        assert_eq!(reason, Some(Reason::TargetNotAllowed), "{header}");
    }
    assert_eq!(exchange_as(&mut world, Some(&basic("my%2Dclient", "a%2Bb%2F2")), &[]).await, REJECTED);
}

#[tokio::test]
async fn a_secret_can_be_sent_with_another_method() {
    let legacy = Legacy::start(Habit::TakesOnlyForms).await;
    let basic = basic_of("orders", SECRET);
    let mut strict = world(legacy.by_introspection().build().unwrap()).await;
    assert_eq!(exchange_as(&mut strict, Some(&basic), &[]).await, REJECTED);
    let post = legacy.by_introspection().send_as(AuthenticationMethod::ClientSecretPost).build().unwrap();
    let mut world = world(post).await;
    assert_eq!(exchange_as(&mut world, Some(&basic), &[]).await, GOOD);
    assert_eq!(exchange_as(&mut world, Some(&basic_of("orders", "wrong")), &[]).await, REJECTED);
    let form = [("client_id", "orders"), ("client_secret", SECRET)];
    assert_eq!(exchange_as(&mut world, None, &form).await, GOOD);
}

#[tokio::test]
async fn a_record_with_a_secret_decides_alone() {
    let legacy = Legacy::start(Habit::Exact).await;
    let authenticator = legacy.by_introspection().build().unwrap();
    let clients = |_| {
        let known = Client::new("orders").secret(secret_of("orders"));
        [known, Client::new("billing"), Client::new("reports")].into()
    };
    let plan = plan_with(clients, |targets| targets);
    let plan = plan.with(|builder| builder.client_authenticator(authenticator).record_secrets_first());
    let mut world = plan.start().await;
    assert_eq!(exchange_as(&mut world, Some(&basic_of("orders", &secret_of("orders"))), &[]).await, GOOD);
    // The server knows another secret of this client.
    assert_eq!(exchange_as(&mut world, Some(&basic_of("orders", SECRET)), &[]).await, REJECTED);
    assert_eq!(legacy.questions(), 0);
    assert_eq!(exchange_as(&mut world, Some(&basic_of("billing", "wrong")), &[]).await, REJECTED);
    assert!(legacy.questions() > 0);
}

#[tokio::test]
async fn equal_questions_are_asked_once() {
    let legacy = Legacy::start(Habit::Slow).await;
    let authenticator = legacy.by_introspection().cache(0, Duration::ZERO).build().unwrap();
    authenticator.probe().await.unwrap();
    let before = legacy.questions();
    let ask = || {
        let credentials = Credentials::new(AuthenticationMethod::ClientSecretPost, "orders", SECRET);
        authenticator.clone().oneshot(credentials)
    };
    for answer in futures_util::future::join_all((0..200).map(|_| ask())).await {
        assert_eq!(answer.unwrap(), Authentication::Client("orders".into()));
    }
    assert_eq!(legacy.questions() - before, 2, "the secret, and a wrong secret");
}

#[test]
fn build_reports_mistakes() {
    let relative = ServerAuthenticator::by_introspection("/introspect").build().unwrap_err();
    assert_eq!(relative.field(), "endpoint");
    let forever = ServerAuthenticator::by_introspection("https://as.example/introspect").cache(1, Duration::MAX);
    assert_eq!(forever.build().unwrap_err().field(), "cache");
    let built = ServerAuthenticator::by_introspection("https://as.example/introspect").build().unwrap();
    let shown = "ServerAuthenticator { methods: [(Introspection, \"https://as.example/introspect\")], .. }";
    assert_eq!(format!("{built:?}"), shown);
    let _ = TokenExchangeLayer::builder(AS).client_authenticator(built);
}
