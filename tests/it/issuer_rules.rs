//! An issuer's record sets requirements for every token: the type, the claims, the age, the tenant. No token passes as
//! two kinds of token, and no client can exchange a token of another tenant.

use crate::jwks::{Time, timed};
use crate::support::*;
use http::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;
use tower_token_exchange::{
    Client, Issuer, Reason, Target, TokenExchangeLayer, TokenType,
    policy::{Actors, Names, Rule, Subjects},
    records::{Party, SubjectMapping, TokenRules},
    signing::Algorithm,
};

const VENDOR: &str = "https://vendor.example";

fn vendor() -> Minter {
    Minter::new(VENDOR, Algorithm::ES256)
}

/// The start of the record of a foreign issuer. `orders` may present its tokens.
fn record(vendor: &Minter) -> Issuer {
    crate::jwks::record(VENDOR).keys(vendor.keys())
}

/// A world in which the issuer's record has these rules.
async fn ruled(vendor: &Minter, rules: TokenRules) -> World {
    let record = record(vendor).accept(rules);
    plan().with(|builder| builder.issuers([record])).start().await
}

fn jwt() -> TokenRules {
    TokenRules::new(TokenType::JWT)
}

/// Presents a token as a client, and checks the answer to the client.
async fn presented(world: &mut World, client: &str, more: &[(&str, &str)]) -> Result<Value, Reason> {
    let mut form = vec![("grant_type", tower_token_exchange::GRANT_TYPE)];
    form.extend_from_slice(more);
    let reply = world.post_as(client, &form).await;
    let event = world.event().await;
    assert!(world.no_event(), "one event for one attempt");
    let Some(reason) = event.reason else {
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
        return Ok(reply.json());
    };
    let told = json!({ "error": reason.error().as_str(), "error_description": reason.description() });
    assert_eq!((reply.status, reply.json()), (StatusCode::BAD_REQUEST, told), "{reason}: {:?}", event.detail);
    Err(reason)
}

fn subject<'a>(token: &'a str, token_type: &'a str, audience: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![("subject_token", token), ("subject_token_type", token_type), ("audience", audience)]
}

/// Exchanges a token as `orders` for `billing`. Returns the claims of the issued token, or the reason of the refusal.
async fn exchanged(world: &mut World, token: &str, token_type: &str) -> Result<Value, Reason> {
    let answer = presented(world, "orders", &subject(token, token_type, "billing")).await?;
    Ok(segment(answer["access_token"].as_str().unwrap(), 1))
}

async fn in_short(world: &mut World, token: &str, token_type: &str) -> Result<(), Reason> {
    exchanged(world, token, token_type).await.map(|_| ())
}

/// Signs exactly these claims, including `null`.
fn exactly(vendor: &Minter, header: &Value, more: Value) -> String {
    let mut claims = segment(&vendor.foreign(json!({})), 1);
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    vendor.sign(header, &claims)
}

#[tokio::test]
async fn a_record_limits_the_media_types() {
    let vendor = vendor();
    let types = jwt().typ(["AT+JWT", "application/Vnd.Vendor+jwt"]);
    let (mut by_default, mut demanding) = (ruled(&vendor, jwt()).await, ruled(&vendor, types).await);
    let (confused, refused) = (Err(Reason::TokenTypeConfused), Err(Reason::TokenTypRefused));
    let cases = [
        (Some("at+jwt"), Ok(()), Ok(())),
        (Some("At+Jwt"), Ok(()), Ok(())),
        (Some("application/at+jwt"), Ok(()), Ok(())),
        (Some("APPLICATION/AT+JWT"), Ok(()), Ok(())),
        (Some("vnd.vendor+jwt"), confused, Ok(())),
        (Some("JWT"), Ok(()), refused),
        (None, Ok(()), refused),
        (Some("jose"), confused, refused),
        (Some("at+jwt "), confused, refused),
        (Some("application/application/at+jwt"), confused, refused),
        (Some(""), confused, refused),
        (Some("dpop+jwt"), confused, confused),
        (Some("JWT"), Ok(()), refused),
    ];
    for (typ, default, demanded) in cases {
        let header = changed(vendor.header("x"), json!({ "typ": typ }));
        let token = vendor.sign(&header, &segment(&vendor.foreign(json!({})), 1));
        assert_eq!(in_short(&mut by_default, &token, JWT).await, default, "{typ:?}");
        assert_eq!(in_short(&mut demanding, &token, JWT).await, demanded, "{typ:?}, demanded");
    }
}

