//! The gateway between independent programs: the authorization server `oidc-provider`, the clients `openid-client`,
//! `oauth4webapi`, `google-auth`, `requests-oauth2client`, `authlib` and `huskarl`, and the verifiers `jose` and PyJWT.
//!
//! `.ci/run` installs these programs, names their folder in `INTEROP_DIR`, and runs these tests with `--include-ignored`.

#![allow(clippy::print_stdout, reason = "the tests print measurements")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so")]

mod failures;
mod methods;
#[path = "../process.rs"]
mod process;

use process::{Folder, Gateway, Process, free_port, get, wait_for};
use serde_json::{Value, json};
use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// An authorization server without token exchange, a gateway in front of it, and clients of both.
struct World {
    programs: PathBuf,
    folder: Folder,
    provider: Option<Process>,
    provider_port: u16,
    gateway: Option<Gateway>,
    ports: (u16, u16),
    /// The scheme of the public URL.
    scheme: &'static str,
    configuration: String,
}

fn secret(client: &str) -> String {
    format!("{client}-secret-0123456789abcdef")
}

impl World {
    fn start() -> Self {
        Self::start_with("http", |_| include_str!("gateway.toml").to_owned())
    }

    /// Starts a world with a public URL of this scheme, and with a configuration that may have further files.
    fn start_with(scheme: &'static str, configuration: impl FnOnce(&Folder) -> String) -> Self {
        let programs = env::var_os("INTEROP_DIR").map(PathBuf::from);
        let programs = programs.expect("INTEROP_DIR names the folder of the programs that `.ci/run` installs");
        let folder = Folder::new();
        folder.keygen("first.pem");
        folder.write("gateway.secret", &secret("gateway"));
        let configuration = configuration(&folder);
        let mut world = Self {
            programs,
            folder,
            provider: None,
            provider_port: free_port(),
            gateway: None,
            ports: (free_port(), free_port()),
            scheme,
            configuration,
        };
        world.configure(r#"active = { file = "first.pem" }"#);
        world.start_provider();
        world.start_gateway();
        world
    }

    fn configure(&self, keys: &str) {
        let (port, admin) = self.ports;
        let text = self
            .configuration
            .replace("{port}", &port.to_string())
            .replace("{admin}", &admin.to_string())
            .replace("{upstream}", &self.provider_port.to_string())
            .replace("{keys}", keys);
        self.folder.write("ancestry.key", &"k".repeat(32));
        self.folder.write("gateway.toml", &text);
    }

    fn start_provider(&mut self) {
        let mut command = Command::new("node");
        command.arg(self.programs.join("provider.mjs")).args([&self.provider_port.to_string(), &self.url()]);
        command.arg(self.folder.0.join("provider-keys.json"));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        self.provider = Some(Process(command.spawn().unwrap()));
        wait_for("the provider listens", || get(self.provider_port, "/jwks").is_some());
    }

    fn start_gateway(&mut self) {
        let gateway = Gateway::start(&self.folder);
        wait_for("the gateway is ready", || gateway.is_ready());
        self.gateway = Some(gateway);
    }

    fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.ports.0)
    }

    fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().unwrap()
    }

    /// Runs a script that prints one line of JSON.
    fn run(&self, program: &str, script: &str, arguments: &[&str]) -> Result<Value, String> {
        let mut command =
            Command::new(if program == "python" { self.programs.join("venv/bin/python") } else { program.into() });
        output(command.arg(self.programs.join(script)).args(arguments))
    }

    /// Runs a compiled program that prints one line of JSON.
    fn run_program(&self, path: &str, arguments: &[&str]) -> Result<Value, String> {
        output(Command::new(self.programs.join(path)).args(arguments))
    }

    /// `openid-client`.
    fn client(&self, command: &str, arguments: &[&str]) -> Value {
        self.run("node", "client.mjs", &[&[command, &self.url()], arguments].concat()).unwrap()
    }

    fn login(&self, resource: &str) -> String {
        text(&self.client("login", &[resource])["access_token"])
    }

    fn exchange(&self, client: &str, token: &str, target: &str) -> Value {
        self.client("exchange", &[client, &secret(client), token, target])
    }

    fn introspect(&self, client: &str, token: &str) -> Value {
        self.client("introspect", &[client, &secret(client), token])
    }

    /// The claims of a token, which `jose` and PyJWT must read alike.
    fn verified(&self, token: &str, audience: &str) -> Value {
        let arguments = [&*format!("{}/jwks", self.url()), &self.url(), audience, token];
        let jose = self.run("node", "verify.mjs", &arguments).unwrap();
        let pyjwt = self.run("python", "client.py", &[&["verify"], &arguments[..]].concat()).unwrap();
        assert_eq!(jose["payload"], pyjwt["payload"]);
        jose["payload"].clone()
    }
}

fn output(command: &mut Command) -> Result<Value, String> {
    let done = command.output().unwrap();
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into_owned());
    }
    Ok(serde_json::from_slice(&done.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&done.stdout))))
}

