use super::*;
use tower_token_exchange::{TokenExchangeLayer, explain::Explanation, signing::LocalSigner};

/// A token of the server, a record without the statement, a record with the statement, and the results of both.
struct Case {
    name: &'static str,
    typ: &'static str,
    changes: Value,
    without: Reason,
    statement: fn(TokenRules) -> TokenRules,
    with: Result<(&'static str, &'static str), Reason>,
}

fn case(
    name: &'static str,
    changes: Value,
    without: Reason,
    statement: fn(TokenRules) -> TokenRules,
    with: Result<(&'static str, &'static str), Reason>,
) -> Case {
    Case { name, typ: "at+jwt", changes, without, statement, with }
}

fn cases() -> Vec<Case> {
    use Reason::*;
    let alice = Ok(("alice", "read write"));
    let untyped = |rules: TokenRules| rules.allow_untyped();
    vec![
        Case { typ: "JWT", ..case("untyped", json!({}), TokenTypeConfused, untyped, alice) },
        Case {
            typ: "JWT",
            ..case(
                "untyped without client and scope",
                json!({ "client_id": null, "scope": null }),
                TokenTypeConfused,
                untyped,
                Err(TokenTypeConfused),
            )
        },
        Case {
            typ: "logout+jwt",
            ..case("of another kind", json!({}), TokenTypeConfused, untyped, Err(TokenTypeConfused))
        },
        case(
            "a scope as an array",
            json!({ "scope": ["read"] }),
            TokenClaimsInvalid,
            |rules| rules.scope_claim("scope"),
            Ok(("alice", "read")),
        ),
        case(
            "a scope elsewhere",
            json!({ "scope": null, "scp": ["read"] }),
            ScopeEmpty,
            |rules| rules.scope_claim("scp"),
            Ok(("alice", "read")),
        ),
        case(
            "no `sub`",
            json!({ "sub": null, "username": "alice" }),
            TokenSubjectInvalid,
            |rules| rules.subject_claim("username"),
            alice,
        ),
        case(
            "neither `sub` nor name",
            json!({ "sub": null }),
            TokenSubjectInvalid,
            |rules| rules.subject_claim("username"),
            Err(TokenSubjectInvalid),
        ),
        case(
            "a name that is no text",
            json!({ "sub": null, "username": ["alice"] }),
            TokenSubjectInvalid,
            |rules| rules.subject_claim("username"),
            Err(TokenSubjectInvalid),
        ),
        case(
            "an empty `sub` is no absent `sub`",
            json!({ "sub": "", "username": "alice" }),
            TokenSubjectInvalid,
            |rules| rules.subject_claim("username"),
            Err(TokenSubjectInvalid),
        ),
        case(
            "no `aud` for a service of ours",
            json!({ "aud": null }),
            PresenterUnknown,
            |rules| rules.absent_aud("https://orders.example"),
            alice,
        ),
        case(
            "no `aud` for another service",
            json!({ "aud": null }),
            PresenterUnknown,
            |rules| rules.absent_aud("https://billing.example"),
            Err(PresenterUnrelated),
        ),
        case(
            "an empty `aud` is no absent `aud`",
            json!({ "aud": [] }),
            PresenterUnknown,
            |rules| rules.absent_aud("https://orders.example"),
            Err(PresenterUnknown),
        ),
        case(
            "an empty `aud` for a service of ours",
            json!({ "aud": [] }),
            PresenterUnknown,
            |rules| rules.empty_aud("https://orders.example"),
            alice,
        ),
        case(
            "an absent `aud` is no empty `aud`",
            json!({ "aud": null }),
            PresenterUnknown,
            |rules| rules.empty_aud("https://orders.example"),
            Err(PresenterUnknown),
        ),
        case(
            "no `aud` and the token of somebody else",
            json!({ "aud": null }),
            PresenterUnknown,
            |rules| rules.allow_absent_aud(),
            Err(PresenterUnrelated),
        ),
        case(
            "no `aud` and nobody's token",
            json!({ "aud": null, "client_id": null, "azp": null, "typ": "x" }),
            TokenTypeConfused,
            |rules| rules.allow_absent_aud().allow_untyped(),
            Err(TokenTypeConfused),
        ),
        case(
            "no `aud` and the token of the client",
            json!({ "aud": null, "client_id": "orders" }),
            PresenterUnknown,
            |rules| rules.allow_absent_aud(),
            alice,
        ),
        case(
            "an empty `aud` and the token of the client",
            json!({ "aud": [], "client_id": "orders" }),
            PresenterUnknown,
            |rules| rules.allow_empty_aud(),
            alice,
        ),
        case(
            "no `aud` and a presenter",
            json!({ "aud": null }),
            PresenterUnknown,
            |rules| rules.allow_absent_aud().presenters(["orders"]),
            alice,
        ),
        case(
            "no `aud` and only a presenter",
            json!({ "aud": null }),
            PresenterUnknown,
            |rules| rules.presenters(["orders"]),
            Err(PresenterUnknown),
        ),
        case(
            "a useless `aud` and a presenter",
            json!({ "aud": "account" }),
            PresenterUnrelated,
            |rules| rules.presenters(["orders"]),
            alice,
        ),
        case(
            "a useless `aud` and another presenter",
            json!({ "aud": "account" }),
            PresenterUnrelated,
            |rules| rules.presenters(["billing"]),
            Err(PresenterUnrelated),
        ),
        case(
            "two audiences",
            json!({ "aud": ["https://orders.example", "https://as.example/userinfo"] }),
            SeveralAudiences,
            |rules| rules.ignored_audiences(["https://as.example/userinfo"]),
            alice,
        ),
        case(
            "an ignored audience alone",
            json!({ "aud": "https://as.example/userinfo" }),
            PresenterUnrelated,
            |rules| rules.ignored_audiences(["https://as.example/userinfo"]),
            Err(PresenterUnknown),
        ),
        case(
            "an ignored audience counts as absent",
            json!({ "aud": "account" }),
            PresenterUnrelated,
            |rules| rules.ignored_audiences(["account"]).absent_aud("https://orders.example"),
            alice,
        ),
        case("no `iss`", json!({ "iss": null }), TokenIssuerMissing, |rules| rules.allow_absent_iss(), alice),
        case(
            "another `iss`",
            json!({ "iss": "https://evil.example" }),
            TokenIssuerUnknown,
            |rules| rules.allow_absent_iss(),
            Err(TokenIssuerUnknown),
        ),
        case(
            "an `iss` that is no text",
            json!({ "iss": 7 }),
            TokenIssuerMissing,
            |rules| rules.allow_absent_iss(),
            Err(TokenIssuerMissing),
        ),
        case(
            "another name for the client",
            json!({ "client_id": "web", "cid": "orders", "aud": "x" }),
            PresenterUnrelated,
            |rules| rules.presenter_claim("cid"),
            alice,
        ),
        case(
            "a required claim with a value",
            json!({ "token_use": "id", "aud": "https://billing.example" }),
            PresenterUnrelated,
            |rules| rules.require_value("token_use", "access"),
            Err(TokenClaimRequired),
        ),
    ]
}

