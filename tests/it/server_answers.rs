//! How real authorization servers say that the credentials of a client are good or bad, and what the authenticator makes of
//! each answer.

#![cfg(feature = "server-authenticator")]

use bytes::Bytes;
use data_encoding::BASE64;
use http::{Request, Response};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};
use tower::{ServiceExt, service_fn};
use tower_token_exchange::{
    client_auth::{
        Authentication, AuthenticationMethod, Credentials, ServerAuthenticator, ServerAuthenticatorBuilder,
        ServerMethod,
    },
    plug::HttpService,
};

const TOKEN_ENDPOINT: &str = "https://as.example/token";
const INTROSPECTION_ENDPOINT: &str = "https://as.example/introspect";

/// The answers of one server. Each list has the answer to a client that may use the grant, to a client that may not use the
/// grant, to a wrong secret, and to an unknown client.
struct Server {
    name: &'static str,
    introspection: Option<[&'static str; 4]>,
    client_credentials: [&'static str; 4],
    /// The answers to an authorization code or a refresh token that does not exist.
    bogus: [&'static str; 4],
    /// What becomes of the two clients with the right secret, by each method.
    by_introspection: [Fate; 2],
    by_client_credentials: [Fate; 2],
    by_bogus: [Fate; 2],
    by_auto: [Fate; 2],
    chosen: Option<ServerMethod>,
}

/// What becomes of a client with the right secret.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Yes,
    /// The server gives this client the answer for a wrong secret.
    No,
    /// The server does not tell right secrets from wrong ones.
    CannotTell,
}
use Fate::{CannotTell, No, Yes};
use ServerMethod::{ClientCredentials, Introspection};

const GOOD: &str = "200";
const NO: &str = "401 invalid_client";
const UNAUTHORIZED: &str = "400 unauthorized_client";
const GRANT: &str = "400 invalid_grant";
const REQUEST: &str = "400 invalid_request";
const ALL: [Fate; 2] = [Yes, Yes];
const NEVER: [Fate; 2] = [CannotTell, CannotTell];

const SERVERS: &[Server] = &[
    Server {
        name: "oidc-provider",
        introspection: Some([GOOD, GOOD, NO, NO]),
        client_credentials: ["400 unsupported_grant_type", "400 unsupported_grant_type", NO, NO],
        // The server gives the same answer to a header that it cannot read, so the answer proves nothing.
        bogus: [REQUEST, REQUEST, NO, NO],
        by_introspection: ALL,
        by_client_credentials: ALL,
        by_bogus: [No, No],
        by_auto: ALL,
        chosen: Some(Introspection),
    },
    Server {
        name: "django-oauth-toolkit",
        introspection: Some([GOOD, GOOD, "403", "403"]),
        client_credentials: [GOOD, UNAUTHORIZED, NO, NO],
        bogus: [GRANT, GRANT, NO, NO],
        by_introspection: ALL,
        by_client_credentials: ALL,
        by_bogus: ALL,
        by_auto: ALL,
        chosen: Some(Introspection),
    },
    Server {
        name: "glewlwyd",
        introspection: Some([GOOD, GOOD, NO, NO]),
        client_credentials: ["403", "403", "403", "403"],
        bogus: ["403", "403", "403", "403"],
        by_introspection: ALL,
        by_client_credentials: NEVER,
        by_bogus: NEVER,
        by_auto: ALL,
        chosen: Some(Introspection),
    },
    Server {
        name: "Authlib",
        introspection: Some([GOOD, GOOD, NO, NO]),
        client_credentials: [GOOD, UNAUTHORIZED, NO, NO],
        bogus: [GRANT, GRANT, NO, NO],
        by_introspection: ALL,
        by_client_credentials: ALL,
        by_bogus: ALL,
        by_auto: ALL,
        chosen: Some(Introspection),
    },
    Server {
        name: "Doorkeeper",
        introspection: Some([GOOD, GOOD, NO, NO]),
        client_credentials: [GOOD, GOOD, NO, NO],
        bogus: [GRANT, GRANT, NO, NO],
        by_introspection: ALL,
        by_client_credentials: ALL,
        by_bogus: ALL,
        by_auto: ALL,
        chosen: Some(Introspection),
    },
    Server {
        name: "LemonLDAP::NG",
        introspection: Some([GOOD, GOOD, NO, NO]),
        client_credentials: [GOOD, UNAUTHORIZED, NO, NO],
        bogus: ["400", "400", NO, NO],
        by_introspection: ALL,
        by_client_credentials: ALL,
        by_bogus: [No, No],
        by_auto: ALL,
        chosen: Some(Introspection),
    },
    Server {
        name: "idpyoidc",
        introspection: Some([GOOD, GOOD, REQUEST, REQUEST]),
        client_credentials: [REQUEST, REQUEST, REQUEST, REQUEST],
        bogus: [GRANT, GRANT, REQUEST, REQUEST],
        by_introspection: ALL,
        by_client_credentials: NEVER,
        by_bogus: ALL,
        by_auto: ALL,
        chosen: Some(Introspection),
    },
    Server {
        name: "node-oauth",
        introspection: None,
        client_credentials: [GOOD, UNAUTHORIZED, NO, NO],
        bogus: [GRANT, GRANT, NO, NO],
        by_introspection: NEVER,
        by_client_credentials: ALL,
        by_bogus: ALL,
        by_auto: ALL,
        chosen: Some(ClientCredentials),
    },
    Server {
        name: "jmondi/oauth2-server",
        introspection: Some([GOOD, NO, NO, NO]),
        client_credentials: [GOOD, NO, NO, NO],
        bogus: [GRANT, GRANT, GRANT, GRANT],
        by_introspection: [Yes, No],
        by_client_credentials: [Yes, No],
        by_bogus: NEVER,
        by_auto: [Yes, No],
        chosen: Some(Introspection),
    },
    Server {
        name: "better-auth",
        introspection: Some([GOOD, GOOD, NO, NO]),
        client_credentials: [GOOD, UNAUTHORIZED, NO, NO],
        bogus: [GRANT, GRANT, GRANT, GRANT],
        by_introspection: ALL,
        by_client_credentials: ALL,
        by_bogus: NEVER,
        by_auto: ALL,
        chosen: Some(Introspection),
    },
    Server {
        name: "clients need a permission of their own for introspection",
        introspection: Some([GOOD, "403", NO, NO]),
        client_credentials: [UNAUTHORIZED, GOOD, NO, NO],
        bogus: [GRANT, GRANT, NO, NO],
        by_introspection: [Yes, No],
        by_client_credentials: ALL,
        by_bogus: ALL,
        by_auto: ALL,
        chosen: Some(Introspection),
    },
    Server {
        name: "a server that never tells, with errors",
        introspection: Some([GOOD, GOOD, GOOD, GOOD]),
        client_credentials: [UNAUTHORIZED, UNAUTHORIZED, UNAUTHORIZED, UNAUTHORIZED],
        bogus: [GRANT, GRANT, GRANT, GRANT],
        by_introspection: NEVER,
        by_client_credentials: NEVER,
        by_bogus: NEVER,
        by_auto: NEVER,
        chosen: None,
    },
    Server {
        name: "a server that never tells, with refusals",
        introspection: None,
        client_credentials: ["403", "403", "403", "403"],
        bogus: [REQUEST, REQUEST, REQUEST, REQUEST],
        by_introspection: NEVER,
        by_client_credentials: NEVER,
        by_bogus: NEVER,
        by_auto: NEVER,
        // The server rejects a client that does not exist, but was never seen to accept one.
        chosen: Some(ClientCredentials),
    },
    Server {
        name: "a server that knows clients, but looks at no secret",
        introspection: Some([GOOD, GOOD, GOOD, NO]),
        client_credentials: [GOOD, UNAUTHORIZED, UNAUTHORIZED, NO],
        bogus: [GRANT, GRANT, GRANT, NO],
        by_introspection: [No, No],
        by_client_credentials: [No, No],
        by_bogus: [No, No],
        by_auto: [No, No],
        chosen: Some(Introspection),
    },
];

/// The form-decoded client id and secret of a request.
fn credentials(request: &Request<Bytes>) -> Option<(String, String)> {
    let decoded = |text: &str| {
        let pairs = format!("x={text}");
        form_urlencoded::parse(pairs.as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    if let Some(header) = request.headers().get("authorization") {
        let token = header.to_str().ok()?.strip_prefix("Basic ")?;
        let pair = String::from_utf8(BASE64.decode(token.as_bytes()).ok()?).ok()?;
        let (id, secret) = pair.split_once(':')?;
        return decoded(id).zip(decoded(secret));
    }
    let find = |name: &str| form_urlencoded::parse(request.body()).find(|(key, _)| key == name);
    find("client_id").zip(find("client_secret")).map(|((_, id), (_, secret))| (id.into_owned(), secret.into_owned()))
}

fn secret_of(client: &str) -> String {
    format!("s+crét/of%41={client}")
}

impl Server {
    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let grant = form_urlencoded::parse(request.body()).find(|(key, _)| key == "grant_type");
        let (answers, success) = match (request.uri().path(), grant.as_ref().map(|(_, grant)| &**grant)) {
            ("/introspect", None) => (self.introspection, r#"{"active":false}"#),
            ("/token", Some("client_credentials")) => (Some(self.client_credentials), r#"{"access_token":"x"}"#),
            ("/token", Some("authorization_code" | "refresh_token")) => (Some(self.bogus), "never"),
            _ => (None, ""),
        };
        let Some([granted, not_granted, wrong, unknown]) = answers else {
            return Response::builder().status(404).body("<html>Not found</html>".into()).unwrap();
        };
        let answer = match credentials(request) {
            // A public client: the server does not look at the secret.
            Some((id, _)) if id == "public" => not_granted,
            Some((id, secret)) if id == "granted" && secret == secret_of(&id) => granted,
            Some((id, secret)) if id == "not-granted" && secret == secret_of(&id) => not_granted,
            Some((id, _)) if id == "granted" || id == "not-granted" => wrong,
            _ => unknown,
        };
        let (status, error) = answer.split_once(' ').unwrap_or((answer, ""));
        let body = match (status, error) {
            ("200", _) => success.to_owned(),
            (_, "") => "{}".to_owned(),
            (_, error) => format!(r#"{{"error":"{error}"}}"#),
        };
        Response::builder().status(status).body(body.into()).unwrap()
    }
}

fn http(server: &'static Server) -> impl HttpService {
    service_fn(move |request: Request<Bytes>| async move { Ok::<_, Infallible>(server.answer(&request)) })
}

async fn ask(
    authenticator: &ServerAuthenticator,
    method: AuthenticationMethod,
    id: &str,
    secret: &str,
) -> Authentication {
    authenticator.clone().oneshot(Credentials::new(method, id, secret)).await.unwrap()
}

fn fate(answer: &Authentication, id: &str) -> Fate {
    match answer {
        Authentication::Client(client) => {
            assert_eq!(client, id);
            Yes
        }
        Authentication::Rejected => No,
        Authentication::Misconfigured { problem } => {
            assert!(problem.contains("`Client::secret_sha256`"), "{problem}");
            CannotTell
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_real_server_is_understood() {
    type Make = fn() -> ServerAuthenticatorBuilder;
    for server in SERVERS {
        let methods: [(&str, Make, [Fate; 2]); 5] = [
            (
                "introspection",
                || ServerAuthenticator::by_introspection(INTROSPECTION_ENDPOINT),
                server.by_introspection,
            ),
            (
                "credentials",
                || ServerAuthenticator::by_client_credentials(TOKEN_ENDPOINT),
                server.by_client_credentials,
            ),
            ("code", || ServerAuthenticator::by_authorization_code(TOKEN_ENDPOINT), server.by_bogus),
            ("refresh token", || ServerAuthenticator::by_refresh_token(TOKEN_ENDPOINT), server.by_bogus),
            ("auto", || ServerAuthenticator::auto(TOKEN_ENDPOINT, Some(INTROSPECTION_ENDPOINT)), server.by_auto),
        ];
        for (name, make, expected) in methods {
            for sent_as in AuthenticationMethod::WITH_SECRET {
                let case = format!("{}, {name}, {sent_as}", server.name);
                let authenticator = make().http(http(server)).build().unwrap();
                for round in 0..2 {
                    for (id, secret) in [
                        ("granted", "wrong"),
                        ("granted", "%00%"),
                        ("not-granted", "wrong"),
                        ("not-granted", &*secret_of("granted")),
                        ("nobody", "wrong"),
                        ("public", "wrong"),
                        ("public", "other"),
                    ] {
                        let answer = ask(&authenticator, *sent_as, id, secret).await;
                        assert_ne!(fate(&answer, id), Yes, "{case}: {id} {secret}, round {round}");
                    }
                    for (id, expected) in ["granted", "not-granted"].into_iter().zip(expected) {
                        let answer = ask(&authenticator, *sent_as, id, &secret_of(id)).await;
                        assert_eq!(fate(&answer, id), expected, "{case}: {id}, round {round}: {answer:?}");
                    }
                }
                if name == "auto" {
                    assert_eq!(authenticator.chosen_method(), server.chosen, "{case}");
                }
            }
        }
    }
}

/// The order of the clients does not matter.
#[tokio::test]
async fn auto_finds_a_method_for_each_client() {
    let server = SERVERS.iter().find(|server| server.name.contains("permission")).unwrap();
    for (order, chosen) in
        [(["granted", "not-granted"], Introspection), (["not-granted", "granted"], ClientCredentials)]
    {
        let auto = ServerAuthenticator::auto(TOKEN_ENDPOINT, Some(INTROSPECTION_ENDPOINT));
        let authenticator = auto.http(http(server)).build().unwrap();
        for id in order {
            let answer = ask(&authenticator, AuthenticationMethod::ClientSecretBasic, id, &secret_of(id)).await;
            assert_eq!(answer, Authentication::Client(id.into()));
        }
        assert_eq!(authenticator.chosen_method(), Some(chosen));
    }
}

/// Authlib takes only HTTP Basic at its introspection endpoint, and both ways at its token endpoint.
#[tokio::test]
async fn a_client_may_send_its_secret_in_both_ways() {
    let server = SERVERS.iter().find(|server| server.name == "Authlib").unwrap();
    let http = service_fn(move |request: Request<Bytes>| {
        let is_refused = request.uri().path() == "/introspect" && !request.headers().contains_key("authorization");
        let no = || Response::builder().status(401).body(r#"{"error":"invalid_client"}"#.into()).unwrap();
        let answer = if is_refused { no() } else { server.answer(&request) };
        async move { Ok::<_, Infallible>(answer) }
    });
    let auto = ServerAuthenticator::auto(TOKEN_ENDPOINT, Some(INTROSPECTION_ENDPOINT));
    let authenticator = auto.http(http).build().unwrap();
    let [basic, post] = [AuthenticationMethod::ClientSecretBasic, AuthenticationMethod::ClientSecretPost];
    for method in [basic, post, basic] {
        let answer = ask(&authenticator, method, "granted", &secret_of("granted")).await;
        assert_eq!(answer, Authentication::Client("granted".into()), "{method}");
        assert_eq!(ask(&authenticator, method, "granted", "wrong").await, Authentication::Rejected, "{method}");
    }
}

/// A server that locks a client after some wrong secrets, and answers then as if every secret were right.
#[tokio::test]
async fn a_lock_does_not_authenticate() {
    // The answers to the questions about `orders`, one after the other; the last one stays.
    for (answers, expected) in [
        // The client is locked, and then not.
        (&[GRANT, NO][..], Authentication::Rejected),
        (&[GRANT, NO, NO], Authentication::Rejected),
        (&[GRANT, NO, GRANT], Authentication::Rejected),
        (&[GRANT, GRANT], Authentication::Rejected),
        (&[GRANT, REQUEST, NO], Authentication::Rejected),
        (&[GRANT, NO, GRANT, NO], Authentication::Client("orders".into())),
    ] {
        let left = Arc::new(Mutex::new(answers.iter().copied()));
        let last = answers[answers.len() - 1];
        let http = service_fn(move |request: Request<Bytes>| {
            let is_orders = credentials(&request).is_some_and(|(id, _)| id == "orders");
            let answer = if is_orders { left.lock().unwrap().next().unwrap_or(last) } else { NO };
            let (status, error) = answer.split_once(' ').unwrap();
            let body = Bytes::from(format!(r#"{{"error":"{error}"}}"#));
            let response = Response::builder().status(status).body(body).unwrap();
            async { Ok::<_, Infallible>(response) }
        });
        let authenticator = ServerAuthenticator::by_authorization_code(TOKEN_ENDPOINT).http(http).build().unwrap();
        let answer = ask(&authenticator, AuthenticationMethod::ClientSecretBasic, "orders", "guess").await;
        assert_eq!(answer, expected, "{answers:?}");
    }
}

/// A server that treats a header that it cannot read as no header.
#[tokio::test]
async fn an_unreadable_secret_does_not_authenticate() {
    for no_credentials in [REQUEST, GRANT, UNAUTHORIZED] {
        let http = service_fn(move |request: Request<Bytes>| {
            let readable =
                credentials(&request).is_some_and(|(_, secret)| !secret.contains('%') && !secret.contains('\u{fffd}'));
            let (status, error) = if readable { NO } else { no_credentials }.split_once(' ').unwrap();
            let body = Bytes::from(format!(r#"{{"error":"{error}"}}"#));
            let response = Response::builder().status(status).body(body).unwrap();
            async { Ok::<_, Infallible>(response) }
        });
        let auto = ServerAuthenticator::auto(TOKEN_ENDPOINT, Some(INTROSPECTION_ENDPOINT));
        let authenticator = auto.http(http).build().unwrap();
        for secret in ["x%zz", "x%", "%C3x", "\u{fffd}x", "x%25"] {
            for method in AuthenticationMethod::WITH_SECRET {
                let answer = ask(&authenticator, *method, "orders", secret).await;
                assert_eq!(answer, Authentication::Rejected, "{no_credentials} {secret}");
            }
        }
    }
}

/// A server that accepts any secret of a public client, but refuses some requests before it looks at the client.
#[tokio::test]
async fn no_other_refusal_proves_that_secrets_count() {
    const LIMIT: usize = 400;
    type Refuses = fn(usize, usize, &str) -> Option<&'static str>;
    let cases: [(&str, Refuses); 4] = [
        ("long requests", |length, _, _| (length > LIMIT).then_some("400 invalid_client")),
        ("every second request", |_, number, _| (number % 2 == 1).then_some("403")),
        ("secrets of a public client, unless empty", |_, _, secret| (secret != "0").then_some(NO)),
        ("secrets of a public client, unless `null`", |_, _, secret| (secret != "null").then_some(NO)),
    ];
    for (name, refuses) in cases {
        for sent_as in AuthenticationMethod::WITH_SECRET {
            for first in [0, 1] {
                let number = Arc::new(Mutex::new(first));
                let http = service_fn(move |request: Request<Bytes>| {
                    let header = request.headers().get("authorization").map_or(0, |header| header.len());
                    let length = header + request.body().len();
                    let answer = match credentials(&request) {
                        Some((id, secret)) if id == "public" => {
                            let mut number = number.lock().unwrap();
                            *number += 1;
                            refuses(length, *number, &secret).unwrap_or(GOOD)
                        }
                        _ => NO,
                    };
                    let (status, error) = answer.split_once(' ').unwrap_or((answer, ""));
                    let body = match status {
                        "200" => r#"{"active":false}"#.to_owned(),
                        _ => format!(r#"{{"error":"{error}"}}"#),
                    };
                    let response = Response::builder().status(status).body(body.into()).unwrap();
                    async { Ok::<_, Infallible>(response) }
                });
                let authenticator =
                    ServerAuthenticator::by_introspection(INTROSPECTION_ENDPOINT).http(http).build().unwrap();
                let long = (LIMIT / 2..LIMIT).step_by(10).map(|length| "x".repeat(length));
                for secret in long.chain(["0", "null", "wrong"].map(str::to_owned)) {
                    let answer = ask(&authenticator, *sent_as, "public", &secret).await;
                    assert_eq!(answer, Authentication::Rejected, "{name}, {sent_as}: {secret}");
                }
            }
        }
    }
}

/// A wrong secret is a failed login, so it is tried with few methods.
#[tokio::test]
async fn a_wrong_secret_is_tried_with_few_methods() {
    let server = SERVERS.iter().find(|server| server.name == "Authlib").unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let questions = Arc::clone(&asked);
    let http = service_fn(move |request: Request<Bytes>| {
        if credentials(&request).is_some_and(|(id, _)| id == "granted") {
            questions.lock().unwrap().push(request.uri().path().to_owned());
        }
        async move { Ok::<_, Infallible>(server.answer(&request)) }
    });
    let auto = ServerAuthenticator::auto(TOKEN_ENDPOINT, Some(INTROSPECTION_ENDPOINT));
    let authenticator = auto.http(http).build().unwrap();
    let basic = AuthenticationMethod::ClientSecretBasic;
    assert_eq!(ask(&authenticator, basic, "granted", "wrong").await, Authentication::Rejected);
    assert_eq!(*asked.lock().unwrap(), ["/introspect", "/token"]);
    // As soon as a method has authenticated the client, only this method is used.
    ask(&authenticator, basic, "granted", &secret_of("granted")).await;
    asked.lock().unwrap().clear();
    assert_eq!(ask(&authenticator, basic, "granted", "wrong").await, Authentication::Rejected);
    assert_eq!(*asked.lock().unwrap(), ["/introspect"]);
}
