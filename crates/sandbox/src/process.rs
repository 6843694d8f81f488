//! The calls on processes that have no safe form: fork, closing whatever was inherited, usage, signals to a group.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::process::{Pid, Signal};

/// Which side of a [`fork`] this is.
pub(crate) enum Fork {
    Parent(Pid),
    Child,
}

/// The number of the process that a pidfd is of, by which nobody else is found as long as it has not ended.
///
/// # Errors
/// Where it has ended and was reaped, or is in a process namespace that is not seen from here.
pub fn number_of(pidfd: BorrowedFd<'_>) -> io::Result<u32> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    // -1 once it was reaped; 0 where it is in another namespace.
    let number = info.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok());
    number.filter(|number| *number > 0).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Has the kernel reap the children of this process, so that nobody needs to wait for them; or has it leave them.
#[expect(unsafe_code, reason = "signal has no safe form")]
pub(crate) fn reap(how: Reaped) {
    let disposition = match how {
        Reaped::ByKernel => libc::SIG_IGN,
        Reaped::ByWaiting => libc::SIG_DFL,
    };
    // SAFETY: neither disposition is a function, so no code runs at a signal.
    unsafe { libc::signal(libc::SIGCHLD, disposition) };
}

/// Has signals do what they do by themselves, whoever started the platform ignored some (`nohup`). Not for that of a broken pipe, which the
/// runtime takes care of.
#[expect(unsafe_code, reason = "signal has no safe form")]
pub(crate) fn ignore_no_signals() {
    for signal in (1..=64).filter(|signal| !matches!(*signal, libc::SIGCHLD | libc::SIGPIPE)) {
        // SAFETY: the disposition is no function, so no code runs at a signal. What may not be changed is refused, which changes nothing.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Who takes note of a child's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reaped {
    ByKernel,
    ByWaiting,
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

/// The same, and the child begins a process namespace. Any number can be made so, where `unshare` makes one for all children.
#[expect(unsafe_code, reason = "no safe clone exists")]
pub(crate) fn fork_into_own_processes() -> io::Result<Fork> {
    let flags = libc::CLONE_NEWPID | libc::SIGCHLD;
    let nothing = 0_usize;
    // SAFETY: without CLONE_VM and a stack this is what fork does: the child goes on with a copy of everything. The C library's own
    // fork does more, none of which is missed with one thread: no lock is held, nobody has registered handlers with it, and the
    // thread's number that it remembers for itself is asked of by nothing that runs here.
    let pid = unsafe { libc::syscall(libc::SYS_clone, i64::from(flags), nothing, nothing, nothing, nothing) };
    match pid {
        0 => Ok(Fork::Child),
        1.. => {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            pid.map(Fork::Parent).ok_or_else(|| io::ErrorKind::InvalidData.into())
        }
        _ => Err(io::Error::last_os_error()),
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

/// Signals the process group whose leader a pidfd names.
#[expect(unsafe_code, reason = "pidfd_send_signal with flags has no safe form")]
pub(crate) fn signal_group(leader: impl AsFd, signal: Signal) -> io::Result<()> {
    let leader = leader.as_fd();
    let (none, flags) = (std::ptr::null::<libc::siginfo_t>(), libc::PIDFD_SIGNAL_PROCESS_GROUP);
    // SAFETY: the descriptor is open for the length of the call, and a null pointer stands for no details; no memory is
    // touched.
    let result =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, leader.as_raw_fd(), signal.as_raw(), none, flags) };
    match result {
        0 => Ok(()),
        _ => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::EINVAL) => signal_group_by_number(leader, signal),
            error => Err(error),
        },
    }
}

/// For kernels before 6.9. The number may go to somebody else only after the process was reaped and every member of its
/// group is gone; of a sandbox that is the moment in which all of it ends.
fn signal_group_by_number(leader: BorrowedFd<'_>, signal: Signal) -> io::Result<()> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", leader.as_raw_fd()))?;
    let number = info.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok());
    // Reaped, it is told as -1.
    let leader = number.filter(|number| *number > 0).and_then(Pid::from_raw).ok_or(rustix::io::Errno::SRCH)?;
    Ok(rustix::process::kill_process_group(leader, signal)?)
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::{Child, Command};

    use rustix::process::PidfdFlags;

    use super::*;

    /// A process that leads a group of its own, and its descriptor.
    fn leader() -> (Child, OwnedFd) {
        let child = Command::new("/bin/sleep").arg("100").process_group(0).spawn().unwrap();
        let pidfd = rustix::process::pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        (child, pidfd)
    }

    fn is_gone(result: io::Result<()>) -> bool {
        result.is_err_and(|error| error.raw_os_error() == Some(libc::ESRCH))
    }

    #[test]
    fn a_group_is_signalled_by_its_leaders_descriptor() {
        let (mut child, pidfd) = leader();
        signal_group(&pidfd, Signal::TERM).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(15));
        assert!(is_gone(signal_group(&pidfd, Signal::TERM)));
    }

    #[test]
    fn older_kernels_are_told_the_number_while_the_leader_lives() {
        let (mut child, pidfd) = leader();
        signal_group_by_number(pidfd.as_fd(), Signal::TERM).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(15));
        assert!(is_gone(signal_group_by_number(pidfd.as_fd(), Signal::TERM)));
    }
}
