//! A refusal at each stage.

use super::{Scenario, Work, verify};
use crate::world::{SECRET, World};
use axum::body::Body;
use http::Request;
use serde_json::json;
use std::{convert::Infallible, future::ready};
use tower_token_exchange::{
    Reason, TokenExchangeBuilder,
    signing::{Algorithm, Signature, Signer, SigningRequest},
    status::{Status, StatusQuery},
};

/// The stage, the reason, the number of verifications, and what is different from an exchange that succeeds.
type Refusal = (&'static str, Reason, usize, Change);

struct Change {
    layer: fn(&World) -> TokenExchangeBuilder,
    request: fn(&str) -> Request<Body>,
}

const BILLING: &[(&str, &str)] = &[("audience", "billing")];

fn refusals() -> Vec<Refusal> {
    let request = |request| Change { layer: World::builder, request };
    let layer = |layer| Change { layer, request: World::exchange };
    vec![
        (
            "refused when presented",
            Reason::RepeatedParameter,
            0,
            request(|token| World::request("orders", SECRET, token, &[("scope", "read"), ("scope", "read")])),
        ),
        (
            "refused when authenticated, bad secret",
            Reason::ClientRejected,
            0,
            request(|token| World::request("orders", "a-long-and-wrong-secret", token, BILLING)),
        ),
        (
            "refused when resolved",
            Reason::TargetUnknown,
            0,
            request(|token| World::request("orders", SECRET, token, &[("audience", "payroll")])),
        ),
        (
            "refused when validated, bad signature",
            Reason::TokenSignatureInvalid,
            1,
            request(|token| World::exchange(&with_another_signature(token))),
        ),
        (
            "refused when bounded",
            Reason::PresenterUnrelated,
            1,
            request(|token| World::request("reports", SECRET, token, BILLING)),
        ),
        (
            "refused when still valid",
            Reason::StatusRefused,
            1,
            layer(|world| {
                let suspended = |_: StatusQuery| ready(Ok::<_, Infallible>(Status::refused("suspended")));
                world.builder().status(tower::service_fn(suspended))
            }),
        ),
        (
            "refused when decided",
            Reason::PolicyNoRule,
            1,
            request(|token| World::request("orders", SECRET, token, &[("audience", "ledger")])),
        ),
        (
            "refused when issued",
            Reason::SignerUnavailable,
            1,
            layer(|world| {
                let (key, keys) = (&world.own.key, world.own.key.published_keys().key_set());
                let broken = tower::service_fn(|_: SigningRequest| ready(Err::<Signature, _>(std::fmt::Error)));
                let signer = Signer::new(key.key_id().clone(), key.algorithm(), broken, keys);
                world.builder().signer(signer.expect("a signer"))
            }),
        ),
    ]
}

pub(super) fn scenarios() -> Vec<Scenario> {
    let scenario = |(name, reason, verifications, Change { layer, request }): Refusal| {
        let needed = vec![verify(Algorithm::ES256); verifications];
        Scenario::new(name, move || {
            let mut world = World::new(Algorithm::ES256);
            Work::requests(layer(&world), Some(reason), move || request(&world.own.next(&json!({}))))
        })
        .with_cryptography(needed)
    };
    refusals().into_iter().map(scenario).collect()
}

/// The token with a signature that has the right form and is wrong.
fn with_another_signature(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').expect("a token");
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{signed}.{other}{}", &signature[1..])
}
