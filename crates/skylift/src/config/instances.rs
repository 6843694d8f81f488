//! What instances of apps may use, `[instances]`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use skylift_egress::Policy;

/// The setting that opens private hosts to instances, as refusals name it.
const ALLOW: &str = "[instances] allow";

/// What each instance may use.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct InstanceSettings {
    /// Memory, in bytes.
    pub(crate) memory_bytes: u64,
    /// Thousandths of a CPU.
    pub(crate) cpu_millicores: u32,
    /// Processes and threads.
    pub(crate) pids: u32,
    /// What it may write to disk, in bytes.
    pub(crate) disk_bytes: u64,
    /// How long after SIGTERM comes SIGKILL, in seconds.
    pub(crate) grace_seconds: u64,
    /// How long what is under way is waited for before SIGTERM, in seconds.
    pub(crate) drain_seconds: u64,
    /// Hosts that instances may reach though they are private, such as `db.lan:5432`.
    pub(crate) allow: Vec<String>,
}

impl Default for InstanceSettings {
    fn default() -> Self {
        Self {
            memory_bytes: 512 << 20,
            cpu_millicores: 1000,
            pids: 256,
            disk_bytes: 1 << 30,
            grace_seconds: 10,
            drain_seconds: 30,
            allow: Vec::new(),
        }
    }
}

impl InstanceSettings {
    /// Every mistake, in words.
    pub(super) fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        if self.memory_bytes < 16 << 20 {
            mistakes.push("[instances] memory_bytes: 16 MiB (16777216) are the least".to_owned());
        }
        if self.cpu_millicores < 10 || self.pids < 8 {
            mistakes.push("[instances]: cpu_millicores are 10 at least, pids 8".to_owned());
        }
        for entry in &self.allow {
            if let Err(error) = entry.parse::<skylift_egress::OwnerEntry>() {
                mistakes.push(format!("{ALLOW}: `{entry}`: {error}"));
            }
        }
        mistakes
    }

    /// What a worker is to hold instances to.
    pub(crate) fn for_worker(&self, domain: &str) -> skylift_worker::Settings {
        skylift_worker::Settings {
            memory_bytes: self.memory_bytes,
            cpu_millicores: self.cpu_millicores,
            pids: self.pids,
            disk_bytes: self.disk_bytes,
            grace: Duration::from_secs(self.grace_seconds),
            egress: Policy {
                owner_allowed: self.allow.iter().filter_map(|entry| entry.parse().ok()).collect(),
                setting: ALLOW,
                ..Policy::default()
            },
            domain: domain.to_owned(),
        }
    }
}
