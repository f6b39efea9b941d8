//! The gateway in front of authorization servers by other authors, each in its documented configuration: a login at a
//! browser, exchanges by two stock clients, verification by two stock libraries, introspection, refresh, revocation, and
//! ordinary pages.
//!
//! `.ci/run` installs the servers, names their folder in `SERVERS_DIR`, and runs these tests with `--ignored`.

#![allow(clippy::print_stdout, reason = "the tests print measurements")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so")]

#[path = "../process.rs"]
mod process;
mod world;

use serde_json::json;
use world::{Login, Metadata, Server, World, claims, secret, text};

/// The lines of a configuration, without those of the clients, targets and rules.
const MOST_LINES: usize = 40;

const OIDC_PROVIDER: Server = Server {
    name: "oidc-provider",
    script: "server.mjs",
    ready: "/jwks",
    metadata: Metadata::At("/.well-known/openid-configuration"),
    page: ("/session/end", "/session/end/confirm"),
    user: ["alice", "alice-password"],
    logins: &[Login {
        client: "web",
        scope: "openid offline_access orders:read",
        resource: Some("https://orders.example"),
        revocable: false,
    }],
};

#[test]
#[ignore = "needs the servers that .ci/run installs"]
fn oidc_provider_passes_unchanged() {
    passes(OIDC_PROVIDER);
}

/// Everything that is promised about one server.
fn passes(server: Server) {
    let logins = server.logins;
    let world = World::start(server);
    assert!(world.lines() <= MOST_LINES, "{} lines", world.lines());
    world.page_is_unchanged();
    for (number, login) in logins.iter().enumerate() {
        let token = refreshed(&world, login);
        let [first, second] = exchanged(&world, &token);
        if number == 0 {
            println!(
                "{}: first exchange {:.1} s after the server ran, {} lines of configuration",
                world.server.name,
                world.first_exchange().as_secs_f64(),
                world.lines(),
            );
        }
        next_hop_and_revocation(&world, &first, &second);
        strangers_are_refused(&world, &token);
        own_token_is_the_servers(&world, login, &token);
    }
}

/// Logs in with the authorization code grant and PKCE, and refreshes the token.
fn refreshed(world: &World, login: &Login) -> String {
    let answer = world.login(login);
    let refreshed = world.python("refresh", &[login.client, &text(&answer["refresh_token"])]);
    let token = text(&refreshed["access_token"]);
    assert_ne!(token, text(&answer["access_token"]));
    token
}

/// Two stock clients exchange the token of the server, and two stock libraries verify what was issued.
fn exchanged(world: &World, token: &str) -> [String; 2] {
    let arguments = ["orders-api", &secret("orders-api"), token, "billing"];
    let subject = world.subject(token);
    [world.python("exchange", &arguments), world.python("exchange", &arguments)].map(|answer| {
        let issued = text(&answer["access_token"]);
        world.exchanged();
        let verified = world.python("verify", &[&issued, "https://billing.example"]);
        assert_eq!(verified, world.node("verify", &[&issued, "https://billing.example"]));
        assert_eq!(verified["sub"], subject);
        assert_eq!(verified["act"], json!({ "sub": "orders-api" }));
        assert_eq!(verified["iss"], world.issuer());
        assert_eq!(verified["scope"], "invoices:read");
        issued
    })
}

/// The next service extends the chain of actors, until the token is revoked.
fn next_hop_and_revocation(world: &World, first: &str, second: &str) {
    let hop = |token: &str| world.python("exchange", &["billing-api", &secret("billing-api"), token, "archive"]);
    let next = text(&hop(first)["access_token"]);
    assert_eq!(claims(&next)["act"], json!({ "sub": "billing-api", "act": { "sub": "orders-api" } }));

    for client in ["orders-api", "billing-api"] {
        assert_eq!(world.python("introspect", &[client, first])["active"], true, "{client}");
    }
    assert_eq!(world.python("revoke", &["orders-api", first]), json!({ "revoked": true }));
    assert_eq!(world.python("introspect", &["billing-api", first]), json!({ "active": false }));
    assert_eq!(hop(first)["error"], "invalid_request");
    assert!(hop(second)["access_token"].is_string());
}

/// The server decides about secrets, and a client without a record cannot exchange.
fn strangers_are_refused(world: &World, token: &str) {
    for (client, secret) in [("orders-api", "a-wrong-secret"), ("billing-api", "a-wrong-secret"), ("nobody", "secret")]
    {
        for answer in [
            world.python("exchange", &[client, secret, token, "billing"]),
            world.node("exchange", &[client, secret, token, "billing"]),
        ] {
            assert_eq!(answer["error"], "invalid_client", "{client}: {answer}");
        }
    }
    let answer = world.python("exchange", &["gateway", &secret("gateway"), token, "billing"]);
    assert_eq!(answer["error"], "unauthorized_client", "{answer}");
}

/// The server itself introspects and revokes its tokens.
fn own_token_is_the_servers(world: &World, login: &Login, token: &str) {
    if !login.revocable {
        return;
    }
    assert_eq!(world.python("introspect", &[login.client, token])["active"], true);
    assert_eq!(world.python("revoke", &[login.client, token]), json!({ "revoked": true }));
    assert_eq!(world.python("introspect", &[login.client, token])["active"], false);
    if !token.contains('.') {
        let arguments = ["orders-api", &secret("orders-api"), token, "billing"];
        assert_eq!(world.python("exchange", &arguments)["error"], "invalid_request");
    }
}
