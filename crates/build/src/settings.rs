//! The platform's settings for builds, `[build]` in config.toml.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skylift_egress::{HostPattern, OwnerEntry};

use crate::frames::IntakeLimits;
use crate::git::{GitAddress, GitPolicy};

/// More builds at once are a slip of the finger.
const CONCURRENCY_MAX: usize = 1024;

/// How builds run: how many, with how much, reaching what.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BuildSettings {
    /// How many builds run at once; 0 is half the machine's cores, at least 2, so that a plain site need not wait for
    /// somebody's long build.
    pub concurrency: usize,
    /// Memory of one build.
    pub memory_bytes: u64,
    /// CPU of one build, in thousandths of a core; 0 is all cores.
    pub cpu_millicores: u32,
    /// A build's part of a CPU that others want too; the platform, which serves, has 100.
    pub cpu_weight: u32,
    /// Processes and threads of one build.
    pub pids: u32,
    /// What one build may write to disk.
    pub disk_bytes: u64,
    /// How many files and folders one build may make.
    pub disk_inodes: u64,
    /// How long one step may take, in seconds.
    pub step_seconds: u64,
    /// How many bytes one step may print.
    pub output_bytes: u64,
    /// How large a fetched source may be.
    pub source: IntakeLimits,
    /// How large the result may be.
    pub result: IntakeLimits,
    /// What builds may reach.
    pub egress: EgressSettings,
    /// How package managers are set up.
    pub client: ClientSettings,
    /// Which Git sources are allowed besides public ones.
    pub git: GitSettings,
}

/// What builds may reach.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EgressSettings {
    /// Private hosts (`host`, `address`, with `:port` where only one is meant) that builds and clones may reach.
    pub allow: Vec<String>,
    /// Where there is a list, only its host names (`*.example.org` for all below one) are reached.
    pub only: Option<Vec<String>>,
}

/// How package managers are set up. What is left out is taken from this node's own client settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientSettings {
    /// npm's registry.
    pub npm_registry: Option<String>,
    /// pip's index.
    pub pip_index_url: Option<String>,
    /// A file with the certificates to trust, in PEM.
    pub ca_file: Option<PathBuf>,
    /// Further variables for every build, such as a mirror's address. No secrets: builds are not trusted.
    pub env: BTreeMap<String, String>,
}

/// Which Git sources are allowed besides public https and ssh ones.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GitSettings {
    /// How long a clone may take, in seconds.
    pub clone_seconds: u64,
    /// What a clone may write to disk, history and files together.
    pub clone_bytes: u64,
    /// For how many seconds a server may send next to nothing.
    pub stall_seconds: u64,
    /// Folders of this machine whose repositories may be cloned with `file://`.
    pub allow_file_paths: Vec<PathBuf>,
    /// Hosts that may be cloned from over plain `http` or `git`.
    pub allow_insecure_hosts: Vec<String>,
    /// A file with the host keys of ssh servers (`known_hosts`). Without one, whatever key a server shows is taken.
    pub known_hosts: Option<PathBuf>,
}

impl Default for GitSettings {
    fn default() -> Self {
        Self {
            clone_seconds: 600,
            clone_bytes: 4 << 30,
            stall_seconds: 30,
            allow_file_paths: Vec::new(),
            allow_insecure_hosts: Vec::new(),
            known_hosts: None,
        }
    }
}

impl Default for BuildSettings {
    fn default() -> Self {
        Self {
            concurrency: 0,
            memory_bytes: 2 << 30,
            cpu_millicores: 0,
            cpu_weight: 20,
            pids: 1024,
            disk_bytes: 8 << 30,
            disk_inodes: 1_000_000,
            step_seconds: 900,
            output_bytes: 32 << 20,
            source: IntakeLimits::default(),
            result: IntakeLimits { files_max: 100_000, bytes_max: 2 << 30, file_bytes_max: 512 << 20 },
            egress: EgressSettings::default(),
            client: ClientSettings::default(),
            git: GitSettings::default(),
        }
    }
}

impl BuildSettings {
    /// How many builds run at once.
    pub fn concurrency(&self) -> usize {
        match self.concurrency {
            0 => (cores() / 2).max(2),
            some => some,
        }
    }

    /// CPU of one build, in thousandths of a core.
    pub fn millicores(&self) -> u32 {
        match self.cpu_millicores {
            0 => u32::try_from(cores()).unwrap_or(1) * 1000,
            some => some,
        }
    }

    /// How long one step may take.
    pub fn step_limit(&self) -> Duration {
        Duration::from_secs(self.step_seconds)
    }

    /// Every mistake in the settings, for people; empty where there is none.
    pub fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        for entry in &self.egress.allow {
            if let Err(error) = entry.parse::<OwnerEntry>() {
                mistakes.push(format!("[build.egress] allow: `{entry}`: {error}"));
            }
        }
        for pattern in self.egress.only.iter().flatten() {
            if let Err(error) = pattern.parse::<HostPattern>() {
                mistakes.push(format!("[build.egress] only: `{pattern}`: {error}"));
            }
        }
        if !(1..=10_000).contains(&self.cpu_weight) {
            mistakes.push("[build] cpu_weight: 1 to 10,000, where the platform has 100".to_owned());
        }
        if self.memory_bytes < 64 << 20 {
            mistakes.push("[build] memory_bytes: a build needs 64 MiB at least".to_owned());
        }
        if self.concurrency > CONCURRENCY_MAX {
            mistakes.push(format!("[build] concurrency: at most {CONCURRENCY_MAX}; 0 chooses by the machine's cores"));
        }
        let needed = [
            ("pids", u64::from(self.pids)),
            ("disk_bytes", self.disk_bytes),
            ("disk_inodes", self.disk_inodes),
            ("step_seconds", self.step_seconds),
            ("output_bytes", self.output_bytes),
        ];
        for (name, _) in needed.into_iter().filter(|(_, value)| *value == 0) {
            mistakes.push(format!("[build] {name}: with 0 no build can end well; leave it out for the default"));
        }
        for (name, value) in [("clone_seconds", self.git.clone_seconds), ("stall_seconds", self.git.stall_seconds)] {
            if value == 0 {
                mistakes.push(format!("[build.git] {name}: a clone needs a second at least"));
            }
        }
        for path in &self.git.allow_file_paths {
            if !path.is_absolute() {
                mistakes.push(format!("[build.git] allow_file_paths: `{}` is not absolute", path.display()));
            }
        }
        mistakes
    }

    /// What builds may reach.
    pub fn policy(&self) -> skylift_egress::Policy {
        let patterns = |list: &Vec<String>| list.iter().filter_map(|pattern| pattern.parse().ok()).collect();
        skylift_egress::Policy {
            platform_hosts: self.egress.only.as_ref().map(patterns),
            owner_allowed: self.egress.allow.iter().filter_map(|entry| entry.parse().ok()).collect(),
            ..skylift_egress::Policy::default()
        }
    }
}

impl BuildSettings {
    /// Which Git addresses are allowed.
    pub fn git_policy(&self) -> GitPolicy {
        GitPolicy {
            allow_file_paths: self.git.allow_file_paths.clone(),
            allow_insecure_hosts: self.git.allow_insecure_hosts.clone(),
        }
    }

    /// What the clone of an address may reach: what builds may, and the port that the address names.
    pub fn policy_for(&self, address: &GitAddress) -> skylift_egress::Policy {
        let mut policy = self.policy();
        if let Some(port) = address.port().filter(|port| !policy.ports.contains(port)) {
            policy.ports.push(port);
            policy.ports.sort_unstable();
        }
        policy
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
