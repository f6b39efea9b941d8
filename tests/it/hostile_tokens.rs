//! A wrong token is refused, and the answer does not reveal the problem. Every supported algorithm works.

use crate::support::*;
use axum::body::Body;
use data_encoding::{BASE64, BASE64URL, BASE64URL_NOPAD};
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use ring::{hmac, signature as verification};
use serde_json::{Map, Value, json};
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};
use tower::{Layer, ServiceExt, service_fn};
use tower_token_exchange::{
    Client, GRANT_TYPE, Issuer, Reason, Target, TokenExchangeLayer, TokenType,
    audit::{AuditBudget, Outcome, Stage},
    error::ErrorCode,
    jwks::KeySet,
    policy::{Actors, Names, Rule, Subjects},
    records::SubjectMapping,
    signing::{Algorithm, Cryptography, KeyError, LocalSigner},
};

/// The one text for every token that is not acceptable.
const REFUSED: &str = "the subject token or the actor token is not acceptable";
const RSA_PEM: &[u8] = include_bytes!("../data/rsa.pem");

/// Publishes its RSA key without `alg`, and symmetric keys beside it.
pub(crate) const ODD: &str = "https://odd.example";
/// Has another key under the name of the first issuer's.
pub(crate) const RIVAL: &str = "https://rival.example";
/// Signs with ES256 only, although its set has an RSA key too.
pub(crate) const STRICT: &str = "https://strict.example";

/// The keys of a signer as JWKs.
fn jwks(signer: &LocalSigner) -> Vec<Value> {
    let mut document: Value = serde_json::from_str(&signer.published_keys().to_json()).unwrap();
    serde_json::from_value(document["keys"].take()).unwrap()
}

fn key_set(keys: impl IntoIterator<Item = Value>) -> KeySet {
    KeySet::from_json(json!({ "keys": keys.into_iter().collect::<Vec<_>>() }).to_string()).unwrap()
}

fn rsa(algorithm: Algorithm) -> LocalSigner {
    LocalSigner::from_pem(algorithm, RSA_PEM).unwrap()
}

pub(crate) struct Cast {
    pub(crate) plan: Plan,
    /// Signs for [`RIVAL`], under the `kid` of the first issuer.
    pub(crate) rival: Minter,
    /// Its public half is among the keys of [`STRICT`] and [`ODD`].
    rsa: LocalSigner,
    /// The key sets of [`ODD`] and [`STRICT`].
    #[cfg(feature = "resource-server")]
    pub(crate) key_sets: [KeySet; 2],
    fetches: Arc<AtomicUsize>,
}

/// Issuers that would take any token type, as long as the token fits it.
pub(crate) fn cast(cryptography: Cryptography) -> Cast {
    let own = Minter::new(AS, Algorithm::ES256);
    let idp = Minter::new(IDP, Algorithm::ES256);
    let mut rival = Minter::new(RIVAL, Algorithm::ES256);
    rival.key = rival.key.with_key_id(idp.key.key_id().clone());
    let rsa = rsa(Algorithm::RS256).with_key_id(key_id("rsa"));
    let bare = changed(jwks(&rsa)[0].clone(), json!({ "alg": null }));
    let odd_keys = [
        bare.clone(),
        json!({ "kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I", "kid": "oct" }),
        json!({ "kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I", "kid": "oct-rsa", "alg": "RS256" }),
        json!({ "kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I", "kid": "oct-hmac", "alg": "HS256" }),
        jwks(&idp.key)[0].clone(),
    ];
    let (odd_keys, strict_keys) = (key_set(odd_keys), key_set([bare, jwks(&idp.key)[0].clone()]));
    let every_type = [TokenType::ACCESS_TOKEN, TokenType::ID_TOKEN, TokenType::JWT];
    let issuer = |id: &str, prefix: &str| {
        Issuer::new(id)
            .map_subjects(SubjectMapping::Prefix(prefix.into()))
            .allow_presenters(["orders"])
            .map_client("orders-there", "orders")
            .allow_actor_tokens()
            .trust_act()
    };
    let fetches = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&fetches);
    let builder = TokenExchangeLayer::builder(AS)
        .clock(|| UNIX_EPOCH + Duration::from_secs(NOW))
        .clients([
            Client::new("orders")
                .secret(secret_of("orders"))
                .scopes_for_scopeless_subjects(TokenType::ID_TOKEN, ["read"]),
            Client::new("billing").secret(secret_of("billing")),
        ])
        .targets([
            Target::new("orders").audience_claim("https://orders.example").served_by("orders").scopes(["read"]),
            Target::new("billing")
                .audience_claim("https://billing.example")
                .allow_clients(["orders"])
                .scopes(["read", "write"]),
        ])
        .issuers([
            Issuer::new(AS).accept_types(every_type.clone()),
            issuer(IDP, "idp|").keys(idp.keys()).accept_types(every_type),
            issuer(RIVAL, "rival|").keys(rival.keys()),
            issuer(ODD, "odd|").keys(odd_keys.clone()),
            issuer(STRICT, "strict|").keys(strict_keys.clone()).algorithms([Algorithm::ES256]),
        ])
        .rules([Rule::allow(Names::any(), Subjects::any(), Names::any()).actors(Actors::any()).scopes(Names::any())])
        .http(service_fn(move |_: Request<bytes::Bytes>| {
            counter.fetch_add(1, Ordering::SeqCst);
            async { Err::<http::Response<bytes::Bytes>, _>(std::io::Error::other("nothing is to be fetched")) }
        }))
        .cryptography(cryptography)
        .signer(own.key.clone());
    Cast {
        plan: Plan { own, idp, builder },
        rival,
        rsa,
        #[cfg(feature = "resource-server")]
        key_sets: [odd_keys, strict_keys],
        fetches,
    }
}

fn b64(text: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(text.as_ref())
}

/// A token with this signature instead of its own.
fn resigned(token: &str, signature: &[u8]) -> String {
    format!("{}.{}", token.rsplit_once('.').unwrap().0, b64(signature))
}

fn signature_of(token: &str) -> Vec<u8> {
    BASE64URL_NOPAD.decode(token.rsplit_once('.').unwrap().1.as_bytes()).unwrap()
}

/// Two numbers side by side as the ASN.1 sequence that other formats want.
fn to_der(fixed: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len() - 1);
        let mut value = bytes[start..].to_vec();
        if value[0] & 0x80 != 0 {
            value.insert(0, 0);
        }
        [vec![2, value.len() as u8], value].concat()
    };
    let (r, s) = fixed.split_at(fixed.len() / 2);
    let numbers = [integer(r), integer(s)].concat();
    [vec![0x30, numbers.len() as u8], numbers].concat()
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Road {
    /// As the subject token only.
    Subject,
    /// And as the actor token beside a good subject token.
    Both,
}

pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) declared: &'static str,
    pub(crate) reason: Reason,
    road: Road,
}

#[derive(Default)]
pub(crate) struct Rows(pub(crate) Vec<Row>);

impl Rows {
    /// A token that is bad in either role.
    fn add(&mut self, name: impl Into<String>, declared: &'static str, token: String, reason: Reason) {
        let road = if declared == ID_TOKEN { Road::Subject } else { Road::Both };
        self.0.push(Row { name: name.into(), token, declared, reason, road });
    }

