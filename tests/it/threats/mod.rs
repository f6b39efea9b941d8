//! The known attacks on a token exchange.
//!
//! The name of each test starts with the number of its threat. The comment of a test describes the attack. Each test sends
//! its requests to the whole layer over HTTP, and also sends the request of an honest client, which succeeds.

mod bounds;
mod chain;
mod confusion;
mod contents;
mod failing;
mod keys;
mod presenter;

use crate::support::*;
use http::StatusCode;
use serde_json::{Value, json};
use tower_token_exchange::{
    Client, Issuer, Reason, Target,
    audit::Outcome,
    jwks::KeySet,
    policy::{Names, Rule, Subjects},
    records::SubjectMapping,
    signing::{Algorithm, LocalSigner},
};

const ORDERS: &str = "https://orders.example";
const BILLING: &str = "https://billing.example";
const REFRESH_TOKEN: &str = "urn:ietf:params:oauth:token-type:refresh_token";
/// A second foreign issuer. Each test writes the record of this issuer.
const PARTNER: &str = "https://partner.example";

/// An exchange request that is not sent yet.
#[derive(Clone)]
struct Ask {
    client: String,
    form: Vec<(String, String)>,
}

/// Returns a request for a token for `billing`, with an access token of our own issuer.
fn ask(client: &str, subject_token: &str) -> Ask {
    let form = exchange_form(subject_token, &[]).into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    Ask { client: client.into(), form }
}

/// Returns the same request with a JWT of a foreign issuer.
fn ask_foreign(client: &str, subject_token: &str) -> Ask {
    ask(client, subject_token).typed(JWT)
}

impl Ask {
    /// Replaces all values of a parameter.
    fn set(mut self, name: &str, value: &str) -> Self {
        self.form.retain(|(known, _)| known != name);
        self.and(name, value)
    }

    /// Adds a value of a parameter.
    fn and(mut self, name: &str, value: &str) -> Self {
        self.form.push((name.into(), value.into()));
        self
    }

    fn typed(self, subject_token_type: &str) -> Self {
        self.set("subject_token_type", subject_token_type)
    }

    fn at(self, target: &str) -> Self {
        self.set("audience", target)
    }

    fn resource(mut self, uri: &str) -> Self {
        self.form.retain(|(known, _)| known != "audience");
        self.set("resource", uri)
    }

    fn scope(self, scope: &str) -> Self {
        self.set("scope", scope)
    }

    fn actor(self, token: &str, token_type: &str) -> Self {
        self.set("actor_token", token).set("actor_token_type", token_type)
    }

    fn body(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.form).finish()
    }

    async fn send(&self, world: &World) -> Reply {
        world.post(Some(&basic(&self.client, &secret_of(&self.client))), self.body()).await
    }

    /// Sends the request, and returns the issued token.
    async fn token(&self, world: &mut World, why: &str) -> String {
        let reply = self.send(world).await;
        let event = world.event().await;
        assert_eq!((reply.status, event.reason), (StatusCode::OK, None), "{why}: {}, {:?}", reply.text, event.detail);
        assert_eq!(event.outcome, Outcome::Issued, "{why}");
        reply.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// Sends the request, and returns the claims of the issued token.
    async fn claims(&self, world: &mut World, why: &str) -> Value {
        segment(&self.token(world, why).await, 1)
    }

    /// Sends the request, which is refused with `invalid_request` and audited with this reason.
    async fn refused(&self, world: &mut World, reason: Reason, why: &str) {
        self.refused_as("invalid_request", world, reason, why).await;
    }

    /// Sends the request, which is refused with this error.
    async fn refused_as(&self, error: &str, world: &mut World, reason: Reason, why: &str) {
        let reply = self.send(world).await;
        assert_refused(world, &reply, (400, error), reason, why).await;
    }
}

/// Checks that the answer reveals nothing, and that the only audit event has the reason.
async fn assert_refused(world: &mut World, reply: &Reply, told: (u16, &str), reason: Reason, why: &str) {
    let event = world.event().await;
    let found = (reply.status.as_u16(), reply.error());
    assert_eq!(found, (told.0, told.1.to_owned()), "{why}: {}, {:?} {:?}", reply.text, event.reason, event.detail);
    assert_eq!(event.reason, Some(reason), "{why}: {:?}", event.detail);
    let members: Vec<String> = reply.json().as_object().unwrap().keys().cloned().collect();
    assert_eq!(members, ["error", "error_description"], "{why}");
    assert_eq!((event.error.map(|error| error.as_str()), event.granted), (Some(told.1), None), "{why}");
    assert_eq!(event.outcome, if told.0 < 500 { Outcome::Denied } else { Outcome::Error }, "{why}");
    assert!(world.no_event(), "{why}: one event for each attempt");
    assert!(world.passed.lock().unwrap().is_empty(), "{why}: the wrapped service received the request");
}

fn partner() -> Minter {
    Minter::new(PARTNER, Algorithm::ES256)
}

/// The record of the second foreign issuer. `orders` may present its tokens.
fn partner_record(partner: &Minter) -> Issuer {
    Issuer::new(PARTNER)
        .keys(partner.keys())
        .map_subjects(SubjectMapping::Prefix("partner|".into()))
        .allow_presenters(["orders"])
}

fn client(id: &str) -> Client {
    Client::new(id).secret(secret_of(id))
}

/// Changes the record of one client.
fn changing(id: &'static str, change: impl Fn(Client) -> Client + Copy) -> impl Fn(Vec<Client>) -> Vec<Client> + Copy {
    move |mut clients| {
        let position = clients.iter().position(|client| client.id() == id).unwrap();
        let record = change(clients.remove(position));
        clients.push(record);
        clients
    }
}

fn same<T>(records: T) -> T {
    records
}

/// Lets every client of the plan get tokens for `billing`.
fn open_billing(targets: Vec<Target>) -> Vec<Target> {
    let open =
        |target: Target| if target.id() == "billing" { target.allow_clients(["orders", "reports"]) } else { target };
    targets.into_iter().map(open).collect()
}

/// A rule that allows every client everything within the records, if the client is the actor.
fn anything() -> Rule {
    Rule::allow(Names::any(), Subjects::any().or_clients(), Names::any()).scopes(Names::any())
}

/// The public keys of a signer.
fn jwks(signer: &LocalSigner) -> Vec<Value> {
    let mut document: Value = serde_json::from_str(&signer.published_keys().to_json()).unwrap();
    serde_json::from_value(document["keys"].take()).unwrap()
}

fn key_set(keys: impl IntoIterator<Item = Value>) -> KeySet {
    KeySet::from_json(json!({ "keys": keys.into_iter().collect::<Vec<_>>() }).to_string()).unwrap()
}

/// Signs claims as they are, `null` members included, under the header of this token type.
fn signed(minter: &Minter, typ: &str, claims: &Value) -> String {
    minter.sign(&minter.header(typ), claims)
}
