use super::{
    Limits, Peer, Rate,
    guesses::{Guesses, Login},
    keyed::KeyedBudgets,
};
use crate::{
    clock::Clock,
    protocol::{ClientAddress, ClientId, IssuerId, Reason, Rejection, refuse},
};
use std::{fmt, hash::Hash};

/// The budgets of a layer. They stay when the records change.
pub(crate) struct Budgets {
    limits: Limits,
    attempts_of_peer: KeyedBudgets,
    guesses: Guesses,
    exchanges_of_client: KeyedBudgets,
    introspections_of_client: KeyedBudgets,
    revocations_of_client: KeyedBudgets,
    exchanges_of_subject: KeyedBudgets,
}

impl Budgets {
    pub(crate) fn new(limits: Limits, clock: &Clock) -> Self {
        let budgets = || KeyedBudgets::new(limits.capacity, clock.clone());
        Self {
            limits,
            attempts_of_peer: budgets(),
            guesses: Guesses::new(limits, clock),
            exchanges_of_client: budgets(),
            introspections_of_client: budgets(),
            revocations_of_client: budgets(),
            exchanges_of_subject: budgets(),
        }
    }

    /// Takes one attempt from the budget of the peer, if the address of the peer is known.
    pub(crate) fn admit_peer(&self, address: Option<&ClientAddress>) -> Result<(), Rejection> {
        let Some(peer) = address.map(Peer::from) else { return Ok(()) };
        take(&self.attempts_of_peer, &peer, self.limits.attempts_per_peer, Reason::PeerRateLimited, peer)
    }

    /// The credentials of a request, given as readings: pairs of a client id and a secret. `None` if no budget applies.
    pub(crate) fn login<'c>(
        &self,
        address: Option<&ClientAddress>,
        readings: impl Iterator<Item = (&'c str, &'c str)>,
    ) -> Option<Login<'_>> {
        Login::new(&self.guesses, address?.into(), readings)
    }

    /// Takes one exchange from the budget of an authenticated client. `own` replaces the rate of all clients.
    pub(crate) fn admit_exchange(&self, client_id: &ClientId, own: Option<Rate>) -> Result<(), Rejection> {
        let rate = own.or(self.limits.exchanges_per_client);
        take(&self.exchanges_of_client, client_id, rate, Reason::ClientRateLimited, "exchanges")
    }

    /// Takes one introspection from the budget of an authenticated client.
    pub(crate) fn admit_introspection(&self, client_id: &ClientId) -> Result<(), Rejection> {
        let rate = self.limits.introspections_per_client;
        take(&self.introspections_of_client, client_id, rate, Reason::ClientRateLimited, "introspections")
    }

    /// Takes one revocation from the budget of an authenticated client.
    pub(crate) fn admit_revocation(&self, client_id: &ClientId) -> Result<(), Rejection> {
        let rate = self.limits.revocations_per_client;
        take(&self.revocations_of_client, client_id, rate, Reason::ClientRateLimited, "revocations")
    }

    /// Takes one exchange from the budget of the subject of a valid token.
    pub(crate) fn admit_subject(&self, iss: &IssuerId, sub: &str) -> Result<(), Rejection> {
        let rate = self.limits.exchanges_per_subject;
        take(&self.exchanges_of_subject, &(iss, sub), rate, Reason::SubjectRateLimited, "exchanges")
    }
}

fn take<K: Hash>(
    budgets: &KeyedBudgets,
    key: &K,
    rate: Option<Rate>,
    reason: Reason,
    what: impl fmt::Display,
) -> Result<(), Rejection> {
    let Some(rate) = rate else { return Ok(()) };
    budgets.take(key, rate).map_err(|exceeded| {
        refuse(reason).with_retry_after(exceeded.retry_after).with_detail(format_args!("{what}: more than {rate}"))
    })
}
