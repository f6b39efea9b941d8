//! The key sets of real identity providers are read, with their additional members, with keys for other uses, and with keys
//! that are not supported.
//!
//! The documents have the vendors' shapes and keys that were made for this test.

use crate::support::*;
use serde_json::{Value, json};
use std::{fs, path::Path};
use tower_token_exchange::{
    Issuer, Reason,
    jwks::{IgnoredReason, IgnoredReason::*, KeyId, KeySet},
    records::SubjectMapping,
    signing::{Algorithm, Algorithm::*, LocalSigner},
};

const VENDOR: &str = "https://vendor.example";
const RSA_PEM: &[u8] = include_bytes!("../data/rsa.pem");

/// What becomes of a document: keys that verify, by position and the algorithm to try; those kept for SVIDs; and
/// those that are ignored.
struct Expected {
    document: &'static str,
    used: &'static [(usize, Algorithm)],
    svid: &'static [(usize, Algorithm)],
    ignored: &'static [(usize, IgnoredReason)],
}

const EXPECTED: &[Expected] = &[
    Expected { document: "auth0", used: &[(0, RS256), (1, RS256)], svid: &[], ignored: &[] },
    // No `alg`; every key says whose tokens it signs.
    Expected { document: "entra_id", used: &[(0, RS256), (1, RS256), (2, RS256)], svid: &[], ignored: &[] },
    Expected { document: "google", used: &[(0, RS256), (1, RS256)], svid: &[], ignored: &[] },
    // The first is for encryption.
    Expected { document: "keycloak", used: &[(1, RS256), (2, ES256)], svid: &[], ignored: &[(0, NotForSignatures)] },
    Expected { document: "kubernetes", used: &[(0, RS256)], svid: &[], ignored: &[] },
    Expected { document: "okta", used: &[(0, RS256), (1, RS256)], svid: &[], ignored: &[] },
    Expected {
        document: "spiffe_bundle",
        used: &[],
        // The first stands for the authority of X.509-SVIDs.
        svid: &[(0, ES384), (1, ES256), (2, RS256)],
        ignored: &[],
    },
    // One `kid` for three keys of different types (RFC 7517 section 4.5).
    Expected {
        document: "duplicate_kid",
        used: &[(0, RS256), (0, PS512), (1, ES256), (2, EdDSA)],
        svid: &[],
        ignored: &[],
    },
    Expected {
        document: "curves",
        used: &[(0, ES256), (1, ES384), (4, EdDSA)],
        svid: &[],
        ignored: &[(2, UnknownCurve), (3, UnknownCurve), (5, UnknownCurve)],
    },
    // ML-DSA beside what it is to replace.
    Expected { document: "post_quantum", used: &[(1, ES256)], svid: &[], ignored: &[(0, UnknownType)] },
    // The last key has no `kid`.
    Expected {
        document: "mixed",
        used: &[(7, PS256), (9, RS256)],
        svid: &[],
        ignored: &[
            (0, RsaSize),
            (1, RsaSize),
            (2, UnknownType),
            (3, UnknownType),
            (4, UnknownType),
            (5, AlgorithmRefused),
            (6, NotForVerifying),
            (8, Malformed),
        ],
    },
];

