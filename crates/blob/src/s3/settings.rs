//! How to reach the object store, `[blob.s3]`.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A value that is never printed and never written back.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Hidden(String);

impl Hidden {
    /// What is hidden. Only for signing.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Hidden {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// An S3-compatible store.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct S3Settings {
    /// Such as `https://s3.eu-central-1.amazonaws.com` or `http://127.0.0.1:9000`.
    pub endpoint: String,
    /// The bucket; it must exist.
    pub bucket: String,
    pub region: String,
    /// What the names of all objects begin with: nothing, or a path that ends in `/`.
    pub prefix: String,
    /// Whether the bucket is part of the path, not of the host's name.
    pub path_style: bool,
    /// Or the variable `SKYLIFT_S3_ACCESS_KEY_ID`.
    pub access_key_id: String,
    /// Or the variable `SKYLIFT_S3_SECRET_ACCESS_KEY`.
    #[serde(skip_serializing)]
    pub secret_access_key: Hidden,
    /// Or the variable `SKYLIFT_S3_SESSION_TOKEN`.
    #[serde(skip_serializing)]
    pub session_token: Hidden,
    /// Certificates (PEM) that the server's is checked against, in place of this machine's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Whether `http://` may be spoken to another machine.
    pub allow_http: bool,
    /// What the folder in front of it may take, in bytes.
    pub cache_bytes: u64,
    /// How long an answer may take to begin, and to go on, in milliseconds.
    pub timeout_ms: u64,
    /// How often a request is made before the store counts as not answering.
    pub attempts: u32,
}

impl Default for S3Settings {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            bucket: String::new(),
            region: "us-east-1".to_owned(),
            prefix: String::new(),
            path_style: true,
            access_key_id: String::new(),
            secret_access_key: Hidden::default(),
            session_token: Hidden::default(),
            ca_file: None,
            allow_http: false,
            cache_bytes: 10 << 30,
            timeout_ms: 10_000,
            attempts: 4,
        }
    }
}

impl S3Settings {
    /// Takes credentials from the environment where they are there.
    pub fn with_environment(mut self, variable: impl Fn(&str) -> Option<String>) -> Self {
        if let Some(id) = variable("SKYLIFT_S3_ACCESS_KEY_ID") {
            self.access_key_id = id;
        }
        if let Some(secret) = variable("SKYLIFT_S3_SECRET_ACCESS_KEY") {
            self.secret_access_key = secret.into();
        }
        if let Some(token) = variable("SKYLIFT_S3_SESSION_TOKEN") {
            self.session_token = token.into();
        }
        self
    }

    /// Everything in it that cannot work.
    pub fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut refuse = |is_mistake: bool, why: &str| {
            if is_mistake {
                mistakes.push(format!("[blob.s3] {why}"));
            }
        };
        let place = Place::of(self);
        refuse(place.is_none(), "endpoint: not an address such as https://s3.example.org");
        let plain = place.is_some_and(|place| !place.tls && !place.is_loopback());
        refuse(
            plain && !self.allow_http,
            "endpoint: http:// to another machine; use https://, or set allow_http = true",
        );
        let is_name = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        refuse(self.bucket.is_empty() || !is_name(&self.bucket), "bucket: the name of a bucket is needed");
        refuse(self.region.is_empty() || !is_name(&self.region), "region: the name of a region is needed");
        let prefix = self.prefix.strip_suffix('/');
        let prefix_is_fine = self.prefix.is_empty()
            || prefix.is_some_and(|p| p.split('/').all(|part| !part.is_empty() && is_name(part)));
        refuse(!prefix_is_fine, "prefix: letters, digits, `-`, `.`, `_` and `/`, with `/` at its end");
        refuse(self.access_key_id.is_empty(), "access_key_id: missing; the variable SKYLIFT_S3_ACCESS_KEY_ID sets it");
        refuse(
            self.secret_access_key.reveal().is_empty(),
            "secret_access_key: missing; the variable SKYLIFT_S3_SECRET_ACCESS_KEY sets it",
        );
        refuse(self.attempts == 0 || self.timeout_ms == 0, "attempts, timeout_ms: at least 1");
        mistakes
    }
}

/// Where the bucket is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) tls: bool,
    /// The host as requests name it, with the port where it is not the usual one.
    pub(crate) host: String,
    /// What paths begin with; ends without `/`.
    pub(crate) path: String,
}

impl Place {
    pub(crate) fn of(settings: &S3Settings) -> Option<Self> {
        let endpoint: http::Uri = settings.endpoint.parse().ok()?;
        let tls = match endpoint.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = endpoint.authority().filter(|authority| !authority.as_str().contains('@'))?;
        let base = endpoint.path().trim_end_matches('/');
        if endpoint.query().is_some() || !base.is_empty() {
            return None;
        }
        let bucket = &settings.bucket;
        Some(if settings.path_style {
            Self { tls, host: authority.to_string(), path: format!("/{bucket}") }
        } else {
            Self { tls, host: format!("{bucket}.{authority}"), path: String::new() }
        })
    }

    fn is_loopback(&self) -> bool {
        let host = self.host.parse::<http::uri::Authority>().map(|authority| authority.host().to_owned());
        let host = host.unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(endpoint: &str) -> S3Settings {
        let mut settings = S3Settings { endpoint: endpoint.to_owned(), ..S3Settings::default() };
        "b".clone_into(&mut settings.bucket);
        settings.with_environment(|name| Some(format!("value of {name}")))
    }

    #[test]
    fn plain_http_is_only_spoken_to_this_machine_unless_told() {
        for fine in ["http://127.0.0.1:9000", "http://[::1]:9000", "http://localhost", "https://s3.example.org/"] {
            assert_eq!(settings(fine).mistakes(), Vec::<String>::new(), "{fine}");
        }
        for refused in ["http://10.0.0.1:9000", "http://s3.example.org", "http://localhost.example.org"] {
            assert_eq!(settings(refused).mistakes().len(), 1, "{refused}");
            let allowed = S3Settings { allow_http: true, ..settings(refused) };
            assert!(allowed.mistakes().is_empty(), "{refused}");
        }
        for nonsense in ["", "s3.example.org", "ftp://s3", "https://u:p@s3", "https://s3/path", "https://s3?x"] {
            assert!(!settings(nonsense).mistakes().is_empty(), "{nonsense}");
        }
    }

    #[test]
    fn what_is_secret_is_not_printed() {
        let printed =
            format!("{:?} {}", settings("https://s3"), serde_json::to_string(&settings("https://s3")).unwrap());
        assert!(!printed.contains("value of SKYLIFT_S3_SECRET_ACCESS_KEY"), "{printed}");
        assert!(!printed.contains("value of SKYLIFT_S3_SESSION_TOKEN"), "{printed}");
    }

    #[test]
    fn the_bucket_is_in_the_path_or_in_the_name_of_the_host() {
        let path = Place::of(&settings("https://s3.example.org:8443")).unwrap();
        assert_eq!((path.host.as_str(), path.path.as_str()), ("s3.example.org:8443", "/b"));
        let host = Place::of(&S3Settings { path_style: false, ..settings("https://s3.example.org:8443") }).unwrap();
        assert_eq!((host.host.as_str(), host.path.as_str()), ("b.s3.example.org:8443", ""));
    }
}
