//! A mistake in the configuration is an error of `build` that names the field and says what to do.

mod records;

use crate::support::*;
use http::StatusCode;
use std::{collections::BTreeSet, time::Duration};
use tower_token_exchange::{
    Client, ConfigError, Document, Issuer, Target, TokenExchangeBuilder, TokenExchangeLayer, TokenType,
    error::{ConfigErrorKind, ConfigProblem, ErrorCode, ErrorProfile, ReasonClass},
    jwks::KeySet,
    policy::{Actors, Decision, Names, Query, Rule, Subjects},
    records::SubjectMapping,
    signing::{Algorithm, LocalSigner},
};

const SECRET: &str = "a-secret-of-26-characters!";
const OTHER: &str = "https://other.example";

fn rule() -> Rule {
    Rule::allow("orders", Subjects::any(), "billing").scopes(["read"])
}

fn client() -> Client {
    Client::new("orders").secret(SECRET)
}

fn target() -> Target {
    Target::new("billing").audience_claim("https://billing.example").allow_clients(["orders"]).scopes(["read", "write"])
}

fn foreign(id: &str) -> Issuer {
    Issuer::new(id).jwks_uri("https://idp.example/jwks.json").map_subjects(SubjectMapping::Prefix(format!("{id}|")))
}

/// A builder without clients and targets.
fn bare() -> TokenExchangeBuilder {
    TokenExchangeLayer::builder(AS).rules([rule()]).signer(LocalSigner::generate(Algorithm::ES256).unwrap())
}

fn good() -> TokenExchangeBuilder {
    bare().clients([client()]).targets([target()])
}

fn clients(clients: impl IntoIterator<Item = Client>) -> TokenExchangeBuilder {
    bare().clients(clients).targets([target()])
}

fn targets(targets: impl IntoIterator<Item = Target>) -> TokenExchangeBuilder {
    bare().clients([client()]).targets(targets)
}

fn issuers(issuers: impl IntoIterator<Item = Issuer>) -> TokenExchangeBuilder {
    good().issuers(issuers)
}

/// A builder whose subjects all come from these issuers.
fn federated(list: impl IntoIterator<Item = Issuer>) -> TokenExchangeBuilder {
    issuers(list).federated_subjects_only()
}

fn mapped(id: &str, mapping: SubjectMapping) -> Issuer {
    Issuer::new(id).jwks_uri("https://idp.example/jwks.json").map_subjects(mapping)
}

fn prefix(text: &str) -> SubjectMapping {
    SubjectMapping::Prefix(text.to_owned())
}