    /// A token that is bad as a subject token.
    fn subject(&mut self, name: impl Into<String>, declared: &'static str, token: String, reason: Reason) {
        self.0.push(Row { name: name.into(), token, declared, reason, road: Road::Subject });
    }
}

/// What cannot be read, or is signed by nobody who counts.
pub(crate) fn forgeries(cast: &Cast, rows: &mut Rows) {
    use Reason::*;
    let Cast { plan: Plan { idp, own, .. }, rival, rsa, .. } = cast;
    let good = idp.foreign(json!({}));
    let [head, claims, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let header = |changes: Value| changed(idp.header("JWT"), changes);
    let signed = |header: Value| idp.sign(&header, &segment(&good, 1));
    let with_claims = |text: &str| idp.sign_text(&idp.header("JWT").to_string(), text);

    // Segments (RFC 7515 sections 2 and 7.1).
    for (name, token) in [
        ("not a token", "not-a-token".to_owned()),
        ("two segments", format!("{head}.{claims}")),
        ("four segments", format!("{good}.{signature}")),
        ("JWE", format!("{head}.{claims}.{signature}.{claims}.{signature}")),
        ("dots", "..".to_owned()),
        ("nothing signed", format!("..{signature}")),
        ("JSON serialization", json!({ "protected": head, "payload": claims, "signature": signature }).to_string()),
        ("padded header", format!("{}.{claims}.{signature}", BASE64URL.encode(b"{\"alg\": \"ES256\"}"))),
        ("padded signature", format!("{good}==")),
        ("space before", format!(" {good}")),
        ("space behind", format!("{good} ")),
        ("space inside", format!("{head}. {claims}.{signature}")),
        ("the other alphabet", format!("{head}.{claims}.{}", BASE64.encode(&[0xff; 64]).trim_end_matches('='))),
        ("stray bits", format!("{head}.{claims}.{}B", &"A".repeat(85))),
        ("quoted", format!("\"{good}\"")),
        ("not ASCII", format!("{head}.{claims}é.{signature}")),
        ("percent", format!("{head}%2e{claims}%2e{signature}")),
        ("Bearer", format!("Bearer {good}")),
    ] {
        rows.add(name, JWT, token, TokenMalformed);
    }
    rows.add("64 KiB + 1", JWT, "a".repeat(64 * 1024 + 1), TokenTooLarge);
    rows.add("64 KiB + 1, signed", JWT, padded_to(idp, 64 * 1024 + 1), TokenTooLarge);

    // Signatures.
    let mut flipped = signature_of(&good);
    flipped[10] ^= 1;
    let fixed = signature_of(&good);
    for (name, bytes) in [
        ("flipped", flipped),
        ("empty", vec![]),
        ("truncated", fixed[..63].to_vec()),
        ("one byte more", [&fixed[..], &[0]].concat()),
        ("twice", [&fixed[..], &fixed[..]].concat()),
        ("DER", to_der(&fixed)),
        ("zeros", vec![0; 64]),
        ("ones", vec![0xff; 64]),
        ("r and s swapped", [&fixed[32..], &fixed[..32]].concat()),
    ] {
        rows.add(format!("signature {name}"), JWT, resigned(&good, &bytes), TokenSignatureInvalid);
    }
    let other_claims = b64(changed(segment(&good, 1), json!({ "sub": "root" })).to_string());
    rows.add("other claims", JWT, format!("{head}.{other_claims}.{signature}"), TokenSignatureInvalid);

    // Algorithms (RFC 8725 sections 3.1 and 3.2).
    for alg in ["none", "None", "noNE", "NONE", "HS256", "hs256", "HS512", "es256", "ES256K", "ES512", "RS1", "dir", ""]
    {
        let unsigned = resigned(&signed(header(json!({ "alg": alg }))), b"");
        rows.add(format!("alg `{alg}` unsigned"), JWT, unsigned, TokenAlgorithmRefused);
        rows.add(format!("alg `{alg}`"), JWT, signed(header(json!({ "alg": alg }))), TokenAlgorithmRefused);
    }
    let jwk = jwks(&idp.key)[0].clone();
    let public: Vec<u8> = ["x", "y"]
        .iter()
        .flat_map(|member| BASE64URL_NOPAD.decode(jwk[*member].as_str().unwrap().as_bytes()).unwrap())
        .collect();
    for (name, key) in [
        ("the public point", [&[4], &public[..]].concat()),
        ("the public JWK", jwk.to_string().into_bytes()),
        ("the public key set", idp.key.published_keys().to_json().into_bytes()),
        ("nothing", vec![]),
    ] {
        let input = format!("{}.{claims}", b64(header(json!({ "alg": "HS256" })).to_string()));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), input.as_bytes());
        rows.add(format!("HS256 with {name}"), JWT, format!("{input}.{}", b64(tag)), TokenAlgorithmRefused);
    }
    for alg in ["ES384", "EdDSA", "Ed25519", "RS256", "PS256", "PS512"] {
        rows.add(format!("{alg} with a P-256 key"), JWT, signed(header(json!({ "alg": alg }))), TokenKeyUnknown);
    }
    for (name, alg) in [("missing", Value::Null), ("number", json!(256)), ("array", json!(["ES256"]))] {
        rows.add(format!("alg {name}"), JWT, signed(header(json!({ "alg": alg }))), TokenHeaderMalformed);
    }

    // The three panics of the library below, and the keys that lead there.
    let odd = |alg: &str, kid: &str, changes: Value| {
        let claims = changed(segment(&idp.foreign(json!({ "iss": ODD })), 1), changes);
        idp.sign(&json!({ "alg": alg, "kid": kid }), &claims)
    };
    for (alg, kid) in [
        ("ES256", "rsa"),
        ("ES384", "rsa"),
        ("EdDSA", "rsa"),
        ("RS256", "oct"),
        ("PS256", "oct"),
        ("RS256", "oct-rsa"),
        ("ES256", "oct-rsa"),
        ("RS256", "oct-hmac"),
        ("RS256", idp.key.key_id().as_str()),
    ] {
        rows.add(format!("{alg} with key `{kid}`"), JWT, odd(alg, kid, json!({})), TokenKeyUnknown);
    }
    rows.add("HS256 with an oct key", JWT, odd("HS256", "oct-hmac", json!({})), TokenAlgorithmRefused);
    for alg in ["RS256", "RS512", "PS256", "PS384"] {
        rows.add(format!("{alg} signed with EC"), JWT, odd(alg, "rsa", json!({})), TokenSignatureInvalid);
    }
    let rsa = Minter { iss: STRICT, key: rsa.clone() };
    rows.add("an algorithm the issuer does not use", JWT, rsa.foreign(json!({})), TokenAlgorithmRefused);

    // Keys that the token brings along (RFC 8725 section 3.10) never count.
    let attacker = Minter::new(IDP, Algorithm::ES256);
    for (name, member) in [
        ("jwk", json!({ "jwk": jwks(&attacker.key)[0] })),
        ("jku", json!({ "jku": "https://attacker.example/jwks.json" })),
        ("x5u", json!({ "x5u": "https://attacker.example/chain.pem" })),
        ("x5c", json!({ "x5c": ["MIIB"] })),
    ] {
        let token = |kid: &str| {
            let members = changed(attacker.header("JWT"), json!({ "kid": kid }));
            attacker.sign(&changed(members, member.clone()), &segment(&good, 1))
        };
        rows.add(format!("{name}, kid of the issuer"), JWT, token(idp.key.key_id().as_str()), TokenSignatureInvalid);
        rows.add(format!("{name}, kid of its own"), JWT, token(attacker.key.key_id().as_str()), TokenKeyUnknown);
    }

    // `kid` is a name and nothing else.
    let longest = "k".repeat(257);
    for (kid, reason) in [
        ("", TokenKeyUnknown),
        ("../../../../../../dev/null", TokenKeyUnknown),
        ("https://attacker.example/key", TokenKeyUnknown),
        ("' OR 1=1 --", TokenKeyUnknown),
        (&longest[..256], TokenKeyUnknown),
        (&longest, TokenHeaderMalformed),
        ("a\u{0}b", TokenHeaderMalformed),
        ("a\nb", TokenHeaderMalformed),
    ] {
        let name = format!("kid {:?}", &kid[..kid.len().min(20)]);
        rows.add(name, JWT, signed(header(json!({ "kid": kid }))), reason);
    }
    for kid in [json!(16), json!(["a"]), json!({}), json!(true)] {
        rows.add(format!("kid {kid}"), JWT, signed(header(json!({ "kid": kid }))), TokenHeaderMalformed);
    }
    let upper = idp.key.key_id().as_str().to_uppercase();
    rows.add("kid in another case", JWT, signed(header(json!({ "kid": upper }))), TokenKeyUnknown);

    // Headers that change what the token is.
    for (name, member, reason) in [
        ("crit", json!({ "crit": ["exp"], "exp": NOW }), TokenHeaderCritical),
        ("empty crit", json!({ "crit": [] }), TokenHeaderCritical),
        ("crit of b64", json!({ "crit": ["b64"], "b64": true }), TokenHeaderCritical),
        ("b64", json!({ "b64": false }), TokenHeaderCritical),
        ("cty", json!({ "cty": "JWT" }), TokenNested),
        ("zip", json!({ "zip": "DEF" }), TokenEncrypted),
        ("enc", json!({ "alg": "RSA-OAEP", "enc": "A256GCM" }), TokenEncrypted),
    ] {
        rows.add(name, JWT, signed(header(member)), reason);
    }

    // JSON that two parsers could read in two ways.
    let kid = idp.key.key_id();
    let body = segment(&good, 1).to_string();
    let open = &body[..body.len() - 1];
    for (name, header) in [
        ("alg twice", format!(r#"{{"alg":"none","kid":"{kid}","alg":"ES256"}}"#)),
        ("kid twice, escaped", format!(r#"{{"alg":"ES256","kid":"{kid}","\u006bid":"{kid}"}}"#)),
        ("nested twice", format!(r#"{{"alg":"ES256","kid":"{kid}","x":{{"a":1,"a":1}}}}"#)),
        ("array", format!(r#"[{{"alg":"ES256","kid":"{kid}"}}]"#)),
        ("string", "\"ES256\"".to_owned()),
        ("something behind", format!(r#"{{"alg":"ES256","kid":"{kid}"}}{{}}"#)),
        ("deep", format!(r#"{{"alg":"ES256","kid":"{kid}","x":{}{}}}"#, "[".repeat(1000), "]".repeat(1000))),
        ("nothing", String::new()),
    ] {
        rows.add(format!("header: {name}"), JWT, idp.sign_text(&header, &body), TokenMalformed);
    }
    let large = format!(r#"{{"alg":"ES256","kid":"{kid}","x":"{}"}}"#, "x".repeat(8 * 1024));
    rows.add("header: large", JWT, idp.sign_text(&large, &body), TokenHeaderMalformed);
    let nested = |depth: usize| format!(r#"{open},"x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    for (name, claims) in [
        ("iss twice", format!(r#"{open},"iss":"{IDP}"}}"#)),
        ("exp twice", format!(r#"{open},"exp":{}}}"#, NOW + 600)),
        ("sub twice, escaped", format!(r#"{open},"\u0073ub":"root"}}"#)),
        ("nested twice", format!(r#"{open},"act":{{"sub":"a","sub":"b"}}}}"#)),
        ("in an array twice", format!(r#"{open},"x":[{{"a":1,"a":1}}]}}"#)),
        ("17 deep", nested(16)),
        ("bomb", nested(20_000)),
        ("open bomb", format!(r#"{open},"x":{}"#, "{\"a\":".repeat(8_000))),
        ("array", format!("[{body}]")),
        ("text", "Zm9v".to_owned()),
        ("something behind", format!("{body}x")),
        ("number beyond doubles", format!(r#"{open},"x":1e400}}"#)),
        ("control character", format!("{open},\"x\":\"\u{1}\"}}")),
        ("nothing", String::new()),
    ] {
        rows.add(format!("claims: {name}"), JWT, with_claims(&claims), TokenClaimsMalformed);
    }
    let not_utf8 = b64([open.as_bytes(), b",\"x\":\"\xff\"}"].concat());
    rows.add("claims: not UTF-8", JWT, format!("{head}.{not_utf8}.{signature}"), TokenClaimsMalformed);

    // Issuers (RFC 8725 section 3.8): exactly, or not at all.
    for iss in [
        "https://idp.example/",
        "https://IDP.example",
        "HTTPS://idp.example",
        "https://idp.example:443",
        "http://idp.example",
        "https://idp.example#",
        " https://idp.example",
        "https://idp.example.attacker.example",
        "https://іdp.example",
        "orders",
        "https://attacker.example",
    ] {
        rows.add(format!("iss `{iss}`"), JWT, idp.foreign(json!({ "iss": iss })), TokenIssuerUnknown);
    }
    for iss in [Value::Null, json!(""), json!(7), json!([IDP])] {
        rows.add(format!("iss {iss}"), JWT, idp.foreign(json!({ "iss": iss })), TokenIssuerMissing);
    }
    for (name, token) in [
        ("the rival's key", rival.foreign(json!({ "iss": IDP }))),
        ("the first issuer's key", idp.foreign(json!({ "iss": RIVAL }))),
    ] {
        rows.add(format!("{name} under the same kid"), JWT, token, TokenSignatureInvalid);
    }
    rows.add("a foreign key for our own token", ACCESS_TOKEN, idp.access_token(json!({ "iss": AS })), TokenKeyUnknown);
    rows.add("our key for a foreign token", JWT, own.foreign(json!({ "iss": IDP })), TokenKeyUnknown);
}

/// A token of exactly so many bytes.
fn padded_to(minter: &Minter, bytes: usize) -> String {
    let length = |padding: usize| minter.foreign(json!({ "pad": "x".repeat(padding) })).len();
    let start = (bytes - length(1)) * 3 / 4;
    let padding = (start.saturating_sub(8)..start + 8).find(|padding| length(*padding) == bytes);
    minter.foreign(json!({ "pad": "x".repeat(padding.expect("every length but one in four can be had")) }))
}

/// What its issuer did sign, and what still must not be taken.
pub(crate) fn contents(cast: &Cast, rows: &mut Rows) {
    use Reason::*;
    let Plan { idp, own, .. } = &cast.plan;
    let raw = |minter: &Minter, typ: &str, date: &str| {
        let text =
            format!(r#"{{"iss":"{}","sub":"bob","aud":"{AS}","client_id":"web","scope":"read",{date}}}"#, minter.iss);
        minter.sign_text(&minter.header(typ).to_string(), &text)
    };

    // NumericDates (RFC 7519 section 2), in every place that may hold one. The signature decides first, so that
    // nobody else can make the parser stumble.
    for (value, reason) in [
        ("-1", TokenClaimsInvalid),
        ("-1.5", TokenClaimsInvalid),
        ("1e300", TokenClaimsInvalid),
        ("-1e300", TokenClaimsInvalid),
        ("9223372036854775807", TokenClaimsInvalid),
        ("-9223372036854775808", TokenClaimsInvalid),
        ("18446744073709551615", TokenClaimsInvalid),
        ("99999999999999999999999999", TokenClaimsInvalid),
        ("1e400", TokenClaimsMalformed),
        ("NaN", TokenClaimsMalformed),
        ("\"1800000600\"", TokenClaimsInvalid),
        ("\"2027-01-15T08:00:00Z\"", TokenClaimsInvalid),
        ("null", TokenClaimsInvalid),
        ("true", TokenClaimsInvalid),
        ("[1800000600]", TokenClaimsInvalid),
        ("{}", TokenClaimsInvalid),
    ] {
        for (claim, dates) in [
            ("exp", format!(r#""exp":{value}"#)),
            ("nbf", format!(r#""exp":{},"nbf":{value}"#, NOW + 600)),
            ("iat", format!(r#""exp":{},"iat":{value}"#, NOW + 600)),
        ] {
            for (minter, typ, declared) in [(idp, "JWT", JWT), (own, "at+jwt", ACCESS_TOKEN)] {
                let token = raw(minter, typ, &dates);
                let forged = if reason == TokenClaimsMalformed { TokenClaimsMalformed } else { TokenSignatureInvalid };
                rows.add(format!("{claim} {value}, forged"), declared, resigned(&token, &[1; 64]), forged);
                rows.add(format!("{claim} {value}"), declared, token, reason);
            }
        }
    }
    for (name, changes, reason) in [
        ("exp now", json!({ "exp": NOW }), TokenExpired),
        ("exp just before now", json!({ "exp": NOW as f64 - 0.5 }), TokenExpired),
        ("exp 1970", json!({ "exp": 0 }), TokenExpired),
        ("exp inside the leeway", json!({ "exp": NOW - 1 }), TokenExpired),
        ("nbf beyond the leeway", json!({ "nbf": NOW + 31 }), TokenNotYetValid),
        ("nbf a fraction beyond", json!({ "nbf": NOW as f64 + 30.5 }), TokenNotYetValid),
        ("nbf in the far future", json!({ "nbf": 9_000_000_000_000_u64 }), TokenNotYetValid),
        ("iat beyond the leeway", json!({ "iat": NOW + 61 }), TokenIssuedInFuture),
        ("iat in the far future", json!({ "iat": 9_000_000_000_000_u64 }), TokenIssuedInFuture),
        ("no exp", json!({ "exp": null }), TokenExpiryMissing),
        ("no sub", json!({ "sub": null }), TokenSubjectInvalid),
        ("empty sub", json!({ "sub": "" }), TokenSubjectInvalid),
        ("number as sub", json!({ "sub": 7 }), TokenSubjectInvalid),
        ("array as sub", json!({ "sub": ["bob"] }), TokenSubjectInvalid),
        ("line break in sub", json!({ "sub": "bob\nroot" }), TokenSubjectInvalid),
        ("endless sub", json!({ "sub": "b".repeat(10_000) }), TokenSubjectInvalid),
        ("number as jti", json!({ "jti": 7 }), TokenClaimsInvalid),
        ("array as scope", json!({ "scope": ["read"] }), TokenClaimsInvalid),
        ("quote in scope", json!({ "scope": "read \"" }), TokenClaimsInvalid),
        ("number as client_id", json!({ "client_id": 7 }), TokenClaimsInvalid),
        ("number as azp", json!({ "azp": 7 }), TokenClaimsInvalid),
        ("number as aud", json!({ "aud": 7 }), TokenClaimsInvalid),
        ("object as aud", json!({ "aud": { "0": AS } }), TokenClaimsInvalid),
        ("true as aud", json!({ "aud": true }), TokenClaimsInvalid),
        ("mixed aud", json!({ "aud": [AS, 7] }), TokenClaimsInvalid),
        ("nested aud", json!({ "aud": [[AS]] }), TokenClaimsInvalid),
        ("cnf", json!({ "cnf": { "jkt": "AA" } }), TokenSenderConstrained),
        ("cnf of a certificate", json!({ "cnf": { "x5t#S256": "AA" } }), TokenSenderConstrained),
        ("odd cnf", json!({ "cnf": "jkt" }), TokenSenderConstrained),
        ("events", json!({ "events": {} }), TokenTypeConfused),
        ("at_hash", json!({ "at_hash": "AA" }), TokenTypeConfused),
        ("c_hash", json!({ "c_hash": "AA" }), TokenTypeConfused),
    ] {
        rows.add(format!("{name}, foreign"), JWT, idp.foreign(changes.clone()), reason);
        rows.add(format!("{name}, own"), ACCESS_TOKEN, own.access_token(changes), reason);
    }
    // A claim that is there with the value `null` is not an absent one.
    for claim in ["sub", "aud", "jti", "scope", "client_id", "cnf"] {
        let mut claims = segment(&idp.foreign(json!({})), 1);
        claims[claim] = Value::Null;
        let reason = match claim {
            "cnf" => TokenSenderConstrained,
            "sub" => TokenSubjectInvalid,
            _ => TokenClaimsInvalid,
        };
        rows.add(format!("{claim} null"), JWT, idp.sign(&idp.header("JWT"), &claims), reason);
    }
    for (name, aud) in [("empty", json!([])), ("missing", Value::Null)] {
        rows.add(format!("{name} aud, foreign"), JWT, idp.foreign(json!({ "aud": aud })), TokenNotForUs);
        rows.subject(
            format!("{name} aud, own"),
            ACCESS_TOKEN,
            own.access_token(json!({ "aud": aud })),
            PresenterUnknown,
        );
    }
    for aud in ["https://as.example/", "https://AS.example", "https://as.example/token", "https://orders.example", ""] {
        rows.add(format!("aud `{aud}`"), JWT, idp.foreign(json!({ "aud": aud })), TokenNotForUs);
    }
    let bound = json!({ "cnf": { "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" } });
    rows.subject("cnf of a key, foreign", JWT, idp.foreign(bound.clone()), BindingNotProven);
    rows.subject("cnf of a key, own", ACCESS_TOKEN, own.access_token(bound), BindingNotProven);
    for details in [json!([]), json!([{ "type": "payment" }])] {
        let claims = json!({ "authorization_details": details });
        rows.subject(
            "authorization_details, foreign",
            JWT,
            idp.foreign(claims.clone()),
            AuthorizationDetailsUnsupported,
        );
        rows.subject(
            "authorization_details, own",
            ACCESS_TOKEN,
            own.access_token(claims),
            AuthorizationDetailsUnsupported,
        );
    }

    // Kinds (RFC 8725 section 3.12).
    let id_claims = |iss: &str| json!({ "iss": iss, "sub": "alice", "aud": "orders", "azp": "orders", "exp": NOW + 600, "iat": NOW, "nonce": "n" });
    let own_id = own.sign(&own.header("JWT"), &id_claims(AS));
    let own_jwt = |changes: Value| own.sign(&own.header("JWT"), &segment(&own.access_token(changes), 1));
    let client_less = json!({ "client_id": null });
    rows.add("own ID token as access token", ACCESS_TOKEN, own_id.clone(), TokenTypeConfused);
    rows.add("own access token without typ", ACCESS_TOKEN, own_jwt(json!({})), TokenTypeConfused);
    rows.add("own access token as JWT", JWT, own.access_token(json!({})), TokenTypeConfused);
    rows.add("own access token as ID token", ID_TOKEN, own.access_token(json!({})), TokenTypeConfused);
    rows.add("own JWT as ID token", ID_TOKEN, own_jwt(json!({})), TokenTypeConfused);
    rows.add("own access token without client_id", ACCESS_TOKEN, own.access_token(client_less), TokenTypeConfused);
    for (claim, value) in [("client_id", json!("orders-there")), ("scope", json!("read")), ("events", json!({}))] {
        let claims = changed(id_claims(IDP), json!({ "aud": "orders-there", claim: value }));
        rows.add(format!("ID token with {claim}"), ID_TOKEN, idp.sign(&idp.header("JWT"), &claims), TokenTypeConfused);
    }
    let logout = json!({
        "iss": IDP, "sub": "bob", "aud": AS, "exp": NOW + 120, "iat": NOW, "jti": "1",
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    });
    for typ in [
        "client-authentication+jwt",
        "dpop+jwt",
        "logout+jwt",
        "secevent+jwt",
        "txntoken+jwt",
        "oauth-id-jag+jwt",
        "token-introspection+jwt",
        "oauth-client-attestation+jwt",
        "oauth-client-attestation-pop+jwt",
        "wit+jwt",
        "wpt+jwt",
        "application/dpop+jwt",
        "DPoP+JWT",
        "JOSE",
        "x/at+jwt",
        "at+jwt ",
        "",
    ] {
        let foreign = |claims: &Value| idp.sign(&idp.header(typ), claims);
        let claims = segment(&idp.foreign(json!({})), 1);
        rows.add(format!("typ `{typ}` as JWT"), JWT, foreign(&claims), TokenTypeConfused);
        rows.add(format!("typ `{typ}` as foreign access token"), ACCESS_TOKEN, foreign(&claims), TokenTypeConfused);
        rows.add(format!("typ `{typ}` as ID token"), ID_TOKEN, foreign(&id_claims(IDP)), TokenTypeConfused);
        let own_claims = segment(&own.access_token(json!({})), 1);
        let token = own.sign(&own.header(typ), &own_claims);
        rows.add(format!("typ `{typ}` as access token"), ACCESS_TOKEN, token, TokenTypeConfused);
        rows.add(format!("typ `{typ}`, logout"), JWT, foreign(&logout), TokenTypeConfused);
    }
    for declared in [JWT, ACCESS_TOKEN, ID_TOKEN] {
        let token = idp.sign(&idp.header("JWT"), &logout);
        rows.add("logout token without typ", declared, token, TokenTypeConfused);
    }
    for typ in [json!(7), json!(["JWT"]), json!(true)] {
        let token = idp.sign(&changed(idp.header("JWT"), json!({ "typ": typ })), &segment(&idp.foreign(json!({})), 1));
        rows.add(format!("typ {typ}"), JWT, token, TokenHeaderMalformed);
    }
    // The record of this one takes `jwt` only.
    let rival = cast.rival.foreign(json!({}));
    rows.add("foreign JWT as access token", ACCESS_TOKEN, rival.clone(), TokenTypeNotAccepted);
    rows.add("foreign JWT as ID token", ID_TOKEN, rival, TokenTypeNotAccepted);
}

#[tokio::test]
async fn a_hostile_token_is_refused_without_details() {
    for cryptography in Cryptography::ALL {
        hostile_tokens_are_refused(*cryptography).await;
    }
}

async fn hostile_tokens_are_refused(cryptography: Cryptography) {
    let cast = cast(cryptography);
    let mut rows = Rows::default();
    forgeries(&cast, &mut rows);
    contents(&cast, &mut rows);
    let good = cast.plan.own.access_token(json!({}));
    let fetches = Arc::clone(&cast.fetches);
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    let builder = cast.plan.builder.audit(recorder(sender)).audit_budget(AuditBudget::unlimited());
    let token_endpoint = Endpoint::new(builder.build().unwrap());
    let mut wrong = Vec::new();
    for Row { name, token, declared, reason, road } in rows.0 {
        let as_subject = exchange_form(&token, &[("subject_token_type", declared)]);
        let as_actor = exchange_form(&good, &[("actor_token", &token), ("actor_token_type", declared)]);
        let mut forms = vec![("subject", declare(as_subject))];
        if road == Road::Both {
            forms.push(("actor", declare(as_actor)));
        }
        for (role, form) in forms {
            let name = format!("{name} as {role}");
            let (status, body) = token_endpoint.post(encode(&form)).await;
            let event = events.try_recv().unwrap_or_else(|_| panic!("{name}: no event"));
            assert!(events.try_recv().is_err(), "{name}: one event");
            let told = json!({ "error": "invalid_request", "error_description": REFUSED });
            let noted = (event.reason, event.outcome, event.error);
            if (status, &body) != (StatusCode::BAD_REQUEST, &told)
                || noted != (Some(reason), Outcome::Denied, Some(ErrorCode::InvalidRequest))
            {
                wrong.push(format!("{name}: {status} {body}, {noted:?} for {:?}, not {reason:?}", event.detail));
            }
            assert!(event.subject.is_none() || event.stage > Stage::Tokens, "{name}: claims that nobody verified");
            assert!(!format!("{event:?}").contains(&token), "{name}: the token is in the event");
        }
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(fetches.load(Ordering::SeqCst), 0, "no token makes this server fetch anything");
    let (status, body) = token_endpoint.post(encode(&exchange_form(&good, &[]))).await;
    assert_eq!(status, StatusCode::OK, "after all of that: {body}");
}

/// A form in which the last value of a parameter stands.
fn declare<'a>(form: Vec<(&'a str, &'a str)>) -> Vec<(&'a str, &'a str)> {
    let mut last: Vec<(&str, &str)> = Vec::new();
    for (name, value) in form {
        last.retain(|(known, _)| *known != name);
        last.push((name, value));
    }
    last
}

/// The layer around a service that is a teapot, asked without a network.
struct Endpoint(TokenExchangeLayer);

impl Endpoint {
    fn new(layer: TokenExchangeLayer) -> Self {
        Self(layer)
    }

    async fn post(&self, form: String) -> (StatusCode, Value) {
        let teapot = service_fn(|_: Request<Body>| async {
            let mut response = http::Response::new(Body::from("{}"));
            *response.status_mut() = StatusCode::IM_A_TEAPOT;
            Ok::<_, Infallible>(response)
        });
        let request = Request::post("/token")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::AUTHORIZATION, basic("orders", &secret_of("orders")))
            .body(Body::from(form))
            .unwrap();
        let response = self.0.layer(teapot).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (parts.status, serde_json::from_slice(&bytes).unwrap())
    }
}

#[tokio::test]
async fn an_unusual_valid_token_is_accepted() {
    for cryptography in Cryptography::ALL {
        unusual_tokens_are_accepted(*cryptography).await;
    }
}

async fn unusual_tokens_are_accepted(cryptography: Cryptography) {
    let cast = cast(cryptography);
    let Plan { idp, own, .. } = &cast.plan;
    let foreign = || segment(&idp.foreign(json!({})), 1);
    let access = || segment(&own.access_token(json!({})), 1);
    let header = |changes: Value| changed(idp.header("JWT"), changes);
    let rsa = Minter { iss: ODD, key: cast.rsa.clone() };
    let nested = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!([inner]));
    let id_token =
        json!({ "iss": IDP, "sub": "bob", "aud": "orders-there", "exp": NOW + 600, "iat": NOW, "at_hash": "AA" });
    let brought = json!({
        "jwk": jwks(&Minter::new(IDP, Algorithm::ES256).key)[0], "jku": "https://attacker.example/jwks.json",
        "x5u": "https://attacker.example/chain.pem", "x5c": ["MIIB"], "x5t": "AA",
    });
    let fractions = json!({ "exp": NOW as f64 + 600.75, "iat": NOW as f64 - 0.5, "nbf": NOW as f64 + 29.5 });
    let cases = [
        ("as is", JWT, idp.foreign(json!({}))),
        ("fractions", JWT, idp.foreign(fractions.clone())),
        ("fractions, own", ACCESS_TOKEN, own.access_token(fractions)),
        (
            "exponent",
            JWT,
            idp.sign_text(
                &header(json!({})).to_string(),
                &format!(r#"{{"iss":"{IDP}","sub":"bob","aud":"{AS}","exp":1.80000060e9,"scope":"read"}}"#),
            ),
        ),
        ("the year 265000", JWT, idp.foreign(json!({ "exp": 8_300_000_000_000_u64 }))),
        ("the last whole double", JWT, idp.foreign(json!({ "exp": 9_007_199_254_740_991_u64 }))),
        ("the whole leeway", JWT, idp.foreign(json!({ "nbf": NOW + 30, "iat": NOW + 30 }))),
        ("no iat", JWT, idp.foreign(json!({ "iat": null }))),
        ("one aud in an array", JWT, idp.foreign(json!({ "aud": [AS] }))),
        ("no typ", JWT, idp.sign(&header(json!({ "typ": null })), &foreign())),
        ("typ in lower case", JWT, idp.sign(&header(json!({ "typ": "jwt" })), &foreign())),
        (
            "a foreign at+jwt",
            JWT,
            cast.rival
                .sign(&cast.rival.header("at+jwt"), &segment(&cast.rival.foreign(json!({ "client_id": "x" })), 1)),
        ),
        ("typ in full", ACCESS_TOKEN, own.sign(&own.header("application/at+jwt"), &access())),
        ("typ in upper case", ACCESS_TOKEN, own.sign(&own.header("Application/AT+JWT"), &access())),
        ("no kid", JWT, idp.sign(&header(json!({ "kid": null })), &foreign())),
        ("keys brought along", JWT, idp.sign(&header(brought), &foreign())),
        (
            "unknown members",
            JWT,
            idp.sign(&header(json!({ "iat": 1, "x": [null] })), &changed(foreign(), json!({ "roles": ["admin"] }))),
        ),
        ("deep, but not too deep", JWT, idp.foreign(json!({ "x": nested(15) }))),
        ("64 KiB", JWT, padded_to(idp, 64 * 1024)),
        ("an ID token", ID_TOKEN, idp.sign(&header(json!({})), &id_token)),
        ("RSA without alg in the set", JWT, rsa.foreign(json!({}))),
        (
            "PS256 with the same key",
            JWT,
            Minter { iss: ODD, key: self::rsa(Algorithm::PS256).with_key_id(key_id("rsa")) }.foreign(json!({})),
        ),
        ("the rival's own", JWT, cast.rival.foreign(json!({}))),
    ];
    let endpoint = Endpoint::new(cast.plan.builder.build().unwrap());
    for (name, declared, token) in cases {
        let form = declare(exchange_form(&token, &[("subject_token_type", declared)]));
        let (status, body) = endpoint.post(encode(&form)).await;
        assert_eq!(status, StatusCode::OK, "{name}: {body}");
        let issued = segment(body["access_token"].as_str().unwrap(), 1);
        assert!(issued["exp"].as_u64().unwrap() <= NOW + 300, "{name}: {issued}");
        for stray in ["x", "pad", "roles", "nonce", "at_hash", "nbf"] {
            assert!(issued.get(stray).is_none(), "{name}: {issued}");
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        prop::sample::select(vec![AS, IDP, "orders", "https://orders.example", "read", "at+jwt", "ES256", "JWT"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let names = prop::sample::select(vec!["sub", "iss", "act", "may_act", "exp", "a"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names, inner), 0..4).prop_map(|members| members
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect::<Map<_, _>>()
                .into()),
        ]
    })
}

/// What may be done to a token by somebody who has it.
#[derive(Clone, Debug)]
enum Edit {
    Replace(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Insert(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
}

#[derive(Clone, Debug)]
enum Attempt {
    Bytes(Vec<u8>),
    Edited(bool, Vec<Edit>),
    /// Signed by the issuer, whatever it is.
    Signed(Value, Value),
    /// A good token, with one claim or header replaced by something, and signed again.
    Claim(bool, &'static str, Value),
    Header(bool, &'static str, Value),
}

fn attempts() -> impl Strategy<Value = Attempt> {
    let edit = prop_oneof![
        any::<(prop::sample::Index, u8)>().prop_map(|(at, byte)| Edit::Replace(at, byte)),
        any::<prop::sample::Index>().prop_map(Edit::Remove),
        any::<(prop::sample::Index, u8)>().prop_map(|(at, byte)| Edit::Insert(at, byte)),
        any::<prop::sample::Index>().prop_map(Edit::Cut),
        any::<(prop::sample::Index, prop::sample::Index)>().prop_map(|(a, b)| Edit::Swap(a, b)),
    ];
    let claim = prop::sample::select(vec![
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "client_id",
        "azp",
        "scope",
        "act",
        "may_act",
        "cnf",
        "acr",
        "amr",
        "auth_time",
        "events",
        "nonce",
    ]);
    let member = prop::sample::select(vec!["alg", "kid", "typ", "crit", "b64", "cty", "jwk", "zip", "x"]);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Attempt::Bytes),
        "[A-Za-z0-9_-]{0,40}(\\.[A-Za-z0-9_-]{0,60}){0,5}".prop_map(|text| Attempt::Bytes(text.into_bytes())),
        (any::<bool>(), prop::collection::vec(edit, 1..4)).prop_map(|(own, edits)| Attempt::Edited(own, edits)),
        (any_json(), any_json()).prop_map(|(header, claims)| Attempt::Signed(header, claims)),
        (any::<bool>(), claim, any_json()).prop_map(|(own, name, value)| Attempt::Claim(own, name, value)),
        (any::<bool>(), member, any_json()).prop_map(|(own, name, value)| Attempt::Header(own, name, value)),
    ]
}

fn edited(token: &str, edits: &[Edit]) -> Vec<u8> {
    let mut bytes = token.as_bytes().to_vec();
    for edit in edits {
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        match edit {
            Edit::Replace(at, byte) => bytes[at.index(length)] = *byte,
            Edit::Remove(at) => drop(bytes.remove(at.index(length))),
            Edit::Insert(at, byte) => bytes.insert(at.index(length), *byte),
            Edit::Cut(at) => bytes.truncate(at.index(length)),
            Edit::Swap(a, b) => bytes.swap(a.index(length), b.index(length)),
        }
    }
    bytes
}

#[test]
fn an_unsigned_token_is_never_exchanged() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cast = cast(Cryptography::default());
    let (own, idp) = (cast.plan.own.clone(), cast.plan.idp.clone());
    let endpoint = Endpoint::new(cast.plan.builder.build().unwrap());
    let config = Config { cases: 256, failure_persistence: None, ..Config::default() };
    let token = |is_own: bool, header: Value, claims: Value| {
        let (minter, typ) = if is_own { (&own, "at+jwt") } else { (&idp, "JWT") };
        let good = if is_own { own.access_token(json!({})) } else { idp.foreign(json!({})) };
        let (mut members, mut content) = (minter.header(typ), segment(&good, 1));
        members.as_object_mut().unwrap().extend(header.as_object().unwrap().clone());
        content.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        minter.sign(&members, &content)
    };
    let outcome = TestRunner::new(config).run(&attempts(), |attempt| {
        // Whether its issuer signed it: then it may be good.
        let (bytes, signed, is_own) = match &attempt {
            Attempt::Bytes(bytes) => (bytes.clone(), false, true),
            Attempt::Edited(is_own, edits) => {
                let good = token(*is_own, json!({}), json!({}));
                let bytes = edited(&good, edits);
                let same = bytes == good.as_bytes();
                (bytes, same, *is_own)
            }
            Attempt::Signed(header, claims) => (idp.sign(header, claims).into_bytes(), true, false),
            Attempt::Claim(is_own, name, value) => {
                (token(*is_own, json!({}), json!({ *name: value })).into_bytes(), true, *is_own)
            }
            Attempt::Header(is_own, name, value) => {
                (token(*is_own, json!({ *name: value }), json!({})).into_bytes(), true, *is_own)
            }
        };
        let escaped: String = form_urlencoded::byte_serialize(&bytes).collect();
        let declared: String =
            form_urlencoded::byte_serialize(if is_own { ACCESS_TOKEN } else { JWT }.as_bytes()).collect();
        let form =
            format!("grant_type={GRANT_TYPE}&audience=billing&subject_token={escaped}&subject_token_type={declared}");
        let (status, body) = runtime.block_on(endpoint.post(form));
        if status == StatusCode::OK {
            prop_assert!(signed, "{}", body);
        } else {
            prop_assert_eq!(status, StatusCode::BAD_REQUEST, "{}", body);
            let error = body["error"].as_str().unwrap_or_default().to_owned();
            let scope = matches!(&attempt, Attempt::Claim(_, "scope", _)) && error == "invalid_scope";
            prop_assert!(error == "invalid_request" || scope, "{}", body);
        }
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

/// What signs with this algorithm: generated where that can be, loaded where not.
fn signer(cryptography: Cryptography, algorithm: Algorithm) -> LocalSigner {
    let builder = LocalSigner::builder().cryptography(cryptography);
    builder.generate(algorithm).unwrap_or_else(|_| builder.read_pem(algorithm, RSA_PEM).unwrap())
}

#[tokio::test]
async fn tokens_of_every_algorithm_are_accepted() {
    for cryptography in Cryptography::ALL {
        every_algorithm_is_verified_by(*cryptography).await;
    }
}

async fn every_algorithm_is_verified_by(cryptography: Cryptography) {
    let minters: Vec<(String, Minter)> = Algorithm::ALL
        .iter()
        .map(|algorithm| {
            (format!("https://{algorithm}.example"), Minter { iss: IDP, key: signer(cryptography, *algorithm) })
        })
        .collect();
    let stripped = |key: &LocalSigner, changes: Value| key_set([changed(jwks(key)[0].clone(), changes)]);
    let issuer = |iss: &str, keys: KeySet| {
        Issuer::new(iss).keys(keys).map_subjects(SubjectMapping::Prefix(format!("{iss}|"))).allow_presenters(["orders"])
    };
    let edwards = minters.iter().find(|(_, minter)| minter.key.algorithm() == Algorithm::EdDSA).unwrap().1.clone();
    let bare = json!({ "alg": null, "kid": null, "use": null });
    let plan = plan().with(|builder| {
        builder
            .issuers(minters.iter().map(|(iss, minter)| issuer(iss, minter.keys())))
            .issuers(
                minters.iter().map(|(iss, minter)| issuer(&format!("{iss}/bare"), stripped(&minter.key, bare.clone()))),
            )
            .cryptography(cryptography)
            .issuers([issuer("https://ed.example", stripped(&edwards.key, json!({ "alg": "Ed25519" })))])
    });
    let world = plan.start().await;
    let token = |iss: &str, header: Value, minter: &Minter| {
        minter.sign(&changed(minter.header("JWT"), header), &segment(&minter.foreign(json!({ "iss": iss })), 1))
    };
    let mut tokens = Vec::new();
    for (iss, minter) in &minters {
        tokens.push((iss.clone(), token(iss, json!({}), minter)));
        let bare = format!("{iss}/bare");
        tokens.push((format!("{bare}, no kid"), token(&bare, json!({ "kid": null }), minter)));
    }
    // RFC 9864 gave the one curve its own name; both names stand in tokens and in key sets.
    for (iss, alg) in
        [("https://EdDSA.example", "Ed25519"), ("https://ed.example", "Ed25519"), ("https://ed.example", "EdDSA")]
    {
        tokens.push((format!("{iss} {alg}"), token(iss, json!({ "alg": alg }), &edwards)));
    }
    assert_eq!(tokens.len(), 2 * 9 + 3);
    for (name, token) in tokens {
        let reply = world.post_as("orders", &declare(exchange_form(&token, &[("subject_token_type", JWT)]))).await;
        assert_eq!(reply.status, StatusCode::OK, "{name}: {}", reply.text);
        // The same with another signature of the right length.
        let mut signature = signature_of(&token);
        *signature.last_mut().unwrap() ^= 1;
        let forged = resigned(&token, &signature);
        let reply = world.post_as("orders", &declare(exchange_form(&forged, &[("subject_token_type", JWT)]))).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{name}, forged: {}", reply.text);
    }
}

/// Verifies with ring alone, by what a published key says about itself.
fn verifies(jwk: &Value, token: &str) -> bool {
    let member = |name: &str| BASE64URL_NOPAD.decode(jwk[name].as_str().unwrap().as_bytes()).unwrap();
    let input = token.rsplit_once('.').unwrap().0.as_bytes();
    let signature = signature_of(token);
    let fixed = |algorithm: &'static dyn verification::VerificationAlgorithm, public: Vec<u8>| {
        verification::UnparsedPublicKey::new(algorithm, public).verify(input, &signature).is_ok()
    };
    let point = || [vec![4], member("x"), member("y")].concat();
    let rsa = |parameters: &'static verification::RsaParameters| {
        let key = verification::RsaPublicKeyComponents { n: member("n"), e: member("e") };
        key.verify(parameters, input, &signature).is_ok()
    };
    match jwk["alg"].as_str().unwrap() {
        "ES256" => jwk["crv"] == "P-256" && fixed(&verification::ECDSA_P256_SHA256_FIXED, point()),
        "ES384" => jwk["crv"] == "P-384" && fixed(&verification::ECDSA_P384_SHA384_FIXED, point()),
        "EdDSA" | "Ed25519" => jwk["crv"] == "Ed25519" && fixed(&verification::ED25519, member("x")),
        "RS256" => rsa(&verification::RSA_PKCS1_2048_8192_SHA256),
        "RS384" => rsa(&verification::RSA_PKCS1_2048_8192_SHA384),
        "RS512" => rsa(&verification::RSA_PKCS1_2048_8192_SHA512),
        "PS256" => rsa(&verification::RSA_PSS_2048_8192_SHA256),
        "PS384" => rsa(&verification::RSA_PSS_2048_8192_SHA384),
        "PS512" => rsa(&verification::RSA_PSS_2048_8192_SHA512),
        other => panic!("alg {other}"),
    }
}

#[tokio::test]
async fn issued_tokens_verify_with_the_published_keys() {
    for cryptography in Cryptography::ALL {
        issued_tokens_verify(*cryptography).await;
    }
}

async fn issued_tokens_verify(cryptography: Cryptography) {
    for algorithm in Algorithm::ALL {
        let key = signer(cryptography, *algorithm);
        let published = jwks(&key);
        assert_eq!(published.len(), 1);
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(published[0].get(private).is_none(), "{algorithm}: {}", published[0]);
        }
        assert_eq!(published[0]["use"], "sig");

        let mut plan = plan();
        plan.own = Minter { iss: AS, key: key.clone() };
        let world = plan.with(|builder| builder.signer(key).cryptography(cryptography)).start().await;
        // What it issues it takes again: for the same chain, one further.
        let reply = world.exchange(&world.own.access_token(json!({}))).await;
        assert_eq!(reply.status, StatusCode::OK, "{algorithm}: {}", reply.text);
        let body = reply.json();
        let token = body["access_token"].as_str().unwrap();
        let header = segment(token, 0);
        assert_eq!((&header["alg"], &header["kid"]), (&published[0]["alg"], &published[0]["kid"]), "{algorithm}");
        assert!(verifies(&published[0], token), "{algorithm}");
        let mut signature = signature_of(token);
        signature[7] ^= 1;
        assert!(!verifies(&published[0], &resigned(token, &signature)), "{algorithm}: the test verifies nothing");

        let next = [
            ("grant_type", GRANT_TYPE),
            ("subject_token", token),
            ("subject_token_type", ACCESS_TOKEN),
            ("audience", "ledger"),
        ];
        let reply = world.post_as("billing", &next).await;
        assert_eq!(reply.status, StatusCode::OK, "{algorithm}: {}", reply.text);
        assert_eq!(reply.claims()["act"], json!({ "sub": "billing", "act": { "sub": "orders" } }));
    }
}

#[test]
fn keys_are_loaded_from_pem_and_der_only() {
    let random = ring::rand::SystemRandom::new();
    let p256 = verification::EcdsaKeyPair::generate_pkcs8(&verification::ECDSA_P256_SHA256_FIXED_SIGNING, &random);
    let p384 = verification::EcdsaKeyPair::generate_pkcs8(&verification::ECDSA_P384_SHA384_FIXED_SIGNING, &random);
    let ed = verification::Ed25519KeyPair::generate_pkcs8(&random);
    let text = std::str::from_utf8(RSA_PEM).unwrap();
    let (_, block) = text.split_once("-----BEGIN PRIVATE KEY-----").unwrap();
    let (block, _) = block.split_once("-----END PRIVATE KEY-----").unwrap();
    let rsa = BASE64.decode(block.replace('\n', "").as_bytes()).unwrap();
    let keys = [
        (vec![Algorithm::ES256], p256.unwrap().as_ref().to_vec()),
        (vec![Algorithm::ES384], p384.unwrap().as_ref().to_vec()),
        (vec![Algorithm::EdDSA], ed.unwrap().as_ref().to_vec()),
        (Algorithm::ALL[3..].to_vec(), rsa),
    ];
    for (fits, der) in &keys {
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64.encode(der));
        for algorithm in Algorithm::ALL {
            let loaded = Cryptography::ALL.iter().flat_map(|cryptography| {
                let builder = LocalSigner::builder().cryptography(*cryptography);
                [("DER", builder.read_der(*algorithm, der)), ("PEM", builder.read_pem(*algorithm, &pem))]
            });
            for (road, loaded) in loaded {
                match loaded {
                    Ok(signer) => {
                        assert!(fits.contains(algorithm), "{algorithm} from {road} of {fits:?}");
                        let token = Minter { iss: AS, key: signer.clone() }.access_token(json!({}));
                        assert!(verifies(&jwks(&signer)[0], &token), "{algorithm} from {road}");
                        assert!(!format!("{signer:?}").contains(&BASE64.encode(&der[8..20])));
                    }
                    Err(error) => {
                        assert!(!fits.contains(algorithm), "{algorithm} from {road}: {error}");
                        assert!(matches!(error, KeyError::NotForAlgorithm { .. }), "{algorithm} from {road}: {error}");
                    }
                }
            }
        }
    }
    for bad in
        ["", "no PEM", &text.replace("PRIVATE KEY", "PUBLIC KEY"), &text.replace("PRIVATE KEY", "RSA PRIVATE KEY")]
    {
        assert!(matches!(LocalSigner::from_pem(Algorithm::RS256, bad), Err(KeyError::NotPem)), "{bad:.40}");
    }
    for algorithm in &Algorithm::ALL[3..] {
        assert!(matches!(LocalSigner::generate(*algorithm), Err(KeyError::CannotGenerate(_))), "{algorithm}");
    }
}
