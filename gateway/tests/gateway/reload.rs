//! Changed files while the gateway runs: a change counts as a whole, or not at all.

use crate::{ISSUER, World, configuration, process::wait_for};
use serde_json::Value;
use tower_token_exchange::signing::{Algorithm, LocalSigner};

/// What clients see of a configuration: the published keys, and the key and the lifetime of an issued token.
fn observed(world: &World) -> [String; 3] {
    let (status, keys) = world.send(&world.request("GET /jwks HTTP/1.1"));
    assert_eq!(status, 200, "{keys}");
    let (status, body) = world.send(&world.exchange());
    assert_eq!(status, 200, "{body}");
    let issued: Value = serde_json::from_str(&body).unwrap();
    let header = issued["access_token"].as_str().unwrap().split('.').next().unwrap();
    [keys, header.to_owned(), issued["expires_in"].to_string()]
}

#[test]
fn a_refused_change_changes_nothing() {
    let hash =
        data_encoding::HEXLOWER.encode(ring::digest::digest(&ring::digest::SHA256, b"a-secret-of-orders").as_ref());
    let secret = format!("secret_sha256 = \"{hash}\"");
    let with_records = |configuration: String| {
        let by_records = configuration.replace("\"client_credentials\"", "\"records\"");
        by_records.replace("[[client]]\nid = \"orders\"", &format!("[[client]]\nid = \"orders\"\n{secret}"))
    };
    let world = World::start(with_records);
    let before = observed(&world);
    world.folder.keygen("next.pem");
    // A good change of the records, of the signer and of the published keys, with one mistake each.
    let shorter = configuration(0, 0, ISSUER, world.upstream.port)
        .replace("id = \"billing\"", "id = \"billing\"\nmax_lifetime = \"1m\"");
    let next = with_records(shorter).replace(
        "active = { file = \"active.pem\" }",
        "active = { file = \"next.pem\" }\npublished = [{ file = \"active.pem\" }]",
    );
    let refuses = |name: &str, changed: &str, problem: &str| {
        assert_ne!(changed, next, "{name}");
        world.folder.write("gateway.toml", changed);
        world.gateway.process.signal("-HUP");
        let refused = || world.gateway.health()["refused_change"].as_str().unwrap_or_default().to_owned();
        wait_for(name, || refused().contains(problem));
        assert_eq!(observed(&world), before, "{name}");
    };
    for (name, from, to, problem) in [
        ("no TOML", "[upstream]", "[upstream", "gateway.toml"),
        ("an unknown key", "[audit]", "[audit]\nfiles = 1", "files"),
        ("a key file that is missing", "\"next.pem\"", "\"gone.pem\"", "gone.pem"),
        (
            "two keys with one id",
            "\"next.pem\" }\npublished = [{ file = \"active.pem\" }",
            "\"next.pem\", kid = \"a\" }\npublished = [{ file = \"active.pem\", kid = \"a\" }",
            "keys",
        ),
        ("an unknown caller", "callers = [\"orders\"]", "callers = [\"nobody\"]", "nobody"),
        (
            "a scope beyond the target",
            "targets = \"billing\"\nscopes = [\"read\"]",
            "targets = \"billing\"\nscopes = [\"admin\"]",
            "admin",
        ),
        ("no rule with an effect", "clients = \"orders\"\nsubjects", "clients = \"nobody\"\nsubjects", "nobody"),
    ] {
        refuses(name, &next.replacen(from, to, 1), problem);
    }
    // The running process goes on to authenticate clients by the records, so each client still needs a secret.
    let by_server = next.replace("\"records\"", "\"client_credentials\"").replace(&secret, "");
    refuses("settings that need a restart", &by_server, "no secret");

    world.folder.write("gateway.toml", &next);
    world.gateway.process.signal("-HUP");
    wait_for("the change counts", || world.gateway.health()["refused_change"].is_null());
    let after = observed(&world);
    assert!(before.iter().zip(&after).all(|(before, after)| before != after), "{before:?} {after:?}");
    let key = LocalSigner::from_pem(Algorithm::ES256, world.folder.read("next.pem")).unwrap();
    assert!(after[0].contains(key.key_id().as_str()));
}