#[tokio::test]
async fn a_record_requires_and_forbids_claims() {
    let vendor = vendor();
    let rules = jwt()
        .require("uid")
        .require_value("ver", "2.0")
        .require_value("level", 3)
        .require_value("roles", json!(["a", "b"]))
        .forbid("nonce");
    let mut world = ruled(&vendor, rules).await;
    let good = json!({ "uid": "u", "ver": "2.0", "level": 3, "roles": ["a", "b"] });
    let required = Err(Reason::TokenClaimRequired);
    let cases = [
        (json!({}), Ok(())),
        // `require` accepts every value.
        (json!({ "uid": null }), Ok(())),
        (json!({ "uid": [] }), Ok(())),
        (json!({ "-uid": 1 }), required),
        (json!({ "Uid": "u", "-uid": 1 }), required),
        (json!({ "-ver": 1 }), required),
        (json!({ "ver": "2" }), required),
        (json!({ "ver": 2.0 }), required),
        (json!({ "ver": ["2.0"] }), required),
        (json!({ "ver": "2.0 " }), required),
        (json!({ "ver": null }), required),
        (json!({ "level": "3" }), required),
        (json!({ "level": 4 }), required),
        (json!({ "roles": ["b", "a"] }), required),
        (json!({ "roles": ["a"] }), required),
        (json!({ "roles": ["a", "b", "c"] }), required),
        (json!({ "roles": "a b" }), required),
        (json!({ "nonce": "n" }), Err(Reason::TokenClaimForbidden)),
        (json!({ "nonce": null }), Err(Reason::TokenClaimForbidden)),
        (json!({ "nonce": "" }), Err(Reason::TokenClaimForbidden)),
        (json!({ "Nonce": "n" }), Ok(())),
        (json!({}), Ok(())),
    ];
    for (changes, expected) in cases {
        let mut claims = good.clone();
        for (name, value) in changes.as_object().unwrap() {
            match name.strip_prefix('-') {
                Some(gone) => drop(claims.as_object_mut().unwrap().shift_remove(gone)),
                None => claims[name] = value.clone(),
            }
        }
        let token = exactly(&vendor, &vendor.header("JWT"), claims);
        assert_eq!(in_short(&mut world, &token, JWT).await, expected, "{changes}");
    }
}

#[tokio::test]
async fn a_record_sets_audiences_for_each_type() {
    let vendor = vendor();
    let api = "https://as.example/exchange";
    let names = |issuer: Issuer| issuer.accepted_audiences(["us-there", "us-too"]).map_client("orders-there", "orders");
    let types = [jwt().audiences([api]), TokenRules::new(TokenType::ID_TOKEN).audiences(["orders-there", "other"])];
    let record = types.into_iter().fold(names(record(&vendor)), Issuer::accept);
    let clients = |clients: Vec<Client>| {
        clients
            .into_iter()
            .map(|client| client.allow_several_audiences().scopes_for_scopeless_subjects(TokenType::ID_TOKEN, ["read"]))
            .collect()
    };
    let plan = plan_with(clients, |targets| targets).with(|builder| builder.issuers([record, names_only(&vendor)]));
    let mut world = plan.start().await;
    let not_for_us = Err(Reason::TokenNotForUs);
    let cases = [
        (JWT, json!(api), Ok(())),
        (JWT, json!([api]), Ok(())),
        (JWT, json!(["x", api]), Ok(())),
        // The audiences of the type replace the accepted audiences of the record.
        (JWT, json!("us-there"), not_for_us),
        (JWT, json!(AS), not_for_us),
        (JWT, json!("https://as.example/exchange/"), not_for_us),
        (JWT, json!("https://as.example/exchang"), not_for_us),
        (JWT, json!("orders-there"), not_for_us),
        (JWT, json!([]), not_for_us),
        // For an ID token, the audiences are an additional requirement.
        (ID_TOKEN, json!("orders-there"), Ok(())),
        (ID_TOKEN, json!("other"), not_for_us),
        (ID_TOKEN, json!(api), not_for_us),
        (ID_TOKEN, json!("us-there"), not_for_us),
        (ID_TOKEN, json!("orders"), not_for_us),
        (ID_TOKEN, json!(["other", "x"]), not_for_us),
        (JWT, json!(api), Ok(())),
    ];
    for (token_type, aud, expected) in cases {
        let scope = if token_type == JWT { json!("read") } else { json!(null) };
        let token = vendor.foreign(json!({ "aud": aud, "scope": scope }));
        assert_eq!(in_short(&mut world, &token, token_type).await, expected, "{token_type} {aud}");
    }
    // The record of another issuer has its own audiences.
    for (aud, expected) in [("us-there", Ok(())), ("us-too", Ok(())), (api, not_for_us), (AS, not_for_us)] {
        let token = vendor.foreign(json!({ "iss": OTHER, "aud": aud }));
        assert_eq!(in_short(&mut world, &token, JWT).await, expected, "{aud}");
    }
}

const OTHER: &str = "https://other.example";

/// A second issuer with accepted audiences, and without audiences in its rules.
fn names_only(vendor: &Minter) -> Issuer {
    crate::jwks::record(OTHER).keys(vendor.keys()).accepted_audiences(["us-there", "us-too"])
}

