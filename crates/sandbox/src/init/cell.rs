//! PID 1 of a sandbox that a nursery has made: joins its groups, hears what it should be, and goes on as [`first`] does.
//!
//! The nursery is in the place of the watcher: it is what PID 1 dies with. Nobody stands at a door here.

use std::os::fd::{AsFd, OwnedFd};

use rustix::process::DumpableBehavior;

use super::first::{self, FirstError};
use super::order::{self, Ordered};
use super::{Given, namespaces, pidfd, privileges, receive, report_failure, template};
use crate::control::{self, Report};
use crate::process::{self, Reaped};

/// Joins its groups, and only then hears from `control` what is to be made.
pub(super) fn main(control: OwnedFd, groups: Vec<OwnedFd>, nursery: &OwnedFd) -> ! {
    let ours = control.try_clone();
    let code = match live(control, groups, nursery) {
        Ok(()) => 0,
        Err(error) => {
            if let Ok(control) = ours {
                report_failure(control, &error);
            }
            1
        }
    };
    std::process::exit(code)
}

fn live(control: OwnedFd, groups: Vec<OwnedFd>, nursery: &OwnedFd) -> Result<(), FirstError> {
    process::reap(Reaped::ByWaiting);
    join(groups)?;
    let mut given = receive(control).map_err(FirstError::Receive)?;
    first::tie_to(nursery, &given.spec)?;
    let ourselves = pidfd(rustix::process::getpid()).map_err(FirstError::OpenPidfd)?;
    control::send(&given.control, &Report::Born, &[ourselves.as_fd()]).map_err(FirstError::Report)?;
    drop(ourselves);
    namespaces::enter_others(&given.spec)?;
    first::name_host_and_open_network(&given)?;
    template::complete(&given.spec)?;
    privileges::gain_nothing(&given.spec)?;
    if given.spec.executes {
        privileges::filter(&given.spec)?;
        return match order::wait(&mut given.spec, &given.control)? {
            Ordered::Run(later) => first::run(given, later),
            Ordered::WatchOver(_) => Err(FirstError::Entered),
        };
    }
    match wait_to_be_entered(&mut given)? {
        // Only now: to load the filter takes longer than all of the above but the network, and who enters has one.
        Ordered::Run(later) => {
            privileges::filter(&given.spec)?;
            first::run(given, later)
        }
        Ordered::WatchOver(payload) => first::watch_over(&given, &payload),
    }
}

/// Without root, who enters has no right over who hides. Nobody else is here yet to look.
fn wait_to_be_entered(given: &mut Given) -> Result<Ordered, FirstError> {
    let dumpable = |behaviour| {
        if rustix::process::geteuid().is_root() {
            return Ok(());
        }
        rustix::process::set_dumpable_behavior(behaviour).map_err(|e| FirstError::Hide(e.into()))
    };
    dumpable(DumpableBehavior::Dumpable)?;
    let ordered = order::wait(&mut given.spec, &given.control)?;
    dumpable(DumpableBehavior::NotDumpable)?;
    Ok(ordered)
}

/// By writing to what the host has opened, so that no number is looked up.
pub(super) fn join(groups: Vec<OwnedFd>) -> Result<(), FirstError> {
    for group in groups {
        rustix::io::write(&group, b"0").map_err(|e| FirstError::Join(e.into()))?;
    }
    Ok(())
}
