//! A sandbox that was made ahead: all of it but what runs in it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::control::{self, Go};
use crate::sandbox::Sandbox;
use crate::spawn::{OWN_PIDS, SpawnError, file_of, hear_until_started};
use crate::spec::{Limits, Order, Spec};

/// Made by [`crate::prepare`]. Dropping it kills and cleans everything, as dropping a [`Sandbox`] does.
#[derive(Debug)]
pub struct Prepared {
    sandbox: Sandbox,
    folder: OwnedFd,
    limits: Limits,
}

impl Prepared {
    pub(crate) fn new(sandbox: Sandbox, folder: OwnedFd, spec: &Spec) -> Self {
        Self { sandbox, folder, limits: spec.limits }
    }

    /// The folder that the spec says is held, seen from outside. Nothing runs in the sandbox yet, so what is put there by
    /// descriptor is where it was put. Once something runs, follow no link below it.
    pub fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// Starts the payload. Returns the folder too: what it shows lives as long as the descriptor.
    ///
    /// # Errors
    /// As [`crate::spawn`]; nothing of the payload has run then.
    pub fn start(mut self, order: &Order) -> Result<(Sandbox, OwnedFd), SpawnError> {
        if order.limits != self.limits {
            let pids = order.limits.pids.saturating_add(OWN_PIDS);
            self.sandbox.group.limit(&Limits { pids, ..order.limits })?;
        }
        let send = || -> io::Result<()> { control::send(&self.sandbox.control, &Go {}, &[file_of(order)?.as_fd()]) };
        send().map_err(SpawnError::SendSpec)?;
        hear_until_started(&mut self.sandbox, &order.argv)?;
        Ok((self.sandbox, self.folder))
    }
}
