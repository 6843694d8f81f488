//! The address that a callback goes to, read strictly.

use http::HeaderValue;
use http::uri::{PathAndQuery, Uri};
use skylift_egress::Target;

/// No longer than others take in.
const LENGTH_MAX: usize = 2048;

/// Where a callback goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub(crate) is_https: bool,
    pub(crate) host: Target,
    pub(crate) port: u16,
    pub(crate) path_and_query: PathAndQuery,
}

/// Why a text is no address for callbacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    #[error("it has more than {LENGTH_MAX} characters")]
    Length,
    #[error("it is no address")]
    Form,
    #[error("it is neither http nor https")]
    Scheme,
    #[error("it names a user or a password")]
    User,
    #[error("its host is not written as one")]
    Host,
    #[error("its port is no number from 1 to 65535")]
    Port,
}

impl Address {
    /// Reads an absolute URL. A fragment is left out.
    ///
    /// # Errors
    /// Where it is anything else than `http` or `https`, a host in its one usual spelling, and what follows.
    pub fn parse(url: &str) -> Result<Self, InvalidAddress> {
        if url.len() > LENGTH_MAX {
            return Err(InvalidAddress::Length);
        }
        let url = url.split('#').next().unwrap_or(url);
        let uri: Uri = url.parse().map_err(|_| InvalidAddress::Form)?;
        let is_https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) => return Err(InvalidAddress::Scheme),
            None => return Err(InvalidAddress::Form),
        };
        let authority = uri.authority().ok_or(InvalidAddress::Host)?;
        if authority.as_str().contains('@') {
            return Err(InvalidAddress::User);
        }
        let host = Target::parse(authority.host()).map_err(|_| InvalidAddress::Host)?;
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => usual_port(is_https),
            Some(port) => port_of(port).ok_or(InvalidAddress::Port)?,
            None => return Err(InvalidAddress::Host),
        };
        let path_and_query = uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        Ok(Self { is_https, host, port, path_and_query })
    }

    /// What the Host header says.
    pub(crate) fn host_field(&self) -> Option<HeaderValue> {
        let host = &self.host;
        let text =
            if self.port == usual_port(self.is_https) { host.to_string() } else { format!("{host}:{}", self.port) };
        HeaderValue::from_str(&text).ok()
    }
}

const fn usual_port(is_https: bool) -> u16 {
    if is_https { 443 } else { 80 }
}

/// The number behind a colon.
fn port_of(text: &str) -> Option<u16> {
    let digits = text.strip_prefix(':').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    digits.parse().ok().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_a_host_and_what_follows() {
        for (url, is_https, host, path) in [
            ("https://Example.org/told?x=1#y", true, "example.org", "/told?x=1"),
            ("http://example.org", false, "example.org", "/"),
            ("https://example.org:8443/", true, "example.org:8443", "/"),
            ("http://[2001:db8::1]:80/", false, "[2001:db8::1]", "/"),
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!((address.is_https, address.path_and_query.as_str()), (is_https, path), "{url}");
            assert_eq!(address.host_field().unwrap(), host);
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let long = format!("https://example.org/{}", "x".repeat(LENGTH_MAX));
        for (url, why) in [
            (long.as_str(), InvalidAddress::Length),
            ("", InvalidAddress::Form),
            ("/told", InvalidAddress::Form),
            ("example.org", InvalidAddress::Form),
            ("https://example.org/a b", InvalidAddress::Form),
            ("https://example.org\\@127.0.0.1/", InvalidAddress::Form),
            ("https://example.org/\r\nX: y", InvalidAddress::Form),
            ("ftp://example.org/", InvalidAddress::Scheme),
            ("gopher://example.org/", InvalidAddress::Scheme),
            ("https://user:word@example.org/", InvalidAddress::User),
            ("https://example.org@127.0.0.1/", InvalidAddress::User),
            ("http://0x7f.1/", InvalidAddress::Host),
            ("http://2130706433/", InvalidAddress::Host),
            ("http://127.1/", InvalidAddress::Host),
            ("http://017700000001/", InvalidAddress::Host),
            ("http://a_b/", InvalidAddress::Host),
            ("http://example.org:0/", InvalidAddress::Port),
        ] {
            assert_eq!(Address::parse(url), Err(why), "{url}");
        }
        for url in ["file:///etc/passwd", "http://a:70000/", "http://[::1%25eth0]/", "http:///a", "//a/"] {
            assert!(Address::parse(url).is_err(), "{url}");
        }
    }
}
