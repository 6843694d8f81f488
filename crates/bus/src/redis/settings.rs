//! How to reach Redis, `[bus]`.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

/// The bus between processes. Without a URL it stays within this one.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BusSettings {
    /// Such as `redis://127.0.0.1:6379` or `rediss://name:password@redis.example.org:6380/0`; or the variable
    /// `SKYLIFT_REDIS_URL`. Never printed: it may have a password.
    #[serde(skip_serializing)]
    pub url: String,
    /// What the names of channels and keys begin with; the same in all processes of one platform.
    pub prefix: String,
    /// Certificates (PEM) that the server's is checked against, in place of this machine's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// How often the connections are tried, in milliseconds. A connection that was silent for three times as long is
    /// given up.
    pub beat_ms: u64,
}

impl Default for BusSettings {
    fn default() -> Self {
        Self { url: String::new(), prefix: "skylift".to_owned(), ca_file: None, beat_ms: 2000 }
    }
}

impl fmt::Debug for BusSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BusSettings").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl BusSettings {
    /// Takes the URL from the environment where it is there.
    pub fn with_environment(mut self, variable: impl Fn(&str) -> Option<String>) -> Self {
        if let Some(url) = variable("SKYLIFT_REDIS_URL") {
            self.url = url;
        }
        self
    }

    /// Whether there is a bus between processes.
    pub fn is_shared(&self) -> bool {
        !self.url.is_empty()
    }

    /// Everything in it that cannot work.
    pub fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        if self.is_shared() && Address::parse(&self.url).is_none() {
            mistakes.push("[bus] url: not an address such as redis://127.0.0.1:6379".to_owned());
        }
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        if self.prefix.is_empty() || !self.prefix.bytes().all(is_name) {
            mistakes.push("[bus] prefix: letters, digits, `-`, `_`, `.` and `:`".to_owned());
        }
        if self.beat_ms < 10 {
            mistakes.push("[bus] beat_ms: at least 10".to_owned());
        }
        mistakes
    }
}

/// A URL taken apart.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: Option<u16>,
}

impl Address {
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let tls = match scheme {
            "redis" => false,
            "rediss" => true,
            _ => return None,
        };
        let (authority, database) = match rest.split_once('/') {
            Some((authority, "")) => (authority, None),
            Some((authority, database)) => (authority, Some(database.parse().ok()?)),
            None => (rest, None),
        };
        let (credentials, host) = match authority.rsplit_once('@') {
            Some((credentials, host)) => (Some(credentials), host),
            None => (None, authority),
        };
        let decoded = |text: &str| percent_decode_str(text).decode_utf8().ok().map(String::from);
        let (user, password) = match credentials.map(|both| both.split_once(':').unwrap_or((both, ""))) {
            Some((user, password)) => (decoded(user), decoded(password)),
            None => (None, None),
        };
        let is_v6 = host.ends_with(']');
        let (host, port) = match host.rsplit_once(':').filter(|_| !is_v6) {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (host, 6379),
        };
        let host = host.trim_matches(['[', ']']).to_owned();
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        (!host.is_empty()).then(|| Self { tls, host, port, user: filled(user), password: filled(password), database })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart_and_nonsense_is_none() {
        let parse = |url: &str| {
            let a = Address::parse(url)?;
            Some((a.tls, a.host, a.port, a.user, a.password, a.database))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(parse("redis://10.0.0.1"), Some((false, "10.0.0.1".to_owned(), 6379, None, None, None)));
        assert_eq!(
            parse("rediss://me:p%40ss@redis.example.org:6380/3"),
            Some((true, "redis.example.org".to_owned(), 6380, some("me"), some("p@ss"), Some(3)))
        );
        assert_eq!(
            parse("redis://:secret@[::1]:7000/"),
            Some((false, "::1".to_owned(), 7000, None, some("secret"), None))
        );
        for nonsense in ["", "127.0.0.1:6379", "http://x", "redis://", "redis://x:port", "redis://x/db"] {
            assert_eq!(parse(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let settings = BusSettings { url: "redis://:secret@x".to_owned(), ..BusSettings::default() };
        assert!(!format!("{settings:?}").contains("secret"));
    }
}
