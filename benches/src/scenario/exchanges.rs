//! Exchanges that succeed. The subject token is another one each time, unless the scenario says otherwise.

use super::{Scenario, Work, sign, verify};
use crate::world::{ISSUER, SECRET, Tokens, World, local_signer};
use serde_json::{Value, json};
use tower_token_exchange::{Issuer, TokenType, records::SubjectMapping, signing::Algorithm};

const OTHER_ISSUER: &str = "https://idp.example";
/// The keys in a large key set.
const KEYS: usize = 100;

pub(super) fn scenarios() -> Vec<Scenario> {
    let plain = [Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256].map(|algorithm| {
        Scenario::new(format!("exchange {algorithm}"), move || of_new_tokens(algorithm, json!({})))
            .with_cryptography(once(algorithm))
    });
    let es256 = Algorithm::ES256;
    plain
        .into_iter()
        .chain([
            // Only the new signature is needed: the layer can remember that the signature of the token is good.
            Scenario::new("exchange ES256, the same token again", the_same_token).with_cryptography([sign(es256)]),
            Scenario::new("exchange ES256, chain of 4 actors", move || {
                let chain = json!({ "sub": "web", "act": { "sub": "gateway", "act": { "sub": "portal" } } });
                of_new_tokens(es256, json!({ "act": chain }))
            })
            .with_cryptography(once(es256)),
            Scenario::new("exchange ES256, actor token", with_actor_token).with_cryptography([
                verify(es256),
                verify(es256),
                sign(es256),
            ]),
            Scenario::new(format!("exchange ES256, issuer with {KEYS} keys"), of_an_issuer_with_many_keys)
                .with_cryptography(once(es256)),
        ])
        .collect()
}

/// The counted cryptography of one exchange without an actor token.
fn once(algorithm: Algorithm) -> Vec<String> {
    if signs_on_another_thread(algorithm) { vec![verify(algorithm)] } else { vec![verify(algorithm), sign(algorithm)] }
}

/// Whether the signer works on another thread, whose instructions are not counted.
pub fn signs_on_another_thread(algorithm: Algorithm) -> bool {
    algorithm == Algorithm::RS256
}

fn of_new_tokens(algorithm: Algorithm, more: Value) -> Work {
    let mut world = World::new(algorithm);
    Work::requests(world.builder(), None, move || World::exchange(&world.own.next(&more)))
}

fn the_same_token() -> Work {
    let mut world = World::new(Algorithm::ES256);
    let token = world.own.next(&json!({}));
    Work::requests(world.builder(), None, move || World::exchange(&token))
}

fn with_actor_token() -> Work {
    let mut world = World::new(Algorithm::ES256);
    Work::requests(world.builder(), None, move || {
        let subject = world.own.next(&json!({}));
        let actor = world.own.next(&json!({ "sub": "orders", "client_id": "orders" }));
        let access_token = "urn:ietf:params:oauth:token-type:access_token";
        let more = [("audience", "billing"), ("actor_token", &actor), ("actor_token_type", access_token)];
        World::request("orders", SECRET, &subject, &more)
    })
}

fn of_an_issuer_with_many_keys() -> Work {
    let world = World::new(Algorithm::ES256);
    let keys: Vec<_> = (0..KEYS).map(|_| local_signer(Algorithm::ES256)).collect();
    let published = keys.iter().skip(1).fold(keys[0].published_keys(), |all, key| all.and(key.published_keys()));
    let issuer = Issuer::new(OTHER_ISSUER)
        .keys(published.key_set())
        .accept_types([TokenType::ACCESS_TOKEN])
        .map_subjects(SubjectMapping::Prefix("idp|".into()))
        .allow_presenters(["orders"]);
    let mut tokens = Tokens::new(OTHER_ISSUER, keys[KEYS / 2].clone());
    let for_this_server = json!({ "aud": ISSUER });
    Work::requests(world.builder().issuers([issuer]), None, move || World::exchange(&tokens.next(&for_this_server)))
}
