//! What one peer may hold of a limited number.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tower_token_exchange::limits::Peer;

/// Why a peer gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// The peer holds its share.
    Peer,
    /// The peers together hold everything.
    Total,
}

impl Full {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Total => "total",
        }
    }
}

/// Counts what each peer holds of a limited number. A peer gets no more than its share.
#[derive(Debug)]
pub(super) struct Shares {
    total: usize,
    per_peer: usize,
    held: usize,
    /// Only peers that hold something.
    by_peer: HashMap<Peer, usize>,
}

impl Shares {
    pub(super) fn new(total: u32, per_peer: u32) -> Self {
        Self { total: total as usize, per_peer: per_peer as usize, held: 0, by_peer: HashMap::new() }
    }

    /// Takes one. Without a peer, only the total counts.
    pub(super) fn take(&mut self, peer: Option<Peer>) -> Result<(), Full> {
        if self.held >= self.total {
            return Err(Full::Total);
        }
        let own = self.of(peer);
        if own >= self.per_peer {
            return Err(Full::Peer);
        }
        if let Some(peer) = peer {
            self.by_peer.insert(peer, own + 1);
        }
        self.held += 1;
        Ok(())
    }

    /// What a peer holds.
    pub(super) fn of(&self, peer: Option<Peer>) -> usize {
        peer.and_then(|peer| self.by_peer.get(&peer).copied()).unwrap_or_default()
    }

    /// Gives one back that was taken for the same peer.
    pub(super) fn give_back(&mut self, peer: Option<Peer>) {
        self.held -= 1;
        let Some(peer) = peer else { return };
        if let Entry::Occupied(mut own) = self.by_peer.entry(peer) {
            *own.get_mut() -= 1;
            if *own.get() == 0 {
                own.remove();
            }
        }
    }
}

/// The places for work. A peer gets no more than what is still free: `n` peers that take all they can get leave one part
/// in `2^n` for the next peer.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Mutex<Shares>>);

impl Places {
    pub(super) fn new(total: u32) -> Self {
        Self(Arc::new(Mutex::new(Shares::new(total, total))))
    }

    /// Takes a place until the result is dropped.
    pub(super) fn take(&self, peer: Option<Peer>) -> Result<Place, Full> {
        let mut shares = self.lock();
        let (own, free) = (shares.of(peer), shares.total - shares.held);
        if free > 0 && own >= free {
            return Err(Full::Peer);
        }
        shares.take(peer)?;
        Ok(Place { places: self.clone(), peer })
    }

    fn lock(&self) -> MutexGuard<'_, Shares> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place for work. Dropping the value gives the place back.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    peer: Option<Peer>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().give_back(self.peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn peer(text: &str) -> Peer {
        Peer::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn a_peer_gets_no_more_than_its_share() {
        for (total, per_peer, expected, full) in [(100, 25, 25, Full::Peer), (1, 1, 1, Full::Total)] {
            let mut shares = Shares::new(total, per_peer);
            for _ in 0..expected {
                shares.take(Some(peer("192.0.2.1"))).unwrap();
            }
            assert_eq!(shares.take(Some(peer("192.0.2.1"))), Err(full), "{total} {per_peer}");
        }
    }

    #[test]
    fn greedy_peers_leave_places_for_others() {
        let (places, mut held) = (Places::new(1000), Vec::new());
        for (greedy, expected) in [("192.0.2.1", 500), ("192.0.2.2", 250), ("192.0.2.3", 125)] {
            let before = held.len();
            while let Ok(place) = places.take(Some(peer(greedy))) {
                held.push(place);
            }
            assert_eq!(held.len() - before, expected, "{greedy}");
        }
        assert!(places.take(Some(peer("203.0.113.9"))).is_ok());
        drop(held);
        assert_eq!(places.lock().held, 0);
        let one = Places::new(1);
        let _place = one.take(Some(peer("192.0.2.1"))).unwrap();
        assert_eq!(one.take(Some(peer("203.0.113.9"))).unwrap_err(), Full::Total);
    }

    #[test]
    fn what_is_given_back_is_free() {
        let mut shares = Shares::new(4, 2);
        for _ in 0..10 {
            shares.take(Some(peer("192.0.2.1"))).unwrap();
            shares.give_back(Some(peer("192.0.2.1")));
        }
        assert_eq!((shares.held, shares.by_peer.len()), (0, 0), "nothing is remembered");
        for _ in 0..4 {
            shares.take(None).unwrap();
        }
        assert_eq!(shares.take(Some(peer("192.0.2.1"))), Err(Full::Total));
    }
}
