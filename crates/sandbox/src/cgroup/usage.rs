//! What a group has used and what it has in use, read from the files of either version.

use std::fs;

use super::group::Group;
use super::{Controller, Version};
use crate::InUse;

/// What a group has counted; what cannot be read here is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub peak_memory_bytes: Option<u64>,
    pub cpu_ms: Option<u64>,
    /// Processes killed for want of memory.
    pub memory_kills: u64,
    /// Forks refused because of the limit.
    pub pids_refused: u64,
}

impl Group {
    /// What has been used until now.
    pub fn usage(&self) -> Usage {
        let file = |controller, v1, v2| self.read(controller, v1, v2).unwrap_or_default();
        let number = |text: String| text.trim().parse().ok();
        let memory_events = file(Controller::Memory, "memory.oom_control", "memory.events");
        Usage {
            peak_memory_bytes: number(file(Controller::Memory, "memory.max_usage_in_bytes", "memory.peak")),
            cpu_ms: self.cpu_us().map(|us| us / 1000),
            memory_kills: field(&memory_events, "oom_kill").unwrap_or(0),
            pids_refused: field(&file(Controller::Pids, "pids.events", "pids.events"), "max").unwrap_or(0),
        }
    }

    /// What is in use at this moment.
    pub(crate) fn now(&self) -> InUse {
        let number = |controller, v1, v2| self.read(controller, v1, v2)?.trim().parse::<u64>().ok();
        let memory_bytes = number(Controller::Memory, "memory.usage_in_bytes", "memory.current").map(|all| {
            let parts = self.read(Controller::Memory, "memory.stat", "memory.stat").unwrap_or_default();
            let inactive = match self.version {
                Version::V1 => field(&parts, "total_inactive_file"),
                Version::V2 => field(&parts, "inactive_file"),
            };
            all.saturating_sub(inactive.unwrap_or(0))
        });
        let pids = number(Controller::Pids, "pids.current", "pids.current").and_then(|pids| pids.try_into().ok());
        InUse { memory_bytes, cpu_us: self.cpu_us(), pids }
    }

    /// What has been used of processors until now, in microseconds.
    pub(crate) fn cpu_us(&self) -> Option<u64> {
        match self.version {
            Version::V1 => {
                let ns: u64 = self.read(Controller::CpuAccount, "cpuacct.usage", "")?.trim().parse().ok()?;
                Some(ns / 1000)
            }
            // Every group has this file, with the controller or without.
            Version::V2 => field(&self.read_any("cpu.stat")?, "usage_usec"),
        }
    }

    fn read(&self, controller: Controller, v1: &str, v2: &str) -> Option<String> {
        let file = match self.version {
            Version::V1 => v1,
            Version::V2 => v2,
        };
        fs::read_to_string(self.folders.get(&controller)?.join(file)).ok()
    }

    /// A file of the group itself, not of a controller.
    fn read_any(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.folders.values().next()?.join(file)).ok()
    }
}

/// The number after `name` in a file of `name number` lines.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::super::trial::{LIMITS, version_2};
    use super::*;

    #[test]
    fn version_2_says_what_was_used_and_which_limits_were_met() {
        let root = tempfile::tempdir().unwrap();
        let group = version_2(root.path()).create("skylift-1", &LIMITS).unwrap();
        assert_eq!(group.usage(), Usage::default());
        let write = |file: &str, text: &str| fs::write(root.path().join("skylift-1").join(file), text).unwrap();
        write("memory.peak", "12345\n");
        write("memory.events", "low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 0\n");
        write("pids.events", "max 7\n");
        write("cpu.stat", "usage_usec 2500000\nuser_usec 1\n");
        let expected = Usage { peak_memory_bytes: Some(12345), cpu_ms: Some(2500), memory_kills: 2, pids_refused: 7 };
        assert_eq!(group.usage(), expected);
    }

    #[test]
    fn version_2_says_what_is_in_use_without_the_cache_that_would_go_first() {
        let root = tempfile::tempdir().unwrap();
        let group = version_2(root.path()).create("skylift-1", &LIMITS).unwrap();
        assert_eq!(group.now(), InUse::default());
        let write = |file: &str, text: &str| fs::write(root.path().join("skylift-1").join(file), text).unwrap();
        write("memory.current", "10000\n");
        write("memory.stat", "anon 6000\ninactive_file 3000\nactive_file 1000\n");
        write("cpu.stat", "usage_usec 2500\nuser_usec 1\n");
        write("pids.current", "5\n");
        assert_eq!(group.now(), InUse { memory_bytes: Some(7000), cpu_us: Some(2500), pids: Some(5) });
    }
}
