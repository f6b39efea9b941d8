use crate::protocol::media_type_of;
use http::{HeaderMap, header};

/// The character sets in which every byte of the grant has its ASCII meaning.
const ASCII_BASED: [&[u8]; 8] =
    [b"utf-8", b"utf8", b"us-ascii", b"ascii", b"iso-8859-1", b"latin1", b"iso-8859-15", b"windows-1252"];

/// The kind of a request body, by its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    Form,
    Json,
    /// Any other kind, or a kind that cannot be known.
    Other,
}

impl Media {
    /// The kind of the body. With `guard`, a body that two servers could read in two ways is [`Media::Other`].
    pub(super) fn from_headers(headers: &HeaderMap, guard: bool) -> Self {
        let types = headers.get_all(header::CONTENT_TYPE);
        // The wrapped service may believe either of two types. In another character set, the bytes have another meaning.
        let ambiguous = || {
            types.iter().count() > 1
                || types.iter().any(|value| !is_ascii_based(value.as_bytes()))
                // Some servers read `_` in the name of a header as `-`.
                || ["content_type", "content_encoding"].iter().any(|name| headers.contains_key(*name))
        };
        if headers.contains_key(header::CONTENT_ENCODING) || (guard && ambiguous()) {
            Self::Other
        } else if types.iter().any(|value| is_form(media_type_of(value.as_bytes()))) {
            Self::Form
        } else if types.iter().any(|value| is_json(media_type_of(value.as_bytes()))) {
            Self::Json
        } else {
            Self::Other
        }
    }
}

fn is_ascii_based(content_type: &[u8]) -> bool {
    let mut parts = content_type.split(|byte| *byte == b';');
    let is_plain = |part: &[u8]| !part.windows(7).any(|name| name.eq_ignore_ascii_case(b"charset"));
    parts.next().is_none_or(is_plain)
        && parts.all(|parameter| {
            let mut sides = parameter.splitn(2, |byte| *byte == b'=').map(<[u8]>::trim_ascii);
            // Other names, such as `charset*` (RFC 8187), can name a character set too.
            if !sides.next().is_some_and(|name| name.eq_ignore_ascii_case(b"charset")) {
                return is_plain(parameter);
            }
            let charset = sides.next().unwrap_or_default();
            let charset = charset.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(charset);
            ASCII_BASED.iter().any(|name| charset.eq_ignore_ascii_case(name))
        })
}

fn is_form(media_type: &[u8]) -> bool {
    media_type.eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

fn is_json(media_type: &[u8]) -> bool {
    let ends_with = |suffix: &[u8]| {
        let start = media_type.len().saturating_sub(suffix.len());
        media_type[start..].eq_ignore_ascii_case(suffix)
    };
    ends_with(b"/json") || ends_with(b"+json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_character_set_is_found() {
        for (content_type, expected) in [
            ("text/plain", true),
            ("text/plain; charset=utf-8", true),
            ("text/plain; a=b; Charset=\"UTF-8\"", true),
            ("text/plain; charset = utf-16", false),
            ("text/plain; charset=utf-8; charset=utf-16", false),
            ("text/plain; charset*=utf-16''utf-16", false),
            ("text/plain; charset*0=utf-16", false),
            ("text/plain; a=b,charset=utf-16", false),
            ("text/plain; a=\"; charset=utf-16", false),
            ("text/plain charset=utf-16", false),
            ("text/plain; charset", false),
        ] {
            assert_eq!(is_ascii_based(content_type.as_bytes()), expected, "{content_type}");
        }
    }
}
