//! The group of one sandbox: made with its limits, joined by its first process, read, killed, removed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal};

use super::{Cgroups, Controller, Version};
use crate::InUse;
use crate::process::pause;
use crate::spec::Limits;

#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    #[error("make the control group {path}")]
    Make {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("set {path} to {value}")]
    Set {
        path: PathBuf,
        value: String,
        #[source]
        source: io::Error,
    },
    #[error("move process {pid} into {path}")]
    Join {
        pid: i32,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("processes in {path} cannot be killed")]
    Unkillable { path: PathBuf },
    #[error("remove the control group {path}")]
    Remove {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The folders of one sandbox, one per controller in version 1, one for all in version 2. Removed when dropped.
#[derive(Debug)]
pub struct Group {
    version: Version,
    folders: BTreeMap<Controller, PathBuf>,
}

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

/// The scheduler's period, in which a group may use its quota.
const CPU_PERIOD_US: u64 = 100_000;
/// What version 1 gives whoever says nothing, and the least it takes.
const V1_SHARES: u32 = 1024;
const V1_SHARES_MIN: u32 = 2;
/// How often, and with what pause between, a dying group is looked at again: four seconds in all.
const ATTEMPTS: u32 = 800;
const PAUSE_MS: u32 = 5;

impl Cgroups {
    /// Makes the groups for one sandbox and sets its limits.
    ///
    /// # Errors
    /// When a usable controller refuses; nothing is left behind then.
    pub fn create(&self, name: &str, limits: &Limits) -> Result<Group, GroupError> {
        let mut group = Group { version: self.version, folders: BTreeMap::new() };
        group.make(&self.parents, name)?;
        group.set(limits)?;
        Ok(group)
    }
}

impl Group {
    /// Puts a process in; its children follow.
    ///
    /// # Errors
    /// When the kernel refuses, as it does for a process that has ended.
    pub fn join(&self, pid: Pid) -> Result<(), GroupError> {
        let pid = pid.as_raw_nonzero().get();
        for path in self.paths() {
            fs::write(path.join("cgroup.procs"), pid.to_string()).map_err(|source| GroupError::Join {
                pid,
                path: path.to_owned(),
                source,
            })?;
        }
        Ok(())
    }

    /// What has been used until now.
    pub fn usage(&self) -> Usage {
        let file = |controller, v1, v2| self.read(controller, v1, v2).unwrap_or_default();
        let number = |text: String| text.trim().parse().ok();
        let cpu_ms = match self.version {
            Version::V1 => number(file(Controller::CpuAccount, "cpuacct.usage", "")).map(|ns: u64| ns / 1_000_000),
            // Every group has this file, with the controller or without.
            Version::V2 => field(&self.read_any("cpu.stat").unwrap_or_default(), "usage_usec").map(|us| us / 1000),
        };
        let memory_events = file(Controller::Memory, "memory.oom_control", "memory.events");
        Usage {
            peak_memory_bytes: number(file(Controller::Memory, "memory.max_usage_in_bytes", "memory.peak")),
            cpu_ms,
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
        let cpu_us = match self.version {
            Version::V1 => number(Controller::CpuAccount, "cpuacct.usage", "").map(|ns| ns / 1000),
            Version::V2 => field(&self.read_any("cpu.stat").unwrap_or_default(), "usage_usec"),
        };
        let pids = number(Controller::Pids, "pids.current", "pids.current").and_then(|pids| pids.try_into().ok());
        InUse { memory_bytes, cpu_us, pids }
    }

    /// Kills every process in it and waits until none is left. May be repeated.
    ///
    /// # Errors
    /// When some will not die, which only the kernel can cause; all of its folders have been tried then.
    pub fn kill(&self) -> Result<(), GroupError> {
        first_error(self.paths().into_iter().map(|path| self.kill_in(path)))
    }

    /// Removes the folders of a group whose processes have ended. May be repeated.
    ///
    /// # Errors
    /// When processes are left in one; the others have been removed then.
    pub fn remove(&self) -> Result<(), GroupError> {
        first_error(self.paths().into_iter().map(remove_folder))
    }

    pub(super) fn leftover(version: Version, path: PathBuf) -> Self {
        Self { version, folders: BTreeMap::from([(Controller::Pids, path)]) }
    }

    fn kill_in(&self, path: &Path) -> Result<(), GroupError> {
        for _ in 0..ATTEMPTS {
            let members = members(path);
            if members.is_empty() {
                return Ok(());
            }
            self.kill_once(path, &members);
            pause(PAUSE_MS);
        }
        Err(GroupError::Unkillable { path: path.to_owned() })
    }

    /// Version 2 kills in one step. Version 1 stops the tree first, where it can, so that no fork outruns the kills.
    fn kill_once(&self, path: &Path, members: &[Pid]) {
        if self.version == Version::V2 && fs::write(path.join("cgroup.kill"), "1").is_ok() {
            return;
        }
        let freezer = self.folders.get(&Controller::Freezer).map(|path| path.join("freezer.state"));
        let freeze = |state| freezer.as_ref().map(|file| fs::write(file, state));
        freeze("FROZEN");
        for pid in members {
            let _ = rustix::process::kill_process(*pid, Signal::KILL);
        }
        freeze("THAWED");
    }

    fn make(&mut self, parents: &BTreeMap<Controller, PathBuf>, name: &str) -> Result<(), GroupError> {
        for (controller, parent) in parents {
            let path = parent.join(name);
            match fs::create_dir(&path) {
                Ok(()) => {}
                Err(_) if self.folders.values().any(|made| *made == path) => {}
                Err(source) => return Err(GroupError::Make { path, source }),
            }
            self.folders.insert(*controller, path);
        }
        Ok(())
    }

    fn set(&self, limits: &Limits) -> Result<(), GroupError> {
        for (controller, file, value) in settings(self.version, limits) {
            let Some(folder) = self.folders.get(&controller) else { continue };
            let path = folder.join(file);
            match fs::write(&path, &value) {
                // A kernel without swap accounting has no file for it, and no swap for a group to hide in.
                Err(_) if SWAP_FILES.contains(&file) && !path.exists() => {}
                written => written.map_err(|source| GroupError::Set { path, value, source })?,
            }
        }
        Ok(())
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

    fn paths(&self) -> BTreeSet<&Path> {
        self.folders.values().map(PathBuf::as_path).collect()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = self.remove();
    }
}

const SWAP_FILES: [&str; 2] = ["memory.memsw.limit_in_bytes", "memory.swap.max"];

/// In the order to be written: version 1 refuses a limit with swap below the one without.
fn settings(version: Version, limits: &Limits) -> Vec<(Controller, &'static str, String)> {
    let memory = limits.memory_bytes.to_string();
    let pids = limits.pids.to_string();
    let weight = limits.cpu_weight.clamp(1, 10_000);
    let quota_us = u64::from(limits.cpu_millicores) * CPU_PERIOD_US / 1000;
    match version {
        Version::V1 => vec![
            (Controller::Memory, "memory.limit_in_bytes", memory.clone()),
            (Controller::Memory, "memory.memsw.limit_in_bytes", memory),
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

/// The number after `name` in a file of `name number` lines.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

fn members(path: &Path) -> Vec<Pid> {
    let text = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| Pid::from_raw(line.trim().parse().ok()?)).collect()
}

/// Does all of them, whatever becomes of each: what one controller keeps is no reason to leave the others.
fn first_error(results: impl Iterator<Item = Result<(), GroupError>>) -> Result<(), GroupError> {
    results.fold(Ok(()), Result::and)
}

/// A group stays busy for a moment after its last process has been reaped.
fn remove_folder(path: &Path) -> Result<(), GroupError> {
    for _ in 0..ATTEMPTS {
        match fs::remove_dir(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => pause(PAUSE_MS),
            Err(source) => return Err(GroupError::Remove { path: path.to_owned(), source }),
        }
    }
    Err(GroupError::Remove { path: path.to_owned(), source: io::ErrorKind::ResourceBusy.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { memory_bytes: 1 << 30, cpu_millicores: 1500, cpu_weight: 20, pids: 64, file_bytes: 0, open_files: 0 };

    fn version_2(root: &Path) -> Cgroups {
        fs::write(root.join("cgroup.controllers"), "cpu memory pids\n").unwrap();
        Cgroups::discover(root, "0::/\n")
    }

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

    #[test]
    fn a_group_that_cannot_be_limited_is_not_left_behind() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("memory")).unwrap();
        let cgroups = Cgroups::discover(root.path(), "1:memory:/\n2:pids:/\n");
        // The name leads through a file, so that making the group fails.
        fs::write(root.path().join("memory/file"), "").unwrap();
        assert!(matches!(cgroups.create("file/x", &LIMITS), Err(GroupError::Make { .. })));
        assert_eq!(fs::read_dir(root.path().join("memory")).unwrap().count(), 1);
    }

    #[test]
    fn a_controller_that_keeps_its_folder_does_not_keep_the_others() {
        let root = tempfile::tempdir().unwrap();
        for controller in ["cpu", "memory", "pids"] {
            fs::create_dir(root.path().join(controller)).unwrap();
        }
        let cgroups = Cgroups::discover(root.path(), "1:memory:/\n2:pids:/\n3:cpu:/\n");
        let mut group = Group { version: Version::V1, folders: BTreeMap::new() };
        group.make(&cgroups.parents, "skylift-1").unwrap();
        // A fake folder is not removed while there is something in it, as a real one with a process is not.
        fs::create_dir(root.path().join("cpu/skylift-1/inner")).unwrap();

        let Err(GroupError::Remove { path, .. }) = group.remove() else { panic!("the first error is told") };
        assert_eq!(path, root.path().join("cpu/skylift-1"));
        assert!(path.exists() && !root.path().join("memory/skylift-1").exists());
        assert!(!root.path().join("pids/skylift-1").exists(), "those after the one that failed are gone too");
        fs::remove_dir(path.join("inner")).unwrap();
        group.remove().unwrap();
        assert!(!path.exists());
    }
}