/// A mistake: its name, the configuration, the start of the message, and a word of the help.
type Mistake = (&'static str, TokenExchangeBuilder, &'static str, &'static str);

fn mistakes_of_the_layer() -> Vec<Mistake> {
    let layer = |issuer: &str| {
        TokenExchangeLayer::builder(issuer)
            .rules([rule()])
            .signer(LocalSigner::generate(Algorithm::ES256).unwrap())
            .clients([client()])
            .targets([target()])
    };
    let unsigned = TokenExchangeLayer::builder(AS).rules([rule()]).clients([client()]).targets([target()]);
    let undecided = TokenExchangeLayer::builder(AS)
        .signer(LocalSigner::generate(Algorithm::ES256).unwrap())
        .clients([client()])
        .targets([target()]);
    let answer = |class, error| good().error_profile(ErrorProfile::rfc8693().answer_for(class, error));
    let answer_with = |status| {
        let profile = ErrorProfile::spring().answer_with(ReasonClass::Token, ErrorCode::InvalidGrant, status);
        good().error_profile(profile)
    };
    let errors = |profile: ErrorProfile| good().error_profile(profile);
    let errs = "error_profile: ";
    vec![
        ("an issuer that is not a URL", layer("as.example"), "issuer: ", "iss"),
        ("an empty issuer", layer(""), "issuer: ", "URL"),
        ("no clients", bare().targets([target()]), "clients: ", "Client"),
        ("no targets", bare().clients([client()]), "targets: ", "Target"),
        ("no policy", undecided, "policy: ", "rules"),
        ("no signer", unsigned, "signer: ", "LocalSigner"),
        ("an endpoint without a slash", good().endpoint("token"), "endpoint: ", "`/`"),
        ("an empty endpoint", good().endpoint(""), "endpoint: ", "`/`"),
        ("an endpoint that is a URL", good().endpoint("https://as.example/token"), "endpoint: ", "path"),
        ("an endpoint with a query", good().endpoint("/token?tenant=1"), "endpoint: ", "query"),
        ("an endpoint with a fragment", good().endpoint("/token#x"), "endpoint: ", "fragment"),
        ("a second endpoint that is bad", good().endpoint("/token").endpoint("token2"), "endpoint: ", "path"),
        ("zero targets", good().max_targets(0), "max_targets: ", "1 to 8"),
        ("nine targets", good().max_targets(9), "max_targets: ", "1 to 8"),
        ("zero actors", good().max_chain_depth(0), "max_chain_depth: ", "1 or more"),
        ("61 s of leeway", good().leeway(Duration::from_secs(61)), "leeway: ", "60 s"),
        ("a little over 60 s", good().leeway(Duration::from_millis(60_001)), "leeway: ", "60 s"),
        ("a lifetime of zero", good().max_lifetime(Duration::ZERO), "max_lifetime: ", "1 s"),
        ("a lifetime below a second", good().max_lifetime(Duration::from_millis(999)), "max_lifetime: ", "1 s"),
        ("a guard that passes unread forms", good().guard().forward_unread_forms(), "guard: ", "forward_unread_forms"),
        (
            "two answers for one class",
            errors(
                ErrorProfile::rfc8693()
                    .answer_for(ReasonClass::Token, ErrorCode::InvalidGrant)
                    .answer_for(ReasonClass::Token, ErrorCode::InvalidRequest),
            ),
            errs,
            "`token` has two answers; remove one",
        ),
        (
            "two statuses for one class",
            errors(ErrorProfile::keycloak().answer_for(ReasonClass::Denied, ErrorCode::AccessDenied).answer_with(
                ReasonClass::Denied,
                ErrorCode::AccessDenied,
                StatusCode::FORBIDDEN,
            )),
            errs,
            "two answers",
        ),
        (
            "an outage as a client error",
            answer(ReasonClass::Failure, ErrorCode::InvalidRequest),
            errs,
            "remove the answer",
        ),
        ("a client error as an outage", answer(ReasonClass::Denied, ErrorCode::ServerError), errs, "something else"),
        (
            "unavailable for a bad token",
            answer(ReasonClass::Token, ErrorCode::TemporarilyUnavailable),
            errs,
            "something else",
        ),
        ("an unsupported grant", answer(ReasonClass::Grant, ErrorCode::UnsupportedGrantType), errs, "something else"),
        ("a DPoP error without DPoP", answer(ReasonClass::Token, ErrorCode::InvalidDpopProof), errs, "something else"),
        ("another error for a bad form", answer(ReasonClass::Request, ErrorCode::InvalidGrant), errs, "RFC 6749"),
        ("another error for a bad client", answer(ReasonClass::Client, ErrorCode::InvalidGrant), errs, "RFC 6749"),
        ("a refusal with 200", answer_with(StatusCode::OK), errs, "400, 401 or 403"),
        ("a refusal with 503", answer_with(StatusCode::SERVICE_UNAVAILABLE), errs, "400, 401 or 403"),
    ]
}

fn mistakes_of_clients() -> Vec<Mistake> {
    let of = |client: Client| clients([client]);
    let short = "15-characters!!";
    let hash = "5".repeat(64);
    vec![
        ("a short secret", of(Client::new("orders").secret(short)), "client `orders`: secret: ", "16 characters"),
        ("an empty secret", of(Client::new("orders").secret("")), "client `orders`: secret: ", "16 characters"),
        // The minimum counts characters, not bytes.
        (
            "a short secret with many bytes",
            of(Client::new("orders").secret("éééééééééé")),
            "client `orders`: secret: ",
            "16",
        ),
        (
            "a short secret, then a good one",
            of(Client::new("orders").secret(short).secret(SECRET)),
            "client `orders`: secret: ",
            "16",
        ),
        ("a good secret, then a short one", of(client().secret(short)), "client `orders`: secret: ", "secret_sha256"),
        (
            "a hash that is too short",
            of(Client::new("orders").secret_sha256(&hash[1..])),
            "client `orders`: secret_sha256: ",
            "64 hexadecimal",
        ),
        (
            "a hash that is too long",
            of(Client::new("orders").secret_sha256(format!("{hash}00"))),
            "client `orders`: secret_sha256: ",
            "64 hexadecimal",
        ),
        (
            "a hash that is not hexadecimal",
            of(Client::new("orders").secret_sha256("g".repeat(64))),
            "client `orders`: secret_sha256: ",
            "64 hexadecimal",
        ),
        ("an empty client_id", of(Client::new("").secret(SECRET)), "client ``: ", "printable ASCII"),
        ("a client_id beyond ASCII", of(Client::new("örders").secret(SECRET)), "client `örders`: ", "printable ASCII"),
        (
            "a client_id with a line break",
            of(Client::new("orders\n").secret(SECRET)),
            "client `orders\n`: ",
            "printable ASCII",
        ),
        ("a client twice", clients([client(), Client::new("billing"), client()]), "client `orders`: ", "second record"),
        (
            "a client twice, in two calls",
            clients([client()]).clients([Client::new("orders")]),
            "client `orders`: ",
            "second record",
        ),
        ("an unknown target", of(client().targets(["nowhere"])), "client `orders`: targets: ", "`nowhere`"),
        (
            "an unknown default target",
            of(client().default_target("nowhere")),
            "client `orders`: default_target: ",
            "`nowhere`",
        ),
        (
            "a default target by its aud",
            of(client().default_target("https://billing.example")),
            "client `orders`: default_target: ",
            "add a record",
        ),
        (
            "a default target that does not list the client",
            clients([client(), Client::new("reports").default_target("billing")]),
            "client `reports`: default_target: ",
            "`allow_clients`",
        ),
        ("a scope with a space", of(client().scopes(["read write"])), "client `orders`: scopes: ", "space"),
        ("an empty scope", of(client().scopes([""])), "client `orders`: scopes: ", "tokens"),
        (
            "a scopeless subject's scope beyond ASCII",
            of(client().scopes_for_scopeless_subjects(TokenType::ID_TOKEN, ["lesé"])),
            "client `orders`: scopes_for_scopeless_subjects: ",
            "ASCII",
        ),
        (
            "an ignored scope with a quote",
            of(client().ignored_scopes(["\""])),
            "client `orders`: ignored_scopes: ",
            "ASCII",
        ),
    ]
}

fn mistakes_of_targets() -> Vec<Mistake> {
    let of = |target: Target| targets([target]);
    let two = |other: Target| targets([target().resource("https://billing.example/api").name("invoices"), other]);
    let next = || Target::new("ledger").scopes(["read"]);
    vec![
        (
            "an unknown caller",
            of(target().allow_clients(["orders", "nobody"])),
            "target `billing`: allow_clients",
            "`nobody`",
        ),
        ("an unknown owner", of(target().served_by("nobody")), "target `billing`: served_by: ", "`nobody`"),
        (
            "a caller in another case",
            of(target().allow_clients(["Orders"])),
            "target `billing`: allow_clients",
            "add a record",
        ),
        ("no scopes", of(target().scopes(Vec::<String>::new())), "target `billing`: scopes: ", "list"),
        ("a scope with a space", of(target().scopes(["read write"])), "target `billing`: scopes: ", "space"),
        (
            "an aud that is the id of a client",
            targets([target(), Target::new("orders").scopes(["read"])]),
            "target `orders`: audience_claim: ",
            "set `audience_claim` to the URL of the service, such as `https://orders.example`",
        ),
        (
            "a target lifetime of zero",
            of(target().max_lifetime(Duration::ZERO)),
            "target `billing`: max_lifetime: ",
            "1 s",
        ),
        ("an empty aud", of(target().audience_claim("")), "target `billing`: audience_claim: ", "empty"),
        (
            "an aud twice",
            two(next().audience_claim("https://billing.example")),
            "target `ledger`: audience_claim: ",
            "`https://billing.example`",
        ),
        (
            "an id twice",
            two(Target::new("billing").audience_claim("b2").scopes(["read"])),
            "target `billing`: id: ",
            "second record",
        ),
        (
            "an id that is another's alias",
            two(Target::new("invoices").scopes(["read"])),
            "target `invoices`: name: ",
            "`billing`",
        ),
        ("an alias that is another's id", two(next().name("billing")), "target `ledger`: name: ", "`billing`"),
        (
            "a resource twice",
            two(next().resource("https://billing.example/api")),
            "target `ledger`: resource: ",
            "`billing`",
        ),
        ("a name twice in one", of(target().name("billing")), "target `billing`: name: ", "`billing`"),
        ("a relative resource", of(target().resource("/api")), "target `billing`: resource", "`/api`"),
        (
            "a resource with a fragment",
            of(target().resource("https://b.example/#x")),
            "target `billing`: resource",
            "fragment",
        ),
        (
            "a resource with a host in upper case",
            of(target().resource("https://B.example/")),
            "target `billing`: resource",
            "lower case",
        ),
        (
            "a resource with the default port",
            of(target().resource("https://b.example:443/")),
            "target `billing`: resource",
            "default port",
        ),
        (
            "a resource with user information",
            of(target().resource("https://u@b.example/")),
            "target `billing`: resource",
            "user information",
        ),
        (
            "a resource with dot segments",
            of(target().resource("https://b.example/a/../b")),
            "target `billing`: resource",
            "dot segment",
        ),
        (
            "a resource with a needless escape",
            of(target().resource("https://b.example/%41")),
            "target `billing`: resource",
            "escape",
        ),
        ("an audience with a space", of(target().name("a b")), "target `billing`: name: ", "without spaces"),
        ("an empty id", of(Target::new("").audience_claim("x").scopes(["read"])), "target ``: ", "printable"),
        (
            "a translation into an unknown scope",
            of(target().translate("up", ["read", "admin"])),
            "target `billing`: translate: ",
            "`admin`",
        ),
        (
            "a translation twice",
            of(target().translate("up", ["read"]).translate("up", ["write"])),
            "target `billing`: translate: ",
            "`up`",
        ),
        (
            "a translation of two scopes at once",
            of(target().translate("a b", ["read"])),
            "target `billing`: translate: ",
            "space",
        ),
    ]
}

fn mistakes_of_issuers() -> Vec<Mistake> {
    let own = || Issuer::new(AS);
    let no_keys = KeySet::from_json(r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#).unwrap();
    let away =
        tower::service_fn(|_: http::Request<bytes::Bytes>| async { Err::<http::Response<bytes::Bytes>, _>("away") });
    let same = "could have the same name as a subject";
    let uri = |uri: &str| issuers([Issuer::new(IDP).jwks_uri(uri).map_subjects(prefix("idp|"))]);
    let keep = || SubjectMapping::Keep;
    let claim = || SubjectMapping::Claim("email".into());
    vec![
        (
            "no keys",
            issuers([Issuer::new(IDP).map_subjects(prefix("idp|"))]),
            "issuer `https://idp.example`: keys: ",
            "jwks_uri",
        ),
        (
            "a set without a usable key",
            issuers([Issuer::new(IDP).keys(no_keys).map_subjects(prefix("idp|"))]),
            "issuer `https://idp.example`: keys: ",
            "P-256",
        ),
        ("a path as the URL of keys", uri("/jwks.json"), "issuer `https://idp.example`: jwks_uri: ", "`https` URL"),
        ("an empty URL of keys", uri(""), "issuer `https://idp.example`: jwks_uri: ", "`https` URL"),
        (
            "a URL of keys without a scheme",
            uri("idp.example/jwks.json"),
            "issuer `https://idp.example`: jwks_uri: ",
            "`https` URL",
        ),
        (
            "a URL of keys with a space",
            uri("https://idp example/jwks.json"),
            "issuer `https://idp.example`: jwks_uri: ",
            "`https` URL",
        ),
        (
            "a URL of keys with http",
            uri("http://idp.example/jwks.json"),
            "issuer `https://idp.example`: jwks_uri: ",
            "https",
        ),
        (
            "a file URL of keys",
            uri("file:///etc/jwks.json"),
            "issuer `https://idp.example`: jwks_uri: ",
            "`file:///etc/jwks.json`",
        ),
        (
            "an empty URL of keys, with an HTTP service",
            uri("").http(away),
            "issuer `https://idp.example`: jwks_uri: ",
            "`https` URL",
        ),
        (
            "no subjects",
            issuers([Issuer::new(IDP).jwks_uri("https://idp.example/jwks.json")]),
            "issuer `https://idp.example`: map_subjects: ",
            "SubjectMapping::Prefix",
        ),
        (
            "an empty prefix",
            issuers([mapped(IDP, prefix(""))]),
            "issuer `https://idp.example`: map_subjects: ",
            "SubjectMapping::Keep",
        ),
        ("no algorithms", issuers([foreign(IDP).algorithms([])]), "issuer `https://idp.example`: algorithms: ", "name"),
        (
            "an unknown presenter",
            issuers([foreign(IDP).allow_presenters(["nobody"])]),
            "issuer `https://idp.example`: allow_presenters: ",
            "`nobody`",
        ),
        (
            "a name of an unknown client",
            issuers([foreign(IDP).map_client("there", "nobody")]),
            "issuer `https://idp.example`: map_client",
            "`nobody`",
        ),
        (
            "refresh tokens",
            issuers([foreign(IDP).accept_types([TokenType::REFRESH_TOKEN])]),
            "issuer `https://idp.example`: accept: ",
            "never accepted",
        ),
        (
            "SAML assertions",
            issuers([foreign(IDP)
                .accept_types([TokenType::JWT, TokenType::from_static("urn:ietf:params:oauth:token-type:saml2")])]),
            "issuer `https://idp.example`: accept: ",
            "saml2",
        ),
        (
            "an issuer twice",
            issuers([foreign(IDP), mapped(IDP, prefix("more|"))]),
            "issuer `https://idp.example`: ",
            "second record",
        ),
        ("our own issuer twice", issuers([own(), own()]), "issuer `https://as.example`: ", "second record"),
        (
            "our own subjects mapped",
            issuers([own().map_subjects(keep())]),
            "issuer `https://as.example`: map_subjects: ",
            "`map_subjects` out",
        ),
        (
            "our own clients mapped",
            issuers([own().map_client("a", "orders")]),
            "issuer `https://as.example`: map_client: ",
            "`map_client` out",
        ),
        // Every pair of issuers that could name the same subject.
        (
            "one unchanged",
            issuers([mapped(IDP, keep())]),
            "issuer `https://idp.example`: map_subjects: ",
            "federated_subjects_only",
        ),
        (
            "one by a claim",
            issuers([mapped(IDP, claim())]),
            "issuer `https://idp.example`: map_subjects: ",
            "federated",
        ),
        ("no own subjects, and an own record", federated([own()]), "federated_subjects_only: ", "remove the record"),
        (
            "a name for two clients",
            issuers([foreign(IDP).map_client("there", "orders").map_client("there", "orders")]),
            "issuer `https://idp.example`: map_client: ",
            "two clients",
        ),
        (
            "two unchanged",
            federated([mapped(IDP, keep()), mapped(OTHER, keep())]),
            "issuer `https://other.example`: map_subjects: ",
            same,
        ),
        (
            "unchanged, and by a claim",
            federated([mapped(IDP, keep()), mapped(OTHER, claim())]),
            "issuer `https://other.example`: map_subjects: ",
            same,
        ),
        (
            "by a claim, and unchanged",
            federated([mapped(IDP, claim()), mapped(OTHER, keep())]),
            "issuer `https://other.example`: map_subjects: ",
            same,
        ),
        (
            "two by a claim",
            federated([mapped(IDP, claim()), mapped(OTHER, claim())]),
            "issuer `https://other.example`: map_subjects: ",
            same,
        ),
        (
            "unchanged, and prefixed",
            federated([mapped(IDP, keep()), mapped(OTHER, prefix("o|"))]),
            "issuer `https://other.example`: map_subjects: ",
            same,
        ),
        (
            "prefixed, and unchanged",
            federated([mapped(IDP, prefix("o|")), mapped(OTHER, keep())]),
            "issuer `https://other.example`: map_subjects: ",
            same,
        ),
        (
            "prefixed, and by a claim",
            federated([mapped(IDP, prefix("o|")), mapped(OTHER, claim())]),
            "issuer `https://other.example`: map_subjects: ",
            "Prefix",
        ),
        (
            "one prefix twice",
            federated([mapped(IDP, prefix("o|")), mapped(OTHER, prefix("o|"))]),
            "issuer `https://other.example`: map_subjects: ",
            same,
        ),
        (
            "a longer prefix",
            federated([mapped(IDP, prefix("o|")), mapped(OTHER, prefix("o|x|"))]),
            "issuer `https://other.example`: map_subjects: ",
            same,
        ),
        (
            "a shorter prefix",
            federated([mapped(IDP, prefix("o|x|")), mapped(OTHER, prefix("o|"))]),
            "issuer `https://other.example`: map_subjects: ",
            same,
        ),
        (
            "ours, and unchanged",
            issuers([own(), mapped(IDP, keep())]),
            "issuer `https://idp.example`: map_subjects: ",
            "our own issuer",
        ),
        (
            "unchanged, and ours",
            issuers([mapped(IDP, keep()), own()]),
            "issuer `https://idp.example`: map_subjects: ",
            "our own issuer",
        ),
        (
            "ours, and by a claim",
            issuers([own(), mapped(IDP, claim())]),
            "issuer `https://idp.example`: map_subjects: ",
            same,
        ),
        (
            "the first and the third of three",
            issuers([
                mapped(IDP, prefix("a|")),
                mapped(OTHER, prefix("b|")),
                mapped("https://third.example", prefix("a|")),
            ]),
            "issuer `https://third.example`: map_subjects: ",
            "`a|`",
        ),
    ]
}

fn mistakes_of_rules() -> Vec<Mistake> {
    let rules = |rules: Vec<Rule>| good().rules(rules);
    let allow = |client: &str, target: &str| Rule::allow(client, Subjects::any(), target);
    vec![
        (
            "an unknown client",
            rules(vec![allow("nobody", "billing").scopes(["read"])]),
            "rule `rule 1`: clients: ",
            "`nobody`",
        ),
        (
            "a name without its issuer",
            rules(vec![Rule::allow("orders", Subjects::any().named(["alice"]), "billing").scopes(["read"])]),
            "rule `rule 1`: subjects: ",
            "of_issuer",
        ),
        (
            "a deny with an empty list",
            rules(vec![Rule::deny(Vec::<String>::new(), Subjects::any(), "billing")]),
            "rule `rule 1`: clients: ",
            "empty list",
        ),
        (
            "a deny for subjects of an unknown issuer",
            rules(vec![Rule::deny(Names::any(), Subjects::of_issuer("https://idp.exmaple"), Names::any())]),
            "rule `rule 1`: subjects: ",
            "`https://idp.exmaple`",
        ),
        (
            "a deny rule with an empty list of actors",
            rules(vec![Rule::deny("orders", Subjects::any(), "billing").actors(Actors::parties([]))]),
            "rule `rule 1`: actors: ",
            "empty list",
        ),
        (
            "a deny with limits",
            rules(vec![Rule::deny("orders", Subjects::any(), "billing").max_depth(1)]),
            "rule `rule 1`: max_depth: ",
            "move this setting to an allow rule",
        ),
        (
            "an unknown target",
            rules(vec![allow("orders", "nowhere").scopes(["read"])]),
            "rule `rule 1`: targets: ",
            "`nowhere`",
        ),
        (
            "a target by its aud",
            rules(vec![allow("orders", "https://billing.example").scopes(["read"])]),
            "rule `rule 1`: targets: ",
            "add a record",
        ),
        (
            "a deny rule for an unknown client",
            rules(vec![rule(), Rule::deny("nobody", Subjects::any(), Names::any())]),
            "rule `rule 2`: clients: ",
            "`nobody`",
        ),
        (
            "one unknown client of two, in a rule with a name",
            rules(vec![Rule::allow(["orders", "nobody"], Subjects::any(), "billing").scopes(["read"]).id("billing")]),
            "rule `billing`: clients: ",
            "`nobody`",
        ),
        (
            "an allow without scopes",
            rules(vec![rule(), allow("orders", "billing")]),
            "rule `rule 2`: scopes: ",
            "Names::any()",
        ),
        (
            "an allow rule with an empty list of scopes",
            rules(vec![allow("orders", "billing").scopes(Vec::<String>::new())]),
            "rule `rule 1`: scopes: ",
            "scope tokens",
        ),
        (
            "an allow rule with a scope with a space",
            rules(vec![allow("orders", "billing").scopes(["read write"])]),
            "rule `rule 1`: scopes: ",
            "scope tokens",
        ),
        (
            "a deny with scopes",
            rules(vec![Rule::deny("orders", Subjects::any(), "billing").scopes(["read"])]),
            "rule `rule 1`: scopes: ",
            "move this setting to an allow rule",
        ),
    ]
}

#[test]
fn every_mistake_names_its_field_and_help() {
    let mistakes = [
        mistakes_of_the_layer(),
        mistakes_of_clients(),
        mistakes_of_targets(),
        mistakes_of_issuers(),
        records::mistakes(),
        mistakes_of_rules(),
    ]
    .into_iter()
    .flatten();
    let mut failed = Vec::new();
    for (name, builder, start, word) in mistakes {
        match builder.build() {
            Ok(_) => failed.push(format!("{name}: no error, expected `{start}… {word} …`")),
            Err(error) => {
                let text = error.to_string();
                if !text.starts_with(start) || !text[start.len()..].contains(word) {
                    failed.push(format!("{name}: `{text}`, expected `{start}… {word} …`"));
                }
                assert!(
                    text.starts_with(&format!("{}: ", error.field())),
                    "{name}: the message starts with the field: {text}"
                );
                assert!(text.len() > error.field().len() + 12, "{name}: the message has help: {text}");
                let shown = ["15-characters", "zq9canary"].iter().any(|secret| text.contains(secret));
                assert!(!shown, "{name}: the error shows the secret: {text}");
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn a_target_cannot_repeat_reserved_claims() {
    let reserved = [
        "iss",
        "iat",
        "jti",
        "sub",
        "aud",
        "exp",
        "nbf",
        "scope",
        "client_id",
        "cnf",
        "act",
        "may_act",
        "authorization_details",
        "auth_time",
        "acr",
        "amr",
        // The members of an introspection response (RFC 7662 section 2.2).
        "active",
        "token_type",
    ];
    for claim in reserved {
        let error = targets([target().claims(["tenant", claim])]).build().unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("target `billing`: claims: "), "{text}");
        assert!(text.contains(&format!("`{claim}`")) && text.contains("leave"), "{text}");
    }
    assert!(targets([target().claims(["tenant", "groups", "roles", "Sub", "email"])]).build().is_ok());
}

/// Correct configurations that differ little from a mistake.
#[test]
fn a_correct_configuration_is_accepted() {
    let keep = || mapped(IDP, SubjectMapping::Keep);
    let cases = [
        ("the minimum", good()),
        ("8 targets", good().max_targets(8)),
        ("60 s of leeway", good().leeway(Duration::from_secs(60))),
        ("no leeway", good().leeway(Duration::ZERO)),
        ("a lifetime of a second", good().max_lifetime(Duration::from_secs(1))),
        ("one actor", good().max_chain_depth(1)),
        ("another endpoint", good().endpoint("/oauth2/token").endpoint("/")),
        ("a guard", good().guard()),
        (
            "an issuer with a path",
            TokenExchangeLayer::builder("https://as.example/tenants/1/")
                .rules([rule()])
                .signer(LocalSigner::generate(Algorithm::EdDSA).unwrap())
                .clients([client()])
                .targets([target()]),
        ),
        ("a secret of 16 characters", clients([Client::new("orders").secret("sixteen-letters!")])),
        ("a hash in upper case", clients([Client::new("orders").secret_sha256("AB".repeat(32))])),
        ("no secret", clients([Client::new("orders")])),
        ("a client_id with a space and a colon", clients([client(), Client::new("two words: here")])),
        ("a default target", clients([client().default_target("billing").targets(["billing"])])),
        ("a target without clients", targets([target(), Target::new("ledger").scopes(["read"])])),
        (
            "one name of two kinds",
            targets([
                target(),
                Target::new("urn:x:y").scopes(["r"]),
                Target::new("z").resource("urn:x:y").scopes(["r"]),
            ]),
        ),
        (
            "auds that differ by a slash",
            targets([target(), Target::new("l").audience_claim("https://billing.example/").scopes(["r"])]),
        ),
        ("a translation into no scope", targets([target().translate("up", Vec::<String>::new())])),
        ("a foreign issuer", issuers([foreign(IDP)])),
        ("two prefixes", issuers([foreign(IDP), foreign(OTHER)])),
        ("one unchanged", issuers([keep()]).federated_subjects_only()),
        ("one by a claim", issuers([mapped(IDP, SubjectMapping::Claim("email".into()))]).federated_subjects_only()),
        ("our own record", issuers([Issuer::new(AS).allow_untyped_access_tokens()])),
        ("our own record and a prefix", issuers([Issuer::new(AS), foreign(IDP)])),
        (
            "ID tokens, and a vendor's type",
            issuers([foreign(IDP).accept_types([TokenType::ID_TOKEN, TokenType::from_static("urn:x:y")])]),
        ),
        (
            "a URL of keys with a port and a query",
            issuers([Issuer::new(IDP).jwks_uri("https://idp.example:8443/k?v=1").map_subjects(prefix("i|"))]),
        ),
        ("an empty policy, which allows nothing", good().rules([])),
        (
            "a rule for any client and any target",
            good().rules([Rule::allow(Names::any(), Subjects::any(), Names::any()).scopes(Names::any())]),
        ),
    ];
    for (name, builder) in cases.into_iter().chain(records::good_ones()) {
        if let Err(error) = builder.build() {
            panic!("{name}: {error}");
        }
    }
}

#[test]
fn every_case_has_a_different_name() {
    let mistakes = [
        mistakes_of_the_layer(),
        mistakes_of_clients(),
        mistakes_of_targets(),
        mistakes_of_issuers(),
        mistakes_of_rules(),
    ];
    for group in mistakes {
        let mut names = BTreeSet::new();
        assert!(group.iter().all(|(name, ..)| names.insert(*name)), "{names:?}");
    }
}

/// The problems of a configuration, as `kind place: help`.
fn problems(builder: TokenExchangeBuilder) -> Vec<String> {
    let error = builder.build().unwrap_err();
    let shown = |problem: &ConfigProblem| {
        format!("{:?} {}: {}", problem.kind(), problem.place().unwrap_or_default(), problem.help())
    };
    error.problems().iter().map(shown).collect()
}

#[test]
fn all_mistakes_are_reported_in_order() {
    let builder = TokenExchangeLayer::builder("as.example")
        .endpoint("token")
        .max_targets(9)
        .clients([
            Client::new("orders").secret("short").secret_sha256("nope").default_target("ledger").scopes(["a b"]),
            Client::new("billing").targets(["billing", "ledger"]),
            Client::new("billing"),
        ])
        .targets([Target::new("billing").allow_clients(["order", "orders", "nobody"]).served_by("bill")])
        .issuers([Issuer::new(IDP).leeway(Duration::from_secs(61)).allow_presenters(["orders", "order"])])
        .rules([rule()]);
    let expected = [
        "Invalid : not a path",
        "Invalid : out of range",
        "Missing : no signer",
        "Invalid : not a URL",
        "Invalid client[0].secret: shorter than 16 characters",
        "Invalid client[0].secret_sha256: not 64 hexadecimal digits",
        "Invalid client[0].scopes: ",
        "Unknown client[0].default_target: no target `ledger`",
        "Unknown client[1].targets[1]: no target `ledger`",
        "Duplicate client[2].id: a second record",
        "Conflict target[0].aud: `billing` is the id of a client",
        "Unknown target[0].owner: no client `bill`",
        "Unknown target[0].callers[0]: no client `order`",
        "Unknown target[0].callers[2]: no client `nobody`",
        "Missing target[0].scopes: none",
        "Missing issuer[0].subjects: missing",
        "Missing issuer[0].jwks: no source of keys",
        "Invalid issuer[0].leeway: longer than a minute",
        "Unknown issuer[0].presenters[1]: no client `order`",
    ];
    let found = problems(builder);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}, expected {expected}");
    }
}

/// The checks of the rules depend on the records, so mistakes in rules are reported once the records are correct.
#[test]
fn all_mistakes_of_rules_are_reported() {
    let allow = |client: &str, target: &str| Rule::allow(client, Subjects::any(), target).scopes(["read"]);
    let found = problems(good().rules([allow("order", "billing"), rule(), allow("orders", "ledger")]));
    let places: Vec<_> = found.iter().map(|problem| problem.split(": ").next().unwrap()).collect();
    assert_eq!(places, ["Unknown rule[0].clients[0]", "Unknown rule[2].targets[0]"]);
}

#[test]
fn an_error_shows_one_mistake_per_line() {
    let error = clients([Client::new("orders").secret("short").secret_sha256("nope")]).build().unwrap_err();
    let text = error.to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].starts_with("client `orders`: secret: "), "{text}");
    assert!(lines[1].starts_with("client `orders`: secret_sha256: "), "{text}");
    // The accessors describe the first mistake.
    assert_eq!((error.field(), error.place()), ("client `orders`: secret", Some("client[0].secret")));
    assert_eq!(error.kind(), ConfigErrorKind::Invalid);
}

/// A user of a document reads keys, and a user of the builder reads methods. The place always has keys.
#[test]
fn messages_use_the_words_of_the_user() {
    let document: Document = serde_json::from_value(serde_json::json!({
        "client": [{ "id": "orders", "secret": SECRET }],
        "target": [{ "id": "billing", "aud": "", "callers": ["nobody"], "scopes": ["read"] }],
        "issuer": [{ "issuer": IDP, "jwks_uri": "https://idp.example/jwks.json" }],
        "rule": [],
    }))
    .unwrap();
    let read = TokenExchangeLayer::builder(AS)
        .document(document)
        .signer(LocalSigner::generate(Algorithm::ES256).unwrap())
        .build()
        .unwrap_err();
    let built = targets([Target::new("billing").audience_claim("").allow_clients(["nobody"]).scopes(["read"])])
        .issuers([Issuer::new(IDP).jwks_uri("https://idp.example/jwks.json")])
        .build()
        .unwrap_err();
    let fields = |error: &ConfigError| {
        error
            .problems()
            .iter()
            .map(|problem| problem.field().rsplit(": ").next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let places = |error: &ConfigError| {
        error.problems().iter().map(|problem| problem.place().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(fields(&read), ["aud", "callers", "subjects"]);
    assert_eq!(fields(&built), ["audience_claim", "allow_clients", "map_subjects"]);
    assert_eq!(places(&read), ["target[0].aud", "target[0].callers[0]", "issuer[0].subjects"]);
    assert_eq!(places(&built), places(&read));
    assert!(read.problems()[2].help().contains("{ prefix = "), "{read}");
    assert!(built.problems()[2].help().contains("SubjectMapping::Prefix"), "{built}");
}

#[test]
fn records_come_from_one_source() {
    let document = || Document::new().clients([client()]).targets([target()]).rules([rule()]);
    let signed = || TokenExchangeLayer::builder(AS).signer(LocalSigner::generate(Algorithm::ES256).unwrap());
    assert!(signed().document(document()).build().is_ok());
    for builder in [
        signed().document(document()).clients([Client::new("reports")]),
        signed().clients([Client::new("reports")]).document(document()),
        signed().document(document()).targets([Target::new("ledger").scopes(["read"])]),
        signed().document(document()).issuers([foreign(IDP)]),
        signed().document(document()).rules([rule()]),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!((error.field(), error.kind()), ("document", ConfigErrorKind::Conflict), "{error}");
    }
    let policy = tower::service_fn(|_: Query| async { Ok::<_, &str>(Decision::delegate()) });
    let error = signed().document(document()).policy(policy).build().unwrap_err();
    assert_eq!((error.field(), error.kind()), ("rules", ConfigErrorKind::Conflict), "{error}");
}
