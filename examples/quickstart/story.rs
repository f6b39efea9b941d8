//! The steps of the quickstart, with their explanations. The program checks every sentence with a check mark.

use crate::{
    ACCESS_TOKEN,
    authorization_server::AuthorizationServer,
    http_client::{HttpClient, Reply},
    records,
    resource_server::ResourceServer,
};
use serde_json::{Value, json};
use std::{error::Error, ops::Deref};
use tower_token_exchange::{GRANT_TYPE, Reason};

const INTRODUCTION: &str = "\
Token exchange, step by step
════════════════════════════

Alice uses a web application. The application calls the service `orders`, `orders` calls `billing`, and `billing` calls
`ledger`. Each call carries an access token. Why does `orders` not simply pass Alice's token on to `billing`?

  • The token is for `orders`. A service must refuse a token that is for another service.
  • If `billing` accepted the token, `billing` could use the same token to call `orders` as Alice. Every service that
    a token passes through could do everything that Alice can do.
  • Nobody could tell a call by Alice from a call that `orders` makes for Alice.

So `orders` exchanges the token. The authorization server issues a new token that is good only at `billing`, allows no
more than the call needs, expires soon, and names both Alice and `orders`.

Five words:

  subject   the party on whose behalf a call is made: Alice
  actor     the party that makes the call: `orders`
  client    a program that asks the authorization server for a token: `orders`, when it exchanges Alice's token
  target    a service that the new token is for: `billing`
  issuer    the server that signs a token: here, the authorization server";

pub(crate) async fn tell(server: &AuthorizationServer) -> Result<(), Box<dyn Error>> {
    println!("{INTRODUCTION}\n");
    println!("The authorization server listens on {} (`--port PORT` chooses another port).", server.issuer);
    println!(
        "Its token endpoint knows one ordinary grant. A `TokenExchangeLayer` around the endpoint adds token exchange."
    );
    Story { http: HttpClient::new()?, server }.tell().await
}

struct Story<'a> {
    http: HttpClient,
    server: &'a AuthorizationServer,
}

/// The answer to the client, and the reason of a refusal from the audit event.
struct Answer {
    reply: Reply,
    reason: Option<Reason>,
}

impl Deref for Answer {
    type Target = Reply;

    fn deref(&self) -> &Reply {
        &self.reply
    }
}

