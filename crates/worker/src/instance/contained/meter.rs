//! What a container has used of processors, from the control group that its engine has put it in.

use std::fs;

use super::group::{self, Version};
use crate::meters::Read;

/// Reads for the group of a process that runs now; where there is none, what is read is nothing.
pub(super) fn of(pid: u32) -> Read {
    let counter = group::of(pid).map(|(folder, version)| match version {
        Version::One => (folder.join("cpuacct.usage"), version),
        Version::Two => (folder.join("cpu.stat"), version),
    });
    Box::new(move || {
        let (file, version) = counter.as_ref()?;
        used_us(&fs::read_to_string(file).ok()?, *version)
    })
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
    fn both_versions_of_counters_are_read() {
        assert_eq!(used_us("2500000\n", Version::One), Some(2500));
        assert_eq!(used_us("usage_usec 2500\nuser_usec 1\n", Version::Two), Some(2500));
    }
}
