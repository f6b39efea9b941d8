//! The commands `check`, `explain`, `keygen` and `serve` on good and wrong configurations.

use crate::{ISSUER, configuration, process::Folder, upstream::Upstream};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use tower_token_exchange::signing::LocalSigner;

/// The configuration before each change.
fn plain() -> String {
    configuration(8080, 9090, "http://127.0.0.1:8080", 1)
}

/// The output of a command, with its exit code.
pub(crate) fn output(folder: &Folder, arguments: &[&str]) -> String {
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
fn check_names_the_line_and_the_fix() {
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
        "[[client]]\nid = \"orders\"\n\n[[target]]\nid = \"billing\"\ncallers = [\"ordres\"]\nscopes = [\"read\"]\n\n[[rule]]\nclients = \"orders\"\nsubjects = \"any\"\ntargets = \"billing\"\nscopes = [\"read\"]\n",
    );
    folder.write("no-rules.toml", "[[client]]\nid = \"orders\"\n");
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
        ("no mistake", plain()),
        ("a misspelt key", swap("address =", "adress =")),
        ("a missing table", swap("[keys]\nactive = { file = \"active.pem\" }", "")),
        ("a missing quotation mark", swap("url = \"http", "url = http")),
        ("a path in the URL of the server", swap("127.0.0.1:1\"", "127.0.0.1:1/realms/a\"")),
        ("an issuer that is not a URL", swap("issuer = \"http://", "issuer = \"")),
        ("a URL in place of a path", swap("token = \"/token\"", "token = \"https://as.example/token\"")),
        ("an unknown value", swap("client_credentials", "private_key_jwt")),
        ("the same address twice", swap("127.0.0.1:9090", "127.0.0.1:8080")),
        ("an unknown log level", swap("[audit]", "[log]\nlevel = \"verbose\"\n\n[audit]")),
        ("a wrong duration", swap("[audit]", "[limits]\ndrain = \"30 parsecs\"\n\n[audit]")),
        (
            "a client without a secret",
            swap("authenticate_clients_by = \"client_credentials\"", "authenticate_clients_by = \"records\""),
        ),
        ("an unknown way to send secrets", swap("[paths]", "send_secrets_as = \"private_key_jwt\"\n\n[paths]")),
        ("a long memory", swap("[paths]", "remember_clients = \"6m\"\n\n[paths]")),
        ("a limit of zero", swap("[audit]", "[limits]\nconnections = 0\n\n[audit]")),
        ("too many targets", swap("[audit]", "[limits]\nmax_targets = 9\n\n[audit]")),
        ("no token endpoint", swap("token = \"/token\"", "token = []")),
        ("a wrong path in an array", swap("jwks = \"/jwks\"", "jwks = [\"/jwks\", \"keys\"]")),
        ("a number in place of a path", swap("jwks = \"/jwks\"", "jwks = 7")),
        ("a server name without TLS", swap("[paths]", "tls_server_name = \"as.example\"\n\n[paths]")),
        (
            "a wrong server name",
            swap("url = \"http://127.0.0.1:1\"", "url = \"https://127.0.0.1:1\"\ntls_server_name = \"a b\""),
        ),
        ("a missing key file", swap("active.pem", "nowhere.pem")),
        ("a file without a key", swap("active.pem", "not-a-key.pem")),
        ("a key of another algorithm", swap(active, r#"active = { file = "active.pem", algorithm = "ES384" }"#)),
        ("an unknown algorithm", swap(active, r#"active = { file = "active.pem", algorithm = "HS256" }"#)),
        ("a symmetric key", swap("active.pem", "symmetric.json")),
        ("a public key", swap("active.pem", "public.json")),
        (
            "two keys with the same kid",
            swap(
                active,
                "active = { file = \"active.pem\", kid = \"a\" }\npublished = [{ file = \"other.pem\", kid = \"a\" }]",
            ),
        ),
        ("a file without a certificate", swap(address, &tls(""))),
        ("a CA file without a certificate", swap("[paths]", "ca = \"active.pem\"\n\n[paths]")),
        (
            "a missing secret file",
            swap("[paths]", "introspection = { client_id = \"gateway\", client_secret_file = \"nowhere\" }\n\n[paths]"),
        ),
        (
            "an issuer that is the authorization server",
            swap("[[client]]", "[[issuer]]\nissuer = \"http://127.0.0.1:8080\"\n\n[[client]]"),
        ),
        ("a preset that does not exist", swap("[paths]", "preset = \"keyclock\"\n\n[paths]")),
        ("a misspelt statement about tokens", swap("[paths]", "tokens = { absent_audience = \"x\" }\n\n[paths]")),
        ("two descriptions of one type", swap("[paths]", "tokens = [{}, { type = \"access_token\" }]\n\n[paths]")),
        ("a presenter without a record", swap("[paths]", "[upstream.tokens]\npresenters = [\"ordres\"]\n\n[paths]")),
        (
            "a statement for another type",
            swap("[paths]", "tokens = { type = \"jwt\", allow_untyped = true }\n\n[paths]"),
        ),
        (
            "a missing secret file of an issuer",
            swap(
                "[[client]]",
                "[[issuer]]\nissuer = \"https://idp.example\"\nsubjects = { prefix = \"idp|\" }\nintrospection = \
                 { endpoint = \"https://idp.example/i\", bearer_token_file = \"nowhere\" }\n\n[[client]]",
            ),
        ),
        ("a rule for an unknown client", swap("clients = \"orders\"", "clients = \"ordres\"")),
        ("a target that does not list the client", swap("callers = [\"orders\"]", "callers = []")),
        (
            "a scope that the target does not have",
            swap("targets = \"billing\"\nscopes = [\"read\"]", "targets = \"billing\"\nscopes = [\"write\"]"),
        ),
        ("two mistakes in one client", swap("id = \"orders\"", "id = \"orders\"\nsecret = [\"short\", \"shorter\"]")),
        ("an allow rule without scopes", swap("targets = \"billing\"\nscopes = [\"read\"]", "targets = \"billing\"")),
        ("a number in place of a string", swap("id = \"orders\"", "id = 7")),
        ("an array in place of a string", swap("[[client]]", "[fetch]\nca = []\n\n[[client]]")),
        (
            "a preset without its table",
            swap("[[client]]", "[[issuer]]\npreset = \"google\"\npresenters = [\"orders\"]\n\n[[client]]"),
        ),
        ("a preset that needs settings", swap("[[client]]", "[[issuer]]\npreset = \"okta\"\n\n[[client]]")),
        ("a misspelt preset", swap("[[client]]", "[[issuer]]\npreset = \"gogle\"\n\n[[client]]")),
        (
            "an issuer whose tokens no client can present",
            swap(
                "[[client]]",
                "[[issuer]]\nissuer = \"https://idp.example\"\ndiscovery = true\nsubjects = { prefix = \"idp|\" }\n\n[[client]]",
            ),
        ),
        ("a short secret", swap("id = \"orders\"", "id = \"orders\"\nsecret = \"short\"")),
        ("no rules", plain().split("[[rule]]").next().unwrap().to_owned()),
        ("records in both files", format!("records = \"records.toml\"\n{}", plain())),
        ("a missing file of records", format!("records = \"nowhere.toml\"\n{without_records}")),
        ("a mistake in the file of records", format!("records = \"records.toml\"\n{without_records}")),
        ("a file of records without rules", format!("records = \"no-rules.toml\"\n{without_records}")),
        ("an unknown client in the file of records", format!("records = \"good-records.toml\"\n{without_records}")),
    ];
    let mut report = String::new();
    for (name, configuration) in cases {
        folder.write("gateway.toml", &configuration);
        report.push_str(&format!("── {name}\n{}\n", output(&folder, &["check"])));
    }
    insta::assert_snapshot!("check", report);
}

/// The answer of a server with this body.
fn json_answer(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn keygen_makes_a_key_like_the_servers() {
    let (folder, upstream) = (Folder::new(), Upstream::start());
    folder.write("gateway.toml", &configuration(8080, 9090, ISSUER, upstream.port));
    for (name, keys, expected) in [
        ("rsa.pem", r#"{"keys":[{"kty":"RSA","kid":"a","use":"sig"}]}"#, "RS256"),
        ("edwards.pem", r#"{"keys":[{"kty":"OKP","crv":"Ed25519"}]}"#, "EdDSA"),
    ] {
        upstream.answers("/jwks", json_answer(keys));
        let report = output(&folder, &["keygen", "--like-upstream", name]);
        assert!(report.starts_with("exit 0\n") && report.contains(expected), "{report}");
        let key = LocalSigner::from_text(&folder.read(name), None).unwrap();
        assert_eq!(key.algorithm().to_string(), expected);
    }
    upstream.answers("/jwks", json_answer(r#"{"keys":[]}"#));
    let report = output(&folder, &["keygen", "--like-upstream", "none.pem"]);
    assert!(report.starts_with("exit 1\n") && report.contains("`--algorithm ES256`"), "{report}");
}

#[test]
fn try_says_what_an_answer_means() {
    let (folder, upstream) = (Folder::new(), Upstream::start());
    folder.write("token", "a-token");
    folder.write("secret", "a-secret");
    for (status, body, expected) in [
        (404, "<html>", "`check --online` prints its path"),
        (421, "", "add the host to `listen.hosts`"),
        (400, r#"{"error":"unsupported_grant_type"}"#, "give the URL of the gateway"),
        (200, "<html>", "correct `--url`"),
        (400, r#"{"error":"invalid_request","error_description":"refused"}"#, "the audit of the gateway"),
    ] {
        upstream.answers("/token", crate::answer(status, body));
        let url = format!("http://127.0.0.1:{}/token", upstream.port);
        let options = ["--client", "orders", "--secret-file", "secret", "--token", "token", "--target", "billing"];
        let report = output(&folder, &[&["try", "--url", &url], &options[..]].concat());
        assert!(report.starts_with("exit 1\n") && report.contains(expected), "{report}");
    }
}

/// A token with a wrong signature: these requests are refused before the signature matters.
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
        ("a misspelt client", "order", "own.jwt", "billing"),
        ("a misspelt target", "orders", "own.jwt", "biling"),
        ("an unknown target", "orders", "own.jwt", "ledger"),
        ("a target that does not list the client", "orders", "own.jwt", "orders"),
        ("an issuer without a record", "orders", "foreign.jwt", "billing"),
        ("an opaque token without introspection", "orders", "opaque", "billing"),
        ("keys that cannot be fetched", "orders", "own.jwt", "billing"),
    ] {
        let arguments = ["explain", "--client", client, "--token", token, "--target", target];
        report.push_str(&format!("── {name}\n{}\n", output(&folder, &arguments)));
    }
    // The gateway verifies tokens of its own key.
    folder.write("good.jwt", &crate::own_token(&folder, "http://127.0.0.1:8080"));
    for (name, from, to) in [
        (
            "no rule for this subject",
            "subjects = { issuer = \"http://127.0.0.1:8080\" }",
            "subjects = { issuer = \"http://127.0.0.1:8080\", names = [\"bob\"] }",
        ),
        (
            "a scope without a translation",
            "callers = [\"orders\"]",
            "callers = [\"orders\"]\ntranslate = { other = [\"read\"] }",
        ),
        ("no mistake", "", ""),
    ] {
        folder.write("gateway.toml", &plain().replacen(from, to, 1));
        let arguments = ["explain", "--client", "orders", "--token", "good.jwt", "--target", "billing"];
        report.push_str(&format!("── {name}\n{}\n", output(&folder, &arguments)));
    }
    let form = ["explain", "--client", "orders", "--form", "broken.form"];
    report.push_str(&format!("── a malformed form\n{}\n", output(&folder, &form)));
    insta::assert_snapshot!("explain", logless(&report));
}

/// The report without log lines.
fn logless(report: &str) -> String {
    report
        .lines()
        .filter(|line| !line.contains("gateway::") && !line.contains("expires in: "))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_example_configuration_is_valid() {
    let folder = folder();
    let shown = include_str!("../../gateway.toml");
    folder.write("gateway.toml", shown);
    let plain = output(&folder, &["check"]);
    assert!(plain.starts_with("exit 0\n"), "{plain}");
    // A line that is commented out shows the default, or at least a key that exists.
    folder.keygen("next.pem");
    folder.write("gateway.secret", "a-secret-of-the-gateway");
    for key in ["nonce.key", "ancestry.key"] {
        folder.write(key, "a-secret-of-thirty-two-characters-or-more");
    }
    let settings = shown.lines().map(|line| match line.strip_prefix("# ") {
        Some(setting) if setting.contains(" = ") && !setting.contains("`") && !setting.contains(".pem\"") => {
            setting.to_owned()
        }
        _ => line.to_owned(),
    });
    let settings = settings.collect::<Vec<_>>().join("\n").replace("hosts = []", "hosts = [\"*\"]");
    folder.write("gateway.toml", &settings);
    let full = output(&folder, &["check"]);
    // The file shows a preset, which the banner tells with all its statements.
    assert!(full.contains("\n  its tokens   access_token: `account` in `aud` names no service\n"), "{full}");
    let examples = ["  revocations", "  single use", "  audit", "  preset", "  its tokens"];
    let without_files = |text: &str| {
        text.lines()
            .filter(|line| !examples.iter().any(|example| line.starts_with(example)))
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(without_files(&full), without_files(&plain));
}

#[test]
fn a_wrong_configuration_starts_nothing() {
    let folder = folder();
    folder.write("gateway.toml", &plain().replace("client_credentials", "hope"));
    assert!(output(&folder, &["serve"]).starts_with("exit 2\nerror: gateway.toml:8:"));
    assert!(!folder.0.join("audit.jsonl").exists());
    for wrong in [&["serve", "--config", "nowhere.toml"][..], &["explain", "--client", "orders"], &["dance"], &[]] {
        assert!(output(&folder, wrong).starts_with("exit 2\n"), "{wrong:?}");
    }
}

#[test]
fn a_key_file_is_new_and_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    for algorithm in ["ES256", "ES384", "EdDSA", "RS256", "PS512"] {
        let file = format!("{algorithm}.pem");
        let made = output(&folder, &["keygen", "--algorithm", algorithm, &file]);
        assert!(made.starts_with("exit 0\n") && made.contains(algorithm), "{made}");
        assert_eq!(std::fs::metadata(folder.0.join(&file)).unwrap().permissions().mode() & 0o777, 0o600);
        let before = folder.read(&file);
        assert!(output(&folder, &["keygen", &file]).starts_with("exit 1\n"), "an existing file is never replaced");
        assert_eq!(folder.read(&file), before);
    }
    assert!(output(&folder, &["keygen", "--algorithm", "HS256", "hmac.pem"]).starts_with("exit 2\n"));
}

#[test]
fn the_graph_shows_rules_changes_and_reach() {
    let folder = folder();
    let issuer = "http://127.0.0.1:8080";
    let ledger = "\n[[client]]\nid = \"billing\"\n\n[[target]]\nid = \"ledger\"\ncallers = [\"billing\"]\nscopes = [\"read\"]\n\n\
                  [[rule]]\nclients = \"billing\"\nsubjects = \"any\"\ntargets = \"ledger\"\nscopes = [\"read\"]\n";
    folder.write("old.toml", &plain());
    let served =
        plain().replace("aud = \"https://billing.example\"", "aud = \"https://billing.example\"\nowner = \"billing\"");
    folder.write("gateway.toml", &format!("{served}{ledger}"));
    folder.write(
        "alice.json",
        &json!({ "iss": issuer, "sub": "alice", "aud": "https://orders.example",
        "client_id": "web", "scope": "read", "exp": 9_999_999_999_u64 })
        .to_string(),
    );
    let orders = format!("orders → billing: read, by delegation, for users of {issuer} (rule 1)\n");
    let billing = "billing → ledger: read, by delegation, for users of any issuer (rule 2)\n";
    let hops = "hop 1: orders → billing: read, as alice, with the actor orders\n\
                hop 2: billing → ledger: read, as alice, with the actor billing, after orders\n";
    let cases: [(&[&str], String); 7] = [
        (&["graph"], format!("exit 0\n{orders}{billing}")),
        (&["graph", "--client", "billing"], format!("exit 0\n{billing}")),
        (&["graph", "--since", "old.toml"], format!("exit 0\nOpens:\n    {billing}")),
        (&["graph", "--since", "gateway.toml"], "exit 0\nNothing opens, and nothing closes.\n".to_owned()),
        (&["reach", "--claims", "alice.json"], format!("exit 0\n{hops}")),
        (&["reach", "--from", "ledger"], "exit 0\nNo client can exchange the token.\n".to_owned()),
        (
            &["reach", "--from", "nowhere"],
            "exit 2\nerror: there is no target `nowhere`: give the id of a `[[target]]`\n".to_owned(),
        ),
    ];
    for (arguments, expected) in cases {
        assert_eq!(output(&folder, arguments), expected, "{arguments:?}");
    }
    for (format, start) in [("json", "{"), ("mermaid", "flowchart LR"), ("dot", "digraph"), ("svg", "<svg")] {
        let shown = output(&folder, &["graph", "--format", format]);
        assert!(shown.starts_with(&format!("exit 0\n{start}")), "{shown}");
    }
}
