use super::{AuditEvent, Operation, Outcome, sink};
use crate::{
    metrics::{self, AttemptLabels},
    plug::{BoxPlug, Failing, ask},
    protocol::{Reason, Rejection, refuse},
};
use std::{borrow::Cow, sync::Arc, time::Duration};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

const FAILING: Failing = Failing { unavailable: Reason::AuditUnavailable, panicked: Reason::AuditUnavailable };

/// Gives an event to the sink.
///
/// The caller makes the [`Undelivered`] event before this future is polled for the first time. If the runtime shuts down
/// and drops the future, the event is in the log.
pub(super) async fn deliver(
    sink: BoxPlug<AuditEvent, ()>,
    mut undelivered: Undelivered,
    slot: OwnedSemaphorePermit,
    until: Instant,
) -> Result<(), Rejection> {
    let Some(event) = undelivered.event.as_deref().cloned() else { return Ok(()) };
    let taken = match tokio::time::timeout_at(until, ask(&sink, event, FAILING)).await {
        Ok(taken) => taken,
        Err(_) => Err(refuse(Reason::AuditUnavailable).with_detail("the sink took too long")),
    };
    match &taken {
        Ok(()) => undelivered.mark_delivered(),
        Err(refusal) => {
            undelivered.problem =
                refusal.detail().map_or("the sink panicked".into(), |detail| detail.in_clear().into());
        }
    }
    // A flush waits until all slots are free, so the event is counted, and logged if necessary, before the slot is free.
    drop(undelivered);
    drop(slot);
    taken
}

/// Gives the summary of attempts to the sink. The attempts are in the metrics already. If the sink does not take the summary,
/// the summary goes to the log.
pub(super) async fn deliver_summary(sink: &BoxPlug<AuditEvent, ()>, summary: AuditEvent, limit: Duration) {
    let taken = tokio::time::timeout(limit, ask(sink, summary.clone(), FAILING)).await;
    if !matches!(taken, Ok(Ok(()))) {
        log("the sink failed or took too long", &summary);
    }
}

fn log(problem: &str, event: &AuditEvent) {
    tracing::error!(
        target: "token_exchange::audit",
        problem,
        "the audit sink did not take an event; the next log line has the fields of the event"
    );
    sink::trace(event);
}

/// A final event that the sink has not taken yet. If the value is dropped, the event goes to the log.
///
/// In both cases, the attempt is counted in the metrics.
pub(super) struct Undelivered {
    event: Option<Arc<AuditEvent>>,
    problem: Cow<'static, str>,
    /// Whether the layer withholds the issued token if the sink does not take the event.
    withholds_token: bool,
}

impl Undelivered {
    /// `problem` is logged if the value is dropped before the sink has answered.
    pub(super) fn new(event: Arc<AuditEvent>, problem: &'static str, withholds_token: bool) -> Self {
        Self { event: Some(event), problem: problem.into(), withholds_token }
    }

    fn mark_delivered(&mut self) {
        if let Some(event) = self.event.take() {
            count(&event);
        }
    }
}

impl Drop for Undelivered {
    fn drop(&mut self) {
        let Some(event) = self.event.take() else { return };
        let mut event = Arc::unwrap_or_clone(event);
        if let Some(granted) = event.granted.take_if(|_| self.withholds_token) {
            let reason = Reason::AuditUnavailable;
            (event.outcome, event.reason, event.error) = (Outcome::Error, Some(reason), Some(reason.error()));
            event.detail = Some(format!("withheld the token with jti `{}`", granted.jti));
        }
        log(&self.problem, &event);
        count(&event);
    }
}

/// Counts an attempt in the metrics.
pub(super) fn count(event: &AuditEvent) {
    if event.operation == Operation::Access {
        let reason = event.reason.map(|reason| reason.code());
        return metrics::record_access(event.outcome.as_str(), reason);
    }
    if event.operation != Operation::Exchange {
        let reason = event.reason.map(|reason| reason.code());
        return metrics::record_issued_token_request(event.operation.as_str(), event.outcome.as_str(), reason);
    }
    let labels = AttemptLabels {
        outcome: event.outcome.as_str(),
        reason: event.reason.map(|reason| reason.code()),
        semantics: event.semantics.map(|semantics| semantics.as_str()),
    };
    metrics::record_attempt(&labels, event.duration);
}
