//! The method `private_key_jwt`, after RFC 7523 and rfc7523bis. The name of a test has the number of the fact that it proves.

use crate::{
    in_process::plan_of,
    jwks::{Answer, Time},
    proof::Prover,
    support::*,
};
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use http::{Request, Response, StatusCode, header};
use ring::hmac;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, UNIX_EPOCH},
};
use tower_token_exchange::{
    Client, Reason,
    jwks::KeySet,
    proof::Dpop,
    replay::{MemoryReplayStore, UseOnce, Used},
    signing::{Algorithm, Cryptography, LocalSigner},
};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const TOKEN_ENDPOINT: &str = "https://as.example/token";

/// The key of the client `orders`.
fn client_key() -> Minter {
    Minter::new("orders", Algorithm::ES256)
}

/// A client that signs with this algorithm. All RSA keys of the tests are the same.
fn signing_with(algorithm: Algorithm) -> Minter {
    let key = match algorithm {
        Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA => LocalSigner::generate(algorithm),
        _ => LocalSigner::from_pem(algorithm, include_str!("../data/rsa.pem")),
    };
    Minter { iss: "orders", key: key.unwrap() }
}

/// The claims of a good assertion, with changes. Each assertion has an id of its own.
fn claims(changes: Value) -> Value {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let id = format!("assertion-{}", NEXT.fetch_add(1, SeqCst));
    let good = json!({ "iss": "orders", "sub": "orders", "aud": AS, "exp": NOW + 60, "iat": NOW, "jti": id });
    changed(good, changes)
}

/// An assertion of `orders`.
fn assertion(key: &Minter, changes: Value) -> String {
    key.sign(&key.header("client-authentication+jwt"), &claims(changes))
}

fn form_of(world: &World, assertion: &str, more: &[(&str, &str)]) -> String {
    let subject = world.own.access_token(json!({}));
    let credentials = [("client_assertion_type", JWT_BEARER), ("client_assertion", assertion)];
    encode(&exchange_form(&subject, &[&credentials[..], more].concat()))
}

async fn present(world: &World, assertion: &str) -> Reply {
    world.post(None, form_of(world, assertion, &[("client_id", "orders")])).await
}

/// A plan with DPoP, in which this record replaces the record of `orders`.
fn plan_with_dpop(orders: Client) -> Plan {
    plan_of(orders).with(|builder| builder.dpop(Dpop::new(TOKEN_ENDPOINT)))
}

/// Sends a form with a DPoP proof, which a FAPI client needs.
async fn post_with_proof(world: &World, form: String) -> Reply {
    let request = Request::post(format!("{}/token", world.url))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header("DPoP", Prover::new().proof());
    world.send(request.body(form.into()).unwrap()).await
}

async fn present_with_proof(world: &World, assertion: &str) -> Reply {
    post_with_proof(world, form_of(world, assertion, &[("client_id", "orders")])).await
}

async fn assert_accepted(world: &mut World, name: &str, reply: Reply) {
    assert_eq!(reply.status, StatusCode::OK, "{name}: {}", reply.text);
    let event = world.event().await;
    assert_eq!(event.client_id, Some("orders".into()), "{name}");
    assert_eq!(event.auth_method.map(|used| used.as_str()), Some("private_key_jwt"), "{name}");
}

async fn assert_refused(world: &mut World, name: &str, reply: Reply, reason: Reason) {
    let event = world.event().await;
    assert_eq!(event.reason, Some(reason), "{name}: {}", reply.text);
    assert_eq!((reply.status.as_u16(), &*reply.error()), (400, "invalid_client"), "{name}: {}", reply.text);
    assert_eq!((event.client_id, event.auth_method), (None, None), "{name}: nobody was let in");
}

