//! What the caches are asked (feature `metrics`), from whichever room has one.

#[cfg(feature = "metrics")]
pub(crate) const CACHE: &str = "token_exchange_cache_total";

/// Counts a question to a cache, and whether it had the answer.
#[cfg(any(feature = "introspection-cache", feature = "server-authenticator"))]
pub(crate) fn cache(name: &'static str, hit: bool) {
    #[cfg(feature = "metrics")]
    ::metrics::counter!(CACHE, "cache" => name, "result" => if hit { "hit" } else { "miss" }).increment(1);
    #[cfg(not(feature = "metrics"))]
    let _ = (name, hit);
}
