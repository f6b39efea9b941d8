use crate::{clock::is_within, jose::KeySet};
use http::{HeaderMap, header};
use std::time::{Duration, SystemTime};

/// The lifetime of a key set whose response names none.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(10 * 60);
/// The bounds of the lifetime that a response may name.
const MIN_LIFETIME: Duration = Duration::from_secs(60);
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// The time after its lifetime in which a key set is still used if no new one can be fetched.
const STALE: Duration = Duration::from_secs(60 * 60);

/// A key set, with the number of the fetch that brought it.
#[derive(Clone)]
pub(super) struct KeySnapshot {
    pub(super) keys: KeySet,
    pub(super) fetch: u64,
}

/// A fetched key set, with the time when it was fetched.
pub(super) struct CachedKeys {
    snapshot: KeySnapshot,
    fetched: SystemTime,
    lifetime: Duration,
}

/// How a cached key set may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// The key set is used.
    Fresh,
    /// The key set is used, and a new one is fetched in the background: four fifths of the lifetime have passed.
    Ageing,
    /// The key set is used only if no new one can be fetched.
    Stale,
}

impl CachedKeys {
    pub(super) fn new(snapshot: KeySnapshot, fetched: SystemTime, lifetime: Duration) -> Self {
        Self { snapshot, fetched, lifetime }
    }

    /// Returns the key set, unless it is too old for any use.
    pub(super) fn usable(&mut self, now: SystemTime) -> Option<(&KeySnapshot, Freshness)> {
        if now < self.fetched {
            // The clock was set back, so the age is unknown. The key set becomes stale at once. Otherwise the key set
            // would be used until the clock reaches the old time again.
            (self.fetched, self.lifetime) = (now, Duration::ZERO);
        }
        let younger_than = |limit| is_within(limit, Some(self.fetched), now);
        let freshness = if younger_than(self.lifetime * 4 / 5) {
            Freshness::Fresh
        } else if younger_than(self.lifetime) {
            Freshness::Ageing
        } else if younger_than(self.lifetime + STALE) {
            Freshness::Stale
        } else {
            return None;
        };
        Some((&self.snapshot, freshness))
    }

    pub(super) fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.fetched).unwrap_or_default()
    }
}

/// Returns how long a response is fresh (RFC 9111 section 4.2): its `max-age` less its `Age`, or 10 minutes less its
/// `Age`; at least 1 minute and at most 24 hours.
///
/// `no-store` and `no-cache` lead to 1 minute, because every exchange needs the key set.
///
/// The parser is our own because the crate `headers` 0.4 compares the names of directives with their case, contrary to
/// RFC 9111 section 5.2 (`NO-STORE` is ignored), and lets the last of two `max-age` directives win.
pub(super) fn lifetime(headers: &HeaderMap) -> Duration {
    let directives = || {
        let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(list).map(|directive| match directive.split_once('=') {
            Some((name, value)) => (name.trim_end(), Some(unquoted(value.trim_start()))),
            None => (directive, None),
        })
    };
    let is = |name: &str, known: &str| name.eq_ignore_ascii_case(known);
    // A `no-cache` with a value is about single header fields (RFC 9111 section 5.2.2.4).
    if directives().any(|(name, value)| is(name, "no-store") || is(name, "no-cache") && value.is_none()) {
        return MIN_LIFETIME;
    }
    let max_age = directives().find_map(|(name, value)| if is(name, "max-age") { seconds(value?) } else { None });
    let age = headers.get(header::AGE).and_then(|age| age.to_str().ok()).and_then(seconds);
    max_age.unwrap_or(DEFAULT_LIFETIME).saturating_sub(age.unwrap_or_default()).clamp(MIN_LIFETIME, MAX_LIFETIME)
}

/// Returns the lifetime of a key set that asks to be fetched again after a time.
pub(super) fn within_hint(lifetime: Duration, hint: Duration) -> Duration {
    lifetime.min(hint).max(MIN_LIFETIME)
}

/// Splits a comma-separated list. A comma inside quotes does not separate.
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

/// Reads a number of seconds. A number that is too large is the largest one (RFC 9111 section 1.2.2).
fn seconds(text: &str) -> Option<Duration> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| Duration::from_secs(text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use std::time::UNIX_EPOCH;

    const DAY: u64 = 24 * 60 * 60;

    #[test]
    fn the_lifetime_is_read_from_headers_within_bounds() {
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
            assert_eq!(lifetime(&headers).as_secs(), expected, "{cache_control:?}, age {age:?}");
        }
    }

    #[test]
    fn an_earlier_clock_makes_a_key_set_stale() {
        let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds);
        let cached =
            || CachedKeys::new(KeySnapshot { keys: KeySet::empty(), fetch: 1 }, at(0), Duration::from_secs(600));
        let freshness_at =
            |cached: &mut CachedKeys, seconds| cached.usable(at(seconds)).map(|(_, freshness)| freshness);
        for (seconds, expected) in [
            (0, Some(Freshness::Fresh)),
            (479, Some(Freshness::Fresh)),
            (480, Some(Freshness::Ageing)),
            (599, Some(Freshness::Ageing)),
            (600, Some(Freshness::Stale)),
            (4199, Some(Freshness::Stale)),
            (4200, None),
        ] {
            assert_eq!(freshness_at(&mut cached(), seconds), expected, "{seconds}");
        }
        let mut ahead =
            CachedKeys::new(KeySnapshot { keys: KeySet::empty(), fetch: 1 }, at(1_000_000), Duration::from_secs(600));
        assert_eq!(freshness_at(&mut ahead, 0), Some(Freshness::Stale));
        assert_eq!(freshness_at(&mut ahead, 3599), Some(Freshness::Stale));
        assert_eq!(freshness_at(&mut ahead, 3600), None);
    }
}
