//! The JOSE test vectors of Project Wycheproof.
//!
//! The vectors are read from the directory that `WYCHEPROOF_DIR` names, where they must exist. Without that variable, they are
//! read from `../shared/vectors/wycheproof` next to this repository, if that directory exists.

use super::{Algorithm, Compact, Cryptography, Header, KeySet, KeyUse, key::PRIVATE_MEMBERS};
use serde_json::{Value, json};
use std::{
    env, fs,
    io::{self, Write},
    path::PathBuf,
};

/// A file of vectors, with the number of accepted vectors and the valid vectors that are refused although their algorithm is
/// supported.
struct File {
    name: &'static str,
    accepted: usize,
    exceptions: &'static [u64],
}

const FILES: [File; 3] = [
    // Vectors 346 and 350 are figure 20 of RFC 7520. They are signed with PS384, and the `alg` of the key is PS256. This crate
    // observes `alg` (RFC 7517 section 4.4), and the test verifies them again without `alg`.
    File { name: "json_web_signature_test.json", accepted: 32, exceptions: &[346, 350] },
    File { name: "json_web_crypto_test.json", accepted: 2, exceptions: &[] },
    File { name: "json_web_key_test.json", accepted: 1, exceptions: &[] },
];

fn vectors(name: &str) -> Option<Value> {
    let named = env::var_os("WYCHEPROOF_DIR").map(PathBuf::from);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors/wycheproof");
    let path = named.as_ref().unwrap_or(&beside).join(name);
    match fs::read(&path) {
        Ok(text) => Some(serde_json::from_slice(&text).unwrap()),
        Err(error) if named.is_some() => panic!("WYCHEPROOF_DIR has no {name}: {error}"),
        Err(_) => None,
    }
}

/// Returns the keys of a group without their private members. A symmetric key has no other members.
fn published(group: &Value) -> Value {
    let key = group.get("public").unwrap_or(&group["private"]).clone();
    let mut keys = if key.get("keys").is_some() { key } else { json!({ "keys": [key] }) };
    for key in keys["keys"].as_array_mut().unwrap() {
        if key["kty"] != "oct" {
            key.as_object_mut().unwrap().retain(|member, _| !PRIVATE_MEMBERS.contains(&member.as_str()));
        }
    }
    keys
}

/// Returns the algorithm that a token names, read without the parser of this crate.
fn algorithm(token: &str) -> Option<Algorithm> {
    let header = data_encoding::BASE64URL_NOPAD.decode(token.split('.').next()?.as_bytes()).ok()?;
    Algorithm::from_name(serde_json::from_slice::<Value>(&header).ok()?["alg"].as_str()?)
}

fn verifies(keys: &Value, token: &str, cryptography: Cryptography) -> bool {
    let keys = KeySet::from_json(keys.to_string()).unwrap();
    let Some(jws) = Compact::parse(token) else { return false };
    let Ok(header) = Header::parse(jws.header()) else { return false };
    let signed = jws.signing_input.as_bytes();
    keys.candidates(header.algorithm, header.kid.as_deref(), KeyUse::Signature)
        .any(|key| key.verify(header.algorithm, signed, jws.signature(), cryptography))
}

#[test]
fn every_vector_has_its_result() {
    for File { name, accepted, exceptions } in FILES {
        let Some(document) = vectors(name) else {
            // The test runner would hide the output of `eprintln!`.
            writeln!(io::stderr(), "SKIPPED: no {name}; WYCHEPROOF_DIR can name the directory that has it").unwrap();
            continue;
        };
        let (mut good, mut bad, mut odd) = (0, 0, Vec::new());
        for group in document["testGroups"].as_array().unwrap() {
            let mut keys = published(group);
            for test in group["tests"].as_array().unwrap() {
                let id = test["tcId"].as_u64().unwrap();
                // An encrypted token and a JWS in JSON serialization are not compact JWS.
                let token = test.get("jws").unwrap_or(&test["jwe"]);
                let token = token.as_str().map_or_else(|| token.to_string(), str::to_owned);
                let valid = test["result"] == "valid" && algorithm(&token).is_some();
                let expected = valid && !exceptions.contains(&id);
                for cryptography in Cryptography::ALL {
                    let verified = verifies(&keys, &token, *cryptography);
                    assert_eq!(verified, expected, "{name} {id}, {cryptography:?}: {}", test["comment"]);
                }
                *(if expected { &mut good } else { &mut bad }) += 1;
                if valid && !expected {
                    keys["keys"][0].as_object_mut().unwrap().remove("alg");
                    let verified = |cryptography: &Cryptography| verifies(&keys, &token, *cryptography);
                    assert!(Cryptography::ALL.iter().all(verified), "{name} {id} without `alg`");
                    odd.push(id);
                }
            }
        }
        assert_eq!((good, odd.as_slice()), (accepted, exceptions), "{name}");
        assert_eq!(document["numberOfTests"], good + bad, "{name}");
    }
}
