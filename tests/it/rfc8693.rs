//! The layer answers the examples of RFC 8693 as the RFC does, and refuses small changes to the examples.
//!
//! The RFC does not publish its keys. The two keys in this file were recovered from the signatures of its tokens.

use crate::support::*;
use data_encoding::BASE64URL_NOPAD;
use http::StatusCode;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    time::{Duration, UNIX_EPOCH},
};
use tower_token_exchange::{
    Client, GRANT_TYPE, Issuer, Reason, Target, TokenExchangeLayer, TokenType,
    jwks::KeySet,
    policy::{Actors, Names, Rule, Subjects},
    records::{Party, SubjectMapping},
    signing::Algorithm,
};

const RFC_AS: &str = "https://as.example.com";
const ORIGINAL: &str = "https://original-issuer.example.net";
const CONTEXT: &str = "urn:example:cooperation-context";
/// One hour before the `exp` of the tokens that appendix A issues.
const CLOCK: u64 = 1_441_910_010;
const ORIGINAL_KEY: &str = r#"{"kty":"EC","crv":"P-256","kid":"16","x":"N_MqlYd_Iq0rfzTqXAX7TUC0r7fQSp3YQKh42tn7uSc","y":"9tGuwMFkHYWPqkLa51f8GazZNQqdgMOVvJEd6fJ18PI"}"#;
const AS_KEY: &str = r#"{"kty":"EC","crv":"P-256","kid":"72","x":"472aI8TvDdm2qfBRpXYw0uZ7feumuQOM-RPRkkTukSo","y":"VNNStdPhuxY6q7XfVIeYSW7xh_a4z5W2MCtNmQDcILc"}"#;

/// The credentials of figure 1.
const RS08: &str = "Basic cnMwODpsb25nLXNlY3VyZS1yYW5kb20tc2VjcmV0";
/// Appendix A.1.1.
const A1_SUBJECT: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6IjE2In0.eyJhdWQiOiJodHRwczovL2FzLmV4YW1wbGUuY29tIiwiaXNzIjoiaHR0cHM6Ly9vcmlnaW5hbC1pc3N1ZXIuZXhhbXBsZS5uZXQiLCJleHAiOjE0NDE5MTA2MDAsIm5iZiI6MTQ0MTkwOTAwMCwic3ViIjoiYmRjQGV4YW1wbGUubmV0Iiwic2NvcGUiOiJvcmRlcnMgcHJvZmlsZSBoaXN0b3J5In0.PRBg-jXn4cJuj1gmYXFiGkZzRuzbXZ_sDxdE98ddW44ufsbWLKd3JJ1VZhF64pbTtfjy4VXFVBDaQpKjn5JzAw";
/// Appendix A.1.3.
const A1_ISSUED: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6IjcyIn0.eyJhdWQiOiJ1cm46ZXhhbXBsZTpjb29wZXJhdGlvbi1jb250ZXh0IiwiaXNzIjoiaHR0cHM6Ly9hcy5leGFtcGxlLmNvbSIsImV4cCI6MTQ0MTkxMzYxMCwic3ViIjoiYmRjQGV4YW1wbGUubmV0Iiwic2NvcGUiOiJvcmRlcnMgcHJvZmlsZSBoaXN0b3J5In0.rMdWpSGNACTvnFuOL74sYZ6MVuld2Z2WkGLmQeR9ztj6w2OXraQlkJmGjyiCq24kcB7AI2VqVxl3wSWnVKh85A";
/// Appendix A.2.1.
const A2_SUBJECT: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6IjE2In0.eyJhdWQiOiJodHRwczovL2FzLmV4YW1wbGUuY29tIiwiaXNzIjoiaHR0cHM6Ly9vcmlnaW5hbC1pc3N1ZXIuZXhhbXBsZS5uZXQiLCJleHAiOjE0NDE5MTAwNjAsInNjb3BlIjoic3RhdHVzIGZlZWQiLCJzdWIiOiJ1c2VyQGV4YW1wbGUubmV0IiwibWF5X2FjdCI6eyJzdWIiOiJhZG1pbkBleGFtcGxlLm5ldCJ9fQ.4rPRSWihQbpMIgAmAoqaJojAxj-p2X8_fAtAGTXrvMxU-eEZHnXqY0_AOZgLdxw5DyLzua8H_I10MCcckF-Q_g";
const A2_ACTOR: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6IjE2In0.eyJhdWQiOiJodHRwczovL2FzLmV4YW1wbGUuY29tIiwiaXNzIjoiaHR0cHM6Ly9vcmlnaW5hbC1pc3N1ZXIuZXhhbXBsZS5uZXQiLCJleHAiOjE0NDE5MTAwNjAsInN1YiI6ImFkbWluQGV4YW1wbGUubmV0In0.7YQ-3zPfhUvzje5oqw8COCvN5uP6NsKik9CVV6cAOf4QKgM-tKfiOwcgZoUuDL2tEs6tqPlcBlMjiSzEjm3yBg";
/// Appendix A.2.3.
const A2_ISSUED: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6IjcyIn0.eyJhdWQiOiJ1cm46ZXhhbXBsZTpjb29wZXJhdGlvbi1jb250ZXh0IiwiaXNzIjoiaHR0cHM6Ly9hcy5leGFtcGxlLmNvbSIsImV4cCI6MTQ0MTkxMzYxMCwic2NvcGUiOiJzdGF0dXMgZmVlZCIsInN1YiI6InVzZXJAZXhhbXBsZS5uZXQiLCJhY3QiOnsic3ViIjoiYWRtaW5AZXhhbXBsZS5uZXQifX0.3paKl9UySKYB5ng6_cUtQ2qlO8Rc_y7Mea7IwEXTcYbNdwG9-G1EKCFe5fW3H0hwX-MSZ49Wpcb1SiAZaOQBtw";

