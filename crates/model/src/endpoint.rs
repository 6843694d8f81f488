//! Where a service is: `http://127.0.0.1:8000`, `postgres://user:password@db.lan/shop`, or a host and a port.

use std::fmt;
use std::str::FromStr;

/// An address in parts. Its `Debug` hides what may be a password; [`Self::at_port`] has it.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    scheme: Option<String>,
    /// `user:password`, without the `@`.
    user: Option<String>,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: Option<u16>,
    /// From the `/` or `?` on.
    rest: String,
}

/// Why a text is no endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    #[error("an endpoint has neither blanks nor control characters")]
    Characters,
    #[error("before `://` comes a scheme such as `http`")]
    Scheme,
    #[error("an endpoint names a host: `http://127.0.0.1:8000`, `db.lan:5432`")]
    Host,
    #[error("the port is a number from 1 to 65535")]
    Port,
}

impl Endpoint {
    /// The scheme, where it names one.
    pub fn scheme(&self) -> Option<&str> {
        self.scheme.as_deref()
    }

    /// A name or an address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, where it names one or its scheme does.
    pub fn port(&self) -> Option<u16> {
        self.port.or_else(|| usual_port(self.scheme.as_deref()?))
    }

    /// The password in it, as it is written and as it is meant: not to be shown.
    pub fn passwords(&self) -> Vec<String> {
        let Some((_, password)) = self.user.as_deref().and_then(|user| user.split_once(':')) else { return Vec::new() };
        let mut passwords = vec![password.to_owned(), unescaped(password)];
        passwords.dedup();
        passwords
    }

    /// The whole address with another port, and with `scheme` where it has none of its own.
    pub fn at_port(&self, port: u16, scheme: &str) -> String {
        let scheme = self.scheme.as_deref().unwrap_or(scheme);
        let user = self.user.as_ref().map_or_else(String::new, |user| format!("{user}@"));
        format!("{scheme}://{user}{}:{port}{}", self.written_host(), self.rest)
    }

    /// The same place for another user, who uses `database` there. Both names are of letters, digits and `_`.
    #[must_use]
    pub fn for_tenant(&self, user: &str, password: &str, database: &str) -> Self {
        let (user, rest) = (Some(format!("{user}:{password}")), format!("/{database}"));
        Self { scheme: self.scheme.clone(), user, host: self.host.clone(), port: self.port, rest }
    }

    fn written_host(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

/// The port that a scheme stands for.
pub fn usual_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        "postgres" | "postgresql" => Some(5432),
        "redis" | "rediss" => Some(6379),
        _ => None,
    }
}

fn unescaped(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut plain, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let escaped = text.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped.filter(|_| *byte == b'%') {
            Some(meant) => {
                plain.push(meant);
                at += 3;
            }
            None => {
                plain.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(InvalidEndpoint::Characters);
        }
        let (scheme, text) = match text.split_once("://") {
            Some((scheme, text)) => (Some(scheme.to_ascii_lowercase()), text),
            None => (None, text),
        };
        let is_scheme = |scheme: &String| {
            !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        };
        if !scheme.iter().all(is_scheme) {
            return Err(InvalidEndpoint::Scheme);
        }
        let end = text.find(['/', '?', '#']).unwrap_or(text.len());
        let (authority, rest) = text.split_at_checked(end).ok_or(InvalidEndpoint::Host)?;
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user.to_owned()), place),
            None => (None, authority),
        };
        let (host, port) = host_and_port(place)?;
        Ok(Self { scheme, user, host, port, rest: rest.to_owned() })
    }
}

fn host_and_port(text: &str) -> Result<(String, Option<u16>), InvalidEndpoint> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(InvalidEndpoint::Host)?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| InvalidEndpoint::Host)?;
        (host, (!rest.is_empty()).then_some(rest))
    } else {
        text.find(':').map_or((text, None), |at| (text.get(..at).unwrap_or(text), text.get(at..)))
    };
    let port = match port {
        None => None,
        Some(port) => Some(port.strip_prefix(':').and_then(parse_port).ok_or(InvalidEndpoint::Port)?),
    };
    if host.is_empty() { Err(InvalidEndpoint::Host) } else { Ok((host.to_owned(), port)) }
}

fn parse_port(digits: &str) -> Option<u16> {
    let legal = (1..=5).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|port| legal && *port != 0)
}

/// As it is written, with `…` where a user and a password are.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = &self.scheme {
            write!(f, "{scheme}://")?;
        }
        if self.user.is_some() {
            f.write_str("…@")?;
        }
        f.write_str(&self.written_host())?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))?;
        f.write_str(self.rest.split('?').next().unwrap_or_default())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match text.parse::<Endpoint>() {
            Ok(endpoint) => {
                let port = endpoint.port().map_or_else(|| "none".to_owned(), |port| port.to_string());
                format!("{} {port} {}", endpoint.host(), endpoint.at_port(29001, "http"))
            }
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn only_the_port_is_changed_for_the_inside() {
        for (text, expected) in [
            ("http://127.0.0.1:8000", "127.0.0.1 8000 http://127.0.0.1:29001"),
            ("127.0.0.1:8000", "127.0.0.1 8000 http://127.0.0.1:29001"),
            ("HTTPS://Db.example/x?y=1", "Db.example 443 https://Db.example:29001/x?y=1"),
            ("postgres://u:p%40@[::1]/shop", "::1 5432 postgres://u:p%40@[::1]:29001/shop"),
            ("postgres://u:a@b@db.lan", "db.lan 5432 postgres://u:a@b@db.lan:29001"),
            ("db.lan", "db.lan none http://db.lan:29001"),
            ("redis://cache?db=2", "cache 6379 redis://cache:29001?db=2"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for (text, error) in [
            ("", "Host"),
            ("http://", "Host"),
            ("://x", "Scheme"),
            ("ht tp://x", "Characters"),
            ("http://x:0", "Port"),
            ("x:65536", "Port"),
            ("x:80:90", "Port"),
            ("::1", "Port"),
            ("[::g]:1", "Host"),
            ("[::1]x", "Port"),
            ("u:p@", "Host"),
        ] {
            assert_eq!(read(text), error, "{text}");
        }
    }

    #[test]
    fn a_tenant_has_nothing_of_the_owners_but_the_place() {
        let server: Endpoint = "postgres://owner:hidden@[::1]:5433/postgres?options=x".parse().unwrap();
        let tenant = server.for_tenant("sky_a", "pass", "sky_a");
        assert_eq!(tenant.at_port(29001, "postgres"), "postgres://sky_a:pass@[::1]:29001/sky_a");
        assert_eq!(tenant.passwords(), ["pass"]);
    }

    #[test]
    fn what_is_shown_has_no_password() {
        let endpoint: Endpoint = "postgres://ann:s%33cret@db.lan/shop?password=other".parse().unwrap();
        assert_eq!(endpoint.to_string(), "postgres://…@db.lan/shop");
        assert_eq!(format!("{endpoint:?}"), "postgres://…@db.lan/shop");
        assert_eq!(endpoint.passwords(), ["s%33cret", "s3cret"]);
        assert_eq!("redis://u@h".parse::<Endpoint>().unwrap().passwords(), [""; 0]);
    }
}
