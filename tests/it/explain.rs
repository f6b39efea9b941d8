//! An explanation says why a request would be granted or refused, and which setting to change.

use crate::support::*;
use serde_json::json;
use std::time::{Duration, UNIX_EPOCH};
use tokio::sync::mpsc;
use tower_token_exchange::{
    Client, GRANT_TYPE, Reason, Target, TokenExchangeBuilder, TokenExchangeLayer,
    audit::Outcome,
    policy::{Decision, Query, Rule, Subjects},
    signing::{Algorithm, Signature, Signer, SigningRequest},
};

/// The records of the quickstart, and more rules.
const RECORDS: &str = r#"
[[client]]
id = "orders"
secret = "the-secret-of-orders-is-long"
[[client]]
id = "billing"
secret = "the-secret-of-billing-is-long"
[[client]]
id = "reports"
secret = "the-secret-of-reports-is-long"
[[client]]
id = "ledger"
secret = "the-secret-of-ledger-is-long"
without_exchange = true

[[target]]
id = "orders"
aud = "https://orders.example"
owner = "orders"
scopes = ["orders:read", "orders:write"]
[[target]]
id = "billing"
aud = "https://billing.example"
owner = "billing"
callers = ["orders"]
scopes = ["invoices:read", "invoices:write"]
translate = { "orders:read" = ["invoices:read"] }
[[target]]
id = "ledger"
aud = "https://ledger.example"
callers = ["billing", "reports"]
scopes = ["entries:read", "entries:write"]
translate = { "invoices:read" = ["entries:read"], "reports:read" = ["entries:read"] }
[[target]]
id = "archive"
aud = "https://archive.example"
owner = "ledger"
callers = ["orders", "billing"]
scopes = ["orders:read", "invoices:read"]
[[target]]
id = "reports"
aud = "https://reports.example"
owner = "reports"
scopes = ["reports:read"]
[[target]]
id = "vault"
aud = "https://vault.example"
callers = ["orders"]
scopes = ["orders:read", "orders:write"]
max_lifetime = "30s"

[[rule]]
id = "orders may bill"
clients = "orders"
subjects = "any"
targets = "billing"
scopes = ["invoices:read"]
[[rule]]
id = "billing may look up"
clients = "billing"
subjects = "any"
targets = "ledger"
scopes = ["entries:read"]
[[rule]]
id = "as the user"
clients = ["orders", "billing"]
subjects = "any"
targets = "archive"
scopes = "any"
grant = ["impersonation"]
[[rule]]
id = "strong login for the vault"
clients = "orders"
subjects = "any"
targets = "vault"
scopes = ["orders:read"]
require_acr = ["phr"]
[[rule]]
id = "suspended"
effect = "deny"
clients = "any"
subjects = { claims = { suspended = true } }
targets = "any"
"#;

fn builder(own: &Minter, records: &str) -> TokenExchangeBuilder {
    TokenExchangeLayer::builder(AS)
        .clock(|| UNIX_EPOCH + Duration::from_secs(NOW))
        .document(toml::from_str(records).unwrap())
        .signer(own.key.clone())
}

fn layer(own: &Minter, records: &str) -> TokenExchangeLayer {
    builder(own, records).build().unwrap()
}

fn form(token: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut form = vec![("grant_type", GRANT_TYPE), ("subject_token", token)];
    if more.iter().all(|(name, _)| *name != "subject_token_type") {
        form.push(("subject_token_type", ACCESS_TOKEN));
    }
    form.extend_from_slice(more);
    encode(&form).into_bytes()
}

/// A name, a client, a form of this client, and the reason of the refusal.
type Case = (&'static str, &'static str, Vec<u8>, Reason);