#[tokio::test]
async fn pk_01_the_issuer_alone_is_the_audience() {
    let key = client_key();
    for (fapi, client) in
        [(false, Client::new("orders").keys(key.keys())), (true, Client::new("orders").keys(key.keys()).fapi())]
    {
        let mut world = plan_with_dpop(client).start().await;
        let reply = present_with_proof(&world, &assertion(&key, json!({ "aud": AS }))).await;
        assert_accepted(&mut world, "a text", reply).await;
        let reply = present_with_proof(&world, &assertion(&key, json!({ "aud": [AS] }))).await;
        if fapi {
            assert_refused(&mut world, "a list", reply, Reason::ClientAssertionAudienceRefused).await;
        } else {
            assert_accepted(&mut world, "a list", reply).await;
        }
        // authlib sends no `client_id`.
        let form = form_of(&world, &assertion(&key, json!({})), &[]);
        let reply = post_with_proof(&world, form).await;
        assert_accepted(&mut world, "no client_id", reply).await;
    }
}

#[tokio::test]
async fn pk_02_any_other_audience_is_refused() {
    let key = client_key();
    let mut world = plan_of(Client::new("orders").keys(key.keys())).start().await;
    for aud in [
        json!(TOKEN_ENDPOINT),
        json!([AS, TOKEN_ENDPOINT]),
        json!([AS, AS]),
        json!(format!("{AS}/")),
        json!(AS.to_uppercase()),
        json!(format!(" {AS}")),
        json!(format!("{AS}.evil.example")),
        json!(""),
        json!(7),
        json!([]),
        json!([7]),
        json!([[AS]]),
        json!({ AS: true }),
        json!(true),
        Value::Null,
    ] {
        let reply = present(&world, &assertion(&key, json!({ "aud": aud }))).await;
        assert_refused(&mut world, &aud.to_string(), reply, Reason::ClientAssertionAudienceRefused).await;
    }
}

#[tokio::test]
async fn pk_03_the_audience_comes_from_configuration() {
    let key = client_key();
    let mut world = plan_of(Client::new("orders").keys(key.keys())).start().await;
    let other = "evil.example";
    for aud in [format!("https://{other}"), format!("https://{other}/token"), format!("http://{other}")] {
        let signed = assertion(&key, json!({ "aud": aud }));
        let request = Request::post(format!("{}/token", world.url))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::HOST, other)
            .header("x-forwarded-host", other)
            .header("x-forwarded-proto", "https")
            .header("forwarded", format!("host={other};proto=https"));
        let form = form_of(&world, &signed, &[("client_id", "orders")]);
        let reply = world.send(request.body(form.into()).unwrap()).await;
        assert_refused(&mut world, &aud, reply, Reason::ClientAssertionAudienceRefused).await;
    }
}

#[tokio::test]
async fn pk_04_types_of_other_tokens_are_refused() {
    let key = client_key();
    let mut world = plan_of(Client::new("orders").keys(key.keys())).start().await;
    for typ in [
        "JWT",
        "jwt",
        "client-authentication+jwt",
        "Client-Authentication+JWT",
        "application/client-authentication+jwt",
    ] {
        let reply = present(&world, &key.sign(&key.header(typ), &claims(json!({})))).await;
        assert_accepted(&mut world, typ, reply).await;
    }
    // openid-client and oauth4webapi send neither `typ` nor `kid`.
    let reply = present(&world, &key.sign(&json!({ "alg": "ES256" }), &claims(json!({})))).await;
    assert_accepted(&mut world, "no type", reply).await;
    for typ in ["at+jwt", "dpop+jwt", "oauth-id-jag+jwt", "secevent+jwt", "application/at+jwt", "logout+jwt", "x", ""] {
        let reply = present(&world, &key.sign(&key.header(typ), &claims(json!({})))).await;
        assert_refused(&mut world, typ, reply, Reason::ClientAssertionTypRefused).await;
    }
}

