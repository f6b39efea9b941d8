//! The request to an introspection endpoint, and the meaning of its answers.

use super::*;

const GOOD: Result<(), Reason> = Ok(());
const REFUSED: fn(Reason) -> Result<(), Reason> = Err;
const OUTAGE: Result<(), Reason> = Err(Reason::IntrospectionUnavailable);

#[tokio::test]
async fn an_opaque_token_is_exchanged() {
    let (endpoint, mut world) = world().await;
    let said = json!({ "acr": "gold", "groups": ["admins"], "username": "Alice", "act": { "sub": "app" } });
    endpoint.says(&active(said));
    let issued = exchanged(&mut world, OPAQUE).await.unwrap();
    let expected = json!({
        "iss": AS, "sub": "alice", "aud": "https://billing.example", "client_id": "orders", "scope": "read write",
        "acr": "gold", "act": { "sub": "orders", "act": { "sub": "app" } }, "iat": NOW, "exp": NOW + 300,
        "jti": issued["jti"].clone(),
    });
    assert_eq!(issued, expected, "these claims and no others");

    let asked = endpoint.asked();
    let [Asked { method, uri, headers, form }] = &asked[..] else { panic!("asked {} times", asked.len()) };
    assert_eq!((method, uri), (&Method::POST, &Uri::from_static("/introspect")));
    assert_eq!(headers[header::CONTENT_TYPE], "application/x-www-form-urlencoded");
    assert_eq!(headers[header::ACCEPT], "application/json");
    // RFC 6749 section 2.3.1: both halves are form encoded before they are put together.
    assert_eq!(headers[header::AUTHORIZATION], basic("layer%3A+100%25", "zq9secret%2Bpass%2Fword%3D%26%C3%BC"));
    let expected = [("token", OPAQUE), ("token_type_hint", "access_token")];
    assert_eq!(*form, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn a_token_is_sent_unchanged() {
    let (endpoint, mut world) = world().await;
    for token in ["a&active=true&token=b", "100%25+=/~", "a b", "ünïcode", "a.b", "a.b.c.d.e", "{}"] {
        assert_eq!(in_short(exchanged(&mut world, token).await), GOOD, "{token}");
        let asked = endpoint.asked();
        assert_eq!(asked[0].form[0], ("token".to_owned(), token.to_owned()));
        assert_eq!((asked.len(), asked[0].form.len(), asked[0].uri.query()), (1, 2, None), "{token}");
    }
}

#[tokio::test]
async fn an_endpoint_can_require_a_bearer_token() {
    let endpoint = Endpoint::up().await;
    let record = Introspection::bearer(&endpoint.url, "zq9bearer");
    let mut world = asking(&endpoint, |_| record).start().await;
    assert_eq!(in_short(exchanged(&mut world, OPAQUE).await), GOOD);
    assert_eq!(endpoint.asked()[0].headers[header::AUTHORIZATION], "Bearer zq9bearer");
}

/// RFC 7662 section 2.2: `active` is a boolean. Whatever else it is, nobody has said yes, nor no.
#[tokio::test]
async fn only_the_boolean_true_means_active() {
    let (endpoint, mut world) = world().await;
    let rest = active(json!({ "active": null })).to_string().split_off(1);
    let cases = [
        (r#""active":true,"#, GOOD),
        (r#""active":false,"#, REFUSED(Reason::TokenInactive)),
        (r#""active":"true","#, OUTAGE),
        (r#""active":"false","#, OUTAGE),
        (r#""active":1,"#, OUTAGE),
        (r#""active":0,"#, OUTAGE),
        (r#""active":null,"#, OUTAGE),
        (r#""active":[true],"#, OUTAGE),
        (r#""Active":true,"#, OUTAGE),
        ("", OUTAGE),
        (r#""active":false,"active":true,"#, OUTAGE),
        (r#""active":true,"active":true,"#, OUTAGE),
        (r#""active":true,"#, GOOD),
    ];
    for (member, expected) in cases {
        endpoint.answers(Answer::json(format!("{{{member}{rest}")));
        assert_eq!(in_short(exchanged(&mut world, OPAQUE).await), expected, "{member}");
        assert_eq!(endpoint.hits(), 1, "{member}: asked once, whatever the answer");
    }
    endpoint.says(&json!({ "active": false }));
    assert_eq!(in_short(exchanged(&mut world, OPAQUE).await), REFUSED(Reason::TokenInactive), "and nothing else");
}

#[tokio::test]
async fn a_malformed_answer_is_an_outage() {
    let (endpoint, mut world) = world().await;
    let good = active(json!({})).to_string();
    let of_status = |status| Answer { status, ..Answer::json(good.clone()) };
    let of_type = |content_type| Answer { content_type, ..Answer::json(good.clone()) };
    let padded = |bytes: usize| {
        let bare = active(json!({ "pad": "" })).to_string().len();
        Answer::json(active(json!({ "pad": "x".repeat(bytes - bare) })).to_string())
    };
    let deep = |levels: usize| {
        let nested = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        Answer::json(good.replacen('{', &format!(r#"{{"deep":{nested},"#), 1))
    };
    let mut cases = vec![
        ("good", of_status(200), GOOD),
        ("another parameter", of_type(Some("application/json; charset=utf-8")), GOOD),
        ("in another case", of_type(Some("Application/JSON")), GOOD),
        ("no type", of_type(None), OUTAGE),
        ("text", of_type(Some("text/plain")), OUTAGE),
        ("what only begins as JSON", of_type(Some("application/jsonx")), OUTAGE),
        ("a signed answer, which nobody asked for", of_type(Some("application/token-introspection+jwt")), OUTAGE),
        ("JSON of a kind", of_type(Some("application/problem+json")), OUTAGE),
        ("64 KiB", padded(64 * 1024), GOOD),
        ("64 KiB and one", padded(64 * 1024 + 1), OUTAGE),
        ("a megabyte", padded(1024 * 1024), OUTAGE),
        ("deep", deep(15), GOOD),
        ("too deep", deep(17), OUTAGE),
        ("a member twice", Answer::json(good.replacen('{', r#"{"sub":"mallory","#, 1)), OUTAGE),
        ("a nested member twice", Answer::json(good.replacen('{', r#"{"x":{"y":1,"y":2},"#, 1)), OUTAGE),
        ("a member twice by an escape", Answer::json(good.replacen('{', r#"{"\u0073ub":"mallory","#, 1)), OUTAGE),
        ("something behind", Answer::json(format!("{good}{good}")), OUTAGE),
        ("an array", Answer::json(format!("[{good}]")), OUTAGE),
        ("a text", Answer::json(r#""active""#), OUTAGE),
        ("nothing", Answer::json(""), OUTAGE),
        ("not UTF-8", Answer::json(&b"{\"active\":true,\"sub\":\"\xff\"}"[..]), OUTAGE),
        ("HTML", Answer::json("<html>"), OUTAGE),
        ("good again", of_status(200), GOOD),
    ];
    let statuses = [201, 202, 204, 206, 301, 302, 307, 400, 401, 403, 404, 429, 500, 502, 503];
    cases.extend(statuses.map(|status| ("a status", of_status(status), OUTAGE)));
    for (name, answer, expected) in cases {
        let status = answer.status;
        endpoint.answers(answer);
        assert_eq!(in_short(exchanged(&mut world, OPAQUE).await), expected, "{name} {status}");
    }
}

/// Row by row what a JWT is held to.
#[tokio::test]
async fn introspected_claims_follow_the_jwt_rules() {
    let endpoint = Endpoint::up().await;
    let change = |issuer: Issuer| issuer.introspection(endpoint.record()).max_age(Duration::from_secs(900));
    let mut world = plan().with(|builder| builder.issuers([change(Issuer::new(AS))]).http(loopback())).start().await;
    let cases = vec![
        (json!({}), GOOD),
        (json!({ "iss": null }), GOOD),
        (json!({ "iss": IDP }), REFUSED(Reason::TokenIssuerUnknown)),
        (json!({ "iss": "https://as.example/" }), REFUSED(Reason::TokenIssuerUnknown)),
        (json!({ "iss": "HTTPS://AS.EXAMPLE" }), REFUSED(Reason::TokenIssuerUnknown)),
        (json!({ "iss": "" }), REFUSED(Reason::TokenIssuerUnknown)),
        (json!({ "iss": [AS] }), REFUSED(Reason::TokenIssuerUnknown)),
        (json!({ "sub": null }), REFUSED(Reason::TokenSubjectInvalid)),
        (json!({ "sub": "" }), REFUSED(Reason::TokenSubjectInvalid)),
        (json!({ "sub": 7 }), REFUSED(Reason::TokenSubjectInvalid)),
        (json!({ "sub": "a\nb" }), REFUSED(Reason::TokenSubjectInvalid)),
        (json!({ "exp": null }), REFUSED(Reason::TokenExpiryMissing)),
        (json!({ "exp": NOW }), REFUSED(Reason::TokenExpired)),
        (json!({ "exp": NOW + 1 }), GOOD),
        (json!({ "exp": (NOW + 600).to_string() }), REFUSED(Reason::TokenClaimsInvalid)),
        (json!({ "exp": -1 }), REFUSED(Reason::TokenClaimsInvalid)),
        (json!({ "nbf": NOW + 30 }), GOOD),
        (json!({ "nbf": NOW + 31 }), REFUSED(Reason::TokenNotYetValid)),
        (json!({ "iat": NOW + 31 }), REFUSED(Reason::TokenIssuedInFuture)),
        (json!({ "iat": NOW - 900 }), GOOD),
        (json!({ "iat": NOW - 901 }), REFUSED(Reason::TokenTooOld)),
        (json!({ "iat": null }), REFUSED(Reason::TokenTooOld)),
        (json!({ "aud": null }), REFUSED(Reason::PresenterUnknown)),
        (json!({ "aud": [] }), REFUSED(Reason::PresenterUnknown)),
        (json!({ "aud": 7 }), REFUSED(Reason::TokenClaimsInvalid)),
        (json!({ "aud": "https://billing.example" }), REFUSED(Reason::PresenterUnrelated)),
        (json!({ "aud": ["https://orders.example", "x"] }), REFUSED(Reason::SeveralAudiences)),
        (json!({ "client_id": ["web"] }), REFUSED(Reason::TokenClaimsInvalid)),
        (json!({ "client_id": null }), GOOD),
        (json!({ "client_id": null, "scope": null }), REFUSED(Reason::TokenTypeConfused)),
        (json!({ "scope": null }), REFUSED(Reason::ScopeEmpty)),
        (json!({ "scope": "" }), REFUSED(Reason::ScopeEmpty)),
        (json!({ "scope": ["read"] }), REFUSED(Reason::TokenClaimsInvalid)),
        (json!({ "scope": "admin" }), REFUSED(Reason::ScopeEmpty)),
        (json!({ "cnf": { "jkt": "x" } }), REFUSED(Reason::TokenSenderConstrained)),
        (json!({ "cnf": "" }), REFUSED(Reason::TokenSenderConstrained)),
        (json!({ "authorization_details": [] }), REFUSED(Reason::AuthorizationDetailsUnsupported)),
        (json!({ "act": "app" }), REFUSED(Reason::ChainMalformed)),
        (json!({ "act": { "sub": "orders" }, "sub": "orders" }), REFUSED(Reason::ActorIsSubject)),
        (json!({ "may_act": "orders" }), REFUSED(Reason::MayActMalformed)),
        (json!({ "may_act": { "sub": "billing" } }), REFUSED(Reason::MayActMismatch)),
        (json!({ "may_act": { "sub": "orders" }, "aud": "elsewhere" }), GOOD),
        (json!({ "at_hash": "x" }), REFUSED(Reason::TokenTypeConfused)),
        (json!({ "events": {} }), REFUSED(Reason::TokenTypeConfused)),
        (json!({ "token_introspection": {} }), REFUSED(Reason::TokenTypeConfused)),
        (json!({ "typ": "Refresh" }), REFUSED(Reason::TokenTypeConfused)),
        (json!({ "typ": "Bearer" }), GOOD),
        (json!({ "jti": 7 }), REFUSED(Reason::TokenClaimsInvalid)),
        (json!({ "jti": null }), GOOD),
        (json!({}), GOOD),
    ];
    for (changes, expected) in cases {
        endpoint.says(&active(changes.clone()));
        assert_eq!(in_short(exchanged(&mut world, OPAQUE).await), expected, "{changes}");
    }
    // What was said to expire soon makes no token that lives longer.
    endpoint.says(&active(json!({ "exp": NOW + 7, "scope": "read mail" })));
    let issued = exchanged(&mut world, OPAQUE).await.unwrap();
    assert_eq!((&issued["exp"], &issued["scope"]), (&json!(NOW + 7), &json!("read")));
}

/// A server that answers for refresh tokens too says `token_type` of access tokens only (RFC 7662 section 2.2).
#[tokio::test]
async fn only_an_access_token_passes_as_one() {
    let confused = REFUSED(Reason::TokenTypeConfused);
    let cases = [
        (json!({ "token_type": "Bearer" }), GOOD, GOOD),
        (json!({ "token_type": "bEARER" }), GOOD, GOOD),
        (json!({ "token_type": null }), confused, GOOD),
        (json!({ "token_type": "refresh_token" }), confused, confused),
        (json!({ "token_type": "Refresh" }), confused, confused),
        (json!({ "token_type": "N_A" }), confused, confused),
        (json!({ "token_type": "Bearer " }), confused, confused),
        (json!({ "token_type": "" }), confused, confused),
        (json!({ "token_type": ["Bearer"] }), confused, confused),
        (json!({ "token_type": true }), confused, confused),
        // Bound to a key, whether or not the answer names it (RFC 9449 section 7.1).
        (
            json!({ "token_type": "DPoP" }),
            REFUSED(Reason::TokenSenderConstrained),
            REFUSED(Reason::TokenSenderConstrained),
        ),
        (
            json!({ "token_type": "DPoP", "cnf": { "jkt": "x" } }),
            REFUSED(Reason::TokenSenderConstrained),
            REFUSED(Reason::TokenSenderConstrained),
        ),
        (json!({ "token_type": "Bearer" }), GOOD, GOOD),
    ];
    let endpoint = Endpoint::up().await;
    let mut strict = asking(&endpoint, |record| record).start().await;
    let mut lenient = asking(&endpoint, Introspection::allow_missing_token_type).start().await;
    for (changes, by_default, if_allowed) in cases {
        endpoint.says(&active(changes.clone()));
        assert_eq!(in_short(exchanged(&mut strict, OPAQUE).await), by_default, "{changes}");
        assert_eq!(in_short(exchanged(&mut lenient, OPAQUE).await), if_allowed, "{changes}, missing allowed");
    }
    let null = active(json!({ "token_type": null })).to_string().replacen('{', r#"{"token_type":null,"#, 1);
    endpoint.answers(Answer::json(null));
    assert_eq!(in_short(exchanged(&mut lenient, OPAQUE).await), confused, "null is there, and is no type");
}

#[tokio::test]
async fn an_unreachable_endpoint_is_an_outage() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let endpoint = Endpoint {
        url: format!("http://{address}/introspect"),
        answer: Arc::new(Mutex::new(Answer::json(active(json!({})).to_string()))),
        asked: Arc::default(),
    };
    let mut world = asking(&endpoint, |record| record).start().await;
    assert_eq!(in_short(exchanged(&mut world, OPAQUE).await), OUTAGE);
    // Whoever needs nobody's word goes on.
    let signed = world.own.access_token(json!({}));
    assert_eq!(in_short(exchanged(&mut world, &signed).await), GOOD);
    let listener = TcpListener::bind(address).await.unwrap();
    let app = endpoint.router();
    tokio::spawn(async move { axum::serve(listener, app).await });
    assert_eq!(in_short(exchanged(&mut world, OPAQUE).await), GOOD);
}

/// On a clock of the test's own, without a network, so that nobody waits.
#[tokio::test(start_paused = true)]
async fn a_silent_endpoint_is_an_outage_after_five_seconds() {
    let record = |seconds: u64| {
        let slow = tower::service_fn(move |_: http::Request<Bytes>| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            let answer = active(json!({ "iss": IDP, "aud": AS })).to_string();
            let response = http::Response::builder().header(header::CONTENT_TYPE, "application/json");
            response.body(Bytes::from(answer))
        });
        Introspection::basic("https://idp.example/introspect", LAYER_ID, LAYER_SECRET).http(slow)
    };
    for (seconds, expected) in [(4, StatusCode::OK), (6, StatusCode::SERVICE_UNAVAILABLE)] {
        let plan = without_idp();
        let idp = crate::jwks::record(IDP).introspection(record(seconds));
        let layer = plan.builder.issuers([idp]).audit(tower::service_fn(|_| async { Ok::<_, std::io::Error>(()) }));
        let began = tokio::time::Instant::now();
        let (status, retry_after, _) = crate::jwks::post(&layer.build().unwrap(), OPAQUE).await;
        assert_eq!(status, expected, "{seconds} s");
        assert_eq!(retry_after.is_some(), expected != StatusCode::OK, "{seconds} s");
        assert_eq!(began.elapsed().as_secs(), seconds.min(5), "the clock of the test");
    }
}