impl Story<'_> {
    async fn tell(&self) -> Result<(), Box<dyn Error>> {
        heading("1. Alice logs in, and the application gets a token for `orders`.");
        println!("This is an ordinary grant. The layer passes the request to the old endpoint, byte for byte.");
        let answer = self.post(None, &[("grant_type", "authorization_code"), ("code", "alice-at-orders")]).await?;
        check(answer.header("x-answered-by") == "the old endpoint", "the old endpoint answered, not the layer")?;
        let at_orders = self.accepted_at("orders", &answer).await?;
        check(at_orders["act"].is_null(), "the token has no `act` claim: nobody acts for Alice")?;
        let user_token = answer.token()?;

        heading("2. `orders` passes the token on to `billing`.");
        let refusal = self.verify("billing", &user_token).await.err();
        check(refusal.is_some(), "`billing` refuses the token")?;
        println!("    {}", refusal.map(|problem| problem.to_string()).unwrap_or_default());

        heading("3. `orders` exchanges the token for a token for `billing`: a delegation.");
        self.show_records(&["orders", "billing", "orders_may_bill"]);
        let answer = self.exchange("orders", &user_token, &[("audience", "billing")]).await?;
        check(
            answer.body["issued_token_type"] == ACCESS_TOKEN,
            "the answer says that the new token is an access token",
        )?;
        let at_billing = self.accepted_at("billing", &answer).await?;
        check(at_billing["sub"] == "alice", "the subject is still Alice")?;
        check(at_billing["act"] == json!({ "sub": "orders" }), "`act` names the actor: `orders` acts for Alice")?;
        check(
            at_billing["scope"] == "invoices:read",
            "`orders:read` becomes `invoices:read`, and nothing more is granted",
        )?;
        check(at_billing["exp"].as_u64() <= at_orders["exp"].as_u64(), "the new token does not outlive Alice's token")?;
        let billing_token = answer.token()?;

        heading("4. `billing` exchanges that token for a token for `ledger`. The chain of actors grows.");
        self.show_records(&["ledger", "billing_may_look_up"]);
        let wanted = [("resource", "https://ledger.example/api"), ("scope", "entries:read entries:write")];
        let answer = self.exchange("billing", &billing_token, &wanted).await?;
        check(
            answer.body["scope"] == "entries:read",
            "`entries:write` was requested too; the answer says what was granted",
        )?;
        let at_ledger = self.accepted_at("ledger", &answer).await?;
        let chain = json!({ "sub": "billing", "act": { "sub": "orders" } });
        check(at_ledger["act"] == chain, "`act` names both: `billing` acts, and `orders` acted before")?;

        heading("5. `orders` gets a token for `archive`. The rule allows an impersonation.");
        self.show_records(&["archive", "orders_may_archive"]);
        let answer = self.exchange("orders", &user_token, &[("audience", "archive")]).await?;
        let at_archive = self.accepted_at("archive", &answer).await?;
        check(at_archive["sub"] == "alice" && at_archive["act"].is_null(), "`archive` sees Alice and no actor")?;

        heading("6. `reports` has a token from Alice and wants to call `ledger`, but no rule allows the exchange.");
        let answer = self.post(None, &[("grant_type", "authorization_code"), ("code", "alice-at-reports")]).await?;
        let reports_token = answer.token()?;
        println!("`reports` tries to exchange this token:");
        let answer = self.exchange("reports", &reports_token, &[("audience", "ledger")]).await?;
        self.refused(&answer, Reason::PolicyNoRule)?;
        self.explain("reports", &form_of(&reports_token, &[("audience", "ledger")])).await?;

        heading("7. `reports` has stolen the token that was issued for `billing`, and tries to exchange that token.");
        let answer = self.exchange("reports", &billing_token, &[("audience", "ledger")]).await?;
        self.refused(&answer, Reason::PresenterUnrelated)?;

        println!(
            "\nEvery check passed. The layer is in examples/quickstart/authorization_server.rs,\nthe records are in examples/quickstart/records.rs."
        );
        Ok(())
    }

    fn show_records(&self, names: &[&str]) {
        println!("These records make the exchange possible:\n");
        names.iter().flat_map(|name| records::source(name)).for_each(|line| println!("  │ {}", &line[4..]));
    }

    async fn exchange(&self, client: &str, token: &str, more: &[(&str, &str)]) -> Result<Answer, Box<dyn Error>> {
        self.post(Some(client), &form_of(token, more)).await
    }

    /// Sends a form to the token endpoint, and prints the request, the answer and the audit event.
    async fn post(&self, client: Option<&str>, form: &[(&str, &str)]) -> Result<Answer, Box<dyn Error>> {
        println!(
            "\n  POST /token{}",
            client.map(|id| format!("  (client `{id}`, with its secret)")).unwrap_or_default()
        );
        form.iter().for_each(|(name, value)| println!("    {name}={}", shortened(value)));
        let credentials = client.map(|id| (id, self.server.secret_of(id)));
        let reply = self.http.post_form(&format!("{}/token", self.server.issuer), credentials, form).await?;
        println!("  → {}", reply.status);
        print_members(&reply.body);

        let event = self.server.next_audit_event();
        if let Some(event) = &event {
            let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            println!("  Audit event:");
            println!("    outcome: {}", event.outcome);
            event.reason.iter().for_each(|reason| println!("    reason: {reason}"));
            let client = or_none(event.client_id.as_ref().map(ToString::to_string));
            let subject = or_none(event.subject.as_ref().map(|party| party.sub.to_string()));
            let actor = or_none(event.actor.as_ref().map(|party| party.sub.to_string()));
            println!("    client: {client}, subject: {subject}, actor: {actor}");
            event.policy_id.iter().for_each(|rule| println!("    allowed by rule: {rule}"));
            event.detail.iter().for_each(|detail| print_wrapped("    ", &format!("detail: {detail}")));
        }
        println!();
        Ok(Answer { reply, reason: event.and_then(|event| event.reason) })
    }

    /// The service verifies the token in the answer, and returns the claims.
    async fn accepted_at(&self, service: &str, answer: &Answer) -> Result<Value, Box<dyn Error>> {
        let claims = self.verify(service, &answer.token()?).await?;
        check(true, &format!("`{service}` verifies the token with the published keys, and reads these claims:"))?;
        print_members(&claims);
        Ok(claims)
    }

    async fn verify(&self, service: &str, token: &str) -> Result<Value, Box<dyn Error>> {
        let keys = self.http.get(&format!("{}/jwks", self.server.issuer)).await?;
        let server = ResourceServer { audience: format!("https://{service}.example"), issuer: &self.server.issuer };
        server.verify(token, &keys.body)
    }

    fn refused(&self, answer: &Answer, reason: Reason) -> Result<(), Box<dyn Error>> {
        let is_generic = answer.status == 400 && answer.body["error"] == "invalid_request";
        check(is_generic, "the client receives a general error, which reveals nothing")?;
        check(answer.reason == Some(reason), &format!("the audit event has the reason: {reason}"))?;
        print_wrapped("    ", reason.meaning());
        print_wrapped("    ", &reason.remedy().to_string());
        Ok(())
    }

    /// Prints what the layer answers to an operator who asks which rule is missing.
    async fn explain(&self, client: &str, form: &[(&str, &str)]) -> Result<(), Box<dyn Error>> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let explanation = self.server.explain(client, &form).await;
        let rule = explanation.suggested_rule.ok_or("no rule was suggested")?;
        check(
            rule.code.starts_with("Rule::allow(\"reports\""),
            "`TokenExchangeLayer::explain` suggests the missing rule:",
        )?;
        rule.to_string().lines().for_each(|line| print_wrapped("  │ ", line));
        Ok(())
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

fn check(holds: bool, claim: &str) -> Result<(), Box<dyn Error>> {
    println!("  {} {claim}", if holds { "✓" } else { "✗" });
    if holds { Ok(()) } else { Err(format!("this is not true: {claim}").into()) }
}

/// Prints each member of a JSON object on a line of its own.
fn print_members(object: &Value) {
    for (name, value) in object.as_object().into_iter().flatten() {
        match value {
            Value::String(text) => println!("    {name}: \"{}\"", shortened(text)),
            other => println!("    {name}: {other}"),
        }
    }
}

/// Prints a text in lines of at most 110 characters.
fn print_wrapped(margin: &str, text: &str) {
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.len() + word.len() > 110 {
            println!("{margin}{}", std::mem::take(&mut line));
        }
        line += word;
        line.push(' ');
    }
    println!("{margin}{}", line.trim_end());
}

fn shortened(text: &str) -> String {
    if text.len() <= 80 { text.to_owned() } else { format!("{}… ({} characters)", &text[..24], text.len()) }
}
