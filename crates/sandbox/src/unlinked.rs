//! Files without a name that a sandbox holds open or mapped: they take room that no walk through a folder finds.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::DiskUsage;
use crate::cgroup::members;

/// Where the files of a sandbox's processes are looked up. Stays good for as long as it is kept, and finds nothing once the
/// sandbox has ended.
#[derive(Clone, Debug, Default)]
pub struct Unlinked {
    /// `None` where the sandbox has no group that would name its processes.
    group: Option<PathBuf>,
}

impl Unlinked {
    /// Of the processes of a control group, by its folder.
    pub fn of_group(group: Option<PathBuf>) -> Self {
        Self { group }
    }

    /// What regular files without a name take on the file system that lies at `inside`, a path inside that the processes cannot
    /// replace. Each counts once, however often it is open. Reads `/proc` for every process; what cannot be read, and descriptors on
    /// their way between processes, are not seen: [`Self::in_flight`] tells how many those are.
    pub fn usage(&self, inside: &Path) -> DiskUsage {
        let inside = inside.strip_prefix("/").unwrap_or(inside);
        self.usage_where(|holder| Some(fs::metadata(holder.join("root").join(inside)).ok()?.dev()))
    }

    /// The same on the file system of a folder of this machine, wherever it is seen inside.
    pub fn usage_beside(&self, folder: &Path) -> DiskUsage {
        let device = fs::metadata(folder).map(|folder| folder.dev()).ok();
        self.usage_where(|_| device)
    }

    fn usage_where(&self, device: impl Fn(&Path) -> Option<u64>) -> DiskUsage {
        let mut found = HashMap::new();
        for holder in self.holders() {
            let Some(device) = device(&holder) else { continue };
            for kind in ["fd", "map_files"] {
                for entry in fs::read_dir(holder.join(kind)).into_iter().flatten().flatten() {
                    // Looks at the file that is open, whatever became of its name; opens nothing.
                    let Ok(file) = fs::metadata(entry.path()) else { continue };
                    if file.is_file() && file.nlink() == 0 && file.dev() == device {
                        found.insert(file.ino(), file.blocks() * 512);
                    }
                }
            }
        }
        DiskUsage { bytes: found.values().sum(), inodes: found.len() as u64 }
    }

    /// How many descriptors were sent to sockets that its processes hold and wait there to be received: whatever files those are, nobody
    /// sees them. Descriptors that wait in a socket that waits itself are not counted. 0 where the kernel does not tell.
    pub fn in_flight(&self) -> u64 {
        let mut found = HashMap::new();
        for holder in self.holders() {
            for entry in fs::read_dir(holder.join("fd")).into_iter().flatten().flatten() {
                let Ok(socket) = fs::metadata(entry.path()) else { continue };
                if socket.file_type().is_socket() {
                    let told = fs::read_to_string(holder.join("fdinfo").join(entry.file_name())).unwrap_or_default();
                    found.insert(socket.ino(), waiting(&told));
                }
            }
        }
        found.values().sum()
    }

    /// One task's place in `/proc` for every table of descriptors: a thread may have one of its own, and the first may have ended.
    fn holders(&self) -> impl Iterator<Item = PathBuf> {
        let processes = self.group.iter().flat_map(|group| members(group));
        processes.flat_map(|pid| {
            let mut tables: Vec<i32> = Vec::new();
            for task in fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).into_iter().flatten().flatten() {
                let Some(task) = task.file_name().to_str().and_then(|task| task.parse().ok()) else { continue };
                if !tables.iter().any(|other| has_same_files(*other, task)) {
                    tables.push(task);
                }
            }
            // Threads have a folder there, too, though it is not listed; only that one has `map_files`.
            tables.into_iter().map(|task| PathBuf::from(format!("/proc/{task}")))
        })
    }
}

/// Of what `/proc` tells of a socket.
fn waiting(told: &str) -> u64 {
    let line = told.lines().find_map(|line| line.strip_prefix("scm_fds:"));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// Whether two tasks share their descriptors. Not where the kernel would not say.
#[expect(unsafe_code, reason = "kcmp has no safe form")]
fn has_same_files(one: i32, other: i32) -> bool {
    const KCMP_FILES: libc::c_int = 2;
    // SAFETY: takes numbers alone, and changes nothing.
    let result = unsafe { libc::syscall(libc::SYS_kcmp, one, other, KCMP_FILES, 0_u64, 0_u64) };
    result == 0
}