#[tokio::test]
async fn a_statement_gives_a_missing_claim_its_meaning() {
    let server = server();
    for Case { name, typ, changes, without, statement, with } in cases() {
        let token = segment(&server.access_token(changes), 1);
        let token = server.sign(&server.header(typ), &token);
        let mut plain = in_front_of(&server, access_token()).await;
        assert_eq!(exchanged(&mut plain, &token).await, Err(without), "{name}, without the statement");
        let mut stated = in_front_of(&server, statement(access_token())).await;
        let expected = with.map(|(sub, scope)| (sub.to_owned(), scope.to_owned()));
        assert_eq!(exchanged(&mut stated, &token).await, expected, "{name}, with the statement");
    }
}

#[tokio::test]
async fn a_token_without_issuer_needs_its_signature() {
    let server = server();
    let mut world = in_front_of(&server, access_token().allow_absent_iss()).await;
    let claims = segment(&server.access_token(json!({ "iss": null })), 1);
    let stranger = Minter { iss: AS, key: LocalSigner::generate(Algorithm::ES256).unwrap() };
    let forged = stranger.sign(&server.header("at+jwt"), &claims);
    assert_eq!(exchanged(&mut world, &forged).await, Err(Reason::TokenSignatureInvalid));
    let unknown = stranger.sign(&stranger.header("at+jwt"), &claims);
    assert_eq!(exchanged(&mut world, &unknown).await, Err(Reason::TokenKeyUnknown));
    // A foreign issuer has keys of its own, and its tokens name the issuer.
    let foreign = world.idp.sign(&world.idp.header("at+jwt"), &claims);
    assert_eq!(exchanged(&mut world, &foreign).await, Err(Reason::TokenKeyUnknown));
}

