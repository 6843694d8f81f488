//! How requests are passed on to other hosts, `[edge.proxy]`.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skylift_edge::{OwnerEntry, ProxyConfig};

/// The settings of passing on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ProxySettings {
    /// Private hosts (`host`, `address`, with `:port` where only one is meant), and other ports than 80 and 443.
    allow: Vec<String>,
    /// The certificates of authorities to trust, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    /// How long the other host may take to begin its answer, and how long it may then say nothing.
    timeout_seconds: u32,
    /// How long a connection is kept for the next request.
    idle_seconds: u32,
    /// Connections at one time.
    connections_max: usize,
    /// Of them, how many may wait for their next request.
    idle_connections_max: usize,
    /// Bytes of a request's body.
    request_bytes_max: u64,
}

impl Default for ProxySettings {
    fn default() -> Self {
        let ProxyConfig { timeout, idle, connections_max, idle_connections_max, request_bytes_max, .. } =
            ProxyConfig::default();
        let seconds = |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
        Self {
            allow: Vec::new(),
            ca_file: None,
            timeout_seconds: seconds(timeout),
            idle_seconds: seconds(idle),
            connections_max,
            idle_connections_max,
            request_bytes_max,
        }
    }
}

impl ProxySettings {
    /// Everything that is wrong.
    pub(crate) fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        for entry in &self.allow {
            if let Err(error) = entry.parse::<OwnerEntry>() {
                mistakes.push(format!("[edge.proxy] allow: `{entry}`: {error}"));
            }
        }
        for (name, is_zero) in
            [("timeout_seconds", self.timeout_seconds == 0), ("connections_max", self.connections_max == 0)]
        {
            if is_zero {
                mistakes.push(format!("[edge.proxy] {name}: must be at least 1"));
            }
        }
        mistakes
    }

    /// The edge's own form of them.
    pub(crate) fn config(&self) -> ProxyConfig {
        ProxyConfig {
            allow: self.allow.iter().filter_map(|entry| entry.parse().ok()).collect(),
            ca_file: self.ca_file.clone(),
            timeout: Duration::from_secs(self.timeout_seconds.into()),
            idle: Duration::from_secs(self.idle_seconds.into()),
            connections_max: self.connections_max,
            idle_connections_max: self.idle_connections_max,
            request_bytes_max: self.request_bytes_max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_host_is_told_and_the_defaults_are_the_edges() {
        let settings: ProxySettings = toml::from_str("allow = ['api.lan', 'http://x']\ntimeout_seconds = 0").unwrap();
        let mistakes = settings.mistakes().join("\n");
        assert!(mistakes.contains("http://x") && mistakes.contains("timeout_seconds"), "{mistakes}");
        assert_eq!(settings.mistakes().len(), 2);
        assert_eq!(ProxySettings::default().config().timeout, Duration::from_secs(26));
    }
}
