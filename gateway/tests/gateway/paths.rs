//! The endpoints in every spelling of their paths, and requests about issued tokens that the server must not see.

use crate::{World, answer};
use serde_json::Value;

/// A gateway in front of a server that takes every spelling of a path, and that says yes to every request.
fn world() -> World {
    World::start(|configuration| {
        let configuration = configuration
            .replace("token = \"/token\"", "token = [\"/token\", \"//api/token\", \"/v2/token\"]")
            .replace("jwks = \"/jwks\"", "jwks = [\"/api/jwks\", \"/v2/jwks\"]")
            .replace("introspection = \"/introspect\"", "introspection = [\"/api/introspect\", \"/v2/introspect\"]");
        configuration.replace("revocation = \"/revoke\"", "revocation = [\"/api/revoke\", \"/v2/revoke\"]")
    })
}

/// The spellings of `/api/` and a name that a lenient server takes for one place, and the second place.
fn spellings(name: &str) -> [String; 7] {
    ["/api/", "//api/", "/api//", "/x/../api/", "/%61pi/", "/api/./", "/v2/"].map(|folder| format!("{folder}{name}"))
}

#[test]
fn every_spelling_of_a_path_is_the_endpoint() {
    let world = world();
    let paths = ["token", "introspect", "revoke", "jwks"].map(spellings);
    let [tokens, introspections, revocations, key_sets] = &paths;
    for path in [tokens, introspections, revocations].into_iter().flatten() {
        world.upstream.answers(path, answer(200, "of the server"));
    }
    for ((token, introspection), revocation) in tokens.iter().zip(introspections).zip(revocations) {
        let (status, body) = world.send(&world.exchange_at(token));
        assert_eq!(status, 200, "{token}: {body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        let form = format!("token={}", body["access_token"].as_str().unwrap());
        let introspect = || serde_json::from_str::<Value>(&world.post(introspection, &form).1).unwrap();
        assert_eq!(introspect()["active"], true, "{introspection}");
        assert_eq!(world.post(revocation, &form), (200, String::new()), "{revocation}");
        assert_eq!(introspect()["active"], false, "{revocation}");
        // Requests about other tokens reach the server as they came.
        for path in [introspection, revocation] {
            assert_eq!(world.post(path, "token=of-the-server").1, "of the server", "{path}");
            assert!(world.upstream.seen(path).ends_with(b"token=of-the-server"), "{path}");
        }
    }
    for path in key_sets {
        world.upstream.answers(path, answer(200, "{\"keys\":[]}"));
        let keys: Value = serde_json::from_str(&world.get(path).1).unwrap();
        assert_eq!(keys["keys"].as_array().unwrap().len(), 1, "{path}");
    }
}

#[test]
fn a_misplaced_revocation_is_refused() {
    let world = World::start(|configuration| configuration);
    world.upstream.answers("/revoke", answer(200, ""));
    let token = world.issued();
    let json = format!("{{\"token\":\"{token}\"}}");
    let form = format!("token={token}");
    for (target, headers, body, expected) in [
        ("/revoke", "Content-Type: application/json", json.as_str(), 400),
        ("/revoke", "Content-Type: text/plain", &form, 415),
        ("/revoke", "Content-Type: application/x-www-form-urlencoded\nContent-Encoding: gzip", &form, 415),
        (&format!("/revoke?{form}"), "Content-Type: application/x-www-form-urlencoded", "x=y", 400),
        (&format!("/revoke?{form}"), "Accept: */*", "", 400),
        ("/revoke", "Content-Type: application/json", "{\"token\":\"of-the-server\"}", 200),
    ] {
        let head = format!("POST {target} HTTP/1.1\n{headers}\nContent-Length: {}", body.len());
        let (status, answer) = world.send(&[world.request(&head), body.into()].concat());
        assert_eq!(status, expected, "{target} {headers}: {answer}");
        assert_eq!(status == 200, !world.upstream.seen("/revoke").is_empty(), "{target} {headers}");
        assert_eq!(status == 200, !answer.contains("invalid_request"), "{target} {headers}: {answer}");
    }
}
