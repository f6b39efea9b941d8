//! The program as a process: what passes through the gateway, what the commands print, and how the gateway copes with
//! failures.

#![allow(clippy::print_stdout, reason = "the tests print measurements")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so")]

mod audit_flood;
mod check_online;
mod cli;
mod client_authentication;
mod client_methods;
mod cryptography;
mod documents;
mod dpop;
mod foreign_issuers;
mod http2;
#[cfg(target_os = "linux")]
mod memory;
mod metadata;
mod operation;
mod paths;
#[path = "../process.rs"]
mod process;
mod proxy;
mod reload;
#[cfg(target_os = "linux")]
#[path = "../scan.rs"]
mod scan;
mod schema;
mod server_tokens;
mod servers_page;
mod tls;
mod upstream;
mod wire;

use process::{Folder, Gateway, exchange_bytes, own_token, wait_for};
use serde_json::Value;
use std::io::Write;
use upstream::Upstream;

/// A configuration with which the gateway starts without asking the server. Tests fill in the words in braces.
const CONFIGURATION: &str = include_str!("gateway.toml");

/// The public URL of the gateway in these tests. The gateway listens at another address, whose port the system chooses.
const ISSUER: &str = "http://gateway.test";

/// The configuration with these addresses.
fn configuration(port: u16, admin: u16, issuer: &str, upstream: u16) -> String {
    CONFIGURATION
        .replace("{port}", &port.to_string())
        .replace("{admin}", &admin.to_string())
        .replace("{issuer}", issuer)
        .replace("{upstream}", &upstream.to_string())
}

/// An authorization server that knows the secret of `orders`, and a gateway in front of the server.
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
        wait_for("token exchange is available", || world.gateway.health()["waiting_for"].is_null());
        world
    }

    /// A world whose gateway may still wait for the server.
    fn waiting(change: impl FnOnce(&Folder, String) -> String) -> Self {
        let (folder, upstream) = (Folder::new(), Upstream::start());
        folder.keygen("active.pem");
        upstream.answers("/jwks", "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"keys\":[]}");
        upstream.does("/token", |stream, request| {
            let known = String::from_utf8_lossy(request).contains(BASIC);
            let answer = if known { answer(200, r#"{"access_token":"x"}"#) } else { answer(401, "{}") };
            stream.write_all(&answer).unwrap_or_default();
        });
        // A token endpoint that accepts any secret.
        upstream.answers("/open", "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"access_token\":\"x\"}");
        folder.write("gateway.toml", &change(&folder, configuration(0, 0, ISSUER, upstream.port)));
        let gateway = Gateway::start(&folder);
        Self { upstream, gateway, folder }
    }

    /// A form, sent with the credentials of `orders`.
    fn post(&self, path: &str, form: &str) -> (u16, String) {
        let length = form.len();
        let head = format!(
            "POST {path} HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\nAuthorization: {BASIC}\nContent-Length: {length}"
        );
        self.send(&[self.request(&head), form.into()].concat())
    }

    fn get(&self, path: &str) -> (u16, String) {
        self.send(&self.request(&format!("GET {path} HTTP/1.1")))
    }

    /// A token that was issued by an exchange.
    fn issued(&self) -> String {
        let (status, body) = self.send(&self.exchange());
        assert_eq!(status, 200, "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        body["access_token"].as_str().unwrap().to_owned()
    }

    /// A request for the public host, from its first line and its headers.
    fn request(&self, head: &str) -> Vec<u8> {
        let head = head.trim_end().replace('\n', "\r\n");
        format!("{head}\r\nHost: gateway.test\r\nConnection: close\r\n\r\n").into_bytes()
    }

    /// An exchange of a token of Alice for one at `billing`.
    fn exchange(&self) -> Vec<u8> {
        self.exchange_with(&[])
    }

    /// An exchange with further parameters.
    fn exchange_with(&self, more: &[(&str, &str)]) -> Vec<u8> {
        self.exchange_token(&own_token(&self.folder, ISSUER), more)
    }

    fn exchange_token(&self, subject_token: &str, more: &[(&str, &str)]) -> Vec<u8> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", tower_token_exchange::GRANT_TYPE)
            .append_pair("subject_token", subject_token)
            .append_pair("subject_token_type", "urn:ietf:params:oauth:token-type:access_token")
            .append_pair("audience", "billing")
            .extend_pairs(more)
            .finish();
        let length = form.len();
        let head = format!(
            "POST /token HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\nAuthorization: {BASIC}\nContent-Length: {length}"
        );
        [self.request(&head), form.into()].concat()
    }

    /// The same exchange at another path.
    fn exchange_at(&self, path: &str) -> Vec<u8> {
        let exchange = String::from_utf8(self.exchange()).unwrap();
        exchange.replacen("POST /token ", &format!("POST {path} "), 1).into_bytes()
    }

    /// Sends bytes, and returns the status and the body of the answer.
    fn send(&self, request: &[u8]) -> (u16, String) {
        let answer = exchange_bytes(self.gateway.port, request).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

/// The configuration with this text in place of the paths.
fn with_paths(configuration: &str, paths: &str) -> String {
    let (before, rest) = configuration.split_once("[paths]").unwrap();
    format!("{before}{paths}\n[keys]{}", rest.split_once("[keys]").unwrap().1)
}

fn answer(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}
