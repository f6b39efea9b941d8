use super::*;
use crate::jwks::loopback;
use bytes::Bytes;
use http::{Request, Response};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
};
use tower_token_exchange::{
    plug::Plug,
    records::{IntrospectedTokens, Introspection},
};

const OPAQUE: &str = "zq9opaque";

/// An introspection endpoint that always gives one answer, and the tokens that it was asked about.
fn endpoint(answer: Value) -> (impl Plug<Request<Bytes>, Response<Bytes>>, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let service = tower::service_fn(move |request: Request<Bytes>| {
        let token = form_urlencoded::parse(request.body()).find(|(name, _)| name == "token").unwrap().1.into_owned();
        log.lock().unwrap().push(token);
        let response = Response::builder().header("content-type", "application/json");
        let response = response.body(Bytes::from(answer.to_string())).unwrap();
        async move { Ok::<_, Infallible>(response) }
    });
    (service, asked)
}

/// An introspection endpoint that knows these tokens.
pub(super) fn by_token(answers: &BTreeMap<String, Value>) -> impl Plug<Request<Bytes>, Response<Bytes>> + use<> {
    let answers = answers.clone();
    tower::service_fn(move |request: Request<Bytes>| {
        let token = form_urlencoded::parse(request.body()).find(|(name, _)| name == "token").unwrap().1.into_owned();
        let answer = answers.get(&token).cloned().unwrap_or(json!({ "active": false }));
        let response = Response::builder().header("content-type", "application/json");
        let response = response.body(Bytes::from(answer.to_string())).unwrap();
        async move { Ok::<_, Infallible>(response) }
    })
}

fn active(changes: Value) -> Value {
    let good = json!({
        "active": true, "sub": "alice", "aud": "https://orders.example", "exp": NOW + 600, "client_id": "web",
        "scope": "read", "token_type": "Bearer",
    });
    changed(good, changes)
}

type Change = fn(Introspection) -> Introspection;
type Statement = fn(TokenRules) -> TokenRules;
/// An answer, a change to the record of the endpoint, a statement about the tokens, and the result.
type AnswerCase = (Value, Change, Statement, Result<(String, String), Reason>);

#[tokio::test]
async fn an_answer_may_lack_what_the_record_states() {
    use Reason::*;
    let alice = Ok(("alice".to_owned(), "read".to_owned()));
    let same: Change = |introspection| introspection;
    let plain: Statement = |rules| rules;
    let cases: [AnswerCase; 12] = [
        (active(json!({})), same, plain, alice.clone()),
        (active(json!({ "token_type": null })), same, plain, Err(TokenTypeConfused)),
        (active(json!({ "token_type": null })), Introspection::allow_missing_token_type, plain, alice.clone()),
        (active(json!({ "token_type": "access_token" })), same, plain, Err(TokenTypeConfused)),
        (
            active(json!({ "token_type": "Access_Token" })),
            |introspection| introspection.token_types(["access_token"]),
            plain,
            alice.clone(),
        ),
        // The setting names the other values. It does not accept every value.
        (
            active(json!({ "token_type": "refresh_token" })),
            |introspection| introspection.token_types(["access_token"]).allow_missing_token_type(),
            plain,
            Err(TokenTypeConfused),
        ),
        (active(json!({ "sub": null, "username": "alice" })), same, plain, Err(TokenSubjectInvalid)),
        (
            active(json!({ "sub": null, "username": "alice" })),
            same,
            |rules| rules.subject_claim("username"),
            alice.clone(),
        ),
        (active(json!({ "aud": null })), same, plain, Err(PresenterUnknown)),
        (active(json!({ "aud": null })), same, |rules| rules.absent_aud("https://orders.example"), alice.clone()),
        (
            active(json!({ "aud": null })),
            same,
            |rules| rules.allow_absent_aud().presenters(["billing"]),
            Err(PresenterUnrelated),
        ),
        (active(json!({ "aud": null, "client_id": "orders" })), same, TokenRules::allow_absent_aud, alice),
    ];
    for (answer, change, statement, expected) in cases {
        let (service, _) = endpoint(answer.clone());
        let introspection =
            change(Introspection::basic("https://as.example/introspect", "layer", "secret").http(service));
        let record = Issuer::new(AS).introspection(introspection).of_another_server().accept(statement(access_token()));
        let mut world = plan_of([record]).start().await;
        assert_eq!(exchanged(&mut world, OPAQUE).await, expected, "{answer}");
    }
}

/// A JWT with a signature that nobody but the server can verify.
fn symmetric(server: &Minter, claims: &Value) -> String {
    server.sign(&json!({ "alg": "HS256", "typ": "at+jwt" }), claims)
}

