//! How configuration names hosts: `registry.example.org`, `*.example.org`, `192.0.2.1`, and for the owner's own
//! entries a port behind it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

use super::{HostName, InvalidHost, Target};

/// One entry of a list of allowed hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// Exactly this name.
    Name(HostName),
    /// Every name below this one, at any depth, but not the name itself; written `*.example.org`.
    Below(HostName),
    /// Exactly this address, where a program names it as an address.
    Address(IpAddr),
}

/// A host that the owner of the platform opens, though it is private or uses an unusual port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerEntry {
    pub host: HostPattern,
    /// This port alone; `None` for the policy's usual ports.
    pub port: Option<u16>,
}

/// Why a text is no entry of such a list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    #[error("`{text}` is no host")]
    Host {
        text: String,
        #[source]
        source: InvalidHost,
    },
    #[error("`{text}`: only a name may follow `*.`, and `*` may stand nowhere else")]
    Wildcard { text: String },
    #[error("`{text}` ends in no port number from 1 to 65535")]
    Port { text: String },
}

impl HostPattern {
    /// Whether the entry names `target`.
    pub fn matches(&self, target: &Target) -> bool {
        match (self, target) {
            (Self::Name(name), Target::Name(asked)) => name == asked,
            (Self::Below(parent), Target::Name(asked)) => {
                asked.as_str().strip_suffix(parent.as_str()).is_some_and(|child| child.ends_with('.'))
            }
            (Self::Address(ip), Target::Address(asked)) => ip == asked,
            (Self::Name(_) | Self::Below(_), Target::Address(_)) | (Self::Address(_), Target::Name(_)) => false,
        }
    }
}

impl FromStr for HostPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let host = |part| Target::parse(part).map_err(|source| InvalidPattern::Host { text: text.into(), source });
        if let Some(parent) = text.strip_prefix("*.") {
            return match host(parent)? {
                Target::Name(name) => Ok(Self::Below(name)),
                Target::Address(_) => Err(InvalidPattern::Wildcard { text: text.into() }),
            };
        }
        if text.contains('*') {
            return Err(InvalidPattern::Wildcard { text: text.into() });
        }
        Ok(match host(text)? {
            Target::Name(name) => Self::Name(name),
            Target::Address(ip) => Self::Address(ip),
        })
    }
}

impl FromStr for OwnerEntry {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let whole = |host: &str| Ok(Self { host: host.parse()?, port: None });
        if text.parse::<Ipv6Addr>().is_ok() || text.ends_with(']') {
            return whole(text);
        }
        let Some((host, digits)) = text.rsplit_once(':') else { return whole(text) };
        let port = parse_port(digits).ok_or_else(|| InvalidPattern::Port { text: text.into() })?;
        Ok(Self { host: host.parse()?, port: Some(port) })
    }
}

/// A port as in an authority: one to five digits and nothing else.
pub(crate) fn parse_port(digits: &str) -> Option<u16> {
    let legal = (1..=5).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|port| legal && *port != 0)
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Below(parent) => write!(f, "*.{parent}"),
            Self::Address(ip) => Target::Address(*ip).fmt(f),
        }
    }
}

impl fmt::Display for OwnerEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => self.host.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for HostPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for OwnerEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, host: &str) -> bool {
        pattern.parse::<HostPattern>().unwrap().matches(&Target::parse(host).unwrap())
    }

    #[test]
    fn a_pattern_matches_its_name_or_what_is_below_it() {
        assert!(matches("Registry.example.org", "registry.EXAMPLE.org."));
        assert!(matches("*.example.org", "a.example.org"));
        assert!(matches("*.example.org", "a.b.example.org"));
        assert!(matches("192.0.2.1", "192.0.2.1"));
        assert!(matches("::1", "[::1]"));
        for (pattern, host) in [
            ("example.org", "a.example.org"),
            ("*.example.org", "example.org"),
            ("*.example.org", "badexample.org"),
            ("*.example.org", "example.org.evil.net"),
            ("example.org", "192.0.2.1"),
            ("192.0.2.1", "192.0.2.2"),
        ] {
            assert!(!matches(pattern, host), "{pattern} {host}");
        }
    }

    #[test]
    fn owner_entries_may_end_in_a_port() {
        for (text, port, written) in [
            ("127.0.0.1:3000", Some(3000), "127.0.0.1:3000"),
            ("git.lan", None, "git.lan"),
            ("*.lan:22", Some(22), "*.lan:22"),
            ("[::1]:3000", Some(3000), "[::1]:3000"),
            ("[::1]", None, "[::1]"),
            ("fd00::1", None, "[fd00::1]"),
        ] {
            let entry: OwnerEntry = text.parse().unwrap();
            assert_eq!((entry.port, entry.to_string().as_str()), (port, written), "{text}");
        }
    }

    #[test]
    fn what_names_no_host_is_refused() {
        for text in [
            "",
            "*",
            "*.",
            "a.*.b",
            "*.192.0.2.1",
            "git.lan:",
            "git.lan:0",
            "git.lan:65536",
            "git.lan:+22",
            "0x7f.1",
            "http://a",
        ] {
            assert!(text.parse::<OwnerEntry>().is_err(), "{text}");
        }
    }
}
