//! A sandbox that was made ahead: all of it but what runs in it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::control::{self, Go};
use crate::sandbox::Sandbox;
use crate::spawn::{SpawnError, file_of, hear_until_started};
use crate::spec::{Limits, Order};
use crate::zygote::Enterable;

/// Made by [`crate::prepare`] or a [`crate::Nursery`]. Dropping it kills and cleans everything, as dropping a [`Sandbox`] does.
#[derive(Debug)]
pub struct Prepared {
    pub(crate) sandbox: Sandbox,
    pub(crate) folder: OwnedFd,
    pub(crate) limits: Limits,
    /// Where a nursery has made it.
    pub(crate) enterable: Option<Enterable>,
}

/// Told what to run. Dropping it kills and cleans everything.
#[derive(Debug)]
pub struct Ordered {
    sandbox: Sandbox,
    folder: OwnedFd,
    argv: Vec<String>,
}

impl Prepared {
    pub(crate) fn new(sandbox: Sandbox, folder: OwnedFd, limits: Limits, enterable: Option<Enterable>) -> Self {
        Self { sandbox, folder, limits, enterable }
    }

    /// The folder that the spec says is held, seen from outside. Nothing runs in the sandbox yet, so what is put there by
    /// descriptor is where it was put. Once something runs, follow no link below it.
    pub fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// Readable once everything in it has ended, as when its nursery was killed: then it is of no use.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.sandbox.pidfd()
    }

    /// Starts the payload. Returns the folder too: what it shows lives as long as the descriptor. Blocks until it runs.
    ///
    /// # Errors
    /// As [`crate::spawn`]; nothing of the payload has run then.
    pub fn start(self, order: &Order) -> Result<(Sandbox, OwnedFd), SpawnError> {
        self.order(order)?.started()
    }

    /// The same, but that it waits for nobody.
    ///
    /// # Errors
    /// As [`crate::spawn`].
    pub fn order(mut self, order: &Order) -> Result<Ordered, SpawnError> {
        limit_anew(&mut self.sandbox, &self.limits, &order.limits)?;
        let streams = self.enterable.as_ref().map_or(&[][..], |enterable| &enterable.streams);
        let send = || -> io::Result<()> {
            let file = file_of(order)?;
            let attached: Vec<_> = std::iter::once(file.as_fd()).chain(streams.iter().map(AsFd::as_fd)).collect();
            control::send(&self.sandbox.control, &Go::Run, &attached)
        };
        send().map_err(SpawnError::SendSpec)?;
        // Held here, they would keep our ends of the pipes open after the payload has closed them.
        drop(self.enterable.take());
        Ok(Ordered { sandbox: self.sandbox, folder: self.folder, argv: order.argv.clone() })
    }
}

impl Ordered {
    /// Readable once it is known whether it runs: then [`Self::started`] does not block.
    pub fn tells(&self) -> BorrowedFd<'_> {
        self.sandbox.control.as_fd()
    }

    /// As [`Prepared::start`].
    ///
    /// # Errors
    /// As [`crate::spawn`]; nothing of the payload has run then.
    pub fn started(mut self) -> Result<(Sandbox, OwnedFd), SpawnError> {
        hear_until_started(&mut self.sandbox, &self.argv)?;
        Ok((self.sandbox, self.folder))
    }
}

/// Has the groups limit what an order says, where it says anything new.
pub(crate) fn limit_anew(sandbox: &mut Sandbox, before: &Limits, wanted: &Limits) -> Result<(), SpawnError> {
    if before != wanted {
        let pids = wanted.pids.saturating_add(sandbox.outermost.own_pids());
        sandbox.group.limit(&Limits { pids, ..*wanted })?;
    }
    Ok(())
}
