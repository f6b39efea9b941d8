//! A token is sent to the issuer that can have issued the token, and to no other issuer.

use super::*;
use tower_token_exchange::{
    Client,
    fetch::in_process,
    policy::{Actors, Names, Rule, Subjects},
    records::{Party, TokenRules},
    signing::Algorithm,
};

const LEGACY: &str = "https://legacy.example";
const BADGE: &str = "urn:example:token-type:badge";

/// What is said of a good token of a foreign issuer.
fn foreign(iss: &str, changes: Value) -> Value {
    changed(active(json!({ "iss": iss, "sub": "bob", "aud": AS })), changes)
}

/// A foreign issuer without keys, which is asked.
fn keyless(iss: &str, endpoint: &Endpoint) -> Issuer {
    crate::jwks::record(iss).introspection(endpoint.record())
}

#[tokio::test]
async fn the_wrapped_service_can_be_asked() {
    let endpoint = Endpoint::up().await;
    let old = endpoint.router().route("/token", axum::routing::post(|| async { "the old token endpoint" }));
    let record = Introspection::basic("https://as.example/introspect", LAYER_ID, LAYER_SECRET);
    let own = Issuer::new(AS).introspection(record.http(in_process(old.clone())));
    // No fetch is given: nothing goes over the network.
    let plan = plan().with(|builder| builder.issuers([own]));
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    let layer = plan.builder.audit(recorder(sender)).build().unwrap();
    let app = old.layer(layer);
    let send = async |path: &str, form: String| {
        let request = http::Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::AUTHORIZATION, basic("orders", &secret_of("orders")))
            .body(Body::from(form))
            .unwrap();
        let response = tower::ServiceExt::oneshot(app.clone(), request).await.unwrap();
        let (parts, body) = response.into_parts();
        (parts.status, String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap())
    };
    let (status, text) = send("/token", encode(&exchange_form(OPAQUE, &[]))).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    assert_eq!(events.recv().await.unwrap().reason, None);
    let asked = endpoint.asked();
    assert_eq!((asked.len(), asked[0].uri.path()), (1, "/introspect"));
    assert_eq!(asked[0].form[0].1, OPAQUE);

    endpoint.answers(Answer { status: 500, ..Answer::json("{}") });
    let (status, _) = send("/token", encode(&exchange_form(OPAQUE, &[]))).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(events.recv().await.unwrap().reason, Some(Reason::IntrospectionUnavailable));
    // 256 KiB is the most that is read of anybody.
    endpoint.answers(Answer::json(" ".repeat(256 * 1024 + 1)));
    let (status, _) = send("/token", encode(&exchange_form(OPAQUE, &[]))).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    // What is not the layer's is the wrapped service's as ever.
    assert_eq!(send("/token", "grant_type=password".into()).await, (StatusCode::OK, "the old token endpoint".into()));
}

#[tokio::test]
async fn a_refused_request_asks_no_issuer() {
    let (endpoint, mut world) = world().await;
    let form = encode(&exchange_form(OPAQUE, &[]));
    let with = |more: &[(&str, &str)]| encode(&exchange_form(OPAQUE, more));
    let orders = basic("orders", &secret_of("orders"));
    let typed = |token_type: &str| form.replace("access_token&audience", &format!("{token_type}&audience"));
    let cases = [
        ("nobody", None, form.clone(), Reason::ClientCredentialsMissing),
        ("a stranger", Some(basic("mallory", "x")), form.clone(), Reason::ClientRejected),
        ("a wrong secret", Some(basic("orders", "wrong")), form.clone(), Reason::ClientRejected),
        ("a type nobody takes", Some(orders.clone()), typed("saml2"), Reason::SubjectTokenTypeUnsupported),
        ("a refresh token", Some(orders.clone()), typed("refresh_token"), Reason::SubjectTokenTypeUnsupported),
        (
            "an ID token, which nobody takes",
            Some(orders.clone()),
            typed("id_token"),
            Reason::SubjectTokenTypeUnsupported,
        ),
        ("an unknown target", Some(orders.clone()), with(&[("resource", "https://x.example")]), Reason::TargetUnknown),
        ("a bad scope", Some(orders.clone()), with(&[("scope", "\"")]), Reason::ScopeMalformed),
        ("half an actor", Some(orders.clone()), with(&[("actor_token", "x")]), Reason::ActorParametersUnpaired),
        ("a token twice", Some(orders.clone()), with(&[("subject_token", "x")]), Reason::RepeatedParameter),
        ("too large", Some(orders.clone()), encode(&exchange_form(&"x".repeat(65_537), &[])), Reason::TokenTooLarge),
    ];
    for (name, authorization, form, reason) in cases {
        world.post(authorization.as_deref(), form).await;
        assert_eq!(world.reason().await, Some(reason), "{name}");
        assert_eq!(endpoint.hits(), 0, "{name}");
    }
    exchanged(&mut world, OPAQUE).await.unwrap();
    assert_eq!(endpoint.hits(), 1);
}

