//! `check --online` on set-ups in which no exchange can succeed, or in which some cannot.

use crate::{
    ISSUER,
    cli::output,
    configuration,
    process::{Folder, Gateway, wait_for},
    tls,
    upstream::Upstream,
    with_paths,
};
use serde_json::{Value, json};
use std::{fmt::Write as _, io::Write as _};
use tower_token_exchange::signing::{Algorithm, LocalSigner};

const OPENID: &str = "/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server";

/// An answer in JSON, unless the body is a page.
fn answer(status: u16, body: &str) -> Vec<u8> {
    let media_type = if body.starts_with('<') { "text/html" } else { "application/json" };
    let answer = String::from_utf8(crate::answer(status, body)).unwrap();
    answer.replacen("Connection", &format!("Content-Type: {media_type}\r\nConnection"), 1).into_bytes()
}

/// `gateway` and `a-secret-of-the-gateway`.
const GATEWAY: &str = "Basic Z2F0ZXdheTphLXNlY3JldC1vZi10aGUtZ2F0ZXdheQ==";

/// A server that has everything, and a gateway that finds everything in its metadata.
struct SetUp {
    folder: Folder,
    server: Upstream,
    configuration: String,
}

impl SetUp {
    fn new() -> Self {
        let (folder, server) = (Folder::new(), Upstream::start());
        folder.keygen("active.pem");
        folder.write("gateway.secret", "a-secret-of-the-gateway");
        let introspection = r#"introspection = { client_id = "gateway", client_secret_file = "gateway.secret" }"#;
        let configuration = with_paths(&configuration(8080, 9090, ISSUER, server.port), "").replace(
            "authenticate_clients_by = \"client_credentials\"",
            &format!("authenticate_clients_by = \"introspection\"\n{introspection}"),
        );
        let set_up = Self { folder, server, configuration };
        set_up.has_metadata(|_| {});
        set_up.server.answers("/jwks", answer(200, &key_set(Algorithm::ES256, "of-the-server")));
        for (path, yes) in [("/introspect", r#"{"active":false}"#), ("/token", r#"{"access_token":"x"}"#)] {
            set_up.server.does(path, move |stream, request| {
                let known = String::from_utf8_lossy(request).contains(GATEWAY);
                let _ = stream.write_all(&if known { answer(200, yes) } else { answer(401, INVALID_CLIENT) });
            });
        }
        set_up.server.answers("/revoke", answer(200, ""));
        set_up.server.answers("/", answer(200, ""));
        set_up
    }

    fn has_metadata(&self, change: impl FnOnce(&mut Value)) {
        let mut metadata = json!({
            "issuer": ISSUER,
            "token_endpoint": format!("{ISSUER}/token"),
            "jwks_uri": format!("{ISSUER}/jwks"),
            "introspection_endpoint": format!("{ISSUER}/introspect"),
            "revocation_endpoint": format!("{ISSUER}/revoke"),
        });
        change(&mut metadata);
        self.server.answers(OAUTH, answer(200, &metadata.to_string()));
    }

    fn replace(&mut self, from: &str, to: &str) {
        assert!(self.configuration.contains(from), "{from}");
        self.configuration = self.configuration.replacen(from, to, 1);
    }

    /// Sets keys of `[upstream]`.
    fn upstream(&mut self, keys: &str) {
        self.replace("authenticate_clients_by", &format!("{keys}\nauthenticate_clients_by"));
    }

    /// Sets another URL of the server.
    fn url(&mut self, url: &str) {
        self.replace(&format!("http://127.0.0.1:{}", self.server.port), url);
    }

    /// What `check --online` prints, without the ports of this run.
    fn report(&self) -> String {
        self.folder.write("gateway.toml", &self.configuration);
        let report = output(&self.folder, &["check", "--online"]);
        let lines = report
            .lines()
            .filter(|line| ["exit", "✓", "✗", "error", "gateway.toml"].iter().any(|start| line.starts_with(start)));
        lines.map(without_ports).collect::<Vec<_>>().join("\n")
    }
}

const INVALID_CLIENT: &str = r#"{"error":"invalid_client"}"#;

fn key_set(algorithm: Algorithm, kid: &str) -> String {
    match algorithm {
        Algorithm::RS256 => json!({ "keys": [{ "kty": "RSA", "kid": kid, "n": MODULUS, "e": "AQAB" }] }).to_string(),
        other => {
            let key = LocalSigner::generate(other).unwrap().with_key_id(kid.parse().unwrap());
            key.published_keys().to_json()
        }
    }
}

/// The modulus of a public RSA key that nobody uses.
const MODULUS: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

/// A line with `PORT` in place of the ports that the system chose.
fn without_ports(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("127.0.0.1:") {
        let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
        let _ = write!(text, "{before}127.0.0.1:PORT");
        rest = after;
    }
    text + rest
}

/// A change of a set-up.
type Change = fn(&mut SetUp);

const WRONG: &[(&str, Change)] = &[
    ("no mistake", |_| {}),
    ("nothing listens at the address", |set_up| set_up.url("http://127.0.0.1:9")),
    ("a certificate for another name", |set_up| {
        let (port, ca) = tls::server_for("as.example");
        set_up.folder.write("ca.pem", &ca);
        set_up.url(&format!("https://127.0.0.1:{port}"));
        set_up.upstream("ca = \"ca.pem\"");
    }),
    ("a certificate of an unknown authority", |set_up| {
        let (port, _) = tls::server_for("127.0.0.1");
        set_up.url(&format!("https://127.0.0.1:{port}"));
    }),
    ("no metadata and no paths", |set_up| set_up.server.answers(OAUTH, answer(404, ""))),
    ("an issuer without its path", |set_up| {
        set_up.server.answers(OAUTH, answer(404, ""));
        let metadata = json!({ "issuer": format!("{ISSUER}/o") });
        set_up.server.answers("/o/.well-known/openid-configuration", answer(200, &metadata.to_string()));
        set_up.server.answers("/o/token", answer(401, INVALID_CLIENT));
        let paths = "token = \"/o/token\"\njwks = \"/jwks\"\nintrospection = \"/introspect\"\nrevocation = \"/revoke\"";
        set_up.replace("[keys]", &format!("[paths]\n{paths}\n\n[keys]"));
    }),
    ("a page in place of the metadata", |set_up| {
        for path in [OPENID, OAUTH] {
            set_up.server.answers(path, answer(200, "<html>not found</html>"));
        }
    }),
    ("metadata of another issuer", |set_up| {
        set_up.has_metadata(|metadata| metadata["issuer"] = json!("https://other.example"));
    }),
    ("metadata without a token endpoint", |set_up| {
        set_up.has_metadata(|metadata| metadata["token_endpoint"] = Value::Null);
    }),
    ("endpoints at another host", |set_up| {
        set_up.has_metadata(|metadata| metadata["token_endpoint"] = json!("https://other.example/token"));
    }),
    ("a path that misses the metadata", |set_up| {
        set_up.replace("[keys]", "[paths]\ntoken = \"/oauth/token\"\n\n[keys]")
    }),
    ("an endpoint that does not exist", |set_up| {
        set_up.has_metadata(|metadata| metadata["token_endpoint"] = json!(format!("{ISSUER}/nowhere")));
    }),
    ("a wrong introspection secret", |set_up| set_up.folder.write("gateway.secret", "another-secret")),
    ("introspection without an endpoint", |set_up| {
        set_up.has_metadata(|metadata| metadata["introspection_endpoint"] = Value::Null);
    }),
    ("client credentials that are off", |set_up| {
        set_up.replace("clients_by = \"introspection\"", "clients_by = \"client_credentials\"");
        set_up.server.answers("/token", answer(400, r#"{"error":"unsupported_grant_type"}"#));
    }),
    ("a server that accepts any secret", |set_up| {
        set_up.server.answers("/introspect", answer(200, r#"{"active":false}"#));
    }),
    ("a server that gives all clients one answer", |set_up| {
        set_up.replace("clients_by = \"introspection\"", "clients_by = \"client_credentials\"");
        set_up.server.answers("/token", answer(403, "{}"));
    }),
    ("a server that limits the questions", |set_up| set_up.server.answers("/introspect", answer(429, ""))),
    ("a server with RSA keys", |set_up| {
        set_up.server.answers("/jwks", answer(200, &key_set(Algorithm::RS256, "of-the-server")));
    }),
    ("two keys with the same kid", |set_up| {
        set_up.server.answers("/jwks", answer(200, &key_set(Algorithm::ES256, "shared")));
        set_up.replace("active.pem\" }", "active.pem\", kid = \"shared\" }");
    }),
    ("a server without keys and introspection", |set_up| {
        set_up.server.answers("/jwks", answer(200, r#"{"keys":[]}"#));
        let begin = set_up.configuration.find("introspection = {").unwrap();
        let end = begin + set_up.configuration[begin..].find('\n').unwrap();
        set_up.configuration.replace_range(begin..end, "");
    }),
    ("another issuer whose keys cannot be fetched", |set_up| {
        let port = set_up.server.port;
        set_up.replace(
            "[[rule]]",
            &format!(
                "[[issuer]]\nissuer = \"https://idp.example\"\njwks_uri = \"http://127.0.0.1:{port}/none\"\n\
                 subjects = {{ prefix = \"idp|\" }}\npresenters = [\"orders\"]\n\n[fetch]\nallow_loopback_http = true\n\n[[rule]]"
            ),
        );
    }),
    ("a record of the server itself", |set_up| {
        set_up.replace(
            "[[rule]]",
            &format!("[[issuer]]\nissuer = \"{ISSUER}\"\njwks_uri = \"{ISSUER}/jwks\"\n\n[[rule]]"),
        );
    }),
    ("an audience that no target has", |set_up| {
        set_up.replace("[keys]", "[upstream.tokens]\nabsent_aud = \"https://order.example\"\n\n[keys]");
    }),
    ("an audience of another client", |set_up| {
        set_up.replace("[keys]", "[upstream.tokens]\nempty_aud = \"https://billing.example\"\n\n[keys]");
    }),
    ("keys that can never be fetched", |set_up| {
        set_up.replace(
            "[[rule]]",
            "[[issuer]]\nissuer = \"https://idp.example\"\njwks_uri = \"ftp://idp.example/jwks\"\n\
             subjects = { prefix = \"idp|\" }\npresenters = [\"orders\"]\n\n[[rule]]",
        );
    }),
    ("keys over plain HTTP", |set_up| {
        set_up.replace(
            "[[rule]]",
            "[[issuer]]\nissuer = \"https://idp.example\"\njwks_uri = \"http://idp.example/jwks\"\n\
             subjects = { prefix = \"idp|\" }\npresenters = [\"orders\"]\n\n[[rule]]",
        );
    }),
    ("an empty issuer", |set_up| set_up.replace(&format!("issuer = \"{ISSUER}\""), "issuer = \"\"")),
];

#[test]
fn check_online_fails_with_the_remedy() {
    let (mut report, mut succeeded) = (String::new(), Vec::new());
    for (name, change) in WRONG {
        let mut set_up = SetUp::new();
        change(&mut set_up);
        let found = set_up.report();
        succeeded.extend(found.starts_with("exit 0\n").then_some(*name));
        report.push_str(&format!("── {name}\n{found}\n"));
    }
    insta::assert_snapshot!("check_online", report);
    assert_eq!(succeeded, ["no mistake"]);
}

#[test]
fn readyz_and_the_log_tell_the_problems() {
    for (change, is_ready, expected) in [
        ((|_| {}) as Change, true, None),
        (|set_up| set_up.folder.write("gateway.secret", "another-secret"), true, Some("dry run: ")),
        (
            |set_up| set_up.has_metadata(|metadata| metadata["token_endpoint"] = json!(format!("{ISSUER}/nowhere"))),
            false,
            Some("paths.token: "),
        ),
    ] {
        let mut set_up = SetUp::new();
        change(&mut set_up);
        set_up.replace("127.0.0.1:8080", "127.0.0.1:0");
        set_up.replace("127.0.0.1:9090", "127.0.0.1:0");
        set_up.folder.write("gateway.toml", &set_up.configuration);
        let gateway = Gateway::start(&set_up.folder);
        let problems = || gateway.health()["problems"].as_array().cloned().unwrap_or_default();
        match expected {
            None => wait_for("the gateway is ready", || gateway.is_ready()),
            Some(start) => {
                let is_expected = |problem: &Value| problem.as_str().unwrap().starts_with(start);
                wait_for("the problem is known", || problems().iter().any(is_expected));
                wait_for("the log has the problem", || set_up.folder.read("log").contains("a check of the"));
            }
        }
        assert_eq!(gateway.is_ready(), is_ready, "{expected:?}: {}", gateway.health());
    }
}
