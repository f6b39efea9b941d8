use crate::forward::Peer;
use http::{HeaderMap, HeaderValue, Request};
use tracing::Span;

/// How a request is called in the logs of everybody on its way: a request id, and its trace (W3C Trace Context).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TraceContext {
    /// `X-Request-Id`: the client's, if it is of 1 to 128 visible ASCII characters, else one made up.
    pub(crate) request_id: String,
    /// The trace, in 32 hexadecimal digits: the client's, if its `traceparent` is one, else one made up.
    pub(crate) trace_id: String,
    /// This part of it, in 16 hexadecimal digits.
    pub(crate) span_id: String,
}

impl TraceContext {
    /// Goes on with what the headers say, or begins, and tells in the headers whoever comes next.
    pub(crate) fn go_on(headers: &mut HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let is_id = |id: &&str| (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        let request_id =
            text("x-request-id").filter(is_id).map_or_else(|| uuid::Uuid::new_v4().simple().to_string(), str::to_owned);
        let known = text("traceparent").and_then(parent);
        let (trace_id, flags) = known
            .map_or_else(|| (uuid::Uuid::new_v4().simple().to_string(), "00"), |(id, flags)| (id.to_owned(), flags));
        let span_id = format!("{:016x}", uuid::Uuid::new_v4().as_u64_pair().0);
        if known.is_none() {
            // It belongs to the trace that is not gone on with (W3C Trace Context section 3.3).
            headers.remove("tracestate");
        }
        let traceparent = format!("00-{trace_id}-{span_id}-{flags}");
        for (name, value) in [("x-request-id", &request_id), ("traceparent", &traceparent)] {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        Self { request_id, trace_id, span_id }
    }
}

impl TraceContext {
    /// A span for the log lines about a request: `request_id`, `trace_id`, `span_id`, `method`, `path`, and `peer` where the
    /// extensions hold a [`Peer`]. The query is left out: it may hold what no log should.
    pub(crate) fn span<B>(&self, request: &Request<B>) -> Span {
        tracing::info_span!(
            "request",
            request_id = self.request_id,
            trace_id = self.trace_id,
            span_id = self.span_id,
            method = %request.method(),
            path = request.uri().path(),
            peer = request.extensions().get::<Peer>().map(|peer| tracing::field::display(peer.address)),
        )
    }
}

/// The trace and its flags in a `traceparent` (W3C Trace Context section 3.2).
fn parent(text: &str) -> Option<(&str, &'static str)> {
    let mut fields = text.split('-');
    let is_hex = |field: &&str, length| {
        field.len() == length && field.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_some = |field: &&str| field.bytes().any(|byte| byte != b'0');
    let version = fields.next().filter(|field| is_hex(field, 2) && *field != "ff")?;
    let trace_id = fields.next().filter(|field| is_hex(field, 32) && is_some(field))?;
    fields.next().filter(|field| is_hex(field, 16) && is_some(field))?;
    let flags = u8::from_str_radix(fields.next().filter(|field| is_hex(field, 2))?, 16).ok()?;
    let ends = version != "00" || fields.next().is_none();
    ends.then_some((trace_id, if flags & 1 == 1 { "01" } else { "00" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    #[test]
    fn only_a_trace_that_is_one_goes_on() {
        let span = "b7ad6b7169203331";
        let zeros = "0".repeat(32);
        for (parent, goes_on) in [
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
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", parent.parse().unwrap());
            headers.insert("tracestate", "a=b".parse().unwrap());
            let trace = TraceContext::go_on(&mut headers);
            assert_eq!((trace.trace_id == TRACE, headers.contains_key("tracestate")), (goes_on, goes_on), "{parent}");
            assert!(trace.span_id != span && trace.span_id.len() == 16);
        }
    }

    #[test]
    fn a_request_id_is_one_that_can_stand_in_a_log() {
        let long = "x".repeat(129);
        for (id, kept) in [("mine-1", true), ("", false), ("a b", false), (&*long, false)] {
            let mut headers = HeaderMap::new();
            headers.insert("x-request-id", id.parse().unwrap());
            let trace = TraceContext::go_on(&mut headers);
            assert_eq!(trace.request_id == id, kept, "{id}");
            assert_eq!(headers["x-request-id"], *trace.request_id);
        }
    }
}