/// The parties of the RFC. `lobby` may impersonate. `desk` may delegate, with the administrator of appendix A.2 as the
/// actor. `rs08` is the resource server of section 2.3. The original issuer has the key of the RFC and a key for the tests.
fn rfc_plan(clock: u64) -> Plan {
    rfc_plan_with(clock, Minter::new(ORIGINAL, Algorithm::ES256))
}

fn rfc_plan_with(clock: u64, idp: Minter) -> Plan {
    let own = Minter::new(RFC_AS, Algorithm::ES256);
    let ours: Value = serde_json::from_str(&idp.key.published_keys().to_json()).unwrap();
    let keys = json!({ "keys": [serde_json::from_str::<Value>(ORIGINAL_KEY).unwrap(), ours["keys"][0]] });
    let client = |id: &str| Client::new(id).secret(secret_of(id));
    let builder = TokenExchangeLayer::builder(RFC_AS)
        // The subjects keep the names that the original issuer gave them.
        .federated_subjects_only()
        .clock(move || UNIX_EPOCH + Duration::from_secs(clock))
        .clients([
            client("lobby"),
            client("desk").allow_actor(Party::new(ORIGINAL, "admin@example.net")).allow_jwt_output(),
            client("stranger").allow_jwt_output(),
            Client::new("rs08").secret("long-secure-random-secret"),
        ])
        .targets([
            Target::new(CONTEXT)
                .allow_clients(["lobby", "desk", "stranger"])
                .scopes(["orders", "profile", "history", "status", "feed"]),
            Target::new("rs08").audience_claim("https://rs08.example.com").served_by("rs08").scopes(["api"]),
            Target::new("backend")
                .resource("https://backend.example.com/api")
                .audience_claim("https://backend.example.com")
                .allow_clients(["rs08"])
                .max_lifetime(Duration::from_secs(60))
                .scopes(["api"]),
        ])
        .issuers([Issuer::new(ORIGINAL)
            .keys(KeySet::from_json(keys.to_string()).unwrap())
            .map_subjects(SubjectMapping::Keep)
            .allow_presenters(["lobby", "desk", "stranger"])
            .allow_actor_tokens()])
        .federated_subjects_only()
        .rules([
            Rule::allow("lobby", Subjects::any(), CONTEXT).scopes(Names::any()).impersonation(),
            Rule::allow(Names::any(), Subjects::any(), Names::any()).actors(Actors::any()).scopes(Names::any()),
        ])
        .signer(own.key.clone());
    Plan { own, idp, builder }
}

