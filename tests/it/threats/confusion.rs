//! Attacks that pass one token type, issuer or subject off as another.

use super::*;
use crate::support::*;
use serde_json::json;
use tower_token_exchange::TokenType;

/// The tokens about alice that `orders` may have: one of every kind, from one issuer with one key.
struct Kinds<'a> {
    minter: &'a Minter,
    /// The issuer's name for `orders`, and the audience of its access tokens.
    client: &'static str,
    resource: &'static str,
}

/// The name of a kind, a token of this kind, and the token type that the kind may be declared as.
type Kind = (&'static str, String, Option<&'static str>);

impl Kinds<'_> {
    fn all(&self) -> Vec<Kind> {
        let Self { minter, client, resource } = self;
        let base = |aud: &str| json!({ "iss": minter.iss, "sub": "alice", "aud": aud, "exp": NOW + 600, "iat": NOW });
        let to_client = |more: Value| changed(base(client), more);
        let to_resource = |more: Value| changed(base(resource), more);
        let granted = json!({ "client_id": client, "scope": "read write", "jti": "1" });
        let events = json!({ "events": { "http://schemas.openid.net/event/backchannel-logout": {} }, "sid": "s" });
        let kind = |name, typ: &str, claims: Value, as_what| (name, signed(minter, typ, &claims), as_what);
        let both = |claims: Value, more: &Value| changed(claims, more.clone());
        let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        vec![
            kind("access token", "at+jwt", to_resource(granted.clone()), Some(ACCESS_TOKEN)),
            kind("ID token", "JWT", to_client(json!({ "azp": client, "nonce": "n", "at_hash": "AA" })), Some(ID_TOKEN)),
            kind("JWT", "JWT", to_resource(granted.clone()), Some(JWT)),
            kind(
                "Txn-Token",
                "txntoken+jwt",
                to_resource(both(json!({ "txn": "1", "scope": "read" }), &granted)),
                None,
            ),
            kind("ID-JAG", "oauth-id-jag+jwt", to_resource(granted.clone()), None),
            kind("SET", "secevent+jwt", to_resource(both(granted.clone(), &events)), None),
            kind("untyped SET", "JWT", to_resource(both(granted.clone(), &events)), None),
            kind("logout token", "logout+jwt", to_client(events.clone()), None),
            kind("untyped logout token", "JWT", to_client(events.clone()), None),
            kind("DPoP proof", "dpop+jwt", to_resource(json!({ "htm": "POST", "htu": AS, "jti": "1" })), None),
            kind("client assertion", "client-authentication+jwt", to_resource(json!({ "jti": "1" })), None),
            kind("client attestation", "oauth-client-attestation+jwt", to_resource(json!({ "jti": "1" })), None),
            kind("workload token", "wit+jwt", to_resource(json!({ "jti": "1", "key": key })), None),
            kind("introspection answer", "token-introspection+jwt", to_resource(granted.clone()), None),
            kind("request object", "oauth-authz-req+jwt", to_resource(granted.clone()), None),
            kind("refresh token", "rt+jwt", to_resource(granted), None),
        ]
    }
}

/// Attack: a token of each kind is declared as every other type. The issuers accept all three types.
#[tokio::test]
async fn th_16_a_token_has_only_its_own_type() {
    let partner = partner();
    let types = [TokenType::ACCESS_TOKEN, TokenType::ID_TOKEN, TokenType::JWT];
    let records = [
        Issuer::new(AS).accept_types(types.clone()),
        partner_record(&partner).accept_types(types).map_client("orders-there", "orders"),
    ];
    let scopeless = changing("orders", |client| client.scopes_for_scopeless_subjects(TokenType::ID_TOKEN, ["read"]));
    let mut world = plan_with(scopeless, same).with(|builder| builder.issuers(records)).start().await;
    let own = world.own.clone();
    let kinds = [
        (AS, Kinds { minter: &own, client: "orders", resource: ORDERS }),
        (PARTNER, Kinds { minter: &partner, client: "orders-there", resource: AS }),
    ];
    for (iss, kinds) in kinds {
        for (kind, token, as_what) in kinds.all() {
            for declared in [ACCESS_TOKEN, ID_TOKEN, JWT] {
                let why = format!("{kind} of {iss} as {declared}");
                let attack = ask("orders", &token).typed(declared);
                if as_what == Some(declared) {
                    attack.token(&mut world, &why).await;
                    continue;
                }
                attack.refused(&mut world, Reason::TokenTypeConfused, &why).await;
            }
        }
    }
    // The access token of a foreign server is a JWT for this server (RFC 8693 section 3).
    let records = [partner_record(&partner).accept_types([TokenType::JWT])];
    let mut world = plan().with(|builder| builder.issuers(records)).start().await;
    let access_token = partner.sign(&partner.header("at+jwt"), &segment(&partner.foreign(json!({})), 1));
    ask_foreign("orders", &access_token).token(&mut world, "a foreign access token as a JWT").await;
}

