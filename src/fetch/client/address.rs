use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kind of an address, by the special-purpose address registries of IANA (RFC 6890), as of November 2026.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AddressKind {
    Public,
    Loopback,
    /// An internal network: RFC 1918, RFC 6598 (shared), RFC 4193 (unique local).
    Private,
    /// Link-local, multicast, documentation, cloud metadata and other addresses that no issuer has.
    Special,
}

impl From<IpAddr> for AddressKind {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => v4(address),
            IpAddr::V6(address) => v6(address),
        }
    }
}

fn v4(address: Ipv4Addr) -> AddressKind {
    match address.octets() {
        [127, ..] => AddressKind::Loopback,
        // Cloud metadata services outside of 169.254.0.0/16: Alibaba (a shared address) and Azure (a public address).
        [100, 100, 100, 200] | [168, 63, 129, 16] => AddressKind::Special,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => AddressKind::Private,
        [0, ..] | [169, 254, ..] | [192, 0, 0, _] | [192, 88, 99, _] | [198, 18..=19, ..] => AddressKind::Special,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [224..=255, ..] => AddressKind::Special,
        _ => AddressKind::Public,
    }
}

fn v6(address: Ipv6Addr) -> AddressKind {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressKind::Loopback,
        // An IPv4-mapped address: the kernel connects to the IPv4 address.
        [0, 0, 0, 0, 0, 0xffff, high, low] => v4(embedded(high, low)),
        // NAT64 and 6to4: a translator on another host connects, so an embedded loopback address is not this host.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => match v4(embedded(high, low)) {
            AddressKind::Public => AddressKind::Public,
            _ => AddressKind::Special,
        },
        // Cloud metadata services in unique-local space: AWS and Google.
        [0xfd00, 0x0ec2, ..] | [0xfd20, 0x00ce, ..] => AddressKind::Special,
        [0xfc00..=0xfdff, ..] => AddressKind::Private,
        // Protocol assignments, such as Teredo, and documentation, in the range of global unicast.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => AddressKind::Special,
        [0x2000..=0x3fff, ..] => AddressKind::Public,
        _ => AddressKind::Special,
    }
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))
}

/// The addresses that a connection may go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AllowedAddresses {
    /// Loopback addresses only, for `http` without TLS.
    ThisMachine,
    /// Public addresses, and the kinds that the options add, for TLS.
    Network { loopback: bool, private: bool },
}

/// An address that is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {why}")]
pub(super) struct RefusedAddress {
    pub(super) address: IpAddr,
    pub(super) why: &'static str,
}

impl AllowedAddresses {
    pub(super) fn check(self, address: IpAddr) -> Result<(), RefusedAddress> {
        let why = match (self, AddressKind::from(address)) {
            (Self::ThisMachine, AddressKind::Loopback) | (Self::Network { .. }, AddressKind::Public) => return Ok(()),
            (Self::Network { loopback: true, .. }, AddressKind::Loopback) => return Ok(()),
            (Self::Network { private: true, .. }, AddressKind::Private) => return Ok(()),
            (Self::ThisMachine, _) => "not a loopback address, and plain http is allowed for loopback addresses only",
            (_, AddressKind::Loopback) => {
                "a loopback address, which needs `allow_private_addresses` or `allow_loopback_http`"
            }
            (_, AddressKind::Private) => "a private address, which needs `allow_private_addresses`",
            _ => {
                "reserved (such as link-local, metadata, multicast or documentation), and no option allows a reserved address"
            }
        };
        Err(RefusedAddress { address, why })
    }

