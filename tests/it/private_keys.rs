//! A signer takes its key as a JWK or as PEM. A key that cannot sign is refused with an error that names the fix and shows
//! nothing of the key.
//!
//! The JWKs are those of RFC 7515 appendix A and RFC 8037 appendix A, and two that were made for this test.

use crate::support::*;
use data_encoding::BASE64URL_NOPAD;
use http::StatusCode;
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::LazyLock};
use tower_token_exchange::signing::{Algorithm, Algorithm::*, Cryptography, KeyError, LocalSigner};

static JWKS: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../data/private_jwks.json")).unwrap());

/// The inverse of the RSA key's first prime modulo the second.
const SWAPPED_QI: &str = "nVW5DaWZ5cj3xmqFYxkc3YUG8bw-IMcraX9B1PyB-rPRp2w5PgPDHgFXLqSIj_8_SyXPdZwTblC4rhaRGB7QOxCQ0at86zOK2IFA\
    F7zu4m3A66o2rcCwFBA7tZt0UmEDHIvMsaozbCKv6EojOF9LLsXFDJh7Ktfu4zIgm4_xryk";

/// A JWK out of the file, changed (`null` takes a member out).
fn jwk(name: &str, changes: Value) -> Value {
    changed(JWKS[name].clone(), changes)
}

fn read(jwk: &Value) -> Result<LocalSigner, KeyError> {
    LocalSigner::from_jwk(jwk.to_string())
}

fn read_with(cryptography: Cryptography, jwk: &Value) -> Result<LocalSigner, KeyError> {
    LocalSigner::builder().cryptography(cryptography).read_jwk(jwk.to_string())
}

/// A layer that signs with this key believes and is believed: it issues a token for one that the key signed, and one
/// that verifies under the published key.
async fn assert_signs(key: &LocalSigner, verifier: Cryptography, why: &str) {
    let own = Minter { iss: AS, key: key.clone() };
    let world = plan().with(|builder| builder.signer(key.clone()).cryptography(verifier)).start().await;
    let reply = world.exchange(&own.access_token(json!({}))).await;
    assert_eq!(reply.status, StatusCode::OK, "{why}: {}", reply.text);
    let issued = reply.json()["access_token"].as_str().unwrap().to_owned();
    let header = segment(&issued, 0);
    assert_eq!(
        (&header["alg"], &header["kid"]),
        (&key.algorithm().as_str().into(), &key.key_id().as_str().into()),
        "{why}"
    );
    // What was issued for `billing` is a good subject token in its hands.
    let mut form = exchange_form(&issued, &[]);
    form[3].1 = "ledger";
    assert_eq!(world.post_as("billing", &form).await.status, StatusCode::OK, "{why}");
    // And a bit of it changed is not.
    let (input, signature) = issued.rsplit_once('.').unwrap();
    let mut signature = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
    signature[40] ^= 1;
    let forged = format!("{input}.{}", BASE64URL_NOPAD.encode(&signature));
    form[1].1 = &forged;
    assert_eq!(world.post_as("billing", &form).await.status, StatusCode::BAD_REQUEST, "{why}");
}

/// Each library that signs with each library that verifies.
fn both() -> impl Iterator<Item = (Cryptography, Cryptography)> {
    let all = Cryptography::ALL.iter();
    all.flat_map(|signer| Cryptography::ALL.iter().map(|verifier| (*signer, *verifier)))
}