#[tokio::test]
async fn pk_05_names_and_times_must_fit() {
    let key = client_key();
    let mut world = plan_of(Client::new("orders").keys(key.keys())).start().await;
    for (changes, reason) in [
        (json!({ "iss": "billing" }), Reason::ClientAssertionOfAnother),
        (json!({ "iss": AS }), Reason::ClientAssertionOfAnother),
        (json!({ "sub": "billing" }), Reason::ClientAssertionOfAnother),
        (json!({ "iss": "billing", "sub": "billing" }), Reason::ClientAssertionOfAnother),
        (json!({ "iss": "Orders", "sub": "Orders" }), Reason::ClientAssertionOfAnother),
        (json!({ "iss": null }), Reason::ClientAssertionMalformed),
        (json!({ "sub": null }), Reason::ClientAssertionMalformed),
        (json!({ "iss": ["orders"], "sub": ["orders"] }), Reason::ClientAssertionMalformed),
        (json!({ "exp": null }), Reason::ClientAssertionMalformed),
        (json!({ "exp": "soon" }), Reason::ClientAssertionMalformed),
        (json!({ "exp": -1 }), Reason::ClientAssertionMalformed),
        (json!({ "exp": NOW - 300 }), Reason::ClientAssertionExpired),
        (json!({ "exp": NOW - 1 }), Reason::ClientAssertionExpired),
        (json!({ "exp": NOW }), Reason::ClientAssertionExpired),
        (json!({ "nbf": NOW + 31 }), Reason::ClientAssertionNotYetValid),
        (json!({ "nbf": "now" }), Reason::ClientAssertionMalformed),
        (json!({ "iat": "now" }), Reason::ClientAssertionMalformed),
        (json!({ "jti": null }), Reason::ClientAssertionMalformed),
        (json!({ "jti": "" }), Reason::ClientAssertionMalformed),
        (json!({ "jti": 7 }), Reason::ClientAssertionMalformed),
        (json!({ "jti": "a\nb" }), Reason::ClientAssertionMalformed),
        (json!({ "jti": "j".repeat(1025) }), Reason::ClientAssertionMalformed),
    ] {
        let reply = present(&world, &assertion(&key, changes.clone())).await;
        assert_refused(&mut world, &changes.to_string(), reply, reason).await;
    }
    for (name, form) in [("billing", "billing"), ("ORDERS", "ORDERS"), ("orders ", "orders ")] {
        let form = form_of(&world, &assertion(&key, json!({})), &[("client_id", form)]);
        let reply = world.post(None, form).await;
        assert_refused(&mut world, name, reply, Reason::ClientAssertionOfAnother).await;
    }
    // An assertion that names a client without a record, or without keys.
    for id in ["nobody", "billing"] {
        let form = form_of(&world, &assertion(&key, json!({ "iss": id, "sub": id })), &[]);
        let reply = world.post(None, form).await;
        assert_refused(&mut world, id, reply, Reason::ClientRejected).await;
    }
}

#[tokio::test]
async fn pk_06_a_distant_expiry_is_refused() {
    let key = client_key();
    let mut world = plan_of(Client::new("orders").keys(key.keys())).start().await;
    for changes in
        [json!({ "exp": NOW + 300 }), json!({ "iat": NOW + 8 }), json!({ "nbf": NOW + 8 }), json!({ "iat": null })]
    {
        let reply = present(&world, &assertion(&key, changes.clone())).await;
        assert_accepted(&mut world, &changes.to_string(), reply).await;
    }
    for (changes, reason) in [
        (json!({ "exp": NOW + 301 }), Reason::ClientAssertionTooLong),
        (json!({ "exp": 9_007_199_254_740_991_u64 }), Reason::ClientAssertionTooLong),
        (json!({ "iat": NOW + 61 }), Reason::ClientAssertionNotYetValid),
        (json!({ "nbf": NOW + 61 }), Reason::ClientAssertionNotYetValid),
    ] {
        let reply = present(&world, &assertion(&key, changes.clone())).await;
        assert_refused(&mut world, &changes.to_string(), reply, reason).await;
    }
}

