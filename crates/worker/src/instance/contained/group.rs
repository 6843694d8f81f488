//! The control group that an engine has put a container in.

use std::fs;
use std::path::{Path, PathBuf};

const GROUPS: &str = "/sys/fs/cgroup";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// The group of a process that runs now: a folder that names its processes and counts what they use of processors.
pub(super) fn of(pid: u32) -> Option<(PathBuf, Version)> {
    named_in(&fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?)
}

/// By the lines `id:controllers:path` of a process.
fn named_in(groups: &str) -> Option<(PathBuf, Version)> {
    let lines = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        Some((parts.next()?, parts.next()?.trim_start_matches('/')))
    });
    let lines: Vec<_> = lines.collect();
    let counts = |controllers: &str| controllers.split(',').any(|controller| controller == "cpuacct");
    if let Some((controllers, path)) = lines.iter().find(|(controllers, _)| counts(controllers)) {
        return Some((Path::new(GROUPS).join(controllers).join(path), Version::One));
    }
    let (_, path) = lines.iter().find(|(controllers, _)| controllers.is_empty())?;
    Some((Path::new(GROUPS).join(path), Version::Two))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_groups_are_found() {
        let told = |groups| named_in(groups).map(|(folder, version)| (folder.display().to_string(), version));
        let one = "9:name=systemd:/docker/ab\n4:cpu,cpuacct:/docker/ab\n0::/\n";
        assert_eq!(told(one), Some(("/sys/fs/cgroup/cpu,cpuacct/docker/ab".to_owned(), Version::One)));
        let two = "0::/system.slice/docker-ab.scope\n";
        assert_eq!(told(two), Some(("/sys/fs/cgroup/system.slice/docker-ab.scope".to_owned(), Version::Two)));
        assert_eq!(told(""), None);
    }
}