/// The claims of a JWT, which is not verified here.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&data_encoding::BASE64URL_NOPAD.decode(payload.as_bytes()).unwrap()).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

#[test]
#[ignore = "needs the programs that .ci/run installs"]
fn an_issued_token_works_until_it_is_revoked() {
    let mut world = World::start();
    let metadata = world.client("metadata", &[]);
    assert!(metadata["grant_types_supported"].as_array().unwrap().contains(&json!(EXCHANGE)), "{metadata}");

    // The ordinary grants work through the gateway, and their tokens verify.
    let alice = world.login("https://orders.example");
    assert_eq!(world.verified(&alice, "https://orders.example")["sub"], "alice");

    // Two independent clients exchange the same token.
    let by_openid_client = world.exchange("orders", &alice, "billing");
    let endpoint = format!("{}/token", world.url());
    let arguments = ["exchange", &endpoint, "orders", &secret("orders"), &alice, "billing", "invoices:read"];
    let by_google_auth = world.run("python", "client.py", &arguments).unwrap();
    let mut tokens = Vec::new();
    for answer in [&by_openid_client, &by_google_auth] {
        assert_eq!(answer["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token", "{answer}");
        assert_eq!(answer["scope"], "invoices:read");
        assert!(answer["expires_in"].as_u64().is_some_and(|seconds| (1..=300).contains(&seconds)));
        let token = text(&answer["access_token"]);
        let claims = world.verified(&token, "https://billing.example");
        assert_eq!(claims["sub"], "alice");
        assert_eq!(claims["act"], json!({ "sub": "orders" }));
        assert_eq!(claims["iss"], world.url());
        // The actor and the target can introspect the token.
        for client in ["orders", "billing"] {
            let told = world.introspect(client, &token);
            assert_eq!(told["active"], true, "{client}");
            for claim in ["sub", "act", "aud", "scope", "client_id", "exp", "iat", "jti", "iss"] {
                assert_eq!(told[claim], claims[claim], "{claim}");
            }
        }
        assert_eq!(world.introspect("gateway", &token), json!({ "active": false }));
        tokens.push(token);
    }

    // The next exchange extends the chain of actors.
    let next = world.exchange("billing", &tokens[0], "archive");
    let claims = world.verified(&text(&next["access_token"]), "https://archive.example");
    assert_eq!(claims["act"], json!({ "sub": "billing", "act": { "sub": "orders" } }));

    // A revoked token is inactive and cannot be exchanged, also after a restart. The other token is not affected.
    world.client("revoke", &["orders", &secret("orders"), &tokens[0]]);
    for restarted in [false, true] {
        if restarted {
            world.gateway.take().unwrap().process.stop();
            world.start_gateway();
        }
        assert_eq!(world.introspect("orders", &tokens[0]), json!({ "active": false }));
        assert_eq!(world.exchange("billing", &tokens[0], "archive")["error"], "invalid_request");
        assert_eq!(world.introspect("orders", &tokens[1])["active"], true);
        assert!(world.exchange("billing", &tokens[1], "archive")["access_token"].is_string());
    }

    // The audit has one line for every attempt.
    let events: Vec<Value> =
        world.folder.read("audit.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |outcome: &str| events.iter().filter(|event| event["outcome"] == outcome).count();
    assert_eq!((of("issued"), of("denied"), of("error")), (5, 2, 0));
    assert!(events.iter().filter(|event| event["outcome"] == "denied").all(|event| event["reason"] == "token_revoked"));
}

#[test]
#[ignore = "needs the programs that .ci/run installs"]
fn the_server_still_decides_about_its_own_tokens() {
    let world = World::start();
    // The gateway asks the server about opaque tokens.
    let opaque = world.login("https://ledger.example");
    assert!(!opaque.contains('.'));
    let answer = world.exchange("billing", &opaque, "archive");
    let claims = world.verified(&text(&answer["access_token"]), "https://archive.example");
    assert_eq!((&claims["sub"], &claims["act"]), (&json!("alice"), &json!({ "sub": "billing" })));

    // Introspection and revocation of the tokens of the server reach the server.
    let own =
        text(&world.client("client-token", &["orders", &secret("orders"), "https://ledger.example"])["access_token"]);
    assert_eq!(world.introspect("gateway", &own)["client_id"], "orders");
    world.client("revoke", &["orders", &secret("orders"), &own]);
    assert_eq!(world.introspect("gateway", &own), json!({ "active": false }));

    // The server decides about client secrets.
    let wrong = world.client("exchange", &["billing", "not-the-secret-of-billing", &opaque, "archive"]);
    assert_eq!((&wrong["error"], &wrong["status"]), (&json!("invalid_client"), &json!(401)));
    // A client without a record cannot exchange tokens.
    assert_eq!(world.exchange("gateway", &opaque, "archive")["error"], "unauthorized_client");
    // A client cannot exchange a token that was issued for another client.
    let alice = world.login("https://orders.example");
    assert_eq!(world.exchange("billing", &alice, "archive")["error"], "invalid_request");
}
