//! The watcher's whole life: when the host or PID 1 ends, so does the other side; and whoever stands at the door is
//! answered.

use std::io;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, Signal, WaitOptions};

use super::{Given, answer, idle, pidfd};
use crate::control::{self, Report};
use crate::spec::Defence;

#[derive(Debug, thiserror::Error)]
pub(super) enum WatchError {
    #[error("watch PID 1")]
    OpenPidfd(#[source] io::Error),
    #[error("tell the host")]
    Report(#[source] io::Error),
    #[error("wait for PID 1 or the host")]
    Watch(#[source] io::Error),
}

pub(super) fn main(given: Given, first: Pid) -> Result<(), WatchError> {
    let Given { spec, control, mut doors, streams, .. } = given;
    // Held here, they would keep the host's ends of the pipes open after the payload has closed them.
    drop(streams);
    let first_pidfd = pidfd(first).map_err(WatchError::OpenPidfd)?;
    control::send(&control, &Report::Born, &[first_pidfd.as_fd()]).map_err(WatchError::Report)?;

    idle::forget_what_was_only_read();
    let lifeline = spec.keeps(Defence::Lifeline).then_some(&control);
    loop {
        let mut watched = vec![PollFd::new(&first_pidfd, PollFlags::IN)];
        // What has hung up is told unasked; nothing else is to come from there.
        watched.extend(lifeline.map(|control| PollFd::new(control, PollFlags::empty())));
        watched.extend(doors.iter().map(|(_, door)| PollFd::new(door, PollFlags::IN)));
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut watched, None))
            .map_err(|e| WatchError::Watch(e.into()))?;
        let mut happened = watched.iter().map(|one| !one.revents().is_empty());
        let first_ended = happened.next().unwrap_or(false);
        let host_gone = lifeline.is_some() && happened.next().unwrap_or(false);
        let asked: Vec<bool> = happened.collect();
        if host_gone {
            // It may be gone already; either way the wait below ends.
            let _ = rustix::process::pidfd_send_signal(&first_pidfd, Signal::KILL);
        }
        if host_gone || first_ended {
            break;
        }
        let mut asked = asked.into_iter();
        doors.retain(|(family, door)| {
            !asked.next().unwrap_or(false) || answer::one(door, || answer::socket(*family)).is_ok()
        });
    }
    rustix::io::retry_on_intr(|| rustix::process::waitpid(Some(first), WaitOptions::empty()))
        .map_err(|e| WatchError::Watch(e.into()))?;
    Ok(())
}