fn form<'a>(subject: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut form = vec![
        ("grant_type", GRANT_TYPE),
        ("audience", CONTEXT),
        ("subject_token", subject),
        ("subject_token_type", JWT),
    ];
    form.extend_from_slice(more);
    form
}

/// The request of appendix A.2 with these tokens.
fn delegation<'a>(subject: &'a str, actor: &'a str) -> Vec<(&'a str, &'a str)> {
    form(subject, &[("actor_token", actor), ("actor_token_type", JWT), ("requested_token_type", JWT)])
}

fn words(scope: &Value) -> BTreeSet<String> {
    scope.as_str().expect("scope is a string").split(' ').map(str::to_owned).collect()
}

/// Checks that the issued claims contain the claims of the RFC's token, except `exp`. An actor of another issuer has an
/// `iss`.
fn assert_contains(issued: &Value, rfc_token: &str) {
    for (name, expected) in segment(rfc_token, 1).as_object().unwrap() {
        match name.as_str() {
            "exp" => {}
            "scope" => assert_eq!(words(&issued["scope"]), words(expected)),
            "act" => assert_eq!(issued["act"], changed(expected.clone(), json!({ "iss": ORIGINAL }))),
            name => assert_eq!(issued[name], *expected, "{name}"),
        }
    }
}

#[tokio::test]
async fn appendix_a_issues_what_the_rfc_issues() {
    let hour = Duration::from_secs(3600);
    let a1 = || form(A1_SUBJECT, &[]);
    let a2 = || delegation(A2_SUBJECT, A2_ACTOR);
    let (access, other) = ((ACCESS_TOKEN, "Bearer"), (JWT, "N_A"));
    let cases = [
        ("A.1", "lobby", a1(), A1_ISSUED, access, None, CLOCK, 300),
        ("A.2", "desk", a2(), A2_ISSUED, other, None, CLOCK, 50),
        // An issued token does not outlive the subject token, unlike in the RFC.
        ("A.1, one hour allowed", "lobby", a1(), A1_ISSUED, access, Some(hour), CLOCK, 590),
        ("A.2, one hour allowed", "desk", a2(), A2_ISSUED, other, Some(hour), CLOCK, 50),
        ("A.1, its first second", "lobby", a1(), A1_ISSUED, access, Some(hour), 1_441_909_000, 1600),
        ("A.1, its last second", "lobby", a1(), A1_ISSUED, access, None, 1_441_910_599, 1),
        ("A.2, its last second", "desk", a2(), A2_ISSUED, other, None, 1_441_910_059, 1),
    ];
    for (name, client, form, rfc_token, (issued_token_type, token_type), longest, clock, expires_in) in cases {
        let plan = rfc_plan(clock).with(|builder| match longest {
            Some(longest) => builder.max_lifetime(longest).leeway(Duration::ZERO),
            None => builder.leeway(Duration::ZERO),
        });
        let reply = plan.start().await.post_as(client, &form).await;
        assert_eq!(reply.status, StatusCode::OK, "{name}: {}", reply.text);
        let body = reply.json();
        assert_eq!(body["issued_token_type"], issued_token_type, "{name}");
        assert_eq!(body["token_type"], token_type, "{name}");
        assert_eq!(body["expires_in"], expires_in, "{name}");
        assert_eq!(words(&body["scope"]), words(&segment(rfc_token, 1)["scope"]), "{name}");
        assert!(body.get("refresh_token").is_none(), "{name}");

        let claims = reply.claims();
        assert_contains(&claims, rfc_token);
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(clock), &json!(clock + expires_in)), "{name}");
        assert!(claims.get("may_act").is_none() && claims.get("nbf").is_none(), "{name}: {claims}");
        assert_eq!(claims.get("act").is_some(), client == "desk", "{name}: {claims}");
        let typ = segment(body["access_token"].as_str().unwrap(), 0)["typ"].clone();
        assert_eq!(typ, if token_type == "N_A" { "JWT" } else { "at+jwt" }, "{name}");
    }
}

/// Returns a token with one flipped bit in its signature.
fn flipped(token: &str, bit: usize) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut signature = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
    signature[bit / 8] ^= 0x80 >> (bit % 8);
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
}

