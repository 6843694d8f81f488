//! How much memory a process takes, its share of what it has in common with others counted in.

use std::fs;
use std::os::fd::BorrowedFd;

use skylift_sandbox::number_of;

/// Proportional set size in bytes; `None` where the process has ended or may not be looked at.
pub(crate) fn of_process(pidfd: BorrowedFd<'_>) -> Option<f64> {
    number_in(pidfd, "smaps_rollup", "Pss:").map(|kib| f64::from(kib) * 1024.0)
}

/// How many threads it has; `None` as above.
pub(crate) fn threads_of(pidfd: BorrowedFd<'_>) -> Option<u32> {
    number_in(pidfd, "status", "Threads:")
}

/// A number that a file of a process's has behind a name.
fn number_in(pidfd: BorrowedFd<'_>, file: &str, name: &str) -> Option<u32> {
    let pid = number_of(pidfd).ok()?;
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    // Its number may be another's by now.
    number_after(&text, name).filter(|_| number_of(pidfd).is_ok_and(|again| again == pid))
}

fn number_after(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::process::Command;

    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use super::*;

    #[test]
    fn a_process_takes_something_and_one_that_has_ended_nothing() {
        let mut child = Command::new("/bin/sleep").arg("1000").spawn().unwrap();
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        let bytes = of_process(pidfd.as_fd());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(bytes.is_some_and(|bytes| (1024.0..1e9).contains(&bytes)), "{bytes:?}");
        assert_eq!(of_process(pidfd.as_fd()), None);
    }
}
