use super::{ErrorCode, Reason, Rejection, Scope, TokenType, wiped_on_drop};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use std::io::Write;

/// The header with the nonce for the next DPoP proof (RFC 9449 section 8).
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// The seconds after which a client should try again after a 503.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// The size of an answer without its texts, rounded up, in bytes.
const ANSWER_OVERHEAD: usize = 128;

/// The answer to a successful exchange (RFC 8693 section 2.2.1).
pub(crate) struct Answer<'a> {
    pub(crate) access_token: &'a str,
    pub(crate) issued_token_type: &'a TokenType,
    pub(crate) token_type: &'static str,
    pub(crate) expires_in: u64,
    pub(crate) scope: &'a Scope,
    /// The nonce for the next DPoP proof, if the client needs another nonce.
    pub(crate) dpop_nonce: Option<&'a HeaderValue>,
}

#[derive(Serialize)]
struct Failure {
    error: ErrorCode,
    error_description: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr_values: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_age: Option<u64>,
}

pub(crate) fn success_response(answer: &Answer<'_>) -> Response<Bytes> {
    let Answer { access_token, issued_token_type, token_type, expires_in, scope, dpop_nonce } = answer;
    // The buffer has room for the whole answer, because a buffer that grows leaves a copy of the token.
    let others = answer.scope.as_text().len() + answer.issued_token_type.as_str().len();
    let mut text = Vec::with_capacity(answer.access_token.len() + others + ANSWER_OVERHEAD);
    // No value has a character that JSON escapes: the token is base64url with dots, its type is one of two URIs, and the scope has the
    // grammar of RFC 6749 section 3.3. Writing to memory cannot fail.
    let _ = write!(
        text,
        r#"{{"access_token":"{access_token}","issued_token_type":"{issued_token_type}","token_type":"{token_type}","expires_in":{expires_in},"scope":"{scope}"}}"#
    );
    let mut response = json_text_response(StatusCode::OK, wiped_on_drop(text));
    if let Some(nonce) = dpop_nonce {
        response.headers_mut().insert(DPOP_NONCE, (*nonce).clone());
    }
    response
}

/// The response to a refusal. The extensions of the response have the [`Reason`], for outer layers.
pub(crate) fn error_response(rejection: &Rejection) -> Response<Bytes> {
    let reason = rejection.reason();
    let status = rejection.status();
    let step_up = rejection.step_up();
    let body = Failure {
        error: rejection.error(),
        error_description: reason.description(),
        acr_values: step_up.map(|step_up| step_up.acr_values.join(" ")).filter(|values| !values.is_empty()),
        max_age: step_up.and_then(|step_up| step_up.max_age),
    };
    let mut response = json_response(status, &body);
    let headers = response.headers_mut();
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static(r#"Basic realm="token endpoint", charset="UTF-8""#);
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    if let Some(seconds) = rejection.retry_after() {
        headers.insert(header::RETRY_AFTER, seconds.into());
    } else if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    if let Some(nonce) = rejection.dpop_nonce() {
        headers.insert(DPOP_NONCE, nonce.clone());
    }
    if matches!(reason, Reason::BodyTooSlow) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response.extensions_mut().insert(reason);
    response
}

/// A JSON response that no cache may store.
pub(crate) fn json_response(status: StatusCode, body: &impl Serialize) -> Response<Bytes> {
    // Writing strings and integers to memory cannot fail.
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    json_text_response(status, bytes.into())
}

fn json_text_response(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(3);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
