//! What `check` and `explain` say of configurations that are wrong or surprising: the file, the line, and the way out.

use crate::{configured, process::Folder};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

/// The configuration that is changed, with ports that nobody needs.
fn plain() -> String {
    configured(8080, 9090, 1)
}

/// What a command said, with its exit code.
fn said(folder: &Folder, arguments: &[&str]) -> String {
    let done = folder.run(arguments);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    format!("exit {}\n{}{}", done.status.code().unwrap(), text(&done.stderr), text(&done.stdout))
}

fn folder() -> Folder {
    let folder = Folder::new();
    folder.keygen("active.pem");
    folder
}

#[test]
fn check_names_the_line_and_the_way_out() {
    let folder = folder();
    folder.keygen("other.pem");
    folder.write("not-a-key.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    folder.write("symmetric.json", r#"{ "kty": "oct", "k": "c2VjcmV0" }"#);
    folder.write(
        "public.json",
        r#"{ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }"#,
    );
    folder.write("records.toml", "[[client]]\nid = \"orders\"\n\n[[target]]\nid = \"billing\"\ncalers = []\n");
    folder.write(
        "good-records.toml",
        "[[client]]\nid = \"orders\"\n\n[[target]]\nid = \"billing\"\ncallers = [\"ordres\"]\n",
    );
    let without_records = plain().split("[[client]]").next().unwrap().to_owned();
    let tls = |more: &str| {
        format!("address = \"127.0.0.1:8080\"\ntls = {{ certificate = \"active.pem\", key = \"active.pem\"{more} }}")
    };
    let (address, active) = ("address = \"127.0.0.1:8080\"", r#"active = { file = "active.pem" }"#);
    let swap = |from: &str, to: &str| {
        assert!(plain().contains(from), "{from}");
        plain().replacen(from, to, 1)
    };
    let cases: Vec<(&str, String)> = vec![
        ("nothing is wrong", plain()),
        ("a field is misspelt", swap("address =", "adress =")),
        ("a section is missing", swap("[keys]\nactive = { file = \"active.pem\" }", "")),
        ("a quotation mark is missing", swap("url = \"http", "url = http")),
        ("the server's URL has a path", swap("127.0.0.1:1\"", "127.0.0.1:1/realms/a\"")),
        ("the issuer is no URL", swap("issuer = \"http://", "issuer = \"")),
        ("a path is a URL", swap("token = \"/token\"", "token = \"https://as.example/token\"")),
        ("a method that there is not", swap("client_credentials", "private_key_jwt")),
        ("both addresses are one", swap("127.0.0.1:9090", "127.0.0.1:8080")),
        ("a level that there is not", swap("[audit]", "[log]\nlevel = \"verbose\"\n\n[audit]")),
        ("a time that is none", swap("[audit]", "[limits]\ndrain = \"30 parsecs\"\n\n[audit]")),
        ("no connections", swap("[audit]", "[limits]\nconnections = 0\n\n[audit]")),
        ("a key that is not there", swap("active.pem", "nowhere.pem")),
        ("a key that is none", swap("active.pem", "not-a-key.pem")),
        ("a key for another algorithm", swap(active, r#"active = { file = "active.pem", algorithm = "ES384" }"#)),
        ("an algorithm that there is not", swap(active, r#"active = { file = "active.pem", algorithm = "HS256" }"#)),
        ("a symmetric key", swap("active.pem", "symmetric.json")),
        ("a public key", swap("active.pem", "public.json")),
        (
            "two keys of one name",
            swap(
                active,
                "active = { file = \"active.pem\", kid = \"a\" }\npublished = [{ file = \"other.pem\", kid = \"a\" }]",
            ),
        ),
        ("a certificate that is none", swap(address, &tls(""))),
        ("the CA of nobody", swap("[paths]", "ca = \"active.pem\"\n\n[paths]")),
        (
            "introspection without its secret",
            swap("[paths]", "introspection = { client_id = \"gateway\", client_secret_file = \"nowhere\" }\n\n[paths]"),
        ),
        ("a rule for nobody", swap("clients = \"orders\"", "clients = \"ordres\"")),
        ("a target that does not agree", swap("callers = [\"orders\"]", "callers = []")),
        (
            "a scope that the target has not",
            swap("targets = \"billing\"\nscopes = [\"read\"]", "targets = \"billing\"\nscopes = [\"write\"]"),
        ),
        ("a secret that is too short", swap("id = \"orders\"", "id = \"orders\"\nsecret = \"short\"")),
        ("no rule at all", plain().split("[[rule]]").next().unwrap().to_owned()),
        ("records in two places", format!("records = \"records.toml\"\n{}", plain())),
        ("records that are not there", format!("records = \"nowhere.toml\"\n{without_records}")),
        ("a mistake beside the file", format!("records = \"records.toml\"\n{without_records}")),
        ("a name that nobody has, beside the file", format!("records = \"good-records.toml\"\n{without_records}")),
    ];
    let mut report = String::new();
    for (name, configuration) in cases {
        folder.write("gateway.toml", &configuration);
        report.push_str(&format!("── {name}\n{}\n", said(&folder, &["check"])));
    }
    insta::assert_snapshot!("check", report);
}

/// A token that nobody signed: what is said of it before that matters is what is asked here.
fn token(claims: Value) -> String {
    let segment = |json: Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
    format!("{}.{}.AAAA", segment(json!({ "alg": "ES256", "kid": "k", "typ": "at+jwt" })), segment(claims))
}

#[test]
fn explain_names_the_stage_and_the_records() {
    let folder = folder();
    folder.write("gateway.toml", &plain());
    let iss = "http://127.0.0.1:8080";
    folder.write("own.jwt", &token(json!({ "iss": iss, "sub": "alice", "exp": 9_999_999_999_u64 })));
    folder
        .write("foreign.jwt", &token(json!({ "iss": "https://idp.example", "sub": "bob", "exp": 9_999_999_999_u64 })));
    folder.write("opaque", "cGxhaW4");
    folder.write("broken.form", "grant_type=urn%3Aietf&subject_token=%zz");
    let mut report = String::new();
    for (name, client, token, target) in [
        ("a client without a record", "reports", "own.jwt", "billing"),
        ("a target that nobody has", "orders", "own.jwt", "ledger"),
        ("a target that the client may not call", "orders", "own.jwt", "orders"),
        ("an issuer without a record", "orders", "foreign.jwt", "billing"),
        ("an opaque token, and nobody to ask", "orders", "opaque", "billing"),
        ("keys that cannot be had", "orders", "own.jwt", "billing"),
    ] {
        let arguments = ["explain", "--client", client, "--token", token, "--target", target];
        report.push_str(&format!("── {name}\n{}\n", said(&folder, &arguments)));
    }
    // The gateway knows its own key, so that these get further.
    folder.write("good.jwt", &crate::own_token(&folder, 8080));
    for (name, from, to) in [
        (
            "no rule for this subject",
            "subjects = { issuer = \"http://127.0.0.1:8080\" }",
            "subjects = { issuer = \"http://127.0.0.1:8080\", names = [\"bob\"] }",
        ),
        (
            "a scope that is worth nothing there",
            "callers = [\"orders\"]",
            "callers = [\"orders\"]\ntranslate = { other = [\"read\"] }",
        ),
        ("nothing is wrong", "", ""),
    ] {
        folder.write("gateway.toml", &plain().replacen(from, to, 1));
        let arguments = ["explain", "--client", "orders", "--token", "good.jwt", "--target", "billing"];
        report.push_str(&format!("── {name}\n{}\n", said(&folder, &arguments)));
    }
    let form = ["explain", "--client", "orders", "--form", "broken.form"];
    report.push_str(&format!("── a form that cannot be read\n{}\n", said(&folder, &form)));
    insta::assert_snapshot!("explain", logless(&report));
}

/// Without what the parts of the program say while they work.
fn logless(report: &str) -> String {
    report
        .lines()
        .filter(|line| !line.contains("gateway::") && !line.contains("expires in: "))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_configuration_that_is_shown_is_a_good_one() {
    let folder = folder();
    let shown = include_str!("../../gateway.toml");
    folder.write("gateway.toml", shown);
    let plain = said(&folder, &["check"]);
    assert!(plain.starts_with("exit 0\n"), "{plain}");
    // What is commented out is the default, or at least a setting that there is.
    folder.keygen("next.pem");
    folder.write("gateway.secret", "a-secret-of-the-gateway");
    let settings = shown.lines().map(|line| match line.strip_prefix("# ") {
        Some(setting) if setting.contains(" = ") && !setting.contains("`") && !setting.contains(".pem\"") => {
            setting.to_owned()
        }
        _ => line.to_owned(),
    });
    let settings = settings.collect::<Vec<_>>().join("\n").replace("hosts = []", "hosts = [\"*\"]");
    folder.write("gateway.toml", &settings);
    let full = said(&folder, &["check"]);
    let without_files = |text: &str| {
        text.lines()
            .filter(|line| !line.starts_with("  revocations") && !line.starts_with("  audit"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(without_files(&full), without_files(&plain));
}

#[test]
fn a_wrong_configuration_starts_nothing() {
    let folder = folder();
    folder.write("gateway.toml", &plain().replace("client_credentials", "hope"));
    assert!(said(&folder, &["serve"]).starts_with("exit 2\nerror: gateway.toml:8:"));
    assert!(!folder.0.join("audit.jsonl").exists());
    for wrong in [&["serve", "--config", "nowhere.toml"][..], &["explain", "--client", "orders"], &["dance"], &[]] {
        assert!(said(&folder, wrong).starts_with("exit 2\n"), "{wrong:?}");
    }
}

#[test]
fn a_key_is_made_once_and_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    for algorithm in ["ES256", "ES384", "EdDSA"] {
        let file = format!("{algorithm}.pem");
        let made = said(&folder, &["keygen", "--algorithm", algorithm, &file]);
        assert!(made.starts_with("exit 0\n") && made.contains(algorithm), "{made}");
        assert_eq!(std::fs::metadata(folder.0.join(&file)).unwrap().permissions().mode() & 0o777, 0o600);
        let before = folder.read(&file);
        assert!(said(&folder, &["keygen", &file]).starts_with("exit 1\n"), "a key is never written over");
        assert_eq!(folder.read(&file), before);
    }
    assert!(said(&folder, &["keygen", "--algorithm", "RS256", "rsa.pem"]).starts_with("exit 1\n"));
    assert!(said(&folder, &["keygen", "--algorithm", "HS256", "hmac.pem"]).starts_with("exit 2\n"));
}
