//! Which host a request is for. One canonical answer, or none.
//!
//! Case is folded, a port and one trailing dot are taken off; whatever else is ambiguous is refused. Unknown names
//! never reach the control plane, which is also what stops DNS rebinding.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::header::HOST;
use http::{HeaderMap, Uri};

/// The host of a request, canonical.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host<'r> {
    /// A name, lower-case, without port and trailing dot.
    Name(Cow<'r, str>),
    /// An address.
    Address(IpAddr),
}

/// A Host header's value in its one spelling, without a port; empty where it names no host.
pub(crate) fn spelled(host: &[u8]) -> String {
    match Host::parse(host) {
        Ok(Host::Name(name)) => name.into_owned(),
        Ok(Host::Address(address)) => address.to_string(),
        Err(_) => String::new(),
    }
}

/// Why a request has no host to go by; all of them are 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HostError {
    #[error("the request has no Host header")]
    Missing,
    #[error("the request has more than one Host header")]
    Repeated,
    #[error("the Host header is not a host name or address")]
    Malformed,
    #[error("the Host header and the request's target name different hosts")]
    Disagrees,
    #[error("the request's target is neither http nor https")]
    Scheme,
}

/// Who answers for a host.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Destination<'h> {
    /// The bare domain, or the address the connection was made to.
    ControlPlane,
    /// One label below the domain: the name of an app, or the id of a deployment.
    Label(&'h str),
    /// None of ours.
    Foreign,
}

impl<'r> Host<'r> {
    /// The host of a request: its one Host header, which an absolute target must agree with.
    pub(crate) fn of(uri: &'r Uri, headers: &'r HeaderMap) -> Result<Self, HostError> {
        let mut all = headers.get_all(HOST).iter();
        let host = match (all.next(), all.next()) {
            (None, _) => return Err(HostError::Missing),
            (Some(_), Some(_)) => return Err(HostError::Repeated),
            (Some(host), None) => Self::parse(host.as_bytes())?,
        };
        if let Some(authority) = uri.authority() {
            if !matches!(uri.scheme_str(), None | Some("http" | "https")) {
                return Err(HostError::Scheme);
            }
            if Self::parse(authority.as_str().as_bytes())? != host {
                return Err(HostError::Disagrees);
            }
        }
        Ok(host)
    }

    /// The host that a Host header names.
    pub(crate) fn parse(text: &'r [u8]) -> Result<Self, HostError> {
        let text = std::str::from_utf8(text).map_err(|_| HostError::Malformed)?;
        if let Some(rest) = text.strip_prefix('[') {
            let (address, rest) = rest.split_once(']').ok_or(HostError::Malformed)?;
            check_port(rest)?;
            let address: Ipv6Addr = address.parse().map_err(|_| HostError::Malformed)?;
            return Ok(Self::Address(address.into()));
        }
        let name_end = text.find(':').unwrap_or(text.len());
        let (name, port) = text.split_at_checked(name_end).ok_or(HostError::Malformed)?;
        check_port(port)?;
        let name = name.strip_suffix('.').unwrap_or(name);
        if let Ok(address) = name.parse::<Ipv4Addr>() {
            return Ok(Self::Address(address.into()));
        }
        if !is_name(name) {
            return Err(HostError::Malformed);
        }
        let upper = name.bytes().any(|b| b.is_ascii_uppercase());
        Ok(Self::Name(if upper { name.to_ascii_lowercase().into() } else { name.into() }))
    }

    /// Who answers for this host. `domain` is the bare domain; `local` is the address the connection was made to.
    pub(crate) fn destination(&self, domain: &str, local: IpAddr) -> Destination<'_> {
        let name = match self {
            // By address the control plane is reached only where the client really connected to it.
            Self::Address(address) if *address == local.to_canonical() => return Destination::ControlPlane,
            Self::Address(_) => return Destination::Foreign,
            Self::Name(name) => name.as_ref(),
        };
        if name == domain {
            return Destination::ControlPlane;
        }
        match name.strip_suffix(domain).and_then(|rest| rest.strip_suffix('.')) {
            Some(label) if !label.is_empty() && !label.contains('.') => Destination::Label(label),
            _ => Destination::Foreign,
        }
    }
}