#[tokio::test]
async fn a_jwk_of_every_algorithm_signs() {
    let cases = [
        ("p256", json!({}), ES256),
        ("p256", json!({ "alg": "ES256", "use": "sig", "key_ops": ["sign"], "x5t": "ignored" }), ES256),
        ("p384", json!({ "key_ops": ["verify", "sign"] }), ES384),
        ("ed25519", json!({}), EdDSA),
        ("ed25519", json!({ "alg": "Ed25519" }), EdDSA),
        ("rsa", json!({ "alg": "RS256" }), RS256),
        ("rsa", json!({ "alg": "RS384", "kid": "rsa-2048" }), RS384),
        ("rsa", json!({ "alg": "RS512" }), RS512),
        ("rsa", json!({ "alg": "PS256" }), PS256),
        ("rsa", json!({ "alg": "PS384" }), PS384),
        ("rsa", json!({ "alg": "PS512" }), PS512),
    ];
    for (name, changes, algorithm) in cases {
        for (signer, verifier) in both() {
            let why = format!("{name} {changes}, {signer:?} and {verifier:?}");
            let key = read_with(signer, &jwk(name, changes.clone())).unwrap_or_else(|error| panic!("{why}: {error}"));
            assert_eq!(key.algorithm(), algorithm, "{why}");
            assert_signs(&key, verifier, &why).await;
        }
    }
}

#[test]
fn signatures_equal_those_of_the_specifications() {
    let signed = |key: &LocalSigner, input: &str| BASE64URL_NOPAD.encode(&key.sign(input.as_bytes()).unwrap());
    let input = "eyJhbGciOiJSUzI1NiJ9.\
        eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    // RFC 7515 appendix A.2.
    let expected = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7\
        AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4\
        BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K\
        0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv\
        hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrB\
        p0igcN_IoypGlUPQGe77Rw";
    for cryptography in Cryptography::ALL {
        let rsa = read_with(*cryptography, &jwk("rsa", json!({ "alg": "RS256" }))).unwrap();
        assert_eq!(signed(&rsa, input), expected, "{cryptography:?}");
    }
    // RFC 8037 appendix A.4.
    let expected = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    for cryptography in Cryptography::ALL {
        let ed25519 = read_with(*cryptography, &jwk("ed25519", json!({}))).unwrap();
        let signature = signed(&ed25519, "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc");
        assert_eq!(signature, expected, "{cryptography:?}");
    }
}

/// Whoever makes a key may call either prime the first.
#[test]
fn the_primes_may_be_in_any_order() {
    let of = |member: &str| JWKS["rsa"][member].clone();
    let swapped = json!({
        "alg": "PS256", "p": of("q"), "q": of("p"), "dp": of("dq"), "dq": of("dp"), "qi": SWAPPED_QI,
    });
    for cryptography in Cryptography::ALL {
        let key = read_with(*cryptography, &jwk("rsa", swapped.clone())).unwrap();
        let same = read_with(*cryptography, &jwk("rsa", json!({ "alg": "PS256" }))).unwrap();
        assert_eq!(key.published_keys(), same.published_keys(), "{cryptography:?}");
    }
}

#[test]
fn a_key_id_is_the_kid_or_thumbprint() {
    // RFC 8037 appendix A.3.
    let thumbprint = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    for (kid, expected) in [(json!(null), thumbprint), (json!("2026-11"), "2026-11"), (json!("Ä 1"), "Ä 1")] {
        let key = read(&jwk("ed25519", json!({ "kid": kid }))).unwrap();
        assert_eq!(key.key_id(), expected);
        let published = key.published_keys();
        assert_eq!((published.key_set().len(), published.key_set().ignored().len()), (1, 0));
        let document: Value = serde_json::from_str(&published.to_json()).unwrap();
        let expected = json!({
            "kty": "OKP", "crv": "Ed25519", "x": JWKS["ed25519"]["x"], "kid": expected, "alg": "EdDSA", "use": "sig",
        });
        assert_eq!(document["keys"][0], expected, "the public half and nothing else");
    }
}