/// Refusals that newcomers and operators see often. The first two are in the quickstart.
fn refusals(own: &Minter) -> Vec<Case> {
    let at = |audience: &str, scope: &str, changes| {
        own.access_token(changed(json!({ "aud": format!("https://{audience}.example"), "scope": scope }), changes))
    };
    let plain = |audience: &str, scope: &str| at(audience, scope, json!({}));
    let orders = plain("orders", "orders:read orders:write");
    let billing = at("billing", "invoices:read", json!({ "act": { "sub": "orders" } }));
    let agent = at("orders", "orders:read", json!({ "sub": "agent" }));
    let to = |target: &'static str| [("audience", target)];
    vec![
        ("no_rule", "reports", form(&plain("reports", "reports:read"), &to("ledger")), Reason::PolicyNoRule),
        ("stolen_token", "reports", form(&billing, &to("ledger")), Reason::PresenterUnrelated),
        ("not_a_caller", "orders", form(&orders, &to("ledger")), Reason::TargetNotAllowed),
        ("unknown_target", "orders", form(&orders, &to("leger")), Reason::TargetUnknown),
        ("worthless_scope", "orders", form(&plain("orders", "profile"), &to("billing")), Reason::ScopeEmpty),
        (
            "expired",
            "orders",
            form(&at("orders", "orders:read", json!({ "exp": NOW - 1 })), &to("billing")),
            Reason::TokenExpired,
        ),
        ("no_client_of_this_grant", "ledger", form(&orders, &to("billing")), Reason::GrantNotAllowed),
        ("weak_login", "orders", form(&orders, &to("vault")), Reason::StepUpRequired),
        (
            "denied",
            "orders",
            form(&at("orders", "orders:read", json!({ "suspended": true })), &to("billing")),
            Reason::PolicyDenied,
        ),
        (
            "impersonation_with_a_chain",
            "billing",
            form(&billing, &[("audience", "archive"), ("scope", "invoices:read")]),
            Reason::ImpersonationImpossible,
        ),
        (
            "stranger_as_actor",
            "orders",
            form(&orders, &[("audience", "billing"), ("actor_token", &agent), ("actor_token_type", ACCESS_TOKEN)]),
            Reason::ActorNotCarried,
        ),
        (
            "id_token_without_a_record",
            "orders",
            form(&orders, &[("audience", "billing"), ("subject_token_type", "urn:example:saml")]),
            Reason::SubjectTokenTypeUnsupported,
        ),
    ]
}

#[tokio::test]
async fn typical_refusals_are_explained() {
    let own = Minter::new(AS, Algorithm::ES256);
    let layer = layer(&own, RECORDS);
    for (name, client, form, reason) in refusals(&own) {
        let explanation = layer.explain(client, &form).await;
        assert_eq!(explanation.refusal.as_ref().map(|refusal| refusal.reason), Some(reason), "{name}");
        insta::assert_snapshot!(name, explanation);
    }
}

#[tokio::test]
async fn a_grant_is_explained_as_text_and_json() {
    let own = Minter::new(AS, Algorithm::ES256);
    let layer = layer(&own, RECORDS);
    let token = own.access_token(json!({ "scope": "orders:read orders:write" }));
    let explanation = layer.explain("orders", &form(&token, &[("audience", "billing")])).await;
    assert_eq!(explanation.outcome, Outcome::Issued);
    insta::assert_snapshot!("granted", explanation);
    insta::assert_snapshot!("granted_as_json", serde_json::to_string_pretty(&explanation).unwrap());
}

