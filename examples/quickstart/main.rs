//! Token exchange from end to end, in one process and over real HTTP on loopback.
//!
//! `cargo run --example quickstart` tells the story and checks every step of it.
//! `cargo run --example quickstart -- --serve [PORT]` then keeps the server up, for a `curl` of your own.

// The story is what this program is for.
#![allow(clippy::print_stdout)]

mod authorization_server;
mod http_client;
mod resource_server;

use authorization_server::{AuthorizationServer, summary};
use http_client::{HttpClient, Reply};
use resource_server::ResourceServer;
use serde_json::{Value, json};
use std::{error::Error, ops::Deref};
use tokio::net::TcpListener;
use tower_token_exchange::{GRANT_TYPE, Reason};

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (serve, port) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => (false, 0),
        ["--serve"] => (true, 8693),
        ["--serve", port] => (true, port.parse()?),
        _ => return Err("usage: quickstart [--serve [PORT]]".into()),
    };
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let server = AuthorizationServer::start(listener)?;
    Story { http: HttpClient::new()?, server: &server }.tell().await?;
    if serve {
        explain_by_hand(&server);
        std::future::pending::<()>().await;
    }
    Ok(())
}

struct Story<'a> {
    http: HttpClient,
    server: &'a AuthorizationServer,
}

/// What the client was told, and what the audit says about it.
struct Answered {
    reply: Reply,
    reason: Option<&'static str>,
}

impl Deref for Answered {
    type Target = Reply;

    fn deref(&self) -> &Reply {
        &self.reply
    }
}

