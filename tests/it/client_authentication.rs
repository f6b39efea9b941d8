//! A client is authenticated by its secret, in every encoding that real clients use.

use crate::support::*;
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use http::StatusCode;
use ring::digest::{SHA256, digest};
use serde_json::json;
use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tower_token_exchange::{
    Client, Reason, TokenExchangeLayer,
    client_auth::{Authentication, AuthenticationMethod, ClientAuthenticator, Credentials},
    signing::LocalSigner,
};

/// The pair with which real clients were measured, and two pairs for which the encodings differ most.
const ODD: (&str, &str) = ("cl-1.a_b~x", "s+e%c:r t/é&=\"x");
const SYMBOLS: (&str, &str) = ("https://cl.example/?a=b&c=d", "~~~???>>>~~~???>>> \u{ff}\u{fe}+%41%zz:%");
const PLAIN: (&str, &str) = ("my-client", "pX7mQ2vL9rT4wK8sB3nH6jD1");
const WORDS: (&str, &str) = ("two words", "a secret with spaces");

fn sha256(text: &str) -> Vec<u8> {
    digest(&SHA256, text.as_bytes()).as_ref().to_vec()
}

/// A plan in which these clients have the permissions of `orders`.
fn plan_of(clients: impl IntoIterator<Item = Client>) -> Plan {
    let clients: Vec<Client> = clients.into_iter().collect();
    let mut callers: Vec<String> = clients.iter().map(|client| client.id().to_string()).collect();
    callers.push("orders".to_owned());
    let known = callers.clone();
    let plan = plan_with(
        |mut all| {
            all.extend(clients);
            all
        },
        |targets| {
            targets
                .into_iter()
                .map(|t| if t.id() == "billing" { t.allow_clients(callers.clone()) } else { t })
                .collect()
        },
    );
    let idp = tower_token_exchange::Issuer::new("https://users.example")
        .keys(plan.idp.keys())
        .map_subjects(tower_token_exchange::records::SubjectMapping::Prefix("users|".into()))
        .allow_presenters(known);
    plan.with(|builder| builder.issuers([idp]))
}

/// A form that each of these clients may send, with more parameters.
fn form_of(world: &World, more: &[(&str, &str)]) -> String {
    let token = world.idp.foreign(json!({ "iss": "https://users.example" }));
    let mut form = exchange_form(&token, &[]);
    form.retain(|(name, _)| *name != "subject_token_type");
    form.push(("subject_token_type", JWT));
    form.extend_from_slice(more);
    encode(&form)
}

async fn by_basic(world: &World, authorization: &str, more: &[(&str, &str)]) -> Reply {
    world.post(Some(authorization), form_of(world, more)).await
}

async fn by_post(world: &World, id: &str, secret: &str) -> Reply {
    world.post(None, form_of(world, &[("client_id", id), ("client_secret", secret)])).await
}

async fn assert_authenticated(world: &mut World, name: &str, id: &str, method: &str, reply: Reply) {
    assert_eq!(reply.status, StatusCode::OK, "{name}, {id}: {}", reply.text);
    assert_eq!(reply.claims()["client_id"], id, "{name}");
    let event = world.event().await;
    assert_eq!(event.client_id, Some(id.into()), "{name}");
    assert_eq!(event.auth_method.map(|used| used.as_str()), Some(method), "{name}");
}

async fn assert_rejected(world: &mut World, name: &str, reply: Reply, status: u16, reason: Reason) {
    assert_eq!(reply.status, status, "{name}: {}", reply.text);
    assert_eq!(reply.error(), reason.error().as_str(), "{name}");
    assert_eq!(reply.headers.contains_key("www-authenticate"), status == 401, "{name}");
    let event = world.event().await;
    assert_eq!(event.reason, Some(reason), "{name}");
    assert_eq!((event.client_id, event.auth_method), (None, None), "{name}: nobody was let in");
}

// The encodings of real clients, written independently of the code that reads them.