#[tokio::test]
async fn a_record_names_the_claim_of_the_presenter() {
    let vendor = vendor();
    let selfish = |clients: Vec<Client>| clients.into_iter().map(Client::allow_self_exchange).collect();
    let world_of = async |rules: TokenRules| {
        let record = Issuer::new(VENDOR)
            .keys(vendor.keys())
            .map_subjects(SubjectMapping::Prefix("vendor|".into()))
            .map_client("orders-there", "orders")
            .map_client("billing-there", "billing")
            .accept(rules);
        plan_with(selfish, |targets| targets).with(|builder| builder.issuers([record])).start().await
    };
    let (mut by_default, mut by_cid) = (world_of(jwt()).await, world_of(jwt().presenter_claim("cid")).await);
    let stranger = Err(Reason::PresenterUnrelated);
    let cases = [
        (json!({ "client_id": "orders-there" }), Ok(()), stranger),
        (json!({ "azp": "orders-there" }), Ok(()), stranger),
        (json!({ "cid": "orders-there" }), stranger, Ok(())),
        // Only the first claim that is present counts.
        (json!({ "client_id": "billing-there", "azp": "orders-there" }), stranger, stranger),
        (json!({ "cid": "billing-there", "client_id": "orders-there" }), Ok(()), stranger),
        (json!({ "cid": ["orders-there"] }), stranger, stranger),
        (json!({ "cid": "orders", "client_id": "orders" }), stranger, stranger),
        (json!({ "azp": "ORDERS-THERE", "cid": "orders-there " }), stranger, stranger),
        (json!({ "client_id": ["orders-there"] }), Err(Reason::TokenClaimsInvalid), stranger),
        (json!({}), stranger, stranger),
        (json!({ "cid": "orders-there", "azp": "orders-there" }), Ok(()), Ok(())),
    ];
    for (claims, default, named) in cases {
        let token = vendor.foreign(claims.clone());
        assert_eq!(in_short(&mut by_default, &token, JWT).await, default, "{claims}");
        assert_eq!(in_short(&mut by_cid, &token, JWT).await, named, "{claims}, by `cid`");
    }
}

#[tokio::test]
async fn a_record_names_the_claim_of_the_scope() {
    let vendor = vendor();
    let (mut by_default, mut by_scp) = (ruled(&vendor, jwt()).await, ruled(&vendor, jwt().scope_claim("scp")).await);
    let (invalid, empty) = (Err(Reason::TokenClaimsInvalid), Err(Reason::ScopeEmpty));
    let cases = [
        (json!({ "scope": "read" }), Ok("read"), empty),
        (json!({ "scp": "read" }), empty, Ok("read")),
        (json!({ "scp": ["read"] }), empty, Ok("read")),
        (json!({ "scp": "read write" }), empty, Ok("read write")),
        (json!({ "scp": ["read", "write"] }), empty, Ok("read write")),
        (json!({ "scope": "read write", "scp": ["read"] }), Ok("read write"), Ok("read")),
        (json!({ "scope": ["read"] }), invalid, empty),
        (json!({ "scope": ["odd"], "scp": "read" }), invalid, Ok("read")),
        (json!({ "scp": [] }), empty, empty),
        (json!({ "scp": "" }), empty, empty),
        (json!({ "scp": ["read write"] }), empty, invalid),
        (json!({ "scp": ["read", 7] }), empty, invalid),
        (json!({ "scp": ["read", ""] }), empty, invalid),
        (json!({ "scp": [["read"]] }), empty, invalid),
        (json!({ "scp": { "read": true } }), empty, invalid),
        (json!({ "scp": 7 }), empty, invalid),
        (json!({ "scp": "read\"" }), empty, invalid),
        (json!({ "scope": "read", "scp": "read" }), Ok("read"), Ok("read")),
    ];
    for (claims, default, named) in cases {
        let scope = claims.get("scope").cloned().unwrap_or_default();
        let token = vendor.foreign(json!({ "scope": scope, "scp": claims.get("scp") }));
        let scope = |outcome: Result<Value, Reason>| outcome.map(|issued| issued["scope"].as_str().unwrap().to_owned());
        let owned = |expected: Result<&str, Reason>| expected.map(str::to_owned);
        assert_eq!(scope(exchanged(&mut by_default, &token, JWT).await), owned(default), "{claims}");
        assert_eq!(scope(exchanged(&mut by_scp, &token, JWT).await), owned(named), "{claims}, in `scp`");
    }
}

