//! The requests of real client libraries are answered as these libraries need, or passed unchanged.

use crate::support::*;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tower_token_exchange::{
    Client, GRANT_TYPE, Issuer, Reason, Target, TokenExchangeBuilder, TokenType, records::SubjectMapping,
};

const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";
const REFRESH_TOKEN: &str = "urn:ietf:params:oauth:token-type:refresh_token";
const SAML2: &str = "urn:ietf:params:oauth:token-type:saml2";

type Parameters = &'static [(&'static str, &'static str)];
type Expected = Result<&'static str, Reason>;
type Change<T> = fn(T) -> T;

/// Checks that every measured client can read the answer.
fn assert_readable(name: &str, reply: &Reply, scope: &str) {
    assert_eq!(reply.status, StatusCode::OK, "{name}: {}", reply.text);
    assert_eq!(reply.headers["content-type"], "application/json", "{name}");
    assert_eq!(reply.headers["cache-control"], "no-store", "{name}");
    assert!(!reply.headers.contains_key("location"), "{name}");
    let body = reply.json();
    let members: BTreeSet<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["access_token", "expires_in", "issued_token_type", "scope", "token_type"];
    assert_eq!(members, BTreeSet::from(expected), "{name}: no refresh_token, no id_token, nothing null");
    assert!(body["expires_in"].as_u64().is_some_and(|seconds| seconds > 0), "{name}: {body}");
    assert!(body["issued_token_type"].as_str().unwrap().starts_with("urn:ietf:params:oauth:token-type:"), "{name}");
    assert_eq!(body["scope"], scope, "{name}");
    let claims = reply.claims();
    assert_eq!(claims["scope"], scope, "{name}");
    for name in ["exp", "iat"] {
        assert!(claims[name].is_u64(), "{name} is an integer: {claims}");
    }
}

fn orders(change: impl Fn(Client) -> Client) -> Plan {
    let change = |client: Client| if client.id() == "orders" { change(client) } else { client };
    plan_with(|clients| clients.into_iter().map(change).collect(), |targets| targets)
}

