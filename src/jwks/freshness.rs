use http::{HeaderMap, header};
use std::time::Duration;

/// How long a set is fresh when its answer does not say, and the bounds of what it may say.
const DEFAULT: Duration = Duration::from_secs(10 * 60);
const MIN: Duration = Duration::from_secs(60);
const MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How long an answer is fresh from now on (RFC 9111 section 4.2): its `max-age` or 10 minutes, less its `Age`; 1 minute
/// at least, because every exchange needs it, which is all that `no-store` and `no-cache` get; 24 hours at most.
pub(super) fn freshness(headers: &HeaderMap) -> Duration {
    let directives = || {
        let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(list).map(|directive| match directive.split_once('=') {
            Some((name, value)) => (name.trim_end(), Some(unquoted(value.trim_start()))),
            None => (directive, None),
        })
    };
    let is = |name: &str, known: &str| name.eq_ignore_ascii_case(known);
    // With a value, `no-cache` speaks of single header fields (RFC 9111 section 5.2.2.4).
    if directives().any(|(name, value)| is(name, "no-store") || is(name, "no-cache") && value.is_none()) {
        return MIN;
    }
    let max_age = directives().find_map(|(name, value)| if is(name, "max-age") { seconds(value?) } else { None });
    let age = headers.get(header::AGE).and_then(|age| age.to_str().ok()).and_then(seconds);
    max_age.unwrap_or(DEFAULT).saturating_sub(age.unwrap_or_default()).clamp(MIN, MAX)
}

/// The members of a comma-separated list; a comma inside quotes separates nothing.
fn list(value: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let members = value.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    });
    members.map(str::trim)
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

/// A number of seconds; one too large to be told is very large (RFC 9111 section 1.2.2).
fn seconds(text: &str) -> Option<Duration> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| Duration::from_secs(text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const DAY: u64 = 24 * 60 * 60;

    #[test]
    fn what_the_headers_say_within_bounds() {
        let table: [(&[&str], Option<&str>, u64); 31] = [
            (&[], None, 600),
            (&[""], None, 600),
            (&["max-age=120"], None, 120),
            (&["public, max-age=120, must-revalidate"], None, 120),
            (&["public", "Max-Age=120"], None, 120),
            (&["max-age=\"120\""], None, 120),
            (&["max-age = 120"], None, 120),
            (&["max-age=0"], None, 60),
            (&["max-age=59"], None, 60),
            (&["max-age=31536000"], None, DAY),
            (&["max-age=99999999999999999999999"], None, DAY),
            (&["max-age=120, max-age=3600"], None, 120),
            (&["max-age"], None, 600),
            (&["max-age="], None, 600),
            (&["max-age=\""], None, 600),
            (&["max-age=-1"], None, 600),
            (&["max-age=1.5e3"], None, 600),
            (&["s-maxage=120"], None, 600),
            (&["no-store"], None, 60),
            (&["NO-STORE, max-age=3600"], None, 60),
            (&["max-age=3600, no-cache"], None, 60),
            (&["no-cache=\"set-cookie\", max-age=3600"], None, 3600),
            (&["private=\"a, max-age=120, no-store\", max-age=3600"], None, 3600),
            (&["private=\"a, max-age=120"], None, 600),
            (&["max-age=3600"], Some("600"), 3000),
            (&["max-age=3600"], Some("3599"), 60),
            (&["max-age=3600"], Some("99999999999999999999999"), 60),
            (&["max-age=3600"], Some("old"), 3600),
            (&["max-age=172800"], Some("3600"), DAY),
            (&[], Some("100"), 500),
            (&["\u{e9}"], None, 600),
        ];
        for (cache_control, age, expected) in table {
            let mut headers = HeaderMap::new();
            for value in cache_control {
                headers.append(header::CACHE_CONTROL, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            if let Some(age) = age {
                headers.insert(header::AGE, HeaderValue::from_str(age).unwrap());
            }
            assert_eq!(freshness(&headers).as_secs(), expected, "{cache_control:?}, age {age:?}");
        }
    }
}
