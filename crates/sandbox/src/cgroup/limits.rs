//! The limits of a group, in the words of either version.

use std::fs;

use super::group::{Group, GroupError};
use super::{Controller, Version};
use crate::spec::Limits;

/// The scheduler's period, in which a group may use its quota.
const CPU_PERIOD_US: u64 = 100_000;
/// What version 1 gives whoever says nothing, and the least it takes.
const V1_SHARES: u32 = 1024;
const V1_SHARES_MIN: u32 = 2;
const V1_MEMORY: &str = "memory.limit_in_bytes";
const UNSURE_FILES: [&str; 3] = ["memory.memsw.limit_in_bytes", "memory.swap.max", "memory.kmem.tcp.limit_in_bytes"];
/// Version 1 counts what sockets hold apart from all else: a share of the memory on top, one part in so many.
const V1_SOCKETS_SHARE: u64 = 8;

impl Group {
    /// Writes down those that it has not yet.
    ///
    /// # Errors
    /// When the kernel refuses one that it has a file for.
    pub(crate) fn limit(&mut self, limits: &Limits) -> Result<(), GroupError> {
        let mut settings = settings(self.version, limits);
        if self.has_less_memory_than(limits) {
            // The greater one first.
            settings.swap(0, 1);
        }
        for (controller, file, value) in settings {
            let Some(folder) = self.folders.get(&controller).filter(|_| self.set.get(file) != Some(&value)) else {
                continue;
            };
            let path = folder.join(file);
            match fs::write(&path, &value) {
                // A kernel that does not account for something has no file for it.
                Err(_) if UNSURE_FILES.contains(&file) && !path.exists() => {}
                Err(source) => return Err(GroupError::Set { path, value, source }),
                Ok(()) => drop(self.set.insert(file, value)),
            }
        }
        Ok(())
    }

    /// Whether its memory was limited, and is to be more now.
    fn has_less_memory_than(&self, limits: &Limits) -> bool {
        let set = self.set.get(V1_MEMORY).and_then(|bytes| bytes.parse::<u64>().ok());
        set.is_some_and(|bytes| bytes < limits.memory_bytes)
    }
}

/// In the order to be written: version 1 refuses a limit with swap below the one without.
fn settings(version: Version, limits: &Limits) -> Vec<(Controller, &'static str, String)> {
    let memory = limits.memory_bytes.to_string();
    let pids = limits.pids.to_string();
    let weight = limits.cpu_weight.clamp(1, 10_000);
    let quota_us = u64::from(limits.cpu_millicores) * CPU_PERIOD_US / 1000;
    match version {
        Version::V1 => vec![
            (Controller::Memory, V1_MEMORY, memory.clone()),
            (Controller::Memory, "memory.memsw.limit_in_bytes", memory),
            (
                Controller::Memory,
                "memory.kmem.tcp.limit_in_bytes",
                (limits.memory_bytes / V1_SOCKETS_SHARE).to_string(),
            ),
            (Controller::Pids, "pids.max", pids),
            (Controller::Cpu, "cpu.cfs_period_us", CPU_PERIOD_US.to_string()),
            (Controller::Cpu, "cpu.cfs_quota_us", quota_us.to_string()),
            (Controller::Cpu, "cpu.shares", (weight * V1_SHARES / 100).max(V1_SHARES_MIN).to_string()),
        ],
        Version::V2 => vec![
            (Controller::Memory, "memory.max", memory),
            (Controller::Memory, "memory.swap.max", "0".to_owned()),
            (Controller::Pids, "pids.max", pids),
            (Controller::Cpu, "cpu.max", format!("{quota_us} {CPU_PERIOD_US}")),
            (Controller::Cpu, "cpu.weight", weight.to_string()),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{LIMITS, version_2};
    use super::*;

    #[test]
    fn version_2_limits_memory_swap_processes_and_cpu() {
        let root = tempfile::tempdir().unwrap();
        version_2(root.path()).create("skylift-1", &LIMITS).unwrap();
        let read = |file: &str| fs::read_to_string(root.path().join("skylift-1").join(file)).unwrap();
        assert_eq!(read("memory.max"), "1073741824");
        assert_eq!(read("memory.swap.max"), "0");
        assert_eq!(read("pids.max"), "64");
        assert_eq!(read("cpu.max"), "150000 100000");
        assert_eq!(read("cpu.weight"), "20");
    }

    #[test]
    fn version_1_states_a_weight_in_shares() {
        let shares = |cpu_weight| {
            let all = settings(Version::V1, &Limits { cpu_weight, ..LIMITS });
            all.into_iter().find(|(_, file, _)| *file == "cpu.shares").map(|(_, _, value)| value)
        };
        assert_eq!(shares(100).as_deref(), Some("1024"));
        assert_eq!(shares(20).as_deref(), Some("204"));
        assert_eq!(shares(0).as_deref(), Some("10"));
    }
}