#[tokio::test]
async fn issued_tokens_keep_their_own_rules() {
    let server = server();
    let rules = access_token()
        .allow_untyped()
        .scope_claim("scp")
        .presenter_claim("cid")
        .subject_claim("username")
        .require_value("token_use", "access")
        .presenters(["reports"]);
    let mut world = in_front_of(&server, rules).await;
    let changes = json!({ "scope": null, "scp": ["read"], "client_id": null, "cid": "web", "token_use": "access" });
    let claims = segment(&server.access_token(changes), 1);
    let first = server.sign(&server.header("JWT"), &claims);
    let form = exchange_form(&first, &[]);
    let reply = world.post_as("orders", &form).await;
    assert_eq!(world.event().await.reason, None, "{}", reply.text);
    let issued = reply.json()["access_token"].as_str().unwrap().to_owned();

    // The second hop: the issued token has `scope` and `client_id`, and no `token_use`.
    let second = exchanged_by(&mut world, "billing", "ledger", &issued).await.unwrap();
    assert_eq!((&second["sub"], &second["scope"]), (&json!("alice"), &json!("read")));
    // The presenters of the server's tokens are not the presenters of issued tokens.
    let by_reports = exchanged_by(&mut world, "reports", "ledger", &issued).await;
    assert!(by_reports.is_err(), "{by_reports:?}");

    // A key of the layer's signer makes an untyped token of the server's form no good one.
    let own = world.own.clone();
    let look_alike = own.sign(&own.header("JWT"), &claims);
    assert_eq!(exchanged(&mut world, &look_alike).await, Err(Reason::TokenTypeConfused));
    // The layer never issues a token without `kid`, so the record of the server does not cover such a token either.
    let nameless = own.sign(&json!({ "alg": "ES256", "typ": "JWT" }), &claims);
    assert_eq!(exchanged(&mut world, &nameless).await, Err(Reason::TokenSignatureInvalid));
    let forged = server.sign(&own.header("at+jwt"), &claims);
    assert_eq!(exchanged(&mut world, &forged).await, Err(Reason::TokenSignatureInvalid));
    // The same form with a key of the server is good.
    assert_eq!(exchanged(&mut world, &first).await, Ok(("alice".into(), "read".into())));
}

#[tokio::test]
async fn issued_tokens_are_not_for_every_presenter() {
    let server = server();
    let mut world = in_front_of(&server, access_token().allow_absent_aud().presenters(["orders"])).await;
    let issued = world.own.access_token(json!({ "aud": null }));
    assert_eq!(exchanged(&mut world, &issued).await, Err(Reason::PresenterUnknown));
    let issued = world.own.access_token(json!({ "aud": "https://ledger.example" }));
    assert_eq!(exchanged(&mut world, &issued).await, Err(Reason::PresenterUnrelated));
    let of_server = server.access_token(json!({ "aud": "https://ledger.example" }));
    assert!(exchanged(&mut world, &of_server).await.is_ok());
}

