//! Proofs that are accepted, and what they bind.

use super::*;

const SERVER: &str = "https://server.example.com/token";
/// The proof of RFC 9449 section 4.2.
const OF_RFC_9449: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";

/// DP-10: the proof of the RFC binds the token to the key of the RFC.
#[tokio::test]
async fn dp_10_the_proof_of_rfc_9449_is_accepted() {
    for cryptography in Cryptography::ALL {
        let plan = plan_of(|rule| rule);
        let place = Place::new(plan.with(|builder| builder.dpop(Dpop::new(SERVER)).cryptography(*cryptography)));
        place.at(1_562_262_616);
        let times = json!({ "iat": 1_562_262_000, "exp": 1_562_263_000 });
        let reply = place.exchange(times, Ask::default().proof(OF_RFC_9449)).await;
        assert_eq!(reply.status, StatusCode::OK, "{cryptography:?}: {}", reply.text);
        let jkt = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
        assert_eq!((&reply.claims()["cnf"], &reply.json()["token_type"]), (&json!({ "jkt": jkt }), &json!("DPoP")));
        assert_eq!(serde_json::to_value(place.event().proven).unwrap(), json!({ "jkt": jkt }));
    }
}

#[tokio::test]
async fn every_algorithm_can_sign_a_proof() {
    for cryptography in Cryptography::ALL {
        let place = Place::new(plan_of(|rule| rule).with(|builder| builder.cryptography(*cryptography)));
        for algorithm in [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA] {
            let (prover, name) = (Prover::with(algorithm), format!("{algorithm}, {cryptography:?}"));
            let [proof, other] = [prover.proof(), prover.proof()];
            let forged = [proof.rsplit_once('.').unwrap().0, other.rsplit_once('.').unwrap().1].join(".");
            place.exchange(json!({}), Ask::default().proof(forged)).await;
            assert_eq!(place.reason(), Some(Reason::DpopSignatureInvalid), "{name}");
            let reply = place.exchange(json!({}), Ask::default().proof(proof)).await;
            assert_eq!(reply.status, StatusCode::OK, "{name}: {} {:?}", reply.text, place.event());
            assert_eq!(reply.claims()["cnf"], json!({ "jkt": prover.jkt() }), "{name}");
        }
    }
}

/// DQ-02: unknown members of the header and unknown claims do not matter. DQ-06: `ath` does not matter at a token endpoint.
#[tokio::test]
async fn dq_02_dq_06_unknown_members_do_not_matter() {
    let place = Place::new(plan_of(|rule| rule));
    let prover = Prover::new();
    for (header, claims) in [
        (json!({ "kid": "a", "x": [1] }), json!({ "nonce": "of another server", "sub": 7, "exp": 1 })),
        (json!({ "typ": "DPoP+JWT" }), json!({ "ath": "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo" })),
        (json!({ "typ": "application/dpop+jwt" }), json!({ "ath": 7, "iat": 1_800_000_000.5 })),
    ] {
        let proof = prover.sign(&changed(prover.header(), header), &changed(Prover::claims(), claims));
        let reply = place.exchange(json!({}), Ask::default().proof(proof)).await;
        assert_eq!(reply.status, StatusCode::OK, "{} {:?}", reply.text, place.event().detail);
    }
}

/// DQ-03: forms of the public URL, and its aliases. The `Host` of the request does not matter.
#[tokio::test]
async fn dq_03_htu_is_compared_with_the_configured_urls() {
    let alias = "https://mtls.as.example/token";
    let place = Place::new(plan_of(|rule| rule).with(|builder| builder.dpop(Dpop::new(URL).alias(alias))));
    let prover = Prover::new();
    for (htu, is_good) in [
        (URL, true),
        (alias, true),
        ("HTTPS://AS.EXAMPLE:443/x/../%74oken?a=b#c", true),
        ("https://as.example/token/", false),
        ("https://localhost/token", false),
        ("/token", false),
        ("https://as.example", false),
    ] {
        let reply = place.exchange(json!({}), Ask::default().proof(prover.proof_with(json!({ "htu": htu })))).await;
        assert_eq!(reply.status.is_success(), is_good, "{htu}: {}", reply.text);
        assert_eq!(place.reason(), (!is_good).then_some(Reason::DpopProofMismatch), "{htu}");
    }
}

/// DQ-04: the age of a proof without a nonce.
#[tokio::test]
async fn dq_04_iat_is_in_a_short_window() {
    let place = Place::new(plan_of(|rule| rule));
    let prover = Prover::new();
    for (iat, is_good) in [(0, true), (-60, true), (10, true), (-61, false), (11, false), (-3600, false), (3600, false)]
    {
        let iat = NOW.saturating_add_signed(iat);
        let reply = place.exchange(json!({}), Ask::default().proof(prover.proof_with(json!({ "iat": iat })))).await;
        assert_eq!(reply.status.is_success(), is_good, "{iat}: {}", reply.text);
        assert_eq!(place.reason(), (!is_good).then_some(Reason::DpopProofStale), "{iat}");
    }
}

/// DQ-05: a proof is used once. A long `jti` costs no more memory than a short one.
#[tokio::test]
async fn dq_05_a_proof_is_used_once() {
    let place = Place::new(plan_of(|rule| rule));
    let (prover, other) = (Prover::new(), Prover::new());
    for jti in ["1", &"j".repeat(10_000)] {
        let proof = |prover: &Prover| prover.proof_with(json!({ "jti": jti }));
        let first = proof(&prover);
        assert_eq!(place.exchange(json!({}), Ask::default().proof(&*first)).await.status, StatusCode::OK);
        for again in [first, proof(&prover)] {
            let reply = place.exchange(json!({}), Ask::default().proof(again)).await;
            assert_eq!((reply.status, reply.error()), (StatusCode::BAD_REQUEST, "invalid_dpop_proof".into()));
            assert_eq!(place.reason(), Some(Reason::DpopProofUsedAgain));
        }
        // Another key has ids of its own.
        assert_eq!(place.exchange(json!({}), Ask::default().proof(proof(&other))).await.status, StatusCode::OK);
    }
}

/// DQ-05: of many equal proofs at the same time, one is accepted.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn dq_05_one_of_many_equal_proofs_is_accepted() {
    let place = Arc::new(Place::new(plan_of(|rule| rule)));
    let proof = Prover::new().proof();
    let tries = (0..20).map(|_| {
        let (place, proof) = (Arc::clone(&place), proof.clone());
        tokio::spawn(async move { place.exchange(json!({}), Ask::default().proof(proof)).await.status })
    });
    let mut accepted = 0;
    for attempt in tries.collect::<Vec<_>>() {
        accepted += usize::from(attempt.await.unwrap() == StatusCode::OK);
    }
    assert_eq!(accepted, 1);
}

/// DQ-08 and DP-11: a client that is registered for DPoP needs a proof, also with a certificate.
#[tokio::test]
async fn dq_08_a_dpop_client_needs_a_proof() {
    let place = Place::new(plan_with_records(|rule| rule, Client::dpop_bound_access_tokens, |target| target));
    for ask in [Ask::default(), Ask::default().certificate(b"a certificate")] {
        let reply = place.exchange(json!({}), ask).await;
        assert_eq!((reply.status, reply.error()), (StatusCode::BAD_REQUEST, "invalid_dpop_proof".into()));
        assert_eq!(place.reason(), Some(Reason::DpopProofMissing));
    }
    let reply = place.exchange(json!({}), Ask::default().proof(Prover::new().proof())).await;
    assert_eq!(reply.json()["token_type"], "DPoP");
}
