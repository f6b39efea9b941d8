//! What is counted (feature `metrics`): every attempt once, with labels out of closed sets only, so that nobody can
//! make a time series by what they send.

use super::{AuditEvent, Stage};
#[cfg(feature = "metrics")]
use crate::metrics;
#[cfg(feature = "metrics")]
use tokio::time::Instant;

#[cfg(feature = "metrics")]
const ATTEMPTS: &str = "token_exchange_attempts_total";
#[cfg(feature = "metrics")]
const DURATION: &str = "token_exchange_duration_seconds";
#[cfg(feature = "metrics")]
const STAGE_DURATION: &str = "token_exchange_stage_duration_seconds";

/// Stands where there is no reason, or no semantics.
#[cfg(feature = "metrics")]
const NONE: &str = "none";

/// Tells the recorder what it will be given.
pub(super) fn describe() {
    #[cfg(feature = "metrics")]
    {
        use ::metrics::{Unit, describe_counter, describe_histogram};

        describe_counter!(ATTEMPTS, Unit::Count, "Attempts to exchange a token, by what became of them and why");
        describe_histogram!(DURATION, Unit::Seconds, "How long attempts to exchange a token took");
        describe_histogram!(STAGE_DURATION, Unit::Seconds, "How long a stage of an attempt took");
        describe_counter!(metrics::CACHE, Unit::Count, "Questions to a cache, by whether it had the answer");
    }
}

/// Counts an attempt that is over.
#[cfg(feature = "metrics")]
pub(super) fn count(event: &AuditEvent) {
    let outcome = event.outcome.as_str();
    let reason = event.reason.map_or(NONE, |reason| reason.code());
    let semantics = event.semantics.map_or(NONE, |semantics| semantics.as_str());
    ::metrics::counter!(ATTEMPTS, "outcome" => outcome, "reason" => reason, "semantics" => semantics).increment(1);
    ::metrics::histogram!(DURATION, "outcome" => outcome).record(event.duration);
}

#[cfg(not(feature = "metrics"))]
pub(super) fn count(_: &AuditEvent) {}

/// Times the stages of one attempt, each from where the one before was passed. The last ends with the refusal; where a
/// token was issued, with the attempt, so that the wait for the audit sink is in it.
#[cfg(feature = "metrics")]
pub(super) struct StageTimer {
    stage: Option<Stage>,
    since: Instant,
}

#[cfg(feature = "metrics")]
impl StageTimer {
    pub(super) fn start() -> Self {
        Self { stage: Some(Stage::Request), since: Instant::now() }
    }

    /// The stage before this one was passed.
    pub(super) fn reached(&mut self, stage: Stage) {
        self.turn_to(Some(stage));
    }

    /// The last stage is over.
    pub(super) fn end(&mut self) {
        self.turn_to(None);
    }

    fn turn_to(&mut self, next: Option<Stage>) {
        let now = Instant::now();
        if let Some(stage) = std::mem::replace(&mut self.stage, next) {
            ::metrics::histogram!(STAGE_DURATION, "stage" => stage.as_str()).record(now - self.since);
        }
        self.since = now;
    }
}

#[cfg(feature = "metrics")]
impl Drop for StageTimer {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(not(feature = "metrics"))]
pub(super) struct StageTimer;

#[cfg(not(feature = "metrics"))]
impl StageTimer {
    pub(super) fn start() -> Self {
        Self
    }

    pub(super) fn reached(&mut self, _: Stage) {}

    pub(super) fn end(&mut self) {}
}
