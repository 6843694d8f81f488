//! Which addresses a guest may never reach.
//!
//! The list is the platform's own and is written out here. No library's idea of a "global" address is asked: those
//! also exclude the documentation ranges (such as 203.0.113.0/24), where some networks put their package registries.

mod own;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use skylift_model::net::Network;

pub use own::{OwnAddresses, OwnAddressesError};

/// Why no guest may reach an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressKind {
    Unspecified,
    Private,
    CarrierNat,
    Loopback,
    LinkLocal,
    Protocol,
    Benchmark,
    Multicast,
    Reserved,
    MappedV4,
    Nat64,
    SixToFour,
    Teredo,
    UniqueLocal,
    /// One of this host's own addresses.
    ThisHost,
}

const DENIED_V4: [(Ipv4Addr, u8, AddressKind); 12] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, AddressKind::Unspecified),
    (Ipv4Addr::new(10, 0, 0, 0), 8, AddressKind::Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, AddressKind::CarrierNat),
    (Ipv4Addr::new(127, 0, 0, 0), 8, AddressKind::Loopback),
    (Ipv4Addr::new(169, 254, 0, 0), 16, AddressKind::LinkLocal),
    (Ipv4Addr::new(172, 16, 0, 0), 12, AddressKind::Private),
    (Ipv4Addr::new(192, 0, 0, 0), 24, AddressKind::Protocol),
    // Relays for 6to4, given up by RFC 7526.
    (Ipv4Addr::new(192, 88, 99, 0), 24, AddressKind::SixToFour),
    (Ipv4Addr::new(192, 168, 0, 0), 16, AddressKind::Private),
    (Ipv4Addr::new(198, 18, 0, 0), 15, AddressKind::Benchmark),
    (Ipv4Addr::new(224, 0, 0, 0), 4, AddressKind::Multicast),
    // With the broadcast address 255.255.255.255.
    (Ipv4Addr::new(240, 0, 0, 0), 4, AddressKind::Reserved),
];

const DENIED_V6: [(Ipv6Addr, u8, AddressKind); 15] = [
    (Ipv6Addr::UNSPECIFIED, 128, AddressKind::Unspecified),
    (Ipv6Addr::LOCALHOST, 128, AddressKind::Loopback),
    // The ways to write an IPv4 address as an IPv6 one are refused whole, whatever they carry.
    (Ipv6Addr::UNSPECIFIED, 96, AddressKind::MappedV4),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, AddressKind::MappedV4),
    (Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0), 96, AddressKind::MappedV4),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96, AddressKind::Nat64),
    // Of a network's own (RFC 8215).
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, AddressKind::Nat64),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64, AddressKind::Reserved),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, AddressKind::Teredo),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, AddressKind::SixToFour),
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16, AddressKind::Reserved),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, AddressKind::UniqueLocal),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, AddressKind::LinkLocal),
    // Site-local, given up by RFC 3879 and still routed by some.
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, AddressKind::UniqueLocal),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, AddressKind::Multicast),
];

/// Why `ip` is denied to guests, or `None` where it is a public address of somebody else.
pub fn refusal(ip: IpAddr, own: &OwnAddresses) -> Option<AddressKind> {
    let listed = match ip {
        IpAddr::V4(ip) => DENIED_V4.iter().find(|(net, prefix, _)| in_v4(ip, *net, *prefix)).map(|range| range.2),
        IpAddr::V6(ip) => DENIED_V6.iter().find(|(net, prefix, _)| in_v6(ip, *net, *prefix)).map(|range| range.2),
    };
    listed.or_else(|| own.contains(ip).then_some(AddressKind::ThisHost))
}

/// Why every address of a network is denied to guests, or `None` where some may be public.
pub fn refusal_of(network: &Network) -> Option<AddressKind> {
    let bits = network.bits();
    match network.first() {
        IpAddr::V4(ip) => {
            DENIED_V4.iter().find(|(net, prefix, _)| *prefix <= bits && in_v4(ip, *net, *prefix)).map(|range| range.2)
        }
        IpAddr::V6(ip) => {
            DENIED_V6.iter().find(|(net, prefix, _)| *prefix <= bits && in_v6(ip, *net, *prefix)).map(|range| range.2)
        }
    }
}

fn in_v4(ip: Ipv4Addr, net: Ipv4Addr, prefix: u8) -> bool {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
    (ip.to_bits() ^ net.to_bits()) & mask == 0
}

fn in_v6(ip: Ipv6Addr, net: Ipv6Addr, prefix: u8) -> bool {
    let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
    (ip.to_bits() ^ net.to_bits()) & mask == 0
}

/// A noun phrase that fits after "is".
impl fmt::Display for AddressKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "an address of \"this network\"",
            Self::Private | Self::UniqueLocal => "a private address",
            Self::CarrierNat => "a private address (carrier NAT)",
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address",
            Self::Protocol => "an address reserved for protocols",
            Self::Benchmark => "a private address (benchmarks)",
            Self::Multicast => "a multicast address",
            Self::Reserved => "a reserved address",
            Self::MappedV4 => "an IPv4 address in IPv6 spelling",
            Self::Nat64 => "a NAT64 address",
            Self::SixToFour => "a 6to4 address",
            Self::Teredo => "a Teredo address",
            Self::ThisHost => "an address of this host",
        })
    }
}

#[cfg(test)]
mod tests;