#[tokio::test]
async fn appendix_a_with_small_changes_is_refused() {
    let signer = rfc_plan(CLOCK);
    let may_act = |may_act: Value| {
        let claims = changed(segment(A2_SUBJECT, 1), json!({ "may_act": may_act }));
        signer.idp.sign(&signer.idp.header("JWT"), &claims)
    };
    let moved =
        |aud: &str| signer.idp.sign(&signer.idp.header("JWT"), &changed(segment(A1_SUBJECT, 1), json!({ "aud": aud })));
    let flips: Vec<String> = [0, 7, 255, 256, 511].into_iter().map(|bit| flipped(A1_SUBJECT, bit)).collect();
    let subjects = [
        may_act(json!({ "sub": "other@example.net" })),
        may_act(json!({ "sub": "admin@example.net", "iss": "https://elsewhere.example" })),
        may_act(json!({ "sub": "admin@example.net", "email": "admin@example.net" })),
        may_act(json!("admin@example.net")),
        may_act(json!({})),
        // The control: a token that the tests sign is accepted.
        may_act(json!({ "sub": "admin@example.net" })),
        moved("https://as.example.com/"),
        moved(CONTEXT),
    ];
    let [other, elsewhere, more, text, nobody, good, lookalike, target] = &subjects;

    let typeless: Vec<_> =
        delegation(A2_SUBJECT, A2_ACTOR).into_iter().filter(|(name, _)| *name != "actor_token_type").collect();
    let tokenless: Vec<_> =
        delegation(A2_SUBJECT, A2_ACTOR).into_iter().filter(|(name, _)| *name != "actor_token").collect();
    let a1 = |subject| form(subject, &[]);
    let mut cases = vec![
        ("one second before nbf", 1_441_908_999, "lobby", a1(A1_SUBJECT), Some(Reason::TokenNotYetValid)),
        ("the instant of exp", 1_441_910_600, "lobby", a1(A1_SUBJECT), Some(Reason::TokenExpired)),
        (
            "the instant of A.2's exp",
            1_441_910_060,
            "desk",
            delegation(A2_SUBJECT, A2_ACTOR),
            Some(Reason::TokenExpired),
        ),
        ("the clock of 1970", 0, "lobby", a1(A1_SUBJECT), Some(Reason::TokenNotYetValid)),
        ("swapped", CLOCK, "desk", delegation(A2_ACTOR, A2_SUBJECT), Some(Reason::ActorNotCarried)),
        ("the actor as both", CLOCK, "desk", delegation(A2_ACTOR, A2_ACTOR), Some(Reason::ActorIsSubject)),
        ("no actor_token_type", CLOCK, "desk", typeless, Some(Reason::ActorParametersUnpaired)),
        ("no actor_token", CLOCK, "desk", tokenless, Some(Reason::ActorParametersUnpaired)),
        ("no actor at all", CLOCK, "desk", a1(A2_SUBJECT), Some(Reason::MayActMismatch)),
        ("nobody's administrator", CLOCK, "stranger", delegation(A2_SUBJECT, A2_ACTOR), Some(Reason::ActorNotCarried)),
        ("may_act of another", CLOCK, "desk", delegation(other, A2_ACTOR), Some(Reason::MayActMismatch)),
        ("may_act elsewhere", CLOCK, "desk", delegation(elsewhere, A2_ACTOR), Some(Reason::MayActMismatch)),
        ("may_act with more", CLOCK, "desk", delegation(more, A2_ACTOR), Some(Reason::MayActMismatch)),
        ("may_act is no object", CLOCK, "desk", delegation(text, A2_ACTOR), Some(Reason::MayActMalformed)),
        ("may_act names nobody", CLOCK, "desk", delegation(nobody, A2_ACTOR), Some(Reason::MayActMalformed)),
        ("may_act as it was", CLOCK, "desk", delegation(good, A2_ACTOR), None),
        ("aud with a slash", CLOCK, "lobby", a1(lookalike), Some(Reason::TokenNotForUs)),
        ("aud of the target", CLOCK, "lobby", a1(target), Some(Reason::TokenNotForUs)),
    ];
    cases.extend(
        flips.iter().map(|token| ("one bit", CLOCK, "lobby", a1(token.as_str()), Some(Reason::TokenSignatureInvalid))),
    );
    for (name, clock, client, form, refused) in cases {
        // Every world has the same key.
        let plan = rfc_plan_with(clock, signer.idp.clone()).with(|builder| builder.leeway(Duration::ZERO));
        let mut world = plan.start().await;
        let reply = world.post_as(client, &form).await;
        assert_eq!(world.reason().await, refused, "{name}: {}", reply.text);
        if refused.is_some() {
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{name}");
            assert_eq!(reply.error(), "invalid_request", "{name}");
            assert!(!reply.text.contains("access_token"), "{name}: {}", reply.text);
        } else {
            assert_eq!(reply.status, StatusCode::OK, "{name}: {}", reply.text);
        }
    }
}

