//! The answers of a token endpoint (RFC 6749 section 5, RFC 8693 section 2.2).

use super::{
    ExchangeError,
    error::{Refusal, Unavailable},
    exchanged::{Binding, ExchangedToken},
    form::Form,
};
use crate::{
    jose::parse_object,
    protocol::{NumericDate, Scope, Sensitive, TokenType, retry_after},
};
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Map, Value};
use std::time::{Duration, SystemTime};

/// The longest lifetime that is believed. A longer one would overflow a time.
const MAX_LIFETIME: u64 = 365 * 24 * 60 * 60;
/// The longest `error`, in bytes.
const MAX_CODE_BYTES: usize = 64;

/// What an answer is compared with.
#[derive(Clone)]
pub(super) struct Expected {
    pub(super) issued: IssuedType,
    /// Whether the request had a DPoP proof.
    pub(super) is_proven: bool,
    /// The time before the request.
    pub(super) now: SystemTime,
}

/// The `issued_token_type` that an answer must have.
#[derive(Clone)]
pub(super) enum IssuedType {
    /// The grant has no such member.
    NoMember,
    /// An access token, or a JWT that is used as one.
    Usable,
    /// The type that was requested.
    Requested(TokenType),
}

/// Reads the answer to a request.
pub(super) fn read(
    response: &Response<Bytes>,
    form: &Form,
    expected: &Expected,
) -> Result<ExchangedToken, ExchangeError> {
    let status = response.status();
    let members = parse_object(response.body());
    match (status, members) {
        (StatusCode::OK, Some(members)) => success(members, expected),
        (StatusCode::OK, None) => Err(unusable("the body is not one JSON object without duplicate members")),
        (StatusCode::TOO_MANY_REQUESTS, _) => Err(unavailable(status, response.headers(), expected.now, true)),
        (StatusCode::SERVICE_UNAVAILABLE, _) => Err(unavailable(status, response.headers(), expected.now, true)),
        _ if status.is_server_error() => Err(unavailable(status, response.headers(), expected.now, false)),
        _ if status.is_redirection() => {
            Err(unusable(format!("the status is {}, and a token endpoint does not redirect", status.as_u16())))
        }
        (_, Some(members)) if status.is_client_error() => refusal(status, &members, form),
        _ => Err(unusable(format!("the status is {}, without an OAuth error", status.as_u16()))),
    }
}

/// Whether an answer asks for a DPoP nonce (RFC 9449 section 8).
pub(super) fn asks_for_nonce(body: &[u8]) -> bool {
    parse_object(body).is_some_and(|members| members.get("error").and_then(Value::as_str) == Some("use_dpop_nonce"))
}

fn success(mut members: Map<String, Value>, expected: &Expected) -> Result<ExchangedToken, ExchangeError> {
    let token = match members.remove("access_token") {
        Some(Value::String(token)) => Sensitive::new(token),
        _ => return Err(unusable("`access_token` is missing")),
    };
    if token.expose().is_empty() || !token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(unusable("`access_token` is not a token"));
    }
    let text = |name| members.get(name).and_then(Value::as_str);
    let binding = match text("token_type") {
        Some(kind) if kind.eq_ignore_ascii_case(Binding::Bearer.as_str()) => Binding::Bearer,
        Some(kind) if kind.eq_ignore_ascii_case(Binding::Dpop.as_str()) => Binding::Dpop,
        _ => return Err(unusable("`token_type` is neither `Bearer` nor `DPoP`")),
    };
    match (binding, expected.is_proven) {
        // RFC 9449 section 5: a client that needs bound tokens discards the answer.
        (Binding::Bearer, true) => {
            return Err(unusable("the token is not bound to the DPoP key; ask the server for bound tokens"));
        }
        (Binding::Dpop, false) => return Err(unusable("the token is bound to a DPoP key, and the client has no key")),
        _ => {}
    }
    let scope = match members.get("scope") {
        None => None,
        Some(Value::String(text)) if text.is_empty() => Some(Scope::empty()),
        Some(Value::String(text)) => Some(text.parse().map_err(|_| unusable("`scope` is not a scope"))?),
        Some(_) => return Err(unusable("`scope` is not a text")),
    };
    let expires_at = match members.get("expires_in") {
        None => None,
        Some(Value::Number(number)) => {
            let seconds = number.as_u64().ok_or_else(|| unusable("`expires_in` is not a whole number of seconds"))?;
            Some(NumericDate::from(expected.now) + Duration::from_secs(seconds.min(MAX_LIFETIME)))
        }
        Some(_) => return Err(unusable("`expires_in` is not a number")),
    };
    let token_type = issued_type(text("issued_token_type"), &expected.issued)?;
    ExchangedToken::new(token, binding, token_type, expires_at, scope)
        .map_err(|_| unusable("`access_token` fits in no header"))
}

fn issued_type(issued: Option<&str>, expected: &IssuedType) -> Result<TokenType, ExchangeError> {
    let issued = match expected {
        IssuedType::NoMember => return Ok(TokenType::ACCESS_TOKEN),
        _ => TokenType::declared(issued.ok_or_else(|| unusable("`issued_token_type` is missing"))?),
    };
    let is_right = match expected {
        IssuedType::Requested(requested) => issued == *requested,
        _ => issued == TokenType::ACCESS_TOKEN || issued == TokenType::JWT,
    };
    if is_right { Ok(issued) } else { Err(unusable("`issued_token_type` is another type than the requested one")) }
}

fn refusal(status: StatusCode, members: &Map<String, Value>, form: &Form) -> Result<ExchangedToken, ExchangeError> {
    let text = |name| members.get(name).and_then(Value::as_str);
    // A token or a secret that the server repeats must not reach a log.
    let error = text("error").filter(|error| is_code(error) && !form.is_exposed_in(error));
    let Some(error) = error else {
        return Err(unusable(format!("the status is {}, without an OAuth error", status.as_u16())));
    };
    let acr_values = text("acr_values").into_iter().flat_map(|values| values.split(' ')).map(str::to_owned);
    Err(ExchangeError::Refused(Refusal {
        status,
        error: error.to_owned(),
        description: text("error_description").filter(|text| !form.is_exposed_in(text)).map(str::to_owned),
        acr_values: acr_values.filter(|value| !value.is_empty() && !form.is_exposed_in(value)).collect(),
        max_age: members.get("max_age").and_then(Value::as_u64).map(Duration::from_secs),
    }))
}

/// Whether a text has the grammar of an error code (RFC 6749 section 5.2) and is short.
fn is_code(text: &str) -> bool {
    let is_allowed = |byte: u8| matches!(byte, 0x20..=0x7e) && !matches!(byte, b'"' | b'\\');
    !text.is_empty() && text.len() <= MAX_CODE_BYTES && text.bytes().all(is_allowed)
}

fn unavailable(status: StatusCode, headers: &HeaderMap, now: SystemTime, is_unprocessed: bool) -> ExchangeError {
    let problem = format!("the status is {}", status.as_u16());
    let retry_after = retry_after(headers, now);
    ExchangeError::Unavailable(Unavailable { status: Some(status), retry_after, problem, is_unprocessed })
}

pub(super) fn unusable(problem: impl Into<String>) -> ExchangeError {
    ExchangeError::UnusableAnswer { problem: problem.into() }
}
