//! The methods of clients that have a record with a method: the server is not asked.

use crate::{
    ISSUER, World, answer,
    cli::output,
    process::{Folder, own_token, wait_for},
};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use tower_token_exchange::{
    GRANT_TYPE,
    signing::{Algorithm, LocalSigner},
};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const OAUTH: &str = "/.well-known/oauth-authorization-server";

/// An assertion of `orders` for this audience.
fn assertion(key: &LocalSigner, aud: &str, id: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let segment = |json: Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
    let claims = json!({ "iss": "orders", "sub": "orders", "aud": aud, "exp": now + 60, "jti": id });
    let input = format!("{}.{}", segment(json!({ "alg": "EdDSA" })), segment(claims));
    format!("{input}.{}", BASE64URL_NOPAD.encode(&key.sign(input.as_bytes()).unwrap()))
}

/// An exchange without an `Authorization` header.
fn exchange(world: &World, more: &[(&str, &str)]) -> (u16, String) {
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", GRANT_TYPE)
        .append_pair("subject_token", &own_token(&world.folder, ISSUER))
        .append_pair("subject_token_type", "urn:ietf:params:oauth:token-type:access_token")
        .append_pair("audience", "billing")
        .extend_pairs(more)
        .finish();
    let length = form.len();
    let head =
        format!("POST /token HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\nContent-Length: {length}");
    world.send(&[world.request(&head), form.into()].concat())
}

#[test]
fn a_client_with_keys_needs_no_server() {
    let key = LocalSigner::generate(Algorithm::EdDSA).unwrap();
    let set: Value = serde_json::from_str(&key.published_keys().to_json()).unwrap();
    let x = set["keys"][0]["x"].as_str().unwrap();
    let record = format!(
        "id = \"orders\"\njwks = {{ keys = [{{ kty = \"OKP\", crv = \"Ed25519\", x = \"{x}\" }}] }}\n\n[[target]]\nid = \"orders\""
    );
    for by in ["client_credentials", "records"] {
        let world = World::start(|text| {
            let text = text.replacen("id = \"orders\"\n\n[[target]]\nid = \"orders\"", &record, 1);
            text.replace("\"client_credentials\"", &format!("\"{by}\""))
        });
        let signed = assertion(&key, ISSUER, "1");
        let with =
            |signed: &str| exchange(&world, &[("client_assertion_type", JWT_BEARER), ("client_assertion", signed)]);
        let (status, body) = with(&signed);
        assert_eq!(status, 200, "{by}: {body}");
        for (name, signed) in [
            ("again", signed),
            ("for the token endpoint", assertion(&key, &format!("{ISSUER}/token"), "2")),
            ("by another key", assertion(&LocalSigner::generate(Algorithm::EdDSA).unwrap(), ISSUER, "3")),
        ] {
            let (status, body) = with(&signed);
            assert!(status == 400 && body.contains("invalid_client"), "{by}, {name}: {body}");
        }
        // The server would accept this secret, and the record has none.
        let (status, body) = world.send(&world.exchange());
        assert!(status == 401 && body.contains("invalid_client"), "{by}: {body}");
    }
}

#[test]
fn the_metadata_name_the_methods_of_records() {
    let metadata = json!({ "issuer": ISSUER, "token_endpoint": format!("{ISSUER}/token"),
        "token_endpoint_auth_methods_supported": ["client_secret_basic"] });
    let record = "id = \"orders\"\njwks_uri = \"https://orders.example/jwks\"\nalgorithms = [\"ES256\"]\n\n[[target]]\nid = \"orders\"";
    let world = World::waiting(|_, text| {
        let text = crate::with_paths(&text, "").replace("[audit]", "[dpop]\nalgorithms = [\"ES256\"]\n\n[audit]");
        let text = text.replace("[upstream]", "proxy_certificates = { proxies = [\"127.0.0.1\"] }\n\n[upstream]");
        text.replacen("id = \"orders\"\n\n[[target]]\nid = \"orders\"", record, 1)
    });
    world.upstream.answers(OAUTH, answer(200, &metadata.to_string()));
    wait_for("token exchange is available", || world.gateway.health()["waiting_for"].is_null());
    let shown = || -> Value {
        let (status, body) = world.get(OAUTH);
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    };
    let before = shown();
    assert_eq!(before["token_endpoint_auth_methods_supported"], json!(["client_secret_basic", "private_key_jwt"]));
    assert_eq!(before["token_endpoint_auth_signing_alg_values_supported"], json!(["ES256"]));
    let proofs = |shown: &Value| {
        ["dpop_signing_alg_values_supported", "tls_client_certificate_bound_access_tokens"]
            .map(|name| shown[name].clone())
    };
    assert_eq!(proofs(&before), [json!(["ES256"]), json!(true)]);
    // A change of the records changes nothing else.
    let changed = world.folder.read("gateway.toml").replace("algorithms = [\"ES256\"]\n\n[[target]]", "\n[[target]]");
    world.folder.write("gateway.toml", &changed);
    world.gateway.process.signal("-HUP");
    let algorithms = || shown()["token_endpoint_auth_signing_alg_values_supported"].as_array().unwrap().len();
    wait_for("the change counts", || algorithms() > 1);
    assert_eq!(proofs(&shown()), proofs(&before));
}

#[test]
fn hash_secret_prints_the_line_of_a_record() {
    let folder = Folder::new();
    let printed = output(&folder, &["hash-secret", "--generate"]);
    let lines: Vec<&str> = printed.lines().collect();
    let ["exit 0", secret, hash] = lines[..] else { panic!("{printed}") };
    let secret = secret.strip_prefix("# for the client: ").unwrap();
    assert_eq!(secret.len(), 43, "256 bits");
    let expected = HEXLOWER.encode(digest(&SHA256, secret.as_bytes()).as_ref());
    assert_eq!(hash, format!("secret_sha256 = \"{expected}\""));
    // Without input, there is no secret.
    let printed = output(&folder, &["hash-secret", "--chosen"]);
    assert!(printed.starts_with("exit 1\n") && printed.contains("--generate"), "{printed}");
}
