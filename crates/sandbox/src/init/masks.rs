//! Parts of `/proc` that tell about the host rather than about the sandbox: each is covered by something empty.
//!
//! `/sys` is not mounted at all. What Node, npm and others size themselves by (`cpuinfo`, `meminfo`, `stat`, `loadavg`,
//! `uptime`) stays.

use std::path::{Path, PathBuf};

use super::mounts::{self, MountError};
use crate::spec::{Defence, Scratch, Spec};

/// How the machine was started, what it is made of, what runs on it, and the kernel's memory and addresses. Command lines
/// of kernels hold keys and tokens on some machines.
const FILES: &[&str] = &[
    "bootconfig",
    "cmdline",
    "config.gz",
    "diskstats",
    "interrupts",
    "iomem",
    "ioports",
    "kallsyms",
    "kcore",
    "key-users",
    "keys",
    "kmsg",
    "latency_stats",
    "mdstat",
    "modules",
    "partitions",
    "sched_debug",
    "slabinfo",
    "softirqs",
    "swaps",
    "timer_list",
    "timer_stats",
    "vmallocinfo",
];
const FOLDERS: &[&str] = &["acpi", "asound", "bus", "driver", "irq", "scsi"];
/// The smallest there is: the kernel counts the root itself as one.
const NOTHING: Scratch = Scratch { bytes: 4096, inodes: 1 };

/// Covers what this kernel has of them in the root that is seen at a path of this process, with `/proc` and `/dev` in it.
///
/// By path, which is one call for each: nobody but the kernel has made anything there yet.
pub(super) fn cover(built_at: &Path, spec: &Spec) -> Result<(), MountError> {
    if !spec.keeps(Defence::MaskedHost) {
        return Ok(());
    }
    let (proc, null) = (built_at.join("proc"), built_at.join("dev/null"));
    // The null device reads as an empty file, and what is written to it goes nowhere.
    for name in FILES {
        cover_one(&null, &proc.join(name))?;
    }
    let mut nothing: Option<PathBuf> = None;
    for folder in FOLDERS.iter().map(|name| proc.join(name)) {
        match &nothing {
            Some(nothing) => cover_one(nothing, &folder)?,
            None if folder.exists() => {
                let root = mounts::open_root(&proc)?;
                let name = Path::new("/").join(folder.file_name().unwrap_or_default());
                mounts::attach(&mounts::tmpfs(NOTHING, "555", None, mounts::READ_ONLY)?, &root, &name)?;
                nothing = Some(folder);
            }
            None => {}
        }
    }
    Ok(())
}

/// As read-only as what it is covered with. What is not there needs none.
fn cover_one(with: &Path, path: &Path) -> Result<(), MountError> {
    match rustix::mount::mount_bind(with, path) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(MountError::Attach { path: path.to_owned(), source: error.into() }),
    }
}