/// Attack: an ID token without `at_hash` is declared as a JWT. Its presenter, and the query to the policy, depend on the
/// token type.
#[tokio::test]
async fn th_16_an_id_token_without_a_hash_is_no_jwt() {
    let types = [TokenType::ACCESS_TOKEN, TokenType::ID_TOKEN, TokenType::JWT];
    let records = changing("orders", |client| {
        client.scopes_for_scopeless_subjects(TokenType::ID_TOKEN, ["read"]).allow_self_exchange()
    });
    let own_record = Issuer::new(AS).accept_types(types);
    let mut world = plan_with(records, same).with(|builder| builder.issuers([own_record])).start().await;
    let own = world.own.clone();
    let id_token = |aud: &str| {
        let claims = json!({
            "iss": AS, "sub": "alice", "aud": aud, "azp": "orders", "exp": NOW + 600, "iat": NOW, "nonce": "n",
        });
        signed(&own, "JWT", &claims)
    };
    let [of_orders, of_billing] = ["orders", "billing"].map(id_token);
    ask("orders", &of_orders).typed(ID_TOKEN).token(&mut world, "as what it is").await;
    let why = "another's, as what it is";
    ask("orders", &of_billing).typed(ID_TOKEN).refused(&mut world, Reason::PresenterUnrelated, why).await;
    for (token, why) in [(of_billing, "another's, as a JWT"), (of_orders, "its own, as a JWT")] {
        ask("orders", &token).typed(JWT).refused(&mut world, Reason::TokenTypeConfused, why).await;
    }
}

/// Attack: the attacker has an access token, and requests a token that lasts longer or opens other services.
#[tokio::test]
async fn th_17_an_access_token_yields_only_access_tokens() {
    let urn = |name: &str| format!("urn:ietf:params:oauth:token-type:{name}");
    let upper = urn("ACCESS_TOKEN");
    let spaced = format!("{ACCESS_TOKEN} ");
    let with_jwt = || plan_with(changing("orders", Client::allow_jwt_output), same);
    for (allowed, plan) in [(false, plan()), (true, with_jwt())] {
        let mut world = plan.start().await;
        let own = world.own.clone();
        let honest = ask("orders", &own.access_token(json!({})));
        let greater = ["refresh_token", "id_token", "id-jag", "txn_token", "saml1", "saml2", "jwt2", ""].map(urn);
        let others =
            ["urn:openid:params:token-type:device-secret".into(), "Bearer".into(), upper.clone(), spaced.clone()];
        for requested in greater.iter().chain(&others) {
            let attack = honest.clone().set("requested_token_type", requested);
            attack.refused(&mut world, Reason::RequestedTokenTypeUnsupported, requested).await;
        }
        let jwt = honest.clone().set("requested_token_type", JWT);
        if !allowed {
            jwt.refused(&mut world, Reason::RequestedTokenTypeUnsupported, "a JWT without the record for it").await;
        } else {
            // A JWT that is no access token says so, and cannot be exchanged as an access token.
            let reply = jwt.send(&world).await;
            assert_eq!((&reply.json()["token_type"], &reply.json()["issued_token_type"]), (&json!("N_A"), &json!(JWT)));
            world.event().await;
            let issued = reply.json()["access_token"].as_str().unwrap().to_owned();
            let again = ask("billing", &issued).at("ledger");
            again.refused(&mut world, Reason::TokenTypeConfused, "a JWT as an access token").await;
        }
        for asked in [honest.clone(), honest.set("requested_token_type", ACCESS_TOKEN).set("access_type", "offline")] {
            let reply = asked.scope("read offline_access").send(&world).await;
            world.event().await;
            let body = reply.json();
            assert_eq!((&body["issued_token_type"], &body["token_type"]), (&json!(ACCESS_TOKEN), &json!("Bearer")));
            let more = ["refresh_token", "id_token", "device_secret"];
            assert!(more.iter().all(|name| body.get(name).is_none()) && body["scope"] == "read", "{body}");
        }
    }
}