#[tokio::test]
async fn pk_07_an_assertion_is_used_once() {
    let key = client_key();
    let store = MemoryReplayStore::default();
    let instance = || {
        let plan = plan_of(Client::new("orders").keys(key.keys()));
        plan.with(|builder| builder.replay_store(store.clone()))
    };
    let (mut world, mut other) = (instance().start().await, instance().start().await);
    let signed = assertion(&key, json!({}));
    let reply = present(&world, &signed).await;
    assert_accepted(&mut world, "the first", reply).await;
    let reply = present(&world, &signed).await;
    assert_refused(&mut world, "again", reply, Reason::ClientAssertionUsedAgain).await;
    let reply = present(&other, &signed).await;
    assert_refused(&mut other, "at another instance", reply, Reason::ClientAssertionUsedAgain).await;
    // The id counts, and not the text.
    let id = json!({ "jti": "always-the-same" });
    for (number, (exp, first)) in [(NOW + 60, true), (NOW + 61, false)].into_iter().enumerate() {
        let reply = present(&world, &assertion(&key, changed(id.clone(), json!({ "exp": exp })))).await;
        assert_eq!(reply.status == StatusCode::OK, first, "{number}");
        world.event().await;
    }
    // An assertion that is refused is not used up.
    let good = claims(json!({}));
    let reply = present(&world, &client_key().sign(&json!({ "alg": "ES256" }), &good)).await;
    assert_refused(&mut world, "forged", reply, Reason::ClientAssertionSignatureInvalid).await;
    let reply = present(&world, &key.sign(&key.header("JWT"), &good)).await;
    assert_accepted(&mut world, "after the forgery", reply).await;

    let signed = assertion(&key, json!({}));
    let replies = futures_util::future::join_all((0..20).map(|_| present(&world, &signed))).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == StatusCode::OK).count(), 1, "in parallel");

    let down = tower::service_fn(|_: UseOnce| async { Err::<Used, _>(std::io::Error::other("down")) });
    let plan = plan_of(Client::new("orders").keys(key.keys())).with(|builder| builder.replay_store(down));
    let mut world = plan.start().await;
    let reply = present(&world, &assertion(&key, json!({}))).await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.reason().await, Some(Reason::ReplayStoreUnavailable));
}

#[tokio::test]
async fn pk_08_only_the_clients_own_key_signs() {
    let (key, billing, rsa) = (client_key(), client_key(), signing_with(Algorithm::RS256));
    let for_encryption = {
        let mut set: Value = serde_json::from_str(&rsa.key.published_keys().to_json()).unwrap();
        set["keys"][0]["use"] = json!("enc");
        set["keys"][0].as_object_mut().unwrap().remove("alg");
        set
    };
    let mut keys: Value = serde_json::from_str(&key.key.published_keys().to_json()).unwrap();
    let public_key = keys["keys"][0].to_string();
    keys["keys"].as_array_mut().unwrap().push(for_encryption["keys"][0].clone());
    let keys = KeySet::from_json(keys.to_string()).unwrap();
    let records = |clients: Vec<Client>| {
        let other = Client::new("billing").keys(billing.keys());
        let own = Client::new("orders").keys(keys.clone());
        clients.into_iter().filter(|client| client.id() == "reports").chain([own, other]).collect()
    };
    let mut world = plan_with(records, |targets| targets).start().await;

    let text = |json: Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
    let unsigned = |header: Value| format!("{}.{}", text(header), text(claims(json!({}))));
    let none = format!("{}.", unsigned(json!({ "alg": "none" })));
    let none_with_bytes = format!("{}.AAAA", unsigned(json!({ "alg": "none" })));
    let by_hmac = {
        let input = unsigned(json!({ "alg": "HS256", "kid": key.key.key_id() }));
        let secret = hmac::Key::new(hmac::HMAC_SHA256, public_key.as_bytes());
        format!("{input}.{}", BASE64URL_NOPAD.encode(hmac::sign(&secret, input.as_bytes()).as_ref()))
    };
    let header = |minter: &Minter| json!({ "alg": minter.key.algorithm().as_str(), "kid": minter.key.key_id() });
    let of_other_key = billing.sign(&header(&billing), &claims(json!({})));
    let of_other_key_with_our_kid = billing.sign(&header(&key), &claims(json!({})));
    let of_other_key_without_kid = billing.sign(&json!({ "alg": "ES256" }), &claims(json!({})));
    let of_encryption_key = rsa.sign(&header(&rsa), &claims(json!({})));
    let with_own_jwk = {
        let jwk: Value = serde_json::from_str(&billing.key.published_keys().to_json()).unwrap();
        billing.sign(&json!({ "alg": "ES256", "jwk": jwk["keys"][0] }), &claims(json!({})))
    };
    let critical = key.sign(&json!({ "alg": "ES256", "crit": ["exp"] }), &claims(json!({})));
    let good = assertion(&key, json!({}));
    let (start, signature) = good.rsplit_once('.').unwrap();
    let other_signature = assertion(&key, json!({}));
    let swapped = format!("{start}.{}", other_signature.rsplit_once('.').unwrap().1);
    for (name, signed, reason) in [
        ("none", &*none, Reason::ClientAssertionAlgorithmRefused),
        ("none, with a signature", &none_with_bytes, Reason::ClientAssertionAlgorithmRefused),
        ("HMAC with the public key", &by_hmac, Reason::ClientAssertionAlgorithmRefused),
        ("another client's key", &of_other_key, Reason::ClientAssertionKeyUnknown),
        ("another client's key, our kid", &of_other_key_with_our_kid, Reason::ClientAssertionSignatureInvalid),
        ("another client's key, no kid", &of_other_key_without_kid, Reason::ClientAssertionSignatureInvalid),
        ("a key for encryption", &of_encryption_key, Reason::ClientAssertionKeyUnknown),
        ("a key in the header", &with_own_jwk, Reason::ClientAssertionSignatureInvalid),
        ("a critical header", &critical, Reason::ClientAssertionMalformed),
        ("the signature of another assertion", &swapped, Reason::ClientAssertionSignatureInvalid),
        ("no signature", start, Reason::ClientAssertionMalformed),
        ("only a signature", signature, Reason::ClientAssertionMalformed),
        ("no JWT", "hello", Reason::ClientAssertionMalformed),
    ] {
        let reply = present(&world, signed).await;
        assert_refused(&mut world, name, reply, reason).await;
    }
    let reply = present(&world, &good).await;
    assert_accepted(&mut world, "its own key", reply).await;
}

