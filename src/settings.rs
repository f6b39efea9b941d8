//! The settings of a layer that hold for every request, whatever the records say.

use crate::{
    clock::Clock,
    plug::catch_panic,
    protocol::{ErrorProfile, NumericDate, Reason, Rejection, refuse},
};
use futures_util::FutureExt;
use std::time::Duration;

/// Limits, the clock and the error profile of a layer.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) clock: Clock,
    /// The time that one request may take after its form has arrived.
    pub(crate) deadline: Duration,
    /// The longest lifetime of an issued token.
    pub(crate) max_lifetime: Duration,
    /// The most targets that one request may name.
    pub(crate) max_targets: usize,
    /// The most actors that an issued token may name.
    pub(crate) max_chain_depth: usize,
    /// The tolerance for `nbf` and `iat` of received tokens. `exp` has no tolerance.
    pub(crate) leeway: Duration,
    /// Whether a request is refused if a part of the requested scope cannot be granted.
    pub(crate) strict_scope: bool,
    /// Whether every issued token is bound to a key or a certificate.
    pub(crate) require_sender_constraint: bool,
    /// The errors that clients receive.
    pub(crate) errors: ErrorProfile,
}

impl Settings {
    /// The current time.
    pub(crate) fn now(&self) -> NumericDate {
        self.clock.now().into()
    }

    /// Runs the work on one request. A panic and an elapsed deadline become refusals, and the error profile is applied.
    // Not an `async fn`, which would hold the work twice.
    pub(crate) fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, Rejection>>,
    ) -> impl Future<Output = Result<T, Rejection>> {
        tokio::time::timeout(self.deadline, catch_panic(work)).map(|result| {
            let outcome = match result {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_panic)) => Err(refuse(Reason::Internal)),
                Err(_elapsed) => Err(refuse(Reason::DeadlineExceeded)),
            };
            outcome.map_err(|rejection| self.errors.applied_to(rejection))
        })
    }

    /// The refusal of a request that was not read.
    pub(crate) fn refuse(&self, reason: Reason) -> Rejection {
        self.errors.applied_to(refuse(reason))
    }
}
