use http::{HeaderMap, HeaderValue};

const MAX_REQUEST_ID_BYTES: usize = 128;

/// The ids that other systems log for the same request.
///
/// The client may have chosen both values. So a value counts only if it has the exact form, and no decision depends on a
/// value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestIds {
    /// `X-Request-Id`: 1 to 128 visible ASCII characters.
    pub(super) request_id: Option<String>,
    /// The trace id of `traceparent` (W3C Trace Context section 3.2.2.3): 32 hexadecimal digits.
    pub(super) trace_id: Option<String>,
}

impl RequestIds {
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        let only_value = |name: &str| {
            let mut values = headers.get_all(name).iter();
            values.next().filter(|_| values.next().is_none()).map(HeaderValue::as_bytes)
        };
        let owned = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            request_id: only_value("x-request-id").filter(|id| is_request_id(id)).map(owned),
            trace_id: only_value("traceparent").and_then(trace_id).map(owned),
        }
    }
}

fn is_request_id(id: &[u8]) -> bool {
    (1..=MAX_REQUEST_ID_BYTES).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}

/// Returns the trace id of a `traceparent`. Versions after `00` may have more fields (W3C Trace Context section 4).
fn trace_id(traceparent: &[u8]) -> Option<&[u8]> {
    let fields: Vec<&[u8]> = traceparent.splitn(5, |byte| *byte == b'-').collect();
    let [version, trace_id, parent_id, flags, rest @ ..] = &fields[..] else { return None };
    let is_valid = is_hex(version, 2)
        && *version != b"ff"
        && (*version != b"00" || rest.is_empty())
        && is_hex(trace_id, 32)
        && is_hex(parent_id, 16)
        && is_hex(flags, 2)
        && [trace_id, parent_id].iter().all(|id| id.iter().any(|digit| *digit != b'0'));
    is_valid.then_some(*trace_id)
}

fn is_hex(field: &[u8], length: usize) -> bool {
    field.len() == length && field.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn ids(headers: &[(&'static str, &str)]) -> RequestIds {
        let pairs = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let mut map = HeaderMap::new();
        pairs.for_each(|(name, value): (http::HeaderName, HeaderValue)| _ = map.append(name, value));
        RequestIds::from_headers(&map)
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
            assert_eq!(ids(&[("x-request-id", id)]).request_id.as_deref(), counts.then_some(id), "{id}");
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