#[tokio::test]
async fn pk_08_fapi_permits_three_algorithms() {
    for algorithm in [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA] {
        let key = signing_with(algorithm);
        // The published key of a signer names its algorithm; without `alg`, the record decides.
        let permitted = [Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA].contains(&algorithm);
        let with_each = |fapi| Cryptography::ALL.iter().map(move |cryptography| (fapi, *cryptography));
        for (fapi, cryptography) in [false, true].into_iter().flat_map(with_each) {
            let client = Client::new("orders").keys(key.keys());
            let plan = plan_with_dpop(if fapi { client.fapi() } else { client });
            let mut world = plan.with(|builder| builder.cryptography(cryptography)).start().await;
            let good = assertion(&key, json!({}));
            let name = format!("{algorithm}, fapi {fapi}, {cryptography:?}");
            if permitted || !fapi {
                let other = assertion(&key, json!({}));
                let forged = [good.rsplit_once('.').unwrap().0, other.rsplit_once('.').unwrap().1].join(".");
                let reply = present_with_proof(&world, &forged).await;
                assert_refused(&mut world, &name, reply, Reason::ClientAssertionSignatureInvalid).await;
            }
            let reply = present_with_proof(&world, &good).await;
            if permitted || !fapi {
                assert_accepted(&mut world, &name, reply).await;
            } else {
                assert_refused(&mut world, &name, reply, Reason::ClientAssertionAlgorithmRefused).await;
            }
        }
    }
    let key = client_key();
    let only_eddsa = Client::new("orders").keys(key.keys()).algorithms([Algorithm::EdDSA]);
    let mut world = plan_of(only_eddsa).start().await;
    let reply = present(&world, &assertion(&key, json!({}))).await;
    assert_refused(&mut world, "a list of the record", reply, Reason::ClientAssertionAlgorithmRefused).await;
}

#[tokio::test]
async fn pk_09_an_assertion_comes_alone() {
    let key = client_key();
    let secret = secret_of("orders");
    let mut world = plan_of(Client::new("orders").keys(key.keys()).secret(&secret)).start().await;
    let right = basic("orders", &secret);
    for (name, authorization, more) in [
        ("and a secret", None, &[("client_id", "orders"), ("client_secret", &*secret)][..]),
        ("and a header", Some(&*right), &[]),
        ("and a Bearer header", Some("Bearer x"), &[]),
        ("and both", Some(&right), &[("client_id", "orders"), ("client_secret", &secret)]),
    ] {
        let form = form_of(&world, &assertion(&key, json!({})), more);
        let reply = world.post(authorization, form).await;
        assert_eq!(reply.error(), "invalid_client", "{name}");
        assert_eq!(reply.status.as_u16(), if authorization.is_some() { 401 } else { 400 }, "{name}");
        assert_eq!(world.reason().await, Some(Reason::ClientAssertionNotAlone), "{name}");
    }
    for half in [("client_assertion_type", JWT_BEARER), ("client_assertion", "e30.e30.AA")] {
        let subject = world.own.access_token(json!({}));
        let reply = world.post(None, encode(&exchange_form(&subject, &[half, ("client_id", "orders")]))).await;
        assert_refused(&mut world, half.0, reply, Reason::ClientAssertionNotAlone).await;
    }
}

