//! The library for signatures.

use crate::{ISSUER, World, cli::output, configuration, process::Folder};
use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;
use tower_token_exchange::signing::Cryptography;

/// A key with 2056 bits, with which `ring` does not sign. It was made for tests and protects nothing.
fn long_key() -> String {
    let keys: Value = serde_json::from_str(include_str!("../../../tests/data/rsa_sizes.json")).unwrap();
    let long = keys.as_array().unwrap().iter().find(|key| key["name"] == "2056 bits").unwrap();
    long["pem"].as_str().unwrap().to_owned()
}

/// A configuration with this library, whose active key is the long key.
fn with_library(library: &str, configuration: &str) -> String {
    let (keys, active) = ("[keys]", r#"active = { file = "active.pem" }"#);
    assert!(configuration.contains(keys) && configuration.contains(active));
    let table = format!("[cryptography]\nsignatures = \"{library}\"\n\n{keys}");
    let both = "active = { file = \"long.pem\", algorithm = \"RS256\" }\npublished = [{ file = \"active.pem\" }]";
    configuration.replacen(keys, &table, 1).replacen(active, both, 1)
}

#[test]
fn the_setting_chooses_the_library() {
    for library in ["ring", "aws-lc-rs"] {
        let signs = library == "aws-lc-rs" && Cryptography::ALL.len() > 1;
        if signs {
            let world = World::start_in(|folder, configuration| {
                folder.write("long.pem", &long_key());
                with_library(library, &configuration)
            });
            let issued = world.issued();
            let header = BASE64URL_NOPAD.decode(issued.split('.').next().unwrap().as_bytes()).unwrap();
            assert_eq!(serde_json::from_slice::<Value>(&header).unwrap()["alg"], "RS256");
            let (status, body) = world.post("/introspect", &format!("token={issued}"));
            assert!(status == 200 && body.contains("\"active\":true"), "{status} {body}");
            continue;
        }
        let folder = Folder::new();
        folder.keygen("active.pem");
        folder.write("long.pem", &long_key());
        folder.write("gateway.toml", &with_library(library, &configuration(8080, 9090, ISSUER, 1)));
        let told = output(&folder, &["check"]);
        let problem = match library {
            "ring" => "not a PKCS#8 private key for RS256: ",
            _ => "this gateway was built without the library",
        };
        assert!(told.starts_with("exit ") && told.contains(problem), "{told}");
    }
}
