//! The trace of a request (W3C Trace Context): an incoming trace is continued, a missing one is started.

use http::{HeaderValue, Request};
use uuid::Uuid;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
const REQUEST_ID: &str = "x-request-id";

/// The trace of a request, and the part of the trace that the gateway is.
#[derive(Clone, Debug)]
pub(super) struct TraceContext {
    /// 32 hexadecimal digits.
    pub(super) trace_id: String,
    /// 16 hexadecimal digits.
    pub(super) span_id: String,
}

/// Removes an `X-Request-Id` that does not fit into a log line. A usable one has 1 to 128 visible ASCII characters.
pub(super) fn check_request_id<B>(mut request: Request<B>) -> Request<B> {
    let is_usable = |id: &HeaderValue| {
        let id = id.as_bytes();
        (1..=128).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
    };
    if request.headers().get(REQUEST_ID).is_some_and(|id| !is_usable(id)) {
        request.headers_mut().remove(REQUEST_ID);
    }
    request
}

/// Whether a request id is a UUID or another hexadecimal number of at most 36 characters. Any other id could be a token or a
/// secret in the wrong header.
pub(super) fn is_number(id: &str) -> bool {
    id.len() <= 36 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// Continues the trace that the headers name, or starts one. The headers name the gateway as the parent of the next service,
/// and the extensions hold the [`TraceContext`].
pub(super) fn continue_trace<B>(mut request: Request<B>) -> Request<B> {
    let parent = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok()).and_then(parse);
    let span_id = format!("{:016x}", Uuid::new_v4().as_u64_pair().0);
    let (trace_id, flags) = match parent {
        Some((trace_id, flags)) => (trace_id.to_owned(), flags),
        None => (Uuid::new_v4().simple().to_string(), "00"),
    };
    if parent.is_none() {
        // The state belongs to a trace that ends here (W3C Trace Context section 3.3).
        request.headers_mut().remove(TRACESTATE);
    }
    if let Ok(value) = HeaderValue::try_from(format!("00-{trace_id}-{span_id}-{flags}")) {
        request.headers_mut().insert(TRACEPARENT, value);
    }
    request.extensions_mut().insert(TraceContext { trace_id, span_id });
    request
}

/// The trace and the flags in a `traceparent` (W3C Trace Context section 3.2).
fn parse(text: &str) -> Option<(&str, &'static str)> {
    let mut fields = text.split('-');
    let is_hex = |field: &&str, length| {
        field.len() == length && field.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_not_zero = |field: &&str| field.bytes().any(|byte| byte != b'0');
    let version = fields.next().filter(|field| is_hex(field, 2) && *field != "ff")?;
    let trace_id = fields.next().filter(|field| is_hex(field, 32) && is_not_zero(field))?;
    fields.next().filter(|field| is_hex(field, 16) && is_not_zero(field))?;
    let flags = u8::from_str_radix(fields.next().filter(|field| is_hex(field, 2))?, 16).ok()?;
    let is_whole = version != "00" || fields.next().is_none();
    is_whole.then_some((trace_id, if flags & 1 == 1 { "01" } else { "00" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    #[test]
    fn only_a_valid_trace_is_continued() {
        let span = "b7ad6b7169203331";
        let zeros = "0".repeat(32);
        for (parent, is_continued) in [
            (format!("00-{TRACE}-{span}-01"), true),
            (format!("00-{TRACE}-{span}-00"), true),
            (format!("01-{TRACE}-{span}-01-more"), true),
            (format!("00-{TRACE}-{span}-01-more"), false),
            (format!("ff-{TRACE}-{span}-01"), false),
            (format!("00-{}-{span}-01", TRACE.to_uppercase()), false),
            (format!("00-{zeros}-{span}-01"), false),
            (format!("00-{TRACE}-{}-01", &zeros[..16]), false),
            (format!("00-{TRACE}-{span}"), false),
            (String::new(), false),
        ] {
            let request = Request::get("/").header(TRACEPARENT, &parent).header(TRACESTATE, "a=b").body(()).unwrap();
            let request = continue_trace(request);
            let trace = request.extensions().get::<TraceContext>().unwrap();
            let has_state = request.headers().contains_key(TRACESTATE);
            assert_eq!((trace.trace_id == TRACE, has_state), (is_continued, is_continued), "{parent}");
            assert!(trace.span_id != span && is_id(&trace.span_id, 16) && is_id(&trace.trace_id, 32));
            let start = format!("00-{}-{}-", trace.trace_id, trace.span_id);
            assert!(request.headers()[TRACEPARENT].to_str().unwrap().starts_with(&start));
        }
    }

    fn is_id(text: &str, length: usize) -> bool {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    }

    #[test]
    fn a_request_id_must_fit_into_a_log_line() {
        let long = "x".repeat(129);
        for (id, is_kept) in [("mine-1", true), ("", false), ("a b", false), (&*long, false)] {
            let request = check_request_id(Request::get("/").header(REQUEST_ID, id).body(()).unwrap());
            assert_eq!(request.headers().contains_key(REQUEST_ID), is_kept, "{id}");
        }
    }
}