async fn post_typed(world: &World, content_type: &str, body: impl Into<Bytes>) -> Reply {
    let request = Request::post(format!("{}/token", world.url))
        .header(header::CONTENT_TYPE, content_type)
        .header(header::AUTHORIZATION, basic("orders", &secret_of("orders")));
    world.send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn the_media_type_is_read_leniently() {
    let world = plan().start().await;
    for content_type in [
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded;charset=UTF-8",
        "application/x-www-form-urlencoded; charset=UTF-8",
        "application/x-www-form-urlencoded; charset=utf-8",
        "application/x-www-form-urlencoded ;charset=\"utf-8\"",
        "Application/X-WWW-Form-URLEncoded",
        "APPLICATION/X-WWW-FORM-URLENCODED; CHARSET=UTF-8",
    ] {
        let subject = world.own.access_token(json!({}));
        let reply = post_typed(&world, content_type, encode(&exchange_form(&subject, &[]))).await;
        assert_readable(content_type, &reply, "read write");
    }
    assert!(world.passed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn both_encodings_of_a_space_are_read() {
    let world = plan().start().await;
    let subject = world.own.access_token(json!({}));
    let form = encode(&exchange_form(&subject, &[]));
    for scope in ["read%20write", "read+write", "%72ead%20writ%65"] {
        let reply = post_typed(&world, "application/x-www-form-urlencoded", format!("{form}&scope={scope}")).await;
        assert_readable(scope, &reply, "read write");
    }
}

#[tokio::test]
async fn parameters_can_have_any_order() {
    let world = plan().start().await;
    let subject = world.own.access_token(json!({}));
    let mut form = exchange_form(&subject, &[("scope", "read"), ("requested_token_type", ACCESS_TOKEN)]);
    let mut places = BTreeSet::new();
    for reversed in [false, true] {
        for _ in 0..form.len() {
            form.rotate_left(1);
            let place = form.iter().position(|(name, _)| *name == "grant_type");
            places.insert(place);
            assert_readable(&format!("{place:?}, {reversed}"), &world.post_as("orders", &form).await, "read");
        }
        form.reverse();
    }
    assert_eq!(places.len(), form.len());

    // Stray separators, as in hand-written clients.
    let body = format!("&&{}&", encode(&form));
    assert_readable("stray separators", &world.post(Some(&basic("orders", &secret_of("orders"))), body).await, "read");
}

#[tokio::test]
async fn vendor_parameters_are_ignored() {
    let mut world = plan().start().await;
    let options = json!({ "userProject": "p-1" }).to_string();
    let twice_encoded = form_urlencoded::byte_serialize(options.as_bytes()).collect::<String>();
    let details = json!([{ "type": "account_information", "actions": ["list"] }]).to_string();
    let long = "x".repeat(5000);
    let extras: &[&[(&str, &str)]] = &[
        &[("options", &options)],
        &[("options", &twice_encoded)],
        &[("options", "{\n  \"userProject\": \"p-1\"\n}")],
        &[("requested_subject", "root"), ("subject_issuer", "google"), ("requested_issuer", "github")],
        &[("assume_group", "admins")],
        &[("authorization_details", &details)],
        &[("request_context", "e30"), ("request_details", "e30")],
        &[("state", "é ☃ 😀"), ("empty", ""), ("GRANT_TYPE", "password"), ("Scope", "admin")],
        &[("x", &long)],
        &[("requested_actor", "root"), ("act", "root"), ("sub", "root"), ("aud", "root"), ("client", "root")],
    ];
    for extra in extras {
        let subject = world.own.access_token(json!({}));
        let reply = world.post_as("orders", &exchange_form(&subject, extra)).await;
        assert_readable(extra[0].0, &reply, "read write");
        let claims = reply.claims();
        assert_eq!((&claims["sub"], &claims["aud"]), (&json!("alice"), &json!("https://billing.example")));
        for name in ["authorization_details", "options"] {
            assert!(claims.get(name).is_none(), "{claims}");
        }
        assert_eq!(world.reason().await, None);
    }
}

#[tokio::test]
async fn a_form_can_have_64_parameters() {
    let world = plan().start().await;
    let subject = world.own.access_token(json!({}));
    let names: Vec<String> = (0..60).map(|n| format!("x{n}")).collect();
    let extra: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
    assert_readable("64", &world.post_as("orders", &exchange_form(&subject, &extra)).await, "read write");
}

/// The `aud` of the issued token as a set, because the order has no meaning.
fn audiences(claims: &Value) -> BTreeSet<String> {
    match &claims["aud"] {
        Value::Array(many) => {
            assert!(many.len() > 1, "a single audience is a string: {claims}");
            many.iter().map(|one| one.as_str().unwrap().to_owned()).collect()
        }
        one => BTreeSet::from([one.as_str().unwrap().to_owned()]),
    }
}

#[tokio::test]
async fn two_names_of_one_target_count_once() {
    const API: (&str, &str) = ("resource", "https://billing.example/api");
    const V2: (&str, &str) = ("resource", "https://billing.example/v2?x=1");
    const URN: (&str, &str) = ("resource", "urn:example:ledger");
    const BILLING: (&str, &str) = ("audience", "billing");
    const ALIAS: (&str, &str) = ("audience", "https://billing.example");
    const LEDGER: (&str, &str) = ("audience", "ledger");
    const ARCHIVE: (&str, &str) = ("audience", "archive");
    let targets = |targets: Vec<Target>| {
        let mut targets: Vec<Target> = targets
            .into_iter()
            .map(|target| match target.id().as_str() {
                "billing" => target.resource(V2.1).name(ALIAS.1),
                "ledger" => target.allow_clients(["orders"]).resource(URN.1),
                _ => target,
            })
            .collect();
        targets.push(Target::new("archive").allow_clients(["orders"]).scopes(["read", "write"]));
        targets
    };
    let all = "https://billing.example https://ledger.example archive";
    let both = "https://billing.example https://ledger.example";
    let billing = "https://billing.example";
    let ledger = "https://ledger.example";
    let too_many = Err(Reason::TooManyTargets);
    // The limit, the requested targets, and the `aud` or the refusal.
    let cases: &[(usize, Parameters, Expected)] = &[
        (1, &[BILLING], Ok(billing)),
        (1, &[API], Ok(billing)),
        (1, &[V2], Ok(billing)),
        (1, &[ALIAS], Ok(billing)),
        (1, &[URN], Ok(ledger)),
        (1, &[ARCHIVE], Ok("archive")),
        (1, &[BILLING, BILLING], Ok(billing)),
        (1, &[API, API], Ok(billing)),
        (1, &[API, BILLING, V2, ALIAS], Ok(billing)),
        (1, &[BILLING, API, BILLING, API, BILLING, API, BILLING, API, BILLING, API], Ok(billing)),
        (1, &[("audience", ""), BILLING, ("resource", "")], Ok(billing)),
        (1, &[BILLING, LEDGER], too_many),
        (1, &[API, URN], too_many),
        (1, &[API, LEDGER], too_many),
        (2, &[BILLING], Ok(billing)),
        (2, &[BILLING, LEDGER], Ok(both)),
        (2, &[LEDGER, BILLING], Ok(both)),
        (2, &[API, URN], Ok(both)),
        (2, &[API, LEDGER], Ok(both)),
        (2, &[API, LEDGER, BILLING, URN, V2], Ok(both)),
        (2, &[BILLING, LEDGER, ARCHIVE], too_many),
        (8, &[BILLING, LEDGER, ARCHIVE], Ok(all)),
        (8, &[BILLING, LEDGER, ("audience", "nowhere")], Err(Reason::TargetUnknown)),
        (8, &[BILLING, ("audience", "orders")], Err(Reason::TargetNotAllowed)),
        // The form of idpyoidc: all targets in one value, with spaces between.
        (8, &[("audience", "billing ledger")], Err(Reason::TargetMalformed)),
        (8, &[("audience", " billing")], Err(Reason::TargetMalformed)),
        (8, &[("resource", "https://billing.example/api urn:example:ledger")], Err(Reason::TargetMalformed)),
        (8, &[BILLING, ("audience", "billing ledger")], Err(Reason::TargetMalformed)),
    ];
    for (most, asked, expected) in cases {
        let mut world = plan_with(|clients| clients, targets).with(|builder| builder.max_targets(*most)).start().await;
        let subject = world.own.access_token(json!({}));
        let mut form = exchange_form(&subject, asked);
        form.remove(3); // the target of the helper
        let reply = world.post_as("orders", &form).await;
        match expected {
            Ok(aud) => {
                assert_readable(&format!("{asked:?}"), &reply, "read write");
                let aud: BTreeSet<String> = aud.split(' ').map(str::to_owned).collect();
                assert_eq!(audiences(&reply.claims()), aud, "{asked:?}");
            }
            Err(_) => {
                assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{asked:?}");
                assert_eq!(reply.error(), "invalid_target", "{asked:?}");
            }
        }
        assert_eq!(world.reason().await, expected.err(), "{asked:?}");
    }
}

#[tokio::test]
async fn the_requested_token_type_is_issued_or_refused() {
    // The requested type, whether the client may have JWTs, and the `token_type` and `typ` or the refusal.
    let cases = [
        (None, false, Some((ACCESS_TOKEN, "Bearer", "at+jwt"))),
        (Some(""), false, Some((ACCESS_TOKEN, "Bearer", "at+jwt"))),
        (Some(ACCESS_TOKEN), false, Some((ACCESS_TOKEN, "Bearer", "at+jwt"))),
        (Some(ACCESS_TOKEN), true, Some((ACCESS_TOKEN, "Bearer", "at+jwt"))),
        (None, true, Some((ACCESS_TOKEN, "Bearer", "at+jwt"))),
        (Some(JWT), true, Some((JWT, "N_A", "JWT"))),
        (Some(JWT), false, None),
        (Some(REFRESH_TOKEN), true, None),
        (Some(ID_TOKEN), true, None),
        (Some(SAML2), true, None),
        (Some("access_token"), true, None),
        (Some("urn:ietf:params:oauth:token-type:Access_Token"), true, None),
        (Some("urn:ietf:params:oauth:token-type:access_token "), true, None),
    ];
    for (asked, may, expected) in cases {
        let mut world = orders(|client| if may { client.allow_jwt_output() } else { client }).start().await;
        let subject = world.own.access_token(json!({}));
        let asked_param = asked.map(|uri| ("requested_token_type", uri));
        let reply = world.post_as("orders", &exchange_form(&subject, asked_param.as_slice())).await;
        let Some((issued, token_type, typ)) = expected else {
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{asked:?}");
            assert_eq!(reply.error(), "invalid_request", "{asked:?}");
            assert_eq!(world.reason().await, Some(Reason::RequestedTokenTypeUnsupported), "{asked:?}");
            continue;
        };
        assert_readable(&format!("{asked:?}"), &reply, "read write");
        let body = reply.json();
        assert_eq!(
            (&body["issued_token_type"], &body["token_type"]),
            (&json!(issued), &json!(token_type)),
            "{asked:?}"
        );
        let token = body["access_token"].as_str().unwrap();
        assert_eq!(segment(token, 0)["typ"], typ, "{asked:?}");
        let event = world.event().await;
        assert_eq!(event.granted.unwrap().token_type.as_str(), issued);

        // An `N_A` token is not an access token, so a service cannot exchange the token as an access token.
        let form = [
            ("grant_type", GRANT_TYPE),
            ("subject_token", token),
            ("subject_token_type", ACCESS_TOKEN),
            ("audience", "ledger"),
        ];
        let next = world.post_as("billing", &form).await;
        let expected = (issued == JWT).then_some(Reason::TokenTypeConfused);
        assert_eq!(world.reason().await, expected, "{asked:?}: {}", next.text);
    }
}

#[tokio::test]
async fn an_ignored_scope_does_not_count() {
    let ignores = |client: Client| client.ignored_scopes([CLOUD_PLATFORM, "openid"]);
    let plain = |client: Client| client;
    let strict = TokenExchangeBuilder::strict_scope;
    let lax = |builder| builder;
    type Case = (&'static str, Change<Client>, Change<TokenExchangeBuilder>, &'static str, Expected);
    let cases: [Case; 14] = [
        ("google's default", ignores, lax, CLOUD_PLATFORM, Ok("read write")),
        ("keycloak's default", ignores, lax, "openid", Ok("read write")),
        ("both", ignores, lax, "openid https://www.googleapis.com/auth/cloud-platform", Ok("read write")),
        ("beside a wish", ignores, lax, "openid read", Ok("read")),
        ("behind a wish", ignores, lax, "write openid", Ok("write")),
        ("none", ignores, lax, "", Ok("read write")),
        ("beside what cannot be had", ignores, lax, "openid admin", Err(Reason::ScopeEmpty)),
        ("strict, alone", ignores, strict, CLOUD_PLATFORM, Ok("read write")),
        ("strict, beside a wish", ignores, strict, "openid read", Ok("read")),
        ("strict, beside what cannot be had", ignores, strict, "openid read admin", Err(Reason::ScopeExceeded)),
        ("not listed", plain, lax, CLOUD_PLATFORM, Err(Reason::ScopeEmpty)),
        ("not listed, beside a wish", plain, lax, "openid read", Ok("read")),
        ("not listed, strict", plain, strict, "openid read", Err(Reason::ScopeExceeded)),
        ("in another case", ignores, lax, "OpenID", Err(Reason::ScopeEmpty)),
    ];
    for (name, client, builder, scope, expected) in cases {
        let mut world = orders(client).with(builder).start().await;
        let subject = world.own.access_token(json!({}));
        let reply = world.post_as("orders", &exchange_form(&subject, &[("scope", scope)])).await;
        match expected {
            Ok(granted) => assert_readable(name, &reply, granted),
            Err(_) => assert_eq!(reply.error(), "invalid_scope", "{name}: {}", reply.text),
        }
        assert_eq!(world.reason().await, expected.err(), "{name}");
    }
}

#[tokio::test]
async fn an_ignored_scope_is_not_granted() {
    let world = orders(|client| client.ignored_scopes(["write"])).start().await;
    let subject = world.own.access_token(json!({}));
    let reply = world.post_as("orders", &exchange_form(&subject, &[("scope", "read write")])).await;
    assert_readable("write is ignored", &reply, "read");
}

#[tokio::test]
async fn the_record_has_the_default_target() {
    let no_default = |client: Client| client;
    let default = |client: Client| client.default_target("billing");
    let none: Parameters = &[];
    let cases: [(Change<Client>, Parameters, Expected); 7] = [
        (default, none, Ok("https://billing.example")),
        (default, &[("audience", "")], Ok("https://billing.example")),
        (default, &[("resource", ""), ("audience", "")], Ok("https://billing.example")),
        (default, &[("audience", "archive")], Ok("archive")),
        (default, &[("audience", "nowhere")], Err(Reason::TargetUnknown)),
        (no_default, none, Err(Reason::TargetMissing)),
        (no_default, &[("audience", "")], Err(Reason::TargetMissing)),
    ];
    for (client, asked, expected) in cases {
        let change = |record: Client| if record.id() == "orders" { client(record) } else { record };
        let archive = |mut targets: Vec<Target>| {
            targets.push(Target::new("archive").allow_clients(["orders"]).scopes(["read", "write"]));
            targets
        };
        let plan = plan_with(|clients| clients.into_iter().map(change).collect(), archive);
        let mut world = plan.start().await;
        let subject = world.own.access_token(json!({}));
        let mut form = exchange_form(&subject, asked);
        form.remove(3); // the target of the helper
        let reply = world.post_as("orders", &form).await;
        match expected {
            Ok(aud) => {
                assert_readable(&format!("{asked:?}"), &reply, "read write");
                assert_eq!(reply.claims()["aud"], aud, "{asked:?}");
            }
            Err(_) => assert_eq!(reply.error(), "invalid_target", "{asked:?}: {}", reply.text),
        }
        assert_eq!(world.reason().await, expected.err(), "{asked:?}");
    }
}

#[tokio::test]
async fn a_record_can_accept_vendor_token_types() {
    const K8S: &str = "urn:k8s:params:oauth:token-type:serviceaccount";
    const DATABRICKS: &str = "urn:databricks:params:oauth:token-type:personal-access-token";
    let plan = plan();
    let cluster = Issuer::new("https://cluster.example")
        .keys(plan.idp.keys())
        .accept_types([TokenType::from_static(K8S)])
        .map_subjects(SubjectMapping::Prefix("cluster|".into()))
        .allow_presenters(["orders"]);
    let mut plan = plan.with(|builder| builder.issuers([cluster]));
    plan.idp.iss = "https://cluster.example";
    let mut world = plan.start().await;
    // The token is accepted only with the type of its issuer's record.
    let cases = [
        (K8S, None),
        (JWT, Some(Reason::TokenTypeConfused)),
        (DATABRICKS, Some(Reason::SubjectTokenTypeUnsupported)),
        ("urn:k8s:params:oauth:token-type:ServiceAccount", Some(Reason::SubjectTokenTypeUnsupported)),
    ];
    for (declared, refused) in cases {
        let token = world.idp.foreign(json!({ "sub": "system:serviceaccount:default:orders" }));
        let mut form = exchange_form(&token, &[]);
        form[2].1 = declared;
        let reply = world.post_as("orders", &form).await;
        let reason = world.reason().await;
        match refused {
            None => {
                assert_readable(declared, &reply, "read write");
                assert_eq!(reply.claims()["sub"], "cluster|system:serviceaccount:default:orders");
            }
            // Only the class of the reason is promised.
            Some(Reason::TokenTypeConfused) => {
                assert_eq!(reply.error(), "invalid_request", "{declared}: {reason:?}");
                assert!(reason.is_some(), "{declared}");
            }
            Some(refused) => assert_eq!(reason, Some(refused), "{declared}: {}", reply.text),
        }
    }
}

/// The crate `oauth2` can send the grant together with another grant, in either order.
#[tokio::test]
async fn a_second_grant_type_is_refused() {
    let mut world = plan().start().await;
    let subject = world.own.access_token(json!({}));
    let rest = &exchange_form(&subject, &[])[1..];
    for grants in [
        [GRANT_TYPE, "client_credentials"],
        ["client_credentials", GRANT_TYPE],
        [GRANT_TYPE, ""],
        ["", GRANT_TYPE],
        [GRANT_TYPE, GRANT_TYPE],
    ] {
        let mut form: Vec<(&str, &str)> = vec![("grant_type", grants[0])];
        form.extend_from_slice(rest);
        form.push(("grant_type", grants[1]));
        let reply = world.post_as("orders", &form).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{grants:?}");
        assert_eq!(reply.error(), "invalid_request", "{grants:?}");
        assert_eq!(world.reason().await, Some(Reason::RepeatedParameter), "{grants:?}");
    }
    assert!(world.passed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn another_grant_is_passed_unchanged() {
    let mut world = plan().start().await;
    let form = "application/x-www-form-urlencoded";
    let gdch = json!({
        "grant_type": "urn:ietf:params:oauth:token-type:token-exchange",
        "audience": "https://gdch.example", "requested_token_type": ACCESS_TOKEN,
        "subject_token": "a.b.c", "subject_token_type": "urn:k8s:params:oauth:token-type:serviceaccount",
    })
    .to_string();
    let this_grant_in_json = json!({ "grant_type": GRANT_TYPE }).to_string();
    let escaped = GRANT_TYPE.replace(':', "%3A");
    let long = format!("grant_type=password&x={}", "y".repeat(200_000));
    let cases = [
        ("GDCH", "application/json", gdch.clone()),
        ("GDCH, with a charset", "application/json; charset=utf-8", gdch),
        ("this grant in JSON", "application/json", this_grant_in_json),
        ("GDCH's grant in a form", form, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Atoken-exchange".into()),
        ("client_credentials", form, "grant_type=client_credentials&scope=read%20write".into()),
        ("refresh_token", form, "grant_type=refresh_token&refresh_token=a.b+c%2Bd".into()),
        ("password", form, "grant_type=password&username=a%C3%A9&password=%zz".into()),
        ("authorization_code", form, "code=x&redirect_uri=https%3a%2F%2fx&grant_type=authorization_code".into()),
        ("device code", form, "grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code=1".into()),
        ("JWT bearer", form, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=a.b.c".into()),
        ("CIBA", form, "grant_type=urn:openid:params:grant-type:ciba&auth_req_id=1".into()),
        ("a grant that begins alike", form, format!("grant_type={escaped}-2")),
        ("a grant that ends alike", form, format!("grant_type=x{escaped}")),
        ("the start of this grant", form, format!("grant_type={}", &escaped[..escaped.len() - 1])),
        ("this grant elsewhere", form, format!("grant_type=password&scope={escaped}&grant={escaped}")),
        ("two other grants", form, "grant_type=password&grant_type=client_credentials".into()),
        ("no grant", form, "client_id=a&client_secret=b".into()),
        ("an empty grant", form, "grant_type=".into()),
        ("nothing", form, String::new()),
        ("no form at all", form, "{\"a\":[1,2,3]}\r\n\r\n".into()),
        ("separators alone", form, "&&&=&==".into()),
        ("a long one", form, long),
    ];
    for (name, content_type, body) in cases {
        let reply = post_typed(&world, content_type, body.clone()).await;
        assert_eq!(reply.status, StatusCode::OK, "{name}");
        assert_eq!(reply.text, body, "{name}: the answer of the wrapped service is its own");
        assert_eq!(reply.headers.get("x-seen-content-type").map(|kind| kind.as_bytes()), Some(content_type.as_bytes()));
        assert!(!reply.headers.contains_key("cache-control"), "{name}: {:?}", reply.headers);
        let passed = world.passed.lock().unwrap().pop();
        assert_eq!(passed.as_deref(), Some(body.as_bytes()), "{name}");
        assert!(world.no_event(), "{name}: it is no attempt to exchange a token");
    }
    assert!(world.passed.lock().unwrap().is_empty(), "each came once");
}
