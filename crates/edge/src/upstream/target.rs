//! The address that a rule leads a request to, read strictly: part of it may come from the request.

use std::fmt;

use http::HeaderValue;
use http::uri::{PathAndQuery, Uri};
use percent_encoding::percent_decode_str;

/// Where a request is passed on to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) scheme: Scheme,
    pub(crate) host: skylift_egress::Target,
    pub(crate) port: u16,
    pub(crate) path_and_query: PathAndQuery,
}

/// How the other host is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// Why a text is no address to pass a request on to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidTarget {
    #[error("it is no address")]
    Form,
    #[error("it is neither http nor https")]
    Scheme,
    #[error("it names a user or a password")]
    User,
    #[error("its host is not written as one")]
    Host,
    #[error("its path has a part `.` or `..`")]
    DotPart,
}

impl Target {
    /// Reads an absolute URL. A fragment is left out.
    pub(crate) fn parse(url: &str) -> Result<Self, InvalidTarget> {
        let url = url.split('#').next().unwrap_or(url);
        let uri: Uri = url.parse().map_err(|_| InvalidTarget::Form)?;
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            _ => return Err(InvalidTarget::Scheme),
        };
        let authority = uri.authority().ok_or(InvalidTarget::Host)?;
        if authority.as_str().contains('@') {
            return Err(InvalidTarget::User);
        }
        let host = skylift_egress::Target::parse(authority.host()).map_err(|_| InvalidTarget::Host)?;
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => scheme.default_port(),
            Some(port) => port_of(port).ok_or(InvalidTarget::Host)?,
            None => return Err(InvalidTarget::Host),
        };
        // What a request brings could otherwise lead out of the folder that the rule names, where the other host reads
        // such parts.
        if uri.path().split(['/', '\\']).any(is_dot_part) {
            return Err(InvalidTarget::DotPart);
        }
        let path_and_query = uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        Ok(Self { scheme, host, port, path_and_query })
    }

    /// What the Host header says.
    pub(crate) fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The Host header.
    pub(crate) fn host_field(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.authority()).ok()
    }
}

impl Scheme {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme.as_str(), self.authority(), self.path_and_query)
    }
}

/// The number behind a colon.
fn port_of(text: &str) -> Option<u16> {
    let digits = text.strip_prefix(':').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    digits.parse().ok().filter(|port| *port != 0)
}

/// Whether a part is `.` or `..`, escaped any number of times, or has one within it behind an escaped slash.
fn is_dot_part(part: &str) -> bool {
    let mut text = part.to_owned();
    loop {
        if text.split(['/', '\\']).any(|part| part == "." || part == "..") {
            return true;
        }
        // A part's parameters are not looked at by whoever resolves dots (`..;x` is `..` to some).
        if text.split(['/', '\\']).any(|part| matches!(part.split(';').next(), Some("." | ".."))) {
            return true;
        }
        let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if decoded == text {
            return false;
        }
        text = decoded;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str) -> String {
        Target::parse(url).map_or_else(|error| error.to_string(), |target| target.to_string())
    }

    #[test]
    fn addresses_are_read_to_one_spelling() {
        for (url, spelled) in [
            ("https://API.example.org/v1/x?y=1#z", "https://api.example.org/v1/x?y=1"),
            ("http://api.example.org:80", "http://api.example.org/"),
            ("http://api.example.org:8080?x", "http://api.example.org:8080/?x"),
            ("https://[2001:db8::1]:444/", "https://[2001:db8::1]:444/"),
            ("http://api.example/a;b/..x/...", "http://api.example/a;b/..x/..."),
        ] {
            assert_eq!(check(url), spelled, "{url}");
        }
    }

    #[test]
    fn what_a_request_brings_leads_out_of_no_folder() {
        for path in ["..", "a/../b", "%2e%2E/b", "a/.%2e", "..%2fadmin", "%252e%252e/x", "..;a=b/x", "a%5c..%5cb", "."]
        {
            assert_eq!(check(&format!("http://api.example/v1/{path}")), InvalidTarget::DotPart.to_string(), "{path}");
        }
    }

    #[test]
    fn other_schemes_users_and_odd_hosts_are_refused() {
        for url in [
            "ftp://a/",
            "//a/",
            "/a",
            "http:///a",
            "http://u:p@a/",
            "http://a@b/",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://a:0/",
            "http://a:70000/",
            "http://a b/",
            "http://a\\b/",
            "http://127.1/",
            "http://a_b/",
            "http://[::1%25eth0]/",
        ] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }
}
