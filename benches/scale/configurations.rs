//! Layers with many records.

use axum::body::Body;
use http::Request;
use serde_json::json;
use std::time::UNIX_EPOCH;
use tokio::runtime::Builder;
use tower::ServiceExt;
use tower_token_exchange::{
    Client, Issuer, Target, TokenExchangeBuilder, TokenType,
    policy::{Rule, Subjects},
    records::SubjectMapping,
    revocation::{AncestryKey, CutOff, MemoryRevocations, Revocation, RevocationQuestion},
    signing::{Algorithm, PublishedKeys},
    token::NumericDate,
};
use tower_token_exchange_benches::{ISSUER, SECRET, Tokens, World, local_signer};

const CLIENTS: usize = 10_000;
const RULES: usize = 100_000;
/// The largest number of keys that the layer reads from one key set.
const KEYS: usize = 100;
const ISSUERS: usize = 1_000;
const REVOCATIONS: usize = 100_000;
/// The targets of the rules. Each rule is for another pair of client and target.
const TARGETS: usize = 100;

/// A layer to measure.
pub(crate) struct Configuration {
    pub(crate) name: String,
    /// The number of records that the smallest layer does not have.
    pub(crate) items: u64,
    pub(crate) builder: Box<dyn FnOnce() -> TokenExchangeBuilder>,
    /// Makes the next request for an exchange that the layer allows.
    pub(crate) request: Box<dyn FnMut() -> Request<Body>>,
}

/// All layers, the smallest first.
pub(crate) fn configurations() -> Vec<Configuration> {
    let with = |name: String, items: usize, more: fn(TokenExchangeBuilder) -> TokenExchangeBuilder| {
        let mut world = World::new(Algorithm::ES256);
        let builder = world.builder();
        let request = move || World::exchange(&world.own.next(&json!({})));
        Configuration {
            name,
            items: items as u64,
            builder: Box::new(move || more(builder)),
            request: Box::new(request),
        }
    };
    vec![
        with("2 clients, 3 targets, 1 rule".to_owned(), 0, |builder| builder),
        with(format!("{CLIENTS} clients more"), CLIENTS, |builder| builder.clients(clients(CLIENTS))),
        with(format!("{RULES} rules more, for 1000 clients and {TARGETS} targets"), RULES, with_rules),
        with(format!("{ISSUERS} issuers more, with one key each"), ISSUERS, |builder| builder.issuers(issuers())),
        with_keys(),
        with(format!("{REVOCATIONS} revoked tokens"), REVOCATIONS, with_revocations),
    ]
}

fn clients(count: usize) -> impl Iterator<Item = Client> {
    (0..count).map(|number| Client::new(format!("client-{number}")).secret(SECRET))
}

fn with_rules(builder: TokenExchangeBuilder) -> TokenExchangeBuilder {
    let ids: Vec<String> = (0..RULES / TARGETS).map(|number| format!("client-{number}")).collect();
    let target = |number| Target::new(format!("target-{number}")).allow_clients(&ids).scopes(["read"]);
    let rule = |number: usize| {
        let (client, target) = (ids[number / TARGETS].as_str(), format!("target-{}", number % TARGETS));
        Rule::allow(client, Subjects::any(), target.as_str()).scopes(["read"])
    };
    // The rule for the measured exchange is the last one.
    let rules = (0..RULES).map(rule).chain([Rule::allow("orders", Subjects::any(), "billing").scopes(["read"])]);
    builder.clients(clients(ids.len())).targets((0..TARGETS).map(target)).rules(rules)
}

fn issuer(iss: &str, keys: &PublishedKeys) -> Issuer {
    Issuer::new(iss)
        .keys(keys.key_set())
        .accept_types([TokenType::ACCESS_TOKEN])
        .map_subjects(SubjectMapping::Prefix(format!("{iss}|")))
        .allow_presenters(["orders"])
}

fn issuers() -> impl Iterator<Item = Issuer> {
    (0..ISSUERS).map(|number| {
        issuer(&format!("https://{number}.idp.example"), &local_signer(Algorithm::ES256).published_keys())
    })
}

/// One issuer with many keys. The subject tokens are signed with one of these keys.
fn with_keys() -> Configuration {
    const MANY_KEYS: &str = "https://many-keys.example";
    let builder = World::new(Algorithm::ES256).builder();
    let keys: Vec<_> = (0..KEYS).map(|_| local_signer(Algorithm::ES256)).collect();
    let published = keys.iter().skip(1).fold(keys[0].published_keys(), |all, key| all.and(key.published_keys()));
    let mut tokens = Tokens::new(MANY_KEYS, keys[KEYS / 2].clone());
    Configuration {
        name: format!("1 issuer more, with {KEYS} keys"),
        items: KEYS as u64,
        builder: Box::new(move || builder.issuers([issuer(MANY_KEYS, &published)])),
        request: Box::new(move || World::exchange(&tokens.next(&json!({ "aud": ISSUER })))),
    }
}

fn with_revocations(builder: TokenExchangeBuilder) -> TokenExchangeBuilder {
    let store = MemoryRevocations::new(REVOCATIONS);
    let now = UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    let [now, until] = [now, now + 3600].map(NumericDate::from_seconds);
    let ancestry_key = AncestryKey::new([7; 32]).expect("a long key");
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    for number in 0..REVOCATIONS {
        // Each client has its share of the store.
        let (name, holder) = (number.to_string(), format!("client-{}", number % 10));
        let key = CutOff::session(ISSUER, name).key(&ancestry_key);
        let question = RevocationQuestion::revoke(Revocation::of_token(key, until).by(holder), now);
        runtime.block_on(store.clone().oneshot(question)).expect("a place in the store");
    }
    builder.revocations(store).ancestry_key(ancestry_key)
}