#[tokio::test]
async fn an_explanation_ends_as_the_request_does() {
    let own = Minter::new(AS, Algorithm::ES256);
    let (sender, events) = mpsc::unbounded_channel();
    let idp = Minter::new(IDP, Algorithm::ES256);
    let builder = builder(&own, RECORDS);
    let mut world = Plan { own, idp, builder }.start_with_audit(recorder(sender), events).await;
    for (name, client, form, reason) in refusals(&world.own.clone()) {
        let explanation = world.layer.explain(client, &form).await;
        assert!(world.no_event(), "{name}: an explanation is no attempt");
        let reply = world.post(Some(&basic(client, &secret_of(client))), form).await;
        let event = world.event().await;
        let refusal = explanation.refusal.unwrap();
        assert_eq!(event.reason, Some(reason), "{name}");
        // The audit describes a text that nobody has verified.
        let has_unverified = event.detail.as_ref().is_some_and(|detail| detail.contains(" characters, hash "));
        assert!(has_unverified || event.detail == refusal.detail, "{name}: {:?}", event.detail);
        assert_eq!((event.outcome, &*reply.error()), (explanation.outcome, refusal.error.as_str()), "{name}");
    }
}

#[tokio::test]
async fn the_suggested_rule_allows_the_request() {
    let own = Minter::new(AS, Algorithm::ES256);
    let without_rules = RECORDS.split("[[rule]]").next().unwrap();
    let carrying = without_rules.replacen(
        "id = \"orders\"\n",
        &format!("id = \"orders\"\ncarries = [{{ iss = \"{AS}\", sub = \"agent\" }}]\n"),
        1,
    );
    let start = format!(
        "{carrying}\n[[rule]]\nclients = \"billing\"\nsubjects = \"any\"\ntargets = \"ledger\"\nscopes = \"any\"\n"
    );
    let alice = own.access_token(json!({ "scope": "orders:read" }));
    let service = own.access_token(json!({ "sub": "job", "client_id": "job", "scope": "orders:read" }));
    let agent = own.access_token(json!({ "sub": "agent" }));
    let acting = [("audience", "billing"), ("actor_token", &*agent), ("actor_token_type", ACCESS_TOKEN)];
    let own_token = own.access_token(json!({ "sub": "orders", "client_id": "orders", "scope": "orders:read" }));
    for form in [
        form(&alice, &[("audience", "billing")]),
        form(&alice, &[("audience", "vault"), ("scope", "orders:read more")]),
        form(&service, &[("audience", "archive")]),
        form(&alice, &acting),
        // A client that acts for itself can only impersonate.
        form(&own_token, &[("audience", "billing")]),
    ] {
        let before = layer(&own, &start).explain("orders", &form).await;
        let rule = before.suggested_rule.unwrap_or_else(|| panic!("no rule is suggested: {:?}", before.refusal));
        let with_it = format!("{start}\n{}", rule.toml);
        let after = layer(&own, &with_it).explain("orders", &form).await;
        assert_eq!(after.outcome, Outcome::Issued, "{rule}\n{after}");
    }
}

#[tokio::test]
async fn a_missing_actor_leads_to_the_actor() {
    let own = Minter::new(AS, Algorithm::ES256);
    let records = RECORDS.split("[[rule]]").next().unwrap().replacen(
        "id = \"orders\"\n",
        &format!("id = \"orders\"\ncarries = [{{ iss = \"{AS}\", sub = \"agent\" }}]\n"),
        1,
    );
    let rule = "[[rule]]\nid = \"agents may bill\"\nclients = \"orders\"\nsubjects = \"any\"\ntargets = \"billing\"\n\
                scopes = \"any\"\n";
    let alice = own.access_token(json!({ "scope": "orders:read" }));
    let agent = own.access_token(json!({ "sub": "agent" }));
    let alone = form(&alice, &[("audience", "billing")]);
    let with_agent =
        form(&alice, &[("audience", "billing"), ("actor_token", &*agent), ("actor_token_type", ACCESS_TOKEN)]);
    let agents = format!("actors = [{{ iss = \"{AS}\", sub = \"agent\" }}]\n");
    for (more, form, expected) in [
        (&*agents, &alone, Some("for the actor `agent` of `https://as.example`")),
        ("require_actor_token = true\n", &alone, Some("with an actor token")),
        ("", &with_agent, Some("Send no `actor_token`.")),
        (&*format!("{agents}require_acr = [\"phr\"]\n"), &alone, None),
    ] {
        let explanation = layer(&own, &format!("{records}\n{rule}{more}")).explain("orders", form).await;
        let advice = explanation.advice.as_deref().unwrap_or_default();
        match expected {
            Some(text) => assert!(advice.starts_with("agents may bill") && advice.contains(text), "{more}: {advice}"),
            None => assert_eq!(advice, "", "{more}"),
        }
        assert_eq!(explanation.suggested_rule.is_some(), expected.is_none(), "{more}");
    }
}

