//! How the ends of runs are told to addresses that clients name, `[callbacks]`.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skylift_callback::Settings;
use skylift_egress::OwnerEntry;

/// The settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CallbackSettings {
    /// Private hosts (`host`, `address`, with `:port` where only one is meant), and ports other than `ports`.
    allow: Vec<String>,
    /// The ports open at every public host.
    ports: Vec<u16>,
    /// The certificates of authorities to trust, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    /// How long one try may take in all.
    timeout_seconds: u32,
    /// How many are told at the same time.
    at_once: usize,
}

impl Default for CallbackSettings {
    fn default() -> Self {
        let Settings { ports, whole, at_once, .. } = Settings::default();
        let timeout_seconds = u32::try_from(whole.as_secs()).unwrap_or(u32::MAX);
        Self { allow: Vec::new(), ports, ca_file: None, timeout_seconds, at_once }
    }
}

impl CallbackSettings {
    /// Every mistake, in words.
    pub(super) fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        for entry in &self.allow {
            if let Err(error) = entry.parse::<OwnerEntry>() {
                mistakes.push(format!("[callbacks] allow: `{entry}`: {error}"));
            }
        }
        if self.ports.contains(&0) {
            mistakes.push("[callbacks] ports: 1 to 65535".to_owned());
        }
        if !(1..=300).contains(&self.timeout_seconds) {
            mistakes.push("[callbacks] timeout_seconds: 1 to 300".to_owned());
        }
        if !(1..=1024).contains(&self.at_once) {
            mistakes.push("[callbacks] at_once: 1 to 1024".to_owned());
        }
        mistakes
    }

    /// The sender's own form of them.
    pub(crate) fn settings(&self) -> Settings {
        let mut ports = self.ports.clone();
        ports.sort_unstable();
        let whole = Duration::from_secs(self.timeout_seconds.into());
        Settings {
            ports,
            allow: self.allow.iter().filter_map(|entry| entry.parse().ok()).collect(),
            ca_file: self.ca_file.clone(),
            connect: Settings::default().connect.min(whole),
            whole,
            at_once: self.at_once,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_host_is_told_and_the_defaults_are_the_senders() {
        let settings: CallbackSettings = toml::from_str("allow = ['api.lan', 'http://x']\nat_once = 0").unwrap();
        let mistakes = settings.mistakes().join("\n");
        assert!(mistakes.contains("http://x") && mistakes.contains("at_once"), "{mistakes}");
        assert_eq!(settings.mistakes().len(), 2);
        let usual = CallbackSettings::default().settings();
        assert_eq!((usual.ports, usual.whole), (vec![80, 443], Settings::default().whole));
    }
}