/// A JWK that cannot be used, and words that its refusal has.
fn refused() -> Vec<(&'static str, Value, &'static str)> {
    let other = LocalSigner::generate(ES256).unwrap().published_keys().to_json();
    let other: Value = serde_json::from_str(&other).unwrap();
    let other = &other["keys"][0];
    let rsa = |changes: Value| changed(jwk("rsa", json!({ "alg": "RS256" })), changes);
    let of_rsa = |member: &str| JWKS["rsa"][member].clone();
    let of_ec = |member: &str| JWKS["p256"][member].as_str().unwrap().to_owned();
    let longer = |member: &str, by: &[u8]| {
        let bytes = BASE64URL_NOPAD.decode(of_ec(member).as_bytes()).unwrap();
        json!(BASE64URL_NOPAD.encode(&[by, &bytes].concat()))
    };
    let alg = "`alg` of the JWK must be";
    let base64 = "must be present, as base64url without padding";
    let broken = "make no key for";
    vec![
        ("a set", json!({ "keys": [jwk("p256", json!({}))] }), "a signer has one key"),
        ("a key that holds a set", jwk("p256", json!({ "keys": [] })), "a signer has one key"),
        ("public EC", jwk("p256", json!({ "d": null })), "give the private key, with the member `d`"),
        ("public OKP", jwk("ed25519", json!({ "d": null })), "give the private key, with the member `d`"),
        ("public RSA", json!({ "kty": "RSA", "n": of_rsa("n"), "e": "AQAB" }), "give the private key"),
        (
            "symmetric",
            json!({ "kty": "oct", "k": "c2VjcmV0", "alg": "HS256" }),
            "make a key with `LocalSigner::generate_pem`",
        ),
        ("nothing", json!({}), "`kty` and `crv` of the JWK must be EC and P-256"),
        ("no type", jwk("p256", json!({ "kty": null })), "`kty` and `crv`"),
        ("another case", jwk("p256", json!({ "kty": "ec" })), "`kty` and `crv`"),
        ("no curve", jwk("p256", json!({ "crv": null })), "`kty` and `crv`"),
        ("an unknown curve", jwk("p256", json!({ "crv": "P-521" })), "`kty` and `crv`"),
        ("X25519", jwk("ed25519", json!({ "crv": "X25519" })), "`kty` and `crv`"),
        ("for encryption", jwk("p256", json!({ "use": "enc" })), "`use` of the JWK must be `sig`"),
        ("a use that is no text", jwk("p256", json!({ "use": ["sig"] })), "`use` of the JWK must be `sig`"),
        ("for verifying", jwk("p256", json!({ "key_ops": ["verify"] })), "`key_ops` of the JWK must be a list with"),
        ("for no operation", jwk("p256", json!({ "key_ops": [] })), "`key_ops` of the JWK must be a list with"),
        ("operations as a text", jwk("p256", json!({ "key_ops": "sign" })), "`key_ops` of the JWK must be a list with"),
        ("an empty kid", jwk("p256", json!({ "kid": "" })), "absent for the thumbprint"),
        ("a kid that is no text", jwk("p256", json!({ "kid": 7 })), "absent for the thumbprint"),
        ("a long kid", jwk("p256", json!({ "kid": "k".repeat(257) })), "absent for the thumbprint"),
        ("a kid of two lines", jwk("p256", json!({ "kid": "a\nb" })), "absent for the thumbprint"),
        ("another alg", jwk("p256", json!({ "alg": "ES384" })), "`alg` of the JWK must be ES256, or absent"),
        ("EC with RS256", jwk("p384", json!({ "alg": "RS256" })), "`alg` of the JWK must be ES384, or absent"),
        ("OKP with ES256", jwk("ed25519", json!({ "alg": "ES256" })), "`alg` of the JWK must be EdDSA, or absent"),
        ("RSA with no alg", rsa(json!({ "alg": null })), "because an RSA key can be for each of them"),
        ("RSA with ES256", rsa(json!({ "alg": "ES256" })), alg),
        ("RSA for encryption", rsa(json!({ "alg": "RSA-OAEP" })), alg),
        ("none", rsa(json!({ "alg": "none" })), alg),
        ("an alg that is no text", rsa(json!({ "alg": 256 })), alg),
        ("no y", jwk("p256", json!({ "y": null })), base64),
        ("an empty d", jwk("p256", json!({ "d": "" })), base64),
        ("d that is no text", jwk("p256", json!({ "d": 5 })), base64),
        ("padding", jwk("p256", json!({ "d": of_ec("d") + "=" })), base64),
        ("white space", jwk("p256", json!({ "d": of_ec("d") + "\n" })), base64),
        ("the other alphabet", jwk("p256", json!({ "d": of_ec("d").replace('-', "+") })), base64),
        // Its last character stands for two bits that are no part of any byte.
        ("bits left over", jwk("p256", json!({ "d": of_ec("d").replace("E9LI", "E9LJ") })), base64),
        ("no p", rsa(json!({ "p": null })), base64),
        ("no qi", rsa(json!({ "qi": null })), base64),
        ("only d", json!({ "kty": "RSA", "alg": "RS256", "n": of_rsa("n"), "e": "AQAB", "d": of_rsa("d") }), base64),
        ("three primes", rsa(json!({ "oth": [] })), "two primes"),
        ("the point of another", jwk("p256", json!({ "x": other["x"], "y": other["y"] })), broken),
        ("half the point of another", jwk("p256", json!({ "x": other["x"] })), broken),
        ("x and y exchanged", jwk("p256", json!({ "x": of_ec("y"), "y": of_ec("x") })), broken),
        ("d with a zero before it", jwk("p256", json!({ "d": longer("d", &[0]) })), broken),
        ("x with a zero before it", jwk("p256", json!({ "x": longer("x", &[0]) })), broken),
        ("d of zero", jwk("p256", json!({ "d": "A".repeat(43) })), broken),
        ("d beyond the order", jwk("p256", json!({ "d": format!("{}8", "_".repeat(42)) })), broken),
        ("P-256 that says P-384", jwk("p256", json!({ "crv": "P-384" })), broken),
        ("an EdDSA key of another", jwk("ed25519", json!({ "x": of_ec("x") })), broken),
        ("a seed that is too short", jwk("ed25519", json!({ "d": "AAAA" })), broken),
        ("another modulus", rsa(json!({ "n": of_rsa("d") })), broken),
        ("another exponent", rsa(json!({ "e": "AQAD" })), broken),
        ("a small exponent", rsa(json!({ "e": "Aw" })), broken),
        ("an exponent of one", rsa(json!({ "e": "AQ" })), broken),
        ("p and q exchanged", rsa(json!({ "p": of_rsa("q"), "q": of_rsa("p") })), broken),
        ("dp and dq exchanged", rsa(json!({ "dp": of_rsa("dq"), "dq": of_rsa("dp") })), broken),
        ("another qi", rsa(json!({ "qi": of_rsa("dp") })), broken),
        ("1024 bits", jwk("rsa_of_1024_bits", json!({ "alg": "RS256" })), "less than 2048 or more than 8192 bits"),
    ]
}