#[tokio::test]
async fn each_issuer_has_its_own_leeway_and_age() {
    let (vendor, time) = (vendor(), Time::new());
    let record = record(&vendor).leeway(Duration::from_secs(5)).max_age(Duration::from_secs(600));
    let mut world = timed(plan(), &time).with(|builder| builder.issuers([record])).start().await;
    let idp = world.idp.clone();
    let ahead = |claim: &str, seconds: u64| json!({ claim: NOW + seconds });
    // The claims, the outcome with the record's leeway of 5 s, and the outcome with the layer's leeway of 30 s.
    let cases = [
        (json!({}), Ok(()), Ok(())),
        (ahead("nbf", 5), Ok(()), Ok(())),
        (ahead("nbf", 6), Err(Reason::TokenNotYetValid), Ok(())),
        (ahead("nbf", 31), Err(Reason::TokenNotYetValid), Err(Reason::TokenNotYetValid)),
        (ahead("iat", 5), Ok(()), Ok(())),
        (ahead("iat", 6), Err(Reason::TokenIssuedInFuture), Ok(())),
        (ahead("iat", 31), Err(Reason::TokenIssuedInFuture), Err(Reason::TokenIssuedInFuture)),
        (json!({ "nbf": NOW as f64 + 5.5 }), Err(Reason::TokenNotYetValid), Ok(())),
        // `exp` has no leeway.
        (json!({ "exp": NOW }), Err(Reason::TokenExpired), Err(Reason::TokenExpired)),
        (json!({ "exp": NOW + 1 }), Ok(()), Ok(())),
        (json!({ "iat": NOW - 600 }), Ok(()), Ok(())),
        (json!({ "iat": NOW - 601 }), Err(Reason::TokenTooOld), Ok(())),
        (json!({ "iat": null }), Err(Reason::TokenTooOld), Ok(())),
        (json!({ "iat": 0 }), Err(Reason::TokenTooOld), Ok(())),
        (json!({ "iat": "now" }), Err(Reason::TokenClaimsInvalid), Err(Reason::TokenClaimsInvalid)),
        (json!({}), Ok(()), Ok(())),
    ];
    for (claims, of_record, of_layer) in cases {
        assert_eq!(in_short(&mut world, &vendor.foreign(claims.clone()), JWT).await, of_record, "{claims}");
        assert_eq!(in_short(&mut world, &idp.foreign(claims.clone()), JWT).await, of_layer, "{claims}, by default");
    }
    // The same token becomes too old.
    let token = vendor.foreign(json!({ "exp": NOW + 3600 }));
    time.pass(600);
    assert_eq!(in_short(&mut world, &token, JWT).await, Ok(()));
    time.pass(1);
    assert_eq!(in_short(&mut world, &token, JWT).await, Err(Reason::TokenTooOld));
}

/// All combinations of the properties that distinguish the kinds. A client that could choose between two kinds would
/// choose the weaker rules (RFC 8725 section 3.12).
#[tokio::test]
async fn no_token_passes_as_two_kinds() {
    let vendor = vendor();
    let every_type = [TokenType::ACCESS_TOKEN, TokenType::ID_TOKEN, TokenType::JWT];
    let foreign = record(&vendor).map_client("orders-there", "orders").accept_types(every_type.clone());
    let with_scopes = |client: Client| {
        every_type.iter().fold(client, |client, kind| client.scopes_for_scopeless_subjects(kind.clone(), ["read"]))
    };
    let scopeless = |clients: Vec<Client>| clients.into_iter().map(with_scopes).collect();
    let plan = plan_with(scopeless, |targets| targets);
    let own = Issuer::new(AS).accept_types(every_type.clone());
    let mut world = plan.with(|builder| builder.issuers([foreign, own])).start().await;
    let own = world.own.clone();
    let mut seen = std::collections::BTreeSet::new();
    let parties = [(&own, "orders"), (&own, "https://orders.example"), (&vendor, "orders-there"), (&vendor, AS)];
    for (minter, aud) in parties {
        for typ in [None, Some("JWT"), Some("at+jwt")] {
            for bits in 0..16 {
                let claim = |bit: usize, value: &str| (bits & (1 << bit) != 0).then_some(value.to_owned());
                let claims = json!({
                    "aud": aud, "client_id": claim(0, "web"), "scope": claim(1, "read"), "at_hash": claim(2, "x"),
                    "nonce": claim(3, "n"),
                });
                let header = changed(minter.header("x"), json!({ "typ": typ }));
                let token = minter.sign(&header, &segment(&minter.foreign(claims.clone()), 1));
                let mut kinds = Vec::new();
                for token_type in [ACCESS_TOKEN, ID_TOKEN, JWT] {
                    match in_short(&mut world, &token, token_type).await {
                        Ok(()) => kinds.push(token_type),
                        Err(Reason::TokenTypeConfused | Reason::TokenNotForUs) => {}
                        Err(reason) => panic!("{reason}: {} {typ:?} {claims} as {token_type}", minter.iss),
                    }
                }
                assert!(kinds.len() < 2, "{} {typ:?} {claims} is {kinds:?}", minter.iss);
                seen.extend(kinds.into_iter().map(|kind| (minter.iss, kind)));
            }
        }
    }
    assert_eq!(seen.len(), 6, "each kind is there, of either issuer: {seen:?}");
}

