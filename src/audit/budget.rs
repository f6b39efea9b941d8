/// The most events per second that the audit sink gets for attempts that end without a token.
///
/// A client can send any number of requests that are refused. If every such request left an event, the requests could fill
/// the disk. Beyond the budget, the layer counts the attempts instead. About once per second, the sink then gets one event
/// for each kind of attempts that were counted: [`AuditEvent::count`](super::AuditEvent::count) is their exact number, and
/// the event has the operation, the outcome, the stage, the error and the reason that they share. The sum of the counts of
/// all events is always the number of attempts.
///
/// The events of issued tokens, of revoked tokens and of alarms are always written, and no other event delays them.
///
/// One client cannot use more than a quarter of a budget. Before a client is authenticated, its network address counts
/// ([`Peer`](crate::limits::Peer), of the [`ClientAddress`](crate::client_auth::ClientAddress)). Without an address, all such
/// clients share the whole budget.
///
/// ```
/// use tower_token_exchange::audit::AuditBudget;
///
/// let budget = AuditBudget::default().before_authentication(20).after_authentication(200);
/// # let _ = budget;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditBudget {
    pub(super) before_authentication: u32,
    pub(super) after_authentication: u32,
}

impl Default for AuditBudget {
    /// Returns a budget of 40 events per second before authentication, and of 1000 after authentication.
    fn default() -> Self {
        Self { before_authentication: 40, after_authentication: 1000 }
    }
}

impl AuditBudget {
    /// Returns a budget that every event is within.
    pub const fn unlimited() -> Self {
        Self { before_authentication: u32::MAX, after_authentication: u32::MAX }
    }

    /// Sets the most events per second of attempts whose client was not authenticated.
    #[must_use]
    pub const fn before_authentication(mut self, events: u32) -> Self {
        self.before_authentication = events;
        self
    }

    /// Sets the most events per second of attempts whose client was authenticated, introspections included.
    #[must_use]
    pub const fn after_authentication(mut self, events: u32) -> Self {
        self.after_authentication = events;
        self
    }
}
