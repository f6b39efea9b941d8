//! The JSON Web Signature vectors of Project Wycheproof, where they are at hand: in the directory that
//! `WYCHEPROOF_DIR` names, else beside this repository.

use super::{Compact, Header, KeySet, KeyUse};
use serde_json::{Value, json};
use std::{env, fs, path::PathBuf};

/// The vectors take the keys of RFC 7520 for PS384 although their `alg` says PS256; `alg` is kept here.
const KEY_OF_ANOTHER_ALGORITHM: [u64; 2] = [346, 350];

fn verifies(key: &Value, token: &str) -> bool {
    let keys = KeySet::from_json(json!({ "keys": [key] }).to_string()).unwrap();
    let Some(jws) = Compact::parse(token) else { return false };
    let Ok(header) = Header::parse(&jws.header) else { return false };
    let signed = jws.signing_input.as_bytes();
    keys.candidates(header.algorithm, header.kid.as_deref(), KeyUse::Signature)
        .iter()
        .any(|key| key.verify(header.algorithm, signed, &jws.signature))
}

#[test]
fn the_signature_vectors_of_wycheproof_are_judged_as_they_say() {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors/wycheproof");
    let directory = env::var_os("WYCHEPROOF_DIR").map_or(beside, PathBuf::from);
    let Ok(text) = fs::read_to_string(directory.join("json_web_signature_test.json")) else {
        eprintln!("skipped: no Wycheproof vectors; name their directory in WYCHEPROOF_DIR");
        return;
    };
    let document: Value = serde_json::from_str(&text).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for group in document["testGroups"].as_array().unwrap() {
        // A symmetric key has no public half. No such key, and none on P-521, is ever taken.
        let key = group.get("public").unwrap_or(&group["private"]);
        let taken = key["kty"] != "oct" && key["crv"] != "P-521";
        for test in group["tests"].as_array().unwrap() {
            let id = test["tcId"].as_u64().unwrap();
            let good = test["result"] == "valid" && taken && !KEY_OF_ANOTHER_ALGORITHM.contains(&id);
            // A JWS in JSON serialization is no compact one.
            let token = test["jws"].as_str().map_or_else(|| test["jws"].to_string(), str::to_owned);
            assert_eq!(verifies(key, &token), good, "{id}: {}", test["comment"]);
            *(if good { &mut accepted } else { &mut refused }) += 1;
        }
    }
    assert!(accepted > 20 && refused > 300, "{accepted} accepted, {refused} refused: are these the vectors?");
}
