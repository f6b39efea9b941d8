//! Log pipelines and dashboards depend on the names and the values of an audit event.

use serde_json::{Value, json};
use tower_token_exchange::{
    Reason,
    audit::{AuditEvent, Outcome},
};

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

#[test]
fn the_json_of_an_event_is_stable() {
    let party = |sub: &str| format!(r#"{{"iss":"https://as.example","sub":"{sub}"}}"#);
    let token = |jti: &str| {
        format!(r#"{{"token_type":"{ACCESS_TOKEN}","iss":"https://as.example","jti":"{jti}","exp":1800000600}}"#)
    };
    let requested = format!(
        r#"{{"targets":["billing"],"scope":"invoices:read","token_type":"{ACCESS_TOKEN}","subject_token_type":"{ACCESS_TOKEN}","actor_token_type":"{ACCESS_TOKEN}"}}"#
    );
    let granted = format!(
        r#"{{"targets":["billing"],"sub":"alice","scope":"invoices:read","token_type":"{ACCESS_TOKEN}","jti":"issued-1","kid":"key-1","exp":1800000300}}"#
    );
    let fields = [
        ("event_id", r#""event-1""#),
        ("time", "1800000000.0"),
        ("duration_us", "1500"),
        ("outcome", r#""issued""#),
        ("stage", r#""answer""#),
        ("error", "null"),
        ("reason", "null"),
        ("detail", "null"),
        ("claimed_client_id", r#""orders""#),
        ("client_id", r#""orders""#),
        ("auth_method", r#""client_secret_basic""#),
        ("requested", &requested),
        ("subject", &party("alice")),
        ("subject_token", &token("subject-1")),
        ("actor", &party("orders")),
        ("actor_token", &token("actor-1")),
        ("semantics", r#""delegation""#),
        ("act", &format!("[{},{}]", party("orders"), party("web"))),
        ("act_depth", "2"),
        ("policy_id", r#""rule 1""#),
        ("shadow", "null"),
        ("granted", &granted),
        ("alarm", "false"),
    ];
    let expected: Vec<_> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    let written = serde_json::to_string(&AuditEvent::example()).unwrap();
    assert_eq!(written, format!("{{{}}}", expected.join(",")));
}

#[test]
fn codes_are_written_as_text() {
    let mut event = AuditEvent::example();
    event.outcome = Outcome::Denied;
    (event.reason, event.error) = (Some(Reason::TokenExpired), Some(Reason::TokenExpired.error()));
    let json: Value = serde_json::to_value(&event).unwrap();
    assert_eq!(
        (&json["outcome"], &json["reason"], &json["error"]),
        (&json!("denied"), &json!("token_expired"), &json!("invalid_request"))
    );
}
