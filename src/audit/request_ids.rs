use super::texts::described;
use crate::protocol::{decode_base64, form_pairs};
use data_encoding::BASE64;
use http::{HeaderMap, header::AUTHORIZATION};
use memchr::{memchr_iter, memchr2_iter};
use percent_encoding::percent_decode;
use zeroize::Zeroizing;

/// The longest request id that is recorded, in characters.
const MAX_REQUEST_ID: usize = 128;
/// The longest request id that is recorded in clear: a UUID has 36 characters.
const MAX_CLEAR_ID: usize = 36;
/// The fewest characters that an id and a secret have in common, if one is a part of the other.
const MIN_PART: usize = 8;

/// The ids that other systems log for the same request.
///
/// The client may have chosen both values. So a value counts only if it has the exact form, no decision depends on a
/// value, and a value that can be a token or a secret is described instead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestIds {
    /// `X-Request-Id`: 1 to 128 visible ASCII characters. In clear only if the id is a UUID or another hexadecimal number.
    pub(super) request_id: Option<String>,
    /// The trace id of `traceparent` (W3C Trace Context section 3.2.2.3): 32 hexadecimal digits.
    pub(super) trace_id: Option<String>,
}

impl RequestIds {
    /// Reads the ids of a request. `forms` are the query and the body.
    pub(crate) fn read(headers: &HeaderMap, forms: [&[u8]; 2]) -> Self {
        let only_value = |name: &str| {
            let mut values = headers.get_all(name).iter();
            values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
        };
        let request_id = only_value("x-request-id").filter(|id| is_request_id(id.as_bytes()));
        let trace_id = only_value("traceparent").and_then(trace_id);
        let in_clear = [request_id.filter(|id| is_number(id)), trace_id];
        let hidden = are_elsewhere(in_clear.map(|id| id.unwrap_or_default().as_bytes()), headers, forms);
        let shown = |id: Option<&str>, is_hidden: bool| {
            id.map(|id| if is_hidden || !is_number(id) { described(id) } else { id.to_owned() })
        };
        Self { request_id: shown(request_id, hidden[0]), trace_id: shown(trace_id, hidden[1]) }
    }
}

fn is_request_id(id: &[u8]) -> bool {
    (1..=MAX_REQUEST_ID).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}

/// Whether an id is a UUID or another hexadecimal number. No JWT and no password of a person has this form.
fn is_number(id: &str) -> bool {
    id.len() <= MAX_CLEAR_ID && id.bytes().all(is_digit)
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || byte == b'-'
}

/// Whether the request has each id also as a secret or as a parameter, or as a part of one. An empty id is nowhere.
fn are_elsewhere(ids: [&[u8]; 2], headers: &HeaderMap, forms: [&[u8]; 2]) -> [bool; 2] {
    let mut found = ids.map(|_| false);
    if ids.iter().all(|id| id.is_empty()) {
        return found;
    }
    let mut compare = |value: &[u8]| {
        for (id, found) in ids.iter().zip(&mut found) {
            *found |= !id.is_empty() && (id.eq_ignore_ascii_case(value) || is_part(id, value) || is_part(value, id));
        }
    };
    for value in headers.get_all(AUTHORIZATION) {
        let encoded = value.as_bytes().rsplit(|byte| *byte == b' ').next().unwrap_or_default();
        let decoded = decode_base64(&BASE64, encoded).unwrap_or_default();
        compare(encoded);
        decoded.split(|byte| *byte == b':').for_each(&mut compare);
    }
    for text in forms.iter().flat_map(|form| form_pairs(form)).flat_map(|pair| pair.splitn(2, |byte| *byte == b'=')) {
        if has_escaped_digit(text) {
            // A buffer that grows leaves a copy.
            let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
            decoded.extend(percent_decode(text));
            compare(&decoded);
        } else {
            compare(text);
        }
    }
    found
}

/// Whether an encoded text has an escape for a character of an id. No other escape can hide an id, so a text without such an
/// escape is not decoded.
fn has_escaped_digit(text: &[u8]) -> bool {
    memchr_iter(b'%', text).any(|at| percent_decode(&text[at..]).next().is_some_and(is_digit))
}

/// Whether a text contains another text that is long enough. Upper case and lower case make no difference.
fn is_part(part: &[u8], text: &[u8]) -> bool {
    let [first, ..] = part else { return false };
    if part.len() < MIN_PART || part.len() > text.len() {
        return false;
    }
    let starts = &text[..=text.len() - part.len()];
    memchr2_iter(first.to_ascii_lowercase(), first.to_ascii_uppercase(), starts)
        .any(|at| text[at..at + part.len()].eq_ignore_ascii_case(part))
}

