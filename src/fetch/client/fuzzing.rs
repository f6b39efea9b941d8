use super::address::AllowedAddresses;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Checks an address, as text or as 4 or 16 bytes: an address that a fetch may connect to without an option is not an address
/// of this machine or of an internal network, also if a translator or an old form of notation leads to it.
pub fn check_public_address(data: &[u8]) {
    let text = std::str::from_utf8(data).ok().and_then(|text| text.trim().parse().ok());
    let bytes = match *data {
        [a, b, c, d] => Some(IpAddr::from([a, b, c, d])),
        _ => <[u8; 16]>::try_from(data).ok().map(IpAddr::from),
    };
    for address in [text, bytes].into_iter().flatten() {
        let is_allowed = |loopback, private| AllowedAddresses::Network { loopback, private }.check(address).is_ok();
        if is_allowed(false, false) {
            assert!(!is_internal(address), "{address}");
        }
        // An option adds addresses and removes none, and this machine is not a private address.
        assert!(!is_allowed(false, false) || (is_allowed(true, false) && is_allowed(false, true)));
        assert!(!is_allowed(false, true) || !address.to_canonical().is_loopback());
        assert_eq!(AllowedAddresses::ThisMachine.check(address).is_ok(), address.to_canonical().is_loopback());
    }
}

/// Whether an address is internal by the rules of the standard library, or has such an IPv4 address inside.
fn is_internal(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_internal_v4(address),
        IpAddr::V6(address) => {
            let inside = [address.to_ipv4_mapped(), translated(address)].into_iter().flatten();
            address.is_loopback()
                || address.is_unspecified()
                || address.is_multicast()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || inside.into_iter().any(is_internal_v4)
        }
    }
}

fn is_internal_v4(address: Ipv4Addr) -> bool {
    address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || address.octets()[0] == 0
}

/// The IPv4 address inside an address of NAT64 (RFC 6052) or 6to4 (RFC 3056).
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = address.octets();
    let at = match octets {
        [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, ..] => 12,
        [0x20, 0x02, ..] => 2,
        _ => return None,
    };
    Some(Ipv4Addr::new(octets[at], octets[at + 1], octets[at + 2], octets[at + 3]))
}
