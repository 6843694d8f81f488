//! Control groups of version 2 in a folder, for tests.

use std::fs;
use std::path::Path;

use super::Cgroups;
use crate::spec::Limits;

pub(super) const LIMITS: Limits =
    Limits { memory_bytes: 1 << 30, cpu_millicores: 1500, cpu_weight: 20, pids: 64, file_bytes: 0, open_files: 0 };

pub(super) fn version_2(root: &Path) -> Cgroups {
    fs::write(root.join("cgroup.controllers"), "cpu memory pids\n").unwrap();
    Cgroups::discover(root, "0::/\n")
}
