//! Groups that an earlier process of ours has left because it was killed.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Cgroups, Group};

/// Kills and removes the groups named `prefix-…` whose maker no longer lives, and says how many there were.
///
/// To be called at start. The sandboxes themselves have died with their host; this is for their empty groups, and for
/// what an unforeseen kernel has let live.
pub fn sweep_leftovers(prefix: &str) -> usize {
    Cgroups::own().sweep(prefix)
}

impl Cgroups {
    /// [`sweep_leftovers`] below these groups.
    pub fn sweep(&self, prefix: &str) -> usize {
        let parents: BTreeSet<&Path> = self.parents.values().chain(&self.places).map(AsRef::as_ref).collect();
        let (mut swept, mut kept) = (BTreeSet::new(), BTreeSet::new());
        for parent in parents {
            for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
                let name = entry.file_name();
                if !is_left_over(&name, prefix) || !entry.path().is_dir() {
                    continue;
                }
                let group = Group::leftover(self.version, entry.path());
                let gone = group.kill().and_then(|()| group.remove()).is_ok();
                if gone {
                    swept.insert(name)
                } else {
                    kept.insert(name)
                };
            }
        }
        swept.difference(&kept).count()
    }
}

/// A name no other group has: the maker's process id and start time, then a number.
pub(crate) fn group_name(prefix: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    static OURS: OnceLock<(u32, u64)> = OnceLock::new();
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let (pid, started) = *OURS.get_or_init(|| (std::process::id(), started(std::process::id()).unwrap_or(0)));
    format!("{prefix}-{pid}-{started}-{number}")
}

fn is_left_over(name: &OsStr, prefix: &str) -> bool {
    let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(prefix)?.strip_prefix('-')) else { return false };
    let fields: Vec<Option<u64>> = rest.split('-').map(|field| field.parse().ok()).collect();
    let [Some(pid), Some(start), Some(_)] = fields[..] else { return false };
    u32::try_from(pid).is_ok_and(|pid| started(pid) != Some(start))
}

/// When a process started, in the kernel's ticks since boot: with its id it names one process for ever.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; the start is the 20th field after it.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::Controller;
    use super::*;

    #[test]
    fn only_groups_of_dead_processes_are_left_over() {
        let us = std::process::id();
        let start = started(us).unwrap();
        let check = |name: &str, expected| assert_eq!(is_left_over(OsStr::new(name), "skylift"), expected, "{name}");
        check(&group_name("skylift"), false);
        check(&format!("skylift-{us}-{start}-0"), false);
        check(&format!("skylift-{us}-{}-0", start + 1), true);
        check("skylift-4194305-1-0", true);
        check("skylift-host", false);
        check("other-4194305-1-0", false);
        check("skylift-4194305-1-0-x", false);
    }

    #[test]
    fn sweeping_removes_what_is_left_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("cgroup.controllers"), "memory pids\n").unwrap();
        for folder in ["skylift-4194305-1-0", "skylift-host", "someone-else"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        fs::create_dir(root.path().join(group_name("skylift"))).unwrap();
        let cgroups = Cgroups::discover(root.path(), "0::/\n");
        assert_eq!(cgroups.sweep("skylift"), 1);
        assert!(!root.path().join("skylift-4194305-1-0").exists());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 4);
    }

    #[test]
    fn a_leftover_that_one_controller_keeps_is_removed_from_the_others() {
        let root = tempfile::tempdir().unwrap();
        let name = "skylift-4194305-1-0";
        for controller in ["cpu", "freezer", "memory", "pids"] {
            fs::create_dir_all(root.path().join(controller).join(name)).unwrap();
        }
        fs::create_dir(root.path().join("cpu").join(name).join("inner")).unwrap();
        let cgroups = Cgroups::discover(root.path(), "1:memory:/\n2:pids:/\n3:cpu:/\n4:freezer:/\n");
        assert_eq!(cgroups.sweep("skylift"), 0, "it is not gone altogether");
        for controller in ["freezer", "memory", "pids"] {
            assert_eq!(fs::read_dir(root.path().join(controller)).unwrap().count(), 0, "{controller}");
        }
        fs::remove_dir(root.path().join("cpu").join(name).join("inner")).unwrap();
        assert_eq!(cgroups.sweep("skylift"), 1);
    }

    #[test]
    fn what_was_left_in_a_group_above_is_found_from_below() {
        let root = tempfile::tempdir().unwrap();
        let own = root.path().join("slice/service");
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("cgroup.controllers"), "cpu memory pids\n").unwrap();
        let left = root.path().join("slice/skylift-4194305-1-0");
        fs::create_dir(&left).unwrap();
        let cgroups = Cgroups::discover(root.path(), "0::/slice/service\n");
        assert_eq!(cgroups.parents[&Controller::Memory], own);
        assert_eq!(cgroups.sweep("skylift"), 1);
        assert!(!left.exists());
    }
}
