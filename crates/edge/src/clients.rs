//! Who a client is: the other end of its connection, or what a declared proxy says of it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use http::{HeaderMap, HeaderName, HeaderValue};
use skylift_model::RequestId;

/// The headers that declared proxies are believed.
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What a client used to reach us, or the proxy in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// A range of addresses: `10.0.0.0/8`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// Text that is no range of addresses.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a range of addresses such as 10.0.0.0/8 or 2001:db8::/32")]
pub struct InvalidNetwork;

/// Tells clients apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clients {
    pub(crate) trusted: Vec<Network>,
    /// Where such a proxy names the client's country.
    pub(crate) country_header: Option<HeaderName>,
}

impl Scheme {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl Clients {
    /// The address of a client: of the last hop that no declared proxy vouches for. `lines`: the values of
    /// `X-Forwarded-For`, in their order.
    pub(crate) fn address<'l>(&self, peer: SocketAddr, lines: impl DoubleEndedIterator<Item = &'l [u8]>) -> SocketAddr {
        let mut client = peer;
        if !self.is_trusted(peer) {
            return client;
        }
        let hops = lines.rev().flat_map(|line| std::str::from_utf8(line).unwrap_or("?").rsplit(','));
        for hop in hops {
            // What cannot be read vouches for nothing; whoever passed it on is the last one known.
            let Some(address) = parse_hop(hop.trim()) else { break };
            client = address;
            if !self.is_trusted(client) {
                break;
            }
        }
        client
    }

    /// How the client reached us: what a declared proxy says last, else without TLS, as we listen.
    pub(crate) fn scheme(&self, peer: SocketAddr, headers: &HeaderMap) -> Scheme {
        let last = headers.get_all(FORWARDED_PROTO).iter().next_back();
        self.scheme_said(peer, last.map(HeaderValue::as_bytes))
    }

    /// The same; `last`: the last value of `X-Forwarded-Proto`.
    pub(crate) fn scheme_said(&self, peer: SocketAddr, last: Option<&[u8]>) -> Scheme {
        let said = || std::str::from_utf8(last?).ok()?.rsplit(',').next().map(str::trim);
        let is_https = self.is_trusted(peer) && said().is_some_and(|said| said.eq_ignore_ascii_case("https"));
        if is_https { Scheme::Https } else { Scheme::Http }
    }

    /// The client's country, where a declared proxy names it: two letters in lower case.
    pub(crate) fn country(&self, peer: SocketAddr, headers: &HeaderMap) -> Option<String> {
        let name = self.country_header.as_ref().filter(|_| self.is_trusted(peer))?;
        let said = headers.get_all(name).iter().next_back()?.to_str().ok()?.trim();
        let is_code = said.len() == 2 && said.bytes().all(|b| b.is_ascii_alphabetic());
        is_code.then(|| said.to_ascii_lowercase())
    }

    /// What a declared proxy calls the request: an edge in front, which calls it as we would. Who says two things says
    /// nothing. `lines`: the values of `X-Request-Id`.
    pub(crate) fn request_id<'l>(
        &self,
        peer: SocketAddr,
        mut lines: impl Iterator<Item = &'l [u8]>,
    ) -> Option<RequestId> {
        let (only, None) = (lines.next()?, lines.next()) else { return None };
        if !self.is_trusted(peer) {
            return None;
        }
        std::str::from_utf8(only).ok()?.parse().ok()
    }

    /// Whether an address is a declared proxy's.
    pub(crate) fn is_trusted(&self, address: SocketAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address.ip()))
    }
}

/// What counts as one client: an IPv4 address, or a network of IPv6 such as one household has.
pub(crate) fn client_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
    }
}

/// An address with or without a port; 0 where there is none.
fn parse_hop(text: &str) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip.to_canonical(), 0));
    address.or_else(|_| text.parse()).ok()
}