/// A token that says whose it is goes to no other, whatever was declared; one that cannot be read goes where its
/// declared type is taken.
#[tokio::test]
async fn a_token_goes_to_its_issuer_only() {
    let (own, legacy) = (Endpoint::up().await, Endpoint::up().await);
    legacy.says(&foreign(LEGACY, json!({})));
    let plan = asking(&own, |record| record).with(|builder| builder.issuers([keyless(LEGACY, &legacy)]));
    let mut world = plan.start().await;
    let minter = Minter::new(LEGACY, Algorithm::ES256);
    let (own_minter, idp) = (world.own.clone(), world.idp.clone());
    let forged =
        |iss: &str| minter.sign(&own_minter.header("at+jwt"), &segment(&minter.foreign(json!({ "iss": iss })), 1));
    let good = own_minter.access_token(json!({}));
    let broken = format!("{}A", good.rsplit_once('.').unwrap().0);
    let header_twice = own_minter.sign_text(r#"{"alg":"ES256","alg":"none"}"#, &json!({ "iss": LEGACY }).to_string());
    // A token, its declared type, what becomes of it, and how often our endpoint and the other one were asked.
    let cases = [
        ("opaque, ours", OPAQUE.to_owned(), ACCESS_TOKEN, Ok(()), (1, 0)),
        ("opaque, theirs", OPAQUE.to_owned(), JWT, Ok(()), (0, 1)),
        ("ours, signed", good.clone(), ACCESS_TOKEN, Ok(()), (0, 0)),
        ("ours, declared as theirs", good, JWT, Err(Reason::TokenTypeNotAccepted), (0, 0)),
        ("ours, with a bad signature", forged(AS), ACCESS_TOKEN, Err(Reason::TokenSignatureInvalid), (0, 0)),
        ("a third party's, with a bad signature", forged(IDP), JWT, Err(Reason::TokenKeyUnknown), (0, 0)),
        ("a third party's", idp.foreign(json!({})), JWT, Ok(()), (0, 0)),
        ("a stranger's", forged("https://stranger.example"), JWT, Err(Reason::TokenIssuerUnknown), (0, 0)),
        ("nobody's", minter.foreign(json!({ "iss": null })), JWT, Err(Reason::TokenIssuerMissing), (0, 0)),
        ("theirs, signed as it may be", forged(LEGACY), JWT, Ok(()), (0, 1)),
        ("theirs, declared as ours", forged(LEGACY), ACCESS_TOKEN, Err(Reason::TokenTypeNotAccepted), (0, 0)),
        // No JWT any more, so that only its declared type tells.
        ("cut short", broken, ACCESS_TOKEN, Ok(()), (1, 0)),
        ("a header that reads in two ways", header_twice, ACCESS_TOKEN, Ok(()), (1, 0)),
    ];
    for (name, token, token_type, expected, hits) in cases {
        assert_eq!(in_short(declared(&mut world, &token, token_type).await), expected, "{name}");
        assert_eq!((own.hits(), legacy.hits()), hits, "{name}");
    }
}

#[tokio::test]
async fn an_issuer_answers_for_itself_only() {
    let legacy = Endpoint::up().await;
    let plan = plan()
        .with(|builder| builder.issuers([keyless(LEGACY, &legacy).accept_types([TokenType::from_static(BADGE)])]));
    let mut world = plan.with(|builder| builder.http(loopback())).start().await;
    for iss in [AS, IDP, "https://stranger.example", "https://legacy.example/"] {
        legacy.says(&foreign(iss, json!({})));
        assert_eq!(declared(&mut world, OPAQUE, BADGE).await, Err(Reason::TokenIssuerUnknown), "{iss}");
    }
    // Its subjects are its own, by whatever name.
    for (sub, changes) in [("alice", json!({ "sub": "alice" })), ("idp|bob", json!({ "sub": "idp|bob", "iss": null }))]
    {
        legacy.says(&foreign(LEGACY, changes));
        let issued = declared(&mut world, OPAQUE, BADGE).await.unwrap();
        assert_eq!(issued["sub"], format!("{LEGACY}|{sub}"));
    }
    // Nor do names of its clients mean ours, or its chain and its claims anything that its record does not allow.
    let cases = [
        (json!({ "aud": "orders" }), Err(Reason::TokenNotForUs)),
        (json!({ "aud": "https://orders.example" }), Err(Reason::TokenNotForUs)),
        (json!({ "aud": null }), Err(Reason::TokenNotForUs)),
        (json!({ "act": { "sub": "orders" } }), Err(Reason::ChainNotTrusted)),
        (json!({ "client_id": "orders", "acr": "gold", "groups": ["admins"] }), Ok(())),
    ];
    for (changes, expected) in cases {
        legacy.says(&foreign(LEGACY, changes.clone()));
        let outcome = declared(&mut world, OPAQUE, BADGE).await;
        if let Ok(issued) = &outcome {
            assert_eq!((issued.get("acr"), issued.get("groups")), (None, None));
        }
        assert_eq!(in_short(outcome), expected, "{changes}");
    }
}

/// Whose word it is counts, and not what the token says of itself.
#[tokio::test]
async fn a_jwt_of_an_issuer_without_keys_is_introspected() {
    let legacy = Endpoint::up().await;
    let record = keyless(LEGACY, &legacy).accept(TokenRules::new(TokenType::JWT).typ(["JWT"]).require("tid"));
    let plan = plan().with(|builder| builder.issuers([record]).http(loopback()));
    let mut world = plan.start().await;
    let minter = Minter::new(LEGACY, Algorithm::ES256);
    let claims = json!({ "iss": LEGACY, "sub": "root", "aud": AS, "exp": 1, "tid": "t", "cnf": {}, "scope": "admin" });
    let of = |header: Value| minter.sign(&header, &claims);
    let symmetric = json!({ "alg": "HS256", "typ": "JWT" });
    let cases = [
        ("it says so", symmetric.clone(), foreign(LEGACY, json!({ "tid": "t" })), Ok("bob")),
        (
            "what the token says does not count",
            symmetric.clone(),
            foreign(LEGACY, json!({})),
            Err(Reason::TokenClaimRequired),
        ),
        ("it is revoked", symmetric.clone(), json!({ "active": false }), Err(Reason::TokenInactive)),
        // What can be seen of the token counts all the same.
        (
            "a logout token",
            json!({ "alg": "HS256", "typ": "logout+jwt" }),
            foreign(LEGACY, json!({ "tid": "t" })),
            Err(Reason::TokenTypeConfused),
        ),
        (
            "a client's assertion",
            json!({ "alg": "HS256", "typ": "application/client-authentication+JWT" }),
            foreign(LEGACY, json!({ "tid": "t" })),
            Err(Reason::TokenTypeConfused),
        ),
        (
            "a type that the record does not take",
            json!({ "alg": "HS256", "typ": "at+jwt" }),
            foreign(LEGACY, json!({ "tid": "t" })),
            Err(Reason::TokenTypRefused),
        ),
        ("it says so again", symmetric, foreign(LEGACY, json!({ "tid": "t" })), Ok("bob")),
    ];
    for (name, header, answer, expected) in cases {
        legacy.says(&answer);
        let found = declared(&mut world, &of(header), JWT).await;
        let sub = found.map(|issued| issued["sub"].as_str().unwrap().to_owned());
        assert_eq!(sub, expected.map(|sub| format!("{LEGACY}|{sub}")), "{name}");
    }
}

#[tokio::test]
async fn a_record_can_require_introspection_of_every_token() {
    let endpoint = Endpoint::up().await;
    let mut world = asking(&endpoint, |record| record.introspect(IntrospectedTokens::Every)).start().await;
    let mut only_if_needed = asking(&endpoint, |record| record).start().await;
    let token = world.own.access_token(json!({}));
    assert_eq!(in_short(exchanged(&mut world, &token).await), Ok(()));
    let asked = endpoint.asked();
    assert_eq!((asked.len(), &asked[0].form[0].1), (1, &token));
    let cases = [
        (json!({ "active": false }), Err(Reason::TokenInactive)),
        (json!({ "active": 1 }), Err(Reason::IntrospectionUnavailable)),
        (active(json!({ "iss": IDP })), Err(Reason::TokenIssuerUnknown)),
        (active(json!({ "token_type": "refresh" })), Err(Reason::TokenTypeConfused)),
        // RFC 8705 section 3.2: the key that a token is bound to may stand in the answer alone.
        (active(json!({ "cnf": { "x5t#S256": "x" } })), Err(Reason::TokenSenderConstrained)),
        (active(json!({ "token_type": "DPoP" })), Err(Reason::TokenSenderConstrained)),
        (json!({ "active": true, "token_type": "Bearer" }), Ok(())),
        // It was signed, so what it says is certain: only whether it is still good was asked.
        (active(json!({ "sub": "mallory", "scope": "admin", "client_id": "x" })), Ok(())),
    ];
    for (answer, expected) in cases {
        endpoint.says(&answer);
        let outcome = exchanged(&mut world, &token).await;
        if let Ok(issued) = &outcome {
            assert_eq!((&issued["sub"], &issued["scope"]), (&json!("alice"), &json!("read write")));
        }
        assert_eq!(in_short(outcome), expected, "{answer}");
        assert_eq!(endpoint.hits(), 1, "{answer}");
    }
    // A token whose signature is not good is not worth a question.
    let forged = world.idp.sign(&world.own.header("at+jwt"), &segment(&token, 1));
    assert_eq!(exchanged(&mut world, &forged).await, Err(Reason::TokenSignatureInvalid));
    assert_eq!(endpoint.hits(), 0);
    // Without it, nobody hears of a revocation.
    endpoint.says(&json!({ "active": false }));
    let token = only_if_needed.own.access_token(json!({}));
    assert_eq!(in_short(exchanged(&mut only_if_needed, &token).await), Ok(()));
    assert_eq!(endpoint.hits(), 0);
}

/// An ID token is a JWT (OpenID Connect Core section 2); whatever else is declared to be one is something else.
#[tokio::test]
async fn an_opaque_token_is_not_an_id_token() {
    let endpoint = Endpoint::up().await;
    let idp_minter = Minter::new(IDP, Algorithm::ES256);
    let idp = crate::jwks::record(IDP)
        .keys(idp_minter.keys())
        .map_client("orders-there", "orders")
        .accept_types([TokenType::ID_TOKEN, TokenType::JWT])
        .introspection(endpoint.record());
    let mut world = without_idp().with(|builder| builder.issuers([idp]).http(loopback())).start().await;
    // An access token of a server that says little of it; in other clothes it would be a login.
    endpoint.says(&foreign(IDP, json!({ "aud": "orders-there", "client_id": null, "scope": null })));
    assert_eq!(declared(&mut world, OPAQUE, ID_TOKEN).await, Err(Reason::TokenMalformed));
    assert_eq!(endpoint.hits(), 0);
    let id_token = idp_minter.foreign(json!({ "aud": "orders-there", "scope": null }));
    assert_eq!(in_short(declared(&mut world, &id_token, ID_TOKEN).await), Ok(()));
    endpoint.says(&foreign(IDP, json!({})));
    assert_eq!(in_short(declared(&mut world, OPAQUE, JWT).await), Ok(()));
}

#[tokio::test]
async fn an_actor_token_can_be_introspected() {
    let endpoint = Endpoint::up().await;
    let carries = |clients: Vec<Client>| {
        clients.into_iter().map(|client| client.allow_actor(Party::new(LEGACY, "agent-7"))).collect()
    };
    let allowed = |allow: bool| {
        let record = keyless(LEGACY, &endpoint).accept_types([TokenType::from_static(BADGE)]);
        let record = if allow { record.allow_actor_tokens() } else { record };
        plan_with(carries, |targets| targets).with(|builder| builder.issuers([record]).http(loopback()))
    };
    for allow in [true, false] {
        let rule = Rule::allow(Names::any(), Subjects::any(), Names::any()).actors(Actors::any());
        let mut world = allowed(allow).with(|builder| builder.rules([rule.scopes(Names::any())])).start().await;
        endpoint.says(&foreign(LEGACY, json!({ "sub": "agent-7" })));
        let subject = world.own.access_token(json!({}));
        let form = exchange_form(&subject, &[("actor_token", OPAQUE), ("actor_token_type", BADGE)]);
        let found = outcome(&mut world, &form).await.map(|issued| issued["act"].clone());
        if !allow {
            assert_eq!(found, Err(Reason::ActorIssuerNotTrusted));
            assert_eq!(endpoint.hits(), 0, "not even asked");
            continue;
        }
        assert_eq!(found, Ok(json!({ "iss": LEGACY, "sub": "agent-7" })));
        assert_eq!(endpoint.hits(), 1);
        for (answer, reason) in [
            (foreign(LEGACY, json!({ "sub": "agent-8" })), Reason::ActorNotCarried),
            (foreign(LEGACY, json!({ "sub": "agent-7", "act": { "sub": "x" } })), Reason::ActorDelegated),
            (foreign(LEGACY, json!({ "sub": "agent-7", "cnf": {} })), Reason::TokenSenderConstrained),
            (json!({ "active": false }), Reason::TokenInactive),
        ] {
            endpoint.says(&answer);
            assert_eq!(outcome(&mut world, &form).await, Err(reason), "{answer}");
            assert_eq!(endpoint.hits(), 1, "{answer}");
        }
    }
}
