//! The process by whose end the host knows that all of a sandbox has ended.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Child;

use crate::cgroup::Spares;
use crate::nursery::Alive;
use crate::process::number_of;

#[derive(Debug)]
pub(crate) enum Outermost {
    /// Our child.
    Watcher { child: Child, pidfd: OwnedFd },
    /// PID 1 of the sandbox itself, where a nursery has made it; the kernel reaps it. The nursery lives as long as what it has made.
    First { pidfd: OwnedFd, nursery: Alive },
}

impl Outermost {
    pub(crate) fn pidfd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Watcher { pidfd, .. } | Self::First { pidfd, .. } => pidfd.as_fd(),
        }
    }

    /// Its number, by which nobody else is found as long as it has not ended.
    ///
    /// # Errors
    /// Where it has ended.
    pub(crate) fn pid(&self) -> io::Result<u32> {
        number_of(self.pidfd())
    }

    /// Those of our processes that are in the sandbox's groups.
    pub(crate) fn own_pids(&self) -> u32 {
        match self {
            Self::Watcher { .. } => 2,
            Self::First { .. } => 1,
        }
    }

    /// Where groups are kept that are of use once more.
    pub(crate) fn spares(&self) -> Option<&Spares> {
        match self {
            Self::Watcher { .. } => None,
            Self::First { nursery, .. } => Some(nursery.spares()),
        }
    }

    /// To be called once it has ended.
    pub(crate) fn reap(&mut self) -> io::Result<()> {
        match self {
            Self::Watcher { child, .. } => child.wait().map(drop),
            Self::First { .. } => Ok(()),
        }
    }
}
