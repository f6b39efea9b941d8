use super::{AuditEvent, Granted, Operation, Outcome, Requested, Stage, TokenFacts};
use crate::{
    client_auth::AuthenticationMethod,
    policy::Semantics,
    proof::Outcome as BindingOutcome,
    protocol::{KeyId, NumericDate, Scope, TokenType},
    records::Party,
};
use std::{
    net::{IpAddr, Ipv4Addr},
    time::{Duration, UNIX_EPOCH},
};

impl AuditEvent {
    /// Returns an event for the unit tests of an audit sink: the client `orders` received a token for the target
    /// `billing`, and acts for the user `alice`. The client `web` acted for `alice` before.
    ///
    /// Every field that an event of an issued token can have is filled in, except `shadow`. A test changes the fields
    /// that matter.
    ///
    /// ```
    /// use tower_token_exchange::{Reason, audit::{AuditEvent, Outcome}};
    ///
    /// let mut denied = AuditEvent::example();
    /// denied.outcome = Outcome::Denied;
    /// denied.reason = Some(Reason::PolicyNoRule);
    /// denied.error = Some(Reason::PolicyNoRule.error());
    /// denied.granted = None;
    /// ```
    pub fn example() -> Self {
        let issuer = "https://as.example";
        let party = |sub: &str| Party::new(issuer, sub);
        let access_token = TokenType::ACCESS_TOKEN;
        let token = |jti: &str| TokenFacts {
            token_type: access_token.clone(),
            iss: issuer.into(),
            jti: Some(jti.into()),
            exp: NumericDate::from_seconds(1_800_000_600),
            one_time: false,
            binding: None,
        };
        Self {
            duration: Duration::from_micros(1500),
            client_address: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))),
            outcome: Outcome::Issued,
            stage: Stage::Answer,
            claimed_client_id: Some("orders".to_owned()),
            client_id: Some("orders".into()),
            auth_method: Some(AuthenticationMethod::ClientSecretBasic),
            requested: Requested {
                targets: vec!["billing".to_owned()],
                scope: Some("invoices:read".to_owned()),
                token_type: Some(access_token.to_string()),
                subject_token_type: Some(access_token.to_string()),
                actor_token_type: Some(access_token.to_string()),
            },
            subject: Some(party("alice")),
            subject_origin: None,
            subject_token: Some(token("subject-1")),
            actor: Some(party("orders")),
            actor_token: Some(token("actor-1")),
            semantics: Some(Semantics::Delegation),
            act: vec![party("orders"), party("web")],
            act_depth: Some(2),
            policy_id: Some("rule 1".to_owned()),
            shadow: None,
            binding: Some(BindingOutcome::Bearer),
            granted: KeyId::try_from("key-1").ok().map(|kid| Granted {
                targets: vec!["billing".into()],
                sub: "alice".into(),
                scope: Scope::from_tokens(["invoices:read"]).unwrap_or_default(),
                token_type: access_token,
                jti: "issued-1".into(),
                kid,
                exp: NumericDate::from_seconds(1_800_000_300),
                binding: None,
            }),
            request_id: Some("0b2d6a51-9b6f-4c0f-8d0c-3f5a4c1f2e77".to_owned()),
            trace_id: Some("0af7651916cd43dd8448eb211c80319c".to_owned()),
            ..Self::new("event-1".to_owned(), UNIX_EPOCH + Duration::from_secs(1_800_000_000), Operation::Exchange)
        }
    }
}