/// Attack: at a server whose users choose their names, a user takes the name that a subject of another issuer has here.
#[tokio::test]
async fn a_server_cannot_name_foreign_subjects() {
    let server = server();
    let mut world = in_front_of(&server, access_token().subject_claim("username")).await;
    for changes in [json!({ "sub": "idp|bob" }), json!({ "sub": null, "username": "idp|bob" })] {
        let token = server.access_token(changes.clone());
        assert_eq!(exchanged(&mut world, &token).await, Err(Reason::TokenOriginMissing), "{changes}");
    }
    for name in ["idp", "bob|idp|", "IDP|bob"] {
        let token = server.access_token(json!({ "sub": name }));
        assert_eq!(exchanged(&mut world, &token).await, Ok((name.into(), "read write".into())));
    }
    // An issued token has such a name after an exchange.
    let issued = world.own.access_token(json!({ "sub": "idp|bob", "exchanged_from": exchanged_from(IDP) }));
    assert_eq!(exchanged(&mut world, &issued).await, Ok(("idp|bob".into(), "read write".into())));
}

/// Attack: at a server whose users choose their names, a user takes the id of a client, and logs in at this client.
#[tokio::test]
async fn a_user_cannot_have_a_client_name() {
    let server = server();
    let token = server.access_token(json!({ "sub": null, "username": "orders", "client_id": "orders" }));
    let mut world = in_front_of(&server, access_token().subject_claim("username")).await;
    assert_eq!(exchanged(&mut world, &token).await, Err(Reason::TokenSubjectInvalid));
    // The client itself has no name of a user.
    let of_client = server.access_token(json!({ "sub": null, "client_id": "orders" }));
    let mut world = in_front_of(&server, access_token().subject_claim("client_id")).await;
    let answer = exchanged(&mut world, &of_client).await;
    assert_ne!(answer, Err(Reason::TokenSubjectInvalid));
}

#[tokio::test]
async fn a_record_without_keys_describes_issued_tokens() {
    let record = Issuer::new(AS).accept(access_token().require("tenant"));
    let mut world = plan_of([record]).start().await;
    let token = world.own.access_token(json!({}));
    assert_eq!(exchanged(&mut world, &token).await, Err(Reason::TokenClaimRequired));
    let token = world.own.access_token(json!({ "tenant": "red" }));
    assert!(exchanged(&mut world, &token).await.is_ok());
}

/// If the record itself names a key of the signer, the server signs with this key too.
#[tokio::test]
async fn a_key_of_the_record_is_of_the_server() {
    let plan = plan_of([]);
    let record = Issuer::new(AS).keys(plan.own.keys()).accept(access_token().require("tenant"));
    let mut world = plan.with(|builder| builder.issuers([record])).start().await;
    let token = world.own.access_token(json!({}));
    assert_eq!(exchanged(&mut world, &token).await, Err(Reason::TokenClaimRequired));
}

async fn explained(layer: &TokenExchangeLayer, token: &str) -> Explanation {
    layer.explain("orders", encode(&exchange_form(token, &[])).as_bytes()).await
}

#[tokio::test]
async fn explain_names_each_statement_in_use() {
    let server = server();
    let rules = access_token().allow_absent_iss().subject_claim("username").absent_aud("https://orders.example");
    let world = in_front_of(&server, rules).await;
    let token = server.access_token(json!({ "iss": null, "sub": null, "aud": null, "username": "alice" }));
    let text = explained(&world.layer, &token).await.to_string();
    for statement in [
        "no `iss`: `https://as.example` vouches for the token",
        "no `sub`: the claim `username` names the subject",
        "no `aud`: the token is for `https://orders.example`",
    ] {
        assert!(text.contains(statement), "{statement} is not in {text}");
    }
    let complete = explained(&world.layer, &server.access_token(json!({}))).await.to_string();
    assert!(!complete.contains("by the record"), "{complete}");
}
