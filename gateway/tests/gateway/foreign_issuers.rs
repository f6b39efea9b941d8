//! Documents of other issuers: the gateway fetches nothing from the authorization server because such a document says so.

use crate::{ISSUER, World, answer, process::wait_for, upstream::Upstream};
use serde_json::json;

#[test]
fn no_foreign_document_reaches_the_server() {
    for through in ["the public URL", "the address of the server"] {
        let other = Upstream::start();
        let origin = format!("http://127.0.0.1:{}", other.port);
        let world = World::start(|configuration| {
            let issuer = format!(
                "[[issuer]]\nissuer = \"{origin}\"\ndiscovery = true\nsubjects = {{ prefix = \"other|\" }}\n\
                 presenters = [\"orders\"]\n\n[[rule]]"
            );
            let fetch = "[fetch]\nallow_private_addresses = true\nallow_loopback_http = true\n\n[audit]";
            configuration.replace("[audit]", fetch).replace("[[rule]]", &issuer)
        });
        let jwks_uri = match through {
            "the public URL" => format!("{ISSUER}/admin"),
            _ => format!("http://127.0.0.1:{}/admin", world.upstream.port),
        };
        world.upstream.answers("/admin", answer(200, "{}"));
        let metadata = json!({ "issuer": origin, "jwks_uri": jwks_uri });
        other.answers("/.well-known/openid-configuration", answer(200, &metadata.to_string()));
        let problem = || {
            let health = world.gateway.health();
            let issuers = health["issuers"].as_array().cloned().unwrap_or_default();
            let report = issuers.into_iter().find(|report| report["issuer"] == origin.as_str());
            report.and_then(|report| Some(report["last_problem"].as_str()?.to_owned())).unwrap_or_default()
        };
        wait_for(through, || problem().contains("add the origin to `key_origins`"));
        assert_eq!(world.upstream.seen("/admin"), b"", "{through}");
    }
}

#[test]
fn no_foreign_record_reaches_the_server() {
    let world = World::start(|configuration| {
        let upstream = configuration.split("url = \"http://").nth(1).unwrap().split('"').next().unwrap();
        let issuer = format!(
            "[[issuer]]\nissuer = \"https://other.example\"\njwks_uri = \"http://{upstream}/admin\"\n\
             subjects = {{ prefix = \"other|\" }}\npresenters = [\"orders\"]\n\n[[rule]]"
        );
        let fetch = "[fetch]\nallow_loopback_http = true\n\n[audit]";
        configuration.replace("[audit]", fetch).replace("[[rule]]", &issuer)
    });
    world.upstream.answers("/admin", answer(200, "{}"));
    wait_for("the gateway refuses the URL", || {
        world.gateway.health()["issuers"].to_string().contains("at the address of the authorization server")
    });
    assert_eq!(world.upstream.seen("/admin"), b"");
}