#[tokio::test]
async fn pk_10_an_assertion_is_no_subject_token() {
    let key = client_key();
    let mut world = plan_of(Client::new("orders").keys(key.keys())).start().await;
    // Also an assertion that a known issuer signed, whatever its type.
    for (name, signer, changes) in [
        ("of the client", &key, json!({})),
        ("of the server", &world.own.clone(), json!({ "iss": AS, "sub": AS })),
        ("of an issuer", &world.idp.clone(), json!({ "iss": IDP, "sub": IDP })),
    ] {
        for typ in ["JWT", "client-authentication+jwt"] {
            let token = signer.sign(&signer.header(typ), &claims(changes.clone()));
            for token_type in [ACCESS_TOKEN, JWT, ID_TOKEN] {
                let mut form = exchange_form(&token, &[("client_id", "orders")]);
                form.retain(|(name, _)| *name != "subject_token_type");
                let own = assertion(&key, json!({}));
                let with = [
                    ("subject_token_type", token_type),
                    ("client_assertion_type", JWT_BEARER),
                    ("client_assertion", &*own),
                ];
                form.extend_from_slice(&with);
                let reply = world.post(None, encode(&form)).await;
                assert_eq!((reply.status.as_u16(), &*reply.error()), (400, "invalid_request"), "{name} {typ}");
                let event = world.event().await;
                assert_eq!(event.client_id, Some("orders".into()), "{name} {typ}: the token is the problem");
            }
        }
    }
    // And a subject token is no assertion.
    let token = world.own.access_token(json!({ "sub": "orders", "iss": "orders" }));
    let reply = present(&world, &token).await;
    assert_refused(&mut world, "a subject token", reply, Reason::ClientAssertionTypRefused).await;
}

#[tokio::test]
async fn pk_11_other_assertion_types_are_refused() {
    let key = client_key();
    let mut world = plan_of(Client::new("orders").keys(key.keys())).start().await;
    let bare = assertion(&key, json!({}));
    for kind in [
        "urn:ietf:params:oauth:client-assertion-type:saml2-bearer",
        "urn:ietf:params:oauth:client-assertion-type:JWT-bearer",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "jwt-bearer",
        " urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    ] {
        let subject = world.own.access_token(json!({}));
        let more = [("client_id", "orders"), ("client_assertion_type", kind), ("client_assertion", &*bare)];
        let reply = world.post(None, encode(&exchange_form(&subject, &more))).await;
        assert_refused(&mut world, kind, reply, Reason::ClientAssertionUnsupported).await;
    }
}

/// The fetches of key sets, with the current answer.
#[derive(Clone)]
struct Fetches {
    urls: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<Answer>>,
}

impl Fetches {
    fn new(answer: Answer) -> Self {
        Self { urls: Arc::default(), answer: Arc::new(Mutex::new(answer)) }
    }

    fn count(&self) -> usize {
        self.urls.lock().unwrap().len()
    }

    fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    fn plan(&self, orders: Client, time: &Time) -> Plan {
        let fetches = self.clone();
        let http = tower::service_fn(move |request: Request<Bytes>| {
            fetches.urls.lock().unwrap().push(request.uri().to_string());
            let answer = fetches.answer.lock().unwrap().clone();
            async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok::<_, Infallible>(Response::builder().status(answer.status).body(answer.body).unwrap())
            }
        });
        let time = time.clone();
        plan_of(orders).with(|builder| builder.http(http).clock(move || UNIX_EPOCH + Duration::from_secs(time.now())))
    }
}

