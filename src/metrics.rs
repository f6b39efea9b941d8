//! The metrics of the crate, recorded through the facade of the crate `metrics` (feature `metrics`).
//!
//! Every label has a value from a closed set, except the issuer, which the records name. A client cannot create a time
//! series. Without the feature, every function in this module does nothing.

use std::time::Duration;
#[cfg(feature = "metrics")]
use {
    ::metrics::{
        Key, Label, Level, Metadata, Unit, counter, describe_counter, describe_histogram, gauge, histogram,
        with_recorder,
    },
    tokio::time::Instant,
};

#[cfg(feature = "metrics")]
mod name {
    pub(super) const ATTEMPTS: &str = "token_exchange_attempts_total";
    pub(super) const DURATION: &str = "token_exchange_duration_seconds";
    pub(super) const STAGE_DURATION: &str = "token_exchange_stage_duration_seconds";
    pub(super) const ISSUED_TOKEN_REQUESTS: &str = "token_exchange_issued_token_requests_total";
    pub(super) const ACCESS: &str = "token_exchange_access_total";
    pub(super) const SUPPRESSED_EVENTS: &str = "token_exchange_audit_suppressed_total";
    pub(super) const REPLAY: &str = "token_exchange_replay_total";
    pub(super) const REPLAY_DURATION: &str = "token_exchange_replay_duration_seconds";
    pub(super) const CACHE: &str = "token_exchange_cache_total";
    pub(super) const ISSUER_KEYS: &str = "token_exchange_issuer_keys";
    pub(super) const ISSUER_KEYS_AGE: &str = "token_exchange_issuer_keys_age_seconds";
    pub(super) const ISSUER_KEY_FETCHES: &str = "token_exchange_issuer_key_fetches_total";
    pub(super) const ISSUER_KEY_FETCH_FAILURES: &str = "token_exchange_issuer_key_fetch_failures_total";
}

/// The value of a label that does not apply, such as the reason of an exchange that succeeded.
#[cfg(feature = "metrics")]
const NONE: &str = "none";

/// Evaluates to a metric with one label. For the usual values of the label, the key of the metric is made at compile time:
/// a key that is made for each event needs memory and a hash.
#[cfg(feature = "metrics")]
macro_rules! with_usual_label {
    ($register:ident, $name:expr, $label:literal => $value:expr, usual: $($usual:literal)*) => {{
        static METADATA: Metadata = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));
        match $value {
            $($usual => {
                static LABELS: [Label; 1] = [Label::from_static_parts($label, $usual)];
                static KEY: Key = Key::from_static_parts($name, &LABELS);
                with_recorder(|recorder| recorder.$register(&KEY, &METADATA))
            })*
            other => {
                let key = Key::from_parts($name, vec![Label::new($label, other)]);
                with_recorder(|recorder| recorder.$register(&key, &METADATA))
            }
        }
    }};
}

/// Registers the descriptions of the metrics with the recorder.
pub(crate) fn describe() {
    #[cfg(feature = "metrics")]
    {
        describe_counter!(name::ATTEMPTS, Unit::Count, "Token exchange attempts, by outcome and reason");
        describe_histogram!(name::DURATION, Unit::Seconds, "Duration of a token exchange attempt");
        describe_histogram!(name::STAGE_DURATION, Unit::Seconds, "Duration of one stage of a token exchange attempt");
        describe_counter!(
            name::ISSUED_TOKEN_REQUESTS,
            Unit::Count,
            "Introspections and revocations of issued tokens, by operation, outcome and reason"
        );
        describe_counter!(name::ACCESS, Unit::Count, "Requests to a resource server, by outcome and reason");
        describe_counter!(
            name::SUPPRESSED_EVENTS,
            Unit::Count,
            "Attempts beyond the audit budget, which have no audit event of their own, by operation"
        );
        describe_counter!(name::REPLAY, Unit::Count, "Questions to the replay store, by kind and result");
        describe_histogram!(name::REPLAY_DURATION, Unit::Seconds, "Duration of a question to the replay store");
        describe_counter!(name::CACHE, Unit::Count, "Cache lookups, by cache and result");
    }
}

/// The labels of a finished attempt.
pub(crate) struct AttemptLabels {
    pub(crate) outcome: &'static str,
    pub(crate) reason: Option<&'static str>,
    pub(crate) semantics: Option<&'static str>,
}

/// Counts a finished attempt and records its duration.
pub(crate) fn record_attempt(labels: &AttemptLabels, duration: Duration) {
    #[cfg(feature = "metrics")]
    {
        let AttemptLabels { outcome, reason, semantics } = *labels;
        let (reason, semantics) = (reason.unwrap_or(NONE), semantics.unwrap_or(NONE));
        counter!(name::ATTEMPTS, "outcome" => outcome, "reason" => reason, "semantics" => semantics).increment(1);
        with_usual_label!(register_histogram, name::DURATION, "outcome" => outcome, usual: "issued" "denied")
            .record(duration);
    }
    #[cfg(not(feature = "metrics"))]
    let _ = (labels.outcome, labels.reason, labels.semantics, duration);
}

