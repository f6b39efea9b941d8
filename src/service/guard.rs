//! The guard: what a lenient server could take for a token exchange, although the layer does not.
//!
//! [`manual::smuggling`](crate::manual::smuggling) lists every case with its result.

use super::{
    grant_type::{form_contains_exchange_grant, json_contains_exchange_grant},
    media::Media,
    path::EmptySegments,
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
    // The segments of a path of these characters need no list. Most paths of requests are such.
    let is_plain = |path: &str| path.bytes().all(|byte| byte.is_ascii_graphic() && !b"%\\;".contains(&byte));
    let are_plain = is_plain(endpoint) && is_plain(path);
    EmptySegments::ALL.into_iter().any(|empty| {
        if are_plain {
            return is_similar_list(plain_segments(endpoint, empty), plain_segments(path, empty));
        }
        let (wanted, found) = (lenient_segments(endpoint, empty), lenient_segments(path, empty));
        is_similar_list(wanted.iter().rev().map(String::as_str), found.iter().rev().map(String::as_str))
    })
}

/// Compares two lists of segments, from the last to the first.
fn is_similar_list<'a>(mut wanted: impl Iterator<Item = &'a str>, mut found: impl Iterator<Item = &'a str>) -> bool {
    let (last_wanted, last_found) = match (wanted.next(), found.next()) {
        (Some(wanted), Some(found)) => (wanted, found),
        (None, None) => return true,
        _ => return false,
    };
    // Some servers take `/token.json` for `/token` with a format.
    let is_last = last_found.split_at_checked(last_wanted.len()).is_some_and(|(name, rest)| {
        name.eq_ignore_ascii_case(last_wanted) && (rest.is_empty() || rest.starts_with('.'))
    });
    // The comparison allocates nothing, unlike one of lower-case copies.
    is_last
        && loop {
            match (wanted.next(), found.next()) {
                (None, None) => break true,
                (Some(wanted), Some(found)) if wanted.eq_ignore_ascii_case(found) => {}
                _ => break false,
            }
        }
}

/// The segments of a path without escapes, backslashes and parameters, from the last to the first.
fn plain_segments(path: &str, empty: EmptySegments) -> impl Iterator<Item = &str> {
    let mut removed = 0_usize;
    path.rsplit('/').filter_map(move |segment| {
        if segment == ".." {
            removed += 1;
            return None;
        }
        let name = segment.trim_end_matches('.');
        if name.is_empty() {
            if empty == EmptySegments::Last && segment != "." {
                removed = removed.saturating_sub(1);
            }
            return None;
        }
        if removed > 0 {
            removed -= 1;
            return None;
        }
        Some(name)
    })
}

/// Splits a path into segments as the most lenient server does.
///
/// Such a server decodes escapes repeatedly, ignores letter case, removes path parameters, empty segments and dot
/// segments, and cuts off a segment at a NUL and its ends at white space, control characters and dots.
fn lenient_segments(path: &str, empty: EmptySegments) -> Vec<String> {
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
        if !name.is_empty() || (empty == EmptySegments::Last && segment != ".") {
            segments.push(name.to_owned());
        }
    }
    segments.retain(|name| !name.is_empty());
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_paths_are_found() {
        for (endpoint, path, expected) in [
            ("/token", "/token", true),
            ("/token", "/TOKEN/", true),
            ("/token", "//token.", true),
            ("/token", "/token.json", true),
            ("/token", "/token...", true),
            ("/a/token", "/A./x/../token", true),
            ("/token.php", "/token.PHP", true),
            ("/token", "/x/%2e./token", true),
            ("/token", "/%2574oken;%zz", true),
            ("/", "/", true),
            ("/", "", true),
            ("/", "/token", false),
            ("/token", "/", false),
            ("/token", "/tokens", false),
            ("/token", "/style.css", false),
            ("/token", "/token/..", false),
            ("/token", "/a/token", false),
            ("/a/token", "/token", false),
            ("/a.b/token", "/a/token", false),
            ("/a/token", "/A//../token", true),
            ("/token", "/A//../Token", true),
            ("/a/token", "/A/./../token", false),
            ("/a/token", "/A/.../../token", true),
            ("/a/token", "/a/%20/%2e%2e/Token", true),
            ("/a/token", "/a/;x/../Token", true),
            ("/a/token", "/a\\\\..\\token", true),
            ("/b/token", "/a//../token", false),
        ] {
            assert_eq!(are_similar(endpoint, path), expected, "{endpoint} {path}");
            // A path that needs no list has the same segments in the other comparison.
            let is_similar = EmptySegments::ALL.into_iter().any(|empty| {
                let (wanted, found) = (lenient_segments(endpoint, empty), lenient_segments(path, empty));
                let [wanted, found] = [&wanted, &found].map(|list| list.iter().rev().map(String::as_str));
                is_similar_list(wanted, found)
            });
            assert_eq!(is_similar, expected, "{endpoint} {path}");
        }
    }
}