fn escape(text: &str, leave: &[u8], space: &str) -> String {
    let escaped = text.bytes().map(|byte| match byte {
        b' ' => space.to_owned(),
        byte if byte.is_ascii_alphanumeric() || leave.contains(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    escaped.collect()
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

fn escape_latin1(text: &str) -> Vec<u8> {
    let escaped = latin1(text).into_iter().map(|byte| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    escaped.collect::<String>().into_bytes()
}

/// The bytes below the base64, by the client that writes them.
fn encodings(id: &str, secret: &str) -> Vec<(&'static str, Vec<u8>)> {
    let both = |leave: &[u8], space: &str| {
        format!("{}:{}", escape(id, leave, space), escape(secret, leave, space)).into_bytes()
    };
    let mut encodings = vec![
        ("form-encoded, minimal (msal, simple-oauth2)", both(b"-._~", "+")),
        ("form-encoded as WHATWG says", both(b"-._*", "+")),
        ("form-encoded with `~` too (oauth2, huskarl)", both(b"-._", "+")),
        ("form-encoded with %20", both(b"-._~", "%20")),
        ("everything encoded (openid-client, oauth4webapi)", both(b"", "+")),
        ("everything encoded, in lower case", {
            let text = String::from_utf8(both(b"", "%20")).unwrap();
            let hex = |part: &str| format!("%{}{}", part[..2].to_lowercase(), &part[2..]);
            let mut parts = text.split('%');
            let first = parts.next().unwrap().to_owned();
            (first + &parts.map(hex).collect::<String>()).into_bytes()
        }),
        ("Latin-1, encoded (badgateway)", [escape_latin1(id), b":".to_vec(), escape_latin1(secret)].concat()),
    ];
    // Without form encoding, the first colon ends the client id.
    if !id.contains(':') {
        encodings.push(("raw (google-auth, curl, oauth2 of Go)", format!("{id}:{secret}").into_bytes()));
        encodings
            .push(("raw Latin-1 (authlib, requests-oauthlib)", [latin1(id), b":".to_vec(), latin1(secret)].concat()));
    }
    encodings
}

#[tokio::test]
async fn every_encoding_of_real_clients_is_accepted() {
    let pairs = [ODD, SYMBOLS, PLAIN, WORDS];
    let clients = pairs.map(|(id, secret)| Client::new(id).secret_sha256(HEXLOWER.encode(&sha256(secret))));
    let mut world = plan_of(clients).start().await;
    let mut alphabets_differ = false;
    for (id, secret) in pairs {
        for (name, bytes) in encodings(id, secret) {
            let (padded, url) = (BASE64.encode(&bytes), BASE64URL_NOPAD.encode(&bytes));
            alphabets_differ |= padded.trim_end_matches('=') != url;
            for token in [&padded, padded.trim_end_matches('='), &url] {
                let reply = by_basic(&world, &format!("Basic {token}"), &[]).await;
                assert_authenticated(&mut world, name, id, "client_secret_basic", reply).await;
            }
        }
    }
    assert!(alphabets_differ, "no case tells the two alphabets of base64 apart");
}

#[tokio::test]
async fn the_scheme_is_read_in_any_letter_case() {
    let mut world = plan().start().await;
    let token = basic("orders", &secret_of("orders")).replace("Basic ", "");
    for scheme in ["Basic", "basic", "BASIC", "bAsIc", "Basic "] {
        let authorization = format!("{scheme} {token}");
        let subject = world.own.access_token(json!({}));
        let reply = world.post(Some(&authorization), encode(&exchange_form(&subject, &[]))).await;
        assert_authenticated(&mut world, scheme, "orders", "client_secret_basic", reply).await;
    }
}

#[tokio::test]
async fn a_wrong_basic_header_is_rejected() {
    let literal = ("literal", "a%2Bsecret%20that-looks-encoded");
    let spaced = ("spaced", "a secret with spaces");
    let plus = ("plus", "a+secret+with+pluses");
    let clients = [literal, spaced, plus].map(|(id, secret)| Client::new(id).secret(secret));
    let mut world = plan_of(clients).start().await;
    let cases = [
        ("verbatim", true, literal.0, "a%2Bsecret%20that-looks-encoded"),
        ("encoded once", true, literal.0, "a%252Bsecret%2520that-looks-encoded"),
        ("encoded twice", false, literal.0, "a%25252Bsecret%252520that-looks-encoded"),
        ("decoded by the client", false, literal.0, "a+secret that-looks-encoded"),
        ("a secret with spaces, verbatim", true, spaced.0, "a secret with spaces"),
        ("a secret with spaces, encoded", true, spaced.0, "a+secret+with+spaces"),
        ("a secret with spaces, encoded twice", false, spaced.0, "a%2Bsecret%2Bwith%2Bspaces"),
        ("a secret with pluses, verbatim", true, plus.0, "a+secret+with+pluses"),
        ("a secret with pluses, encoded", true, plus.0, "a%2Bsecret%2Bwith%2Bpluses"),
        ("a secret with pluses, as spaces", false, plus.0, "a secret with pluses"),
        ("another client's", false, plus.0, "a secret with spaces"),
        ("in another case", false, spaced.0, "A secret with spaces"),
        ("its start", false, spaced.0, "a secret with space"),
        ("and more", false, spaced.0, "a secret with spaces:"),
        ("a space before", false, spaced.0, " a secret with spaces"),
        ("a line break after", false, spaced.0, "a secret with spaces\n"),
        ("a NUL after", false, spaced.0, "a secret with spaces\0"),
        ("its hash", false, spaced.0, &HEXLOWER.encode(&sha256(spaced.1))),
        ("an id in another case", false, "Spaced", spaced.1),
        ("an id with a space", false, "spaced ", spaced.1),
        ("an id that is escaped twice", false, "%2573paced", spaced.1),
        ("an id that is escaped", true, "%73paced", spaced.1),
    ];
    for (name, let_in, id, secret) in cases {
        let reply = by_basic(&world, &basic(id, secret), &[]).await;
        if let_in {
            let id = id.replace("%73", "s");
            assert_authenticated(&mut world, name, &id, "client_secret_basic", reply).await;
        } else {
            assert_rejected(&mut world, name, reply, 401, Reason::ClientRejected).await;
        }
    }
}

#[tokio::test]
async fn a_secret_in_the_form_has_one_reading() {
    let pairs = [ODD, SYMBOLS, PLAIN, WORDS];
    let clients = pairs.map(|(id, secret)| Client::new(id).secret_sha256(HEXUPPER.encode(&sha256(secret))));
    let mut world = plan_of(clients).start().await;
    for (id, secret) in pairs {
        let reply = by_post(&world, id, secret).await;
        assert_authenticated(&mut world, "in the body", id, "client_secret_post", reply).await;
        for wrong in [escape(secret, b"", "+"), secret.to_uppercase(), format!("{secret} "), secret.replace(' ', "+")] {
            if wrong != secret {
                let reply = by_post(&world, id, &wrong).await;
                assert_rejected(&mut world, &wrong, reply, 400, Reason::ClientRejected).await;
            }
        }
    }
    let reply = by_post(&world, PLAIN.0, &HEXUPPER.encode(&sha256(PLAIN.1))).await;
    assert_rejected(&mut world, "the hash", reply, 400, Reason::ClientRejected).await;
}

#[tokio::test]
async fn another_client_id_beside_basic_is_refused() {
    let pairs = [ODD, PLAIN];
    let clients = pairs.map(|(id, secret)| Client::new(id).secret_sha256(HEXLOWER.encode(&sha256(secret))));
    let mut world = plan_of(clients).start().await;
    for (id, secret) in pairs {
        for (name, bytes) in encodings(id, secret) {
            let authorization = format!("Basic {}", BASE64.encode(&bytes));
            for same in [id, ""] {
                let reply = by_basic(&world, &authorization, &[("client_id", same)]).await;
                assert_authenticated(&mut world, name, id, "client_secret_basic", reply).await;
            }
            let upper = id.to_uppercase();
            let encoded = escape(id, b"", "+");
            for other in ["orders", "nobody", &upper, &encoded, &format!("{id} ")] {
                let reply = by_basic(&world, &authorization, &[("client_id", other)]).await;
                assert_rejected(&mut world, other, reply, 400, Reason::ClientIdMismatch).await;
            }
        }
    }
}

#[tokio::test]
async fn both_secrets_work_during_a_change() {
    let [old, new, older] = ["the-old-secret-of-it", "the-new-secret-of-it", "the-oldest-secret-of-it"];
    let rotated = Client::new("rotated").secret(old).secret_sha256(HEXLOWER.encode(&sha256(new)));
    let mut world = plan_of([rotated]).start().await;
    for secret in [old, new] {
        let reply = by_basic(&world, &basic("rotated", secret), &[]).await;
        assert_authenticated(&mut world, secret, "rotated", "client_secret_basic", reply).await;
        let reply = by_post(&world, "rotated", secret).await;
        assert_authenticated(&mut world, secret, "rotated", "client_secret_post", reply).await;
    }
    for secret in [older, &secret_of("orders"), &format!("{old}{new}")] {
        let reply = by_basic(&world, &basic("rotated", secret), &[]).await;
        assert_rejected(&mut world, secret, reply, 401, Reason::ClientRejected).await;
    }
}

#[tokio::test]
async fn a_client_without_a_secret_is_rejected() {
    let mut world = plan_of([Client::new("no-secret")]).start().await;
    let hash_of_nothing = HEXLOWER.encode(&sha256(""));
    for id in ["no-secret", "orders", "nobody"] {
        for secret in ["", " ", "null", &hash_of_nothing] {
            let reply = by_basic(&world, &basic(id, secret), &[]).await;
            assert_rejected(&mut world, "by Basic", reply, 401, Reason::ClientRejected).await;
            let reason = if secret.is_empty() { Reason::ClientCredentialsMissing } else { Reason::ClientRejected };
            let reply = by_post(&world, id, secret).await;
            assert_rejected(&mut world, "in the body", reply, 400, reason).await;
        }
        let reply = world.post(None, form_of(&world, &[("client_id", id)])).await;
        assert_rejected(&mut world, "an id alone", reply, 400, Reason::ClientCredentialsMissing).await;
    }
}

/// With the hash of an empty secret in a record, the client id alone would be a credential (specs TE-14, CA-13).
#[tokio::test]
async fn the_hash_of_an_empty_secret_is_refused() {
    let plan = || plan_of([Client::new("nothing").secret_sha256(HEXLOWER.encode(&sha256("")))]);
    if plan().builder.build().is_ok() {
        let world = plan().start().await;
        let reply = by_basic(&world, &basic("nothing", ""), &[]).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "let in by its name alone");
    }
}

/// Real clients repeat a refused request up to four times, which must not lock out a client.
#[tokio::test]
async fn repeated_mistakes_lock_out_no_client() {
    let mut world = plan().start().await;
    let subject = world.own.access_token(json!({}));
    for _ in 0..4 {
        let reply = world.post(Some(&basic("orders", "wrong")), encode(&exchange_form(&subject, &[]))).await;
        assert_rejected(&mut world, "wrong", reply, 401, Reason::ClientRejected).await;
    }
    let reply = world.exchange(&subject).await;
    assert_authenticated(&mut world, "right", "orders", "client_secret_basic", reply).await;
}

// A custom authenticator.

#[tokio::test]
async fn a_custom_authenticator_decides_within_the_records() {
    let asked = Arc::new(AtomicUsize::new(0));
    let calls = Arc::clone(&asked);
    let own = tower::service_fn(move |credentials: Credentials| {
        calls.fetch_add(1, Ordering::SeqCst);
        let (id, secret) = credentials.readings().next().unwrap();
        let answer = match secret {
            "who-am-i" => Authentication::Client(id.into()),
            "i-am-billing" => Authentication::Client("billing".into()),
            "i-am-nobody" => Authentication::Client("nobody".into()),
            _ => Authentication::Rejected,
        };
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    let exchanges_not = |mut clients: Vec<Client>| {
        clients.push(Client::new("no-exchange").deny_exchange());
        clients
    };
    let plan = plan_with(exchanges_not, |targets| targets).with(|builder| builder.client_authenticator(own));
    let mut world = plan.start().await;
    // The secrets of the records do not count.
    let registered = secret_of("orders");
    let cases = [
        ("accepted", "orders", "who-am-i", None, None),
        ("accepted, client_id", "orders", "who-am-i", Some("orders"), None),
        ("rejected", "orders", &registered, None, Some(Reason::ClientRejected)),
        ("another client_id", "orders", "who-am-i", Some("billing"), Some(Reason::ClientIdMismatch)),
        ("another client named", "orders", "i-am-billing", Some("orders"), Some(Reason::ClientIdMismatch)),
        ("another client named, no client_id", "orders", "i-am-billing", None, Some(Reason::TargetNotAllowed)),
        ("a client without a record", "orders", "i-am-nobody", None, Some(Reason::GrantNotAllowed)),
        ("a client without this grant", "no-exchange", "who-am-i", None, Some(Reason::GrantNotAllowed)),
    ];
    for (name, id, secret, client_id, refused) in cases {
        let subject = world.own.access_token(json!({}));
        let client_id = client_id.map(|id| ("client_id", id));
        let form = exchange_form(&subject, client_id.as_slice());
        let reply = world.post(Some(&basic(id, secret)), encode(&form)).await;
        let event = world.event().await;
        assert_eq!(event.reason, refused, "{name}: {}", reply.text);
        assert_eq!(asked.swap(0, Ordering::SeqCst), 1, "{name}: asked once");
        let status = match refused {
            None => 200,
            Some(Reason::ClientRejected) => 401,
            Some(_) => 400,
        };
        assert_eq!(reply.status, status, "{name}: {}", reply.text);
        assert_eq!(reply.headers.contains_key("www-authenticate"), status == 401, "{name}");
        match refused {
            None => assert_eq!(reply.claims()["client_id"], id, "{name}"),
            Some(reason) => assert_eq!(reply.error(), reason.error().as_str(), "{name}"),
        }
    }
    let grant_not_allowed = Reason::GrantNotAllowed.error();
    assert_eq!(grant_not_allowed.as_str(), "unauthorized_client");

    // A rejection of credentials in the form has no challenge.
    let subject = world.own.access_token(json!({}));
    let form = exchange_form(&subject, &[("client_id", "orders"), ("client_secret", "wrong")]);
    let reply = world.post(None, encode(&form)).await;
    assert_rejected(&mut world, "rejected in the body", reply, 400, Reason::ClientRejected).await;
    asked.store(0, Ordering::SeqCst);

    // Without credentials, the authenticator is not asked.
    let reply = world.post(None, encode(&exchange_form(&subject, &[]))).await;
    assert_rejected(&mut world, "nothing said", reply, 400, Reason::ClientCredentialsMissing).await;
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_authenticator_gets_the_credentials() {
    type Seen = Vec<(AuthenticationMethod, Vec<(String, String)>)>;
    let seen: Arc<Mutex<Seen>> = Arc::default();
    let log = Arc::clone(&seen);
    let own = tower::service_fn(move |credentials: Credentials| {
        let readings = credentials.readings().map(|(id, secret)| (id.to_owned(), secret.to_owned())).collect();
        log.lock().unwrap().push((credentials.method(), readings));
        std::future::ready(Ok::<_, Infallible>(Authentication::Rejected))
    });
    let world = plan().with(|builder| builder.client_authenticator(own)).start().await;
    let pair = |id: &str, secret: &str| (id.to_owned(), secret.to_owned());
    let (by_basic, by_post) = (AuthenticationMethod::ClientSecretBasic, AuthenticationMethod::ClientSecretPost);
    let subject = world.own.access_token(json!({}));
    let form = encode(&exchange_form(&subject, &[]));
    world.post(Some(&basic("a%20b", "c+d")), form.clone()).await;
    world.post(Some(&basic("plain", "plain")), form.clone()).await;
    world.post(None, format!("{form}&client_id=a%2520b&client_secret=c%2Bd")).await;
    let seen = seen.lock().unwrap();
    let expected: [(AuthenticationMethod, Vec<_>); 3] = [
        (by_basic, vec![pair("a b", "c d"), pair("a%20b", "c+d")]),
        (by_basic, vec![pair("plain", "plain")]),
        (by_post, vec![pair("a%20b", "c+d")]),
    ];
    assert_eq!(*seen, expected, "the standard reading first, each once");
}

fn fails() -> impl ClientAuthenticator {
    tower::service_fn(|_: Credentials| async { Err::<Authentication, _>("the directory is away") })
}

fn panics() -> impl ClientAuthenticator {
    tower::service_fn(|credentials: Credentials| async move {
        assert_eq!(credentials.readings().count(), 0, "as the test wants");
        Ok::<_, Infallible>(Authentication::Rejected)
    })
}

#[tokio::test]
async fn a_failing_authenticator_authenticates_no_client() {
    let failing = plan().with(|builder| builder.client_authenticator(fails()));
    let panicking = plan().with(|builder| builder.client_authenticator(panics()));
    let cases = [
        (failing, 503, "temporarily_unavailable", Reason::AuthenticatorUnavailable),
        (panicking, 500, "server_error", Reason::AuthenticatorPanicked),
    ];
    for (plan, status, error, reason) in cases {
        let mut world = plan.start().await;
        // The failure does not affect a second request.
        for _ in 0..2 {
            let reply = world.exchange(&world.own.access_token(json!({}))).await;
            assert_eq!((reply.status.as_u16(), reply.error().as_str()), (status, error), "{}", reply.text);
            assert_eq!(reply.headers.contains_key("retry-after"), status == 503);
            assert!(!reply.headers.contains_key("www-authenticate"));
            assert!(!reply.text.contains("directory"), "{}", reply.text);
            let event = world.event().await;
            assert_eq!((event.reason, event.outcome.as_str()), (Some(reason), "error"));
            assert_eq!(event.client_id, None);
        }
    }
}

// `Debug` shows no secret.

#[tokio::test]
async fn no_debug_text_shows_a_secret() {
    const SECRET: &str = "zq9-a-secret-to-look-for";
    let printed: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&printed);
    let own = tower::service_fn(move |credentials: Credentials| {
        log.lock().unwrap().extend([format!("{credentials:?}"), format!("{credentials:#?}")]);
        std::future::ready(Ok::<_, Infallible>(Authentication::Client("orders".into())))
    });
    let client = || Client::new("orders").secret(SECRET).secret_sha256(HEXLOWER.encode(&sha256("another")));
    let plan = plan_with(|_| vec![client(), Client::new("billing")], |targets| targets);
    let orders_only = |builder: tower_token_exchange::TokenExchangeBuilder| builder.client_authenticator(own);
    let plan = Plan { idp: plan.idp, own: plan.own, builder: orders_only(plan.builder) };
    printed.lock().unwrap().extend([format!("{:?}", plan.builder), format!("{:#?}", plan.builder)]);
    let world = plan.start().await;
    let layer: &TokenExchangeLayer = &world.layer;
    let service = tower::Layer::layer(layer, ());
    let signer: &LocalSigner = &world.own.key;
    printed.lock().unwrap().extend([
        format!("{:?}", client()),
        format!("{:#?}", client()),
        format!("{layer:?}"),
        format!("{service:?}"),
        format!("{signer:?}"),
    ]);
    let subject = world.own.access_token(json!({}));
    let form = encode(&exchange_form(&subject, &[]));
    world.post(Some(&basic("orders", SECRET)), form.clone()).await;
    world
        .post(Some(&format!("Basic {}", BASE64.encode(&latin1("orders:zq9-a-secret-to-look-foré")))), form.clone())
        .await;
    world.post(None, format!("{form}&client_id=orders&client_secret={SECRET}")).await;

    let hash = sha256(SECRET);
    let bytes = format!("{hash:?}");
    let traces = [
        SECRET.to_owned(),
        "zq9".to_owned(),
        HEXLOWER.encode(&hash),
        HEXUPPER.encode(&hash),
        BASE64.encode(&hash),
        BASE64.encode(format!("orders:{SECRET}").as_bytes()),
        HEXLOWER.encode(&sha256("another")),
        bytes.trim_matches(['[', ']']).to_owned(),
    ];
    let printed = printed.lock().unwrap();
    assert_eq!(printed.len(), 2 + 5 + 6, "every text was made: {printed:#?}");
    for text in printed.iter() {
        for trace in &traces {
            assert!(!text.contains(trace.as_str()), "`{trace}` in {text}");
        }
    }
    assert!(printed.iter().filter(|text| text.contains("orders")).count() >= 8, "ids may be shown: {printed:#?}");
}
