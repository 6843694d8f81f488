//! What a container has used of processors, from the control group that its engine has put it in.

use std::fs;
use std::path::{Path, PathBuf};

use crate::meters::Read;

const GROUPS: &str = "/sys/fs/cgroup";

/// Reads for the group of a process that runs now; where there is none, what is read is nothing.
pub(super) fn of(pid: u32) -> Read {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let counter = counter(&groups);
    Box::new(move || {
        let (file, version) = counter.as_ref()?;
        used_us(&fs::read_to_string(file).ok()?, *version)
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// The file that counts, by the lines `id:controllers:path` of a process.
fn counter(groups: &str) -> Option<(PathBuf, Version)> {
    let lines = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        Some((parts.next()?, parts.next()?.trim_start_matches('/')))
    });
    let lines: Vec<_> = lines.collect();
    let counts = |controllers: &str| controllers.split(',').any(|controller| controller == "cpuacct");
    if let Some((controllers, path)) = lines.iter().find(|(controllers, _)| counts(controllers)) {
        return Some((Path::new(GROUPS).join(controllers).join(path).join("cpuacct.usage"), Version::One));
    }
    let (_, path) = lines.iter().find(|(controllers, _)| controllers.is_empty())?;
    Some((Path::new(GROUPS).join(path).join("cpu.stat"), Version::Two))
}

fn used_us(text: &str, version: Version) -> Option<u64> {
    match version {
        Version::One => Some(text.trim().parse::<u64>().ok()? / 1000),
        Version::Two => text.lines().find_map(|line| line.strip_prefix("usage_usec "))?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_groups_are_read() {
        let told = |groups| counter(groups).map(|(file, version)| (file.display().to_string(), version));
        let one = "9:name=systemd:/docker/ab\n4:cpu,cpuacct:/docker/ab\n0::/\n";
        assert_eq!(told(one), Some(("/sys/fs/cgroup/cpu,cpuacct/docker/ab/cpuacct.usage".to_owned(), Version::One)));
        let two = "0::/system.slice/docker-ab.scope\n";
        let file = "/sys/fs/cgroup/system.slice/docker-ab.scope/cpu.stat".to_owned();
        assert_eq!(told(two), Some((file, Version::Two)));
        assert_eq!(told(""), None);
        assert_eq!(used_us("2500000\n", Version::One), Some(2500));
        assert_eq!(used_us("usage_usec 2500\nuser_usec 1\n", Version::Two), Some(2500));
    }
}
