//! The metadata and the key set of the server on their way through the gateway, and servers that have neither.

use crate::{ISSUER, World, answer, process::wait_for, with_paths};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tower_token_exchange::GRANT_TYPE;

const OPENID: &str = "/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server";

/// A world whose server has this metadata at a place, and nothing else. The configuration has these paths.
fn world_with(at: &'static str, metadata: &Value, paths: &'static str) -> World {
    let world = World::waiting(|_, configuration| with_paths(&configuration, paths));
    world.upstream.answers(at, answer(200, &metadata.to_string()));
    wait_for("token exchange is available", || world.gateway.health()["waiting_for"].is_null());
    world
}

fn json_at(world: &World, path: &str) -> Value {
    let (status, body) = world.get(path);
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// The key ids in a key set.
fn kids(key_set: &Value) -> Vec<&str> {
    key_set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect()
}

#[test]
fn the_gateway_adds_what_the_server_lacks() {
    let metadata = json!({
        "issuer": ISSUER, "token_endpoint": format!("{ISSUER}/token"),
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "none"],
    });
    let world = world_with(OPENID, &metadata, "");
    let mut expected = metadata;
    let methods = json!(["client_secret_basic", "client_secret_post"]);
    for (member, value) in [
        ("jwks_uri", json!(format!("{ISSUER}/token-exchange/jwks"))),
        ("introspection_endpoint", json!(format!("{ISSUER}/token-exchange/introspect"))),
        ("introspection_endpoint_auth_methods_supported", methods.clone()),
        ("revocation_endpoint", json!(format!("{ISSUER}/token-exchange/revoke"))),
        ("revocation_endpoint_auth_methods_supported", methods),
    ] {
        expected[member] = value;
    }
    assert_eq!(json_at(&world, OPENID), expected, "and no `grant_types_supported`");

    wait_for("the gateway is ready without keys of the server", || world.gateway.is_ready());
    let token = world.issued();
    let keys = json_at(&world, "/token-exchange/jwks");
    let header: Value = serde_json::from_slice(
        &data_encoding::BASE64URL_NOPAD.decode(token.split('.').next().unwrap().as_bytes()).unwrap(),
    )
    .unwrap();
    assert_eq!(kids(&keys), [header["kid"].as_str().unwrap()]);

    let form = format!("token={token}");
    let active = |form: &str| {
        let (status, body) = world.post("/token-exchange/introspect", form);
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Value>(&body).unwrap()["active"].clone()
    };
    assert_eq!((active(&form), active("token=of-the-server")), (json!(true), json!(false)));
    let (status, body) = world.post("/token-exchange/revoke", "token=of-the-server");
    assert!(status == 400 && body.contains("unsupported_token_type"), "{body}");
    assert_eq!(world.post("/token-exchange/revoke", &form).0, 200);
    assert_eq!(active(&form), json!(false));
    assert_eq!(world.get("/token-exchange/revoke").0, 405);
}

#[test]
fn existing_grants_are_extended() {
    let metadata = json!({
        "issuer": ISSUER, "token_endpoint": format!("{ISSUER}/token"), "grant_types_supported": ["refresh_token"],
    });
    let world = world_with(OAUTH, &metadata, "");
    assert_eq!(json_at(&world, OAUTH)["grant_types_supported"], json!(["refresh_token", GRANT_TYPE]));
}

#[test]
fn a_page_at_one_place_does_not_hide_metadata() {
    let metadata = json!({ "issuer": ISSUER, "token_endpoint": format!("{ISSUER}/oauth/token") });
    let world = World::waiting(|_, configuration| with_paths(&configuration, ""));
    world.upstream.answers(OPENID, answer(200, "<html>"));
    world.upstream.answers(OAUTH, answer(200, &metadata.to_string()));
    wait_for("token exchange is available", || world.gateway.health()["waiting_for"].is_null());
    assert_eq!(world.get(OPENID), (200, "<html>".to_owned()));
    assert!(json_at(&world, OAUTH)["jwks_uri"].is_string());
    assert!(world.folder.read("log").contains("token /oauth/token"));
}

#[test]
fn endpoints_of_all_documents_count() {
    let with = |members: &[(&str, &str)]| {
        let members = members.iter().map(|(name, path)| ((*name).to_owned(), json!(format!("{ISSUER}{path}"))));
        let mut metadata = json!({ "issuer": ISSUER });
        metadata.as_object_mut().unwrap().extend(members);
        answer(200, &metadata.to_string())
    };
    let world = World::waiting(|_, configuration| with_paths(&configuration, ""));
    let oauth = with(&[("token_endpoint", "/token"), ("revocation_endpoint", "/revoke")]);
    world.upstream.answers(OAUTH, oauth.clone());
    world.upstream.answers(OPENID, with(&[("token_endpoint", "/token"), ("jwks_uri", "/jwks")]));
    wait_for("token exchange is available", || world.gateway.health()["waiting_for"].is_null());
    assert_eq!(json_at(&world, OPENID)["revocation_endpoint"], format!("{ISSUER}/revoke"));
    // The server would confirm a revocation of a token that it does not know.
    world.upstream.answers("/revoke", answer(200, "of the server"));
    assert_eq!(world.post("/revoke", &format!("token={}", world.issued())), (200, String::new()));

    // While one document cannot be read, its endpoints stay.
    world.upstream.answers(OAUTH, answer(503, ""));
    world.upstream.answers(OPENID, with(&[("token_endpoint", "/token"), ("jwks_uri", "/v2/jwks")]));
    let log = "token /token, keys /v2/jwks and /jwks, introspection none, revocation /revoke";
    wait_for("the new endpoint counts", || world.folder.read("log").contains(log));
    world.upstream.answers(OAUTH, oauth);
    assert_eq!(world.post("/revoke", &format!("token={}", world.issued())), (200, String::new()));
}

