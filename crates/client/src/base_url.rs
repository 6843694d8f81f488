//! Where a server is: scheme, host and port, nothing else.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::{Authority, Scheme};

/// The address of a server, such as `http://localhost:8080`. Displayed without a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    scheme: Scheme,
    authority: Authority,
}

/// Why a text is not the address of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBaseUrl {
    #[error("`{0}` is not an address; it should look like https://skylift.example.com or http://localhost:8080")]
    NotAnAddress(String),
    #[error("`{0}` must start with http:// or https://")]
    Scheme(String),
    #[error("an address must not contain a user name or password; the token is given apart from it")]
    Credentials,
    #[error("`{0}` must not have a path or a query; the API is found under /v1 by itself")]
    Path(String),
}

impl BaseUrl {
    /// Whether the connection is encrypted.
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// Whether it names this machine, so that nothing of what is sent leaves it.
    pub fn is_loopback(&self) -> bool {
        is_loopback(self.authority.host())
    }

    /// The host name or address, without the port.
    pub fn host(&self) -> &str {
        self.authority.host()
    }

    /// Whether both lead to one server: the same address, or the same port of this machine by two of its names.
    pub fn is_same_server(&self, other: &Self) -> bool {
        let is_same_port = self.is_https() == other.is_https() && self.port() == other.port();
        self == other || (is_same_port && self.is_loopback() && other.is_loopback())
    }

    fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    /// The full address of `path_and_query`, which starts with `/`.
    pub(crate) fn at(&self, path_and_query: &str) -> Result<Uri, http::Error> {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path_and_query)
            .build()
    }
}

/// Whether a host name or address is this machine's own. `*.localhost` always is (RFC 6761 §6.3).
pub(crate) fn is_loopback(host: &str) -> bool {
    is_localhost(host)
        || host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// Whether a host name is `localhost` or below it.
pub(crate) fn is_localhost(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

impl FromStr for BaseUrl {
    type Err = InvalidBaseUrl;

    fn from_str(text: &str) -> Result<Self, InvalidBaseUrl> {
        let text = text.trim();
        let uri: Uri = text.parse().map_err(|_| InvalidBaseUrl::NotAnAddress(text.to_owned()))?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(InvalidBaseUrl::Scheme(text.to_owned()));
        };
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(InvalidBaseUrl::Scheme(text.to_owned()));
        }
        if authority.as_str().contains('@') {
            return Err(InvalidBaseUrl::Credentials);
        }
        if authority.host().is_empty() {
            return Err(InvalidBaseUrl::NotAnAddress(text.to_owned()));
        }
        if parts.path_and_query.is_some_and(|path| path != "/") {
            return Err(InvalidBaseUrl::Path(text.to_owned()));
        }
        Ok(Self { scheme, authority })
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scheme_host_and_port_make_an_address() {
        let read = |text: &str| text.parse::<BaseUrl>();
        assert_eq!(read(" http://localhost:8080/\n").unwrap().to_string(), "http://localhost:8080");
        assert!(read("https://skylift.example.com").unwrap().is_https());
        assert!(matches!(read("localhost:8080"), Err(InvalidBaseUrl::Scheme(_))));
        assert!(matches!(read("ftp://x"), Err(InvalidBaseUrl::Scheme(_))));
        assert!(matches!(read("http://u:p@x"), Err(InvalidBaseUrl::Credentials)));
        assert!(matches!(read("http://x/v1"), Err(InvalidBaseUrl::Path(_))));
        assert!(matches!(read("http://"), Err(InvalidBaseUrl::NotAnAddress(_))));
    }

    #[test]
    fn one_server_may_have_two_addresses_only_on_this_machine() {
        let same = |a: &str, b: &str| a.parse::<BaseUrl>().unwrap().is_same_server(&b.parse().unwrap());
        assert!(same("http://localhost:8080", "http://127.0.0.1:8080/"));
        assert!(same("https://Example.com", "https://example.com"));
        assert!(!same("http://localhost:8080", "http://localhost:8081"));
        assert!(!same("http://localhost", "https://localhost"));
        assert!(!same("http://a.example.com", "http://b.example.com"));
    }

    #[test]
    fn loopback_is_told_from_names_that_look_like_it() {
        for host in ["http://localhost", "http://a.b.LOCALHOST:1", "http://127.9.9.9", "http://[::1]:80"] {
            assert!(host.parse::<BaseUrl>().unwrap().is_loopback(), "{host}");
        }
        for host in ["http://localhost.example.com", "http://notlocalhost", "http://10.0.0.1"] {
            assert!(!host.parse::<BaseUrl>().unwrap().is_loopback(), "{host}");
        }
    }
}
