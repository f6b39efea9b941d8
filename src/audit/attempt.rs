use super::{
    AuditBudget, AuditEvent, Operation, Outcome, Stage,
    delivery::{Undelivered, count, deliver, deliver_summary},
    request_ids::RequestIds,
    sampler::{INTERVAL, Sampler, Timer},
    texts,
    to_the_end::ToTheEnd,
};
use crate::{
    clock::Clock,
    metrics::{self, StageTimer},
    plug::BoxPlug,
    protocol::{Reason, Rejection, Sender, escaped, refuse},
    random,
    records::Registry,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    runtime::Handle,
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tracing::{Instrument, Span};

/// The most events of issued and revoked tokens that can be on their way to the sink at the same time. All other events
/// have the same number of slots for themselves.
///
/// The event of an issued or a revoked token waits for a slot. Any other event without a slot is only counted.
const MAX_EVENTS_IN_FLIGHT: usize = 1024;
/// The longest time from the end of an attempt until the sink has taken the event, the wait for a slot included.
const SINK_TIMEOUT: Duration = Duration::from_secs(5);

/// Starts attempts, and sends their events to the sink.
#[derive(Clone)]
pub(crate) struct Audit {
    sink: BoxPlug<AuditEvent, ()>,
    needed_slots: Arc<Semaphore>,
    /// A client can send any number of requests that are refused. The events of such requests
    /// cannot take the slots of issued and revoked tokens.
    other_slots: Arc<Semaphore>,
    sampler: Arc<Sampler>,
    /// Held while summaries are written, so that a flush waits for them.
    summaries: Arc<Mutex<()>>,
    clock: Clock,
    /// Whether a token is released although the sink did not take its event.
    best_effort: bool,
}

impl Audit {
    pub(crate) fn new(sink: BoxPlug<AuditEvent, ()>, clock: Clock, best_effort: bool, budget: AuditBudget) -> Self {
        metrics::describe();
        let slots = || Arc::new(Semaphore::new(MAX_EVENTS_IN_FLIGHT));
        Self {
            sink,
            needed_slots: slots(),
            other_slots: slots(),
            sampler: Arc::new(Sampler::new(budget)),
            summaries: Arc::default(),
            clock,
            best_effort,
        }
    }

    /// Starts an attempt in the current tracing span. `forms` are the query and the body of the request.
    pub(crate) fn start_attempt(
        &self,
        operation: Operation,
        registry: Arc<Registry>,
        sender: Sender<'_>,
        forms: [&[u8]; 2],
    ) -> Attempt {
        let event_id = random::unique_id().unwrap_or_default();
        let mut event = AuditEvent::new(event_id, self.clock.now(), operation);
        event.client_address = sender.address.map(|address| address.address());
        RequestIds { request_id: event.request_id, trace_id: event.trace_id } = RequestIds::read(sender.headers, forms);
        Attempt {
            audit: self.clone(),
            registry,
            span: Span::current(),
            started: Instant::now(),
            timer: (operation == Operation::Exchange).then(|| StageTimer::start(Stage::Request.as_str())),
            event: Arc::new(event),
            is_open: true,
        }
    }

    /// Waits until the sink has the number of the suppressed attempts, and no event is on its way to the sink.
    pub(crate) async fn flush(&self) {
        self.write_summaries().await;
        for slots in [&self.needed_slots, &self.other_slots] {
            // The semaphore is never closed, so the only outcome is that all slots are free.
            let _ = slots.acquire_many(MAX_EVENTS_IN_FLIGHT as u32).await;
        }
    }

    async fn slot(&self, outcome: Outcome, until: Instant) -> Option<OwnedSemaphorePermit> {
        if outcome.needs_audit() {
            let slot = Arc::clone(&self.needed_slots).acquire_owned();
            tokio::time::timeout_at(until, slot).await.ok()?.ok()
        } else {
            Arc::clone(&self.other_slots).try_acquire_owned().ok()
        }
    }

    /// Counts an event that the sink does not get.
    fn suppress(&self, event: &AuditEvent) {
        count(event);
        metrics::record_suppressed_event(event.operation.as_str());
        if let (Some(timer), Ok(runtime)) = (self.sampler.suppress(event), Handle::try_current()) {
            let audit = self.clone();
            runtime.spawn(async move { audit.write_summaries_later(timer).await });
        }
    }

    async fn write_summaries_later(&self, timer: Timer) {
        tokio::time::sleep(INTERVAL).await;
        drop(timer);
        self.write_summaries().await;
    }

    async fn write_summaries(&self) {
        let _writing = self.summaries.lock().await;
        for summary in self.sampler.take_summaries() {
            deliver_summary(&self.sink, summary, SINK_TIMEOUT).await;
        }
    }
}

/// One attempt to use the layer. Every attempt is in exactly one event.
///
/// An attempt that is dropped before its end has the reason `client_gone`.
pub(crate) struct Attempt {
    audit: Audit,
    /// The records that say which texts are known.
    pub(super) registry: Arc<Registry>,
    /// The span of the request. The sink can run in a task of its own, which would otherwise be in no span.
    span: Span,
    started: Instant,
    /// Only the stages of an exchange are measured.
    timer: Option<StageTimer>,
    /// Shared with the delivery of the event. Until then, nothing else has the event.
    event: Arc<AuditEvent>,
    /// Whether the event still has to be sent or counted.
    is_open: bool,
}

impl Attempt {
    /// Notes that the attempt passed every stage before this one.
    pub(super) fn reached(&mut self, stage: Stage) -> &mut AuditEvent {
        if let Some(timer) = &mut self.timer {
            timer.enter(stage.as_str());
        }
        let event = self.event_mut();
        event.stage = stage;
        event
    }

    /// Notes that the attempt began earlier.
    #[cfg(feature = "resource-server")]
    pub(crate) fn began(&mut self, started: Instant) {
        self.started = started;
        let event = self.event_mut();
        event.time = event.time.checked_sub(started.elapsed()).unwrap_or(event.time);
    }

    pub(super) fn event_mut(&mut self) -> &mut AuditEvent {
        Arc::make_mut(&mut self.event)
    }

    /// Ends the attempt, and waits until the sink has taken the event. An introspection does not wait.
    ///
    /// # Errors
    /// The attempt was refused, or the sink did not take the event of an issued or a revoked token and audit is not best
    /// effort.
    pub(crate) async fn finish<T>(mut self, outcome: Result<T, Rejection>) -> Result<T, Rejection> {
        self.close(outcome.as_ref().err());
        let delivered = self.deliver().await;
        let answer = outcome?;
        match self.event.outcome.needs_audit() && !self.audit.best_effort {
            true => delivered.map(|()| answer),
            false => Ok(answer),
        }
    }

    async fn deliver(&mut self) -> Result<(), Rejection> {
        if !self.audit.sampler.admits(&self.event) {
            self.suppress();
            return Ok(());
        }
        let until = Instant::now() + SINK_TIMEOUT;
        let outcome = self.event.outcome;
        let slot = self.audit.slot(outcome, until).await;
        // Nothing is awaited between this line and the handover of the event: no drop can send the event twice.
        match slot {
            // A client that closes the connection does not cancel the delivery.
            Some(slot) => {
                self.is_open = false;
                let delivery = ToTheEnd::new(self.delivery(slot, until));
                if outcome == Outcome::Introspected {
                    drop(delivery);
                    return Ok(());
                }
                delivery.await
            }
            None if outcome.needs_audit() => {
                self.is_open = false;
                self.span.in_scope(|| drop(self.undelivered("too many events are on their way to the sink")));
                Err(refuse(Reason::AuditUnavailable))
            }
            None => {
                self.suppress();
                Ok(())
            }
        }
    }

    fn suppress(&mut self) {
        self.is_open = false;
        self.audit.suppress(&self.event);
    }

    fn close(&mut self, rejection: Option<&Rejection>) {
        let event = Arc::make_mut(&mut self.event);
        event.duration = self.started.elapsed();
        let Some(rejection) = rejection else {
            event.outcome = Outcome::of_success(event.operation);
            return;
        };
        if let Some(timer) = &mut self.timer {
            timer.stop();
        }
        event.outcome = Outcome::of_refusal(rejection);
        // A client that is gone received no error.
        event.error = (rejection.reason() != Reason::ClientGone).then_some(rejection.error());
        event.reason = Some(rejection.reason());
        let registry = &self.registry;
        let described = |text: &str| match registry.has_text(text) {
            true => format!("`{text}`"),
            false => texts::described(text),
        };
        event.detail = rejection.detail().map(|detail| escaped(&detail.to_text(described)));
        event.granted = None;
        event.active = None;
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

    fn undelivered(&self, problem: &'static str) -> Undelivered {
        Undelivered::new(Arc::clone(&self.event), problem, !self.audit.best_effort)
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
        let slot = match self.audit.sampler.admits(&self.event) {
            true => Arc::clone(&self.audit.other_slots).try_acquire_owned().ok(),
            false => None,
        };
        match (Handle::try_current(), slot) {
            (Ok(runtime), Some(slot)) => drop(runtime.spawn(self.delivery(slot, Instant::now() + SINK_TIMEOUT))),
            _ => self.audit.suppress(&self.event),
        }
    }
}
