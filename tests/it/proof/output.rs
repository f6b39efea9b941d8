//! How a bound token is presented, and who requires or refuses one.

use super::*;

/// DQ-09, DP-10 and DP-12: the binding decides the token type, in the answer and in the introspection.
#[tokio::test]
async fn dq_09_the_binding_decides_the_token_type() {
    let certificate: &[u8] = b"a certificate";
    let prover = Prover::new();
    let cases = [(false, false, "Bearer"), (true, false, "DPoP"), (false, true, "Bearer"), (true, true, "DPoP")];
    for ((has_proof, has_certificate, used_as), is_access_token) in
        cases.into_iter().flat_map(|case| [true, false].map(|kind| (case, kind)))
    {
        let client = |client: Client| match has_certificate {
            true => client.tls_client_certificate_bound_access_tokens(),
            false => client,
        };
        let place = Place::new(plan_with_records(|rule| rule, client, |target| target));
        let mut ask = Ask::default().set("requested_token_type", if is_access_token { ACCESS_TOKEN } else { JWT });
        if has_proof {
            ask = ask.proof(prover.proof());
        }
        if has_certificate {
            ask = ask.certificate(certificate);
        }
        let reply = place.exchange(json!({}), ask).await;
        let token_type = if is_access_token { used_as } else { "N_A" };
        assert_eq!(reply.json()["token_type"], token_type, "{}", reply.text);
        let cnf = &reply.claims()["cnf"];
        assert_eq!(cnf.get("jkt").is_some(), has_proof, "{cnf}");
        assert_eq!(cnf.get("x5t#S256").is_some(), has_certificate, "{cnf}");
        let shown = place.introspect(reply.json()["access_token"].as_str().unwrap()).await;
        assert_eq!((&shown["token_type"], &shown["cnf"]), (&json!(token_type), cnf));
    }
}

/// DQ-10: a proof is never dropped, so a target for bearer tokens refuses a request with a proof.
#[tokio::test]
async fn dq_10_no_proof_is_dropped() {
    let place = Place::new(plan_with_records(Rule::release, |client| client, Target::bearer_only));
    let prover = Prover::new();
    let bound = json!({ "client_id": "orders", "cnf": { "jkt": prover.jkt() } });
    assert_eq!(place.exchange(json!({}), Ask::default()).await.status, StatusCode::OK);
    assert_eq!(place.exchange(bound.clone(), Ask::default()).await.status, StatusCode::OK);
    for claims in [json!({}), bound] {
        let reply = place.exchange(claims, Ask::default().proof(prover.proof())).await;
        assert_eq!((reply.error(), place.reason()), ("invalid_target".into(), Some(Reason::SenderConstraintRefused)));
    }
}

/// FP-02: who requires a bound token gets no bearer token, also with a rule that releases.
#[tokio::test]
async fn fp_02_a_required_binding_is_never_left_out() {
    let by_client =
        |rule: fn(Rule) -> Rule| plan_with_records(rule, Client::require_sender_constraint, |target| target);
    let by_target =
        |rule: fn(Rule) -> Rule| plan_with_records(rule, |client| client, Target::require_sender_constraint);
    let by_layer = |rule: fn(Rule) -> Rule| plan_of(rule).with(|builder| builder.require_sender_constraint());
    let prover = Prover::new();
    for rule in [|rule: Rule| rule, Rule::release] {
        for (who, plan) in
            [("client `orders`", by_client(rule)), ("target `billing`", by_target(rule)), ("the layer", by_layer(rule))]
        {
            let place = Place::new(plan);
            let reply = place.exchange(json!({}), Ask::default()).await;
            assert_eq!(
                (reply.error(), place.reason()),
                ("invalid_request".into(), Some(Reason::SenderConstraintRequired))
            );
            assert_eq!(place.event().detail.as_deref(), Some(who));
            let bound = json!({ "client_id": "orders", "cnf": { "jkt": prover.jkt() } });
            let reply = place.exchange(bound.clone(), Ask::default()).await;
            assert_eq!(reply.error(), "invalid_request", "{who}");
            for claims in [json!({}), bound] {
                let reply = place.exchange(claims, Ask::default().proof(prover.proof())).await;
                assert_eq!(reply.json()["token_type"], "DPoP", "{who}");
            }
        }
    }
}

/// Without DPoP settings, a proof is refused, and a token that is bound to a key cannot be proven.
#[tokio::test]
async fn a_layer_without_dpop_refuses_proofs() {
    let prover = Prover::new();
    let place = Place::new(plan());
    let reply = place.exchange(json!({}), Ask::default().proof(prover.proof())).await;
    assert_eq!((reply.error(), place.reason()), ("invalid_dpop_proof".into(), Some(Reason::DpopUnsupported)));
    place.exchange(json!({ "client_id": "orders", "cnf": { "jkt": prover.jkt() } }), Ask::default()).await;
    assert_eq!(place.reason(), Some(Reason::BindingNotProven));
}
