//! Which tokens are verified.

use super::*;
use tower_token_exchange::{Reason::*, TokenType, jwks::KeySet, records::TokenRules};

#[tokio::test]
async fn a_good_token_reaches_the_handler() {
    let own = issuer();
    let mut service = Service::start(builder(&own).rules(everybody())).await;
    for (changes, expected) in [
        (json!({}), json!({ "sub": "alice", "actors": [], "scope": "read write" })),
        (json!({ "aud": ["other", BILLING] }), json!({ "sub": "alice", "actors": [], "scope": "read write" })),
        (json!({ "nbf": NOW + 30, "scope": null }), json!({ "sub": "alice", "actors": [], "scope": "" })),
        (
            json!({ "act": { "sub": "orders", "act": { "iss": IDP, "sub": "web" } } }),
            json!({ "sub": "alice", "actors": ["orders", "web"], "scope": "read write" }),
        ),
    ] {
        let reply = service.get_as(&token(&own, changes.clone())).await;
        assert_eq!((reply.status, reply.json()), (StatusCode::OK, expected), "{changes}");
    }
    assert!(service.no_event(), "an accepted token leaves no event");
}

#[tokio::test]
async fn a_token_that_breaks_a_rule_is_refused() {
    let own = issuer();
    let mut service = Service::start(builder(&own).rules(everybody())).await;
    let other = Minter::new(AS, Algorithm::ES256);
    let with_header =
        |changes: Value| own.sign(&changed(own.header("at+jwt"), changes), &segment(&token(&own, json!({})), 1));
    let chain = |actors: usize| (1..actors).fold(json!({ "sub": "a" }), |inner, _| json!({ "sub": "a", "act": inner }));
    for (name, token, reason) in [
        ("typ JWT", with_header(json!({ "typ": "JWT" })), TokenTypeConfused),
        ("no typ", with_header(json!({ "typ": null })), TokenTypeConfused),
        ("typ dpop+jwt", with_header(json!({ "typ": "dpop+jwt" })), TokenTypeConfused),
        ("typ of a logout token", with_header(json!({ "typ": "logout+jwt" })), TokenTypeConfused),
        ("alg none", with_header(json!({ "alg": "none" })), TokenAlgorithmRefused),
        ("alg HS256", with_header(json!({ "alg": "HS256" })), TokenAlgorithmRefused),
        ("alg of another key", with_header(json!({ "alg": "ES384" })), TokenKeyUnknown),
        ("crit", with_header(json!({ "crit": ["exp"], "exp": 1 })), TokenHeaderCritical),
        ("unknown kid", with_header(json!({ "kid": "other" })), TokenKeyUnknown),
        ("another key", token(&other, json!({})), TokenKeyUnknown),
        ("another issuer", token(&own, json!({ "iss": IDP })), TokenIssuerUnknown),
        ("issuer with a slash", token(&own, json!({ "iss": "https://as.example/" })), TokenIssuerUnknown),
        ("no iss", token(&own, json!({ "iss": null })), TokenIssuerMissing),
        ("another aud", token(&own, json!({ "aud": "https://orders.example" })), TokenNotForUs),
        ("aud with a slash", token(&own, json!({ "aud": "https://billing.example/" })), TokenNotForUs),
        ("aud in capitals", token(&own, json!({ "aud": "HTTPS://BILLING.EXAMPLE" })), TokenNotForUs),
        ("no aud", token(&own, json!({ "aud": null })), TokenNotForUs),
        ("an empty aud", token(&own, json!({ "aud": [] })), TokenNotForUs),
        ("aud a number", token(&own, json!({ "aud": 7 })), TokenClaimsInvalid),
        ("expired", token(&own, json!({ "exp": NOW })), TokenExpired),
        ("no exp", token(&own, json!({ "exp": null })), TokenExpiryMissing),
        ("exp a text", token(&own, json!({ "exp": "9999999999" })), TokenClaimsInvalid),
        ("not yet valid", token(&own, json!({ "nbf": NOW + 31 })), TokenNotYetValid),
        ("from the future", token(&own, json!({ "iat": NOW + 31 })), TokenIssuedInFuture),
        ("no client_id", token(&own, json!({ "client_id": null })), TokenTypeConfused),
        ("no sub", token(&own, json!({ "sub": null })), TokenSubjectInvalid),
        ("an ID token", token(&own, json!({ "at_hash": "AA" })), TokenTypeConfused),
        ("a client assertion", token(&own, json!({ "sub": AS })), TokenTypeConfused),
        ("unknown cnf", token(&own, json!({ "cnf": { "kid": "a" } })), TokenSenderConstrained),
        ("authorization_details", token(&own, json!({ "authorization_details": [] })), AuthorizationDetailsUnsupported),
        ("act a text", token(&own, json!({ "act": "orders" })), ChainMalformed),
        (
            "act null",
            own.sign_text(&own.header("at+jwt").to_string(), &token_text(&own, r#""act":null"#)),
            ChainMalformed,
        ),
        ("act without sub", token(&own, json!({ "act": { "iss": AS } })), ChainMalformed),
        ("an inner act without sub", token(&own, json!({ "act": { "sub": "a", "act": {} } })), ChainMalformed),
        ("five actors", token(&own, json!({ "act": chain(5) })), ChainTooDeep),
        ("opaque", "2YotnFZFEjr1zCsicMWpAA".to_owned(), TokenMalformed),
    ] {
        assert_eq!(service.refused(&token, name).await, Some(reason), "{name}");
    }
    assert_eq!(service.get_as(&token(&own, json!({ "act": chain(4) }))).await.status, StatusCode::OK);
}

/// The claims of a good token with one more member.
fn token_text(own: &Minter, member: &str) -> String {
    let claims = segment(&token(own, json!({})), 1).to_string();
    format!("{{{member},{}", &claims[1..])
}

/// No name of the resource server makes the resource server itself an issuer whose tokens need no audience.
#[tokio::test]
async fn an_issuer_with_the_name_of_the_resource() {
    let own = Minter::new(BILLING, Algorithm::ES256);
    let service = builder(&own).issuers([Issuer::new(BILLING).keys(own.keys())]).rules(everybody());
    let mut service = Service::start(service).await;
    let reply = service.get_as(&token(&own, json!({}))).await;
    assert_eq!(reply.status, StatusCode::OK);
    let elsewhere = token(&own, json!({ "aud": "https://orders.example" }));
    assert_eq!(service.refused(&elsewhere, "for another service").await, Some(TokenNotForUs));
}

#[tokio::test]
async fn each_issuer_has_its_own_keys_and_type() {
    let (own, idp) = (issuer(), Minter::new(IDP, Algorithm::ES256));
    let foreign = Issuer::new(IDP).keys(idp.keys()).accept(TokenRules::new(TokenType::JWT).require("azp"));
    let mut service = Service::start(builder(&own).issuers([foreign]).rules(everybody())).await;
    let jwt = |changes: Value| idp.foreign(changed(json!({ "aud": BILLING, "azp": "web" }), changes));
    for token in [token(&own, json!({})), jwt(json!({}))] {
        assert_eq!(service.get_as(&token).await.status, StatusCode::OK);
    }
    let forged = Minter { iss: AS, key: idp.key.clone() };
    for (name, token, reason) in [
        ("no azp", jwt(json!({ "azp": null })), TokenClaimRequired),
        ("a JWT of the other issuer", own.foreign(json!({ "aud": BILLING, "azp": "web" })), TokenTypeConfused),
        ("the key of the other issuer", token(&forged, json!({})), TokenKeyUnknown),
    ] {
        assert_eq!(service.refused(&token, name).await, Some(reason), "{name}");
    }
}

#[tokio::test]
async fn further_audiences_are_accepted() {
    let own = issuer();
    let service = Service::start(builder(&own).audiences(["billing"]).rules(everybody())).await;
    for aud in ["billing", BILLING] {
        assert_eq!(service.get_as(&token(&own, json!({ "aud": aud }))).await.status, StatusCode::OK, "{aud}");
    }
}

#[tokio::test]
async fn a_mistake_in_the_settings_has_a_remedy() {
    let own = issuer();
    let good = || Issuer::new(AS).keys(own.keys());
    let with = |issuer: Issuer| ResourceServerLayer::builder(BILLING).issuers([issuer]).rules(everybody());
    let both = good().accept_types([TokenType::ACCESS_TOKEN, TokenType::JWT]);
    for (builder, problem) in [
        (ResourceServerLayer::builder(BILLING).rules(everybody()), "give at least one `Issuer`"),
        (ResourceServerLayer::builder(BILLING).issuers([good()]), "give at least one `AccessRule`"),
        (ResourceServerLayer::builder("").issuers([good()]).rules(everybody()), "an empty name"),
        (with(good()).issuers([good()]), "a second record with this id"),
        (with(Issuer::new(AS)), "no source of keys"),
        (with(Issuer::new("").keys(own.keys())), "give the exact `iss`"),
        (with(Issuer::new(AS).jwks_uri("http://as.example/jwks")), "is not https"),
        (with(good().for_clients_only()), "remove this statement"),
        (with(good().accept_types([TokenType::ID_TOKEN])), "an ID token is no access token"),
        (with(both), "accept one type"),
        (with(good().keys(KeySet::from_json(r#"{"keys":[]}"#).unwrap())), "no usable key"),
        (with(good()).max_chain_depth(0), "give 1 or more"),
        (with(good()).leeway(Duration::from_secs(61)), "give 60 s or less"),
        (with(good()).signature_memo(2_000_000), "give 1048576 or fewer"),
        (with(good()).rules([AccessRule::any_actor().scopes(["a b"])]), "not scope tokens"),
        (with(good()).rules([AccessRule::any_actor().require_acr([""])]), "not an `acr` value"),
    ] {
        let error = builder.build().unwrap_err().to_string();
        assert!(error.contains(problem), "{problem}: {error}");
    }
}
