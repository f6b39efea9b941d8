use super::{
    AuditEvent, Outcome, Stage,
    delivery::{Untaken, record},
};
use crate::{
    clock::Clock,
    metrics::{self, StageTimer},
    plug::BoxPlug,
    protocol::{Reason, Rejection, refuse},
    random,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// How many events may be on their way to the sink: so many of issued tokens, which wait for a place, and so many of
/// all others, which do not. Where there is no place, an event is written with `tracing` instead.
const EVENTS_UNDER_WAY: usize = 1024;
/// How long the sink may take for one event, the wait for a place included.
const SINK_TIMEOUT: Duration = Duration::from_secs(5);

/// Where events go.
#[derive(Clone)]
pub(crate) struct Audit {
    sink: BoxPlug<AuditEvent, ()>,
    issued: Arc<Semaphore>,
    /// Of their own, so that nobody can crowd out exchanges with what costs nothing to send.
    refused: Arc<Semaphore>,
    clock: Clock,
    /// A token is released also when nobody took its event.
    best_effort: bool,
}

impl Audit {
    pub(crate) fn new(sink: BoxPlug<AuditEvent, ()>, clock: Clock, best_effort: bool) -> Self {
        metrics::describe();
        let places = || Arc::new(Semaphore::new(EVENTS_UNDER_WAY));
        Self { sink, issued: places(), refused: places(), clock, best_effort }
    }

    pub(crate) fn attempt(&self) -> Attempt {
        Attempt {
            audit: self.clone(),
            started: Instant::now(),
            timer: StageTimer::start(Stage::Request.as_str()),
            open: true,
            event: Box::new(AuditEvent::of_attempt(random::unique_id().unwrap_or_default(), self.clock.now())),
        }
    }

    /// Waits until every event that is under way has reached the sink.
    pub(crate) async fn flush(&self) {
        for places in [&self.issued, &self.refused] {
            // The semaphore is never closed, so that this ends only with all places free.
            let _ = places.acquire_many(EVENTS_UNDER_WAY as u32).await;
        }
    }

    async fn place(&self, outcome: Outcome, until: Instant) -> Option<OwnedSemaphorePermit> {
        match outcome {
            Outcome::Issued => {
                let place = Arc::clone(&self.issued).acquire_owned();
                tokio::time::timeout_at(until, place).await.ok()?.ok()
            }
            Outcome::Denied | Outcome::Error => Arc::clone(&self.refused).try_acquire_owned().ok(),
        }
    }
}

/// One attempt. However it ends, it leaves exactly one event: dropped before its end, it says that the client
/// has gone.
pub(crate) struct Attempt {
    audit: Audit,
    started: Instant,
    timer: StageTimer,
    event: Box<AuditEvent>,
    open: bool,
}

impl Attempt {
    /// Notes that everything before this stage went well.
    pub(super) fn reached(&mut self, stage: Stage) -> &mut AuditEvent {
        self.timer.enter(stage.as_str());
        self.event.stage = stage;
        &mut self.event
    }

    /// Ends the attempt. A token whose event nobody took is not released.
    pub(crate) async fn finish<T>(mut self, outcome: Result<T, Rejection>) -> Result<T, Rejection> {
        self.close(outcome.as_ref().err());
        let until = Instant::now() + SINK_TIMEOUT;
        let place = self.audit.place(self.event.outcome, until).await;
        // From here on the event is in other hands, with nothing to wait for in between.
        self.open = false;
        let delivered = match place {
            Some(place) => {
                // In a task of its own: a client that hangs up cannot stop it halfway.
                let task = tokio::spawn(record(
                    self.audit.sink.clone(),
                    self.event.clone(),
                    place,
                    until,
                    !self.audit.best_effort,
                ));
                task.await.unwrap_or_else(|_| Err(refuse(Reason::AuditUnavailable)))
            }
            None => {
                drop(Untaken::new(self.event.clone(), "too many events under way", !self.audit.best_effort));
                Err(refuse(Reason::AuditUnavailable))
            }
        };
        let issued = outcome?;
        if self.audit.best_effort { Ok(issued) } else { delivered.map(|()| issued) }
    }

    fn close(&mut self, rejection: Option<&Rejection>) {
        let event = &mut self.event;
        event.duration = self.started.elapsed();
        event.outcome = Outcome::of(rejection);
        let Some(rejection) = rejection else { return };
        self.timer.stop();
        // A client that has gone was told nothing.
        event.error = (rejection.reason() != Reason::ClientGone).then_some(rejection.error());
        event.reason = Some(rejection.reason());
        event.detail = rejection.detail().map(str::to_owned);
        // A refusal after the decision has none of its own.
        event.shadow = rejection.shadow().map(str::to_owned).or(event.shadow.take());
        event.granted = None;
        event.alarm = rejection.reason().is_alarm();
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        // A refusal stays what it was; whatever else there might have been did not reach the client.
        if self.event.reason.is_none() {
            self.close(Some(&refuse(Reason::ClientGone)));
        }
        match (Handle::try_current(), Arc::clone(&self.audit.refused).try_acquire_owned()) {
            (Ok(runtime), Ok(place)) => {
                let until = Instant::now() + SINK_TIMEOUT;
                drop(runtime.spawn(record(
                    self.audit.sink.clone(),
                    self.event.clone(),
                    place,
                    until,
                    !self.audit.best_effort,
                )));
            }
            _ => drop(Untaken::new(self.event.clone(), "too many events under way, or no runtime", true)),
        }
    }
}
