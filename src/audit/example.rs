use super::{AuditEvent, Granted, Outcome, PartyFacts, Requested, Stage, TokenFacts};
use crate::{client_auth::AuthenticationMethod, policy::Semantics, protocol::TokenType};
use std::time::{Duration, UNIX_EPOCH};

impl AuditEvent {
    /// An event to test a sink of one's own with: `orders` was issued a token for `billing`, to act for `alice`, and
    /// `web` had acted before. Every field that such an event can have is filled in; change those that matter.
    ///
    /// ```
    /// use tower_token_exchange::{Reason, audit::{AuditEvent, Outcome}};
    ///
    /// let issued = AuditEvent::example();
    ///
    /// let mut denied = AuditEvent::example();
    /// denied.outcome = Outcome::Denied;
    /// denied.reason = Some(Reason::PolicyNoRule);
    /// denied.error = Some(Reason::PolicyNoRule.error());
    /// denied.granted = None;
    /// # let _ = (issued, denied);
    /// ```
    pub fn example() -> Self {
        let iss = "https://as.example";
        let party = |sub: &str| PartyFacts { iss: iss.to_owned(), sub: sub.to_owned() };
        let access_token = TokenType::ACCESS_TOKEN.to_string();
        let exp = 1_800_000_600;
        let token = |jti: &str| TokenFacts {
            token_type: access_token.clone(),
            iss: iss.to_owned(),
            jti: Some(jti.to_owned()),
            exp,
        };
        Self {
            duration: Duration::from_micros(1500),
            outcome: Outcome::Issued,
            stage: Stage::Answer,
            claimed_client_id: Some("orders".to_owned()),
            client_id: Some("orders".to_owned()),
            auth_method: Some(AuthenticationMethod::ClientSecretBasic),
            requested: Requested {
                targets: vec!["billing".to_owned()],
                scope: Some("invoices:read".to_owned()),
                token_type: Some(access_token.clone()),
                subject_token_type: Some(access_token.clone()),
                actor_token_type: Some(access_token.clone()),
            },
            subject: Some(party("alice")),
            subject_token: Some(token("subject-1")),
            actor: Some(party("orders")),
            actor_token: Some(token("actor-1")),
            semantics: Some(Semantics::Delegation),
            act: vec![party("orders"), party("web")],
            act_depth: Some(2),
            policy_id: Some("rule 1".to_owned()),
            shadow: None,
            granted: Some(Granted {
                targets: vec!["billing".to_owned()],
                sub: "alice".to_owned(),
                scope: "invoices:read".to_owned(),
                token_type: access_token.clone(),
                jti: "issued-1".to_owned(),
                kid: "key-1".to_owned(),
                exp: 1_800_000_300,
            }),
            ..Self::of_attempt("event-1".to_owned(), UNIX_EPOCH + Duration::from_secs(1_800_000_000))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Reason;
    use serde_json::json;

    /// Log pipelines are built on these names and values.
    #[test]
    fn an_event_in_json_is_stable() {
        let mut event = AuditEvent::example();
        let (iss, access_token) = ("https://as.example", "urn:ietf:params:oauth:token-type:access_token");
        let party = |sub: &str| json!({ "iss": iss, "sub": sub });
        let token = |jti: &str| json!({ "token_type": access_token, "iss": iss, "jti": jti, "exp": 1_800_000_600 });
        let expected = json!({
            "event_id": "event-1", "time": 1_800_000_000.0, "duration_us": 1500,
            "outcome": "issued", "stage": "answer", "error": null, "reason": null, "detail": null,
            "claimed_client_id": "orders", "client_id": "orders", "auth_method": "client_secret_basic",
            "requested": {
                "targets": ["billing"], "scope": "invoices:read", "token_type": access_token,
                "subject_token_type": access_token, "actor_token_type": access_token,
            },
            "subject": party("alice"), "subject_token": token("subject-1"),
            "actor": party("orders"), "actor_token": token("actor-1"),
            "semantics": "delegation", "act": [party("orders"), party("web")], "act_depth": 2,
            "policy_id": "rule 1",
            "shadow": null, "alarm": false,
            "granted": {
                "targets": ["billing"], "sub": "alice", "scope": "invoices:read", "token_type": access_token,
                "jti": "issued-1", "kid": "key-1", "exp": 1_800_000_300,
            },
        });
        assert_eq!(serde_json::to_value(&event).unwrap(), expected);

        event.outcome = Outcome::Denied;
        (event.reason, event.error) = (Some(Reason::TokenExpired), Some(Reason::TokenExpired.error()));
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!((&json["reason"], &json["error"]), (&"token_expired".into(), &"invalid_request".into()));
    }
}