#[tokio::test]
async fn nbf_has_leeway_and_exp_has_none() {
    for (clock, leeway, good) in [
        (1_441_908_999, 1, true),
        (1_441_908_998, 1, false),
        (1_441_908_940, 60, true),
        (1_441_910_600, 60, false),
        (1_441_910_601, 60, false),
    ] {
        let plan = rfc_plan(clock).with(|builder| builder.leeway(Duration::from_secs(leeway)));
        let reply = plan.start().await.post_as("lobby", &form(A1_SUBJECT, &[])).await;
        assert_eq!(reply.status == StatusCode::OK, good, "{clock} ± {leeway}: {}", reply.text);
    }
}

/// The body of figure 1.
const FIGURE_1: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&resource=https%3A%2F%2Fbackend.example.com%2Fapi&subject_token=accVkjcJyb4BWCxGsndESCJQbdFMogUC5PbRDqceLTC&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token";

#[tokio::test]
async fn section_2_3_needs_a_jwt() {
    let mut world = rfc_plan(CLOCK).start().await;
    let reply = world.post(Some(RS08), FIGURE_1).await;
    assert_eq!((reply.status, reply.error().as_str()), (StatusCode::BAD_REQUEST, "invalid_request"), "{}", reply.text);
    assert_eq!(reply.headers["cache-control"], "no-store");
    let event = world.event().await;
    assert_eq!(event.reason, Some(Reason::TokenMalformed));
    assert_eq!(event.client_id, Some("rs08".into()));

    let claims = json!({
        "iss": RFC_AS, "sub": "bdc@example.com", "aud": "https://rs08.example.com", "exp": CLOCK + 600, "iat": CLOCK,
        "jti": "1", "client_id": "app", "scope": "api", "exchanged_from": exchanged_from(ORIGINAL),
    });
    let subject = world.own.sign(&world.own.header("at+jwt"), &claims);
    let body = FIGURE_1.replace("accVkjcJyb4BWCxGsndESCJQbdFMogUC5PbRDqceLTC", &subject);
    let reply = world.post(Some(RS08), body).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    let answer = reply.json();
    assert_eq!(answer["issued_token_type"], ACCESS_TOKEN);
    assert_eq!((&answer["token_type"], &answer["expires_in"]), (&json!("Bearer"), &json!(60)));
    let issued = reply.claims();
    assert_eq!(issued["aud"], "https://backend.example.com");
    assert_eq!((&issued["sub"], &issued["scope"]), (&json!("bdc@example.com"), &json!("api")));
    assert_eq!(issued["act"], json!({ "sub": "rs08" }));
}

/// The authorization server of section 4. Its clients are the services of figure 6.
fn chain_plan() -> Plan {
    const ISSUER: &str = "https://issuer.example.com";
    let (own, idp) = (Minter::new(ISSUER, Algorithm::ES256), Minter::new(ORIGINAL, Algorithm::ES256));
    let services = ["https://service16.example.com", "https://service26.example.com", "admin@example.com"];
    let builder = TokenExchangeLayer::builder(ISSUER)
        .clock(|| UNIX_EPOCH + Duration::from_secs(1_443_904_050))
        .clients(services.map(|id| Client::new(id).secret(secret_of(id))))
        .targets([("26", services[1]), ("16", services[0])].map(|(id, service)| {
            Target::new(id)
                .audience_claim(format!("{service}/api"))
                .served_by(service)
                .allow_clients(services)
                .scopes(["s"])
        }))
        .issuers([Issuer::new(ORIGINAL)
            .keys(idp.keys())
            .map_subjects(SubjectMapping::Prefix("original|".into()))
            .allow_presenters(services)
            .trust_may_act()
            .trust_act()])
        .rules([Rule::allow(Names::any(), Subjects::any(), Names::any()).scopes(Names::any())])
        .signer(own.key.clone());
    Plan { own, idp, builder }
}