fn document(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/jwks").join(name).with_extension("json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn key_set(document: &Value) -> KeySet {
    KeySet::from_json(document.to_string()).unwrap()
}

fn kid(document: &Value, position: usize) -> Option<&str> {
    document["keys"][position]["kid"].as_str()
}

/// A key that can sign for one in the document.
fn signer(algorithm: Algorithm) -> LocalSigner {
    match algorithm {
        ES256 | ES384 | EdDSA => LocalSigner::generate(algorithm).unwrap(),
        rsa => LocalSigner::from_pem(rsa, RSA_PEM).unwrap(),
    }
}

/// The document with the key at a position replaced by this one, and nothing else changed.
fn substituted(document: &Value, position: usize, signer: &LocalSigner) -> Value {
    let published: Value = serde_json::from_str(&signer.published_keys().to_json()).unwrap();
    let mut document = document.clone();
    for member in ["crv", "e", "n", "x", "y"] {
        if let Some(value) = published["keys"][0].get(member) {
            document["keys"][position][member] = value.clone();
        }
    }
    document
}

/// What the layer says to a token with the `kid` at a position, signed with a key of ours, when the vendor publishes
/// these keys. `None` is an issued token.
async fn verdict(keys: &Value, position: usize, key: &LocalSigner) -> Option<Reason> {
    let vendor = Issuer::new(VENDOR)
        .keys(key_set(keys))
        .map_subjects(SubjectMapping::Prefix("vendor|".into()))
        .allow_presenters(["orders"]);
    let mut world = plan().with(|builder| builder.issuers([vendor])).start().await;
    let minter = Minter { iss: VENDOR, key: key.clone() };
    let header = changed(minter.header("JWT"), json!({ "kid": kid(keys, position) }));
    let claims = json!({
        "iss": VENDOR, "sub": "bob", "aud": AS, "exp": NOW + 600, "iat": NOW, "scope": "read",
    });
    let token = minter.sign(&header, &claims);
    let mut form = exchange_form(&token, &[]);
    form[2].1 = JWT;
    let reply = world.post_as("orders", &form).await;
    let reason = world.reason().await;
    assert_eq!(reason.is_none(), reply.status == 200, "{}", reply.text);
    reason
}

#[test]
fn each_vendor_key_is_used_or_ignored() {
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/jwks")).unwrap().count();
    assert_eq!(files, EXPECTED.len());
    for Expected { document: name, used, svid, ignored } in EXPECTED {
        let document = document(name);
        let keys = key_set(&document);
        let found: Vec<_> = keys.ignored().iter().map(|key| (key.position, key.reason)).collect();
        assert_eq!(found, *ignored, "{name}");
        for key in keys.ignored() {
            assert_eq!(key.kid.as_ref().map(KeyId::as_str), kid(&document, key.position), "{name}");
        }
        let total = document["keys"].as_array().unwrap().len();
        assert_eq!(keys.len(), total - ignored.len(), "{name}");
        let mut accounted: Vec<_> = used.iter().chain(*svid).map(|(position, _)| *position).collect();
        accounted.extend(ignored.iter().map(|(position, _)| *position));
        accounted.sort_unstable();
        accounted.dedup();
        assert_eq!(accounted, (0..total).collect::<Vec<_>>(), "{name}: every key is in the table");
    }
}

#[tokio::test]
async fn only_used_keys_verify_tokens() {
    for Expected { document: name, used, .. } in EXPECTED {
        let document = document(name);
        for (position, algorithm) in *used {
            let key = signer(*algorithm);
            let with_ours = substituted(&document, *position, &key);
            assert_eq!(verdict(&with_ours, *position, &key).await, None, "{name} {position} {algorithm}");
            let without = verdict(&document, *position, &key).await;
            assert_eq!(without, Some(Reason::TokenSignatureInvalid), "{name} {position} {algorithm}");
        }
    }
}

#[tokio::test]
async fn an_ignored_key_verifies_nothing() {
    let svid = EXPECTED.iter().flat_map(|expected| expected.svid.iter().map(|at| (expected.document, *at)));
    // Ignored for what is said about them, not for their parameters.
    let others = [
        ("keycloak", (0, RS256)),
        ("keycloak", (0, PS256)),
        ("mixed", (4, RS256)),
        ("mixed", (5, RS256)),
        ("mixed", (6, RS256)),
        // It verifies, and not by this algorithm.
        ("mixed", (7, RS256)),
    ];
    for (name, (position, algorithm)) in svid.chain(others) {
        let key = signer(algorithm);
        let with_ours = substituted(&document(name), position, &key);
        let refused = verdict(&with_ours, position, &key).await;
        assert_eq!(refused, Some(Reason::TokenKeyUnknown), "{name} {position} {algorithm}");
    }
}
