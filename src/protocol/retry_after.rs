use http::{HeaderMap, header};
use std::time::{Duration, SystemTime};

/// The wait that an answer asks for in `Retry-After`: seconds, or a date (RFC 9110 section 10.2.3). `None` if the answer does
/// not say how long to wait.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let of_date = |text| Some(httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default());
    text.parse().ok().map(Duration::from_secs).or_else(|| of_date(text))
}
