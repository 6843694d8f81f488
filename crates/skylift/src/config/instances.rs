//! What instances of apps may use, `[instances]`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use skylift_egress::{Policy, SERVICES};
use skylift_model::endpoint::Endpoint;
use skylift_model::instance_type::{Capacity, DEFAULT, InstanceType, InstanceTypes};
use skylift_model::service::Services;

/// The setting that opens private hosts to instances, as refusals name it.
const ALLOW: &str = "[instances] allow";
/// The least that an instance can do with.
const MEMORY_BYTES_MIN: u64 = 16 << 20;
const CPU_MILLICORES_MIN: u32 = 10;
/// The longest name of an instance type.
const NAME_BYTES_MAX: usize = 40;
/// How many instances share a processor that each may use whole: few are busy at once.
const SHARED_BY: u64 = 10;

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
    /// What each volume of an app may hold, in bytes.
    pub(crate) volume_bytes: u64,
    /// How long after SIGTERM comes SIGKILL, in seconds.
    pub(crate) grace_seconds: u64,
    /// How long a release command may take, in seconds.
    pub(crate) release_seconds: u64,
    /// How long a command of `skylift run` may take, in seconds.
    pub(crate) run_seconds: u64,
    /// How long it goes on where its client has gone, in seconds.
    pub(crate) run_alone_seconds: u64,
    /// How long what is under way is waited for before SIGTERM, in seconds.
    pub(crate) drain_seconds: u64,
    /// What instances of this node may use together, in bytes; left out: the machine's memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) node_memory_bytes: Option<u64>,
    /// The same in thousandths of a CPU; left out: ten times the machine's, since few are busy at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) node_cpu_millicores: Option<u64>,
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
            volume_bytes: 10 << 30,
            grace_seconds: 10,
            release_seconds: 600,
            run_seconds: 3600,
            run_alone_seconds: 60,
            drain_seconds: 30,
            node_memory_bytes: None,
            node_cpu_millicores: None,
            allow: Vec::new(),
        }
    }
}

impl InstanceSettings {
    /// Every mistake, in words.
    pub(super) fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        if self.memory_bytes < MEMORY_BYTES_MIN {
            mistakes.push("[instances] memory_bytes: 16 MiB (16777216) are the least".to_owned());
        }
        if self.cpu_millicores < CPU_MILLICORES_MIN || self.pids < 8 {
            mistakes.push("[instances]: cpu_millicores are 10 at least, pids 8".to_owned());
        }
        if self.release_seconds == 0 || self.run_seconds == 0 {
            mistakes.push("[instances]: release_seconds and run_seconds are 1 at least".to_owned());
        }
        for entry in &self.allow {
            if let Err(error) = entry.parse::<skylift_egress::OwnerEntry>() {
                mistakes.push(format!("{ALLOW}: `{entry}`: {error}"));
            }
        }
        mistakes
    }

    /// What a worker is to hold instances to.
    pub(crate) fn for_worker(
        &self,
        domain: &str,
        services: Services,
        databases: Option<Endpoint>,
    ) -> skylift_worker::Settings {
        skylift_worker::Settings {
            memory_bytes: self.memory_bytes,
            cpu_millicores: self.cpu_millicores,
            pids: self.pids,
            disk_bytes: self.disk_bytes,
            volume_bytes: self.volume_bytes,
            grace: Duration::from_secs(self.grace_seconds),
            release: Duration::from_secs(self.release_seconds),
            one_off: Duration::from_secs(self.run_seconds),
            egress: Policy {
                owner_allowed: self.allow.iter().filter_map(|entry| entry.parse().ok()).collect(),
                setting: ALLOW,
                services: SERVICES.into(),
                ..Policy::default()
            },
            services,
            databases,
            domain: domain.to_owned(),
            node: Capacity {
                memory_bytes: self.node_memory_bytes.unwrap_or_else(machine_memory),
                cpu_millicores: self.node_cpu_millicores.unwrap_or_else(machine_cpu),
            },
        }
    }

    /// The instance types there are.
    pub(crate) fn types(&self, owners: &[InstanceType]) -> InstanceTypes {
        InstanceTypes::new(self.cpu_millicores, self.memory_bytes, owners)
    }
}

/// Every mistake in `[[instance_type]]`, in words.
pub(super) fn type_mistakes(types: &[InstanceType]) -> Vec<String> {
    let mut mistakes = Vec::new();
    for (index, one) in types.iter().enumerate() {
        let place = format!("[[instance_type]] {}", one.name);
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
        if one.name.is_empty() || one.name.len() > NAME_BYTES_MAX || !one.name.bytes().all(is_plain) {
            mistakes.push(format!("{place}: a name is 1 to {NAME_BYTES_MAX} lower-case letters, digits, `-` or `.`"));
        }
        if one.name == DEFAULT {
            mistakes.push(format!("{place}: what `{DEFAULT}` is say memory_bytes and cpu_millicores of [instances]"));
        }
        if one.memory_bytes < MEMORY_BYTES_MIN || one.cpu_millicores < CPU_MILLICORES_MIN {
            mistakes.push(format!("{place}: 16 MiB (16777216) and 10 cpu_millicores are the least"));
        }
        if types.iter().take(index).any(|other| other.name == one.name) {
            mistakes.push(format!("{place}: this name is there twice"));
        }
    }
    mistakes
}

/// What the machine has, in bytes.
fn machine_memory() -> u64 {
    let told = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = told.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|total| total.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.map_or(u64::MAX >> 1, |kib| kib << 10)
}

/// What instances may be promised of the machine's processors, in thousandths of one.
fn machine_cpu() -> u64 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u64::try_from(cores).unwrap_or(1) * 1000 * SHARED_BY
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    #[test]
    fn mistakes_in_an_instance_type_are_told() {
        for (text, expected) in [
            ("name = 'Big'\nmemory_bytes = 33554432\ncpu_millicores = 100", "Big: a name is 1 to 40 lower-case"),
            ("name = 'default'\nmemory_bytes = 33554432\ncpu_millicores = 100", "of [instances]"),
            ("name = 'tiny'\nmemory_bytes = 1\ncpu_millicores = 100", "tiny: 16 MiB"),
        ] {
            let config: Config = toml::from_str(&format!("[[instance_type]]\n{text}")).unwrap();
            let told = config.check().unwrap_err().to_string();
            assert!(told.contains(expected), "{text}: {told}");
        }
        let text = "[[instance_type]]\nname = 'tiny'\nmemory_bytes = 33554432\ncpu_millicores = 100\n";
        toml::from_str::<Config>(text).unwrap().check().unwrap();
        assert!(toml::from_str::<Config>(&text.repeat(2)).unwrap().check().unwrap_err().to_string().contains("twice"));
    }
}
