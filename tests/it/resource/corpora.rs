//! The hostile tokens that the exchange refuses are refused here too, for the same reasons.

use super::*;
use crate::hostile_tokens::{ODD, RIVAL, Rows, STRICT, cast, contents, forgeries};
use tower_token_exchange::{Reason::*, TokenType, records::TokenRules, resource::AccessRequest, signing::Cryptography};

#[tokio::test]
async fn a_hostile_token_is_refused_for_the_same_reason() {
    let cast = cast(Cryptography::default());
    let mut rows = Rows::default();
    forgeries(&cast, &mut rows);
    contents(&cast, &mut rows);
    let jwt = |iss: &str| Issuer::new(iss).accept(TokenRules::new(TokenType::JWT));
    let own = &cast.plan.own;
    let [odd, strict] = cast.key_sets.clone();
    let (sender, mut events) = mpsc::unbounded_channel();
    let layer = ResourceServerLayer::builder(AS)
        .clock(|| UNIX_EPOCH + Duration::from_secs(NOW))
        .audit_budget(AuditBudget::unlimited())
        .audit(recorder(sender))
        .issuers([
            Issuer::new(AS).keys(own.keys()).accepted_audiences(["https://orders.example"]),
            jwt(IDP).keys(cast.plan.idp.keys()),
            jwt(RIVAL).keys(cast.rival.keys()),
            jwt(ODD).keys(odd),
            jwt(STRICT).keys(strict).algorithms([Algorithm::ES256]),
        ])
        .rules(everybody())
        .build()
        .unwrap();
    let (mut checked, mut wrong) = (0, Vec::new());
    // A request to a resource server declares no type.
    let is_about_type = |name: &str| ["own access token as JWT", "foreign JWT as access token"].contains(&name);
    for row in rows.0.into_iter().filter(|row| row.declared != ID_TOKEN && !is_about_type(&row.name)) {
        let refusal = layer.verify(AccessRequest::bearer(&row.token)).await.err();
        let event = events.try_recv().ok();
        let Some((refusal, event)) = refusal.zip(event) else {
            wrong.push(format!("{}: accepted, or no event", row.name));
            continue;
        };
        let expected = match row.reason {
            // An exchange finds out later that the token is not for the client.
            PresenterUnknown => TokenNotForUs,
            BindingNotProven => BoundTokenAsBearer,
            same => same,
        };
        if (refusal.reason(), event.reason) != (expected, Some(expected)) {
            wrong.push(format!("{}: {:?} {:?}, not {expected:?}", row.name, event.reason, event.detail));
        }
        assert!(!format!("{event:?}").contains(&row.token), "{}: the token is in the event", row.name);
        let response = refusal.into_response();
        let told: Value = serde_json::from_slice(response.body()).unwrap();
        let one_text = json!({ "error": "invalid_token", "error_description": NOT_ACCEPTABLE });
        assert_eq!((response.status(), told), (StatusCode::UNAUTHORIZED, one_text), "{}", row.name);
        checked += 1;
    }
    assert!(wrong.is_empty(), "{checked} checked, {} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(checked > 400, "{checked}");
}
