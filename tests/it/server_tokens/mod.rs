//! The record of a server says what its tokens look like, and what a missing claim means. Without the statement, such a
//! token is refused. Tokens that the layer issued keep their own rules.

mod introspected;
mod issued_typ;
mod presets;
mod samples;
mod statements;

use crate::support::*;
use http::StatusCode;
use serde_json::{Value, json};
use tower_token_exchange::{Client, Issuer, Reason, TokenType, records::TokenRules, signing::Algorithm};

/// The server behind the layer, which has the issuer identifier of the layer and keys of its own.
fn server() -> Minter {
    Minter::new(AS, Algorithm::ES256)
}

fn access_token() -> TokenRules {
    TokenRules::new(TokenType::ACCESS_TOKEN)
}

/// A world in front of a server whose record has these rules. `orders` may exchange its own tokens.
async fn in_front_of(server: &Minter, rules: TokenRules) -> World {
    let record = Issuer::new(AS).keys(server.keys()).accept(rules);
    plan_of([record]).start().await
}

fn plan_of(issuers: impl IntoIterator<Item = Issuer>) -> Plan {
    let own_exchange = |clients: Vec<Client>| {
        let client = |client: Client| if client.id() == "orders" { client.allow_self_exchange() } else { client };
        clients.into_iter().map(client).collect()
    };
    plan_with(own_exchange, |targets| targets).with(|builder| builder.issuers(issuers))
}

/// Exchanges an access token as a client for a target. Returns the claims of the issued token, or the reason.
async fn exchanged_by(world: &mut World, client: &str, target: &str, token: &str) -> Result<Value, Reason> {
    let form = [
        ("grant_type", tower_token_exchange::GRANT_TYPE),
        ("subject_token", token),
        ("subject_token_type", ACCESS_TOKEN),
        ("audience", target),
    ];
    let reply = world.post_as(client, &form).await;
    let event = world.event().await;
    assert!(world.no_event(), "one event for one attempt");
    match event.reason {
        None => {
            assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
            Ok(reply.claims())
        }
        Some(reason) => Err(reason),
    }
}

/// The `sub` and the scope of what `orders` gets for `billing`.
async fn exchanged(world: &mut World, token: &str) -> Result<(String, String), Reason> {
    let issued = exchanged_by(world, "orders", "billing", token).await?;
    let text = |claim: &str| issued[claim].as_str().unwrap().to_owned();
    Ok((text("sub"), text("scope")))
}