#[tokio::test]
async fn the_record_says_which_tokens_are_introspected() {
    use IntrospectedTokens::*;
    let server = server();
    let stranger = Minter::new(AS, Algorithm::ES256);
    let claims = segment(&server.access_token(json!({})), 1);
    let anonymous = segment(&server.access_token(json!({ "iss": null })), 1);
    let tokens = [
        ("opaque", OPAQUE.to_owned()),
        ("verified", server.access_token(json!({}))),
        ("symmetric", symmetric(&server, &claims)),
        ("symmetric without issuer", symmetric(&server, &anonymous)),
        ("of an unknown key", stranger.access_token(json!({}))),
        ("with a wrong signature", stranger.sign(&server.header("at+jwt"), &claims)),
        ("of another kind", server.sign(&json!({ "alg": "HS256", "typ": "logout+jwt" }), &claims)),
        ("with an extension", server.sign(&json!({ "alg": "HS256", "crit": ["x"], "typ": "at+jwt" }), &claims)),
    ];
    let refused = |reason| (Err(reason), false);
    use Reason::*;
    let expected = [
        (
            Opaque,
            [
                (Ok(()), true),
                (Ok(()), false),
                refused(TokenAlgorithmRefused),
                refused(TokenIssuerMissing),
                refused(TokenKeyUnknown),
                refused(TokenSignatureInvalid),
                refused(TokenAlgorithmRefused),
                refused(TokenHeaderCritical),
            ],
        ),
        (
            Unverifiable,
            [
                (Ok(()), true),
                (Ok(()), false),
                (Ok(()), true),
                (Ok(()), true),
                (Ok(()), true),
                refused(TokenSignatureInvalid),
                (Err(TokenTypeConfused), true),
                refused(TokenHeaderCritical),
            ],
        ),
        (
            Every,
            [
                (Ok(()), true),
                (Ok(()), true),
                refused(TokenAlgorithmRefused),
                refused(TokenIssuerMissing),
                refused(TokenKeyUnknown),
                refused(TokenSignatureInvalid),
                refused(TokenAlgorithmRefused),
                refused(TokenHeaderCritical),
            ],
        ),
    ];
    for (mode, outcomes) in expected {
        for ((name, token), (outcome, is_asked)) in tokens.iter().zip(outcomes) {
            let (service, asked) = endpoint(active(json!({})));
            let introspection = Introspection::bearer("https://as.example/introspect", "t").http(service);
            let record = Issuer::new(AS).keys(server.keys()).introspection(introspection.introspect(mode));
            let mut world = plan_of([record]).start().await;
            let found = exchanged(&mut world, token).await;
            assert_eq!(found.map(|_| ()), outcome, "{mode:?}: {name}");
            let expected = if is_asked { vec![token.clone()] } else { vec![] };
            assert_eq!(*asked.lock().unwrap(), expected, "{mode:?}: {name}");
            // The layer knows its own tokens better than the server does.
            let issued = world.own.access_token(json!({}));
            assert!(exchanged(&mut world, &issued).await.is_ok(), "{mode:?}");
            assert_eq!(asked.lock().unwrap().len(), usize::from(is_asked), "{mode:?}: an issued token");
        }
    }
}

#[tokio::test]
async fn a_token_that_the_server_revoked_is_refused() {
    let server = server();
    for mode in [IntrospectedTokens::Unverifiable, IntrospectedTokens::Every] {
        let (service, _) = endpoint(json!({ "active": false }));
        let introspection = Introspection::bearer("https://as.example/introspect", "t").http(service).introspect(mode);
        let record = Issuer::new(AS).keys(server.keys()).introspection(introspection);
        let mut world = plan_of([record]).start().await;
        let claims = segment(&server.access_token(json!({})), 1);
        let token = match mode {
            IntrospectedTokens::Every => server.access_token(json!({})),
            _ => symmetric(&server, &claims),
        };
        assert_eq!(exchanged(&mut world, &token).await, Err(Reason::TokenInactive), "{mode:?}");
    }
}

/// A server without a key set: each of its JWTs is introspected, and issued tokens are verified here.
#[tokio::test]
async fn a_server_without_keys_is_asked_about_jwts() {
    let server = server();
    let (service, asked) = endpoint(active(json!({})));
    let introspection = Introspection::bearer("https://as.example/introspect", "t").http(service);
    let record = Issuer::new(AS).introspection(introspection).of_another_server();
    let mut world = plan_of([record]).with(|builder| builder.http(loopback())).start().await;
    assert!(exchanged(&mut world, &server.access_token(json!({}))).await.is_ok());
    assert_eq!(asked.lock().unwrap().len(), 1);
    let issued = world.own.access_token(json!({}));
    assert!(exchanged(&mut world, &issued).await.is_ok());
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[test]
fn credentials_come_from_a_file() {
    let folder = std::env::temp_dir().join(format!("token-exchange-credentials-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("good"), "  zq9canary\n").unwrap();
    std::fs::write(folder.join("empty"), "\n").unwrap();
    let document = |credentials: &str| {
        let text = format!(
            "[[issuer]]\nissuer = '{AS}'\nintrospection = {{ endpoint = 'https://as.example/i', {credentials} }}"
        );
        toml::from_str::<tower_token_exchange::Document>(&text).unwrap()
    };
    let build = |document: tower_token_exchange::Document| plan().builder.issuers(document.issuers).build();
    for (credentials, mistake) in [
        ("client_id = 'a', client_secret_file = 'good'", None),
        ("bearer_token_file = 'good'", None),
        ("client_id = 'a', client_secret_file = 'empty'", Some("introspection.client_secret_file")),
        ("bearer_token_file = 'missing'", Some("introspection.bearer_token_file")),
    ] {
        let mut read = document(credentials);
        assert_eq!(read.files().count(), 1, "{credentials}");
        let result = read.read_files(&folder);
        let place = mistake.map(|place| format!("issuer[0].{place}"));
        assert_eq!(result.as_ref().err().and_then(|error| error.place()), place.as_deref(), "{credentials}");
        assert!(!format!("{read:?} {result:?}").contains("zq9canary"), "{credentials}");
        assert_eq!(build(read).is_ok(), mistake.is_none(), "{credentials}");
        // A file that was not read is a mistake, and never an empty secret.
        let error = build(document(credentials)).unwrap_err();
        assert!(error.to_string().contains("Document::read_files"), "{error}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