#[tokio::test]
async fn chains_look_like_figures_5_and_6() {
    let world = chain_plan().start().await;
    let (s16, s26) = ("https://service16.example.com", "https://service26.example.com");
    let figure_6 = json!({ "sub": s16, "act": { "sub": "https://service77.example.com" } });
    let qualified = |inner: Value| changed(inner, json!({ "iss": ORIGINAL }));
    let own = |aud: &str, more: Value| {
        let claims = json!({
            "iss": world.own.iss, "sub": "user@example.com", "aud": aud, "exp": 1_443_904_100, "nbf": 1_443_904_000,
            "client_id": "app", "scope": "s",
        });
        (world.own.sign(&world.own.header("at+jwt"), &changed(claims, more)), ACCESS_TOKEN)
    };
    let foreign = |more: Value| {
        let claims = json!({
            "iss": ORIGINAL, "sub": "user@example.com", "aud": world.own.iss, "exp": 1_443_904_100,
            "nbf": 1_443_904_000, "scope": "s",
        });
        (world.idp.sign(&world.idp.header("JWT"), &changed(claims, more)), JWT)
    };
    let cases = [
        ("figure 5", own(s16, json!({})), s16, json!({ "sub": s16 })),
        ("figure 6", own(s16, json!({ "act": { "sub": "https://service77.example.com" } })), s16, figure_6.clone()),
        ("one further", own(s26, json!({ "act": figure_6 })), s26, json!({ "sub": s26, "act": figure_6 })),
        // The current actor is not repeated.
        ("again", own(s16, json!({ "act": figure_6 })), s16, figure_6.clone()),
        (
            "from abroad",
            foreign(json!({ "act": { "sub": "https://service77.example.com" } })),
            s16,
            json!({ "sub": s16, "act": qualified(json!({ "sub": "https://service77.example.com" })) }),
        ),
        (
            "figure 6 from abroad",
            foreign(json!({ "act": figure_6 })),
            s26,
            json!({ "sub": s26, "act": qualified(json!({
                "sub": s16, "act": qualified(json!({ "sub": "https://service77.example.com" })),
            })) }),
        ),
        (
            "a foreign hop that says whose it is",
            foreign(json!({ "act": { "iss": "https://third.example", "sub": "x" } })),
            s16,
            json!({ "sub": s16, "act": { "iss": "https://third.example", "sub": "x" } }),
        ),
        // Section 4.4: the party that `may_act` names needs no other relation to the token.
        (
            "may_act",
            own(s26, json!({ "may_act": { "sub": "admin@example.com" } })),
            "admin@example.com",
            json!({ "sub": "admin@example.com" }),
        ),
    ];
    for (name, (token, token_type), client, act) in cases {
        let target = if client == s26 { "16" } else { "26" };
        let reply = world
            .post(
                None,
                encode(&[
                    ("grant_type", GRANT_TYPE),
                    ("client_id", client),
                    ("client_secret", &secret_of(client)),
                    ("subject_token", &token),
                    ("subject_token_type", token_type),
                    ("audience", target),
                ]),
            )
            .await;
        assert_eq!(reply.status, StatusCode::OK, "{name}: {}", reply.text);
        let claims = reply.claims();
        assert_eq!(claims["act"], act, "{name}");
        let sub = if token_type == JWT { "original|user@example.com" } else { "user@example.com" };
        assert_eq!(claims["sub"], sub, "{name}");
        assert!(claims.get("may_act").is_none(), "{name}: {claims}");
    }
}

