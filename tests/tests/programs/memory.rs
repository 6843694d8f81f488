//! What an instance takes of memory beside its app: our two processes of its sandbox.

use std::fs;

use skylift_tests::platform::Platform;
use skylift_tests::skip;

/// Asserts that the sandboxes of instances are small executables, and what our part of each shares with nobody is at most half a
/// mebibyte. The platform's own executable takes more by its tables of addresses alone.
pub(crate) fn of_each_is_little(platform: &Platform) {
    if platform.spread.is_some() || !skip::unless_root("of_each_is_little") {
        return;
    }
    let watchers: Vec<u32> = children(platform.pid()).into_iter().filter(|pid| is_sandbox(*pid)).collect();
    assert!(!watchers.is_empty(), "no instance of {} was found", platform.pid());
    for watcher in watchers {
        let executable = fs::read_link(format!("/proc/{watcher}/exe")).unwrap();
        assert_eq!(executable.to_str(), Some("/memfd:sandbox-init (deleted)"));
        let (watching, first) = (own_kib(watcher), children(watcher).into_iter().map(own_kib).sum::<u64>());
        assert!(watching > 0 && first > 0 && watching + first <= 512, "{watching} KiB and {first} KiB");
    }
}

fn is_sandbox(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.ends_with(b"\0sandbox-init\0"))
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let lines = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
    lines.collect::<String>().split_whitespace().map(|child| child.parse().unwrap()).collect()
}

/// What is no file's. What one process and its child share is counted by halves.
fn own_kib(pid: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss_Anon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