/// Attack: the attacker gets a name at a foreign issuer that is the name of another party here.
#[tokio::test]
async fn th_18_no_subject_changes_its_issuer() {
    let partner = partner();
    let for_alice = || {
        let alice = |iss: &str, sub: &str| {
            Rule::allow("orders", Subjects::of_issuer(iss).named([sub.to_owned()]), "billing").scopes(Names::any())
        };
        [alice(AS, "alice"), alice(AS, "idp|bob"), alice(IDP, "bob")]
    };
    let plan = || plan().with(|builder| builder.issuers([partner_record(&partner)]));
    let mut world = plan().with(|builder| builder.rules(for_alice())).start().await;
    let (own, idp) = (world.own.clone(), world.idp.clone());
    for sub in ["alice", "bob", "idp|bob", "partner|alice", "orders"] {
        let token = partner.foreign(json!({ "sub": sub, "email": "alice@as.example", "email_verified": true }));
        ask_foreign("orders", &token).refused(&mut world, Reason::PolicyNoRule, sub).await;
    }
    ask("orders", &own.access_token(json!({}))).token(&mut world, "alice of ours").await;
    ask_foreign("orders", &idp.foreign(json!({}))).token(&mut world, "bob of theirs").await;

    // If a rule allows these subjects, they stay different parties, despite equal names or addresses.
    let mut world = plan().start().await;
    let (own, idp) = (world.own.clone(), world.idp.clone());
    let address = json!({ "sub": "alice", "email": "alice@as.example", "email_verified": true });
    let mut subs = Vec::new();
    for token in [partner.foreign(address.clone()), idp.foreign(address.clone())] {
        subs.push(ask_foreign("orders", &token).claims(&mut world, "alice elsewhere").await["sub"].clone());
    }
    subs.push(ask("orders", &own.access_token(address)).claims(&mut world, "alice here").await["sub"].clone());
    assert_eq!(subs, ["partner|alice", "idp|alice", "alice"]);

    // Records with which two issuers could name the same subject are refused.
    let prefix = |text: &str| SubjectMapping::Prefix(text.into());
    for (mapping, builds) in [
        (prefix("other|"), true),
        (prefix("idp|"), false),
        (prefix("idp|x"), false),
        (prefix("idp"), false),
        (prefix("i"), false),
        (prefix(""), false),
        (SubjectMapping::Keep, false),
        (SubjectMapping::Claim("email".into()), false),
    ] {
        let record =
            Issuer::new(PARTNER).keys(partner.keys()).map_subjects(mapping.clone()).allow_presenters(["orders"]);
        let built = super::plan().with(|builder| builder.issuers([record])).builder.build();
        assert_eq!(built.is_ok(), builds, "{mapping:?}");
    }
}

/// Attack: the attacker runs an issuer with a similar name, or signs tokens in the name of a known issuer.
#[tokio::test]
async fn th_19_an_issuer_has_one_name_and_its_keys() {
    use Reason::*;
    let mut partner = partner();
    let mut world_plan = plan();
    // Both keys have the same `kid`: only the issuer tells the keys apart.
    partner.key = partner.key.with_key_id(world_plan.idp.key.key_id().clone());
    world_plan = world_plan.with(|builder| builder.issuers([partner_record(&partner)]));
    let mut world = world_plan.start().await;
    let (own, idp) = (world.own.clone(), world.idp.clone());
    for iss in [
        "https://idp.example/",
        "https://idp.example.",
        "https://IDP.example",
        "HTTPS://idp.example",
        "http://idp.example",
        "https://idp.example:443",
        "https://idp.example?",
        "https://idp.example#",
        "https://idp.example/tenant",
        "https://idp.example@evil.example",
        "https://idp.example.evil.example",
        "https://evil.example/https://idp.example",
        "https://idp%2eexample",
        "https://іdp.example",
        "https://xn--dp-nfb.example",
        "https://idp.example\u{200b}",
        " https://idp.example",
        "idp.example",
        "*",
    ] {
        let token = idp.foreign(json!({ "iss": iss }));
        ask_foreign("orders", &token).refused(&mut world, TokenIssuerUnknown, iss).await;
    }
    for (why, token, reason) in [
        ("another's key of the same name", partner.foreign(json!({ "iss": IDP })), TokenSignatureInvalid),
        ("and the other way round", idp.foreign(json!({ "iss": PARTNER })), TokenSignatureInvalid),
        ("our key for theirs", own.foreign(json!({ "iss": IDP })), TokenKeyUnknown),
        ("two issuers", idp.foreign(json!({ "iss": [IDP, PARTNER] })), TokenIssuerMissing),
        ("nobody", idp.foreign(json!({ "iss": null })), TokenIssuerMissing),
        ("ours, signed by them, as a JWT", idp.foreign(json!({ "iss": AS })), TokenTypeNotAccepted),
    ] {
        ask_foreign("orders", &token).refused(&mut world, reason, why).await;
    }
    let in_our_name = idp.access_token(json!({ "iss": AS }));
    ask("orders", &in_our_name).refused(&mut world, TokenKeyUnknown, "ours, signed by them").await;
    for (minter, sub) in [(&idp, "idp|bob"), (&partner, "partner|bob")] {
        let claims = ask_foreign("orders", &minter.foreign(json!({}))).claims(&mut world, "each for itself").await;
        assert_eq!(claims["sub"], sub);
    }
}

