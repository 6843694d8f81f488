//! Control groups, version 1 and 2: the limits that hold for a whole process tree, and what it has used.
//!
//! Groups are made below the one this process is in or, with version 2, one above it ([`Cgroups::discover`]), one per sandbox and controller, and are
//! named after the process that made them, so that a later one finds what a killed one has left
//! ([`sweep_leftovers`]). What is not usable here is not an error: it is in [`Cgroups::missing`], and said by
//! `skylift doctor`.

mod discover;
mod group;
mod hand_down;
mod leftovers;
mod limits;
mod spares;
#[cfg(test)]
mod trial;
mod usage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub(crate) use group::members;
pub use group::{Group, GroupError};
pub(crate) use leftovers::group_name;
pub use leftovers::sweep_leftovers;
pub(crate) use spares::Spares;
pub use usage::Usage;

/// Where the system mounts control groups.
pub const MOUNTED_AT: &str = "/sys/fs/cgroup";

/// What one controller does for a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Controller {
    Memory,
    Pids,
    Cpu,
    /// Counts CPU time; in version 2 part of every group.
    CpuAccount,
    /// Stops a tree while it is killed; in version 2 part of every group, and not needed.
    Freezer,
}

/// The interface the kernel offers for the controllers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V1,
    V2,
}

/// The groups we may make groups in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroups {
    pub version: Version,
    parents: BTreeMap<Controller, PathBuf>,
    /// Version 2: the groups that an earlier process of ours may have chosen as its parent.
    places: Vec<PathBuf>,
}

impl Cgroups {
    /// Those of this process, found once.
    pub fn own() -> &'static Self {
        static OWN: OnceLock<Cgroups> = OnceLock::new();
        OWN.get_or_init(|| {
            let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
            let mut cgroups = Self::discover(Path::new(MOUNTED_AT), &own);
            cgroups.settle(Path::new(MOUNTED_AT), &own);
            cgroups
        })
    }

    /// The controllers a sandbox should have and cannot.
    pub fn missing(&self) -> Vec<Controller> {
        let wanted = match self.version {
            Version::V1 => &[Controller::Memory, Controller::Pids, Controller::Cpu, Controller::CpuAccount][..],
            Version::V2 => &[Controller::Memory, Controller::Pids, Controller::Cpu][..],
        };
        wanted.iter().filter(|controller| !self.has(**controller)).copied().collect()
    }

    /// The controllers a sandbox has here.
    pub fn usable(&self) -> impl Iterator<Item = Controller> {
        self.parents.keys().copied()
    }

    /// Whether this controller can be used.
    pub fn has(&self, controller: Controller) -> bool {
        self.parents.contains_key(&controller)
    }
}

impl Controller {
    /// Its name in `/proc/self/cgroup` and in `cgroup.controllers`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
            Self::CpuAccount => "cpuacct",
            Self::Freezer => "freezer",
        }
    }
}