#[tokio::test]
async fn pk_12_keys_are_fetched_for_known_clients() {
    let (key, next) = (client_key(), client_key());
    let (time, fetches) = (Time::new(), Fetches::new(Answer::keys(&key)));
    let remote = Client::new("orders").jwks_uri("https://orders.example/jwks");
    let mut world = fetches.plan(remote, &time).start().await;

    // Nothing is fetched for a client without a record or without a key set, or for an assertion that cannot be right.
    for (name, changes, reason) in [
        ("unknown", json!({ "iss": "nobody", "sub": "nobody" }), Reason::ClientRejected),
        ("another method", json!({ "iss": "billing", "sub": "billing" }), Reason::ClientRejected),
        ("expired", json!({ "exp": NOW }), Reason::ClientAssertionExpired),
        ("for another server", json!({ "aud": IDP }), Reason::ClientAssertionAudienceRefused),
    ] {
        let form = form_of(&world, &assertion(&key, changes), &[]);
        let reply = world.post(None, form).await;
        assert_refused(&mut world, name, reply, reason).await;
        assert_eq!(fetches.count(), 0, "{name}");
    }
    // One fetch serves all.
    let signed: Vec<String> = (0..10).map(|_| assertion(&key, json!({}))).collect();
    let replies = futures_util::future::join_all(signed.iter().map(|signed| present(&world, signed))).await;
    for reply in replies {
        assert_accepted(&mut world, "in parallel", reply).await;
    }
    assert_eq!(*fetches.urls.lock().unwrap(), ["https://orders.example/jwks"]);

    // A new key is found, and an invented one leads to one fetch a minute.
    fetches.answers(Answer::both(&key, &next));
    let reply = present(&world, &assertion(&next, json!({}))).await;
    assert_accepted(&mut world, "a new key", reply).await;
    assert_eq!(fetches.count(), 2);
    for _ in 0..5 {
        let reply = present(&world, &assertion(&client_key(), json!({}))).await;
        assert_refused(&mut world, "an invented key", reply, Reason::ClientAssertionKeyUnknown).await;
    }
    assert_eq!(fetches.count(), 2);

    // While there are no keys, the answer is 503, and other clients are not affected.
    let fetches = Fetches::new(Answer { status: 500, ..Answer::default() });
    let remote = Client::new("orders").jwks_uri("https://orders.example/jwks");
    let mut world = fetches.plan(remote, &time).start().await;
    let reply = present(&world, &assertion(&key, json!({}))).await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.reason().await, Some(Reason::ClientKeysUnavailable));
    assert!(world.layer.readiness().is_ready(), "the keys of a client are no keys of an issuer");
    fetches.answers(Answer::keys(&key));
    time.pass(2);
    let reply = present(&world, &assertion(&key, json!({}))).await;
    assert_accepted(&mut world, "after the failure", reply).await;
}

#[tokio::test]
async fn pk_12_a_private_address_is_not_fetched() {
    let key = client_key();
    for url in
        ["https://127.0.0.1:1/jwks", "https://169.254.169.254/jwks", "https://[::1]:1/jwks", "https://10.0.0.1/jwks"]
    {
        let mut world = plan_of(Client::new("orders").jwks_uri(url)).start().await;
        let reply = present(&world, &assertion(&key, json!({}))).await;
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{url}");
        let event = world.event().await;
        assert_eq!(event.reason, Some(Reason::ClientKeysUnavailable), "{url}");
        assert!(event.detail.is_some_and(|detail| detail.contains("address")), "{url}");
    }
}