#[tokio::test]
async fn tokens_for_other_purposes_are_refused() {
    let vendor = vendor();
    let every_type = [TokenType::ACCESS_TOKEN, TokenType::JWT];
    let demanding = crate::jwks::record(OTHER).keys(vendor.keys()).accept(jwt().typ(["at+jwt", "vendor+jwt"]));
    let record = record(&vendor).accept_types(every_type.clone()).allow_untyped_access_tokens().allow_actor_tokens();
    let own = Issuer::new(AS).accept_types([TokenType::ACCESS_TOKEN]).allow_untyped_access_tokens();
    let mut world = plan().with(|builder| builder.issuers([record, demanding, own])).start().await;
    let subject_token = world.own.access_token(json!({}));
    let types = [
        "txntoken+jwt",
        "oauth-id-jag+jwt",
        "secevent+jwt",
        "logout+jwt",
        "dpop+jwt",
        "client-authentication+jwt",
        "oauth-client-attestation+jwt",
        "oauth-client-attestation-pop+jwt",
        "wit+jwt",
        "wpt+jwt",
        "token-introspection+jwt",
        "APPLICATION/Logout+JWT",
    ];
    let claims = [
        json!({ "events": { "http://schemas.openid.net/event/backchannel-logout": {} } }),
        json!({ "htm": "POST", "htu": "https://as.example/token" }),
        json!({ "req_wl": "gateway" }),
        json!({ "wth": "x" }),
        json!({ "token_introspection": { "active": true } }),
        json!({ "typ": "Refresh" }),
        json!({ "typ": "logout" }),
    ];
    let told = types.iter().map(|typ| (json!({}), *typ)).chain(claims.into_iter().map(|claims| (claims, "JWT")));
    let (own, confused) = (world.own.clone(), Err(Reason::TokenTypeConfused));
    for (claims, typ) in told {
        for (minter, iss, declared) in
            [(&vendor, VENDOR, JWT), (&vendor, VENDOR, ACCESS_TOKEN), (&vendor, OTHER, JWT), (&own, AS, ACCESS_TOKEN)]
        {
            let aud = if iss == AS { "https://orders.example" } else { AS };
            let all = changed(json!({ "iss": iss, "aud": aud, "client_id": "web" }), claims.clone());
            let token = exactly(minter, &minter.header(typ), all);
            assert_eq!(in_short(&mut world, &token, declared).await, confused, "{typ} {claims} of {iss} as {declared}");
            if iss == VENDOR {
                let mut form = subject(&subject_token, ACCESS_TOKEN, "billing");
                form.extend([("actor_token", token.as_str()), ("actor_token_type", declared)]);
                let outcome = presented(&mut world, "orders", &form).await.map(|_| ());
                assert_eq!(outcome, confused, "{typ} {claims} as actor");
            }
        }
    }
    // The same tokens with an accepted header.
    for (minter, iss, typ, declared) in [
        (&vendor, VENDOR, "JWT", JWT),
        (&vendor, VENDOR, "at+jwt", ACCESS_TOKEN),
        (&vendor, OTHER, "vendor+jwt", JWT),
        (&own, AS, "JWT", ACCESS_TOKEN),
    ] {
        let aud = if iss == AS { "https://orders.example" } else { AS };
        let token = exactly(minter, &minter.header(typ), json!({ "iss": iss, "aud": aud, "client_id": "web" }));
        assert_eq!(in_short(&mut world, &token, declared).await, Ok(()), "{iss} {typ} {declared}");
    }
}

#[tokio::test]
async fn a_client_assertion_is_not_a_subject_token() {
    let vendor = vendor();
    let mut world = ruled(&vendor, jwt()).await;
    let own = world.own.clone();
    let assertion = vendor.foreign(json!({ "sub": VENDOR }));
    assert_eq!(in_short(&mut world, &assertion, JWT).await, Err(Reason::TokenTypeConfused));
    let own_assertion = own.access_token(json!({ "sub": AS }));
    assert_eq!(in_short(&mut world, &own_assertion, ACCESS_TOKEN).await, Err(Reason::TokenTypeConfused));
    // The issuer of a client's own assertion is the client, which is not a known issuer (RFC 7523 section 3).
    let of_client = vendor.foreign(json!({ "iss": "orders", "sub": "orders" }));
    assert_eq!(in_short(&mut world, &of_client, JWT).await, Err(Reason::TokenIssuerUnknown));
    assert_eq!(in_short(&mut world, &vendor.foreign(json!({ "sub": "https://vendor.example/" })), JWT).await, Ok(()));
}