#[test]
fn an_error_about_a_jwk_shows_no_key() {
    let mut secrets = BTreeSet::new();
    for (_, key) in JWKS.as_object().unwrap() {
        let members = key.as_object().unwrap().iter().filter(|(name, _)| !["kty", "crv", "e"].contains(&name.as_str()));
        secrets.extend(members.map(|(_, value)| value.as_str().unwrap()[..12].to_owned()));
    }
    for (why, key, words) in refused() {
        for cryptography in Cryptography::ALL {
            let why = format!("{why}, {cryptography:?}");
            let error = read_with(*cryptography, &key).err().unwrap_or_else(|| panic!("{why}: taken"));
            let text = format!("{error} {error:?}");
            assert!(text.contains(words), "{why}: {text}");
            assert!(!secrets.iter().any(|secret| text.contains(secret)), "{why}: {text}");
        }
    }
}

#[test]
fn only_one_json_object_is_a_jwk() {
    let key = jwk("p256", json!({})).to_string();
    let twice = key.replace('}', r#","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#);
    let pem = LocalSigner::generate_pem(ES256).unwrap();
    for text in
        ["", "null", "\"jwk\"", &format!("[{key}]"), &format!("{key} {key}"), &twice, &pem, "eyJhbGciOiJkaXIifQ"]
    {
        assert_eq!(LocalSigner::from_jwk(text).err(), Some(KeyError::NotJwk), "{text}");
    }
    assert_eq!(LocalSigner::from_jwk(b"\xff").err(), Some(KeyError::NotJwk));
}

#[test]
fn debug_output_hides_the_private_key() {
    for name in ["p256", "p384", "ed25519"] {
        let key = read(&jwk(name, json!({}))).unwrap();
        let d = JWKS[name]["d"].as_str().unwrap();
        assert!(
            !format!("{key:?} {:?} {}", key.published_keys(), key.published_keys().to_json()).contains(d),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_pem_key_survives_a_restart() {
    for algorithm in [ES256, ES384, EdDSA] {
        let pem = LocalSigner::generate_pem(algorithm).unwrap();
        let lines: Vec<_> = pem.lines().collect();
        let [begin, inner @ .., end] = &lines[..] else { panic!("{algorithm}: one line") };
        assert_eq!((*begin, *end), ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"), "{algorithm}");
        let (last, full) = inner.split_last().unwrap();
        assert!(full.iter().all(|line| line.len() == 64) && (1..=64).contains(&last.len()), "{algorithm}");
        assert!(pem.ends_with('\n'), "{algorithm}");
        if algorithm == EdDSA {
            // Version 1, with no public key behind: what every version of OpenSSL can read (RFC 8410 section 10.3).
            assert!(pem.contains("\nMC4CAQAwBQYDK2VwBCIEI"), "{algorithm}");
        }

        let before = LocalSigner::from_pem(algorithm, &pem).unwrap();
        for (signer, verifier) in both() {
            let after = LocalSigner::builder().cryptography(signer).read_pem(algorithm, &pem).unwrap();
            assert_eq!(before.published_keys(), after.published_keys(), "{algorithm}, {signer:?}");
            assert_signs(&after, verifier, &format!("{algorithm}, {signer:?} and {verifier:?}")).await;
        }
        let fresh = LocalSigner::generate_pem(algorithm).unwrap();
        assert_ne!(fresh, pem, "{algorithm}: another key each time");
        let others = Algorithm::ALL.iter().filter(|other| **other != algorithm);
        for other in others {
            for cryptography in Cryptography::ALL {
                let read = LocalSigner::builder().cryptography(*cryptography).read_pem(*other, &pem);
                assert!(read.is_err(), "{algorithm} as {other}, {cryptography:?}");
            }
        }
    }
}

#[test]
fn a_key_text_is_pem_or_a_jwk() {
    let pem = LocalSigner::generate_pem(ES384).unwrap();
    let jwk = format!("\n {}", jwk("ed25519", json!({})));
    let damaged = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_owned();
    for (text, algorithm, found) in [
        (&pem, Some(ES384), Ok(ES384)),
        (&pem, None, Ok(ES384)),
        (&jwk, Some(EdDSA), Ok(EdDSA)),
        (&jwk, None, Ok(EdDSA)),
        (&jwk, Some(ES256), Err(KeyError::OtherAlgorithm { found: EdDSA, wanted: ES256 })),
        (&String::new(), None, Err(KeyError::NotPem)),
        (&damaged, None, Err(KeyError::NoKnownKind)),
        (&"{".to_owned(), None, Err(KeyError::NotJwk)),
    ] {
        assert_eq!(LocalSigner::from_text(text, algorithm).map(|key| key.algorithm()), found);
    }
}

#[test]
fn rsa_keys_cannot_be_generated() {
    for algorithm in [RS256, RS384, RS512, PS256, PS384, PS512] {
        assert_eq!(LocalSigner::generate_pem(algorithm).err(), Some(KeyError::CannotGenerate(algorithm)));
    }
}