#[tokio::test]
async fn the_older_audience_needs_a_permission() {
    let key = client_key();
    let client = || Client::new("orders").keys(key.keys());
    let older = client().allow_assertion_audience(TOKEN_ENDPOINT);
    // authlib signs for the token endpoint, for one hour.
    let long = older.clone().max_assertion_lifetime(Duration::from_secs(3600));
    let hour = json!({ "aud": TOKEN_ENDPOINT, "exp": NOW + 3600 });
    for (name, client, changes, refused) in [
        ("strict", client(), json!({ "aud": TOKEN_ENDPOINT }), Some(Reason::ClientAssertionAudienceRefused)),
        ("older", older.clone(), json!({ "aud": TOKEN_ENDPOINT }), None),
        ("older, a list", older.clone(), json!({ "aud": [AS, TOKEN_ENDPOINT] }), None),
        ("older, the issuer", older.clone(), json!({ "aud": AS }), None),
        ("older, other", older.clone(), json!({ "aud": IDP }), Some(Reason::ClientAssertionAudienceRefused)),
        (
            "older, a path",
            older.clone(),
            json!({ "aud": format!("{TOKEN_ENDPOINT}/") }),
            Some(Reason::ClientAssertionAudienceRefused),
        ),
        ("older, long", older, hour.clone(), Some(Reason::ClientAssertionTooLong)),
        ("older and longer", long.clone(), hour, None),
        ("older and too long", long, json!({ "exp": NOW + 3601 }), Some(Reason::ClientAssertionTooLong)),
    ] {
        let mut world = plan_of(client).start().await;
        let reply = present(&world, &assertion(&key, changes)).await;
        match refused {
            None => assert_accepted(&mut world, name, reply).await,
            Some(reason) => assert_refused(&mut world, name, reply, reason).await,
        }
    }
}

#[tokio::test]
async fn a_client_may_have_several_methods() {
    let key = client_key();
    let mut world = plan_of(Client::new("orders").keys(key.keys()).secret(secret_of("orders"))).start().await;
    let reply = present(&world, &assertion(&key, json!({}))).await;
    assert_accepted(&mut world, "by key", reply).await;
    let subject = world.own.access_token(json!({}));
    assert_eq!(world.exchange(&subject).await.status, StatusCode::OK, "by secret");
    assert_eq!(world.event().await.auth_method.map(|used| used.as_str()), Some("client_secret_basic"));

    // A client that has only keys has no secret, not even an empty one.
    let mut world = plan_of(Client::new("orders").keys(key.keys())).start().await;
    for secret in ["", &secret_of("orders")] {
        let reply = world.post(Some(&basic("orders", secret)), encode(&exchange_form(&subject, &[]))).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
        assert_eq!(world.reason().await, Some(Reason::ClientRejected));
    }
}

#[test]
fn mistakes_in_the_keys_of_clients_are_reported() {
    let keys = client_key().keys();
    let keyed = || Client::new("orders").keys(keys.clone());
    let empty = KeySet::from_json(r#"{"keys":[]}"#).unwrap();
    for (client, field, help) in [
        (Client::new("orders").keys(empty), "keys", "no usable key"),
        (keyed().jwks_uri("https://orders.example/jwks"), "keys or jwks_uri", "keep one"),
        (Client::new("orders").jwks_uri("/jwks"), "jwks_uri", "in full"),
        (Client::new("orders").jwks_uri("https://u:p@orders.example/jwks"), "jwks_uri", "user information"),
        (Client::new("orders").jwks_uri("http://orders.example/jwks"), "jwks_uri", "use an https URL"),
        (Client::new("orders").algorithms([Algorithm::ES256]), "algorithms", "sign assertions"),
        (Client::new("orders").allow_assertion_audience(TOKEN_ENDPOINT), "allow_assertion_audience", "sign assertions"),
        (keyed().allow_assertion_audience("token"), "allow_assertion_audience", "in full"),
        (keyed().max_assertion_lifetime(Duration::ZERO), "max_assertion_lifetime", "1 s to 24 h"),
        (keyed().allow_public(), "allow_public", "remove one"),
        (keyed().fapi().secret(secret_of("orders")), "secret", "remove `fapi`"),
        (Client::new("orders").fapi().allow_public(), "allow_public", "remove `fapi`"),
        (keyed().fapi().algorithms([Algorithm::RS256]), "algorithms", "PS256"),
        (keyed().fapi().allow_assertion_audience(TOKEN_ENDPOINT), "allow_assertion_audience", "the issuer alone"),
    ] {
        let error = plan_of(client).builder.build().unwrap_err();
        assert_eq!(error.field(), format!("client `orders`: {field}"), "{error}");
        assert!(error.help().contains(help), "{error}");
    }
}
