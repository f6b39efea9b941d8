use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of place an address is, by IANA's special-purpose address registries (RFC 6890).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Public,
    Loopback,
    /// Somebody's own network: RFC 1918, RFC 6598 (shared), RFC 4193 (unique local).
    Private,
    /// No host that anyone means to fetch from: link-local, multicast, documentation, cloud metadata and so on.
    Special,
}

impl From<IpAddr> for Place {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => v4(address),
            IpAddr::V6(address) => v6(address),
        }
    }
}

fn v4(address: Ipv4Addr) -> Place {
    match address.octets() {
        [127, ..] => Place::Loopback,
        // Cloud metadata that does not live in 169.254/16: Alibaba's is in shared space, Azure's in public space.
        [100, 100, 100, 200] | [168, 63, 129, 16] => Place::Special,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Place::Private,
        [0, ..] | [169, 254, ..] | [192, 0, 0, _] | [192, 88, 99, _] | [198, 18..=19, ..] => Place::Special,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [224..=255, ..] => Place::Special,
        _ => Place::Public,
    }
}

fn v6(address: Ipv6Addr) -> Place {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Place::Loopback,
        // Mapped: the kernel connects to the IPv4 address itself.
        [0, 0, 0, 0, 0, 0xffff, high, low] => v4(embedded(high, low)),
        // NAT64 and 6to4: a translator elsewhere connects, so even a loopback address in there is not ours.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => match v4(embedded(high, low)) {
            Place::Public => Place::Public,
            _ => Place::Special,
        },
        // Cloud metadata inside unique-local space: AWS and Google.
        [0xfd00, 0x0ec2, ..] | [0xfd20, 0x00ce, ..] => Place::Special,
        [0xfc00..=0xfdff, ..] => Place::Private,
        // Protocol assignments (Teredo among them) and documentation, inside the global unicast range.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Place::Special,
        [0x2000..=0x3fff, ..] => Place::Public,
        _ => Place::Special,
    }
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))
}

/// How far a connection may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Plain http, which must not leave the machine.
    ThisMachine,
    /// TLS: public addresses, and what the named options add.
    Network { loopback: bool, private: bool },
}

/// An address that was not connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {why}")]
pub(super) struct Refused {
    pub(super) address: IpAddr,
    pub(super) why: &'static str,
}

impl Reach {
    pub(super) fn admit(self, address: IpAddr) -> Result<(), Refused> {
        let why = match (self, Place::from(address)) {
            (Self::ThisMachine, Place::Loopback) | (Self::Network { .. }, Place::Public) => return Ok(()),
            (Self::Network { loopback: true, .. }, Place::Loopback) => return Ok(()),
            (Self::Network { private: true, .. }, Place::Private) => return Ok(()),
            (Self::ThisMachine, _) => "not a loopback address, and plain http goes nowhere else",
            (_, Place::Loopback) => {
                "a loopback address, which needs `allow_private_addresses` or `allow_loopback_http`"
            }
            (_, Place::Private) => "a private address, which needs `allow_private_addresses`",
            _ => "reserved (link-local, metadata, multicast, documentation or the like), and no option permits it",
        };
        Err(Refused { address, why })
    }

    /// Those of `addresses` that may be connected to; an error when all that there are were refused.
    pub(super) fn admit_any<T>(
        self,
        addresses: impl Iterator<Item = T>,
        ip: fn(&T) -> IpAddr,
    ) -> Result<Vec<T>, Refused> {
        let mut admitted = Vec::new();
        let mut refused = None;
        for address in addresses {
            match self.admit(ip(&address)) {
                Ok(()) => admitted.push(address),
                Err(why) => refused = refused.or(Some(why)),
            }
        }
        match refused {
            Some(why) if admitted.is_empty() => Err(why),
            _ => Ok(admitted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_its_place() {
        let table = [
            (
                Place::Public,
                "8.8.8.8 1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0",
            ),
            (
                Place::Public,
                "169.253.255.255 172.15.255.255 172.32.0.0 192.167.0.1 198.17.0.1 198.20.0.1 223.255.255.255",
            ),
            (Place::Public, "2606:4700::1111 2001:4860:4860::8888 2001:200::1 2a00:1450::1 3ffe::1 3fff:1000::1"),
            (Place::Public, "::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1"),
            (Place::Loopback, "127.0.0.1 127.255.255.254 ::1 ::ffff:127.0.0.1 ::ffff:7f00:1"),
            (
                Place::Private,
                "10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 100.127.255.255",
            ),
            (Place::Private, "fc00::1 fd12:3456::1 fdff::1 ::ffff:10.0.0.1 ::ffff:192.168.0.1"),
            (
                Place::Special,
                "0.0.0.0 0.1.2.3 169.254.169.254 169.254.0.1 192.0.0.192 192.0.2.1 192.88.99.1 198.18.0.1",
            ),
            (Place::Special, "198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255"),
            (
                Place::Special,
                "100.100.100.200 168.63.129.16 fd00:ec2::254 fd20:ce::254 ::ffff:169.254.169.254 ::ffff:0.0.0.0",
            ),
            (
                Place::Special,
                ":: ::2 ::8.8.8.8 ::127.0.0.1 ::ffff:0:127.0.0.1 fe80::1 febf::1 fec0::1 ff02::1 ff0e::1 100::1",
            ),
            (
                Place::Special,
                "64:ff9b::10.0.0.1 64:ff9b::127.0.0.1 64:ff9b::169.254.169.254 64:ff9b:1::8.8.8.8 5f00::1",
            ),
            (Place::Special, "2002:7f00:1::1 2002:a00:1::1 2002:a9fe:a9fe::1 2001::1 2001:db8::1 3fff:fff::1 4000::1"),
        ];
        for (place, addresses) in table {
            for address in addresses.split(' ') {
                assert_eq!(Place::from(address.parse::<IpAddr>().unwrap()), place, "{address}");
            }
        }
    }

    #[test]
    fn options_widen_only_what_they_name() {
        let network = |loopback, private| Reach::Network { loopback, private };
        let table = [
            (Reach::ThisMachine, [false, true, false, false]),
            (network(false, false), [true, false, false, false]),
            (network(true, false), [true, true, false, false]),
            (network(true, true), [true, true, true, false]),
        ];
        for (reach, expected) in table {
            let places = ["8.8.8.8", "127.0.0.1", "10.0.0.1", "169.254.169.254"];
            assert_eq!(places.map(|address| reach.admit(address.parse().unwrap()).is_ok()), expected, "{reach:?}");
        }
    }

    #[test]
    fn a_mixed_answer_keeps_the_good_addresses_and_an_empty_one_is_not_a_refusal() {
        let reach = Reach::Network { loopback: false, private: false };
        let pick = |list: &[&str]| reach.admit_any(list.iter().map(|ip| ip.parse::<IpAddr>().unwrap()), |ip| *ip);

        assert_eq!(pick(&["10.0.0.1", "8.8.8.8", "::1"]).unwrap(), ["8.8.8.8".parse::<IpAddr>().unwrap()]);
        assert_eq!(pick(&["10.0.0.1", "::1"]).unwrap_err().address.to_string(), "10.0.0.1");
        assert!(pick(&[]).unwrap().is_empty());
    }
}