impl Network {
    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).map_err(|_| InvalidNetwork)?;
        if bits <= most { Ok(Self { address, bits }) } else { Err(InvalidNetwork) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(trusted: &[&str], peer: &str, lines: &[&str]) -> String {
        let clients = trusting(trusted);
        let peer = SocketAddr::new(peer.parse().unwrap(), 9);
        clients.address(peer, lines.iter().map(|line| line.as_bytes())).ip().to_string()
    }

    fn trusting(trusted: &[&str]) -> Clients {
        let trusted = trusted.iter().map(|network| network.parse().unwrap()).collect();
        Clients { trusted, country_header: Some(HeaderName::from_static("cf-ipcountry")) }
    }

    #[test]
    fn scheme_and_country_are_what_a_declared_proxy_says_last() {
        let clients = trusting(&["10.0.0.0/8"]);
        let (proxy, stranger) = (SocketAddr::from(([10, 0, 0, 1], 9)), SocketAddr::from(([192, 0, 2, 1], 9)));
        let with = |fields: &[(&'static str, &'static str)]| -> HeaderMap {
            let pairs = fields.iter();
            pairs.map(|(name, value)| (HeaderName::from_static(name), http::HeaderValue::from_static(value))).collect()
        };
        for (said, scheme) in [("https", Scheme::Https), ("http, HTTPS", Scheme::Https), ("https, http", Scheme::Http)]
        {
            let headers = with(&[("x-forwarded-proto", said)]);
            assert_eq!(clients.scheme(proxy, &headers), scheme, "{said}");
            assert_eq!(clients.scheme(stranger, &headers), Scheme::Http, "{said}");
        }
        assert_eq!(clients.scheme(proxy, &HeaderMap::new()), Scheme::Http);
        let headers = with(&[("cf-ipcountry", "NL")]);
        assert_eq!(clients.country(proxy, &headers).as_deref(), Some("nl"));
        assert_eq!(clients.country(stranger, &headers), None);
        assert_eq!(clients.country(proxy, &with(&[("cf-ipcountry", "N,")])), None);
    }

    #[test]
    fn only_declared_proxies_are_believed() {
        let proxies = ["10.0.0.0/8", "2001:db8::/32"];
        assert_eq!(check(&[], "10.0.0.1", &["1.2.3.4"]), "10.0.0.1");
        assert_eq!(check(&proxies, "192.0.2.1", &["1.2.3.4"]), "192.0.2.1");
        assert_eq!(check(&proxies, "10.0.0.1", &["1.2.3.4"]), "1.2.3.4");
        assert_eq!(check(&proxies, "10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(check(&proxies, "2001:db8::9", &["[2001:dead::1]:443"]), "2001:dead::1");
    }

    #[test]
    fn what_a_client_sends_ahead_of_its_proxies_counts_for_nothing() {
        let proxies = ["10.0.0.0/8"];
        assert_eq!(check(&proxies, "10.0.0.1", &["6.6.6.6, 1.2.3.4, 10.0.0.2"]), "1.2.3.4");
        assert_eq!(check(&proxies, "10.0.0.1", &["6.6.6.6", "1.2.3.4", "10.0.0.2"]), "1.2.3.4");
        assert_eq!(check(&proxies, "10.0.0.1", &["1.2.3.4, nonsense"]), "10.0.0.1");
        assert_eq!(check(&proxies, "10.0.0.1", &["1.2.3.4, nonsense, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(check(&proxies, "10.0.0.1", &["::ffff:10.0.0.3, ::ffff:1.2.3.4:5"]), "10.0.0.1");
        assert_eq!(check(&proxies, "::ffff:10.0.0.1", &["::ffff:1.2.3.4"]), "1.2.3.4");
    }

    #[test]
    fn a_request_is_called_what_a_declared_proxy_calls_it() {
        let clients = trusting(&["10.0.0.0/8"]);
        let (proxy, stranger) = (SocketAddr::from(([10, 0, 0, 1], 9)), SocketAddr::from(([192, 0, 2, 1], 9)));
        let ids = ["r-0123456789abcdef", "r-fedcba9876543210"];
        let called = |peer, lines: &[&str]| {
            let id = clients.request_id(peer, lines.iter().map(|line| line.as_bytes()));
            id.map(|id| id.as_str().to_owned())
        };
        assert_eq!(called(proxy, &ids[..1]).as_deref(), Some(ids[0]));
        assert_eq!(called(stranger, &ids[..1]), None);
        assert_eq!(called(proxy, &ids), None, "two ids");
        for no_id in ["", "r-", "d-0123456789abcdef", "r-0123456789abcdef ", "R-0123456789ABCDEF", "evil\"}"] {
            assert_eq!(called(proxy, &[no_id]), None, "{no_id}");
        }
    }

    #[test]
    fn networks_are_parsed_strictly() {
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/-1", "10.0.0.0/", "a/8", "10.0.0.0/8/8"] {
            assert_eq!(bad.parse::<Network>(), Err(InvalidNetwork), "{bad}");
        }
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains([255, 255, 255, 255].into()) && !all.contains("::1".parse().unwrap()));
        let one: Network = "::1".parse().unwrap();
        assert!(one.contains("::1".parse().unwrap()) && !one.contains("::2".parse().unwrap()));
    }

    #[test]
    fn a_household_is_one_client() {
        let of = |text: &str| client_of(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2:ffff::"));
        assert_ne!(of("2001:db8:1:2::"), of("2001:db8:1:3::"));
        assert_eq!(of("::ffff:1.2.3.4"), of("1.2.3.4"));
        assert_ne!(of("1.2.3.4"), of("1.2.3.5"));
    }
}
