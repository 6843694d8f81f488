//! The C library, as far as it is used here: names, and layouts and numbers of Linux on machines of 64 bits.

use core::ffi::{c_char, c_int, c_long, c_uint, c_ulong, c_void};

#[repr(C)]
pub(crate) struct PollFd {
    pub(crate) fd: c_int,
    pub(crate) events: i16,
    pub(crate) revents: i16,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct IoVec {
    pub(crate) base: *mut c_void,
    pub(crate) length: usize,
}

#[repr(C)]
pub(crate) struct MsgHdr {
    pub(crate) name: *mut c_void,
    pub(crate) name_length: c_uint,
    pub(crate) parts: *mut IoVec,
    pub(crate) parts_count: usize,
    pub(crate) control: *mut c_void,
    pub(crate) control_length: usize,
    pub(crate) flags: c_int,
}

/// Times as seconds and microseconds, then fourteen counts, of which the first is the most memory it had, in KiB.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Usage {
    pub(crate) user: [c_long; 2],
    pub(crate) system: [c_long; 2],
    pub(crate) counts: [c_long; 14],
}

#[repr(C)]
#[derive(Default)]
pub(crate) struct Limit {
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}

pub(crate) const POLLIN: i16 = 1;
pub(crate) const EINTR: c_int = 4;
pub(crate) const O_RDWR_CLOEXEC: c_int = 0o2 | 0o2_000_000;
pub(crate) const SIGKILL: c_int = 9;
pub(crate) const PR_SET_PDEATHSIG: c_int = 1;
pub(crate) const PR_SET_DUMPABLE: c_int = 4;
pub(crate) const F_DUPFD_CLOEXEC: c_int = 1030;
pub(crate) const MSG_NOSIGNAL: c_int = 0x4000;
pub(crate) const MSG_CMSG_CLOEXEC: c_int = 0x4000_0000;
pub(crate) const CLONE_NEWPID: c_int = 0x2000_0000;
/// Mounts, control groups, names, System V and network.
pub(crate) const CLONE_NEW_OTHERS: c_int = 0x0002_0000 | 0x0200_0000 | 0x0400_0000 | 0x0800_0000 | 0x4000_0000;

pub(crate) const RLIMIT_FSIZE: c_int = 1;
pub(crate) const RLIMIT_CORE: c_int = 4;
pub(crate) const RLIMIT_NPROC: c_int = 6;
pub(crate) const RLIMIT_NOFILE: c_int = 7;
pub(crate) const RLIMIT_MSGQUEUE: c_int = 12;

pub(crate) const MADV_POPULATE_WRITE: c_long = 23;
/// In place of a descriptor of one (Linux 6.14).
pub(crate) const PIDFD_SELF: c_long = -10_000;
#[cfg(target_arch = "x86_64")]
pub(crate) const MADVISE: c_long = 28;
#[cfg(target_arch = "x86_64")]
pub(crate) const CAPSET: c_long = 126;
/// As of most machines (Linux, include/uapi/asm-generic/unistd.h).
#[cfg(not(target_arch = "x86_64"))]
pub(crate) const MADVISE: c_long = 233;
#[cfg(not(target_arch = "x86_64"))]
pub(crate) const CAPSET: c_long = 91;
pub(crate) const PIDFD_OPEN: c_long = 434;
pub(crate) const PROCESS_MADVISE: c_long = 440;

unsafe extern "C" {
    pub(crate) fn _exit(code: c_int) -> !;
    pub(crate) fn close(fd: c_int) -> c_int;
    pub(crate) fn dup2(from: c_int, to: c_int) -> c_int;
    pub(crate) fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
    pub(crate) fn fork() -> c_int;
    pub(crate) fn geteuid() -> c_uint;
    pub(crate) fn getpid() -> c_int;
    pub(crate) fn getrlimit(what: c_int, limit: *mut Limit) -> c_int;
    pub(crate) fn open(path: *const c_char, flags: c_int, ...) -> c_int;
    pub(crate) fn poll(fds: *mut PollFd, count: c_ulong, timeout_ms: c_int) -> c_int;
    pub(crate) fn prctl(option: c_int, ...) -> c_int;
    pub(crate) fn read(fd: c_int, bytes: *mut c_void, length: usize) -> isize;
    pub(crate) fn realloc(before: *mut c_void, length: usize) -> *mut c_void;
    pub(crate) fn recvmsg(fd: c_int, message: *mut MsgHdr, flags: c_int) -> isize;
    pub(crate) fn sendmsg(fd: c_int, message: *const MsgHdr, flags: c_int) -> isize;
    pub(crate) fn setgroups(count: usize, groups: *const c_uint) -> c_int;
    pub(crate) fn setns(fd: c_int, kinds: c_int) -> c_int;
    pub(crate) fn setresgid(real: c_uint, effective: c_uint, saved: c_uint) -> c_int;
    pub(crate) fn setresuid(real: c_uint, effective: c_uint, saved: c_uint) -> c_int;
    pub(crate) fn setrlimit(what: c_int, limit: *const Limit) -> c_int;
    pub(crate) fn setsid() -> c_int;
    pub(crate) fn syscall(number: c_long, ...) -> c_long;
    pub(crate) fn umask(mask: c_uint) -> c_uint;
    pub(crate) fn wait4(pid: c_int, status: *mut c_int, options: c_int, usage: *mut Usage) -> c_int;
    pub(crate) fn write(fd: c_int, bytes: *const c_void, length: usize) -> isize;
    fn __errno_location() -> *mut c_int;
}

/// A step that the kernel has refused.
#[derive(Clone, Copy)]
pub(crate) struct Failed {
    pub(crate) step: &'static str,
    pub(crate) errno: c_int,
}

/// What a call has returned, unless that is negative.
pub(crate) fn checked(result: impl Into<c_long>, step: &'static str) -> Result<c_long, Failed> {
    let result = result.into();
    if result < 0 { Err(Failed { step, errno: errno() }) } else { Ok(result) }
}

pub(crate) fn errno() -> c_int {
    // SAFETY: it always points to this thread's number.
    unsafe { *__errno_location() }
}

/// Ends the process at once.
pub(crate) fn exit_now(code: c_int) -> ! {
    // SAFETY: it has no conditions.
    unsafe { _exit(code) }
}