    /// Returns the allowed addresses. An error if there are addresses and no address is allowed.
    pub(super) fn check_all<T>(
        self,
        addresses: impl Iterator<Item = T>,
        ip: fn(&T) -> IpAddr,
    ) -> Result<Vec<T>, RefusedAddress> {
        let mut allowed = Vec::new();
        let mut refused = None;
        for address in addresses {
            match self.check(ip(&address)) {
                Ok(()) => allowed.push(address),
                Err(why) => refused = refused.or(Some(why)),
            }
        }
        match refused {
            Some(why) if allowed.is_empty() => Err(why),
            _ => Ok(allowed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_its_kind() {
        let table = [
            (
                AddressKind::Public,
                "8.8.8.8 1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0",
            ),
            (
                AddressKind::Public,
                "169.253.255.255 172.15.255.255 172.32.0.0 192.167.0.1 198.17.0.1 198.20.0.1 223.255.255.255",
            ),
            (AddressKind::Public, "2606:4700::1111 2001:4860:4860::8888 2001:200::1 2a00:1450::1 3ffe::1 3fff:1000::1"),
            (AddressKind::Public, "::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1"),
            (AddressKind::Loopback, "127.0.0.1 127.255.255.254 ::1 ::ffff:127.0.0.1 ::ffff:7f00:1"),
            (
                AddressKind::Private,
                "10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 100.127.255.255",
            ),
            (AddressKind::Private, "fc00::1 fd12:3456::1 fdff::1 ::ffff:10.0.0.1 ::ffff:192.168.0.1"),
            (
                AddressKind::Special,
                "0.0.0.0 0.1.2.3 169.254.169.254 169.254.0.1 192.0.0.192 192.0.2.1 192.88.99.1 198.18.0.1",
            ),
            (
                AddressKind::Special,
                "198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255",
            ),
            (
                AddressKind::Special,
                "100.100.100.200 168.63.129.16 fd00:ec2::254 fd20:ce::254 ::ffff:169.254.169.254 ::ffff:0.0.0.0",
            ),
            (
                AddressKind::Special,
                ":: ::2 ::8.8.8.8 ::127.0.0.1 ::ffff:0:127.0.0.1 fe80::1 febf::1 fec0::1 ff02::1 ff0e::1 100::1",
            ),
            (
                AddressKind::Special,
                "64:ff9b::10.0.0.1 64:ff9b::127.0.0.1 64:ff9b::169.254.169.254 64:ff9b:1::8.8.8.8 5f00::1",
            ),
            (
                AddressKind::Special,
                "2002:7f00:1::1 2002:a00:1::1 2002:a9fe:a9fe::1 2001::1 2001:db8::1 3fff:fff::1 4000::1",
            ),
        ];
        for (kind, addresses) in table {
            for address in addresses.split(' ') {
                assert_eq!(AddressKind::from(address.parse::<IpAddr>().unwrap()), kind, "{address}");
            }
        }
    }

    #[test]
    fn an_option_allows_one_kind_of_address() {
        let network = |loopback, private| AllowedAddresses::Network { loopback, private };
        let table = [
            (AllowedAddresses::ThisMachine, [false, true, false, false]),
            (network(false, false), [true, false, false, false]),
            (network(true, false), [true, true, false, false]),
            (network(true, true), [true, true, true, false]),
        ];
        for (allowed, expected) in table {
            let kinds = ["8.8.8.8", "127.0.0.1", "10.0.0.1", "169.254.169.254"];
            assert_eq!(kinds.map(|address| allowed.check(address.parse().unwrap()).is_ok()), expected, "{allowed:?}");
        }
    }

    #[test]
    fn a_mixed_answer_keeps_the_allowed_addresses() {
        let allowed = AllowedAddresses::Network { loopback: false, private: false };
        let pick = |list: &[&str]| allowed.check_all(list.iter().map(|ip| ip.parse::<IpAddr>().unwrap()), |ip| *ip);

        assert_eq!(pick(&["10.0.0.1", "8.8.8.8", "::1"]).unwrap(), ["8.8.8.8".parse::<IpAddr>().unwrap()]);
        assert_eq!(pick(&["10.0.0.1", "::1"]).unwrap_err().address.to_string(), "10.0.0.1");
        assert!(pick(&[]).unwrap().is_empty());
    }
}
