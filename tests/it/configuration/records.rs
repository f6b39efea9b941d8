//! Issuer records that contradict themselves or each other, and correct records that differ little from them.

use super::*;
use tower_token_exchange::{
    records::{IntrospectedTokens, Introspection, TokenRules},
    token::{TokenToVerify, Verification},
};

const BADGE: &str = "urn:example:token-type:badge";
const SAML2: &str = "urn:ietf:params:oauth:token-type:saml2";

fn endpoint() -> Introspection {
    Introspection::basic("https://idp.example/introspect", "layer", "zq9canary")
}

fn at(endpoint: &str) -> Introspection {
    Introspection::bearer(endpoint, "zq9canary")
}

/// A record without keys and with introspection.
fn asked(id: &str) -> Issuer {
    Issuer::new(id).map_subjects(prefix(&format!("{id}|"))).introspection(endpoint())
}

fn jwt() -> TokenRules {
    TokenRules::new(TokenType::JWT)
}

fn id_token() -> TokenRules {
    TokenRules::new(TokenType::ID_TOKEN)
}

fn access_token() -> TokenRules {
    TokenRules::new(TokenType::ACCESS_TOKEN)
}

/// A builder with a verifier for each of these types.
fn verifying(builder: TokenExchangeBuilder, types: &[&'static str]) -> TokenExchangeBuilder {
    types.iter().fold(builder, |builder, token_type| {
        let verifier = tower::service_fn(|_: TokenToVerify| async { Ok::<_, &str>(Verification::rejected("x")) });
        builder.token_verifier(TokenType::from_static(token_type), verifier)
    })
}

fn away() -> impl tower_token_exchange::plug::Plug<http::Request<bytes::Bytes>, http::Response<bytes::Bytes>> {
    tower::service_fn(|_: http::Request<bytes::Bytes>| async { Err::<http::Response<bytes::Bytes>, _>("away") })
}

pub(super) fn mistakes() -> Vec<Mistake> {
    let keys = || LocalSigner::generate(Algorithm::ES256).unwrap().published_keys().key_set();
    let (idp, layer) = ("issuer `https://idp.example`: ", "issuer `https://as.example`: ");
    let one = |issuer: Issuer| issuers([issuer]);
    let own = || Issuer::new(AS);
    let mut mistakes: Vec<(&'static str, TokenExchangeBuilder, String, &'static str)> = Vec::new();
    let mut add = |name, builder, start: String, word| mistakes.push((name, builder, start, word));

    // Two sources of keys.
    let sources = format!("{idp}keys, jwks_uri or discovery: ");
    add("keys and a URL", one(foreign(IDP).keys(keys())), sources.clone(), "keep one");
    add(
        "keys and discovery",
        one(Issuer::new(IDP).keys(keys()).discovery().map_subjects(prefix("i|"))),
        sources.clone(),
        "one",
    );
    add("a URL and discovery", one(foreign(IDP).discovery()), sources.clone(), "one");
    add("a URL, discovery and a URL", one(foreign(IDP).discovery().jwks_uri("https://x.example/k")), sources, "one");
    let discovery = "issuer `https://idp.example?x=1`: discovery: ".to_owned();
    let searched = |id: &str| one(Issuer::new(id).discovery().map_subjects(prefix("i|")));
    add("discovery with a query", searched("https://idp.example?x=1"), discovery, "`jwks_uri`");
    add("discovery for a name", searched("idp"), "issuer `idp`: discovery: ".into(), "absolute URL");
    add(
        "discovery with http",
        searched("http://idp.example"),
        "issuer `http://idp.example`: discovery: ".into(),
        "https",
    );
    let user = one(Issuer::new(IDP).jwks_uri("https://u:p@idp.example/k").map_subjects(prefix("i|")));
    add("a URL of keys with a password", user, format!("{idp}jwks_uri: "), "HTTP service");

    // Introspection endpoints that cannot be used.
    let field = format!("{idp}introspection: ");
    let asks = |record: Introspection| one(foreign(IDP).introspection(record));
    add(
        "credentials with a line break",
        asks(Introspection::bearer("https://x.example", "a\nb")),
        field.clone(),
        "ASCII",
    );
    add(
        "credentials beyond ASCII",
        asks(Introspection::bearer("https://x.example", "schlüssel")),
        field.clone(),
        "ASCII",
    );
    add("an endpoint with a password", asks(at("https://u:p@x.example/i")), field.clone(), "separately");
    add("an endpoint that is a path", asks(at("/introspect")), field.clone(), "`https` URL");
    add("an empty endpoint URL", asks(at("")), field.clone(), "`https` URL");
    add("an endpoint without a scheme", asks(at("idp.example/introspect")), field.clone(), "`https` URL");
    add("an endpoint with http", asks(at("http://idp.example/introspect")), field.clone(), "`http`");
    add("an endpoint that is a file", asks(at("file:///introspect")), field.clone(), "`https` URL");
    #[cfg(feature = "introspection-cache")]
    {
        let cached = |entries, seconds| asks(endpoint().cache(entries, Duration::from_secs(seconds)));
        add("a cache without entries", cached(0, 60), field.clone(), "leave the cache out");
        add("a cache without time", cached(10, 0), field.clone(), "leave the cache out");
        add("a cache for a day and a second", cached(10, 86_401), field.clone(), "1 day");
        add("a cache with the largest numbers", cached(u64::MAX, u64::MAX), field.clone(), "1 day");
    }
    // Two issuers that would be asked about the same token.
    let other = "issuer `https://other.example`: introspection: ";
    add("two asked about JWTs", issuers([asked(IDP), asked(OTHER)]), other.into(), "`https://idp.example`");
    let both = [TokenType::JWT, TokenType::from_static(BADGE)];
    let shared =
        issuers([asked(IDP).accept_types(both.clone()), asked(OTHER).accept_types([TokenType::from_static(BADGE)])]);
    add("two asked about badges", shared, other.into(), "a type of its own");
    let ours = issuers([own().introspection(endpoint()), asked(IDP).accept_types([TokenType::ACCESS_TOKEN])]);
    add("ours and another's access tokens", ours, field.clone(), "`https://as.example`");
    let keyed = issuers([asked(IDP), foreign(OTHER).introspection(endpoint())]);
    add("two asked, one with keys", keyed, other.into(), "a type of its own");

    // Times.
    add("61 s of leeway for one", one(foreign(IDP).leeway(Duration::from_secs(61))), format!("{idp}leeway: "), "60 s");
    add(
        "a little over 60 s for one",
        one(foreign(IDP).leeway(Duration::from_millis(60_001))),
        format!("{idp}leeway: "),
        "60 s",
    );
    add("an age of zero", one(foreign(IDP).max_age(Duration::ZERO)), format!("{idp}max_age: "), "1 s");
    add(
        "an age below a second",
        one(foreign(IDP).max_age(Duration::from_millis(999))),
        format!("{idp}max_age: "),
        "1 s",
    );

    // Tenants.
    let tenants = |claim: &str, accepted: &[&str]| one(foreign(IDP).accept_tenants(claim, accepted.iter().copied()));
    let field = format!("{idp}accept_tenants: ");
    add("tenants without a claim", tenants("", &["red"]), field.clone(), "name the claim");
    add("no tenants", tenants("tid", &[]), field.clone(), "at least one");
    add("an empty tenant", tenants("tid", &["red", ""]), field.clone(), "``");
    add("a tenant with a separator", tenants("tid", &["red|blue"]), field.clone(), "`red|blue`");
    add("a tenant with a line break", tenants("tid", &["red\n"]), field.clone(), "control character");
    for claim in ["iss", "sub", "aud", "exp"] {
        add("tenants by a registered claim", tenants(claim, &["red"]), field.clone(), "meaning");
    }
    let several = || foreign(IDP).accept_tenants("tid", ["red", "blue"]);
    let trust = format!("{idp}trust_act or trust_may_act: ");
    add("trusted actors of several tenants", one(several().trust_act()), trust.clone(), "one tenant");
    add("trusted may_act of several tenants", one(several().trust_may_act()), trust, "do not trust");
    add(
        "tenants of our own issuer",
        one(own().accept_tenants("tid", ["red"])),
        format!("{layer}accept_tenants: "),
        "`accept_tenants` out",
    );
    add(
        "audiences of our own issuer",
        one(own().accepted_audiences(["us"])),
        format!("{layer}accepted_audiences: "),
        "`accepted_audiences` out",
    );

    // One name for this server and for a client.
    let named = |issuer: Issuer, name: &str| issuer.map_client(name, "orders");
    let two = || foreign(IDP).accept_types([TokenType::ID_TOKEN, TokenType::JWT]);
    let field = format!("{idp}map_client: ");
    add(
        "an audience that is a client",
        one(named(two().accepted_audiences(["x", "us"]), "us")),
        field.clone(),
        "`accepted_audiences`",
    );
    add("the default audience that is a client", one(named(two(), AS)), field.clone(), "`https://as.example`");
    let by_type = foreign(IDP).accept(id_token()).accept(jwt().audiences(["us"]));
    add("an audience of a type that is a client", one(named(by_type, "us")), field.clone(), "`audiences`");
    let badge =
        foreign(IDP).accept(id_token()).accept(TokenRules::new(TokenType::from_static(BADGE)).audiences(["us"]));
    add("an audience of a badge that is a client", one(named(badge, "us")), field, "accept no ID tokens");

    // Rules that no token meets.
    let field = format!("{idp}accept: ");
    let ruled = |rules: TokenRules| one(foreign(IDP).accept(rules));
    add("a media type of logout tokens", ruled(jwt().typ(["logout+jwt"])), field.clone(), "`logout+jwt`");
    add(
        "a media type of DPoP proofs in full",
        ruled(jwt().typ(["JWT", "application/DPoP+JWT"])),
        field.clone(),
        "`dpop+jwt`",
    );
    add("an access token that is a JWT", ruled(access_token().typ(["JWT"])), field.clone(), "`jwt`");
    add("an ID token that is an access token", ruled(id_token().typ(["at+jwt"])), field.clone(), "`at+jwt`");
    add("an ID token of a vendor", ruled(id_token().typ(["vnd.x+jwt"])), field.clone(), "`vnd.x+jwt`");
    let ours = one(own().accept(jwt().typ(["at+jwt"])));
    add("a JWT of ours that is an access token", ours, format!("{layer}accept: "), "`at+jwt`");
    add("required and forbidden", ruled(jwt().require("azp").forbid("azp")), field.clone(), "`azp`");
    add(
        "required with a value and forbidden",
        ruled(jwt().forbid("ver").require_value("ver", 1)),
        field.clone(),
        "`ver`",
    );
    let twice = jwt().require_value("ver", "1.0").require("azp").require_value("ver", "2.0");
    add("required with two values", ruled(twice), field.clone(), "two values");
    for claim in ["cnf", "events", "at_hash", "c_hash", "s_hash", "authorization_details"] {
        add("required and always refused", ruled(jwt().require(claim)), field.clone(), "refused");
        add(
            "required of access tokens and always refused",
            ruled(access_token().require(claim)),
            field.clone(),
            "refused",
        );
    }
    for claim in ["cnf", "events", "client_id", "scope", "authorization_details"] {
        add(
            "required of ID tokens and always refused",
            ruled(id_token().require_value(claim, "x")),
            field.clone(),
            "refused",
        );
    }
    for claim in ["iss", "sub", "exp", "aud"] {
        add("forbidden and always required", ruled(jwt().forbid(claim)), field.clone(), "always refused");
    }
    add(
        "a refresh token of ours",
        one(own().accept_types([TokenType::REFRESH_TOKEN])),
        format!("{layer}accept: "),
        "never",
    );

    // Statements about claims that a token does not have.
    add("a foreign token for nobody", ruled(jwt().allow_absent_aud()), field.clone(), "`absent_aud`");
    add("a foreign token for no one", ruled(jwt().allow_empty_aud()), field.clone(), "`empty_aud`");
    add("an audience without a name", ruled(jwt().absent_aud("")), field.clone(), "give the audience");
    add("an empty audience without a name", ruled(jwt().empty_aud("")), field.clone(), "give the audience");
    add("an untyped JWT", ruled(jwt().allow_untyped()), field.clone(), "needs no `typ`");
    add("an ID token without a subject", ruled(id_token().subject_claim("name")), field.clone(), "always has a `sub`");
    add(
        "an `aud` that may be absent and is required",
        ruled(jwt().absent_aud("x").require("aud")),
        field.clone(),
        "`aud`",
    );
    add(
        "a `sub` that may be absent and is required",
        ruled(jwt().subject_claim("x").require("sub")),
        field.clone(),
        "`sub`",
    );
    add(
        "an `iss` that may be absent and is required",
        ruled(jwt().allow_absent_iss().require("iss")),
        field.clone(),
        "`iss`",
    );
    add("a presenter without a record", ruled(jwt().presenters(["ordres"])), field.clone(), "did you mean `orders`?");
    let nameless = |id: &str| {
        let record = Issuer::new(id).map_subjects(prefix(&format!("{id}|"))).jwks_uri(format!("{id}/keys"));
        record.accept(jwt().allow_absent_iss())
    };
    add(
        "two issuers without names",
        issuers([nameless(IDP), nameless("https://two.example")]),
        "issuer `https://two.example`: accept: ".to_owned(),
        "keep `allow_absent_iss` in one record",
    );
    let shared = |issuer: Issuer| issuer.jwks_uri("https://keys.example/");
    let remote = |id: &str| shared(Issuer::new(id).map_subjects(prefix(&format!("{id}|"))));
    add(
        "a nameless issuer with the keys of another",
        issuers([remote(IDP).accept(jwt().allow_absent_iss()), remote("https://two.example")]),
        format!("{idp}accept: "),
        "has the same key set",
    );
    let same = Minter::new(IDP, Algorithm::ES256);
    let renamed = Minter { key: same.key.clone().with_key_id(key_id("other")), iss: IDP };
    let fixed = |id: &str, minter: &Minter| Issuer::new(id).map_subjects(prefix(&format!("{id}|"))).keys(minter.keys());
    add(
        "a nameless issuer with a key of another",
        issuers([fixed("https://two.example", &renamed), fixed(IDP, &same).accept(jwt().allow_absent_iss())]),
        format!("{idp}accept: "),
        "has the same key set",
    );

    // Types without a verifier.
    let saml = || foreign(IDP).accept_types([TokenType::from_static(SAML2)]);
    add("SAML without a verifier", one(saml()), field.clone(), "`token_verifier`");
    add("SAML and a verifier for badges", verifying(one(saml()), &[BADGE]), field.clone(), "`token_verifier`");
    let saml1 = foreign(IDP).accept_types([TokenType::from_static("urn:ietf:params:oauth:token-type:saml1")]);
    add("SAML 1 and a verifier for SAML 2", verifying(one(saml1), &[SAML2]), field, "saml1");
    let keyless = |types: &[&'static str]| {
        let types: Vec<_> = types.iter().map(|token_type| TokenType::from_static(token_type)).collect();
        verifying(one(Issuer::new(IDP).map_subjects(prefix("i|")).accept_types(types)), &[BADGE])
    };
    add("JWTs without keys beside badges", keyless(&[BADGE, JWT]), format!("{idp}keys: "), "`introspection`");
    add("badges of two kinds, one verified", keyless(&[BADGE, "urn:x:pass"]), format!("{idp}keys: "), "`jwks_uri`");
    add(
        "our own opaque tokens, and no subjects of ours",
        federated([own().introspection(endpoint())]),
        "federated_subjects_only: ".into(),
        "remove the record",
    );
    mistakes.into_iter().map(|(name, builder, start, word)| (name, builder, &*start.leak(), word)).collect()
}

pub(super) fn good_ones() -> Vec<(&'static str, TokenExchangeBuilder)> {
    let one = |issuer: Issuer| issuers([issuer]);
    let own = || Issuer::new(AS);
    let badges = || TokenType::from_static(BADGE);
    let two = || foreign(IDP).accept_types([TokenType::ID_TOKEN, TokenType::JWT]);
    vec![
        ("a URL of keys, replaced", one(foreign(IDP).jwks_uri("https://mirror.example/k"))),
        ("the discovery of a preset, replaced", one(Issuer::google().jwks_uri("https://mirror.example/k"))),
        ("introspection alone", one(asked(IDP))),
        ("introspection and keys", one(foreign(IDP).introspection(endpoint().introspect(IntrospectedTokens::Every)))),
        (
            "introspection with http and an HTTP service",
            one(asked(IDP).introspection(at("http://idp.example/i"))).http(away()),
        ),
        ("introspection in the same process", one(asked(IDP).introspection(at("http://idp.example/i").http(away())))),
        ("introspection of two types", issuers([asked(IDP), asked(OTHER).accept_types([badges()])])),
        ("introspection of own tokens, and of foreign JWTs", issuers([own().introspection(endpoint()), asked(IDP)])),
        ("60 s of leeway", one(foreign(IDP).leeway(Duration::from_secs(60)))),
        ("an age of a second", one(foreign(IDP).max_age(Duration::from_secs(1)))),
        (
            "one tenant with trusted actors",
            one(foreign(IDP).accept_tenants("tid", ["red"]).trust_act().trust_may_act()),
        ),
        (
            "several tenants with actor tokens",
            one(foreign(IDP).accept_tenants("tid", ["red", "blue"]).allow_actor_tokens()),
        ),
        ("an audience and a client with two names", one(two().accepted_audiences(["us"]).map_client("web", "orders"))),
        ("an audience that is a client, for ID tokens alone", {
            one(foreign(IDP).accept_types([TokenType::ID_TOKEN]).accepted_audiences(["us"]).map_client("us", "orders"))
        }),
        (
            "an audience that is a client, for JWTs alone",
            one(foreign(IDP).accepted_audiences(["us"]).map_client("us", "orders")),
        ),
        ("a vendor's type", one(foreign(IDP).accept(jwt().typ(["vnd.x+jwt", "at+jwt"])))),
        ("untyped access tokens", {
            one(own().allow_untyped_access_tokens().accept(access_token().typ(["JWT", "at+jwt"])))
        }),
        (
            "the same value required twice",
            one(foreign(IDP).accept(jwt().require("ver").require_value("ver", 2).require_value("ver", 2))),
        ),
        ("a hash in an ID token", one(foreign(IDP).accept(id_token().require("at_hash").require("nonce")))),
        ("a client in a JWT", one(foreign(IDP).accept(jwt().require("client_id").require("scope")))),
        ("badges without keys", {
            let record =
                Issuer::new(IDP).map_subjects(prefix("i|")).accept_types([badges(), TokenType::from_static(SAML2)]);
            verifying(one(record), &[BADGE, SAML2])
        }),
        ("a verifier that nobody needs", verifying(good(), &[BADGE])),
        ("badges that are JWTs", one(foreign(IDP).accept_types([badges()]))),
        ("every preset", {
            issuers([
                Issuer::keycloak("https://login.example", "staff"),
                Issuer::entra_id("6babcaad-604b-40ac-a9d7-9fd97c0b779f"),
                Issuer::okta("https://acme.okta.com/oauth2/default"),
                Issuer::auth0("acme.eu.auth0.com"),
                Issuer::google(),
                Issuer::kubernetes("https://kubernetes.default.svc.cluster.local", AS),
                Issuer::spiffe("example.org", "https://spire.example.org/bundle"),
            ])
        }),
    ]
}
