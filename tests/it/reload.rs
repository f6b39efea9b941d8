//! Changes while the layer runs: every setter checks what `build` checks, and a change counts as a whole or not at all.

use crate::support::*;
use serde_json::json;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tower::service_fn;
use tower_token_exchange::{
    Client, Document, Target, TokenExchangeBuilder, TokenExchangeLayer,
    policy::{Rule, Subjects},
    revocation::MemoryRevocations,
    signing::{Algorithm, LocalSigner, Signature, Signer, SigningRequest},
};

/// Records with which tokens have this scope.
fn document(scope: &str) -> Document {
    Document::new()
        .clients([Client::new("orders").secret(secret_of("orders"))])
        .targets([
            Target::new("orders").audience_claim("https://orders.example").served_by("orders").scopes(["read"]),
            Target::new("billing")
                .audience_claim("https://billing.example")
                .allow_clients(["orders"])
                .scopes(["read", "write"]),
        ])
        .rules([Rule::allow("orders", Subjects::any(), "billing").scopes([scope])])
}

/// A plan with endpoints that need the keys of the signer.
fn planned() -> Plan {
    let Plan { own, idp, .. } = plan();
    let builder = builder(document("read"), own.key.clone());
    Plan { own, idp, builder }
}

fn builder(document: Document, signer: impl Into<Signer>) -> TokenExchangeBuilder {
    TokenExchangeLayer::builder(AS)
        .clock(|| std::time::UNIX_EPOCH + std::time::Duration::from_secs(NOW))
        .document(document)
        .signer(signer)
        .introspection_endpoint("/introspect")
        .revocation_endpoint("/revoke")
        .revocations(MemoryRevocations::new(100))
}

/// A signer whose public key nobody gave.
fn unknown_signer() -> Signer {
    let signs = service_fn(|_: SigningRequest| async { Ok::<_, std::io::Error>(Signature::new("")) });
    Signer::unchecked(key_id("kms"), Algorithm::ES256, signs)
}

#[tokio::test]
async fn setters_at_run_time_check_like_build() {
    let world = planned().start().await;
    let new = LocalSigner::generate(Algorithm::ES256).unwrap();
    let retired = world.own.key.published_keys().key_set();
    let namesake = new.clone().with_key_id(key_id("kms")).published_keys().key_set();
    for signer in [
        unknown_signer(),
        unknown_signer().also_accept(retired.clone()),
        // A key with the name of the signer's key need not be the signer's key.
        unknown_signer().also_accept(namesake),
    ] {
        let expected = builder(document("read"), signer.clone()).build().unwrap_err();
        assert_eq!(expected.field(), "signer");
        assert_eq!(world.layer.rotate_signer(signer.clone()).unwrap_err(), expected);
        assert_eq!(world.layer.prepare_reload(document("write"), signer).unwrap_err(), expected);
    }
    let wrong = [
        document("admin"),
        document("read").clients([Client::new("orders")]),
        document("read").clients([Client::new("billing").secret("short")]),
        document("read").targets([Target::new("ledger").allow_clients(["nobody"]).scopes(["read"])]),
        document("read").rules([Rule::allow("nobody", Subjects::any(), "billing").scopes(["read"])]),
        Document::new(),
    ];
    for document in wrong {
        let expected = builder(document.clone(), new.clone()).build().unwrap_err();
        assert_eq!(world.layer.reload(document.clone()).unwrap_err(), expected);
        assert_eq!(world.layer.prepare_reload(document, new.clone()).unwrap_err(), expected);
    }

    // Nothing of the refused changes counts.
    let token = world.own.access_token(json!({}));
    let issued = world.exchange(&token).await.json();
    let kid = segment(issued["access_token"].as_str().unwrap(), 0)["kid"].clone();
    assert_eq!((issued["scope"].as_str(), kid.as_str()), (Some("read"), Some(world.own.key.key_id().as_str())));
}

#[tokio::test]
async fn a_prepared_reload_counts_when_applied() {
    let world = planned().start().await;
    let token = world.own.access_token(json!({}));
    let new = LocalSigner::generate(Algorithm::EdDSA).unwrap();
    let new = Signer::from(new).also_accept(world.own.keys());
    for (apply, scope, alg) in [(false, "read", "ES256"), (true, "write", "EdDSA")] {
        let prepared = world.layer.prepare_reload(document("write"), new.clone()).unwrap();
        if apply {
            prepared.apply();
        }
        let issued = world.exchange(&token).await.json();
        let header = segment(issued["access_token"].as_str().unwrap(), 0);
        assert_eq!((issued["scope"].as_str(), header["alg"].as_str()), (Some(scope), Some(alg)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_exchange_mixes_old_and_new_parts() {
    let world = planned().start().await;
    let token = Arc::new(world.own.access_token(json!({})));
    let new = LocalSigner::generate(Algorithm::EdDSA).unwrap();
    let both = new.published_keys().and(world.own.key.published_keys()).key_set();
    let versions = [("read", Signer::from(world.own.key.clone())), ("write", Signer::from(new))];
    let stop = Arc::new(AtomicBool::new(false));
    let (layer, stopped) = (world.layer.clone(), Arc::clone(&stop));
    let reloads = tokio::task::spawn_blocking(move || {
        let mut count = 0_u32;
        while !stopped.load(Ordering::Relaxed) {
            for (scope, signer) in &versions {
                let signer = signer.clone().also_accept(both.clone());
                layer.prepare_reload(document(scope), signer).unwrap().apply();
                count += 1;
            }
        }
        count
    });
    let mut seen = [0, 0];
    for _ in 0..400 {
        let issued = world.exchange(&token).await.json();
        let header = segment(issued["access_token"].as_str().unwrap_or_else(|| panic!("{issued}")), 0);
        match (issued["scope"].as_str(), header["alg"].as_str()) {
            (Some("read"), Some("ES256")) => seen[0] += 1,
            (Some("write"), Some("EdDSA")) => seen[1] += 1,
            other => panic!("{other:?}"),
        }
    }
    stop.store(true, Ordering::Relaxed);
    assert!(reloads.await.unwrap() > 2 && seen.iter().all(|count| *count > 0), "{seen:?}");
}
