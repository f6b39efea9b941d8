//! The guard: what a lenient server could take for a token exchange, although the layer does not.
//!
//! [`manual::smuggling`](crate::manual::smuggling) lists every case with its result.

use super::{
    grant_type::{form_contains_exchange_grant, json_contains_exchange_grant},
    media::Media,
};
use crate::protocol::{Reason, lenient_percent_decode};

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
    pub(super) fn problem(self, body: &[u8]) -> Option<Reason> {
        match self {
            Self::Form(reason) => form_contains_exchange_grant(body).then_some(reason),
            Self::Json => match json_contains_exchange_grant(body) {
                Some(false) => None,
                Some(true) => Some(Reason::GrantInJson),
                None => Some(Reason::BodyUnreadable),
            },
        }
    }
}

/// Whether a lenient server could take this path for the path of the endpoint.
pub(super) fn are_similar(endpoint: &str, path: &str) -> bool {
    // A path of these characters has one reading only, which makes the common case fast.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_');
    if path.bytes().all(plain) && !path.contains("//") {
        return path.trim_end_matches('/').eq_ignore_ascii_case(endpoint.trim_end_matches('/'));
    }
    let (wanted, found) = (lenient_segments(endpoint), lenient_segments(path));
    let (Some((last_wanted, wanted)), Some((last_found, found))) = (wanted.split_last(), found.split_last()) else {
        return wanted == found;
    };
    // Some servers take `/token.json` for `/token` with a format.
    let extension = last_found.strip_prefix(last_wanted.as_str());
    wanted == found && extension.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Splits a path into segments as the most lenient server does.
///
/// Such a server decodes escapes repeatedly, ignores letter case, removes path parameters, empty segments and dot
/// segments, and cuts off a segment at a NUL and its ends at white space, control characters and dots.
fn lenient_segments(path: &str) -> Vec<String> {
    // Path parameters are removed first, so that a broken escape in a parameter does not hide the path before the parameter.
    let without_parameters = path.split('/').map(|segment| segment.split(';').next().unwrap_or_default());
    let mut unescaped = without_parameters.collect::<Vec<_>>().join("/");
    for _ in 0..3 {
        unescaped = lenient_percent_decode(&unescaped).into_owned();
    }
    let mut segments: Vec<String> = Vec::new();
    for segment in unescaped.to_lowercase().split(['/', '\\']) {
        let name = segment.split([';', '\0']).next().unwrap_or_default();
        if name == ".." {
            segments.pop();
            continue;
        }
        let name = name.trim_matches(|c: char| c.is_whitespace() || c.is_control());
        let name = name.trim_end_matches(|c: char| c == '.' || c.is_whitespace());
        if !name.is_empty() {
            segments.push(name.to_owned());
        }
    }
    segments
}
