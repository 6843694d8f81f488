//! What models are asked, `[ai]`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use skylift_ai::{Limits, Models, RelayLimits, Upstream, UpstreamSettings};

/// The settings.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AiSettings {
    /// A server with Ollama's interface, such as `http://127.0.0.1:11434`; left out, a mock answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<String>,
    /// What it asks for as `Authorization: Bearer`.
    #[serde(skip_serializing)]
    upstream_key: Option<String>,
    /// The models that may be asked; none: all that there are.
    models: Vec<String>,
    /// Requests at one time.
    at_once: usize,
    /// The same, of one key.
    at_once_per_key: usize,
    /// Bytes of a request.
    request_bytes_max: usize,
    /// Bytes of an answer.
    answer_bytes_max: u64,
    /// Until the server's answer begins: it may have to load a model first.
    begin_seconds: u32,
    /// Without a byte of an answer that has begun.
    idle_seconds: u32,
    /// For an answer in all.
    answer_seconds: u32,
    /// Requests of one run.
    run_requests: u32,
    /// Bytes that one run sends and is sent.
    run_bytes: u64,
}

impl Default for AiSettings {
    fn default() -> Self {
        let (limits, run) = (Limits::default(), RelayLimits::default());
        Self {
            upstream: None,
            upstream_key: None,
            models: Vec::new(),
            at_once: limits.at_once,
            at_once_per_key: limits.at_once_each,
            request_bytes_max: limits.request_bytes_max,
            answer_bytes_max: limits.answer_bytes_max,
            begin_seconds: 120,
            idle_seconds: 60,
            answer_seconds: 600,
            run_requests: run.requests,
            run_bytes: run.bytes,
        }
    }
}

/// A request of less says nothing.
const BYTES_MIN: usize = 1024;

impl AiSettings {
    /// Takes from the environment what is secret.
    pub(super) fn with_environment(mut self, variable: impl Fn(&str) -> Option<String>) -> Self {
        self.upstream_key = variable("SKYLIFT_AI_UPSTREAM_KEY").or(self.upstream_key);
        self
    }

    /// Every mistake, in words.
    pub(super) fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        if let Some(settings) = self.upstream()
            && let Err(error) = Upstream::new(&settings)
        {
            mistakes.push(format!("[ai] upstream: {error}"));
        }
        if self.upstream.is_none() && self.upstream_key.is_some() {
            mistakes.push("[ai] upstream_key: there is no `upstream` that would ask for one".to_owned());
        }
        if self.models.iter().any(|name| name.trim().is_empty()) {
            mistakes.push("[ai] models: a name is empty".to_owned());
        }
        for (name, count) in [
            ("at_once", self.at_once as u64),
            ("at_once_per_key", self.at_once_per_key as u64),
            ("begin_seconds", self.begin_seconds.into()),
            ("idle_seconds", self.idle_seconds.into()),
            ("answer_seconds", self.answer_seconds.into()),
        ] {
            if count == 0 {
                mistakes.push(format!("[ai] {name}: at least 1"));
            }
        }
        if self.request_bytes_max < BYTES_MIN || self.answer_bytes_max < BYTES_MIN as u64 {
            mistakes.push(format!("[ai] request_bytes_max and answer_bytes_max: at least {BYTES_MIN}"));
        }
        mistakes
    }

    /// The server that answers, where it is none of ours.
    pub(crate) fn upstream(&self) -> Option<UpstreamSettings> {
        Some(UpstreamSettings {
            url: self.upstream.clone()?,
            key: self.upstream_key.clone(),
            begins_within: seconds(self.begin_seconds),
            silent_for: seconds(self.idle_seconds),
        })
    }

    /// What may be asked.
    pub(crate) fn models(&self) -> Models {
        Models::new(&self.models)
    }

    /// How much.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            request_bytes_max: self.request_bytes_max,
            answer_bytes_max: self.answer_bytes_max,
            answer_within: seconds(self.answer_seconds),
            at_once: self.at_once,
            at_once_each: self.at_once_per_key,
        }
    }

    /// How much of it by one run.
    pub(crate) fn run_limits(&self) -> RelayLimits {
        RelayLimits { requests: self.run_requests, bytes: self.run_bytes, ..RelayLimits::default() }
    }
}

impl std::fmt::Debug for AiSettings {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AiSettings")
            .field("upstream", &self.upstream)
            .field("models", &self.models)
            .finish_non_exhaustive()
    }
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(count.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_told_and_the_key_is_not() {
        let text = "upstream = 'localhost'\nmodels = ['']\nat_once = 0\nrequest_bytes_max = 1\nupstream_key = 'secret'";
        let settings: AiSettings = toml::from_str(text).unwrap();
        let mistakes = settings.mistakes();
        assert_eq!(mistakes.len(), 4, "{mistakes:?}");
        assert!(!format!("{settings:?} {mistakes:?}").contains("secret"));
        assert!(!toml::to_string(&settings).unwrap().contains("secret"));
        assert!(AiSettings::default().mistakes().is_empty());
    }
}
