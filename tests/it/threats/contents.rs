//! Attacks with claims, names and scopes.

use super::*;
use crate::support::*;
use serde_json::json;
use std::collections::BTreeSet;
use tower_token_exchange::{policy::Actors, records::Party};

/// Returns the names of the claims.
fn names_of(claims: &Value) -> BTreeSet<&str> {
    claims.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The claims of every token that is issued for a delegation.
const ALWAYS: [&str; 9] = ["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "act"];

/// Attack: alice logged in with a password last week. The attacker wants a token with a login of today, with a key.
#[tokio::test]
async fn th_27_an_exchange_does_not_improve_a_login() {
    let partner = partner();
    let record = partner_record(&partner).allow_actor_tokens().map_acr("theirs", "low");
    let plan = plan_with(changing("orders", |client| client.allow_actor(Party::new(PARTNER, "agent-7"))), same);
    let rules = || [anything().actors(Actors::any())];
    let mut world = plan.with(|builder| builder.issuers([record]).rules(rules())).start().await;
    let own = world.own.clone();
    let last_week = NOW - 7 * 86_400;
    let login = json!({ "acr": "low", "amr": ["pwd"], "auth_time": last_week });
    let best = json!({ "acr": "high", "amr": ["hwk", "mfa"], "auth_time": NOW });
    let login_of = |claims: &Value| {
        let found = ["acr", "amr", "auth_time"].map(|name| claims.get(name).map(|value| (name.into(), value.clone())));
        Value::Object(found.into_iter().flatten().collect())
    };
    let ours = |login: &Value| ask("orders", &own.access_token(login.clone()));
    let theirs = |login: &Value| ask_foreign("orders", &partner.foreign(login.clone()));
    let words = |ask: Ask| {
        let values = [("acr", "high"), ("acr_values", "high"), ("amr", "hwk"), ("max_age", "0"), ("prompt", "login")];
        let time = NOW.to_string();
        values.into_iter().fold(ask.set("auth_time", &time), |ask, (name, value)| ask.set(name, value))
    };
    let agent =
        |ask: Ask, login: &Value| ask.actor(&partner.foreign(changed(json!({ "sub": "agent-7" }), login.clone())), JWT);
    let itself = |ask: Ask, login: &Value| {
        let claims = changed(json!({ "sub": "orders", "client_id": "orders" }), login.clone());
        ask.actor(&own.access_token(claims), ACCESS_TOKEN)
    };
    let nothing = json!({});
    let sane = json!({ "amr": ["pwd"], "auth_time": last_week });
    for (why, attack, expected) in [
        ("by the request", words(ours(&login)), &login),
        ("by the request, from nothing", words(ours(&nothing)), &nothing),
        ("by an agent", agent(ours(&login), &best), &login),
        ("by an agent, from nothing", agent(ours(&nothing), &best), &nothing),
        ("by itself", itself(ours(&login), &best), &login),
        ("by a foreign issuer that calls it so", theirs(&changed(login.clone(), json!({ "acr": "high" }))), &sane),
        ("by our name for theirs", theirs(&login), &sane),
        (
            "from the future",
            ours(&changed(login.clone(), json!({ "auth_time": NOW + 3600 }))),
            &json!({ "acr": "low", "amr": ["pwd"] }),
        ),
        ("as text", ours(&json!({ "acr": ["high"], "amr": "hwk", "auth_time": "now" })), &nothing),
        ("in other letters", ours(&json!({ "ACR": "high", "Amr": ["hwk"] })), &nothing),
    ] {
        assert_eq!(login_of(&attack.claims(&mut world, why).await), *expected, "{why}");
    }
    // The second exchange keeps the login, a weak login and a strong login.
    for login in [login, best] {
        let token = ours(&login).token(&mut world, "first").await;
        let second = ask("billing", &token).at("ledger").claims(&mut world, "second").await;
        assert_eq!(login_of(&second), login);
    }
    let translated = theirs(&json!({ "acr": "theirs" })).claims(&mut world, "as the record says").await;
    assert_eq!(translated["acr"], "low");

    // No record of a target can list these claims.
    for name in ["acr", "amr", "auth_time"] {
        let target = Target::new("careless").allow_clients(["orders"]).scopes(["read"]).claims([name]);
        assert!(super::plan().with(|builder| builder.targets([target])).builder.build().is_err(), "{name}");
    }
}

/// Attack: a foreign issuer, or a user of its directory, adds claims to a token and hopes that the layer copies the
/// claims.
#[tokio::test]
async fn th_28_a_claim_needs_both_records() {
    use Reason::*;
    let partner = partner();
    let target = |id: &str, claims: &[&str]| {
        Target::new(id)
            .audience_claim(format!("https://{id}.example"))
            .allow_clients(["orders"])
            .scopes(["read"])
            .claims(claims.to_vec())
    };
    let record = |claims: &[&str]| partner_record(&partner).claims(claims.to_vec());
    let plan_of = |target_names: &[&str], issuer_names: &[&str]| {
        let target = target("hr", target_names);
        plan().with(|builder| builder.targets([target]).issuers([record(issuer_names)]))
    };
    let smuggled = json!({
        "roles": ["admin"], "groups": ["root"], "email": "alice@as.example", "email_verified": true, "azp": "billing",
        "client_id": "billing", "may_act": { "sub": "orders" }, "acr": "high", "tenant": "us", "jti": "chosen",
        "nonce": "n", "sid": "s", "token_type": "DPoP", "entitlements": ["all"], "preferred_username": "alice",
        "Roles": ["admin"], "roles ": ["admin"], "urn:roles": ["admin"], "__proto__": { "roles": ["admin"] },
    });
    let unnamed = changed(smuggled.clone(), json!({ "may_act": null }));
    for (in_target, in_issuer, carried) in [
        (&[][..], &[][..], &[][..]),
        (&["roles"], &[], &[]),
        (&[], &["roles"], &[]),
        (&["roles"], &["groups"], &[]),
        (&["roles"], &["roles"], &["roles"]),
        (&["roles", "tenant"], &["tenant", "groups"], &["tenant"]),
    ] {
        let mut world = plan_of(in_target, in_issuer).start().await;
        let why = format!("{in_target:?} {in_issuer:?}");
        let ask = ask_foreign("orders", &partner.foreign(unnamed.clone())).at("hr");
        let claims = ask.claims(&mut world, &why).await;
        assert_eq!(
            names_of(&claims),
            ALWAYS.iter().chain(&["exchanged_from"]).chain(carried).copied().collect(),
            "{why}"
        );
        let written = ["iss", "sub", "client_id", "act"].map(|name| claims[name].clone());
        assert_eq!(written, [json!(AS), json!("partner|bob"), json!("orders"), json!({ "sub": "orders" })], "{why}");
        assert_ne!(claims["jti"], "chosen", "{why}");
        for name in carried {
            assert_eq!(claims[*name], smuggled[*name], "{why}");
        }
    }
    // For tokens of our own issuer, the record of the target decides alone.
    let mut world = plan_of(&["tenant"], &[]).start().await;
    let own = ask("orders", &world.own.access_token(changed(unnamed, json!({ "client_id": "web" })))).at("hr");
    let claims = own.claims(&mut world, "ours").await;
    assert_eq!(names_of(&claims), ALWAYS.iter().chain(&["tenant", "acr"]).copied().collect());

    // A claim that binds, delegates or authorizes is not ignored: the token is refused.
    for (name, value, reason) in [
        ("cnf", json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" }), BindingNotProven),
        ("act", json!({ "sub": "billing" }), ChainNotTrusted),
        ("may_act", json!({ "sub": "billing" }), MayActMismatch),
        ("authorization_details", json!([{ "type": "payment" }]), AuthorizationDetailsUnsupported),
        ("events", json!({}), TokenTypeConfused),
        ("scope", json!(["read", "write"]), TokenClaimsInvalid),
    ] {
        let token = partner.foreign(json!({ name: value }));
        ask_foreign("orders", &token).at("hr").refused(&mut world, reason, name).await;
    }

    // No record can list a reserved claim.
    let reserved =
        "iss iat jti sub aud exp nbf scope client_id cnf act may_act authorization_details azp auth_time acr amr";
    for name in reserved.split(' ') {
        assert!(plan_of(&[name], &[name]).builder.build().is_err(), "{name}");
    }
}

/// Attack: names with letters that look alike, that are equal after case folding, or that are invisible.
#[tokio::test]
async fn th_30_similar_letters_are_different_names() {
    use Reason::*;
    let for_alice = || [Rule::allow("orders", Subjects::of_issuer(AS).named(["alice"]), "billing").scopes(["read"])];
    let mut world = plan().with(|builder| builder.rules(for_alice())).start().await;
    let own = world.own.clone();
    let honest = ask("orders", &own.access_token(json!({})));
    for scope in [
        "ｒead",
        "rеad",
        "re\u{301}ad",
        "read\u{200b}",
        "\u{feff}read",
        "read\u{202e}",
        "ﬁle",
        "read\u{a0}write",
        "read\u{2003}write",
        "read\"",
        "read\\write",
        "ⓡead",
        "\u{ffff}",
        "réad",
        " read",
        "read ",
        "read  write",
    ] {
        honest.clone().scope(scope).refused_as("invalid_scope", &mut world, ScopeMalformed, scope).await;
    }
    for (scope, reason) in
        [("READ", ScopeEmpty), ("Read", ScopeEmpty), ("read%20write", ScopeEmpty), ("r%65ad", ScopeEmpty)]
    {
        honest.clone().scope(scope).refused_as("invalid_scope", &mut world, reason, scope).await;
    }
    for (audience, reason) in [
        ("bіlling", TargetMalformed),
        ("ｂilling", TargetMalformed),
        ("billing\u{200b}", TargetMalformed),
        ("\u{202e}gnillib", TargetMalformed),
        ("billing ", TargetMalformed),
        ("billıng", TargetMalformed),
        ("BILLING", TargetUnknown),
        ("Billing", TargetUnknown),
        ("b%69lling", TargetUnknown),
    ] {
        honest.clone().at(audience).refused_as("invalid_target", &mut world, reason, audience).await;
    }
    for (resource, reason) in [
        ("https://bіlling.example/api", TargetMalformed),
        ("https://billing。example/api", TargetMalformed),
        ("https://billing.example/ａpi", TargetMalformed),
        ("https://billing.example/%61pi", TargetMalformed),
        ("https://BILLING.example/api", TargetMalformed),
        ("https://billing.example/API", TargetUnknown),
        ("https://xn--blling-wof.example/api", TargetUnknown),
    ] {
        honest.clone().resource(resource).refused_as("invalid_target", &mut world, reason, resource).await;
    }
    for sub in ["аlice", "ALICE", "Alice", "ａlice", "alice\u{301}", "ali\u{200d}ce", "alice ", "ªlice"] {
        ask("orders", &own.access_token(json!({ "sub": sub }))).refused(&mut world, PolicyNoRule, sub).await;
    }
    for aud in ["https://ordеrs.example", "https://ORDERS.example", "ORDERS", "orders\u{200b}", "ｏrders"] {
        ask("orders", &own.access_token(json!({ "aud": aud }))).refused(&mut world, PresenterUnrelated, aud).await;
    }
    // A control character could forge log lines.
    for control in ['\n', '\r', '\0', '\u{1b}', '\u{7f}', '\u{85}'] {
        let why = format!("{control:?}");
        let token = own.access_token(json!({ "sub": format!("alice{control}root") }));
        ask("orders", &token).refused(&mut world, TokenSubjectInvalid, &why).await;
        honest.clone().scope(&format!("read{control}")).send(&world).await;
        let event = world.event().await;
        assert!(event.reason.is_some() && !format!("{event:?}").contains(control), "{why}");
    }
    // A log escapes characters that change the direction of text, and noncharacters.
    for odd in ['\u{202e}', '\u{2066}', '\u{200f}', '\u{feff}', '\u{ffff}'] {
        ask("orders", &own.access_token(json!({ "sub": format!("bob{odd}") })))
            .at(&format!("b{odd}"))
            .send(&world)
            .await;
        let event = serde_json::to_string(&world.event().await).unwrap();
        assert!(!event.contains(odd), "{event}");
        ask("orders", &own.access_token(json!({ "sub": format!("bob{odd}") }))).send(&world).await;
        let event = serde_json::to_string(&world.event().await).unwrap();
        assert!(!event.contains(odd), "{event}");
    }
    honest.clone().scope("read write").token(&mut world, "ASCII").await;
    honest.resource("https://billing.example/api").token(&mut world, "a URI as it is registered").await;
}

/// Attack: a foreign user chooses a name that changes the direction of text or contains noncharacters, so a person who
/// reads a log reads another name.
#[tokio::test]
async fn th_30_an_unreadable_subject_is_refused() {
    let mut world = plan().start().await;
    let (own, idp) = (world.own.clone(), world.idp.clone());
    for odd in ['\u{202e}', '\u{202a}', '\u{2066}', '\u{2069}', '\u{200e}', '\u{ffff}', '\u{fdd0}', '\u{1fffe}'] {
        let sub = json!({ "sub": format!("bob{odd}ecila") });
        let why = format!("{odd:?}");
        ask("orders", &own.access_token(sub.clone())).refused(&mut world, Reason::TokenSubjectInvalid, &why).await;
        ask_foreign("orders", &idp.foreign(sub)).refused(&mut world, Reason::TokenSubjectInvalid, &why).await;
    }
    ask_foreign("orders", &idp.foreign(json!({ "sub": "Zoë Müller 田中" }))).token(&mut world, "letters").await;
}

/// Attack: an issuer forgets a claim. The attacker finds such a token, which seems to be good for ever or everywhere.
#[tokio::test]
async fn th_39_a_missing_claim_permits_nothing() {
    use Reason::*;
    let mut world = plan().start().await;
    let (own, idp) = (world.own.clone(), world.idp.clone());
    for (claim, foreign, ours) in [
        ("exp", TokenExpiryMissing, TokenExpiryMissing),
        ("sub", TokenSubjectInvalid, TokenSubjectInvalid),
        ("iss", TokenIssuerMissing, TokenIssuerMissing),
        ("aud", TokenNotForUs, PresenterUnknown),
    ] {
        let missing = json!({ claim: null });
        ask_foreign("orders", &idp.foreign(missing.clone())).refused(&mut world, foreign, claim).await;
        ask("orders", &own.access_token(missing)).refused(&mut world, ours, claim).await;
    }
    let without_client = own.access_token(json!({ "client_id": null }));
    ask("orders", &without_client).refused(&mut world, TokenTypeConfused, "an access token of nobody").await;

    // A claim with an empty or odd value is not treated as absent.
    let good = |minter: &Minter, token: &str| (minter.clone(), segment(token, 0), segment(token, 1));
    let tokens = [(good(&idp, &idp.foreign(json!({}))), JWT), (good(&own, &own.access_token(json!({}))), ACCESS_TOKEN)];
    for ((minter, header, claims), declared) in &tokens {
        let empties = [
            (
                "exp",
                vec![json!(null), json!(""), json!("never"), json!(-1), json!(true), json!([]), json!("9999999999")],
            ),
            ("aud", vec![json!(null), json!(0), json!({}), json!([null]), json!([[]])]),
            ("sub", vec![json!(null), json!(""), json!(0), json!([])]),
            ("iss", vec![json!(null), json!(""), json!(0), json!([])]),
        ];
        for (claim, values) in empties {
            for value in values {
                let mut claims = claims.clone();
                claims[claim] = value.clone();
                let attack = ask("orders", &minter.sign(header, &claims)).typed(declared);
                let reason = match claim {
                    "iss" => TokenIssuerMissing,
                    "sub" => TokenSubjectInvalid,
                    _ => TokenClaimsInvalid,
                };
                attack.refused(&mut world, reason, &format!("{claim}: {value}")).await;
            }
        }
        ask("orders", &minter.sign(header, claims)).typed(declared).token(&mut world, "all there").await;
    }
    for (aud, ours) in
        [(json!([]), PresenterUnknown), (json!(""), PresenterUnrelated), (json!("*"), PresenterUnrelated)]
    {
        let why = aud.to_string();
        ask_foreign("orders", &idp.foreign(json!({ "aud": aud }))).refused(&mut world, TokenNotForUs, &why).await;
        ask("orders", &own.access_token(json!({ "aud": aud }))).refused(&mut world, ours, &why).await;
    }
}

/// Attack: names that start with an allowed name, contain an allowed name, or are patterns.
#[tokio::test]
async fn th_46_names_are_compared_exactly() {
    use Reason::*;
    let targets = |mut targets: Vec<Target>| {
        let files = Target::new("files").allow_clients(["orders"]).resource("https://files.example/a");
        targets.push(
            files
                .scopes(["read", "read:all", "write", "admin"])
                .translate("read", ["read"])
                .translate("all", ["admin"]),
        );
        targets.push(Target::new("plain").allow_clients(["orders"]).scopes(["read", "read:all", "read:", "write"]));
        targets
    };
    let clients = changing("reports", |client| client.scopes(["read"]));
    let rule = || Rule::allow("orders", Subjects::any(), ["files", "plain", "billing"]).scopes(["read", "read:all"]);
    let mut world = plan_with(clients, targets).with(|builder| builder.rules([rule()])).start().await;
    let own = world.own.clone();
    let holding = |scope: &str| ask("orders", &own.access_token(json!({ "scope": scope })));

    // The scope of the token, and the requested scope for `plain`, which knows `read` and `read:all`.
    for (held, asked) in [
        ("read", "read:all"),
        ("read", "read:"),
        ("read", "read*"),
        ("read", "*"),
        ("read", "rea"),
        ("read", "read."),
        ("read:", "read:all"),
        ("read:", "read"),
        ("rea", "read"),
        ("*", "read"),
        ("read*", "read"),
        ("read:*", "read:all"),
        ("read.*", "read:all"),
        ("read:all", "read"),
        ("read/all", "read:all"),
        ("xread", "read"),
        ("Read", "read"),
        (".*", "read"),
    ] {
        let why = format!("{held} for {asked}");
        holding(held).at("plain").scope(asked).refused_as("invalid_scope", &mut world, ScopeEmpty, &why).await;
    }
    // A translation matches the whole name, too.
    for held in ["reading", "read:all", "rea", "all:all", "*", "al"] {
        holding(held).at("files").refused_as("invalid_scope", &mut world, ScopeEmpty, held).await;
    }
    let claims = holding("read read:all").at("plain").scope("read:all write read").claims(&mut world, "both").await;
    assert_eq!(claims["scope"], "read:all read");
    assert_eq!(holding("read").at("files").claims(&mut world, "translated").await["scope"], "read");

    let honest = || holding("read");
    for audience in [
        "bill",
        "billing2",
        "billing/",
        "billing*",
        "*",
        "b.*",
        "billing,ledger",
        "billing/..",
        "https://billing.example",
    ] {
        honest().at(audience).refused_as("invalid_target", &mut world, TargetUnknown, audience).await;
    }
    for (resource, reason) in [
        ("https://billing.example/ap", TargetUnknown),
        ("https://billing.example/apix", TargetUnknown),
        ("https://billing.example/api/", TargetUnknown),
        ("https://billing.example/api/admin", TargetUnknown),
        ("https://billing.example/api?x", TargetUnknown),
        ("https://billing.example", TargetUnknown),
        ("https://billing.example.evil.example/api", TargetUnknown),
        ("https://evil.example/https://billing.example/api", TargetUnknown),
        ("https://billing.example/api/../admin", TargetMalformed),
        ("https://billing.example/api#x", TargetMalformed),
        ("https://billing.example@evil.example/api", TargetMalformed),
        ("https://*.example/api", TargetUnknown),
    ] {
        honest().resource(resource).refused_as("invalid_target", &mut world, reason, resource).await;
    }
    for aud in [
        "https://orders.exampl",
        "https://orders.example.evil",
        "https://orders.example/a",
        "order",
        "orders2",
        "*",
        "https://*",
    ] {
        ask("orders", &own.access_token(json!({ "aud": aud }))).refused(&mut world, PresenterUnrelated, aud).await;
    }
    honest().resource("https://billing.example/api").token(&mut world, "the name as it is").await;

    // A name in a rule is not a pattern.
    let rule = |sub: &str| {
        Rule::allow("orders", Subjects::of_issuer(AS).named([sub.to_owned()]), "billing").scopes(Names::any())
    };
    for sub in ["*", "ali", "ali*", ".*", "alice2"] {
        let mut world = plan().with(|builder| builder.rules([rule(sub)])).start().await;
        let alice = world.own.access_token(json!({}));
        ask("orders", &alice).refused(&mut world, PolicyNoRule, sub).await;
    }
}
