//! Where a guest wants to go: a host name, or an address in its one usual spelling.

mod pattern;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

pub(crate) use pattern::parse_port;
pub use pattern::{HostPattern, InvalidPattern, OwnerEntry};

/// A host name: labels of letters, digits and `-`, in lower case, without a trailing dot. Never an address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(Box<str>);

/// The host part of a destination.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    Name(HostName),
    Address(IpAddr),
}

/// Why a text is not a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHost {
    #[error("host names have 1 to 253 characters")]
    Length,
    #[error(
        "host names are labels of 1 to 63 letters, digits and `-` (not at either end of a label), with dots between"
    )]
    Label,
    #[error("this is an unusual spelling of an IPv4 address; write four decimal numbers")]
    OddV4,
    #[error("this is not an IPv6 address; write it in brackets, without a zone")]
    OddV6,
}

impl Target {
    /// The host part of an authority: a name in any case, `192.0.2.1`, or `[2001:db8::1]`.
    pub fn parse(text: &str) -> Result<Self, InvalidHost> {
        if let Some(rest) = text.strip_prefix('[') {
            let inner = rest.strip_suffix(']').ok_or(InvalidHost::OddV6)?;
            return parse_v6(inner);
        }
        if text.contains(':') {
            return parse_v6(text);
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        check_labels(name)?;
        if !ends_in_number(name) {
            return Ok(Self::Name(HostName(name.to_ascii_lowercase().into())));
        }
        // The strict parser of std knows neither octal, hexadecimal nor missing parts. C libraries do, so that what
        // it refuses must not reach a resolver.
        text.parse().map(|ip| Self::Address(IpAddr::V4(ip))).map_err(|_| InvalidHost::OddV4)
    }
}

impl HostName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn parse_v6(text: &str) -> Result<Target, InvalidHost> {
    text.parse::<Ipv6Addr>().map(|ip| Target::Address(IpAddr::V6(ip))).map_err(|_| InvalidHost::OddV6)
}

fn check_labels(name: &str) -> Result<(), InvalidHost> {
    if name.is_empty() || name.len() > 253 {
        return Err(InvalidHost::Length);
    }
    let legal = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    if name.split('.').all(legal) { Ok(()) } else { Err(InvalidHost::Label) }
}

/// Whether the last label is a number in any notation, so that some program may take the whole for an address.
fn ends_in_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    last.bytes().all(|b| b.is_ascii_digit()) || hex.is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As in an authority: IPv6 addresses in brackets.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Address(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_to_one_spelling() {
        for (text, name) in [
            ("registry.example.org", "registry.example.org"),
            ("Registry.EXAMPLE.org.", "registry.example.org"),
            ("localhost", "localhost"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("1.2.3.4a", "1.2.3.4a"),
            ("0x7f.1.example", "0x7f.1.example"),
            ("127.0.0.1.nip.example", "127.0.0.1.nip.example"),
        ] {
            assert_eq!(Target::parse(text), Ok(Target::Name(HostName(name.into()))), "{text}");
        }
    }

    #[test]
    fn addresses_have_one_spelling() {
        for (text, ip) in [("192.0.2.1", "192.0.2.1"), ("[2001:DB8::1]", "2001:db8::1"), ("::1", "::1")] {
            assert_eq!(Target::parse(text), Ok(Target::Address(ip.parse().unwrap())), "{text}");
        }
    }

    #[test]
    fn odd_spellings_of_addresses_are_refused() {
        for text in [
            "0x7f.1",
            "0x7f000001",
            "0X7F.0.0.1",
            "2130706433",
            "0177.0.0.1",
            "017700000001",
            "127.1",
            "127.0.1",
            "127.0.0.01",
            "127.0.0.0x1",
            "127.0.0.1.",
            "127.0.0.256",
            "1.2.3.4.5",
            "0x",
            "0",
            "999",
        ] {
            assert_eq!(Target::parse(text), Err(InvalidHost::OddV4), "{text}");
        }
        for text in ["[::1", "[fe80::1%eth0]", "fe80::1%25lo", "[127.0.0.1]", "[]", "[::1]x", "a:b", "::g"] {
            assert_eq!(Target::parse(text), Err(InvalidHost::OddV6), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in [
            "a..b",
            ".a",
            "a-.b",
            "-a.b",
            "a_b.c",
            "a b",
            "a\0b",
            "ä.example",
            "１２７.0.0.1",
            "a/b",
            "a@b",
            "..",
            "%31",
        ] {
            assert_eq!(Target::parse(text), Err(InvalidHost::Label), "{text}");
        }
        assert_eq!(Target::parse(&"a".repeat(64)), Err(InvalidHost::Label));
        assert_eq!(Target::parse(""), Err(InvalidHost::Length));
        assert_eq!(Target::parse("."), Err(InvalidHost::Length));
        assert_eq!(
            Target::parse(&"a.".repeat(127)),
            Ok(Target::Name(HostName(format!("{}a", "a.".repeat(126)).into())))
        );
        assert_eq!(Target::parse(&"a.".repeat(128)), Err(InvalidHost::Length));
    }

    proptest::proptest! {
        /// What a C library would read as an address never passes as a name.
        #[test]
        fn every_part_notation_of_an_address_is_no_name(parts in proptest::collection::vec("(0[0-7]{1,3}|0x[0-9a-f]{0,8}|[0-9]{1,10})", 1..5)) {
            let text = parts.join(".");
            proptest::prop_assert!(!matches!(Target::parse(&text), Ok(Target::Name(_))), "{}", text);
        }

        #[test]
        fn every_target_is_written_as_it_is_read(text in "[a-zA-Z0-9.:\\[\\]-]{0,40}") {
            if let Ok(target) = Target::parse(&text) {
                proptest::prop_assert_eq!(Target::parse(&target.to_string()), Ok(target));
            }
        }
    }
}