#[tokio::test]
async fn the_tokens_of_the_rfc_can_be_exchanged() {
    let own = Minter::new(RFC_AS, Algorithm::ES256);
    let cooperator = "cooperator";
    let builder = TokenExchangeLayer::builder(RFC_AS)
        .clock(|| UNIX_EPOCH + Duration::from_secs(CLOCK))
        .clients([Client::new(cooperator).secret(secret_of(cooperator))])
        .targets([
            Target::new(CONTEXT).served_by(cooperator).scopes(["orders"]),
            Target::new("next").allow_clients([cooperator]).scopes(["orders", "feed"]),
        ])
        .issuers([Issuer::new(RFC_AS)
            .keys(KeySet::from_json(format!(r#"{{"keys":[{AS_KEY}]}}"#)).unwrap())
            .accept_types([TokenType::ACCESS_TOKEN, TokenType::JWT])
            .allow_untyped_access_tokens()])
        .rules([Rule::allow(cooperator, Subjects::any(), "next").scopes(Names::any())])
        .signer(own.key.clone());
    let world = Plan { idp: Minter::new(ORIGINAL, Algorithm::ES256), own, builder }.start().await;
    let cases = [
        (A1_ISSUED, ACCESS_TOKEN, "orders", json!({ "sub": cooperator })),
        (A2_ISSUED, JWT, "feed", json!({ "sub": cooperator, "act": { "sub": "admin@example.net" } })),
    ];
    for (token, token_type, scope, act) in cases {
        let form = [
            ("grant_type", GRANT_TYPE),
            ("subject_token", token),
            ("subject_token_type", token_type),
            ("audience", "next"),
        ];
        let reply = world.post_as(cooperator, &form).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
        let claims = reply.claims();
        assert_eq!((&claims["act"], &claims["scope"]), (&act, &json!(scope)));
        assert_eq!(claims["sub"], segment(token, 1)["sub"]);
    }
}

/// The other authorization server takes the grant of draft-ietf-oauth-identity-chaining as a subject token.
#[tokio::test]
async fn an_identity_chaining_grant_is_a_foreign_jwt() {
    const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"2813308004","use":"sig","x":"MXfMrj_tgPJHxkfmDAx0m74E-T-DuLYCNdmuqtpfP_E","y":"YX82bI52OPBED1h_1HpsxAyWzrQ7DChAAVX9Q9E8uYQ"}]}"#;
    const GRANT: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6IjI4MTMzMDgwMDQifQ.eyJpc3MiOiJodHRwczovL2FzLmEuZXhhbXBsZS9hdXRoIiwiZXhwIjoxNjk1Mjg3NzUyLCJpYXQiOjE2OTUyODc2OTIsInN1YiI6ImpvaG5kb2VAYS5leGFtcGxlIiwiYXVkIjoiaHR0cHM6Ly9hcy5iLmV4YW1wbGUvYXV0aCJ9.Li8Rh-c-R0xirbuXlX8x6sQkZRqJIms9U8Rk8cL7uh1Mm232O6mwz1osPEMNef4OFUW-qTfA0C9QdeIl-e0KsA";
    let own = Minter::new("https://as.b.example/auth", Algorithm::ES256);
    let builder = TokenExchangeLayer::builder(own.iss)
        .clock(|| UNIX_EPOCH + Duration::from_secs(1_695_287_700))
        .clients([Client::new("app").secret(secret_of("app")).scopes_for_scopeless_subjects(TokenType::JWT, ["read"])])
        .targets([Target::new("api").allow_clients(["app"]).scopes(["read"])])
        .issuers([Issuer::new("https://as.a.example/auth")
            .keys(KeySet::from_json(KEYS).unwrap())
            .map_subjects(SubjectMapping::Prefix("a|".into()))
            .allow_presenters(["app"])])
        .rules([Rule::allow("app", Subjects::any(), "api").scopes(["read"])])
        .signer(own.key.clone());
    let world = Plan { idp: Minter::new(ORIGINAL, Algorithm::ES256), own, builder }.start().await;
    let form = [("grant_type", GRANT_TYPE), ("subject_token", GRANT), ("subject_token_type", JWT), ("audience", "api")];
    let reply = world.post_as("app", &form).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    assert_eq!(reply.json()["expires_in"], 52);
    assert_eq!(reply.claims()["sub"], "a|johndoe@a.example");
}