#[test]
fn endpoints_for_certificates_count() {
    let metadata = json!({
        "issuer": ISSUER, "token_endpoint": format!("{ISSUER}:80/token"), "revocation_endpoint": format!("{ISSUER}/revoke"),
        "mtls_endpoint_aliases": { "revocation_endpoint": format!("{ISSUER}/mtls/revoke"), "token_endpoint": "https://m/t" },
    });
    let world = world_with(OPENID, &metadata, "");
    world.upstream.answers("/mtls/revoke", answer(200, "of the server"));
    assert_eq!(world.post("/mtls/revoke", &format!("token={}", world.issued())), (200, String::new()));
}

#[test]
fn metadata_at_a_configured_place_count() {
    let metadata = json!({ "issuer": ISSUER, "token_endpoint": format!("{ISSUER}/token") });
    let world = world_with("/tenant/metadata", &metadata, "[paths]\nmetadata = [\"/tenant/metadata\"]");
    assert_eq!(json_at(&world, "/tenant/metadata")["jwks_uri"], format!("{ISSUER}/token-exchange/jwks"));
    world.issued();
}

#[test]
fn a_server_without_documents_needs_only_paths() {
    let paths = "[paths]\ntoken = \"/token\"\nintrospection = []\nrevocation = \"/revoke\"";
    let world = World::start(|configuration| with_paths(&configuration, paths));
    wait_for("the gateway is ready", || world.gateway.is_ready());
    world.issued();
    assert_eq!(kids(&json_at(&world, "/token-exchange/jwks")).len(), 1);
    assert_eq!(world.get(OPENID).0, 404);
}

#[test]
fn a_server_without_keys_is_no_obstacle() {
    for (answer_of_server, name) in
        [(answer(200, "{\"keys\":[]}"), "empty"), (answer(404, "no"), "missing"), (answer(200, "<html>"), "a page")]
    {
        let world = World::waiting(|_, configuration| configuration);
        world.upstream.answers("/jwks", answer_of_server);
        wait_for("the gateway is ready", || world.gateway.is_ready());
        world.issued();
        assert_eq!(kids(&json_at(&world, "/jwks")).len(), 1, "{name}");
    }
}

#[test]
fn endpoints_are_read_again() {
    let metadata = |revocation: &str| {
        json!({
            "issuer": ISSUER, "token_endpoint": format!("{ISSUER}/token"), "jwks_uri": format!("{ISSUER}/jwks"),
            "revocation_endpoint": format!("{ISSUER}{revocation}"),
        })
    };
    let world = world_with(OPENID, &metadata("/old"), "");
    world.issued();
    let changed = Instant::now();
    world.upstream.answers(OPENID, answer(200, &metadata("/new").to_string()));
    // The server would answer for a token that it does not know.
    for path in ["/old", "/new"] {
        world.upstream.answers(path, answer(200, ""));
    }
    wait_for("the new endpoint counts", || world.folder.read("log").contains("revocation /new"));
    assert!(changed.elapsed() < Duration::from_secs(20));
    let token = world.issued();
    world.upstream.seen("/new");
    assert_eq!(world.post("/new", &format!("token={token}")).0, 200);
    assert_eq!(world.upstream.seen("/new"), b"");

    // While the server has no metadata, the endpoints stay.
    world.upstream.answers(OPENID, answer(404, ""));
    wait_for("the problem is logged", || world.folder.read("log").contains("the endpoints before still count"));
    world.issued();
}

#[test]
fn ordinary_traffic_passes_whatever_is_wrong() {
    let metadata = |member: &str, value: &str| {
        let mut metadata = json!({
            "issuer": ISSUER, "token_endpoint": format!("{ISSUER}/token"), "jwks_uri": format!("{ISSUER}/jwks"),
            "introspection_endpoint": format!("{ISSUER}/introspect"),
        });
        metadata[member] = value.into();
        answer(200, &metadata.to_string())
    };
    for (name, answer_of_server) in [
        ("an error", answer(500, "")),
        ("a page", answer(200, "<html>")),
        ("no metadata", answer(404, "")),
        ("another issuer", metadata("issuer", "https://other.example")),
        ("no token endpoint", metadata("token_endpoint", "")),
        ("a token endpoint elsewhere", metadata("token_endpoint", "https://other.example/token")),
        ("keys elsewhere", metadata("jwks_uri", "https://other.example/jwks")),
        ("two endpoints at one path", metadata("introspection_endpoint", &format!("{ISSUER}//token"))),
    ] {
        let world = World::waiting(|_, configuration| with_paths(&configuration, ""));
        for path in [OPENID, OAUTH] {
            world.upstream.answers(path, answer_of_server.clone());
        }
        wait_for("the problem is known", || {
            world.gateway.health()["waiting_for"].as_str().is_some_and(|why| why != "not checked yet")
        });
        world.upstream.answers("/login", answer(200, "login"));
        assert_eq!(world.get("/login"), (200, "login".to_owned()), "{name}");
        assert_eq!(world.post("/login", "user=alice"), (200, "login".to_owned()), "{name}");
        assert_eq!(world.post("/token", "grant_type=refresh_token").0, 200, "{name}");
        assert_eq!(world.send(&world.exchange()).0, 503, "{name}");
    }
}