/// Whether a text can be the bare domain: a host name in lower case.
pub(crate) fn is_domain(text: &str) -> bool {
    is_name(text) && !text.bytes().any(|b| b.is_ascii_uppercase()) && text.parse::<IpAddr>().is_err()
}

/// Nothing, or `:` and a port.
fn check_port(text: &str) -> Result<(), HostError> {
    let Some(port) = text.strip_prefix(':') else {
        return if text.is_empty() { Ok(()) } else { Err(HostError::Malformed) };
    };
    let digits = (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    if digits && port.parse::<u16>().is_ok() { Ok(()) } else { Err(HostError::Malformed) }
}

fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str) -> Result<String, HostError> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        let uri = Uri::from_static("/");
        let host = Host::of(&uri, &headers)?;
        Ok(format!("{:?}", host.destination("localhost", IpAddr::from([127, 0, 0, 1]))))
    }

    #[test]
    fn every_spelling_of_a_host_has_one_answer() {
        for spelling in
            ["hello.localhost", "HELLO.LocalHost", "hello.localhost.", "hello.localhost:8080", "Hello.localhost.:1"]
        {
            assert_eq!(check(spelling).unwrap(), "Label(\"hello\")", "{spelling}");
        }
        for spelling in ["localhost", "LOCALHOST:8080", "localhost.", "127.0.0.1", "127.0.0.1:8080"] {
            assert_eq!(check(spelling).unwrap(), "ControlPlane", "{spelling}");
        }
    }

    #[test]
    fn other_names_and_addresses_are_foreign() {
        let foreign = [
            "evil.example",
            "a.hello.localhost",
            "localhost.evil.example",
            "xlocalhost",
            "0.0.0.0",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "127.1",
            "2130706433",
            "127.0.0.2",
            "192.168.1.1",
            "xn--hllo-bpa.example",
        ];
        for host in foreign {
            assert_eq!(check(host).unwrap(), "Foreign", "{host}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let malformed = [
            "",
            ".",
            "..",
            "a..b",
            ".localhost",
            "hello.localhost..",
            "a@b",
            "a, b",
            "a b",
            "host:",
            "host:99999",
            "host:-1",
            "host:1:2",
            "host:80x",
            "[::1",
            "[::1]x",
            "[::1%25eth0]",
            "[hello]",
            "a/b",
            "a?b",
            "a#b",
            "a%62",
            "http://x",
            "a\tb",
            "*",
        ];
        for host in malformed {
            assert_eq!(check(host), Err(HostError::Malformed), "{host:?}");
        }
        assert_eq!(check(&"a".repeat(64)), Err(HostError::Malformed));
        assert_eq!(check(&"a.".repeat(127)), Ok("Foreign".into()));
        assert_eq!(check(&"a.".repeat(128)), Err(HostError::Malformed));
    }

    #[test]
    fn an_absolute_target_must_agree_with_the_header() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "hello.localhost:80".parse().unwrap());
        let of = |uri: &'static str| Host::of(&Uri::from_static(uri), &headers).map(|_| ());
        assert_eq!(of("http://HELLO.localhost/x"), Ok(()));
        assert_eq!(of("http://other.localhost/x"), Err(HostError::Disagrees));
        assert_eq!(of("ftp://hello.localhost/x"), Err(HostError::Scheme));
        assert_eq!(of("http://u@hello.localhost/x"), Err(HostError::Malformed));
    }

    #[test]
    fn a_second_header_is_refused_even_where_both_are_equal() {
        let mut headers = HeaderMap::new();
        let uri = Uri::from_static("/");
        assert_eq!(Host::of(&uri, &headers), Err(HostError::Missing));
        headers.append(HOST, "a.localhost".parse().unwrap());
        headers.append(HOST, "a.localhost".parse().unwrap());
        assert_eq!(Host::of(&uri, &headers), Err(HostError::Repeated));
    }

    #[test]
    fn an_address_reaches_the_control_plane_only_over_itself() {
        let over = |local: &str| {
            let host = Host::Address(IpAddr::from([127, 0, 0, 1]));
            host.destination("localhost", local.parse().unwrap()) == Destination::ControlPlane
        };
        assert!(over("127.0.0.1"));
        assert!(over("::ffff:127.0.0.1"), "what a listener on both families reports");
        assert!(!over("192.168.1.5"));
    }
}
