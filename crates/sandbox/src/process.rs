//! The two calls on our own process that have no safe form: fork, and closing whatever was inherited.

use std::io;

use rustix::process::Pid;

/// Which side of a [`fork`] this is.
pub(crate) enum Fork {
    Parent(Pid),
    Child,
}

/// Copies this process. Only for `sandbox-init`, which has one thread.
#[expect(unsafe_code, reason = "no safe fork exists")]
pub(crate) fn fork() -> io::Result<Fork> {
    // SAFETY: fork is safe to call where no other thread exists, whose locks the child would find taken for ever;
    // `sandbox-init` starts none, and the host never calls this.
    let pid = unsafe { libc::fork() };
    match pid {
        0 => Ok(Fork::Child),
        _ => Pid::from_raw(pid)
            .filter(|pid| pid.as_raw_nonzero().get() > 0)
            .map(Fork::Parent)
            .ok_or_else(io::Error::last_os_error),
    }
}

/// Marks every descriptor from `first` on to be closed at the next exec.
///
/// Marking, not closing: the descriptors that this process owns stay usable until then.
#[expect(unsafe_code, reason = "close_range has no safe form")]
pub(crate) fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: takes integers and touches no memory; with CLOEXEC it closes nothing in this process, so no owner of a
    // descriptor is deceived.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Closes every descriptor from `first` on. Only as the very first step of `sandbox-init`.
#[expect(unsafe_code, reason = "close_range has no safe form")]
pub(crate) fn close_inherited_from(first: u32) -> io::Result<()> {
    // SAFETY: takes integers and touches no memory; the caller is the first code of the process, so that nothing yet
    // owns what is closed.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// What the reaped children of this process have used.
pub(crate) struct Used {
    pub(crate) cpu_ms: u64,
    /// Of the largest single one.
    pub(crate) rss_bytes_max: u64,
}

#[expect(unsafe_code, reason = "getrusage has no safe form")]
pub(crate) fn used_by_children() -> Option<Used> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the pointer is to writable memory of the size and alignment of the structure.
    let result = unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr()) };
    if result != 0 {
        return None;
    }
    // SAFETY: the kernel fills the whole structure where it returns 0.
    let usage = unsafe { usage.assume_init() };
    let milliseconds = |time: libc::timeval| u64::try_from(time.tv_sec * 1000 + time.tv_usec / 1000).unwrap_or(0);
    Some(Used {
        cpu_ms: milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime),
        rss_bytes_max: u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024,
    })
}

/// Waits between two looks at something the kernel does not announce.
pub(crate) fn pause(milliseconds: u32) {
    let time = rustix::event::Timespec { tv_sec: 0, tv_nsec: i64::from(milliseconds) * 1_000_000 };
    let _ = rustix::event::poll(&mut [], Some(&time));
}
