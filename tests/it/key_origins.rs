//! Discovered keys are fetched from the origin of the issuer only, or from an origin that the record names.

use crate::support::*;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::json;
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};
use tower_token_exchange::{Issuer, TokenExchangeBuilder, error::ConfigErrorKind, records::SubjectMapping};

const OTHER: &str = "https://other.example";

/// A builder for one foreign issuer with discovery. The metadata of the issuer names this key set. The list gets each URL that
/// is asked for.
fn discovering(issuer: &Issuer, jwks_uri: &str) -> (Plan, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let plan = plan();
    let metadata = json!({ "issuer": issuer.id(), "jwks_uri": jwks_uri }).to_string();
    let (log, keys) = (Arc::clone(&asked), plan.idp.key.published_keys().to_json());
    let http = tower::service_fn(move |request: Request<Bytes>| {
        let url = request.uri().to_string();
        let answer = if url.contains("/.well-known/") { metadata.clone() } else { keys.clone() };
        log.lock().unwrap().push(url);
        async move { Ok::<_, Infallible>(Response::new(Bytes::from(answer))) }
    });
    let issuer = issuer.clone().discovery().map_subjects(SubjectMapping::Prefix("other|".into()));
    let add = |builder: TokenExchangeBuilder| builder.issuers([issuer.allow_presenters(["orders"])]).http(http);
    (plan.with(add), asked)
}

#[tokio::test]
async fn metadata_chooses_no_other_origin() {
    let keys = "https://keys.example";
    for (issuer, origins, jwks_uri, fetched) in [
        (OTHER, &[][..], "https://other.example/jwks", true),
        (OTHER, &[], "https://OTHER.example:443/a/jwks?b=c", true),
        ("https://other.example:443/tenant", &[], "https://other.example/jwks", true),
        ("http://other.example", &[], "http://other.example:80/jwks", true),
        // The authorization server itself, and servers that only the layer can reach.
        (OTHER, &[], "https://as.example/admin/delete", false),
        (OTHER, &[], "https://127.0.0.1/jwks", false),
        (OTHER, &[], "https://[::1]/jwks", false),
        (OTHER, &[], "https://169.254.169.254/latest", false),
        (OTHER, &[], "https://localhost:3000/jwks", false),
        // Another port, another scheme and another name are another origin.
        (OTHER, &[], "https://other.example:8443/jwks", false),
        ("http://other.example", &[], "https://other.example/jwks", false),
        ("http://other.example", &[], "http://other.example:443/jwks", false),
        (OTHER, &[], "https://keys.other.example/jwks", false),
        (OTHER, &[], "https://other.example.evil.example/jwks", false),
        (OTHER, &[], "https://example/jwks", false),
        // The record names origins in words.
        (OTHER, &[keys], "https://keys.example/jwks", true),
        (OTHER, &[keys], "https://other.example/jwks", true),
        (OTHER, &[keys, "https://more.example:8443"], "https://more.example:8443/jwks", true),
        (OTHER, &[keys], "http://keys.example/jwks", false),
        (OTHER, &[keys], "https://keys.example:8443/jwks", false),
        (OTHER, &[keys], "https://as.example/jwks", false),
    ] {
        let record = Issuer::new(issuer).key_origins(origins.iter().copied());
        let (plan, asked) = discovering(&record, jwks_uri);
        let world = plan.start().await;
        let readiness = world.layer.load_keys().await;
        let asked = asked.lock().unwrap().clone();
        let keys: Vec<_> = asked.iter().filter(|url| !url.contains("/.well-known/")).collect();
        assert_eq!(!keys.is_empty(), fetched, "{issuer} {origins:?} {jwks_uri}: {asked:?}");
        let report = readiness.issuers.iter().find(|report| report.issuer == issuer).unwrap();
        match &report.last_problem {
            None => assert!(fetched, "{jwks_uri}"),
            Some(problem) => {
                let known = ["add the origin to `key_origins`", "is not https, and the issuer is"];
                assert!(!fetched && known.iter().any(|known| problem.contains(known)), "{problem}");
            }
        }
    }
}

#[test]
fn key_origins_are_origins_of_discovered_keys() {
    let discovered = |origin: &str| Issuer::new(OTHER).discovery().key_origins([origin]);
    let fixed = Issuer::new(OTHER).jwks_uri("https://other.example/jwks").key_origins(["https://keys.example"]);
    for (record, kind) in [
        (discovered("https://keys.example/jwks"), ConfigErrorKind::Invalid),
        (discovered("https://keys.example?a"), ConfigErrorKind::Invalid),
        (discovered("keys.example"), ConfigErrorKind::Invalid),
        (discovered("https://a@keys.example"), ConfigErrorKind::Invalid),
        (discovered("*"), ConfigErrorKind::Invalid),
        (discovered(""), ConfigErrorKind::Invalid),
        (fixed, ConfigErrorKind::Conflict),
    ] {
        let record = record.map_subjects(SubjectMapping::Prefix("other|".into()));
        let refused = plan().with(|builder| builder.issuers([record])).builder.build().unwrap_err();
        assert_eq!((refused.field(), refused.kind()), ("issuer `https://other.example`: key_origins", kind));
    }
}
