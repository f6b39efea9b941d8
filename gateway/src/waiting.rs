//! The gateway while it does not know the endpoints of the authorization server: every request passes, except those that
//! only the gateway may answer.

use crate::{
    answer,
    config::Config,
    gateway::App,
    rare_line::RareLine,
    upstream::{Proxy, proxy},
};
use axum::body::Body;
use data_encoding::BASE64URL_NOPAD;
use http::{Request, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt, Full, Limited};
use serde_json::Value;
use std::{convert::Infallible, future, sync::Arc, time::Duration};
use tokio::time::timeout;
use tower::{ServiceExt, service_fn};
use tower_token_exchange::{GRANT_TYPE, signing::PublishedKeys};

/// The largest body that is searched. The form of an exchange or of a revocation is not larger.
const MAX_BYTES: usize = 1024 * 1024;

/// How long a body may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// What stands before the two hexadecimal digits of a byte.
const ESCAPES: [&[u8]; 4] = [b"%u00", b"%U00", b"\\u00", b"%"];

/// Makes a service that passes requests to the server. A request that may be a token exchange, or that has a token of the
/// gateway, is answered with 503: the endpoint for the request is not known yet, and the server must not answer.
pub(crate) fn waiting(config: &Config) -> anyhow::Result<App> {
    let (proxy, kids) = (proxy(config)?, Arc::new(kids(&config.published)));
    Ok(App::new(service_fn(move |request: Request<Body>| {
        let (proxy, kids) = (proxy.clone(), Arc::clone(&kids));
        async move { Ok::<_, Infallible>(pass(proxy, &kids, request).await) }
    })))
}

async fn pass(proxy: Proxy, kids: &[String], request: Request<Body>) -> Response<Body> {
    let needs_gateway = |text: &[u8]| {
        let text = decoded(text);
        has_grant(&text) || has_own_token(&text, kids)
    };
    if request.uri().query().is_some_and(|query| needs_gateway(query.as_bytes())) {
        return refuse();
    }
    if request.body().is_end_stream() {
        return passed(proxy, request).await;
    }
    if request.headers().contains_key(header::CONTENT_ENCODING) || request.body().size_hint().lower() > MAX_BYTES as u64
    {
        return refuse();
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = timeout(DEADLINE, Limited::new(body, MAX_BYTES).collect()).await else {
        return answer::plain(StatusCode::REQUEST_TIMEOUT);
    };
    let Ok(body) = body else { return refuse() };
    let (trailers, bytes) = (body.trailers().cloned(), body.to_bytes());
    if needs_gateway(&bytes) {
        return refuse();
    }
    let body = match trailers {
        None => Body::from(bytes),
        Some(trailers) => Body::new(Full::new(bytes).with_trailers(future::ready(Some(Ok(trailers))))),
    };
    passed(proxy, Request::from_parts(parts, body)).await
}

async fn passed(proxy: Proxy, request: Request<Body>) -> Response<Body> {
    let Ok(response) = proxy.oneshot(request).await;
    response
}

fn refuse() -> Response<Body> {
    static LINE: RareLine = RareLine::new(Duration::from_secs(1));
    if let Some(left_out) = LINE.due() {
        tracing::warn!(
            left_out,
            "a request was refused, because the endpoints of the authorization server are not known yet"
        );
    }
    answer::error(
        StatusCode::SERVICE_UNAVAILABLE,
        "temporarily_unavailable",
        "the server cannot answer now; try again later",
    )
}

/// The names of the keys of the gateway.
fn kids(published: &PublishedKeys) -> Vec<String> {
    let document: Value = serde_json::from_str(&published.to_json()).unwrap_or_default();
    let keys = document["keys"].as_array().cloned().unwrap_or_default();
    keys.iter().filter_map(|key| Some(key["kid"].as_str()?.to_owned())).collect()
}

/// The text as the most lenient server reads it: without NUL, and with the escapes of forms and of JSON decoded.
fn decoded(text: &[u8]) -> Vec<u8> {
    let text: Vec<u8> = text.iter().copied().filter(|byte| *byte != 0).collect();
    let (mut decoded, mut at) = (Vec::with_capacity(text.len()), 0);
    while let Some(byte) = text.get(at) {
        let escape = ESCAPES.iter().find_map(|start| {
            let end = at + start.len() + 2;
            let digits = text.get(at..end)?.strip_prefix(*start)?;
            let value = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
            Some((value, end))
        });
        let (value, end) = escape.unwrap_or((*byte, at + 1));
        decoded.push(value);
        at = end;
    }
    decoded
}

fn has_grant(text: &[u8]) -> bool {
    text.windows(GRANT_TYPE.len()).any(|window| window.eq_ignore_ascii_case(GRANT_TYPE.as_bytes()))
}

/// Whether the text has a JWT whose header names a key of the gateway.
fn has_own_token(text: &[u8], kids: &[String]) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let words = text.split(|byte| !is_part(*byte) && *byte != b'.');
    words.filter_map(|word| word.split(|byte| *byte == b'.').next()).any(|head| {
        let head = BASE64URL_NOPAD.decode(head).ok();
        let head: Option<Value> = head.and_then(|head| serde_json::from_slice(&head).ok());
        head.is_some_and(|head| kids.iter().any(|kid| head["kid"] == **kid))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grant_is_found_in_every_encoding() {
        let all = |byte: &dyn Fn(u8) -> String| GRANT_TYPE.bytes().map(byte).collect::<String>();
        for text in [
            format!("grant_type={GRANT_TYPE}&x=y"),
            GRANT_TYPE.to_uppercase(),
            all(&|byte| format!("%{byte:02x}")),
            all(&|byte| format!("%u00{byte:02X}")),
            format!("{{\"grant_type\":\"{}\"}}", all(&|byte| format!("\\u00{byte:02x}"))),
            all(&|byte| format!("{}\0", char::from(byte))),
        ] {
            assert!(has_grant(&decoded(text.as_bytes())), "{text}");
        }
        for text in ["", "grant_type=password", "%", "%u", "%zz", "\\u00", "%75%72"] {
            assert!(!has_grant(&decoded(text.as_bytes())), "{text}");
        }
    }

    #[test]
    fn a_token_of_the_gateway_is_found() {
        let token = |kid: &str| {
            let head = BASE64URL_NOPAD.encode(format!("{{\"alg\":\"ES256\",\"kid\":\"{kid}\"}}").as_bytes());
            format!("{head}.e30.AAAA")
        };
        let kids = ["own".to_owned()];
        for (text, is_found) in [
            (format!("token={}", token("own")), true),
            (format!("token={}", token("own").replace('.', "%2E")), true),
            (format!("{{\"token\":\"{}\"}}", token("own").replace('.', "\\u002e")), true),
            (format!("token={}", token("other")), false),
            ("token=own".to_owned(), false),
        ] {
            assert_eq!(has_own_token(&decoded(text.as_bytes()), &kids), is_found, "{text}");
        }
    }
}
