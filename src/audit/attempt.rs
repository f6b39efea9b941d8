use super::{AuditEvent, Outcome, Requested, Stage, sink};
use crate::{
    clock::Clock,
    issue::unique,
    part::{Failing, Part, ask},
    protocol::{ErrorCode, Reason, Rejection, refuse},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{runtime::Handle, sync::Semaphore};

/// How many events may be on their way to the sink. A request waits for a place; an attempt that was cut off
/// cannot wait, and writes its event with `tracing` where there is none.
const EVENTS_UNDER_WAY: usize = 1024;
/// How long the sink may take for one event.
const SINK_TIMEOUT: Duration = Duration::from_secs(5);

const FAILING: Failing = Failing { unavailable: Reason::AuditUnavailable, panicked: Reason::AuditUnavailable };

/// Where events go.
#[derive(Clone)]
pub(crate) struct Audit {
    sink: Part<AuditEvent, ()>,
    places: Arc<Semaphore>,
    clock: Clock,
}

impl Audit {
    pub(crate) fn new(sink: Part<AuditEvent, ()>, clock: Clock) -> Self {
        Self { sink, places: Arc::new(Semaphore::new(EVENTS_UNDER_WAY)), clock }
    }

    pub(crate) fn attempt(&self) -> Attempt {
        Attempt {
            audit: self.clone(),
            started: Instant::now(),
            open: true,
            event: Box::new(AuditEvent {
                event_id: unique().unwrap_or_default(),
                time: self.clock.now(),
                duration: Duration::ZERO,
                outcome: Outcome::Error,
                stage: Stage::Request,
                error: None,
                reason: None,
                detail: None,
                claimed_client_id: None,
                client_id: None,
                auth_method: None,
                requested: Requested::default(),
                subject: None,
                subject_token: None,
                actor: None,
                actor_token: None,
                semantics: None,
                act_depth: None,
                policy_id: None,
                granted: None,
            }),
        }
    }

    /// Waits until every event that is under way has reached the sink.
    pub(crate) async fn flush(&self) {
        // The semaphore is never closed, so that this ends only with all places free.
        let _ = self.places.acquire_many(EVENTS_UNDER_WAY as u32).await;
    }

    /// Hands an event to the sink, in a task of its own: a client that hangs up cannot stop it halfway.
    async fn deliver(&self, event: Box<AuditEvent>) -> Result<(), Rejection> {
        let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
            return Err(refuse(Reason::AuditUnavailable));
        };
        let task = tokio::spawn(record(self.sink.clone(), event, place));
        task.await.unwrap_or_else(|_| Err(refuse(Reason::AuditUnavailable)))
    }

    /// The same where nobody can wait.
    fn deliver_detached(&self, event: Box<AuditEvent>) {
        match (Handle::try_current(), Arc::clone(&self.places).try_acquire_owned()) {
            (Ok(runtime), Ok(place)) => drop(runtime.spawn(record(self.sink.clone(), event, place))),
            _ => sink::trace(&event),
        }
    }
}

async fn record(
    sink: Part<AuditEvent, ()>,
    event: Box<AuditEvent>,
    place: tokio::sync::OwnedSemaphorePermit,
) -> Result<(), Rejection> {
    let taken = match tokio::time::timeout(SINK_TIMEOUT, ask(&sink, (*event).clone(), FAILING)).await {
        Ok(taken) => taken,
        Err(_) => Err(refuse(Reason::AuditUnavailable).because("the sink took too long")),
    };
    drop(place);
    taken.inspect_err(|refusal| {
        tracing::error!(
            target: "token_exchange::audit",
            problem = refusal.detail(),
            "the audit sink did not take an event; it follows here"
        );
        sink::trace(&event);
    })
}

/// One attempt. However it ends, it leaves exactly one event: dropped before its end, it says that the client
/// has gone.
pub(crate) struct Attempt {
    audit: Audit,
    started: Instant,
    event: Box<AuditEvent>,
    open: bool,
}

impl Attempt {
    /// Notes that everything before this stage went well.
    pub(super) fn reached(&mut self, stage: Stage) -> &mut AuditEvent {
        self.event.stage = stage;
        &mut self.event
    }

    /// Ends the attempt. A token whose event nobody took is not released.
    pub(crate) async fn finish<T>(mut self, outcome: Result<T, Rejection>) -> Result<T, Rejection> {
        let event = self.close(outcome.as_ref().err());
        let delivered = self.audit.deliver(event).await;
        let issued = outcome?;
        delivered.map(|()| issued)
    }

    fn close(&mut self, rejection: Option<&Rejection>) -> Box<AuditEvent> {
        self.open = false;
        let mut event = self.event.clone();
        event.duration = self.started.elapsed();
        let Some(rejection) = rejection else {
            event.outcome = Outcome::Issued;
            return event;
        };
        let error = rejection.reason().error();
        event.outcome = match error {
            ErrorCode::ServerError | ErrorCode::TemporarilyUnavailable => Outcome::Error,
            _ => Outcome::Denied,
        };
        // A client that has gone was told nothing.
        event.error = (rejection.reason() != Reason::ClientGone).then_some(error.as_str());
        event.reason = Some(rejection.reason());
        event.detail = rejection.detail().map(str::to_owned);
        event.granted = None;
        event
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.open {
            let event = self.close(Some(&refuse(Reason::ClientGone)));
            self.audit.deliver_detached(event);
        }
    }
}