#[tokio::test]
async fn the_suggested_rule_speaks_the_users_language() {
    let own = Minter::new(AS, Algorithm::ES256);
    let records = RECORDS.split("[[rule]]").next().unwrap();
    let other = "[[rule]]\nclients = \"billing\"\nsubjects = \"any\"\ntargets = \"ledger\"\nscopes = \"any\"\n";
    let form = form(&own.access_token(json!({ "scope": "orders:read" })), &[("audience", "billing")]);
    let of_document = layer(&own, &format!("{records}\n{other}")).explain("orders", &form).await.to_string();
    assert!(of_document.contains("[[rule]]") && !of_document.contains("Rule::allow("), "{of_document}");

    let targets = [
        Target::new("orders").audience_claim("https://orders.example").served_by("orders").scopes(["orders:read"]),
        Target::new("billing").allow_clients(["orders"]).scopes(["orders:read"]),
        Target::new("ledger").allow_clients(["orders"]).scopes(["orders:read"]),
    ];
    let of_code = TokenExchangeLayer::builder(AS)
        .clock(|| UNIX_EPOCH + Duration::from_secs(NOW))
        .clients([Client::new("orders").secret(secret_of("orders"))])
        .targets(targets)
        .rules([Rule::allow("orders", Subjects::any(), "ledger").scopes(["orders:read"])])
        .signer(own.key.clone())
        .build()
        .unwrap();
    let of_code = of_code.explain("orders", &form).await.to_string();
    assert!(of_code.contains("Rule::allow(") && !of_code.contains("[[rule]]"), "{of_code}");
}

#[tokio::test]
async fn an_explanation_signs_nothing_and_reveals_nothing() {
    let own = Minter::new(AS, Algorithm::ES256);
    let unasked = tower::service_fn(|_: SigningRequest| async { Err::<Signature, _>(std::io::Error::other("asked")) });
    let signer = Signer::new(own.key.key_id().clone(), Algorithm::ES256, unasked, own.keys()).unwrap();
    let layer = builder(&own, RECORDS).signer(signer).build().unwrap();
    let token = own.access_token(json!({ "scope": "orders:read" }));
    let mut body = form(&token, &[("audience", "billing")]);
    body.extend_from_slice(b"&client_id=orders&client_secret=hunter2-is-long&client_assertion=ey.ey.ey");
    let explanation = layer.explain("orders", &body).await;
    assert_eq!(explanation.outcome, Outcome::Issued, "the proofs in a form are left out");
    let told = format!("{explanation}{explanation:?}{}", serde_json::to_string(&explanation).unwrap());
    for secret in [&*token, token.split('.').nth(2).unwrap(), "hunter2", "ey.ey"] {
        assert!(!told.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_custom_policy_has_no_rules_to_explain() {
    let own = Minter::new(AS, Algorithm::ES256);
    let records = RECORDS.split("[[rule]]").next().unwrap();
    let closed = tower::service_fn(|_: Query| async { Ok::<_, std::io::Error>(Decision::deny("closed today")) });
    let layer = builder(&own, records).policy(closed).build().unwrap();
    let token = own.access_token(json!({ "scope": "orders:read" }));
    let explanation = layer.explain("orders", &form(&token, &[("audience", "billing")])).await;
    assert_eq!((explanation.rules.len(), &explanation.suggested_rule), (0, &None));
    assert_eq!(explanation.refusal.unwrap().detail.as_deref(), Some("closed today"));
}
