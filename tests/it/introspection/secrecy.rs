//! No output holds an introspected token or the credentials for the endpoint.

use super::*;
use std::io;
use tower_token_exchange::audit::TracingSink;
use tracing_subscriber::layer::SubscriberExt;

/// Everything that is written to the log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Parts of secrets, in every form that they take on the way.
fn assert_silent(text: &str, place: &str) {
    let encoded = basic("layer%3A+100%25", "zq9secret%2Bpass%2Fword%3D%26%C3%BC");
    for secret in ["zq9opaque", "zq9secret", "zq9bearer", encoded.trim_start_matches("Basic "), &secret_of("orders")] {
        assert!(!text.contains(secret), "{place} shows `{secret}`: {text}");
    }
}

#[tokio::test]
async fn no_output_holds_a_token_or_credential() {
    let log = Log::default();
    let writer = log.clone();
    let format = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || writer.clone());
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(format));
    let (endpoint, mut world) = world().await;
    let bad_type = Answer { content_type: Some("text/html"), ..Answer::json(OPAQUE) };
    let answers = [
        (Answer::json(active(json!({})).to_string()), None),
        (Answer::json(r#"{"active":false}"#), Some(Reason::TokenInactive)),
        (Answer::json(format!(r#"{{"active":"{OPAQUE}"}}"#)), Some(Reason::IntrospectionUnavailable)),
        (Answer::json(OPAQUE), Some(Reason::IntrospectionUnavailable)),
        (bad_type, Some(Reason::IntrospectionUnavailable)),
        (Answer { status: 401, ..Answer::json(LAYER_SECRET) }, Some(Reason::IntrospectionUnavailable)),
        (Answer::json(active(json!({ "token_type": OPAQUE })).to_string()), Some(Reason::TokenTypeConfused)),
        (Answer::json(active(json!({ "iss": OPAQUE })).to_string()), Some(Reason::TokenIssuerUnknown)),
        (Answer::json(active(json!({ "exp": OPAQUE })).to_string()), Some(Reason::TokenClaimsInvalid)),
    ];
    for (answer, reason) in answers {
        endpoint.answers(answer);
        let reply = world.post_as("orders", &exchange_form(OPAQUE, &[])).await;
        let event = world.event().await;
        assert_eq!(event.reason, reason);
        assert_silent(&format!("{event:?}"), "the event");
        assert_silent(&serde_json::to_string(&event).unwrap(), "the event as JSON");
        assert_silent(&format!("{:?} {}", reply.headers, reply.text), "the answer");
    }
    assert_silent(&String::from_utf8(log.0.lock().unwrap().clone()).unwrap(), "the log");
    for asked in endpoint.asked() {
        assert_silent(&asked.uri.to_string(), "the address");
    }
}

#[tokio::test]
async fn the_default_sink_holds_neither() {
    let log = Log::default();
    let writer = log.clone();
    let format = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || writer.clone());
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(format));
    let endpoint = Endpoint::up().await;
    endpoint.says(&active(json!({ "iss": IDP, "aud": AS, "sub": "bob" })));
    let idp = crate::jwks::record(IDP).introspection(endpoint.record());
    let plan = without_idp();
    let layer = plan.builder.issuers([idp]).http(loopback()).audit(TracingSink).build().unwrap();
    assert_eq!(crate::jwks::post(&layer, OPAQUE).await.0, StatusCode::OK);
    endpoint.says(&json!({ "active": [OPAQUE] }));
    assert_eq!(crate::jwks::post(&layer, OPAQUE).await.0, StatusCode::SERVICE_UNAVAILABLE);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(log.matches("event_id=").count(), 2, "{log}");
    assert_silent(&log, "the log");
}

#[tokio::test]
async fn the_debug_output_of_records_holds_neither() {
    let endpoint = Endpoint::up().await;
    let bearer = Introspection::bearer(&endpoint.url, "zq9bearer");
    for record in [endpoint.record(), bearer.introspect(IntrospectedTokens::Every).allow_missing_token_type()] {
        assert_silent(&format!("{record:?} {record:#?}"), "the record");
        let issuer = Issuer::new(AS).introspection(record);
        assert_silent(&format!("{issuer:?}"), "the issuer's record");
        let builder = plan().builder.issuers([issuer]);
        assert_silent(&format!("{builder:?}"), "the builder");
        assert_silent(&format!("{:?}", builder.http(loopback()).build().unwrap()), "the layer");
    }
    // A mistake in the record is told without the credentials.
    let odd = Issuer::new(AS).introspection(Introspection::bearer("https://as.example/introspect", "zq9bearer\nline"));
    let error = plan().builder.issuers([odd]).build().unwrap_err();
    assert!(error.to_string().starts_with("issuer `https://as.example`: introspection: the credentials"), "{error}");
    assert_silent(&format!("{error} {error:?}"), "the error");
}
