//! `[upstream.tokens]` and `upstream.preset` describe the tokens of the server. Tokens that the gateway issued keep their
//! own rules.

use crate::{
    ISSUER, answer, configuration,
    process::{Folder, Gateway, exchange_bytes, wait_for},
    upstream::Upstream,
};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::{Value, json};
use std::{io::Write, time::Duration};
use tower_token_exchange::signing::{Algorithm, LocalSigner};

/// The records of a second hop: `billing` exchanges what it received for a token at `ledger`.
const SECOND_HOP: &str = r#"
[[client]]
id = "billing"

[[target]]
id = "ledger"
aud = "https://ledger.example"
callers = ["billing"]
scopes = ["read"]

[[rule]]
clients = "billing"
subjects = { issuer = "http://gateway.test" }
targets = "ledger"
scopes = ["read"]
"#;

/// A server with keys of its own, and a gateway in front of the server.
struct Server {
    key: LocalSigner,
    upstream: Upstream,
    folder: Folder,
    gateway: Gateway,
}

impl Server {
    fn start(upstream_keys: &str) -> Self {
        let (folder, upstream) = (Folder::new(), Upstream::start());
        let key = LocalSigner::generate(Algorithm::ES256).unwrap();
        upstream.answers("/jwks", answer(200, &key.published_keys().to_json()));
        upstream.does("/token", |stream, request| {
            let request = String::from_utf8_lossy(request).into_owned();
            let is_known = ["orders", "billing"].iter().any(|client| request.contains(&basic(client)));
            let answer = if is_known { answer(200, r#"{"access_token":"x"}"#) } else { answer(401, "{}") };
            stream.write_all(&answer).unwrap_or_default();
        });
        folder.keygen("active.pem");
        folder.write("gateway.secret", "the-secret-of-the-gateway\n");
        let text = configuration(0, 0, ISSUER, upstream.port)
            .replace("\n[paths]", &format!("{upstream_keys}\n\n[paths]"))
            .replace("aud = \"https://billing.example\"", "aud = \"https://billing.example\"\nowner = \"billing\"");
        folder.write("gateway.toml", &format!("{text}{SECOND_HOP}"));
        let gateway = Gateway::start(&folder);
        wait_for("token exchange is available", || gateway.health()["waiting_for"].is_null());
        Self { key, upstream, folder, gateway }
    }

    /// A token of the server for Alice, with these changes to the header and the claims.
    fn token(&self, header: Value, claims: Value) -> String {
        let header = merged(json!({ "alg": "ES256", "kid": self.key.key_id() }), header);
        let claims = merged(
            json!({ "iss": ISSUER, "sub": "alice", "aud": "https://orders.example", "exp": 9_999_999_999_u64 }),
            claims,
        );
        let segment = |json: &Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
        let signed = format!("{}.{}", segment(&header), segment(&claims));
        format!("{signed}.{}", BASE64URL_NOPAD.encode(&self.key.sign(signed.as_bytes()).unwrap()))
    }

    /// Exchanges a token, and returns the issued token or the reason in the audit event.
    fn exchange(&self, client: &str, token: &str, target: &str) -> Result<String, String> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", tower_token_exchange::GRANT_TYPE)
            .append_pair("subject_token", token)
            .append_pair("subject_token_type", "urn:ietf:params:oauth:token-type:access_token")
            .append_pair("audience", target)
            .finish();
        let request = format!(
            "POST /token HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Authorization: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{form}",
            basic(client),
            form.len()
        );
        let answer = exchange_bytes(self.gateway.port, request.as_bytes()).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        match body["access_token"].as_str() {
            Some(issued) => Ok(issued.to_owned()),
            None => {
                let audit = self.folder.read("audit.jsonl");
                let event: Value = serde_json::from_str(audit.lines().last().unwrap()).unwrap();
                Err(event["reason"].as_str().unwrap().to_owned())
            }
        }
    }
}

fn basic(client: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{client}:a-secret-of-{client}").as_bytes()))
}

fn merged(mut base: Value, changes: Value) -> Value {
    let changes = changes.as_object().unwrap().clone();
    base.as_object_mut().unwrap().extend(changes);
    base.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    base
}

fn claim(token: &str, name: &str) -> Value {
    let claims = BASE64URL_NOPAD.decode(token.split('.').nth(1).unwrap().as_bytes()).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()[name].clone()
}

#[test]
fn issued_tokens_pass_a_second_hop() {
    let okta = json!({ "scp": ["read"], "cid": "web" });
    for keys in
        ["preset = \"okta\"", "tokens = { allow_untyped = true, scope_claim = \"scp\", presenter_claim = \"cid\" }"]
    {
        let server = Server::start(keys);
        let first = server.exchange("orders", &server.token(json!({}), okta.clone()), "billing").unwrap();
        let second = server.exchange("billing", &first, "ledger").unwrap();
        assert_eq!((claim(&second, "sub"), claim(&second, "scope")), (json!("alice"), json!("read")), "{keys}");
        // A token of the server that the description does not fit.
        let id_token = server.token(json!({}), json!({ "nonce": "n" }));
        assert_eq!(server.exchange("orders", &id_token, "billing"), Err("token_type_confused".to_owned()), "{keys}");
    }
}

#[test]
fn a_page_for_a_moment_replaces_no_keys() {
    let server = Server::start("tokens = { allow_untyped = true }");
    let token = server.token(json!({}), json!({ "scope": "read", "client_id": "web" }));
    server.exchange("orders", &token, "billing").unwrap();
    for (status, body) in [(200, "<html>"), (200, ""), (404, "{}")] {
        server.upstream.answers("/jwks", answer(status, body));
        // The gateway looks for the endpoints of the server when its configuration changes.
        server.upstream.seen("/jwks");
        server.gateway.process.signal("-HUP");
        wait_for("the gateway looks for keys", || !server.upstream.seen("/jwks").is_empty());
        std::thread::sleep(Duration::from_millis(300));
        server.exchange("orders", &token, "billing").unwrap_or_else(|reason| panic!("{status} {body}: {reason}"));
    }
    // A key set without keys is an answer.
    server.upstream.answers("/jwks", answer(200, r#"{"keys":[]}"#));
    wait_for("the keys are gone", || {
        server.gateway.process.signal("-HUP");
        server.exchange("orders", &token, "billing") == Err("token_key_unknown".to_owned())
    });
}

#[test]
fn without_a_description_the_tokens_are_refused() {
    let server = Server::start("");
    let token = server.token(json!({}), json!({ "scp": ["read"], "cid": "web" }));
    assert_eq!(server.exchange("orders", &token, "billing"), Err("token_type_confused".to_owned()));
}

#[test]
fn keys_of_the_description_have_precedence() {
    let statement = |tokens: &str| format!("preset = \"cognito\"\n\n[upstream.tokens]\n{tokens}");
    let token = |server: &Server| {
        server.token(json!({}), json!({ "aud": null, "client_id": "web", "scope": "read", "token_use": "access" }))
    };
    for (tokens, expected) in [
        ("", Err("presenter_unrelated")),
        ("presenters = [\"orders\"]", Ok(())),
        ("absent_aud = \"https://orders.example\"", Ok(())),
        ("absent_aud = \"https://ledger.example\"", Err("presenter_unrelated")),
        ("allow_absent_aud = false\npresenters = [\"orders\"]", Err("presenter_unknown")),
        ("allow_untyped = false\npresenters = [\"orders\"]", Err("token_type_confused")),
        ("require_value = { token_use = \"id\" }\npresenters = [\"orders\"]", Err("token_claim_required")),
    ] {
        let server = Server::start(&statement(tokens));
        let found = server.exchange("orders", &token(&server), "billing");
        assert_eq!(found.map(|_| ()), expected.map_err(str::to_owned), "{tokens}");
    }
}

#[test]
fn opaque_tokens_follow_the_preset() {
    let introspection = "introspection = { client_id = \"gateway\", client_secret_file = \"gateway.secret\" }";
    let answered = r#"{"active":true,"scope":"read","client_id":"web","username":"alice","exp":9999999999}"#;
    for (keys, expected) in [
        (introspection.to_owned(), Err("token_type_confused")),
        (format!("preset = \"django-oauth-toolkit\"\n{introspection}"), Err("presenter_unrelated")),
        (
            format!("preset = \"django-oauth-toolkit\"\n{introspection}\n[upstream.tokens]\npresenters = [\"orders\"]"),
            Ok("alice"),
        ),
    ] {
        let server = Server::start(&keys);
        server.upstream.does("/introspect", move |stream, request| {
            let request = String::from_utf8_lossy(request).into_owned();
            let basic = format!("Basic {}", BASE64.encode(b"gateway:the-secret-of-the-gateway"));
            let body = if request.contains(&basic) { answered } else { "{}" };
            let answer = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).unwrap_or_default();
        });
        let found = server.exchange("orders", "zq9opaque", "billing").map(|token| claim(&token, "sub"));
        assert_eq!(found, expected.map(|sub| json!(sub)).map_err(str::to_owned), "{keys}");
    }
}

#[test]
fn a_changed_description_counts_at_once() {
    let server = Server::start("");
    let token = server.token(json!({}), json!({ "scp": ["read"], "cid": "web" }));
    assert_eq!(server.exchange("orders", &token, "billing"), Err("token_type_confused".to_owned()));
    let text = server.folder.read("gateway.toml");
    server.folder.write("gateway.toml", &text.replace("\n[paths]", "preset = \"okta\"\n\n[paths]"));
    wait_for("the tokens of the server are known", || server.exchange("orders", &token, "billing").is_ok());
    server.folder.write("gateway.toml", &text);
    wait_for("the tokens of the server are unknown again", || server.exchange("orders", &token, "billing").is_err());
}

#[test]
fn explain_names_the_keys_of_the_server() {
    let server = Server::start("");
    let explained = |token: &str| {
        server.folder.write("subject.jwt", token);
        let arguments = ["explain", "--client", "orders", "--token", "subject.jwt", "--target", "billing"];
        String::from_utf8(server.folder.run(&arguments).stdout).unwrap()
    };
    // A claim with the value `null` is absent in the token.
    let with = |changes: &Value| {
        let mut claims = json!({ "client_id": "web", "scope": "read" });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        claims
    };
    let typed = json!({ "typ": "at+jwt" });
    for (header, changes, key) in [
        (json!({}), json!({}), "`upstream.tokens.allow_untyped`"),
        (typed.clone(), json!({ "scope": ["read"] }), "`upstream.tokens.scope_claim`"),
        (typed.clone(), json!({ "sub": null }), "`upstream.tokens.subject_claim`"),
        (typed.clone(), json!({ "aud": null }), "`upstream.tokens.absent_aud`"),
        (typed.clone(), json!({ "aud": [] }), "`upstream.tokens.empty_aud`"),
        (typed.clone(), json!({ "aud": ["https://orders.example", "x"] }), "`upstream.tokens.ignored_audiences`"),
        (typed.clone(), json!({ "aud": "account" }), "`upstream.tokens.presenters`"),
        (typed.clone(), json!({ "iss": null }), "`upstream.tokens.allow_absent_iss`"),
        (json!({ "typ": "at+jwt", "alg": "HS256" }), json!({}), "`upstream.introspection.introspect`"),
    ] {
        let text = explained(&server.token(header, with(&changes)));
        assert!(text.contains(key), "{changes}: {text}");
    }
    // The record of another issuer has other keys.
    let foreign = explained(&server.token(typed, with(&json!({ "iss": "https://idp.example" }))));
    assert!(foreign.contains("[[issuer]]") && !foreign.contains("upstream.tokens"), "{foreign}");
    // An opaque token without a description.
    assert!(explained("zq9opaque").contains("`upstream.introspection`"));
}
