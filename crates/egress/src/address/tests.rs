//! Every range at both of its ends, the spellings that have fooled others, and what must stay reachable.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::{AddressKind, DENIED_V4, DENIED_V6, OwnAddresses, refusal};

fn refused(ip: &str) -> Option<AddressKind> {
    refusal(ip.parse().unwrap(), &OwnAddresses::default())
}

#[test]
fn the_ends_of_every_listed_range_are_refused() {
    let ranges = [
        ("0.0.0.0", "0.255.255.255"),
        ("10.0.0.0", "10.255.255.255"),
        ("100.64.0.0", "100.127.255.255"),
        ("127.0.0.0", "127.255.255.255"),
        ("169.254.0.0", "169.254.255.255"),
        ("172.16.0.0", "172.31.255.255"),
        ("192.0.0.0", "192.0.0.255"),
        ("192.88.99.0", "192.88.99.255"),
        ("192.168.0.0", "192.168.255.255"),
        ("198.18.0.0", "198.19.255.255"),
        ("224.0.0.0", "239.255.255.255"),
        ("240.0.0.0", "255.255.255.255"),
        ("::", "::1"),
        ("::", "::ffff:ffff"),
        ("::ffff:0.0.0.0", "::ffff:255.255.255.255"),
        ("::ffff:0:0:0", "::ffff:0:ffff:ffff"),
        ("64:ff9b::", "64:ff9b::ffff:ffff"),
        ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),
        ("100::", "100::ffff:ffff:ffff:ffff"),
        ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ];
    for (first, last) in ranges {
        assert!(refused(first).is_some(), "{first}");
        assert!(refused(last).is_some(), "{last}");
    }
}

#[test]
fn well_known_inner_addresses_are_refused() {
    let inner = [
        "127.0.0.1",
        "127.0.1.1",
        "10.0.0.5",
        "172.17.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "192.0.0.192",
        "255.255.255.255",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "::ffff:a9fe:a9fe",
        "::ffff:93.184.216.34",
        "64:ff9b::7f00:1",
        "64:ff9b::169.254.169.254",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "fd00:ec2::254",
        "fe80::1",
        "ff02::1",
    ];
    for ip in inner {
        assert!(refused(ip).is_some(), "{ip}");
    }
}

#[test]
fn public_and_documentation_addresses_are_reachable() {
    let public = [
        "1.0.0.0",
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.0",
        "192.0.2.1",
        "192.88.98.255",
        "192.88.100.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "198.51.100.7",
        "203.0.113.7",
        "223.255.255.255",
        "2001:db8::1",
        "2001:4860:4860::8888",
        "2003::1",
        "2001:ffff::",
        "2600::",
        "64:ff9c::1",
        "fbff:ffff::1",
        "fe00::1",
    ];
    for ip in public {
        assert_eq!(refused(ip), None, "{ip}");
    }
}

#[test]
fn an_address_of_this_host_is_refused_though_it_is_public() {
    let own = OwnAddresses::default().and("203.0.113.9".parse().unwrap()).and("2001:db8::9".parse().unwrap());
    for (ip, expected) in [
        ("203.0.113.9", Some(AddressKind::ThisHost)),
        ("203.0.113.8", None),
        ("2001:db8::9", Some(AddressKind::ThisHost)),
        ("2001:db8::8", None),
    ] {
        assert_eq!(refusal(ip.parse().unwrap(), &own), expected, "{ip}");
    }
}

proptest! {
    #[test]
    fn nothing_inside_a_listed_range_passes(range in 0..DENIED_V4.len() + DENIED_V6.len(), bits: u128) {
        let ip: IpAddr = match DENIED_V4.get(range) {
            Some((net, prefix, _)) => {
                let host = u32::try_from(bits >> 96).unwrap() >> prefix;
                Ipv4Addr::from_bits(net.to_bits() | host).into()
            }
            None => {
                let (net, prefix, _) = DENIED_V6[range - DENIED_V4.len()];
                let host = bits.checked_shr(u32::from(prefix)).unwrap_or(0);
                Ipv6Addr::from_bits(net.to_bits() | host).into()
            }
        };
        prop_assert!(refusal(ip, &OwnAddresses::default()).is_some(), "{}", ip);
    }
}
