//! Commands that the platform starts outside any sandbox, tied to it: they end when it does, even by `kill -9`.

use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

/// Makes what is started end with us: by SIGTERM, so that it can remove its lock files.
///
/// The kernel ties it to the thread that starts it, not to the process. So start it from the thread that waits for its end.
#[expect(unsafe_code, reason = "the only way to set it is in the child, before its program")]
pub fn tie(command: &mut Command) -> &mut Command {
    let us = Some(getpid());
    let tie = move || {
        set_parent_process_death_signal(Some(Signal::TERM))?;
        // Whoever started it may have ended before the line above, and nobody would be told.
        if getppid() == us { Ok(()) } else { Err(rustix::io::Errno::SRCH.into()) }
    };
    // SAFETY: what runs between fork and exec makes two system calls and touches no lock and no heap; the errors are
    // numbers.
    unsafe { command.pre_exec(tie) }
}
