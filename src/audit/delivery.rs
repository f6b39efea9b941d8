use super::{AuditEvent, Outcome, sink};
use crate::{
    metrics::{self, AttemptLabels},
    plug::{BoxPlug, Failing, ask},
    protocol::{Reason, Rejection, refuse},
};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

const FAILING: Failing = Failing { unavailable: Reason::AuditUnavailable, panicked: Reason::AuditUnavailable };

/// Hands an event to the sink. It is made before it is polled, so that a runtime which shuts down meanwhile drops
/// the event where it is noticed.
pub(super) fn record(
    sink: BoxPlug<AuditEvent, ()>,
    event: Box<AuditEvent>,
    place: OwnedSemaphorePermit,
    until: Instant,
    withheld: bool,
) -> impl Future<Output = Result<(), Rejection>> + Send + 'static {
    let mut untaken = Untaken::new(event, "the runtime shut down", withheld);
    async move {
        let Some(event) = untaken.event.as_deref().cloned() else { return Ok(()) };
        let taken = match tokio::time::timeout_at(until, ask(&sink, event, FAILING)).await {
            Ok(taken) => taken,
            Err(_) => Err(refuse(Reason::AuditUnavailable).because("the sink took too long")),
        };
        match &taken {
            Ok(()) => untaken.take(),
            Err(refusal) => refusal.detail().unwrap_or("the sink panicked").clone_into(&mut untaken.problem),
        }
        drop(place);
        taken
    }
}

/// An event that the sink has not taken yet. If it never does, it is not lost. One way or the other, this is where the
/// event is final, and where the attempt is counted.
pub(super) struct Untaken {
    event: Option<Box<AuditEvent>>,
    problem: String,
    /// Whether its token, if there is one, is not released then.
    withheld: bool,
}

impl Untaken {
    /// With the problem that there is if nobody takes it.
    pub(super) fn new(event: Box<AuditEvent>, problem: &str, withheld: bool) -> Self {
        Self { event: Some(event), problem: problem.to_owned(), withheld }
    }

    fn take(&mut self) {
        if let Some(event) = self.event.take() {
            count(&event);
        }
    }
}

impl Drop for Untaken {
    fn drop(&mut self) {
        let Some(mut event) = self.event.take() else { return };
        let problem = &self.problem;
        tracing::error!(target: "token_exchange::audit", problem, "the audit sink did not take an event; it follows here");
        if let Some(granted) = event.granted.take_if(|_| self.withheld) {
            let reason = Reason::AuditUnavailable;
            (event.outcome, event.reason, event.error) = (Outcome::Error, Some(reason), Some(reason.error()));
            event.detail = Some(format!("withheld the token with jti `{}`", granted.jti));
        }
        sink::trace(&event);
        count(&event);
    }
}

fn count(event: &AuditEvent) {
    let labels = AttemptLabels {
        outcome: event.outcome.as_str(),
        reason: event.reason.map(|reason| reason.code()),
        semantics: event.semantics.map(|semantics| semantics.as_str()),
    };
    metrics::record_attempt(&labels, event.duration);
}