/// Counts a finished introspection or revocation.
pub(crate) fn record_issued_token_request(
    operation: &'static str,
    outcome: &'static str,
    reason: Option<&'static str>,
) {
    #[cfg(feature = "metrics")]
    counter!(
        name::ISSUED_TOKEN_REQUESTS,
        "operation" => operation, "outcome" => outcome, "reason" => reason.unwrap_or(NONE)
    )
    .increment(1);
    #[cfg(not(feature = "metrics"))]
    let _ = (operation, outcome, reason);
}

/// Counts a request to a resource server.
pub(crate) fn record_access(outcome: &'static str, reason: Option<&'static str>) {
    #[cfg(feature = "metrics")]
    counter!(name::ACCESS, "outcome" => outcome, "reason" => reason.unwrap_or(NONE)).increment(1);
    #[cfg(not(feature = "metrics"))]
    let _ = (outcome, reason);
}

/// Counts an attempt that has no audit event of its own.
pub(crate) fn record_suppressed_event(operation: &'static str) {
    #[cfg(feature = "metrics")]
    counter!(name::SUPPRESSED_EVENTS, "operation" => operation).increment(1);
    #[cfg(not(feature = "metrics"))]
    let _ = operation;
}

/// Measures the stages of one attempt: each stage from the end of the previous stage to its own end.
///
/// The last stage ends with the refusal or, if a token was issued, with the attempt. The last stage of an issued token
/// therefore includes the wait for the audit sink.
pub(crate) struct StageTimer {
    #[cfg(feature = "metrics")]
    stage: Option<&'static str>,
    #[cfg(feature = "metrics")]
    since: Instant,
}

impl StageTimer {
    /// Starts the timer in this stage.
    pub(crate) fn start(stage: &'static str) -> Self {
        #[cfg(not(feature = "metrics"))]
        let _ = stage;
        Self {
            #[cfg(feature = "metrics")]
            stage: Some(stage),
            #[cfg(feature = "metrics")]
            since: Instant::now(),
        }
    }

    /// Ends the current stage and starts the next one.
    pub(crate) fn enter(&mut self, stage: &'static str) {
        self.switch(Some(stage));
    }

    /// Ends the current stage. Later calls record nothing.
    pub(crate) fn stop(&mut self) {
        self.switch(None);
    }

    fn switch(&mut self, next: Option<&'static str>) {
        #[cfg(feature = "metrics")]
        {
            let now = Instant::now();
            if let Some(stage) = std::mem::replace(&mut self.stage, next) {
                let duration = now - self.since;
                with_usual_label!(
                    register_histogram, name::STAGE_DURATION, "stage" => stage,
                    usual: "request" "client" "proof" "parameters" "tokens" "authority" "status" "policy" "issue" "answer"
                )
                .record(duration);
            }
            self.since = now;
        }
        #[cfg(not(feature = "metrics"))]
        let _ = next;
    }
}

impl Drop for StageTimer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Measures one question to the replay store.
pub(crate) struct ReplayTimer {
    #[cfg(feature = "metrics")]
    since: Instant,
}

impl ReplayTimer {
    pub(crate) fn start() -> Self {
        Self {
            #[cfg(feature = "metrics")]
            since: Instant::now(),
        }
    }

    /// Counts the question, and records its duration.
    pub(crate) fn record(self, kind: &'static str, result: &'static str) {
        #[cfg(feature = "metrics")]
        {
            counter!(name::REPLAY, "kind" => kind, "result" => result).increment(1);
            histogram!(name::REPLAY_DURATION, "kind" => kind).record(self.since.elapsed());
        }
        #[cfg(not(feature = "metrics"))]
        let _ = (kind, result);
    }
}

/// Counts one lookup in a cache.
pub(crate) fn record_cache_lookup(cache: &'static str, is_hit: bool) {
    #[cfg(feature = "metrics")]
    counter!(name::CACHE, "cache" => cache, "result" => if is_hit { "hit" } else { "miss" }).increment(1);
    #[cfg(not(feature = "metrics"))]
    let _ = (cache, is_hit);
}

/// The values of the gauges and counters of one issuer's keys.
#[cfg(feature = "metrics")]
pub(crate) struct IssuerKeyValues {
    pub(crate) keys: usize,
    pub(crate) age: Option<Duration>,
    pub(crate) fetches: u64,
    pub(crate) failures: u64,
}

/// Records the state of one issuer's keys.
#[cfg(feature = "metrics")]
pub(crate) fn record_issuer_keys(issuer: &str, values: &IssuerKeyValues) {
    let label = [("issuer", issuer.to_owned())];
    gauge!(name::ISSUER_KEYS, &label).set(values.keys as f64);
    gauge!(name::ISSUER_KEYS_AGE, &label).set(values.age.unwrap_or_default().as_secs_f64());
    counter!(name::ISSUER_KEY_FETCHES, &label).absolute(values.fetches);
    counter!(name::ISSUER_KEY_FETCH_FAILURES, &label).absolute(values.failures);
}