/// Clients of each of two tenants, of both tenants, and of none. Each client serves a target and may call all targets.
fn tenancy(vendor: &Minter, change: impl FnOnce(Issuer) -> Issuer) -> Plan {
    let own = Minter::new(AS, Algorithm::ES256);
    let idp = Minter::new(IDP, Algorithm::ES256);
    let clients = [("red", &["red"][..]), ("blue", &["blue"]), ("both", &["red", "blue"]), ("none", &[])];
    let ids = clients.map(|(id, _)| id);
    let record = Issuer::new(VENDOR)
        .keys(vendor.keys())
        .accept_tenants("tid", ["red", "blue"])
        .allow_presenters(ids)
        .allow_actor_tokens();
    let client = |(id, tenants): (&str, &[&str])| {
        let carries =
            [(VENDOR, "red|agent"), (VENDOR, "blue|agent"), (AS, "vendor|blue|agent"), (AS, "vendor|red|agent")];
        let client = Client::new(id).secret(secret_of(id)).allow_tenants(tenants.iter().copied());
        carries.into_iter().fold(client, |client, (iss, sub)| client.allow_actor(Party::new(iss, sub)))
    };
    let target = |id: &str| {
        Target::new(id)
            .audience_claim(format!("https://{id}.example"))
            .served_by(id)
            .allow_clients(ids)
            .scopes(["read"])
    };
    let builder = TokenExchangeLayer::builder(AS)
        .clock(|| std::time::UNIX_EPOCH + Duration::from_secs(NOW))
        .clients(clients.map(client))
        .targets(ids.map(target))
        .issuers([change(record)])
        .rules([Rule::allow(Names::any(), Subjects::any(), Names::any()).actors(Actors::any()).scopes(Names::any())])
        .signer(own.key.clone());
    Plan { own, idp, builder }
}

fn prefixed(issuer: Issuer) -> Issuer {
    issuer.map_subjects(SubjectMapping::Prefix("vendor|".into()))
}

#[tokio::test]
async fn one_tenant_is_a_required_value() {
    let vendor = vendor();
    let one = |issuer: Issuer| prefixed(issuer.accept_tenants("tid", ["red"]));
    let mut world = tenancy(&vendor, one).start().await;
    let refused = Err(Reason::TokenTenantRefused);
    let tokens = [
        (json!({ "tid": "red" }), Ok("vendor|bob")),
        (json!({ "tid": "blue" }), refused),
        (json!({ "tid": "Red" }), refused),
        (json!({ "tid": "red " }), refused),
        (json!({ "tid": "" }), refused),
        (json!({ "tid": ["red"] }), refused),
        (json!({ "tid": { "red": "red" } }), refused),
        (json!({}), refused),
        (json!({ "TID": "red" }), refused),
        (json!({ "tid": "red" }), Ok("vendor|bob")),
    ];
    for (claims, expected) in tokens {
        let token = vendor.foreign(claims.clone());
        for (client, works_for_it) in [("red", true), ("both", true), ("none", true), ("blue", false)] {
            let expected = if works_for_it { expected } else { expected.and(Err(Reason::TenantMismatch)) };
            let found = presented(&mut world, client, &subject(&token, JWT, "red")).await;
            let sub = found.map(|answer| segment(answer["access_token"].as_str().unwrap(), 1)["sub"].clone());
            assert_eq!(sub, expected.map(|sub| json!(sub)), "{client} {claims}");
        }
    }
}

/// No client can exchange a token of another tenant: neither at the first exchange nor later, with any mapping of
/// subjects.
#[tokio::test]
async fn th_43_no_client_exchanges_tokens_of_another_tenant() {
    let vendor = vendor();
    let mapped = |mapping: SubjectMapping| move |issuer: Issuer| issuer.map_subjects(mapping);
    let plans = [
        ("prefix", "vendor|", tenancy(&vendor, prefixed)),
        ("keep", "", tenancy(&vendor, mapped(SubjectMapping::Keep)).with(|builder| builder.federated_subjects_only())),
        (
            "claim",
            "",
            tenancy(&vendor, mapped(SubjectMapping::Claim("login".into())))
                .with(|builder| builder.federated_subjects_only()),
        ),
    ];
    let mismatch = Err(Reason::TenantMismatch);
    for (name, prefix, plan) in plans {
        let mut world = plan.start().await;
        for (tenant, rightful, stranger) in [("red", "red", "blue"), ("blue", "blue", "red")] {
            let token = vendor.foreign(json!({ "tid": tenant, "login": "bob" }));
            // The tenant decides, not the audience.
            for client in [stranger, "none"] {
                let found = presented(&mut world, client, &subject(&token, JWT, stranger)).await.map(|_| ());
                assert_eq!(found, mismatch, "{name}: {client} with a token of {tenant}");
            }
            for (first, second, expected) in [
                (rightful, stranger, mismatch),
                (rightful, "none", mismatch),
                ("both", stranger, mismatch),
                (rightful, "both", Ok(())),
                ("both", rightful, Ok(())),
            ] {
                let answer = presented(&mut world, first, &subject(&token, JWT, second)).await.unwrap();
                let issued = answer["access_token"].as_str().unwrap();
                let sub = segment(issued, 1)["sub"].clone();
                assert_eq!(sub, format!("{prefix}{tenant}|bob"), "{name}: the tenant is part of the name");
                let found = presented(&mut world, second, &subject(issued, ACCESS_TOKEN, "red")).await.map(|_| ());
                assert_eq!(found, expected, "{name}: {tenant} from {first} to {second}");
            }
        }
        // An unlisted tenant, two tenants at once, and a name that looks like a name of another tenant.
        for (claims, expected) in [
            (json!({ "tid": "green" }), Err(Reason::TokenTenantRefused)),
            (json!({ "tid": "blue|x" }), Err(Reason::TokenTenantRefused)),
            (json!({ "tid": ["red", "blue"] }), Err(Reason::TokenTenantRefused)),
            (json!({ "tid": "red", "sub": "blue|root", "login": "blue|root" }), Ok(format!("{prefix}red|blue|root"))),
        ] {
            let token = vendor.foreign(claims.clone());
            let found = presented(&mut world, "red", &subject(&token, JWT, "red")).await;
            let sub = found
                .map(|answer| segment(answer["access_token"].as_str().unwrap(), 1)["sub"].as_str().unwrap().to_owned());
            assert_eq!(sub, expected, "{name}: {claims}");
        }
    }
}

