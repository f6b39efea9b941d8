//! Exchanges with something that may be used once. The replay store in memory remembers it.

use super::{Scenario, Work, sign, verify};
use crate::world::{ISSUER, SECRET, World, jwt, local_signer, now};
use serde_json::{Value, json};
use tower_token_exchange::{Client, proof::Dpop, signing::Algorithm};

const TOKEN_ENDPOINT: &str = "https://as.example/token";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

pub(super) fn scenarios() -> Vec<Scenario> {
    let es256 = Algorithm::ES256;
    let two_verifications = || [verify(es256), verify(es256), sign(es256)];
    vec![
        Scenario::new("exchange ES256, DPoP proof", with_dpop_proof).with_cryptography(two_verifications()),
        Scenario::new("exchange ES256, private_key_jwt", by_client_assertion).with_cryptography(two_verifications()),
        Scenario::new("exchange ES256, one-time subject token", of_one_time_tokens)
            .with_cryptography([verify(es256), sign(es256)]),
    ]
}

/// The client proves a key, and the issued token is bound to the key.
fn with_dpop_proof() -> Work {
    let mut world = World::new(Algorithm::ES256);
    let key = local_signer(Algorithm::ES256);
    let published: Value = serde_json::from_str(&key.published_keys().to_json()).expect("a key set");
    let published = &published["keys"][0];
    let jwk = json!({ "kty": published["kty"], "crv": published["crv"], "x": published["x"], "y": published["y"] });
    let header = json!({ "typ": "dpop+jwt", "jwk": jwk });
    let mut made = 0;
    Work::requests(world.builder().dpop(Dpop::new(TOKEN_ENDPOINT)), None, move || {
        made += 1;
        let claims = json!({ "htm": "POST", "htu": TOKEN_ENDPOINT, "iat": now(), "jti": format!("proof-{made}") });
        let proof = jwt(&key, header.clone(), &claims);
        let mut request = World::exchange(&world.own.next(&json!({})));
        request.headers_mut().insert("dpop", proof.parse().expect("a header value"));
        request
    })
}

/// The client authenticates with an assertion that it signs.
fn by_client_assertion() -> Work {
    let mut world = World::new(Algorithm::ES256);
    let key = local_signer(Algorithm::ES256);
    let client = Client::new("orders").keys(key.published_keys().key_set());
    let mut made = 0;
    Work::requests(world.builder_with(client), None, move || {
        made += 1;
        let claims = json!({
            "iss": "orders", "sub": "orders", "aud": ISSUER, "iat": now(), "exp": now() + 60,
            "jti": format!("assertion-{made}"),
        });
        let header = json!({ "typ": "client-authentication+jwt", "kid": key.key_id() });
        let assertion = jwt(&key, header, &claims);
        let credentials = [("client_assertion_type", JWT_BEARER), ("client_assertion", &assertion)];
        let form = [&[("audience", "billing"), ("client_id", "orders")], &credentials[..]].concat();
        World::request_without_credentials(&world.own.next(&json!({})), &form)
    })
}

fn of_one_time_tokens() -> Work {
    let mut world = World::new(Algorithm::ES256);
    let client = Client::new("orders").secret(SECRET).one_time_subject_tokens();
    Work::requests(world.builder_with(client), None, move || World::exchange(&world.own.next(&json!({}))))
}
