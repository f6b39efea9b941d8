//! What is counted (feature `metrics`): every attempt once, with labels out of closed sets only, so that nobody can
//! make a time series by what they send.

use super::AuditEvent;

#[cfg(feature = "metrics")]
const ATTEMPTS: &str = "token_exchange_attempts_total";
#[cfg(feature = "metrics")]
const DURATION: &str = "token_exchange_duration_seconds";

/// Stands where there is no reason, or no semantics.
#[cfg(feature = "metrics")]
const NONE: &str = "none";

/// Tells the recorder what it will be given.
pub(super) fn describe() {
    #[cfg(feature = "metrics")]
    {
        use metrics::{Unit, describe_counter, describe_histogram};

        describe_counter!(ATTEMPTS, Unit::Count, "Attempts to exchange a token, by what became of them and why");
        describe_histogram!(DURATION, Unit::Seconds, "How long attempts to exchange a token took");
    }
}

/// Counts an attempt that is over.
#[cfg(feature = "metrics")]
pub(super) fn count(event: &AuditEvent) {
    let outcome = event.outcome.as_str();
    let reason = event.reason.map_or(NONE, |reason| reason.code());
    let semantics = event.semantics.map_or(NONE, |semantics| semantics.as_str());
    metrics::counter!(ATTEMPTS, "outcome" => outcome, "reason" => reason, "semantics" => semantics).increment(1);
    metrics::histogram!(DURATION, "outcome" => outcome).record(event.duration);
}

#[cfg(not(feature = "metrics"))]
pub(super) fn count(_: &AuditEvent) {}
