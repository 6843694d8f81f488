//! Files without a name that a sandbox holds open or mapped: they take room that no walk through a folder finds.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::DiskUsage;
use crate::cgroup::members;

/// Where the files of a sandbox's processes are looked up. Stays good for as long as it is kept, and finds nothing once the
/// sandbox has ended.
#[derive(Clone, Debug, Default)]
pub struct Unlinked {
    /// `None` where the sandbox has no group that would name its processes.
    pub(crate) group: Option<PathBuf>,
}

impl Unlinked {
    /// What regular files without a name take on the file system that lies at `inside`, a path inside. Each counts once, however
    /// often it is open. Reads `/proc` for every process; what cannot be read, and descriptors on their way between processes, are not seen.
    pub fn usage(&self, inside: &Path) -> DiskUsage {
        let mut found = HashMap::new();
        for pid in self.group.iter().flat_map(|group| members(group)) {
            let process = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
            let root = process.join("root").join(inside.strip_prefix("/").unwrap_or(inside));
            let Ok(root) = fs::metadata(root) else { continue };
            for kind in ["fd", "map_files"] {
                for entry in fs::read_dir(process.join(kind)).into_iter().flatten().flatten() {
                    // Looks at the file that is open, whatever became of its name; opens nothing.
                    let Ok(file) = fs::metadata(entry.path()) else { continue };
                    if file.is_file() && file.nlink() == 0 && file.dev() == root.dev() {
                        found.insert(file.ino(), file.blocks() * 512);
                    }
                }
            }
        }
        DiskUsage { bytes: found.values().sum(), inodes: found.len() as u64 }
    }
}
