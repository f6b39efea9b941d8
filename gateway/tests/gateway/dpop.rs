//! Requests with DPoP proofs.

use crate::{
    ISSUER, World, answer, configuration,
    process::{Folder, exchange_bytes},
};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use std::{
    io::Write,
    sync::mpsc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tower_token_exchange::signing::{Algorithm, LocalSigner};

/// A table that requires nonces.
const NONCES: &str = "[dpop]\nnonce_key_file = \"nonce.key\"\n\n[audit]";

fn world(table: &'static str) -> World {
    World::start_in(move |folder, configuration| {
        folder.write("nonce.key", "a-secret-of-thirty-two-characters-or-more\n");
        configuration.replace("[audit]", table)
    })
}

/// The public key of a prover.
fn jwk(prover: &LocalSigner) -> Value {
    let keys: Value = serde_json::from_str(&prover.published_keys().to_json()).unwrap();
    keys["keys"][0].clone()
}

/// A proof for the token endpoint with these further claims.
fn proof(prover: &LocalSigner, jti: &str, more: Value) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk(prover) });
    let mut claims = json!({ "jti": jti, "htm": "POST", "htu": format!("{ISSUER}/token"), "iat": now });
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let segment = |json: &Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
    let input = format!("{}.{}", segment(&header), segment(&claims));
    format!("{input}.{}", BASE64URL_NOPAD.encode(&prover.sign(input.as_bytes()).unwrap()))
}

/// A segment of a JWT.
fn segment(token: &str, index: usize) -> Value {
    let segment = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(segment.as_bytes()).unwrap()).unwrap()
}

impl World {
    /// An exchange with a proof. Returns the headers and the body of the answer.
    fn exchange_with_proof(&self, proof: &str) -> (Vec<(String, String)>, Value) {
        let request = String::from_utf8(self.exchange()).unwrap();
        let request = request.replacen("\r\nHost:", &format!("\r\nDPoP: {proof}\r\nHost:"), 1);
        let answer = String::from_utf8(exchange_bytes(self.gateway.port, request.as_bytes()).unwrap()).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let headers = head.lines().filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        (headers, serde_json::from_str(body).unwrap())
    }
}

#[test]
fn a_nonce_round_trip_ends_in_a_bound_token() {
    let world = world(NONCES);
    let prover = LocalSigner::generate(Algorithm::ES256).unwrap();
    let (headers, body) = world.exchange_with_proof(&proof(&prover, "one", json!({})));
    assert_eq!(body["error"], "use_dpop_nonce");
    let nonces: Vec<_> = headers.iter().filter(|(name, _)| name == "dpop-nonce").collect();
    let [(_, nonce)] = nonces[..] else { panic!("{headers:?}") };
    let (_, body) = world.exchange_with_proof(&proof(&prover, "two", json!({ "nonce": nonce })));
    let cnf = &segment(body["access_token"].as_str().unwrap_or_else(|| panic!("{body}")), 1)["cnf"];
    assert_eq!((&body["token_type"], &cnf["jkt"]), (&json!("DPoP"), &jwk(&prover)["kid"]));
}

#[test]
fn a_proof_needs_the_table_and_the_public_url() {
    let prover = LocalSigner::generate(Algorithm::ES256).unwrap();
    let without = world("[audit]");
    let (_, body) = without.exchange_with_proof(&proof(&prover, "one", json!({})));
    assert_eq!(
        (&body["error"], &body["error_description"]),
        (&json!("invalid_dpop_proof"), &json!("DPoP is not supported"))
    );
    let alias = "https://mtls.gateway.test/token";
    let with = world("[dpop]\naliases = [\"https://mtls.gateway.test/token\"]\n\n[audit]");
    let here = format!("http://127.0.0.1:{}/token", with.gateway.port);
    for (jti, htu, is_good) in [("two", ISSUER, false), ("three", alias, true), ("four", &here, false)] {
        let (_, body) = with.exchange_with_proof(&proof(&prover, jti, json!({ "htu": htu })));
        assert_eq!(body["token_type"] == "DPoP", is_good, "{htu}: {body}");
    }
}

/// A request with another grant reaches the server with its proof, byte for byte.
#[test]
fn the_proof_of_another_grant_passes() {
    let world = world(NONCES);
    let form = "grant_type=client_credentials";
    let head = format!(
        "POST /token HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\nDPoP: a.b.c\nContent-Length: {}",
        form.len()
    );
    let (sender, receiver) = mpsc::channel();
    world.upstream.does("/token", move |stream, request| {
        // The gateway asks this endpoint too, about secrets of clients.
        let text = String::from_utf8_lossy(request).to_ascii_lowercase();
        if text.contains("dpop") {
            let _ = sender.send(text);
        }
        stream.write_all(&answer(200, "{}")).unwrap_or_default();
    });
    world.send(&[world.request(&head), form.into()].concat());
    let passed = receiver.recv_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!(passed.matches("\r\ndpop: a.b.c\r\n").count(), 1, "{passed}");
}

#[test]
fn a_mistake_in_the_table_names_its_line() {
    for (table, problem) in [
        ("require_nonce = true", "dpop.require_nonce: no key makes the nonces; add `nonce_key_file`"),
        ("nonce_key_file = \"short.key\"", "dpop.nonce_key_file: shorter than 32 bytes"),
        ("nonce_key_file = \"nowhere.key\"", "nowhere.key"),
        ("algorithms = [\"HS256\"]", "not a supported algorithm"),
        ("max_age = \"1h\"", "out of range"),
    ] {
        let folder = Folder::new();
        folder.keygen("active.pem");
        folder.write("short.key", "short");
        let plain = configuration(8080, 9090, ISSUER, 3000);
        folder.write("gateway.toml", &plain.replace("[audit]", &format!("[dpop]\n{table}\n\n[audit]")));
        let output = folder.run(&["check"]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success() && told.contains(problem), "{table}: {told}");
    }
}
