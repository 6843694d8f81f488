//! What a platform has on this machine besides its files: processes, what they see mounted, control groups. Once it has
//! stopped, there must be nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::wait::PATIENCE;

/// Counting reads all of `/proc`.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What was found; each list is sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Processes that name the platform's folder, or see something of it mounted; a network namespace lives as long as
    /// the last process in it.
    pub processes: BTreeSet<u32>,
    /// Mounts of this machine that show something of the folder.
    pub mounts: BTreeSet<String>,
    /// Control groups that the platform made.
    pub groups: BTreeSet<PathBuf>,
    /// Files and folders in the system's folder for temporary ones that carry the id of one of its processes.
    pub temporary: BTreeSet<PathBuf>,
}

impl Census {
    /// Counts what belongs to the platform in a folder, whose processes had these ids and starts.
    pub fn of(folder: &Path, processes: &[(u32, u64)]) -> Self {
        let name = folder.to_str().expect("a name of our own");
        let own = std::process::id();
        let all = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let mut groups = BTreeSet::new();
        groups_below(Path::new("/sys/fs/cgroup"), processes, 6, &mut groups);
        Self {
            processes: all.filter(|pid| *pid != own && is_about(*pid, name)).collect(),
            mounts: lines_with(&PathBuf::from("/proc/self/mountinfo"), name).into_iter().collect(),
            groups,
            temporary: temporary(processes),
        }
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Waits until nothing is found, since what a build left is removed in the background; else says what is there.
    pub async fn becomes_empty(count: impl Fn() -> Self) {
        let began = Instant::now();
        loop {
            let found = count();
            if found.is_empty() {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "still there: {found:?}, {:?}", found.command_lines());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn command_lines(&self) -> Vec<String> {
        let line = |pid: &u32| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        self.processes.iter().map(|pid| String::from_utf8_lossy(&line(pid)).replace('\0', " ")).collect()
    }
}

fn is_about(pid: u32, name: &str) -> bool {
    let of = |file: &str| PathBuf::from(format!("/proc/{pid}/{file}"));
    let says = |file: &str| fs::read(of(file)).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(name));
    let in_it = fs::read_link(of("cwd")).is_ok_and(|folder| folder.starts_with(name));
    says("cmdline") || in_it || !lines_with(&of("mountinfo"), name).is_empty()
}

fn lines_with(file: &Path, name: &str) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().filter(|line| line.contains(name)).map(str::to_owned).collect()
}

/// Groups are called `skylift-{process}-{start}-{number}`.
fn groups_below(folder: &Path, processes: &[(u32, u64)], depth: u32, found: &mut BTreeSet<PathBuf>) {
    let below = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        let name = entry.file_name();
        if is_group_of(name.to_str().unwrap_or_default(), processes) {
            found.insert(entry.path());
        }
        if depth > 0 {
            groups_below(&entry.path(), processes, depth - 1, found);
        }
    }
}

/// An id alone is soon another's, and what an earlier platform of that id has left is not this one's.
fn is_group_of(name: &str, processes: &[(u32, u64)]) -> bool {
    let mut numbers = name.strip_prefix("skylift-").unwrap_or_default().split('-').map(|number| number.parse::<u64>());
    let (Some(Ok(pid)), Some(Ok(start))) = (numbers.next(), numbers.next()) else { return false };
    processes.iter().any(|known| (u64::from(known.0), known.1) == (pid, start))
}

/// Probes call their folders `skylift-probe-{process}`, moves `skylift-move-{process}`.
fn temporary(processes: &[(u32, u64)]) -> BTreeSet<PathBuf> {
    let is_of = |name: &str| {
        let pid = name.strip_prefix("skylift-").and_then(|rest| rest.rsplit('-').next()?.parse().ok());
        pid.is_some_and(|pid: u32| processes.iter().any(|known| known.0 == pid))
    };
    let entries = fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    entries.filter(|entry| is_of(entry.file_name().to_str().unwrap_or_default())).map(|e| e.path()).collect()
}
