//! A small executable to become sandboxes, where the host's own is a large one: kept in memory, without a name, and
//! changed by nobody.
//!
//! Loading an executable writes to every page of it that holds addresses, and those pages are then each process's own:
//! most of a megabyte of the platform's, for as long as an instance lives.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;

/// An executable that answers to `sandbox-init` by calling [`crate::init_main`], for [`crate::Spec::init`]. One serves
/// for any number of sandboxes.
#[derive(Debug, Clone)]
pub struct InitFile(Arc<OwnedFd>);

impl InitFile {
    /// Copies it to memory. It must be of the same version as this crate, since it reads what the host writes.
    ///
    /// # Errors
    /// When there is no memory, or the machine executes nothing that lies in memory (`vm.memfd_noexec`).
    pub fn new(executable: &[u8]) -> io::Result<Self> {
        let mut file = File::from(create()?);
        file.write_all(executable)?;
        // Whoever runs from it cannot change what others run from, whatever rights it has.
        rustix::fs::fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        Ok(Self(Arc::new(file.into())))
    }

    /// Where a child of ours finds it, before it executes anything.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}

fn create() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match rustix::fs::memfd_create("sandbox-init", flags | MemfdFlags::EXEC) {
        // Before Linux 6.3 all can be executed, and nobody needs to say so.
        Err(Errno::INVAL) => Ok(rustix::fs::memfd_create("sandbox-init", flags)?),
        created => Ok(created?),
    }
}
