//! The gateway in front of authorization servers by other authors, each in its documented configuration: a login at a
//! browser, exchanges by two stock clients, verification by two stock libraries, introspection, refresh, revocation, and
//! ordinary pages. In front of one server, clients with keys, a workload, and resource servers that verify DPoP.
//!
//! `.ci/run` installs the servers, names their folder in `SERVERS_DIR`, and runs these tests with `--ignored`.

#![allow(clippy::print_stdout, reason = "the tests print measurements")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so")]

mod cluster;
mod keys;
#[path = "../process.rs"]
mod process;
mod world;

use serde_json::{Value, json};
use world::{Login, Metadata, Server, World, claims, secret, text};

/// The lines of a configuration, without those of the clients, targets and rules.
const MOST_LINES: usize = 40;

const OIDC_PROVIDER: Server = Server {
    name: "oidc-provider",
    script: "server.mjs",
    ready: "/jwks",
    keygen: &["--like-upstream"],
    metadata: Metadata::At("/.well-known/openid-configuration"),
    page: ("/session/end", "/session/end/confirm"),
    user: ["alice", "alice-password"],
    logins: &[
        Login {
            client: "web",
            scope: "openid offline_access orders:read",
            resource: Some("https://orders.example"),
            revocable: false,
        },
        Login { client: "web", scope: "openid offline_access orders:read", resource: None, revocable: true },
    ],
};

const BETTER_AUTH: Server = Server {
    name: "better-auth",
    script: "server.mjs",
    ready: "/api/auth/jwks",
    keygen: &["--like-upstream"],
    metadata: Metadata::At("/.well-known/oauth-authorization-server/api/auth"),
    page: ("/api/auth/ok", "true"),
    user: ["alice", "alice-password"],
    logins: &[Login {
        client: "web",
        scope: "openid offline_access orders:read",
        resource: Some("https://orders.example"),
        revocable: false,
    }],
};

const DJANGO: Server = Server {
    name: "django",
    script: "server.py",
    ready: "/o/.well-known/jwks.json",
    keygen: &["--like-upstream"],
    metadata: Metadata::At("/o/.well-known/openid-configuration"),
    page: ("/admin/login/", "csrfmiddlewaretoken"),
    user: ["alice", "alice-password"],
    logins: &[Login { client: "web", scope: "openid orders:read", resource: None, revocable: true }],
};

const AUTHLIB: Server = Server {
    name: "authlib",
    script: "server.py",
    ready: "/",
    keygen: &[],
    metadata: Metadata::Written(&[
        ("issuer", ""),
        ("authorization_endpoint", "/oauth/authorize"),
        ("token_endpoint", "/oauth/token"),
        ("introspection_endpoint", "/oauth/introspect"),
        ("revocation_endpoint", "/oauth/revoke"),
        ("jwks_uri", "/jwks"),
    ]),
    page: ("/", "An ordinary page"),
    user: ["alice", "alice-password"],
    logins: &[Login { client: "web", scope: "orders:read", resource: None, revocable: true }],
};

const GLEWLWYD: Server = Server {
    name: "glewlwyd",
    script: "server.py",
    ready: "/api/oidc/jwks",
    keygen: &["--like-upstream"],
    metadata: Metadata::At("/api/oidc/.well-known/openid-configuration"),
    page: ("/login.html", "<title>Glewlwyd login</title>"),
    user: ["alice", "alice-password"],
    logins: &[Login { client: "web", scope: "openid orders:read", resource: None, revocable: true }],
};

const LEMONLDAP: Server = Server {
    name: "lemonldap",
    script: "server.py",
    ready: "/oauth2/jwks",
    keygen: &["--like-upstream"],
    metadata: Metadata::At("/.well-known/openid-configuration"),
    page: ("/", "Authentication portal"),
    user: ["dwho", "dwho"],
    logins: &[
        Login { client: "web", scope: "openid orders:read", resource: None, revocable: false },
        Login { client: "web-jwt", scope: "openid orders:read", resource: None, revocable: false },
    ],
};

#[test]
#[ignore = "needs the servers that .ci/run installs"]
fn oidc_provider_passes_unchanged() {
    passes(OIDC_PROVIDER);
}

#[test]
#[ignore = "needs the servers that .ci/run installs"]
fn better_auth_passes_unchanged() {
    passes(BETTER_AUTH);
}

#[test]
#[ignore = "needs the servers that .ci/run installs"]
fn django_oauth_toolkit_passes_unchanged() {
    passes(DJANGO);
}

#[test]
#[ignore = "needs the servers that .ci/run installs"]
fn authlib_passes_unchanged() {
    passes(AUTHLIB);
}

#[test]
#[ignore = "needs the servers that .ci/run installs"]
fn glewlwyd_passes_unchanged() {
    passes(GLEWLWYD);
}

#[test]
#[ignore = "needs the servers that .ci/run installs"]
fn lemonldap_passes_unchanged() {
    passes(LEMONLDAP);
}

/// Everything that is promised about one server.
fn passes(server: Server) {
    let logins = server.logins;
    let world = World::start(server);
    assert!(world.lines() <= MOST_LINES, "{} lines", world.lines());
    world.page_is_unchanged();
    for (number, login) in logins.iter().enumerate() {
        let answer = world.login(login);
        let token = refreshed(&world, login, &answer);
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
        no_spelling_pretends_to_revoke(&world, &token);
        if let Some(id_token) = answer["id_token"].as_str() {
            let refused = world.python("exchange", &["orders-api", &secret("orders-api"), id_token, "billing"]);
            assert_eq!((&refused["error"], &*world.reason()), (&json!("invalid_request"), "token_type_confused"));
        }
        own_token_is_the_servers(&world, login, &token);
    }
    world.page_is_unchanged();
}

/// Refreshes the token of a login.
fn refreshed(world: &World, login: &Login, answer: &Value) -> String {
    let refreshed = world.python("refresh", &[login.client, &text(&answer["refresh_token"])]);
    let token = text(&refreshed["access_token"]);
    assert_ne!(token, text(&answer["access_token"]));
    token
}

/// Two stock clients exchange the token of the server, and two stock libraries verify what was issued.
fn exchanged(world: &World, token: &str) -> [String; 2] {
    let arguments = ["orders-api", &secret("orders-api"), token, "billing"];
    let subject = world.subject(token);
    [world.python("exchange", &arguments), world.node("exchange", &arguments)].map(|answer| {
        let issued = text(&answer["access_token"]);
        world.exchanged();
        let verified = world.python("verify", &[&issued, "https://billing.example"]);
        assert_eq!(verified, world.node("verify", &[&issued, "https://billing.example"]));
        if world.signs_with_rsa() {
            let answers = world.node("verify-with-rs256", &[&issued, "https://billing.example"]);
            assert_eq!(answers, json!({ "jsonwebtoken": verified, "express": verified }));
        }
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

/// The server decides about secrets. A client without a record cannot exchange, and no client the tokens of others.
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
    let answer = world.python("exchange", &["billing-api", &secret("billing-api"), token, "archive"]);
    assert_eq!((&answer["error"], &*world.reason()), (&json!("invalid_request"), "presenter_unrelated"));
}

/// However the path of the revocation endpoint is spelled, nobody says that a token is revoked while the token is good.
fn no_spelling_pretends_to_revoke(world: &World, token: &str) {
    let answers = world.python("spellings", &["orders-api", token, "billing"]);
    let answers = answers.as_object().unwrap();
    assert!(answers.values().all(|answer| *answer != json!([200, true])), "{answers:?}");
    assert!(answers.values().filter(|answer| **answer == json!([200, false])).count() >= 7, "{answers:?}");
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
