//! How to reach the queue, `[runs.sqs]`.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skylift_blob::{Hidden, SignedSettings};

/// A standard queue at SQS, or at what speaks as it does.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SqsSettings {
    /// Such as `https://sqs.eu-central-1.amazonaws.com/123456789012/runs`. The queue must exist.
    pub queue_url: String,
    /// Where that is reached, if not at the queue's own address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    pub region: String,
    /// Or the variable `SKYLIFT_SQS_ACCESS_KEY_ID`.
    pub access_key_id: String,
    /// Or the variable `SKYLIFT_SQS_SECRET_ACCESS_KEY`.
    #[serde(skip_serializing)]
    pub secret_access_key: Hidden,
    /// Or the variable `SKYLIFT_SQS_SESSION_TOKEN`.
    #[serde(skip_serializing)]
    pub session_token: Hidden,
    /// Certificates (PEM) that the server's is checked against, in place of this machine's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Whether `http://` may be spoken to another machine.
    pub allow_http: bool,
    /// How long an answer may take, in milliseconds.
    pub timeout_ms: u64,
    /// How long a run may wait before it is announced again, at first; then twice as long, and so on.
    pub again_seconds: u64,
}

impl Default for SqsSettings {
    fn default() -> Self {
        Self {
            queue_url: String::new(),
            endpoint: None,
            region: "us-east-1".to_owned(),
            access_key_id: String::new(),
            secret_access_key: Hidden::default(),
            session_token: Hidden::default(),
            ca_file: None,
            allow_http: false,
            timeout_ms: 5000,
            again_seconds: 60,
        }
    }
}

impl SqsSettings {
    /// Takes credentials from the environment where they are there.
    #[must_use]
    pub fn with_environment(mut self, variable: impl Fn(&str) -> Option<String>) -> Self {
        if let Some(id) = variable("SKYLIFT_SQS_ACCESS_KEY_ID") {
            self.access_key_id = id;
        }
        if let Some(secret) = variable("SKYLIFT_SQS_SECRET_ACCESS_KEY") {
            self.secret_access_key = secret.into();
        }
        if let Some(token) = variable("SKYLIFT_SQS_SESSION_TOKEN") {
            self.session_token = token.into();
        }
        self
    }

    /// Everything in it that cannot work.
    pub fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut refuse = |is_mistake: bool, why: &str| {
            if is_mistake {
                mistakes.push(format!("[runs.sqs] {why}"));
            }
        };
        let at = Place::of(&self.queue_url);
        let endpoint = self.endpoint.as_deref().map(|url| Place::of(&format!("{}/-", url.trim_end_matches('/'))));
        refuse(
            at.is_none(),
            "queue_url: not an address such as https://sqs.eu-central-1.amazonaws.com/123456789012/runs",
        );
        refuse(self.queue_url.ends_with(".fifo"), "queue_url: a standard queue is needed, not one with `.fifo`");
        refuse(endpoint.is_some_and(|at| at.is_none()), "endpoint: not an address such as https://sqs.example.org");
        let is_far = endpoint.unwrap_or(at).is_some_and(|at| !at.is_tls && !at.is_loopback);
        refuse(
            is_far && !self.allow_http,
            "queue_url, endpoint: http:// to another machine; use https://, or set allow_http = true",
        );
        let is_name = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        refuse(!is_name(&self.region), "region: the name of a region is needed");
        refuse(self.access_key_id.is_empty(), "access_key_id: missing; the variable SKYLIFT_SQS_ACCESS_KEY_ID sets it");
        refuse(
            self.secret_access_key.reveal().is_empty(),
            "secret_access_key: missing; the variable SKYLIFT_SQS_SECRET_ACCESS_KEY sets it",
        );
        refuse(!(1..=60_000).contains(&self.timeout_ms), "timeout_ms: 1 to 60000");
        refuse(!(1..=3600).contains(&self.again_seconds), "again_seconds: 1 to 3600");
        mistakes
    }

    pub(super) fn signed(&self) -> SignedSettings {
        SignedSettings {
            endpoint: self.endpoint.clone().unwrap_or_else(|| self.queue_url.clone()),
            service: "sqs",
            region: self.region.clone(),
            access_key_id: self.access_key_id.clone(),
            secret_access_key: self.secret_access_key.clone(),
            session_token: self.session_token.clone(),
            ca_file: self.ca_file.clone(),
            // A request may wait for messages.
            timeout: Duration::from_millis(self.timeout_ms) + Duration::from_secs(super::WAIT_S),
        }
    }
}

/// Where a queue is.
#[derive(Clone, Copy)]
struct Place {
    is_tls: bool,
    is_loopback: bool,
}

impl Place {
    fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let is_tls = match scheme {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let (host, path) = rest.split_once('/')?;
        if host.is_empty() || path.is_empty() || host.contains('@') || rest.contains(['?', '#']) {
            return None;
        }
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
        let is_loopback =
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        Some(Self { is_tls, is_loopback })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(queue_url: &str) -> SqsSettings {
        let settings = SqsSettings { queue_url: queue_url.to_owned(), ..SqsSettings::default() };
        settings.with_environment(|name| Some(format!("value of {name}")))
    }

    #[test]
    fn every_mistake_is_told_and_secrets_are_not() {
        for fine in
            ["https://sqs.eu-central-1.amazonaws.com/1/runs", "http://127.0.0.1:4566/1/runs", "http://localhost/1/q"]
        {
            assert_eq!(settings(fine).mistakes(), Vec::<String>::new(), "{fine}");
        }
        for wrong in
            ["", "runs", "http://10.0.0.1/1/runs", "https://sqs/1/runs.fifo", "https://u:p@sqs/1/runs", "ftp://sqs/1"]
        {
            assert_eq!(settings(wrong).mistakes().len(), 1, "{wrong}");
        }
        assert_eq!(SqsSettings::default().mistakes().len(), 3);
        let shown = format!("{:?} {}", settings("x"), serde_json::to_string(&settings("x")).unwrap());
        assert!(!shown.contains("SECRET") && !shown.contains("TOKEN"), "{shown}");
    }
}
