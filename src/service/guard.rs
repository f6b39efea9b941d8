//! The guard: what a lenient server could take for a token exchange, although the layer does not.
//!
//! [`manual::smuggling`](crate::manual::smuggling) lists every case with its result.

use super::{
    grant_type::{form_contains_exchange_grant, json_contains_exchange_grant},
    media::Media,
};
use crate::protocol::{Reason, begins_like_json};
use http::{HeaderMap, header};
use std::borrow::Cow;

/// The check of the body of a request that is not for the layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GuardCheck {
    /// The body is a form, and the reason applies if the form contains the grant.
    Form(Reason),
    /// The body is JSON, and must not contain the grant.
    Json,
}

impl GuardCheck {
    /// The check of a request that is similar to a token request, or the reason to refuse the request at once.
    pub(super) fn new(media: Media, is_post: bool) -> Result<Self, Reason> {
        match (media, is_post) {
            (Media::Form, true) => Ok(Self::Form(Reason::GrantAtOtherPath)),
            (Media::Form, false) => Ok(Self::Form(Reason::GrantInOtherMethod)),
            (Media::Json, _) => Ok(Self::Json),
            (Media::Other, _) => Err(Reason::BodyUnreadable),
        }
    }

    /// Returns the reason to refuse the request with this body, or `None` if the request can pass.
    ///
    /// Some servers read a form or JSON without a look at the media type, so each body is read as both.
    pub(super) fn problem(self, body: &[u8]) -> Option<Reason> {
        match self {
            Self::Form(reason) if form_contains_exchange_grant(body) => Some(reason),
            Self::Form(_) => problem_of_form(body),
            Self::Json if form_contains_exchange_grant(body) => Some(Reason::GrantInJson),
            Self::Json => problem_of_json(body),
        }
    }
}

/// Returns the reason to refuse a form that a server could read in another way than as ASCII text.
pub(super) fn problem_of_form(form: &[u8]) -> Option<Reason> {
    // Some servers read UTF-16 and UTF-32 after a byte order mark. ASCII has NULs in these encodings.
    if form.contains(&0) {
        return Some(Reason::BodyUnreadable);
    }
    // Some servers read JSON without a look at the media type.
    if begins_like_json(form) { problem_of_json(form) } else { None }
}

fn problem_of_json(json: &[u8]) -> Option<Reason> {
    match json_contains_exchange_grant(json) {
        Some(false) => None,
        Some(true) => Some(Reason::GrantInJson),
        None => Some(Reason::BodyUnreadable),
    }
}

/// Returns the reason to refuse a request for its headers: a cookie, or the query of a target in a header, is the grant.
///
/// Some servers read cookies and parameters from one collection.
pub(super) fn problem_of_headers(headers: &HeaderMap) -> Option<Reason> {
    if headers.get_all(header::COOKIE).iter().any(|cookies| form_contains_exchange_grant(cookies.as_bytes())) {
        return Some(Reason::GrantInCookie);
    }
    let mut targets = targets_in_headers(headers);
    let is_in_query = targets.any(|target| form_contains_exchange_grant(split_target(&target).1.as_bytes()));
    is_in_query.then_some(Reason::GrantInQuery)
}

/// The targets that headers such as `X-Original-URL` name. Some servers read the path and the query from such a header.
pub(super) fn targets_in_headers(headers: &HeaderMap) -> impl Iterator<Item = Cow<'_, str>> {
    const ENDS: [&str; 3] = ["url", "uri", "path"];
    let named = headers.iter().filter(|(name, _)| ENDS.iter().any(|end| name.as_str().ends_with(end)));
    named.map(|(_, value)| String::from_utf8_lossy(value.as_bytes()))
}

/// The path and the query of a target: of a path, or of a URL.
pub(super) fn split_target(target: &str) -> (&str, &str) {
    let target = target.trim_ascii();
    let target = match target.split_once("://") {
        Some((_, rest)) => rest.find(['/', '\\', '?']).map_or("", |start| &rest[start..]),
        None => target,
    };
    let target = target.split('#').next().unwrap_or_default();
    target.split_once('?').unwrap_or((target, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_path_or_a_url() {
        for (target, path, query) in [
            ("/token", "/token", ""),
            (" /token?a=b?c#d?e", "/token", "a=b?c"),
            ("http://as.example/token?a=b", "/token", "a=b"),
            ("http://as.example?a=b", "", "a=b"),
            ("http://as.example", "", ""),
            ("token", "token", ""),
        ] {
            assert_eq!(split_target(target), (path, query), "{target}");
        }
    }
}