/// Attack: a refresh token leaks. A refresh token lives long, and is worth more than an access token.
#[tokio::test]
async fn th_44_a_refresh_token_is_not_exchanged() {
    use Reason::*;
    let records = changing("orders", Client::allow_self_exchange);
    let mut world = plan_with(records, same).start().await;
    let own = world.own.clone();
    let claims = json!({
        "iss": AS, "sub": "alice", "aud": AS, "exp": NOW + 30 * 86_400, "iat": NOW, "jti": "1", "typ": "Refresh",
        "azp": "orders", "client_id": "orders", "scope": "read write",
    });
    let jwt = |typ: &str| signed(&own, typ, &claims);
    let untyped = own.sign(&json!({ "alg": "ES256", "kid": own.key.key_id() }), &claims);
    let opaque = "8xLOxBtZp8-tGzv3JF0X0fIC_9mr2iTlKWIA";
    for (why, token, declared, reason) in [
        ("opaque, as what it is", opaque, REFRESH_TOKEN, SubjectTokenTypeUnsupported),
        ("a JWT, as what it is", &jwt("JWT"), REFRESH_TOKEN, SubjectTokenTypeUnsupported),
        ("an access token, as one", &own.access_token(json!({})), REFRESH_TOKEN, SubjectTokenTypeUnsupported),
        ("opaque, as an access token", opaque, ACCESS_TOKEN, TokenMalformed),
        ("a JWT, as an access token", &jwt("JWT"), ACCESS_TOKEN, TokenTypeConfused),
        ("a typed JWT, as an access token", &jwt("rt+jwt"), ACCESS_TOKEN, TokenTypeConfused),
        ("a JWT without a type, as an access token", &untyped, ACCESS_TOKEN, TokenTypeConfused),
        ("a JWT, as a JWT", &jwt("JWT"), JWT, TokenTypeNotAccepted),
    ] {
        ask("orders", token).typed(declared).refused(&mut world, reason, why).await;
    }
    ask("orders", &own.access_token(json!({}))).token(&mut world, "an access token").await;

    let built = plan().with(|builder| builder.issuers([Issuer::new(AS).accept_types([TokenType::REFRESH_TOKEN])]));
    assert!(built.builder.build().is_err(), "no record can ask for it");
}

/// Attack: the same with an older server, which signs its refresh tokens and its access tokens with the same header.
#[tokio::test]
async fn th_44_an_untyped_refresh_token_is_not_exchanged() {
    let untyped = Issuer::new(AS).allow_untyped_access_tokens();
    let jwts = Issuer::new(AS).accept_types([TokenType::ACCESS_TOKEN, TokenType::JWT]);
    for (record, declared) in [(untyped, ACCESS_TOKEN), (jwts, JWT)] {
        let records = changing("orders", Client::allow_self_exchange);
        let mut world = plan_with(records, same).with(|builder| builder.issuers([record])).start().await;
        let own = world.own.clone();
        let access = json!({ "client_id": "orders", "azp": "orders", "typ": "Bearer" });
        let access = segment(&own.access_token(access), 1);
        ask("orders", &signed(&own, "JWT", &access)).typed(declared).token(&mut world, "an access token").await;
        let refresh = changed(access, json!({ "aud": AS, "exp": NOW + 30 * 86_400, "typ": "Refresh" }));
        let attack = ask("orders", &signed(&own, "JWT", &refresh)).typed(declared);
        attack.refused(&mut world, Reason::TokenTypeConfused, declared).await;
    }
}
