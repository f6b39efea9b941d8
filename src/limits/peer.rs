use crate::protocol::ClientAddress;
use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

/// The party behind a network address, for budgets and shares: one IPv4 address, or one IPv6 network of 64 bits.
///
/// Whoever has one IPv6 address usually has all 2^64 addresses of its network, so the addresses of one network count as one
/// peer. An IPv4 address that is written as an IPv6 address (`::ffff:192.0.2.7`) is the IPv4 address.
///
/// ```
/// use std::net::IpAddr;
/// use tower_token_exchange::limits::Peer;
///
/// let peer = |address: &str| address.parse::<IpAddr>().map(Peer::from);
/// assert_eq!(peer("2001:db8::1")?, peer("2001:db8::ffff")?);
/// assert_ne!(peer("192.0.2.1")?, peer("192.0.2.2")?);
/// assert_eq!(peer("2001:db8::1")?.to_string(), "2001:db8::/64");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(IpAddr);

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
            address => address,
        })
    }
}

impl From<&ClientAddress> for Peer {
    fn from(address: &ClientAddress) -> Self {
        address.address().into()
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => write!(f, "{address}"),
            IpAddr::V6(network) => write!(f, "{network}/64"),
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
