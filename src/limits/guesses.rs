//! Failed client authentication: different wrong credentials are counted, and repeated ones are not.

use super::{
    Exceeded, Limits, Peer,
    keyed::{KeyedBudgets, nanoseconds},
    recent::Recent,
};
use crate::{
    clock::Clock,
    protocol::{ClientId, Reason, Rejection, refuse},
};
use std::{
    hash::{BuildHasher, Hash, Hasher, RandomState},
    time::Duration,
};

/// How long wrong credentials that were counted do not count again.
const COUNTED_FOR: Duration = Duration::from_secs(600);
/// How long a client that authenticated at a peer does not depend on the budget of the peer.
const KNOWN_FOR: Duration = Duration::from_secs(3600);

/// The budgets for wrong credentials.
pub(super) struct Guesses {
    limits: Limits,
    clock: Clock,
    hasher: RandomState,
    of_client: KeyedBudgets,
    of_peer: KeyedBudgets,
    /// Wrong credentials that were counted, as a keyed hash. The key never leaves the process.
    counted: Recent,
    /// The clients that authenticated, each at its peer.
    known: Recent,
}

impl Guesses {
    pub(super) fn new(limits: Limits, clock: &Clock) -> Self {
        let budgets = || KeyedBudgets::new(limits.capacity, clock.clone());
        Self {
            limits,
            clock: clock.clone(),
            hasher: RandomState::new(),
            of_client: budgets(),
            of_peer: budgets(),
            counted: Recent::new(limits.capacity, COUNTED_FOR),
            known: Recent::new(limits.capacity, KNOWN_FOR),
        }
    }

    fn are_limited(&self) -> bool {
        self.limits.failed_authentications_per_client.is_some() || self.limits.failed_authentications_per_peer.is_some()
    }

    fn name_of(&self, peer: Peer, client_id: &str) -> u64 {
        self.hasher.hash_one((peer, client_id))
    }
}

/// The credentials of one request from a peer.
pub(crate) struct Login<'a> {
    guesses: &'a Guesses,
    peer: Peer,
    /// The client ids at the peer, as names.
    clients: Vec<u64>,
    /// The credentials at the peer, as a name.
    credentials: u64,
}

impl<'a> Login<'a> {
    /// Returns `None` if there is no budget for these credentials.
    pub(super) fn new<'c>(
        guesses: &'a Guesses,
        peer: Peer,
        readings: impl Iterator<Item = (&'c str, &'c str)>,
    ) -> Option<Self> {
        if !guesses.are_limited() {
            return None;
        }
        let mut clients = Vec::new();
        let mut credentials = guesses.hasher.build_hasher();
        peer.hash(&mut credentials);
        for (client_id, secret) in readings {
            (client_id, secret).hash(&mut credentials);
            let client = guesses.name_of(peer, client_id);
            if !clients.contains(&client) {
                clients.push(client);
            }
        }
        Some(Self { guesses, peer, clients, credentials: credentials.finish() })
    }

    /// Refuses the credentials, if a budget is spent. The secret is not checked then, so that the answer says nothing about it.
    pub(crate) fn admit(&self) -> Result<(), Rejection> {
        let Guesses { limits, of_client, of_peer, known, clock, .. } = self.guesses;
        let peer = self.peer;
        if let Some(rate) = limits.failed_authentications_per_client {
            for client in &self.clients {
                of_client
                    .check(client, rate)
                    .map_err(|exceeded| refused(exceeded).with_detail(format_args!("this client id at {peer}")))?;
            }
        }
        let Some(rate) = limits.failed_authentications_per_peer else { return Ok(()) };
        let Err(exceeded) = of_peer.check(&peer, rate) else { return Ok(()) };
        let now = nanoseconds(clock);
        if self.clients.iter().all(|client| known.contains(*client, now)) {
            return Ok(());
        }
        Err(refused(exceeded).with_detail(format_args!("all client ids at {peer}")))
    }

    /// Notes that the credentials are right.
    pub(crate) fn succeeded(&self, client_id: &ClientId) {
        let name = self.guesses.name_of(self.peer, client_id.as_str());
        self.guesses.known.note(name, nanoseconds(&self.guesses.clock));
    }

    /// Notes that the credentials are wrong.
    pub(crate) fn failed(&self) {
        let Guesses { limits, of_client, of_peer, counted, clock, .. } = self.guesses;
        if counted.note(self.credentials, nanoseconds(clock)) {
            return;
        }
        // A budget that another attempt spent meanwhile stays spent.
        if let Some(rate) = limits.failed_authentications_per_client {
            for client in &self.clients {
                let _ = of_client.take(client, rate);
            }
        }
        if let Some(rate) = limits.failed_authentications_per_peer {
            let _ = of_peer.take(&self.peer, rate);
        }
    }
}

fn refused(exceeded: Exceeded) -> Rejection {
    refuse(Reason::AuthenticationRateLimited).with_retry_after(exceeded.retry_after)
}
