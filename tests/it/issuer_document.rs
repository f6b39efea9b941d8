//! The record of an issuer in a document equals the record that the builder makes. A mistake names its field and says
//! what to do.

use crate::support::*;
use bytes::Bytes;
use data_encoding::BASE64;
use http::{Request, Response, header};
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};
use tower_token_exchange::{
    Issuer, Reason, TokenExchangeBuilder, TokenType,
    jwks::KeySet,
    records::{Introspection, SubjectMapping, TokenRules},
    signing::Algorithm,
};

/// A key set with one public key.
const KEYS: &str =
    r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"a"}]}"#;

/// Records as TOML, as JSON and as the builder makes them.
fn records() -> Vec<(&'static str, Value, Issuer)> {
    let keys: Value = serde_json::from_str(KEYS).unwrap();
    vec![
        ("issuer = 'https://idp.example'", json!({ "issuer": IDP }), Issuer::new(IDP)),
        (
            "issuer = 'https://idp.example'\njwks_uri = 'https://idp.example/keys'",
            json!({ "issuer": IDP, "jwks_uri": "https://idp.example/keys" }),
            Issuer::new(IDP).jwks_uri("https://idp.example/keys"),
        ),
        (
            "issuer = 'https://idp.example'
             jwks.keys = [{ kty = 'OKP', crv = 'Ed25519', x = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo', kid = 'a' }]",
            json!({ "issuer": IDP, "jwks": keys }),
            Issuer::new(IDP).keys(KeySet::from_json(KEYS).unwrap()),
        ),
        (
            "issuer = 'https://idp.example'\ndiscovery = false\nallow_actor_tokens = false\ntrust_act = false",
            json!({ "issuer": IDP, "jwks_uri": null, "introspection": null, "presenters": null, "tokens": [] }),
            Issuer::new(IDP),
        ),
        (
            r#"
            issuer = "https://idp.example"
            discovery = true
            algorithms = ["ES256", "PS384", "EdDSA"]
            allow_untyped_access_tokens = true
            our_names = ["us", "https://as.example"]
            leeway = "5s"
            max_age = "1h 30m"
            subjects = { prefix = "idp|" }
            presenters = ["orders", "billing"]
            allow_actor_tokens = true
            trust_act = true
            trust_may_act = true
            claims = ["groups", "tenant"]
            tenants = { claim = "tid", accepted = ["red", "blue"] }
            client_names = { a-there = "orders", b-there = "billing" }
            acr = { gold = "high", tin = "low" }

            [[tokens]]
            type = "jwt"
            typ = ["JWT", "application/AT+JWT"]
            require = ["azp", "iat"]
            require_value = { level = 3, roles = ["a", { b = true }], ver = "2.0" }
            forbid = ["nonce"]
            audiences = ["https://as.example/exchange"]
            presenter_claim = "azp"
            scope_claim = "scp"

            [[tokens]]
            type = "access_token"

            [[tokens]]
            type = "id_token"

            [[tokens]]
            type = "urn:example:token-type:badge"
            "#,
            json!({
                "issuer": IDP, "discovery": true, "algorithms": ["ES256", "PS384", "EdDSA"],
                "allow_untyped_access_tokens": true, "our_names": ["us", AS], "leeway": "5 seconds", "max_age": "90min",
                "subjects": { "prefix": "idp|" }, "presenters": ["orders", "billing"], "allow_actor_tokens": true,
                "trust_act": true, "trust_may_act": true, "claims": ["groups", "tenant"],
                "tenants": { "claim": "tid", "accepted": ["red", "blue"] },
                "client_names": { "b-there": "billing", "a-there": "orders" }, "acr": { "tin": "low", "gold": "high" },
                "tokens": [
                    {
                        "type": "jwt", "typ": ["jwt", "at+jwt"], "require": ["azp", "iat"], "forbid": ["nonce"],
                        "require_value": { "level": 3, "roles": ["a", { "b": true }], "ver": "2.0" },
                        "audiences": ["https://as.example/exchange"], "presenter_claim": "azp", "scope_claim": "scp",
                    },
                    { "type": "urn:ietf:params:oauth:token-type:access_token" },
                    { "type": "urn:ietf:params:oauth:token-type:id_token" },
                    { "type": "urn:example:token-type:badge" },
                ],
            }),
            Issuer::new(IDP)
                .discovery()
                .algorithms([Algorithm::ES256, Algorithm::PS384, Algorithm::EdDSA])
                .allow_untyped_access_tokens()
                .accepted_audiences(["us", AS])
                .leeway(Duration::from_secs(5))
                .max_age(Duration::from_secs(5400))
                .map_subjects(SubjectMapping::Prefix("idp|".into()))
                .allow_presenters(["orders", "billing"])
                .allow_actor_tokens()
                .trust_act()
                .trust_may_act()
                .claims(["groups", "tenant"])
                .accept_tenants("tid", ["red", "blue"])
                .map_client("a-there", "orders")
                .map_client("b-there", "billing")
                .map_acr("gold", "high")
                .map_acr("tin", "low")
                .accept(
                    TokenRules::new(TokenType::JWT)
                        .typ(["JWT", "at+jwt"])
                        .require("azp")
                        .require("iat")
                        .require_value("level", 3)
                        .require_value("roles", json!(["a", { "b": true }]))
                        .require_value("ver", "2.0")
                        .forbid("nonce")
                        .audiences(["https://as.example/exchange"])
                        .presenter_claim("azp")
                        .scope_claim("scp"),
                )
                .accept_types([
                    TokenType::ACCESS_TOKEN,
                    TokenType::ID_TOKEN,
                    TokenType::from_static("urn:example:token-type:badge"),
                ]),
        ),
        (
            "issuer = 'https://idp.example'\nsubjects = 'keep'",
            json!({ "issuer": IDP, "subjects": "keep" }),
            Issuer::new(IDP).map_subjects(SubjectMapping::Keep),
        ),
        (
            "issuer = 'https://idp.example'\nsubjects.claim = 'email'",
            json!({ "issuer": IDP, "subjects": { "claim": "email" } }),
            Issuer::new(IDP).map_subjects(SubjectMapping::Claim("email".into())),
        ),
        (
            "issuer = 'https://idp.example'
             introspection = { endpoint = 'https://idp.example/i', client_id = 'a', client_secret = 'b' }",
            json!({ "issuer": IDP, "introspection": { "endpoint": "https://idp.example/i", "bearer_token": "x" } }),
            Issuer::new(IDP).introspection(Introspection::bearer("https://idp.example/i", "x")),
        ),
    ]
}

/// Presets, alone and with changes.
fn presets() -> Vec<(&'static str, Value, Issuer)> {
    vec![
        (
            "preset.keycloak = { base = 'https://login.example', realm = 'staff' }",
            json!({ "preset": { "keycloak": { "base": "https://login.example", "realm": "staff" } } }),
            Issuer::keycloak("https://login.example", "staff"),
        ),
        (
            "preset.entra_id.tenant = '6babcaad'",
            json!({ "preset": { "entra_id": { "tenant": "6babcaad" } } }),
            Issuer::entra_id("6babcaad"),
        ),
        (
            "preset.okta.issuer = 'https://acme.okta.com/oauth2/default'",
            json!({ "preset": { "okta": { "issuer": "https://acme.okta.com/oauth2/default" } } }),
            Issuer::okta("https://acme.okta.com/oauth2/default"),
        ),
        (
            "preset.auth0.domain = 'acme.eu.auth0.com'",
            json!({ "preset": { "auth0": { "domain": "acme.eu.auth0.com" } } }),
            Issuer::auth0("acme.eu.auth0.com"),
        ),
        ("preset.google = {}", json!({ "preset": { "google": {} } }), Issuer::google()),
        ("preset = 'google'", json!({ "preset": "google" }), Issuer::google()),
        (
            "preset.kubernetes = { issuer = 'https://k8s.example', audience = 'https://as.example' }",
            json!({ "preset": { "kubernetes": { "issuer": "https://k8s.example", "audience": AS } } }),
            Issuer::kubernetes("https://k8s.example", AS),
        ),
        (
            "preset.spiffe = { trust_domain = 'example.org', bundle_uri = 'https://spire.example/bundle' }",
            json!({ "preset": { "spiffe": { "trust_domain": "example.org", "bundle_uri": "https://spire.example/bundle" } } }),
            Issuer::spiffe("example.org", "https://spire.example/bundle"),
        ),
        (
            "preset.google = {}\njwks_uri = 'https://mirror.example/keys'\nsubjects.prefix = 'g|'\nmax_age = '10m'
             tenants = { claim = 'hd', accepted = ['acme.example'] }",
            json!({
                "preset": { "google": {} }, "jwks_uri": "https://mirror.example/keys", "subjects": { "prefix": "g|" },
                "max_age": "600s", "tenants": { "claim": "hd", "accepted": ["acme.example"] },
            }),
            Issuer::google()
                .jwks_uri("https://mirror.example/keys")
                .map_subjects(SubjectMapping::Prefix("g|".into()))
                .max_age(Duration::from_secs(600))
                .accept_tenants("hd", ["acme.example"]),
        ),
        // One more type, and other rules for the type of the preset.
        (
            "preset.okta.issuer = 'https://o.example'\n[[tokens]]\ntype = 'id_token'\nrequire = ['amr']",
            json!({
                "preset": { "okta": { "issuer": "https://o.example" } },
                "tokens": [{ "type": "id_token", "require": ["amr"] }],
            }),
            Issuer::okta("https://o.example").accept(TokenRules::new(TokenType::ID_TOKEN).require("amr")),
        ),
        (
            "preset.okta.issuer = 'https://o.example'\n[[tokens]]\ntype = 'jwt'\nscope_claim = 'scp'",
            json!({
                "preset": { "okta": { "issuer": "https://o.example" } }, "tokens": [{ "type": "jwt", "scope_claim": "scp" }],
            }),
            Issuer::okta("https://o.example").accept(TokenRules::new(TokenType::JWT).scope_claim("scp")),
        ),
    ]
}

#[test]
fn a_document_equals_the_built_record() {
    for (toml_text, json_value, built) in records().into_iter().chain(presets()) {
        // Only the wording of errors depends on how a record was written.
        let shown = |record: &Issuer| format!("{record:#?}").replace("wording: Keys", "wording: Methods");
        let expected = shown(&built);
        let of_toml: Issuer = toml::from_str(toml_text).unwrap_or_else(|error| panic!("{toml_text}: {error}"));
        assert_eq!(shown(&of_toml), expected, "{toml_text}");
        let of_json: Issuer = serde_json::from_value(json_value.clone()).unwrap();
        assert_eq!(shown(&of_json), expected, "{json_value}");
        let of_text: Issuer = serde_json::from_str(&json_value.to_string()).unwrap();
        assert_eq!(shown(&of_text), expected, "{json_value}, as text");
    }
}

#[test]
fn a_document_can_have_several_issuers() {
    #[derive(serde::Deserialize)]
    struct Configuration {
        issuers: Vec<Issuer>,
    }
    let text = "
        [[issuers]]
        issuer = 'https://idp.example'
        discovery = true
        subjects.prefix = 'idp|'
        presenters = ['orders']

        [[issuers]]
        preset.google = {}
        client_names = { '325' = 'orders' }
    ";
    let Configuration { issuers } = toml::from_str(text).unwrap();
    assert_eq!(issuers.len(), 2);
    assert!(without_issuers().issuers(issuers).build().is_ok());
}

/// The `Debug` output hides the credentials, so the test looks for them in the request.
#[tokio::test]
async fn an_endpoint_from_a_document_is_asked() {
    let common = |more: &str| {
        let head = "[introspection]\nendpoint = 'https://as.example/introspect'\n";
        toml::from_str::<Issuer>(&format!("issuer = '{AS}'\n{head}{more}")).unwrap()
    };
    let basic_pair = format!("Basic {}", BASE64.encode(b"l+1:s%2B"));
    let secret = "client_id = 'l 1'\nclient_secret = 's+'";
    let good = json!({
        "active": true, "sub": "alice", "aud": "https://orders.example", "exp": NOW + 600, "client_id": "web",
        "scope": "read", "token_type": "Bearer",
    });
    let typeless = changed(good.clone(), json!({ "token_type": null }));
    let confused = Some(Reason::TokenTypeConfused);
    // The record, the answer, whether the endpoint is asked about a signed token, and the reason of the refusal.
    let cases = [
        (common(secret), &good, basic_pair.as_str(), false, None),
        (common("bearer_token = 'b-1'"), &good, "Bearer b-1", false, None),
        (common(&format!("{secret}\nintrospect = 'every'")), &good, &basic_pair, true, None),
        (common(secret), &typeless, &basic_pair, false, confused),
        (common(&format!("{secret}\nallow_missing_token_type = true")), &typeless, &basic_pair, false, None),
    ];
    for (record, answer, authorization, every_token, expected) in cases {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&asked), Bytes::from(answer.to_string()));
        let endpoint = tower::service_fn(move |request: Request<Bytes>| {
            log.lock().unwrap().push(request);
            let response = Response::builder().header(header::CONTENT_TYPE, "application/json").body(answer.clone());
            async { Ok::<_, Infallible>(response.unwrap()) }
        });
        let mut world = plan().with(|builder| builder.issuers([record]).http(endpoint)).start().await;
        world.exchange("opaque").await;
        assert_eq!(world.reason().await, expected);
        let request = asked.lock().unwrap().remove(0);
        assert_eq!(request.uri(), "https://as.example/introspect");
        assert_eq!(request.headers()[header::AUTHORIZATION], authorization);
        let signed = world.own.access_token(json!({}));
        world.exchange(&signed).await;
        assert_eq!(world.reason().await, None);
        assert_eq!(asked.lock().unwrap().len(), usize::from(every_token));
    }
}

