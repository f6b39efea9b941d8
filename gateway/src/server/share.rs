//! What one peer may hold of a limited number.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The network that a peer counts for: one IPv4 address, or one IPv6 /64 network, which a single customer usually has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Network(IpAddr);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
            address => address,
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(address) => write!(f, "{address}/64"),
        }
    }
}

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

/// Counts what each network holds of a limited number. A network gets no more than its share.
#[derive(Debug)]
pub(super) struct Shares {
    total: usize,
    per_network: usize,
    held: usize,
    /// Only networks that hold something.
    by_network: HashMap<Network, usize>,
}

impl Shares {
    pub(super) fn new(total: u32, per_network: u32) -> Self {
        Self { total: total as usize, per_network: per_network as usize, held: 0, by_network: HashMap::new() }
    }

    /// Takes one. Without a network, only the total counts.
    pub(super) fn take(&mut self, network: Option<Network>) -> Result<(), Full> {
        if self.held >= self.total {
            return Err(Full::Total);
        }
        let own = self.of(network);
        if own >= self.per_network {
            return Err(Full::Peer);
        }
        if let Some(network) = network {
            self.by_network.insert(network, own + 1);
        }
        self.held += 1;
        Ok(())
    }

    /// What a network holds.
    pub(super) fn of(&self, network: Option<Network>) -> usize {
        network.and_then(|network| self.by_network.get(&network).copied()).unwrap_or_default()
    }

    /// Gives one back that was taken for the same network.
    pub(super) fn give_back(&mut self, network: Option<Network>) {
        self.held -= 1;
        let Some(network) = network else { return };
        if let Entry::Occupied(mut own) = self.by_network.entry(network) {
            *own.get_mut() -= 1;
            if *own.get() == 0 {
                own.remove();
            }
        }
    }
}

/// The places for work. A network gets no more than what is still free: `n` networks that take all they can get leave one part
/// in `2^n` for the next network.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Mutex<Shares>>);

impl Places {
    pub(super) fn new(total: u32) -> Self {
        Self(Arc::new(Mutex::new(Shares::new(total, total))))
    }

    /// Takes a place until the result is dropped.
    pub(super) fn take(&self, network: Option<Network>) -> Result<Place, Full> {
        let mut shares = self.lock();
        let (own, free) = (shares.of(network), shares.total - shares.held);
        if free > 0 && own >= free {
            return Err(Full::Peer);
        }
        shares.take(network)?;
        Ok(Place { places: self.clone(), network })
    }

    fn lock(&self) -> MutexGuard<'_, Shares> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place for work. Dropping the value gives the place back.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    network: Option<Network>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().give_back(self.network);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn one_customer_is_one_network() {
        for (one, other, is_same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
        ] {
            assert_eq!(network(one) == network(other), is_same, "{one} {other}");
        }
        assert_eq!(network("2001:db8::7").to_string(), "2001:db8::/64");
        assert_eq!(network("192.0.2.1").to_string(), "192.0.2.1");
    }

    #[test]
    fn a_network_gets_no_more_than_its_share() {
        for (total, per_network, expected, full) in [(100, 25, 25, Full::Peer), (1, 1, 1, Full::Total)] {
            let mut shares = Shares::new(total, per_network);
            for _ in 0..expected {
                shares.take(Some(network("192.0.2.1"))).unwrap();
            }
            assert_eq!(shares.take(Some(network("192.0.2.1"))), Err(full), "{total} {per_network}");
        }
    }

    #[test]
    fn greedy_networks_leave_places_for_others() {
        let (places, mut held) = (Places::new(1000), Vec::new());
        for (greedy, expected) in [("192.0.2.1", 500), ("192.0.2.2", 250), ("192.0.2.3", 125)] {
            let before = held.len();
            while let Ok(place) = places.take(Some(network(greedy))) {
                held.push(place);
            }
            assert_eq!(held.len() - before, expected, "{greedy}");
        }
        assert!(places.take(Some(network("203.0.113.9"))).is_ok());
        drop(held);
        assert_eq!(places.lock().held, 0);
        let one = Places::new(1);
        let _place = one.take(Some(network("192.0.2.1"))).unwrap();
        assert_eq!(one.take(Some(network("203.0.113.9"))).unwrap_err(), Full::Total);
    }

    #[test]
    fn what_is_given_back_is_free() {
        let mut shares = Shares::new(4, 2);
        for _ in 0..10 {
            shares.take(Some(network("192.0.2.1"))).unwrap();
            shares.give_back(Some(network("192.0.2.1")));
        }
        assert_eq!((shares.held, shares.by_network.len()), (0, 0), "nothing is remembered");
        for _ in 0..4 {
            shares.take(None).unwrap();
        }
        assert_eq!(shares.take(Some(network("192.0.2.1"))), Err(Full::Total));
    }
}
