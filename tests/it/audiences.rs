//! No issued token passes as an ID token: an `aud` is never the id of a client.

use crate::support::*;
use serde_json::{Value, json};
use tower_token_exchange::{Document, TokenExchangeLayer, error::ConfigErrorKind, signing::Algorithm};

/// What OpenID libraries check in an ID token for a client (OpenID Connect Core 1.0 section 3.1.3.7), without `nonce`. The
/// libraries do not look at the header `typ`.
fn passes_as_id_token(claims: &Value, client: &str) -> bool {
    let aud = &claims["aud"];
    let is_for_client = aud == client || aud.as_array().is_some_and(|names| names.iter().any(|name| name == client));
    let has = |claim: &str| !claims[claim].is_null();
    claims["iss"] == AS && is_for_client && ["sub", "exp", "iat"].into_iter().all(has)
}

/// Records with the clients `orders` and `billing`, where a target has this `aud`.
fn records(aud: Option<&str>, owner: Option<&str>) -> Value {
    let mut target =
        json!({ "id": "billing", "callers": ["orders"], "scopes": ["read"], "resources": ["https://r.example"] });
    target["aud"] = json!(aud);
    target["owner"] = json!(owner);
    json!({
        "client": [{ "id": "orders", "secret": secret_of("orders") }, { "id": "billing", "secret": secret_of("billing") }],
        "target": [target, { "id": "shop", "aud": "https://shop.example", "owner": "orders", "scopes": ["read"] }],
        "rule": [{ "clients": "orders", "subjects": "any", "targets": "billing", "scopes": ["read"] }],
    })
}

fn document(json: Value) -> Document {
    serde_json::from_value(json).unwrap()
}

#[tokio::test]
async fn no_audience_is_the_id_of_a_client() {
    let own = Minter::new(AS, Algorithm::ES256);
    let builder = || TokenExchangeLayer::builder(AS).signer(own.key.clone());
    let good = || document(records(Some("https://billing.example"), Some("billing")));
    let layer = builder().document(good()).build().unwrap();
    for (aud, owner) in [
        (Some("billing"), None),
        (Some("orders"), None),
        // The service is the client, and the library of the client still takes the token.
        (Some("billing"), Some("billing")),
        // The default is the id.
        (None, Some("billing")),
        (None, None),
    ] {
        let wrong = || document(records(aud, owner));
        let refused = builder().document(wrong()).build().unwrap_err();
        assert_eq!((refused.place(), refused.kind()), (Some("target[0].aud"), ConfigErrorKind::Conflict));
        assert_eq!(layer.reload(wrong()).unwrap_err(), refused);
        let name = aud.unwrap_or("billing");
        let expected = format!(
            "`{name}` is the id of a client, which could take a token with this `aud` for an ID token: set `aud` to the URL of \
             the service, such as `https://{name}.example`"
        );
        assert_eq!(refused.help(), expected);
    }
    // A client that is added later is compared too.
    let mut later = records(Some("https://billing.example"), None);
    later["client"][1]["id"] = json!("https://billing.example");
    assert_eq!(layer.reload(document(later)).unwrap_err().place(), Some("target[0].aud"));
}

#[tokio::test]
async fn no_issued_token_passes_as_an_id_token() {
    let plan = plan_with(
        |clients| clients,
        |targets| targets.into_iter().map(|target| target.allow_clients(["orders"])).collect(),
    );
    let world = plan.with(|builder| builder.max_targets(2)).start().await;
    let token = world.own.access_token(json!({}));
    for more in [&[][..], &[("audience", "orders")], &[("resource", "https://billing.example/api")]] {
        let reply = world.post_as("orders", &exchange_form(&token, more)).await;
        let claims = reply.claims();
        for client in ["orders", "billing", "reports"] {
            assert!(!passes_as_id_token(&claims, client), "{client}: {claims}");
        }
        // The rules above accept such a token if its `aud` is the id of a client.
        assert!(passes_as_id_token(&changed(claims, json!({ "aud": "orders" })), "orders"));
    }
}