impl Story<'_> {
    async fn tell(&self) -> Result<(), Box<dyn Error>> {
        let issuer = &self.server.issuer;
        println!("An authorization server runs at {issuer}. Its /token endpoint knows one ordinary grant, and a");
        println!("TokenExchangeLayer is mounted on it. Three services hang off it: orders → billing → ledger.");

        heading("1  Alice logs in. An ordinary grant passes the layer and reaches the old endpoint.");
        let reply = self.token(None, &[("grant_type", "authorization_code"), ("code", "alice-at-orders")]).await?;
        let alice_at_orders = self.accepted(&reply, "orders").await?;
        claim(reply.header("x-answered-by") == "the old endpoint", "the old endpoint answered, not the layer")?;
        claim(alice_at_orders["act"].is_null(), "nobody acts for Alice yet: there is no `act`")?;
        let user_token = reply.token()?;

        heading("2  orders exchanges Alice's token for one that it can use at billing: a delegation.");
        let reply = self.exchange("orders", &user_token, &[("audience", "billing")]).await?;
        let at_billing = self.accepted(&reply, "billing").await?;
        claim(reply.body["issued_token_type"] == ACCESS_TOKEN, "the answer says what was issued")?;
        claim(at_billing["sub"] == "alice", "the subject is still Alice")?;
        claim(at_billing["act"] == json!({ "sub": "orders" }), "`act` says that orders acts for her")?;
        claim(at_billing["scope"] == "invoices:read", "`orders:read` is worth `invoices:read` at billing, no more")?;
        claim(at_billing["exp"].as_u64() <= alice_at_orders["exp"].as_u64(), "it does not outlive Alice's token")?;
        let billing_token = reply.token()?;

        heading("3  billing exchanges that for ledger. The chain of actors grows, and nobody falls off it.");
        let resource = [("resource", "https://ledger.example/api"), ("scope", "entries:read entries:write")];
        let reply = self.exchange("billing", &billing_token, &resource).await?;
        let at_ledger = self.accepted(&reply, "ledger").await?;
        let chain = json!({ "sub": "billing", "act": { "sub": "orders" } });
        claim(at_ledger["act"] == chain, "`act` says: billing acts now, orders did before")?;
        claim(
            reply.body["scope"] == "entries:read",
            "`entries:write` was asked for too, and the answer says it was not granted",
        )?;

        heading("4  orders exchanges Alice's token for archive, where its rule allows an impersonation.");
        let reply = self.exchange("orders", &user_token, &[("audience", "archive")]).await?;
        let at_archive = self.accepted(&reply, "archive").await?;
        claim(at_archive["sub"] == "alice" && at_archive["act"].is_null(), "archive sees Alice, and no actor")?;

        heading("5  reports has a token of Alice's own giving and may call ledger, but no rule speaks for it.");
        let reply = self.token(None, &[("grant_type", "authorization_code"), ("code", "alice-at-reports")]).await?;
        let reports_token = reply.token()?;
        let reply = self.exchange("reports", &reports_token, &[("audience", "ledger")]).await?;
        self.refused(&reply, "policy_no_rule")?;
        self.missing_rule("reports", &form_of(&reports_token, &[("audience", "ledger")])).await?;

        heading("6  reports got hold of the token that was meant for billing, and tries its luck with that.");
        let reply = self.exchange("reports", &billing_token, &[("audience", "ledger")]).await?;
        self.refused(&reply, "presenter_unrelated")?;
        println!("\nEvery step came out as claimed.");
        Ok(())
    }

    async fn exchange(&self, client: &str, token: &str, more: &[(&str, &str)]) -> Result<Answered, Box<dyn Error>> {
        self.token(Some(client), &form_of(token, more)).await
    }

    /// The operator's side: what the layer says to somebody who asks it why.
    async fn missing_rule(&self, client: &str, form: &[(&str, &str)]) -> Result<(), Box<dyn Error>> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let explanation = self.server.explain(client, &form).await;
        let rule = explanation.suggested_rule.ok_or("no rule was suggested")?;
        println!("  `TokenExchangeLayer::explain` says, among other things:");
        rule.to_string().lines().for_each(|line| println!("    │ {line}"));
        claim(rule.code.starts_with("Rule::allow(\"reports\""), "it says which rule is missing")
    }

    async fn token(&self, client: Option<&str>, form: &[(&str, &str)]) -> Result<Answered, Box<dyn Error>> {
        println!("\n  POST /token{}", client.map(|id| format!("   (as {id}, with its secret)")).unwrap_or_default());
        for (name, value) in form {
            println!("    {name}={}", shortened(value));
        }
        let credentials = client.map(|id| (id, self.server.secret_of(id)));
        let reply = self.http.post_form(&format!("{}/token", self.server.issuer), credentials, form).await?;
        let mut shown = reply.body.clone();
        if let Some(token) = shown.get_mut("access_token") {
            *token = shortened(token.as_str().unwrap_or_default()).into();
        }
        println!("  {} {shown}", reply.status);
        let event = self.server.new_audit_event();
        if let Some(line) = event.as_ref().and_then(summary) {
            println!("  audit: {line}");
        }
        Ok(Answered { reply, reason: event.and_then(|event| event.reason).map(Reason::code) })
    }

    /// The resource server's side: it fetches the published keys, verifies the token, and reads its claims.
    async fn accepted(&self, reply: &Reply, service: &'static str) -> Result<Value, Box<dyn Error>> {
        let keys = self.http.get(&format!("{}/jwks", self.server.issuer)).await?;
        let service = ResourceServer { audience: format!("https://{service}.example"), issuer: &self.server.issuer };
        let claims = service.verify(&reply.token()?, &keys.body)?;
        println!("  {} verified the token with the published keys and reads:", service.audience);
        println!("    {claims}");
        Ok(claims)
    }

    fn refused(&self, answered: &Answered, reason: &str) -> Result<(), Box<dyn Error>> {
        let told = answered.status == 400 && answered.body["error"] == "invalid_request";
        claim(told, "refused, in words that tell nothing")?;
        claim(answered.reason == Some(reason), &format!("the audit event says why: {reason}"))
    }
}

fn form_of<'a>(token: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut form = vec![("grant_type", GRANT_TYPE), ("subject_token", token), ("subject_token_type", ACCESS_TOKEN)];
    form.extend_from_slice(more);
    form
}

fn heading(text: &str) {
    println!("\n── {text}");
}

fn claim(holds: bool, what: &str) -> Result<(), Box<dyn Error>> {
    println!("  {} {what}", if holds { "✓" } else { "✗" });
    if holds { Ok(()) } else { Err(format!("did not come out as claimed: {what}").into()) }
}

fn shortened(text: &str) -> String {
    if text.len() <= 80 { text.to_owned() } else { format!("{}…({} characters)", &text[..24], text.len()) }
}

fn explain_by_hand(server: &AuthorizationServer) {
    let (issuer, secret) = (&server.issuer, server.secret_of("orders"));
    println!("\n── The server stays up. By hand, in another terminal:\n");
    println!("USER_TOKEN=$(curl -s {issuer}/token -d grant_type=authorization_code -d code=alice-at-orders \\");
    println!("  | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')");
    println!("curl -s {issuer}/token -u orders:{secret} \\");
    println!("  -d grant_type={GRANT_TYPE} \\");
    println!("  -d subject_token=\"$USER_TOKEN\" \\");
    println!("  -d subject_token_type={ACCESS_TOKEN} \\");
    println!("  -d audience=billing");
    println!("\nThe keys that verify the issued token: curl -s {issuer}/jwks\nCtrl-C ends it.");
}
