use super::{
    AuditEvent, Outcome, Stage,
    delivery::{Undelivered, deliver},
    request_ids::RequestIds,
};
use crate::{
    clock::Clock,
    metrics::{self, StageTimer},
    plug::BoxPlug,
    protocol::{Reason, Rejection, refuse},
    random,
};
use http::HeaderMap;
use std::{sync::Arc, time::Duration};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tracing::{Instrument, Span};

/// The most events of issued tokens that can be on their way to the sink at the same time. All other events have the same
/// number of slots for themselves.
///
/// The event of an issued token waits for a slot. Any other event without a slot is logged with `tracing` instead.
const MAX_EVENTS_IN_FLIGHT: usize = 1024;
/// The longest time from the end of an attempt until the sink has taken the event, the wait for a slot included.
const SINK_TIMEOUT: Duration = Duration::from_secs(5);

/// Starts attempts, and sends their events to the sink.
#[derive(Clone)]
pub(crate) struct Audit {
    sink: BoxPlug<AuditEvent, ()>,
    issued_slots: Arc<Semaphore>,
    /// A client can send any number of requests that are refused. The events of such requests
    /// cannot take the slots of issued tokens.
    other_slots: Arc<Semaphore>,
    clock: Clock,
    /// Whether a token is released although the sink did not take its event.
    best_effort: bool,
}

impl Audit {
    pub(crate) fn new(sink: BoxPlug<AuditEvent, ()>, clock: Clock, best_effort: bool) -> Self {
        metrics::describe();
        let slots = || Arc::new(Semaphore::new(MAX_EVENTS_IN_FLIGHT));
        Self { sink, issued_slots: slots(), other_slots: slots(), clock, best_effort }
    }

    /// Starts an attempt for a request with these headers, in the current tracing span.
    pub(crate) fn start_attempt(&self, headers: &HeaderMap) -> Attempt {
        let event_id = random::unique_id().unwrap_or_default();
        let event = AuditEvent::new(event_id, self.clock.now(), RequestIds::from_headers(headers));
        Attempt {
            audit: self.clone(),
            span: Span::current(),
            started: Instant::now(),
            timer: StageTimer::start(Stage::Request.as_str()),
            event: Box::new(event),
            is_open: true,
        }
    }

    /// Waits until no event is on its way to the sink.
    pub(crate) async fn flush(&self) {
        for slots in [&self.issued_slots, &self.other_slots] {
            // The semaphore is never closed, so the only outcome is that all slots are free.
            let _ = slots.acquire_many(MAX_EVENTS_IN_FLIGHT as u32).await;
        }
    }

    async fn slot(&self, outcome: Outcome, until: Instant) -> Option<OwnedSemaphorePermit> {
        match outcome {
            Outcome::Issued => {
                let slot = Arc::clone(&self.issued_slots).acquire_owned();
                tokio::time::timeout_at(until, slot).await.ok()?.ok()
            }
            Outcome::Denied | Outcome::Error => Arc::clone(&self.other_slots).try_acquire_owned().ok(),
        }
    }
}

/// One attempt to exchange a token. Every attempt leaves exactly one event.
///
/// An attempt that is dropped before its end leaves an event with the reason `client_gone`.
pub(crate) struct Attempt {
    audit: Audit,
    /// The span of the request. The sink runs in a task of its own, which would otherwise be in no span.
    span: Span,
    started: Instant,
    timer: StageTimer,
    event: Box<AuditEvent>,
    /// Whether the event still has to be sent.
    is_open: bool,
}

impl Attempt {
    /// Notes that the attempt passed every stage before this one.
    pub(super) fn reached(&mut self, stage: Stage) -> &mut AuditEvent {
        self.timer.enter(stage.as_str());
        self.event.stage = stage;
        &mut self.event
    }

    pub(super) fn event_mut(&mut self) -> &mut AuditEvent {
        &mut self.event
    }

    /// Ends the attempt, and waits until the sink has taken the event.
    ///
    /// # Errors
    /// The attempt was refused, or the sink did not take the event of an issued token and audit is not best effort.
    pub(crate) async fn finish<T>(mut self, outcome: Result<T, Rejection>) -> Result<T, Rejection> {
        self.close(outcome.as_ref().err());
        let until = Instant::now() + SINK_TIMEOUT;
        let slot = self.audit.slot(self.event.outcome, until).await;
        // Nothing is awaited between this line and the handover of the event: no drop can send the event twice.
        self.is_open = false;
        let delivered = match slot {
            // The delivery is a task of its own, so a client that closes the connection does not cancel the delivery.
            Some(slot) => {
                let task = tokio::spawn(self.delivery(slot, until));
                task.await.unwrap_or_else(|_| Err(refuse(Reason::AuditUnavailable)))
            }
            None => {
                self.log_event("too many events are on their way to the sink");
                Err(refuse(Reason::AuditUnavailable))
            }
        };
        let issued = outcome?;
        if self.audit.best_effort { Ok(issued) } else { delivered.map(|()| issued) }
    }

    fn close(&mut self, rejection: Option<&Rejection>) {
        let event = &mut self.event;
        event.duration = self.started.elapsed();
        event.outcome = Outcome::from_rejection(rejection);
        let Some(rejection) = rejection else { return };
        self.timer.stop();
        // A client that is gone received no error.
        event.error = (rejection.reason() != Reason::ClientGone).then_some(rejection.error());
        event.reason = Some(rejection.reason());
        event.detail = rejection.detail().map(str::to_owned);
        event.granted = None;
        event.alarm = rejection.reason().is_alarm();
    }

    fn delivery(
        &self,
        slot: OwnedSemaphorePermit,
        until: Instant,
    ) -> impl Future<Output = Result<(), Rejection>> + Send + use<> {
        let undelivered = self.undelivered("the runtime shut down");
        deliver(self.audit.sink.clone(), undelivered, slot, until).instrument(self.span.clone())
    }

    fn log_event(&self, problem: &str) {
        self.span.in_scope(|| drop(self.undelivered(problem)));
    }

    fn undelivered(&self, problem: &str) -> Undelivered {
        Undelivered::new(self.event.clone(), problem, !self.audit.best_effort)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.is_open {
            return;
        }
        // A refusal keeps its reason. Any other attempt ends here because the client is gone.
        if self.event.reason.is_none() {
            self.close(Some(&refuse(Reason::ClientGone)));
        }
        match (Handle::try_current(), Arc::clone(&self.audit.other_slots).try_acquire_owned()) {
            (Ok(runtime), Ok(slot)) => drop(runtime.spawn(self.delivery(slot, Instant::now() + SINK_TIMEOUT))),
            _ => self.log_event("too many events are on their way to the sink, or no runtime is running"),
        }
    }
}
