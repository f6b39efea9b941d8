//! The answers of a resource server to requests that it refuses.

use crate::protocol::{ErrorCode, Reason, ReasonClass, Rejection, json_response};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

pub(super) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
/// The seconds after which a client should try again after a 503.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");
/// The text for every token that is not acceptable.
const NOT_ACCEPTABLE: &str = "the access token is not acceptable";

#[derive(Serialize)]
struct Failure {
    error: ErrorCode,
    error_description: &'static str,
}

/// The refusal with the answer that a resource server gives. The table of reasons has the answers of a token endpoint.
pub(super) fn answered(rejection: Rejection) -> Rejection {
    let (error, status) = (rejection.error(), rejection.status());
    match rejection.reason().class() {
        ReasonClass::Access | ReasonClass::Failure => rejection,
        ReasonClass::StepUp => rejection.with_answer(error, StatusCode::UNAUTHORIZED),
        _ if matches!(error, ErrorCode::InvalidDpopProof | ErrorCode::UseDpopNonce) => {
            rejection.with_answer(error, StatusCode::UNAUTHORIZED)
        }
        _ if status == StatusCode::TOO_MANY_REQUESTS => rejection,
        _ => rejection.with_answer(ErrorCode::InvalidToken, StatusCode::UNAUTHORIZED),
    }
}

/// The `error_description`. Reasons that an outsider must not tell apart share one text.
pub(super) fn description(rejection: &Rejection) -> &'static str {
    match rejection.error() {
        ErrorCode::InvalidToken if rejection.reason() != Reason::AccessTokenMissing => NOT_ACCEPTABLE,
        _ => rejection.reason().description(),
    }
}

pub(super) fn response(rejection: &Rejection, challenges: &[HeaderValue], is_grpc: bool) -> Response<Bytes> {
    let status = rejection.status();
    let mut response = match is_grpc {
        true => grpc_response(rejection),
        false => {
            json_response(status, &Failure { error: rejection.error(), error_description: description(rejection) })
        }
    };
    let headers = response.headers_mut();
    for challenge in challenges {
        headers.append(header::WWW_AUTHENTICATE, challenge.clone());
    }
    if let Some(seconds) = rejection.retry_after() {
        headers.insert(header::RETRY_AFTER, seconds.into());
    } else if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    if let Some(nonce) = rejection.dpop_nonce() {
        headers.insert(DPOP_NONCE, nonce.clone());
    }
    response.extensions_mut().insert(rejection.reason());
    response
}

/// The status code of gRPC for a refusal.
pub(super) fn grpc_code(status: StatusCode) -> u8 {
    match status {
        StatusCode::BAD_REQUEST => 3,
        StatusCode::UNAUTHORIZED => 16,
        StatusCode::FORBIDDEN => 7,
        StatusCode::TOO_MANY_REQUESTS => 8,
        StatusCode::SERVICE_UNAVAILABLE => 14,
        _ => 13,
    }
}

/// An answer that has only headers, which gRPC reads as the end of the call.
fn grpc_response(rejection: &Rejection) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from(u16::from(grpc_code(rejection.status()))));
    headers.insert("grpc-message", HeaderValue::from_static(description(rejection)));
    response
}
