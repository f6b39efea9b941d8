use super::{AuditBudget, AuditEvent, Operation, Outcome, Stage};
use crate::{
    limits::{Limiter, Peer, Rate},
    locks,
    protocol::{ErrorCode, Reason},
    random,
};
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

/// The time after which attempts that were only counted are written.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);
/// The most clients whose shares are remembered.
const MAX_CLIENTS: usize = 1024;
/// One client gets this part of a budget.
const SHARE: u32 = 4;

/// Decides which events the sink gets, and counts all others.
pub(super) struct Sampler {
    before_authentication: Budget,
    after_authentication: Budget,
    counted: Mutex<Counted>,
}

/// The events of one second, for all clients and for each client. `None` allows no event.
struct Budget(Option<(Limiter, Limiter)>);

#[derive(Default)]
struct Counted {
    /// Each key has values from closed sets only, so the number of keys is bounded.
    suppressed: HashMap<Kind, Suppressed>,
    has_timer: bool,
}

/// What attempts that were only counted have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    operation: Operation,
    outcome: Outcome,
    stage: Stage,
    error: Option<ErrorCode>,
    reason: Option<Reason>,
}

/// Attempts that were only counted.
struct Suppressed {
    /// The time of the first attempt.
    since: SystemTime,
    count: u64,
    /// The sum of the durations.
    duration: Duration,
}

/// The timer that ends with the writing of the suppressed attempts. There is one timer at most.
pub(super) struct Timer(Arc<Sampler>);

impl Drop for Timer {
    fn drop(&mut self) {
        locks::lock(&self.0.counted).has_timer = false;
    }
}

impl Sampler {
    pub(super) fn new(budget: AuditBudget) -> Self {
        Self {
            before_authentication: Budget::new(budget.before_authentication),
            after_authentication: Budget::new(budget.after_authentication),
            counted: Mutex::default(),
        }
    }

    /// Whether the sink gets the event.
    pub(super) fn admits(&self, event: &AuditEvent) -> bool {
        if event.outcome.needs_audit() || event.alarm {
            return true;
        }
        match &event.client_id {
            Some(id) => self.after_authentication.spend(Some(id)),
            None => self.before_authentication.spend(event.client_address.map(Peer::from).as_ref()),
        }
    }

    /// Counts an event that the sink does not get. Returns a timer if no timer is running.
    pub(super) fn suppress(self: &Arc<Self>, event: &AuditEvent) -> Option<Timer> {
        let AuditEvent { operation, outcome, stage, error, reason, time, duration, .. } = *event;
        let mut counted = locks::lock(&self.counted);
        let kind = Kind { operation, outcome, stage, error, reason };
        let none = Suppressed { since: time, count: 0, duration: Duration::ZERO };
        let suppressed = counted.suppressed.entry(kind).or_insert(none);
        suppressed.count += 1;
        suppressed.duration += duration;
        let starts = !counted.has_timer;
        counted.has_timer = true;
        starts.then(|| Timer(Arc::clone(self)))
    }

    /// Returns one event for each kind of attempts that were only counted, and forgets the attempts.
    pub(super) fn take_summaries(&self) -> Vec<AuditEvent> {
        locks::lock(&self.counted).suppressed.drain().map(|(kind, suppressed)| suppressed.summary(kind)).collect()
    }
}

impl Suppressed {
    fn summary(&self, kind: Kind) -> AuditEvent {
        let Kind { operation, outcome, stage, error, reason } = kind;
        let event = AuditEvent::new(random::unique_id().unwrap_or_default(), self.since, operation);
        let duration = self.duration.div_f64(self.count.max(1) as f64);
        AuditEvent { count: self.count, duration, outcome, stage, error, reason, ..event }
    }
}

impl Budget {
    fn new(events: u32) -> Self {
        let limiter = |events| Limiter::new(Rate::per_second(events)).capacity(MAX_CLIENTS);
        Self((events > 0).then(|| (limiter(events), limiter(events.div_ceil(SHARE)))))
    }

    /// Whether an event is within the budget, and within the share of its client.
    fn spend<K: Hash>(&self, client: Option<&K>) -> bool {
        let Some((all, each)) = &self.0 else { return false };
        // The share comes first, so a client whose share is spent takes nothing from the others.
        client.is_none_or(|client| each.take(client).is_ok()) && all.take(&()).is_ok()
    }
}
