//! The gateway of `examples/gateway` as a process: what passes through it, what it says of a configuration, and what it
//! does on bad days.

#![allow(clippy::print_stdout, reason = "what was measured is worth reading")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so")]

mod checks;
mod days;
mod documents;
#[path = "../process.rs"]
mod process;
mod proxy;
mod raw;
mod tls;
mod upstream;

use process::{Folder, Gateway, exchange_bytes, free_port, wait_for};
use serde_json::{Value, json};
use std::io::Write;
use tower_token_exchange::signing::{Algorithm, LocalSigner};
use upstream::Upstream;

/// A configuration that needs nothing from the legacy server to start. The words in braces are for the test to say.
const CONFIGURATION: &str = include_str!("gateway.toml");

/// The configuration with these ports.
fn configured(port: u16, admin: u16, upstream: u16) -> String {
    CONFIGURATION
        .replace("{port}", &port.to_string())
        .replace("{admin}", &admin.to_string())
        .replace("{upstream}", &upstream.to_string())
}

/// A legacy server that knows the secret of `orders`, and a gateway in front of it.
struct World {
    upstream: Upstream,
    gateway: Gateway,
    folder: Folder,
}

const BASIC: &str = "Basic b3JkZXJzOmEtc2VjcmV0LW9mLW9yZGVycw==";

impl World {
    fn start(change: impl FnOnce(String) -> String) -> Self {
        Self::start_in(|_, configuration| change(configuration))
    }

    fn start_in(change: impl FnOnce(&Folder, String) -> String) -> Self {
        let world = Self::waiting(change);
        wait_for("token exchange is there", || world.gateway.standing()["waiting_for"].is_null());
        world
    }

    /// One that may still have to find out about the legacy server.
    fn waiting(change: impl FnOnce(&Folder, String) -> String) -> Self {
        let (folder, upstream) = (Folder::new(), Upstream::start());
        let (port, admin) = (free_port(), free_port());
        folder.keygen("active.pem");
        upstream.answers("/jwks", "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"keys\":[]}");
        upstream.does("/token", |stream, request| {
            let known = String::from_utf8_lossy(request).contains(BASIC);
            let answer = if known { answer(200, r#"{"access_token":"x"}"#) } else { answer(401, "{}") };
            stream.write_all(&answer).unwrap_or_default();
        });
        // A token endpoint that takes any secret.
        upstream.answers("/open", "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"access_token\":\"x\"}");
        folder.write("gateway.toml", &change(&folder, configured(port, admin, upstream.port)));
        let gateway = Gateway::start(&folder, port, admin);
        Self { upstream, gateway, folder }
    }

    /// A request for the public host: its method and target, and more headers.
    fn request(&self, head: &str) -> Vec<u8> {
        let host = format!("Host: 127.0.0.1:{}\r\nConnection: close\r\n\r\n", self.gateway.port);
        format!("{}\r\n{host}", head.trim_end().replace('\n', "\r\n")).into_bytes()
    }

    /// An exchange of a token of Alice's at `billing`.
    fn exchange(&self) -> Vec<u8> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", tower_token_exchange::GRANT_TYPE)
            .append_pair("subject_token", &own_token(&self.folder, self.gateway.port))
            .append_pair("subject_token_type", "urn:ietf:params:oauth:token-type:access_token")
            .append_pair("audience", "billing")
            .finish();
        let length = form.len();
        let head = format!(
            "POST /token HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\nAuthorization: {BASIC}\nContent-Length: {length}"
        );
        [self.request(&head), form.into()].concat()
    }

    /// What is answered to bytes: the status, and the body.
    fn send(&self, request: &[u8]) -> (u16, String) {
        let answer = exchange_bytes(self.gateway.port, request).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

fn answer(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

/// A token with which Alice called `orders`, signed with the gateway's own key.
fn own_token(folder: &Folder, port: u16) -> String {
    let key = LocalSigner::from_pem(Algorithm::ES256, folder.read("active.pem")).unwrap();
    let segment = |json: Value| data_encoding::BASE64URL_NOPAD.encode(json.to_string().as_bytes());
    let header = json!({ "alg": "ES256", "kid": key.key_id(), "typ": "at+jwt" });
    let claims = json!({
        "iss": format!("http://127.0.0.1:{port}"), "sub": "alice", "aud": "https://orders.example", "client_id": "web",
        "scope": "read", "exp": 9_999_999_999_u64, "iat": 1_700_000_000, "jti": "subject-1",
    });
    let signed = format!("{}.{}", segment(header), segment(claims));
    let signature = key.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", data_encoding::BASE64URL_NOPAD.encode(&signature))
}
