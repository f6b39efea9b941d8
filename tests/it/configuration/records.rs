//! Issuers' records that contradict themselves or each other, and those right beside them.

use super::*;
use tower_token_exchange::{
    records::{Introspection, TokenRules},
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

/// Without keys, asked about its tokens.
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

/// Somebody who knows tokens of these types.
fn verifying(builder: TokenExchangeBuilder, types: &[&'static str]) -> TokenExchangeBuilder {
    types.iter().fold(builder, |builder, token_type| {
        let verifier = tower::service_fn(|_: TokenToVerify| async { Ok::<_, &str>(Verification::rejected("x")) });
        builder.token_verifier(TokenType::from_static(*token_type), verifier)
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

    // Keys from two places.
    let sources = format!("{idp}keys, jwks_uri or discovery: ");
    add("keys and a place", one(foreign(IDP).keys(keys())), sources.clone(), "keep one");
    add(
        "keys and a search",
        one(Issuer::new(IDP).keys(keys()).discovery().map_subjects(prefix("i|"))),
        sources.clone(),
        "one",
    );
    add("a place and a search", one(foreign(IDP).discovery()), sources.clone(), "one");
    add("a place, a search and a place", one(foreign(IDP).discovery().jwks_uri("https://x.example/k")), sources, "one");
    let discovery = "issuer `https://idp.example?x=1`: discovery: ".to_owned();
    let searched = |id: &str| one(Issuer::new(id).discovery().map_subjects(prefix("i|")));
    add("a search below a query", searched("https://idp.example?x=1"), discovery, "`jwks_uri`");
    add("a search below a name", searched("idp"), "issuer `idp`: discovery: ".into(), "absolute URL");
    add(
        "a search in the clear",
        searched("http://idp.example"),
        "issuer `http://idp.example`: discovery: ".into(),
        "https",
    );
    let user = one(Issuer::new(IDP).jwks_uri("https://u:p@idp.example/k").map_subjects(prefix("i|")));
    add("keys behind a password", user, format!("{idp}jwks_uri: "), "HTTP service");

    // An endpoint that cannot be asked.
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
    add("an endpoint behind a password", asks(at("https://u:p@x.example/i")), field.clone(), "separately");
    add("an endpoint that is a path", asks(at("/introspect")), field.clone(), "absolute URL");
    add("an endpoint nowhere", asks(at("")), field.clone(), "absolute URL");
    add("an endpoint without a scheme", asks(at("idp.example/introspect")), field.clone(), "absolute URL");
    add("an endpoint in the clear", asks(at("http://idp.example/introspect")), field.clone(), "`http`");
    add("an endpoint that is a file", asks(at("file:///introspect")), field.clone(), "absolute URL");
    #[cfg(feature = "introspection-cache")]
    {
        let cached = |entries, seconds| asks(endpoint().cache(entries, Duration::from_secs(seconds)));
        add("a cache for nothing", cached(0, 60), field.clone(), "leave the cache out");
        add("a cache for no time", cached(10, 0), field.clone(), "leave the cache out");
        add("a cache for a day and a second", cached(10, 86_401), field.clone(), "1 day");
        add("a cache for ever", cached(u64::MAX, u64::MAX), field.clone(), "1 day");
    }
    // Two that would be asked about the same token.
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
    add("no age", one(foreign(IDP).max_age(Duration::ZERO)), format!("{idp}max_age: "), "1 s");
    add(
        "an age under a second",
        one(foreign(IDP).max_age(Duration::from_millis(999))),
        format!("{idp}max_age: "),
        "1 s",
    );

    // Tenants.
    let tenants = |claim: &str, accepted: &[&str]| one(foreign(IDP).accept_tenants(claim, accepted.iter().copied()));
    let field = format!("{idp}accept_tenants: ");
    add("tenants by no claim", tenants("", &["red"]), field.clone(), "name the claim");
    add("no tenants", tenants("tid", &[]), field.clone(), "at least one");
    add("an empty tenant", tenants("tid", &["red", ""]), field.clone(), "``");
    add("a tenant that looks like two", tenants("tid", &["red|blue"]), field.clone(), "`red|blue`");
    add("a tenant with a line break", tenants("tid", &["red\n"]), field.clone(), "control character");
    for claim in ["iss", "sub", "aud", "exp"] {
        add("tenants by a claim with a meaning", tenants(claim, &["red"]), field.clone(), "meaning");
    }
    let several = || foreign(IDP).accept_tenants("tid", ["red", "blue"]);
    let trust = format!("{idp}trust_act or trust_may_act: ");
    add("actors of several tenants", one(several().trust_act()), trust.clone(), "one tenant");
    add("grants of several tenants", one(several().trust_may_act()), trust, "do not trust");
    add(
        "tenants of ours",
        one(own().accept_tenants("tid", ["red"])),
        format!("{layer}accept_tenants: "),
        "`accept_tenants` out",
    );
    add(
        "names of ours for us",
        one(own().accepted_audiences(["us"])),
        format!("{layer}accepted_audiences: "),
        "`accepted_audiences` out",
    );

    // One name for us and for a client of ours.
    let named = |issuer: Issuer, name: &str| issuer.map_client(name, "orders");
    let two = || foreign(IDP).accept_types([TokenType::ID_TOKEN, TokenType::JWT]);
    let field = format!("{idp}map_client: ");
    add(
        "us and a client",
        one(named(two().accepted_audiences(["x", "us"]), "us")),
        field.clone(),
        "`accepted_audiences`",
    );
    add("us by our issuer and a client", one(named(two(), AS)), field.clone(), "`https://as.example`");
    let by_type = foreign(IDP).accept(id_token()).accept(jwt().audiences(["us"]));
    add("an audience and a client", one(named(by_type, "us")), field.clone(), "`audiences`");
    let badge =
        foreign(IDP).accept(id_token()).accept(TokenRules::new(TokenType::from_static(BADGE)).audiences(["us"]));
    add("a badge's audience and a client", one(named(badge, "us")), field, "accept no ID tokens");

    // Rules that no token can keep.
    let field = format!("{idp}accept: ");
    let ruled = |rules: TokenRules| one(foreign(IDP).accept(rules));
    add("a type that is never taken", ruled(jwt().typ(["logout+jwt"])), field.clone(), "`logout+jwt`");
    add("the same in full", ruled(jwt().typ(["JWT", "application/DPoP+JWT"])), field.clone(), "`dpop+jwt`");
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
        add("required and never taken", ruled(jwt().require(claim)), field.clone(), "refused");
        add(
            "required of access tokens and never taken",
            ruled(access_token().require(claim)),
            field.clone(),
            "refused",
        );
    }
    for claim in ["cnf", "events", "client_id", "scope", "authorization_details"] {
        add(
            "required of ID tokens and never taken",
            ruled(id_token().require_value(claim, "x")),
            field.clone(),
            "refused",
        );
    }
    for claim in ["iss", "sub", "exp", "aud"] {
        add("forbidden and always needed", ruled(jwt().forbid(claim)), field.clone(), "always refused");
    }
    add(
        "a refresh token of ours",
        one(own().accept_types([TokenType::REFRESH_TOKEN])),
        format!("{layer}accept: "),
        "never",
    );

    // Types that nobody can verify.
    let saml = || foreign(IDP).accept_types([TokenType::from_static(SAML2)]);
    add("SAML and nobody to read it", one(saml()), field.clone(), "`token_verifier`");
    add("SAML and a verifier for badges", verifying(one(saml()), &[BADGE]), field.clone(), "`token_verifier`");
    let saml1 = foreign(IDP).accept_types([TokenType::from_static("urn:ietf:params:oauth:token-type:saml1")]);
    add("SAML 1 and a verifier for SAML 2", verifying(one(saml1), &[SAML2]), field, "saml1");
    let keyless = |types: &[&'static str]| {
        let types: Vec<_> = types.iter().map(|token_type| TokenType::from_static(*token_type)).collect();
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
        ("the place of the keys, mended", one(foreign(IDP).jwks_uri("https://mirror.example/k"))),
        ("a preset's search, replaced", one(Issuer::google().jwks_uri("https://mirror.example/k"))),
        ("asked and nothing else", one(asked(IDP))),
        ("asked, and keys", one(foreign(IDP).introspection(endpoint().every_token()))),
        ("asked in the clear, by a fetch", one(asked(IDP).introspection(at("http://idp.example/i"))).http(away())),
        ("asked in the clear, within", one(asked(IDP).introspection(at("http://idp.example/i").http(away())))),
        ("two asked about types of their own", issuers([asked(IDP), asked(OTHER).accept_types([badges()])])),
        ("ours asked, and another's JWTs", issuers([own().introspection(endpoint()), asked(IDP)])),
        ("60 s of leeway", one(foreign(IDP).leeway(Duration::from_secs(60)))),
        ("an age of a second", one(foreign(IDP).max_age(Duration::from_secs(1)))),
        (
            "one tenant whose actors are believed",
            one(foreign(IDP).accept_tenants("tid", ["red"]).trust_act().trust_may_act()),
        ),
        ("several tenants who may act", one(foreign(IDP).accept_tenants("tid", ["red", "blue"]).allow_actor_tokens())),
        ("us and a client by two names", one(two().accepted_audiences(["us"]).map_client("web", "orders"))),
        ("us and a client by one, for ID tokens alone", {
            one(foreign(IDP).accept_types([TokenType::ID_TOKEN]).accepted_audiences(["us"]).map_client("us", "orders"))
        }),
        (
            "us and a client by one, for JWTs alone",
            one(foreign(IDP).accepted_audiences(["us"]).map_client("us", "orders")),
        ),
        ("a vendor's type", one(foreign(IDP).accept(jwt().typ(["vnd.x+jwt", "at+jwt"])))),
        ("untyped access tokens", {
            one(own().allow_untyped_access_tokens().accept(access_token().typ(["JWT", "at+jwt"])))
        }),
        (
            "a value twice",
            one(foreign(IDP).accept(jwt().require("ver").require_value("ver", 2).require_value("ver", 2))),
        ),
        ("a hash in an ID token", one(foreign(IDP).accept(id_token().require("at_hash").require("nonce")))),
        ("a client in a JWT", one(foreign(IDP).accept(jwt().require("client_id").require("scope")))),
        ("badges and nobody's keys", {
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
