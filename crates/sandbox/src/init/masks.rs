//! Parts of `/proc` that tell about the host rather than about the sandbox: each is covered by something empty.
//!
//! `/sys` is not mounted at all. What Node, npm and others size themselves by (`cpuinfo`, `meminfo`, `stat`, `loadavg`,
//! `uptime`) stays.

use std::os::fd::OwnedFd;
use std::path::Path;

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

/// Covers what this kernel has of them. `proc` is where, below `root`, the file system lies, and `seen_at` the same as a
/// path of this process.
pub(super) fn cover(root: &OwnedFd, proc: &Path, seen_at: &Path, spec: &Spec) -> Result<(), MountError> {
    if !spec.keeps(Defence::MaskedHost) {
        return Ok(());
    }
    // The null device reads as an empty file, and what is written to it goes nowhere.
    let null = mounts::open_path(Path::new("/dev/null"))?;
    for name in FILES.iter().filter(|name| seen_at.join(name).exists()) {
        mounts::attach(&mounts::bind(&null, mounts::DEVICE)?, root, &proc.join(name))?;
    }
    for name in FOLDERS.iter().filter(|name| seen_at.join(name).exists()) {
        mounts::attach(&mounts::tmpfs(NOTHING, "555", None, mounts::READ_ONLY)?, root, &proc.join(name))?;
    }
    Ok(())
}