#[test]
fn an_unreadable_record_names_the_mistake() {
    let with = |more: Value| changed(json!({ "issuer": IDP }), more);
    let tokens = |rules: Value| with(json!({ "tokens": [rules] }));
    let asked =
        |more: Value| with(json!({ "introspection": changed(json!({ "endpoint": "https://i.example" }), more) }));
    let aged = |text: &str| with(json!({ "max_age": text }));
    let cases = [
        // A record, and words of the message.
        (json!({}), &["issuer", "`preset`"][..]),
        (with(json!({ "preset": { "google": {} } })), &["issuer", "`preset`", "remove"]),
        (with(json!({ "colour": "red" })), &["unknown field `colour`", "`client_names`"]),
        (with(json!({ "Issuer": IDP })), &["unknown field `Issuer`", "`issuer`"]),
        (with(json!({ "token_types": ["jwt"] })), &["unknown field `token_types`", "`tokens`"]),
        (with(json!({ "client_name": { "a": "b" } })), &["unknown field `client_name`", "`client_names`"]),
        (with(json!({ "actor_tokens": true })), &["unknown field `actor_tokens`", "`allow_actor_tokens`"]),
        (json!({ "preset": "okta" }), &["preset", "`okta`", "{ okta = { issuer ="]),
        (json!({ "preset": "gogle" }), &["preset", "`gogle`", "`google`"]),
        (json!({ "preset": { "gogle": {} } }), &["unknown field `gogle`", "`google`"]),
        (json!({ "preset": { "google": {}, "okta": { "issuer": "x" } } }), &["preset", "exactly one", "`okta`"]),
        (json!({ "preset": { "google": { "hd": "x" } } }), &["unknown field `hd`"]),
        (json!({ "preset": { "keycloak": { "base": "x" } } }), &["missing field `realm`"]),
        (
            json!({ "preset": { "entra_id": { "tenant": "x", "tenants": [] } } }),
            &["unknown field `tenants`", "`tenant`"],
        ),
        (tokens(json!({})), &["tokens", "`type` is missing", "`access_token`"]),
        (with(json!({ "tokens": { "scope_claim": "scp" } })), &["tokens", "`type` is missing"]),
        (with(json!({ "tokens": 7 })), &["a table or an array of tables"]),
        (
            tokens(json!({ "type": "jwt", "absent_audience": "x" })),
            &["unknown field `absent_audience`", "`absent_aud`"],
        ),
        (tokens(json!({ "type": "jwt", "required": ["x"] })), &["unknown field `required`", "`require`"]),
        (tokens(json!({ "type": "acces_token" })), &["tokens", "`acces_token`", "`access_token`", "URI"]),
        (tokens(json!({ "type": "refresh_token" })), &["tokens", "`refresh_token`", "URI"]),
        (tokens(json!({ "type": "JWT" })), &["tokens", "`JWT`", "`jwt`"]),
        (tokens(json!({ "type": "" })), &["tokens", "``", "URI"]),
        (
            with(json!({ "tokens": [{ "type": "jwt" }, { "type": "urn:ietf:params:oauth:token-type:jwt" }] })),
            &["tokens", "`urn:ietf:params:oauth:token-type:jwt`", "occurs twice", "keep one"],
        ),
        (with(json!({ "algorithms": ["HS256"] })), &["algorithms", "`HS256`", "ES256"]),
        (with(json!({ "algorithms": ["none"] })), &["algorithms", "`none`", "RS256"]),
        (with(json!({ "algorithms": ["es256"] })), &["algorithms", "`es256`", "ES256"]),
        (with(json!({ "jwks": {} })), &["jwks", "`keys`"]),
        (with(json!({ "jwks": { "keys": {} } })), &["jwks", "array"]),
        (asked(json!({})), &["introspection", "`client_id`", "`bearer_token`"]),
        (asked(json!({ "client_id": "a" })), &["introspection", "`client_secret`"]),
        (asked(json!({ "client_secret": "a" })), &["introspection", "`client_id`"]),
        (
            asked(json!({ "client_id": "a", "client_secret": "zq9canary", "bearer_token": "zq9canary" })),
            &["introspection", "`bearer_token`"],
        ),
        (asked(json!({ "client_id": "a", "bearer_token": "zq9canary" })), &["introspection", "`client_secret`"]),
        (asked(json!({ "client_secret_file": "a" })), &["introspection", "`client_id`"]),
        (
            asked(json!({ "client_id": "a", "client_secret": "zq9canary", "client_secret_file": "a" })),
            &["introspection", "`client_secret_file`"],
        ),
        (
            asked(json!({ "bearer_token": "zq9canary", "bearer_token_file": "a" })),
            &["introspection", "`bearer_token_file`"],
        ),
        (
            asked(json!({ "bearer_token": "zq9canary", "introspect": "all" })),
            &["unknown variant `all`", "`opaque`", "`unverifiable`", "`every`"],
        ),
        (asked(json!({ "token": "zq9canary" })), &["unknown field `token`", "`bearer_token`"]),
        (with(json!({ "introspection": { "bearer_token": "x" } })), &["missing field `endpoint`"]),
        (with(json!({ "tenants": { "claim": "tid" } })), &["missing field `accepted`"]),
        (with(json!({ "tenants": { "claim": "tid", "accepted": [], "x": 1 } })), &["unknown field `x`", "`accepted`"]),
        (with(json!({ "subjects": "kept" })), &["subjects", "\"keep\""]),
        (with(json!({ "subjects": { "prefix": "a", "claim": "b" } })), &["subjects", "{ prefix ="]),
        (with(json!({ "subjects": { "suffix": "a" } })), &["unknown field `suffix`", "`prefix`"]),
        (aged(""), &["max_age", "`5m`"]),
        (aged("5"), &["max_age", "`30s`"]),
        (aged("-5s"), &["max_age", "`30s`"]),
        (aged("5 parsecs"), &["max_age", "parsecs", "`5m`"]),
        (aged("1e9s"), &["max_age", "`30s`"]),
        (aged("99999999999999999999s"), &["max_age", "`30s`"]),
        (with(json!({ "leeway": "PT5S" })), &["leeway", "`30s`"]),
        (with(json!({ "leeway": 5 })), &["expected a string"]),
        (with(json!({ "discovery": "yes" })), &["\"yes\"", "a boolean"]),
        (with(json!({ "presenters": "orders" })), &["\"orders\"", "a sequence"]),
        (with(json!({ "client_names": ["a"] })), &["sequence", "a map"]),
        (json!([IDP]), &["the record of an issuer"]),
    ];
    for (document, words) in cases {
        let error = serde_json::from_value::<Issuer>(document.clone()).expect_err(&document.to_string()).to_string();
        for word in words {
            assert!(error.contains(word), "{document}: `{error}` does not contain {word}");
        }
        assert!(!error.contains("zq9canary"), "{error} shows a secret");
    }
    // The message for a text names the line.
    for (text, words) in [
        ("issuer = 'x'\nleeway = 5", ["line 2", "leeway = 5"]),
        ("issuer = 'x'\npresenters = 'orders'", ["line 2", "presenters"]),
        ("issuer = 'x'\ntrust_act = 1", ["line 2", "trust_act"]),
        ("issuer = 'x'\nissuer = 'y'", ["line 2", "duplicate key"]),
    ] {
        let error = toml::from_str::<Issuer>(text).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{text}: {error}");
    }
    for (text, word) in [
        (r#"{"issuer":"x","issuer":"y"}"#, "duplicate field `issuer`"),
        (r#"{"issuer":"x","client_names":{"web":"orders","web":"billing"}}"#, "`web` occurs twice"),
        (r#"{"issuer":"x","acr":{"1":"low","\u0031":"high"}}"#, "`1` occurs twice"),
    ] {
        let error = serde_json::from_str::<Issuer>(text).unwrap_err().to_string();
        assert!(error.contains(word), "{text}: {error}");
    }
}

/// A builder without issuers.
fn without_issuers() -> TokenExchangeBuilder {
    use tower_token_exchange::{Client, Target, TokenExchangeLayer, policy::Rule, signing::LocalSigner};
    TokenExchangeLayer::builder(AS)
        .clients([Client::new("orders").secret(secret_of("orders"))])
        .targets([Target::new("billing").allow_clients(["orders"]).scopes(["read"])])
        .rules(Vec::<Rule>::new())
        .signer(LocalSigner::generate(Algorithm::ES256).unwrap())
}

#[test]
fn a_contradictory_record_fails_the_build() {
    let good = json!({ "issuer": IDP, "discovery": true, "subjects": { "prefix": "i|" } });
    let with = |more: Value| changed(good.clone(), more);
    let asked = json!({ "endpoint": "https://i.example", "bearer_token": "line\nbreak" });
    let keys: Value = serde_json::from_str(KEYS).unwrap();
    let cases = [
        (with(json!({ "jwks_uri": "https://idp.example/k" })), "jwks, jwks_uri or discovery", "keep one"),
        (with(json!({ "jwks": keys })), "jwks, jwks_uri or discovery", "keep one"),
        (with(json!({ "discovery": null })), "jwks", "discovery"),
        (with(json!({ "subjects": null })), "subjects", "{ prefix ="),
        (with(json!({ "algorithms": [] })), "algorithms", "name the"),
        (with(json!({ "leeway": "61s" })), "leeway", "60 s"),
        (with(json!({ "max_age": "0s" })), "max_age", "1 s"),
        (with(json!({ "max_age": "999ms" })), "max_age", "1 s"),
        (with(json!({ "presenters": ["nobody"] })), "presenters", "`nobody`"),
        (with(json!({ "client_names": { "a": "nobody" } })), "client_names", "`nobody`"),
        (with(json!({ "tenants": { "claim": "", "accepted": ["a"] } })), "tenants", "name the claim"),
        (with(json!({ "introspection": asked })), "introspection", "printable ASCII"),
        (with(json!({ "tokens": [{ "type": "urn:ietf:params:oauth:token-type:refresh_token" }] })), "tokens", "never"),
    ];
    let build =
        |document: &Value| without_issuers().issuers([serde_json::from_value(document.clone()).unwrap()]).build();
    for (document, field, word) in cases {
        let error = build(&document).expect_err(&document.to_string()).to_string();
        let start = format!("issuer `{IDP}`: {field}: ");
        assert!(error.starts_with(&start) && error[start.len()..].contains(word), "{document}: {error}");
    }
    assert!(build(&good).is_ok());
}

#[cfg(feature = "introspection-cache")]
#[test]
fn a_document_sets_the_introspection_cache() {
    let record = |ttl: &str| {
        let cache = json!({ "entries": 100, "time_to_live": ttl });
        let asked = json!({ "endpoint": "https://i.example", "bearer_token": "x", "cache": cache });
        serde_json::from_value::<Issuer>(json!({ "issuer": "https://opaque.example", "introspection": asked }))
    };
    assert!(record("30s").is_ok());
    assert!(record("soon").unwrap_err().to_string().contains("time_to_live"));
    let subjects = || SubjectMapping::Prefix("opaque|".into());
    for (ttl, good) in [("1d", true), ("2d", false), ("0s", false)] {
        let built = plan().builder.issuers([record(ttl).unwrap().map_subjects(subjects())]).build();
        assert_eq!(built.is_ok(), good, "{ttl}");
    }
}
