//! Whom a rule is about: a network, an address, a name, all names below one, or everybody. One spelling each.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A network of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// Whom a rule is about.
#[derive(Clone, PartialEq, Eq)]
pub enum Peer {
    /// `*`
    Any,
    /// `203.0.113.0/24`, or one address.
    Network(Network),
    /// Exactly this name, in lower case.
    Name(String),
    /// Every name below this one, but not the name itself: `*.example.org`.
    Below(String),
}

/// Text that names no peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of: a network such as 203.0.113.0/24, an address, a name, `*.example.org`, `*`")]
pub struct InvalidPeer(String);

impl Network {
    /// The first address of it.
    pub fn first(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits its addresses share.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// Whether an address is in it.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.address.is_ipv4() == ip.is_ipv4() && masked(ip, self.bits) == self.address
    }

    /// The network that an address and a length name; the address's further bits must be 0.
    fn new(address: IpAddr, bits: u8) -> Option<Self> {
        let most = if address.is_ipv4() { 32 } else { 128 };
        (bits <= most && masked(address, bits) == address).then_some(Self { address, bits })
    }
}

fn masked(ip: IpAddr, bits: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
            IpAddr::V4((ip.to_bits() & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
            IpAddr::V6((ip.to_bits() & mask).into())
        }
    }
}

impl Peer {
    /// Whether it is everybody or has this address; names have none.
    pub fn has(&self, ip: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Network(network) => network.contains(ip),
            Self::Name(_) | Self::Below(_) => false,
        }
    }

    /// Whether it is everybody or this name, which is in lower case.
    pub fn is_named(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Network(_) => false,
            Self::Name(own) => own == name,
            Self::Below(parent) => name.strip_suffix(parent.as_str()).is_some_and(|child| child.ends_with('.')),
        }
    }
}

impl FromStr for Network {
    type Err = InvalidPeer;

    fn from_str(text: &str) -> Result<Self, InvalidPeer> {
        let read = || {
            let (address, bits) = match text.split_once('/') {
                Some((address, bits)) => (address, Some(bits.parse().ok()?)),
                None => (text, None),
            };
            let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
            let address: IpAddr = bare.parse().ok()?;
            let bits = bits.unwrap_or(if address.is_ipv4() { 32 } else { 128 });
            // Clients and places are known by their IPv4 address, however it is spelled.
            match address.to_canonical() {
                canonical if canonical == address => Self::new(address, bits),
                canonical => Self::new(canonical, bits.checked_sub(96)?),
            }
        };
        read().ok_or_else(|| InvalidPeer(shown(text)))
    }
}

impl FromStr for Peer {
    type Err = InvalidPeer;

    fn from_str(text: &str) -> Result<Self, InvalidPeer> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Ok(network) = text.parse() {
            return Ok(Self::Network(network));
        }
        let invalid = || InvalidPeer(shown(text));
        match text.strip_prefix("*.") {
            Some(parent) => name(parent).map(Self::Below).ok_or_else(invalid),
            None => name(text).map(Self::Name).ok_or_else(invalid),
        }
    }
}

/// A host name in lower case; nothing that some program takes for an address.
fn name(text: &str) -> Option<String> {
    let text = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|b| b.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    (text.len() <= 253 && !is_number && text.split('.').all(is_label)).then_some(text)
}

fn shown(text: &str) -> String {
    text.chars().take(60).flat_map(char::escape_default).collect()
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = if self.address.is_ipv4() { 32 } else { 128 };
        if self.bits == whole { self.address.fmt(f) } else { write!(f, "{}/{}", self.address, self.bits) }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Network(network) => network.fmt(f),
            Self::Name(name) => f.write_str(name),
            Self::Below(parent) => write!(f, "*.{parent}"),
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Peer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Peer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_peer_has_one_spelling() {
        for (text, written) in [
            ("*", "*"),
            ("203.0.113.0/24", "203.0.113.0/24"),
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7/32", "203.0.113.7"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("Example.org.", "example.org"),
            ("*.Example.org", "*.example.org"),
        ] {
            assert_eq!(text.parse::<Peer>().unwrap().to_string(), written, "{text}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for text in [
            "",
            "203.0.113.1/24",
            "1.2.3",
            "0x7f.1",
            "2130706433",
            "10.0.0.0/33",
            "::/129",
            "::ffff:0.0.0.0/95",
            "a b",
            "*.*",
            "*x",
            "-a",
            "a:80",
        ] {
            assert!(text.parse::<Peer>().is_err(), "{text}");
        }
    }

    #[test]
    fn networks_have_their_addresses_and_names_what_is_below_them() {
        let has = |peer: &str, ip: &str| peer.parse::<Peer>().unwrap().has(ip.parse().unwrap());
        assert!(has("203.0.113.0/24", "203.0.113.255") && !has("203.0.113.0/24", "203.0.114.0"));
        assert!(has("0.0.0.0/0", "1.2.3.4") && !has("0.0.0.0/0", "::1") && has("*", "::1"));
        assert!(has("203.0.113.7", "::ffff:203.0.113.7") && !has("example.org", "203.0.113.7"));
        let named = |peer: &str, name: &str| peer.parse::<Peer>().unwrap().is_named(name);
        assert!(named("*.example.org", "a.b.example.org") && !named("*.example.org", "example.org"));
        assert!(named("example.org", "example.org") && !named("*.example.org", "badexample.org"));
    }
}
