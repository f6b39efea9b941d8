//! The guard against models of lenient servers, which share no code with the guard.
//!
//! `tests/differential/` compares the guard with real servers.

use crate::{
    Client, GRANT_TYPE, Target, TokenExchange, TokenExchangeLayer,
    policy::{Rule, Subjects},
    signing::{Algorithm, LocalSigner},
};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full, combinators::BoxBody};
use percent_encoding::percent_decode;
use serde_json::Value;
use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::OnceLock,
    task::{Context, Poll},
};
use tower::{Layer, Service, ServiceExt};

/// Checks a request in the bytes of HTTP/1.1: if the guard passes the request, no model of a server sees the exchange grant.
pub fn guard(data: &[u8]) {
    let Some(end) = data.windows(4).position(|window| window == b"\r\n\r\n") else { return };
    let Ok(head) = std::str::from_utf8(&data[..end]) else { return };
    let body = &data[end + 4..];
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target)) = (first.next(), first.next()) else { return };
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        request = request.header(name, value);
    }
    let Ok(request) = request.body(Full::new(Bytes::copy_from_slice(body)).boxed()) else { return };
    let content_type = request.headers().get("content-type").map_or(&b""[..], |value| value.as_bytes()).to_vec();
    let (path, query) = (request.uri().path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
    if passes(request) {
        let sees = is_endpoint(&path)
            && (form_has_grant(query.as_bytes())
                || (is_form(&content_type) && form_has_grant(body))
                || json_has_grant(body));
        assert!(!sees, "{}", data.escape_ascii());
    }
}

type Body = BoxBody<Bytes, Infallible>;

/// A service that says that a request was passed.
#[derive(Clone)]
struct Passed;

impl Service<Request<Body>> for Passed {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        let mut response = Response::new(Empty::new().boxed());
        response.extensions_mut().insert(Self);
        ready(Ok(response))
    }
}

fn passes(request: Request<Body>) -> bool {
    static GUARDED: OnceLock<TokenExchange<Passed>> = OnceLock::new();
    let guarded = GUARDED.get_or_init(|| {
        let builder = TokenExchangeLayer::builder("https://as.example")
            .clients([Client::new("orders").secret("a-long-and-random-secret")])
            .targets([Target::new("billing").allow_clients(["orders"]).scopes(["read"])])
            .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["read"])])
            .signer(LocalSigner::generate(Algorithm::ES256).expect("a key"));
        builder.guard().build().expect("a layer").layer(Passed)
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let response = runtime.block_on(guarded.clone().oneshot(request)).expect("the layer has no errors");
    response.extensions().get::<Passed>().is_some()
}

/// A server that decodes the path once, ignores the letter case, and gives the rest of the path to the program.
fn is_endpoint(path: &str) -> bool {
    let path = percent_decode(path.as_bytes()).decode_utf8_lossy().to_lowercase();
    path.strip_prefix("/token").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_form(content_type: &[u8]) -> bool {
    content_type.to_ascii_lowercase().starts_with(b"application/x-www-form-urlencoded")
}

fn form_has_grant(form: &[u8]) -> bool {
    let pairs = form.split(|byte| matches!(byte, b'&' | b';'));
    pairs.map(|pair| pair.splitn(2, |byte| *byte == b'=').map(unescaped).collect::<Vec<_>>()).any(|pair| {
        let [name, value] = &pair[..] else { return false };
        [name.clone(), rack_name(name), php_name(name), dotted_name(name)].iter().any(|name| name == "grant_type")
            && is_grant(value)
    })
}

fn unescaped(text: &[u8]) -> String {
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&spaced).decode_utf8_lossy().into_owned()
}

/// Rack 2 skips brackets, and takes the name up to the next bracket.
fn rack_name(name: &str) -> String {
    let name = name.trim_start().trim_start_matches(['[', ']']);
    name.split(['[', ']']).next().unwrap_or_default().to_owned()
}

/// PHP skips spaces, takes the name up to a NUL or an array, and replaces other characters.
fn php_name(name: &str) -> String {
    let name = name.trim_start_matches(' ').split('\0').next().unwrap_or_default();
    let name = match name.split_once('[') {
        Some((array, rest)) if rest.contains(']') => array,
        _ => name,
    };
    name.replace(['.', ' ', '['], "_")
}

/// qs with `allowDots` takes `.` for an element of an object.
fn dotted_name(name: &str) -> String {
    name.trim_start_matches('.').split('.').next().unwrap_or_default().to_owned()
}

fn json_has_grant(json: &[u8]) -> bool {
    // The decoder of Go ignores what follows the first value, and the letter case of names.
    let value = serde_json::Deserializer::from_slice(json).into_iter::<Value>().next();
    let Some(Ok(Value::Object(members))) = value else { return false };
    members.iter().any(|(name, value)| name.eq_ignore_ascii_case("grant_type") && has_grant(value))
}

fn has_grant(value: &Value) -> bool {
    match value {
        Value::String(text) => is_grant(text),
        Value::Array(elements) => elements.iter().any(has_grant),
        Value::Object(members) => members.values().any(has_grant),
        _ => false,
    }
}

/// Servers trim values as Java does: every character up to the space.
fn is_grant(value: &str) -> bool {
    let value = value.trim_matches(|c: char| c <= ' ' || c.is_whitespace());
    value.to_lowercase() == GRANT_TYPE
}