#[tokio::test]
async fn th_43_no_actor_comes_from_another_tenant() {
    let vendor = vendor();
    let mut world = tenancy(&vendor, prefixed).start().await;
    let own = world.own.clone();
    let local = own.access_token(json!({ "aud": ["https://red.example"], "scope": "read" }));
    let mismatch = Err(Reason::TenantMismatch);
    let theirs = |tenant: &str| (vendor.foreign(json!({ "tid": tenant, "sub": "agent" })), JWT);
    // An own token keeps the tenant of the foreign token that it was exchanged for.
    let ours =
        |sub: &str| (own.access_token(json!({ "sub": sub, "exchanged_from": exchanged_from(VENDOR) })), ACCESS_TOKEN);
    for (name, (token, token_type), expected) in [
        ("of its tenant", theirs("red"), Ok(json!({ "iss": VENDOR, "sub": "red|agent" }))),
        ("of another", theirs("blue"), mismatch.clone()),
        ("of its tenant, exchanged", ours("vendor|red|agent"), Ok(json!({ "iss": VENDOR, "sub": "red|agent" }))),
        ("of another, exchanged", ours("vendor|blue|agent"), mismatch.clone()),
    ] {
        let mut form = subject(&local, ACCESS_TOKEN, "blue");
        form.extend([("actor_token", token.as_str()), ("actor_token_type", token_type)]);
        let found = presented(&mut world, "red", &form).await;
        let act = found.map(|answer| segment(answer["access_token"].as_str().unwrap(), 1)["act"].clone());
        assert_eq!(act, expected, "{name}");
    }
}

/// The token may be older than the tenants of the issuer, or another server may have signed it with the own key.
#[tokio::test]
async fn th_43_a_subject_without_a_known_tenant_is_refused() {
    let vendor = vendor();
    let mut world = tenancy(&vendor, prefixed).start().await;
    let own = world.own.clone();
    let cases = [
        ("vendor|bob", Err(Reason::TenantMismatch)),
        ("vendor|green|bob", Err(Reason::TenantMismatch)),
        ("vendor||bob", Err(Reason::TenantMismatch)),
        ("vendor|blue|bob", Err(Reason::TenantMismatch)),
        ("vendor|red|bob", Ok(())),
        ("alice", Ok(())),
    ];
    for (sub, expected) in cases {
        let origin = if sub == "alice" { Value::Null } else { exchanged_from(VENDOR) };
        let changes = json!({ "sub": sub, "aud": "https://red.example", "scope": "read", "exchanged_from": origin });
        let token = own.access_token(changes);
        let found = presented(&mut world, "red", &subject(&token, ACCESS_TOKEN, "blue")).await.map(|_| ());
        assert_eq!(found, expected, "{sub}");
    }
}

#[tokio::test]
async fn rules_name_subjects_with_their_tenant() {
    let vendor = vendor();
    let of = |subs: &[&str]| Subjects::of_issuer(VENDOR).named(subs.iter().copied());
    let allow = |subjects: Subjects| Rule::allow(Names::any(), subjects, Names::any()).scopes(Names::any());
    let deny = |subjects: Subjects| Rule::deny(Names::any(), subjects, Names::any());
    let cases = [
        (vec![allow(of(&["red|bob"]))], [Ok(()), Err(Reason::PolicyNoRule)]),
        (vec![allow(of(&["bob"]))], [Err(Reason::PolicyNoRule), Err(Reason::PolicyNoRule)]),
        (vec![allow(Subjects::any()), deny(of(&["blue|bob"]))], [Ok(()), Err(Reason::PolicyDenied)]),
        (vec![allow(Subjects::any().with_claim("tid", "blue"))], [Err(Reason::PolicyNoRule), Ok(())]),
    ];
    for (rules, expected) in cases {
        let mut world = tenancy(&vendor, prefixed).with(|builder| builder.rules(rules)).start().await;
        for (tenant, expected) in ["red", "blue"].into_iter().zip(expected) {
            let token = vendor.foreign(json!({ "tid": tenant }));
            let found = presented(&mut world, "both", &subject(&token, JWT, "red")).await.map(|_| ());
            assert_eq!(found, expected, "{tenant}");
        }
    }
}