/// Returns the trace id of a `traceparent`. Versions after `00` may have more fields (W3C Trace Context section 4).
fn trace_id(traceparent: &str) -> Option<&str> {
    let fields: Vec<&str> = traceparent.splitn(5, '-').collect();
    let [version, trace_id, parent_id, flags, rest @ ..] = &fields[..] else { return None };
    let is_valid = is_hex(version, 2)
        && *version != "ff"
        && (*version != "00" || rest.is_empty())
        && is_hex(trace_id, 32)
        && is_hex(parent_id, 16)
        && is_hex(flags, 2)
        && [trace_id, parent_id].iter().all(|id| id.bytes().any(|digit| digit != b'0'));
    is_valid.then_some(*trace_id)
}

fn is_hex(field: &str, length: usize) -> bool {
    field.len() == length && field.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn ids(headers: &[(&'static str, &str)]) -> RequestIds {
        let pairs = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let mut map = HeaderMap::new();
        pairs.for_each(|(name, value): (http::HeaderName, HeaderValue)| _ = map.append(name, value));
        RequestIds::read(&map, [b""; 2])
    }

    #[test]
    fn only_a_well_formed_traceparent_counts() {
        let zeros = "0".repeat(32);
        for (traceparent, counts) in [
            (format!("00-{TRACE}-{SPAN}-01"), true),
            (format!("00-{TRACE}-{SPAN}-00"), true),
            (format!("01-{TRACE}-{SPAN}-01-more"), true),
            (format!("00-{TRACE}-{SPAN}-01-more"), false),
            (format!("ff-{TRACE}-{SPAN}-01"), false),
            (format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), false),
            (format!("00-{zeros}-{SPAN}-01"), false),
            (format!("00-{TRACE}-{}-01", &zeros[..16]), false),
            (format!("00-{TRACE}-{SPAN}"), false),
            (String::new(), false),
        ] {
            let found = ids(&[("traceparent", &traceparent)]).trace_id;
            assert_eq!(found.as_deref(), counts.then_some(TRACE), "{traceparent}");
        }
    }

    #[test]
    fn only_a_short_visible_request_id_counts() {
        let (longest, longer) = ("x".repeat(128), "x".repeat(129));
        for (id, counts) in [("id-1", true), (&*longest, true), (&*longer, false), ("", false), ("a b", false)] {
            assert_eq!(ids(&[("x-request-id", id)]).request_id.is_some(), counts, "{id}");
        }
    }

    #[test]
    fn only_a_number_is_recorded_in_clear() {
        let uuid = "0b2d6a51-9b6f-4c0f-8d0c-3f5a4c1f2e77";
        for (id, is_clear) in
            [(uuid, true), (TRACE, true), ("7", true), ("id-1", false), ("eyJhbGciOiJFUzI1NiJ9", false)]
        {
            let expected = if is_clear { id.to_owned() } else { described(id) };
            assert_eq!(ids(&[("x-request-id", id)]).request_id, Some(expected));
        }
    }

    #[test]
    fn an_id_that_is_also_a_secret_is_hidden() {
        let secret = "0b2d6a51-9b6f-4c0f-8d0c-3f5a4c1f2e77";
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", secret.parse().unwrap());
        headers.insert("traceparent", format!("00-{TRACE}-{SPAN}-01").parse().unwrap());
        let clear = RequestIds { request_id: Some(secret.to_owned()), trace_id: Some(TRACE.to_owned()) };
        assert_eq!(RequestIds::read(&headers, [b"a=b", b"client_id=0b2d"]), clear);

        let encoded = format!("client_secret={}", secret.to_uppercase().replace('-', "%2D"));
        let within = format!("subject_token=x{secret}");
        let part = format!("client_secret={}", &secret[..8]);
        let both = format!("{secret}={TRACE}");
        let escaped = secret.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
        let beside = format!("urn%3Aid%3A{secret}%3A=%%zz");
        for form in [&encoded, &within, &part, &both, &escaped, &beside] {
            for forms in [[form.as_bytes(), b""], [b"", form.as_bytes()]] {
                let ids = RequestIds::read(&headers, forms);
                assert_eq!(ids.request_id, Some(described(secret)), "{form}");
                assert_eq!(ids.trace_id == clear.trace_id, *form != both, "{form}");
            }
        }
        let pair = BASE64.encode(format!("orders:{secret}").as_bytes());
        for authorization in [format!("Basic {pair}"), format!("Bearer {secret}")] {
            headers.insert(AUTHORIZATION, authorization.parse().unwrap());
            assert_eq!(RequestIds::read(&headers, [b""; 2]).request_id, Some(described(secret)), "{authorization}");
        }
    }

    #[test]
    fn a_repeated_header_does_not_count() {
        let traceparent = format!("00-{TRACE}-{SPAN}-01");
        let twice = [("x-request-id", "a"), ("x-request-id", "b"), ("traceparent", &traceparent)];
        assert_eq!(ids(&twice), RequestIds { request_id: None, trace_id: Some(TRACE.to_owned()) });
        assert_eq!(ids(&[]), RequestIds::default());
    }
}
