//! Rules about the binding.

use super::*;
use tower_token_exchange::{
    plug::boxed,
    policy::{Decision, Grant, Query, Semantics, all},
    proof::Outcome,
};

fn bound_to(prover: &Prover, client: &str) -> Value {
    json!({ "client_id": client, "cnf": { "jkt": prover.jkt() } })
}

/// A rule that requires a bound token leaves bearer tokens to other rules.
#[tokio::test]
async fn a_rule_can_require_a_bound_token() {
    let place = Place::new(plan_of(Rule::require_sender_constraint));
    let prover = Prover::new();
    place.exchange(json!({}), Ask::default()).await;
    assert_eq!(place.reason(), Some(Reason::PolicyNoRule));
    let reply = place.exchange(json!({}), Ask::default().proof(prover.proof())).await;
    assert_eq!(reply.json()["token_type"], "DPoP");
    // The rule does not let another client use the token.
    place.exchange(bound_to(&prover, "web"), Ask::default().proof(prover.proof())).await;
    assert_eq!(place.reason(), Some(Reason::PolicyNoRule));
}

/// Among several rules, a rule with the needed permission decides, and a permission that is not needed changes nothing.
#[tokio::test]
async fn the_rule_with_the_needed_permission_decides() {
    let allow = || Rule::allow(Names::any(), Subjects::any(), Names::any()).scopes(Names::any());
    let rules = [allow().id("strict"), allow().rebind().id("rebinds"), allow().release().id("releases")];
    let place = Place::new(plan_of(|rule| rule).with(|builder| builder.rules(rules)));
    let (k, l) = (Prover::new(), Prover::new());
    for (claims, proof, rule, outcome) in [
        (json!({}), None, "strict", Outcome::Bearer),
        (json!({}), Some(&l), "strict", Outcome::Bound),
        (bound_to(&k, "orders"), Some(&k), "strict", Outcome::Continued),
        (bound_to(&k, "web"), Some(&l), "rebinds", Outcome::Rebound),
        (bound_to(&k, "web"), None, "releases", Outcome::Released),
    ] {
        let ask = proof.map_or_else(Ask::default, |prover| Ask::default().proof(prover.proof()));
        let reply = place.exchange(claims, ask).await;
        assert_eq!(reply.status, StatusCode::OK, "{rule}: {}", reply.text);
        let event = place.event();
        assert_eq!((event.policy_id.as_deref(), event.binding), (Some(rule), Some(outcome)));
    }
}

/// The query of a policy has the outcomes, and a grant has the permissions. Policies that decide together need the same.
#[tokio::test]
async fn a_policy_in_code_decides_about_the_binding() {
    let rebinding = |query: Query| async move {
        let bindings = query.bindings;
        assert_eq!(query.sender_constrained, bindings.unchanged.is_bound());
        Ok::<_, Infallible>(match (bindings.unchanged, bindings.rebind) {
            (Outcome::Refused, Outcome::Rebound) => Grant::new(Semantics::Delegation).rebind().into(),
            _ => Decision::delegate(),
        })
    };
    let prover = Prover::new();
    let other_client = || bound_to(&Prover::new(), "web");
    let place = Place::new(plan_of(|rule| rule).with(|builder| builder.policy(tower::service_fn(rebinding))));
    let reply = place.exchange(other_client(), Ask::default().proof(prover.proof())).await;
    assert_eq!(reply.claims()["cnf"], json!({ "jkt": prover.jkt() }));

    let plain = tower::service_fn(|_: Query| async { Ok::<_, Infallible>(Decision::delegate()) });
    let both = all([boxed(tower::service_fn(rebinding)), boxed(plain)]);
    let place = Place::new(plan_of(|rule| rule).with(|builder| builder.policy(both)));
    place.exchange(other_client(), Ask::default().proof(prover.proof())).await;
    assert_eq!(place.reason(), Some(Reason::BindingNotProven));
}

/// A dry run says what each permission would change, and takes the client for the owner of the key of its token.
#[tokio::test]
async fn an_explanation_names_the_outcomes() {
    let place = Place::new(plan_of(|rule| rule));
    let prover = Prover::new();
    for (client, expected, refused) in [
        ("orders", "continued; with `rebind`: continued; with `release`: continued", None),
        ("web", "refused; with `rebind`: rebound; with `release`: rebound", Some(Reason::BindingOfOtherClient)),
    ] {
        let token = place.own.access_token(bound_to(&prover, client));
        let explained = place.layer.explain("orders", encode(&exchange_form(&token, &[])).as_bytes()).await;
        assert_eq!(explained.refusal.as_ref().map(|refusal| refusal.reason), refused, "{explained}");
        let text = explained.to_string();
        assert!(text.contains(&format!("binding: {expected}")), "{text}");
        assert!(text.contains(&format!("subject token is bound to the key: {}", prover.jkt())), "{text}");
    }
}

/// A dry run has no proof, and takes a proof that a record demands for granted.
#[tokio::test]
async fn an_explanation_assumes_a_demanded_proof() {
    for client in [Client::dpop_bound_access_tokens, Client::require_sender_constraint] {
        let place = Place::new(plan_with_records(|rule| rule, client, |target| target));
        let form = encode(&exchange_form(&place.own.access_token(json!({})), &[]));
        let explained = place.layer.explain("orders", form.as_bytes()).await;
        assert!(explained.refusal.is_none(), "{explained}");
        assert!(explained.to_string().contains("binding: bound"), "{explained}");
    }
}

#[test]
fn the_keys_of_the_records_are_read() {
    let document = |client: &str, target: &str, rule: &str| {
        let text = format!(
            r#"{{ "client": [{{ "id": "orders", "secret": "a-long-and-random-secret"{client} }}],
                  "target": [{{ "id": "billing", "callers": ["orders"], "scopes": ["read"]{target} }}],
                  "rule": [{{ "clients": "orders", "subjects": "any", "targets": "billing", "scopes": ["read"]{rule} }}] }}"#
        );
        let document: tower_token_exchange::Document = serde_json::from_str(&text).unwrap();
        let builder = TokenExchangeLayer::builder(AS).document(document);
        builder.signer(LocalSigner::generate(Algorithm::EdDSA).unwrap())
    };
    for (client, target, rule) in [
        (r#", "tls_client_certificate_bound_access_tokens": true"#, "", ""),
        (r#", "require_sender_constraint": true"#, r#", "require_sender_constraint": true"#, ""),
        ("", r#", "bearer_only": true"#, r#", "rebind": true, "release": true"#),
        ("", "", r#", "require_sender_constraint": true"#),
    ] {
        document(client, target, rule).build().unwrap();
    }
    let dpop_bound = r#", "dpop_bound_access_tokens": true"#;
    document(dpop_bound, "", "").dpop(Dpop::new(URL)).build().unwrap();
    for (builder, place, problem) in [
        (document(dpop_bound, "", ""), "client[0].dpop_bound_access_tokens", "set `dpop` for the layer"),
        (
            document("", r#", "bearer_only": true, "require_sender_constraint": true"#, ""),
            "target[0].bearer_only",
            "contradicts `require_sender_constraint`",
        ),
        (document("", "", r#", "effect": "deny", "rebind": true"#), "rule[0].scopes", "a deny rule refuses"),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.place(), Some(place), "{error}");
        assert!(error.to_string().contains(problem), "{error}");
    }
    let error = document("", "", "").dpop(Dpop::new("/token")).build().unwrap_err();
    assert_eq!((error.field(), error.problems().len()), ("dpop", 1));
}