/// A token with equal `sub` and `client_id` was issued to the client for itself (RFC 9068 section 2.2), even if the client
/// has no record.
#[tokio::test]
async fn th_42_a_client_token_is_not_a_user() {
    let vendor = vendor();
    let by_cid = crate::jwks::record(OTHER).keys(vendor.keys()).accept(jwt().presenter_claim("cid"));
    let several = record(&vendor).accept_tenants("tid", ["red", "blue"]);
    let clients = |clients: Vec<Client>| clients.into_iter().map(|client| client.allow_tenants(["red"])).collect();
    let allow = |subjects: Subjects| Rule::allow(Names::any(), subjects, Names::any()).scopes(Names::any());
    let users = Subjects::any();
    for (subjects, of_client) in [(users.clone().or_clients(), Ok(())), (users, Err(Reason::PolicyNoRule))] {
        let plan = plan_with(clients, |targets| targets);
        let records = [several.clone(), by_cid.clone()];
        let mut world = plan.with(|builder| builder.issuers(records).rules([allow(subjects)])).start().await;
        let own = world.own.clone();
        let cases = [
            (own.access_token(json!({ "sub": "batch", "client_id": "batch" })), ACCESS_TOKEN, of_client),
            (own.access_token(json!({ "sub": "batch", "client_id": "web" })), ACCESS_TOKEN, Ok(())),
            (vendor.foreign(json!({ "tid": "red", "sub": "b", "client_id": "b" })), JWT, of_client),
            (vendor.foreign(json!({ "tid": "red", "sub": "b", "azp": "b" })), JWT, of_client),
            (vendor.foreign(json!({ "tid": "red", "sub": "b", "azp": "web" })), JWT, Ok(())),
            (vendor.foreign(json!({ "iss": OTHER, "sub": "0oa4", "cid": "0oa4" })), JWT, of_client),
            (vendor.foreign(json!({ "iss": OTHER, "sub": "0oa4", "cid": "0oa5" })), JWT, Ok(())),
            (vendor.foreign(json!({ "iss": OTHER, "sub": "carol" })), JWT, Ok(())),
        ];
        for (token, token_type, expected) in cases {
            let claims = segment(&token, 1);
            assert_eq!(in_short(&mut world, &token, token_type).await, expected, "{claims}");
        }
    }
}

#[tokio::test]
async fn th_42_no_exchange_turns_a_client_into_a_user() {
    let rules = [
        Rule::allow("orders", Subjects::any().or_clients(), "billing").scopes(Names::any()),
        Rule::allow("billing", Subjects::any(), "ledger").scopes(Names::any()),
    ];
    let mut world = plan().with(|builder| builder.rules(rules)).start().await;
    let own = world.own.clone();
    let user = own.access_token(json!({}));
    let client = own.access_token(json!({ "sub": "reports", "client_id": "reports" }));
    for (token, expected) in [(user, Ok(())), (client, Err(Reason::PolicyNoRule))] {
        let answer = presented(&mut world, "orders", &subject(&token, ACCESS_TOKEN, "billing")).await.unwrap();
        let issued = answer["access_token"].as_str().unwrap();
        let found = presented(&mut world, "billing", &subject(issued, ACCESS_TOKEN, "ledger")).await.map(|_| ());
        assert_eq!(found, expected, "{}", segment(issued, 1));
    }
}

/// With different rules, the client could choose between two sets of rules.
#[test]
fn th_16_untyped_access_tokens_and_jwts_share_rules() {
    let built = |rules: [TokenRules; 2]| {
        let vendor = vendor();
        let record = rules.into_iter().fold(record(&vendor).allow_untyped_access_tokens(), Issuer::accept);
        plan().builder.issuers([record]).build().map(|_| ())
    };
    let access_tokens = || TokenRules::new(TokenType::ACCESS_TOKEN);
    let error = built([access_tokens().require("tid"), jwt()]).unwrap_err();
    assert!(error.field().ends_with("allow_untyped_access_tokens"), "{error}");
    assert!(built([access_tokens(), jwt().forbid("nonce")]).is_err());
    assert_eq!(built([access_tokens(), jwt()]), Ok(()));
}
