/// Whether two paths name the same place (RFC 3986 section 6.2.2), for a server that also ignores empty segments.
///
/// Doubled slashes, a slash at the end, dot segments, the letter case of percent escapes, and escapes of unreserved
/// characters make no difference. Every other difference counts, also the letter case. The function does not allocate.
///
/// A path such as `/api//../token` names two places: some servers remove the empty segment first, and others remove it with
/// the dot segments. The path is the same as both.
///
/// ```
/// use tower_token_exchange::service::is_same_path;
///
/// for path in ["/api/token", "//api/token", "/api/token/", "/api/./x/../token", "/%61pi/token"] {
///     assert!(is_same_path("/api/token", path), "{path}");
/// }
/// for path in ["/api/Token", "/api/token;x=1", "/api%2Ftoken", "/api/token.json"] {
///     assert!(!is_same_path("/api/token", path), "{path}");
/// }
/// ```
pub fn is_same_path(endpoint: &str, path: &str) -> bool {
    if endpoint == path {
        return true;
    }
    EmptySegments::ALL.into_iter().any(|empty| {
        let (mut wanted, mut found) = (segments_from_the_end(endpoint, empty), segments_from_the_end(path, empty));
        loop {
            match (wanted.next(), found.next()) {
                (None, None) => return true,
                (Some(wanted), Some(found)) if unescaped(wanted).eq(unescaped(found)) => {}
                _ => return false,
            }
        }
    })
}

/// When a server removes the empty segments of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EmptySegments {
    /// Before the dot segments, so that `..` removes the name before an empty segment.
    First,
    /// After the dot segments, so that `..` removes an empty segment (RFC 3986 section 5.2.4).
    Last,
}

impl EmptySegments {
    const ALL: [Self; 2] = [Self::First, Self::Last];
}

/// The segments that are neither empty nor dot segments, from the last to the first: this order needs no list.
fn segments_from_the_end(path: &str, empty: EmptySegments) -> impl Iterator<Item = &str> {
    let mut removed = 0_usize;
    path.rsplit('/').filter(move |segment| {
        if segment.is_empty() {
            if empty == EmptySegments::Last {
                removed = removed.saturating_sub(1);
            }
            return false;
        }
        if unescaped(segment).eq(*b".") {
            return false;
        }
        if unescaped(segment).eq(*b"..") {
            removed += 1;
            return false;
        }
        let is_left = removed == 0;
        removed = removed.saturating_sub(1);
        is_left
    })
}

/// The bytes of a segment. Escapes of unreserved characters are decoded, and the digits of all other escapes are in upper
/// case.
fn unescaped(segment: &str) -> impl Iterator<Item = u8> {
    let bytes = segment.as_bytes();
    let (mut at, mut digits) = (0, 0);
    std::iter::from_fn(move || {
        let byte = *bytes.get(at)?;
        at += 1;
        if digits > 0 {
            digits -= 1;
            return Some(byte.to_ascii_uppercase());
        }
        let escape = bytes.get(at..at + 2).filter(|_| byte == b'%');
        let Some(value) = escape.and_then(|escape| Some(16 * hex(escape[0])? + hex(escape[1])?)) else {
            return Some(byte);
        };
        if value.is_ascii_alphanumeric() || matches!(value, b'-' | b'.' | b'_' | b'~') {
            at += 2;
            return Some(value);
        }
        digits = 2;
        Some(byte)
    })
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_place_are_the_same() {
        for (endpoint, path, is_same) in [
            ("/token", "/token", true),
            ("/token", "/token/", true),
            ("/token", "//token//", true),
            ("//api/token", "/api/token", true),
            ("/api/token", "/api//token", true),
            ("/api/token", "/../api/./x/y/../../token", true),
            ("/api/token", "/api/x/%2E%2e/token", true),
            ("/api/token", "/api//../token", true),
            ("/token", "/api//../token", true),
            ("/api/token", "/api//x/..//%2e%2e/token", true),
            ("/api/token", "//api///../../token", true),
            ("/api/token", "/api//../../token", false),
            ("/token", "/token//..", true),
            ("/a/token", "/api//../token", false),
            ("/api/token", "/%61pi/t%6Fken", true),
            ("/a%2fb", "/a%2Fb", true),
            ("/a%2fb", "/a/b", false),
            ("/", "", true),
            ("/token", "/Token", false),
            ("/token", "/token/..", false),
            ("/token", "/token/x", false),
            ("/token", "/x/token", false),
            ("/token", "/tok", false),
            ("/token", "/token%00", false),
            ("/token", "/token;x=y", false),
            ("/token", "/%2574oken", false),
            ("/a%", "/a%", true),
            ("/a%2", "/a%2", true),
            ("/a%zz", "/a%ZZ", false),
            ("/%c3%a9", "/%C3%A9", true),
        ] {
            assert_eq!(is_same_path(endpoint, path), is_same, "{endpoint} {path}");
            assert_eq!(is_same_path(path, endpoint), is_same, "{path} {endpoint}");
        }
    }
}
