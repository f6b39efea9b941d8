//! Tokens that are bound to the certificate of a client (RFC 8705).

use super::*;

const C: &[u8] = b"the certificate C in DER";

fn bound_client() -> Place {
    let plan = plan_with_records(|rule| rule, Client::tls_client_certificate_bound_access_tokens, |target| target);
    Place::new(plan)
}

/// MQ-03, MT-01 and MT-03: the certificate is in `cnf`, and the token type stays `Bearer`.
#[tokio::test]
async fn mq_03_a_registered_client_gets_bound_tokens() {
    let place = bound_client();
    let reply = place.exchange(json!({}), Ask::default().certificate(C)).await;
    let cnf = json!({ "x5t#S256": thumbprint(C) });
    assert!(!thumbprint(C).contains('='));
    assert_eq!((&reply.claims()["cnf"], &reply.json()["token_type"]), (&cnf, &json!("Bearer")));
    let token = reply.json()["access_token"].as_str().unwrap().to_owned();
    let shown = place.introspect(&token).await;
    assert_eq!((&shown["active"], &shown["cnf"], &shown["token_type"]), (&json!(true), &cnf, &json!("Bearer")));

    let reply = place.exchange(json!({}), Ask::default()).await;
    assert_eq!((reply.error(), place.reason()), ("invalid_request".into(), Some(Reason::CertificateMissing)));
}

/// MQ-04 and MT-04: a bound subject token needs its certificate.
#[tokio::test]
async fn mq_04_another_certificate_is_refused() {
    let place = Place::new(plan_of(|rule| rule));
    let bound = |client: &str| json!({ "client_id": client, "cnf": { "x5t#S256": thumbprint(C) } });
    let cases: [(&str, &[u8], Option<Reason>); 3] = [
        ("orders", C, None),
        ("orders", b"D", Some(Reason::BindingNotProven)),
        ("web", C, Some(Reason::BindingOfOtherClient)),
    ];
    for (client, certificate, reason) in cases {
        place.exchange(bound(client), Ask::default().certificate(certificate)).await;
        assert_eq!(place.reason(), reason);
    }
}

/// MQ-05: a proof and a certificate bind by what the client is registered for.
#[tokio::test]
async fn mq_05_a_proof_and_a_certificate_bind_as_registered() {
    let prover = Prover::new();
    let ask = || Ask::default().proof(prover.proof()).certificate(C);
    let reply = Place::new(plan_of(|rule| rule)).exchange(json!({}), ask()).await;
    assert_eq!(reply.claims()["cnf"], json!({ "jkt": prover.jkt() }));
    let reply = bound_client().exchange(json!({}), ask()).await;
    let both = json!({ "jkt": prover.jkt(), "x5t#S256": thumbprint(C) });
    assert_eq!((&reply.claims()["cnf"], &reply.json()["token_type"]), (&both, &json!("DPoP")));
}
