//! A payload's way into a sandbox: forked by a zygote, and parked until it is told what to be.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::{Kept, OwnPages, Zygote, order};
use crate::control::{self, Go, Report};
use crate::prepared::{Prepared, limit_anew};
use crate::sandbox::{Exit, Sandbox};
use crate::spawn::{SpawnError, hear, hear_until_started};
use crate::spec::{Defence, Limits, Order, Spec};

/// What a zygote has to know of a sandbox that it enters.
#[derive(Debug)]
pub(crate) struct Enterable {
    /// The payload's ends.
    pub(crate) streams: [OwnedFd; 3],
    uid: u32,
    gid: u32,
    left_out: u32,
    executes: bool,
}

/// Defences that a zygote's script can leave out, in the bits by which it knows them. None is ever set but by tests.
const LEFT_OUT: [(Defence, u32); 4] =
    [(Defence::Unprivileged, 1), (Defence::JoinedGroups, 2), (Defence::OwnDescriptors, 4), (Defence::Lifeline, 8)];

impl Enterable {
    pub(crate) fn new(spec: &Spec, streams: [OwnedFd; 3]) -> Self {
        let left_out = LEFT_OUT.iter().filter(|(defence, _)| !spec.keeps(*defence)).map(|(_, bit)| bit).sum();
        Self { streams, uid: spec.uid, gid: spec.gid, left_out, executes: spec.executes }
    }
}

/// A sandbox in which a payload of a zygote waits: in its namespaces and groups, as its user, without any right. Dropping it kills
/// and cleans everything.
#[derive(Debug)]
pub struct Parked {
    sandbox: Sandbox,
    folder: OwnedFd,
    limits: Limits,
    order: OwnedFd,
}

/// How a payload has ended, as who has forked it tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    pub(crate) cpu_ms: u64,
    pub(crate) rss_bytes_max: u64,
}

/// Where the zygote tells that.
#[derive(Debug)]
pub(crate) struct Entered {
    status: OwnedFd,
    _kept: Arc<Kept>,
}

impl Zygote {
    /// Forks a payload into a sandbox that a nursery has made, where it waits for [`Parked::start`]. Blocks for some milliseconds.
    ///
    /// # Errors
    /// [`SpawnError::NotOfANursery`] for what [`crate::prepare`] has made, or what is to be executed in; [`SpawnError::AskZygote`] when the zygote has been
    /// killed, and another is to be started. Else as [`crate::spawn`].
    pub fn enter(&self, prepared: Prepared) -> Result<Parked, SpawnError> {
        let Prepared { mut sandbox, folder, limits, enterable } = prepared;
        let enterable = enterable.filter(|enterable| !enterable.executes).ok_or(SpawnError::NotOfANursery)?;
        let Enterable { streams, uid, gid, left_out, .. } = enterable;
        let (status, their_status) = control::pair().map_err(SpawnError::Control)?;
        let (their_order, order) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|e| SpawnError::Control(e.into()))?;
        let attached: Vec<_> = [sandbox.outermost.pidfd(), their_order.as_fd(), their_status.as_fd()]
            .into_iter()
            .chain(streams.iter().map(AsFd::as_fd))
            .chain(sandbox.group.entrances())
            .collect();
        control::send_bytes(&self.socket, format!("{uid} {gid} {left_out}").as_bytes(), &attached)
            .map_err(SpawnError::AskZygote)?;
        drop(attached);
        drop((their_order, their_status, streams));
        let payload = hear_until_parked(&status)?;
        control::send(&sandbox.control, &Go::WatchOver, &[payload.as_fd()]).map_err(SpawnError::SendSpec)?;
        // By then it has no right either, and nobody can look into it.
        hear_until_started(&mut sandbox, &[])?;
        sandbox.payload_pidfd = Some(payload);
        sandbox.entered = Some(Entered { status, _kept: Arc::clone(&self.kept) });
        Ok(Parked { sandbox, folder, limits, order })
    }
}

/// Zygote and payload both tell, in any order: the one that it has forked, the other that it waits.
fn hear_until_parked(status: &OwnedFd) -> Result<OwnedFd, SpawnError> {
    let (mut payload, mut waits) = (None, false);
    loop {
        match hear(status)? {
            (Report::Born, attached) => payload = attached.into_iter().next(),
            (Report::Prepared, _) => waits = true,
            (Report::Failed { message }, _) => return Err(SpawnError::SetUp { message }),
            (Report::Exited { .. }, _) => return Err(SpawnError::Ended),
            _ => return Err(SpawnError::Hear(io::ErrorKind::InvalidData.into())),
        }
        match payload.take() {
            Some(payload) if waits => return Ok(payload),
            other => payload = other,
        }
    }
}

impl Parked {
    /// As [`Prepared::folder`].
    pub fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// Readable once everything in it has ended, as when its zygote was killed: then it is of no use.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.sandbox.pidfd()
    }

    /// Which memory only the payload has, who waits.
    ///
    /// # Errors
    /// Where it has ended, or may not be looked at.
    pub fn own_pages(&self) -> io::Result<OwnPages> {
        self.sandbox.own_pages()
    }

    /// Says what the payload is: one write. What `argv` means is the zygote's: for Python the user's file and its arguments. What
    /// cannot be run is told on standard error, as the interpreter does.
    ///
    /// # Errors
    /// When the groups refuse other limits, or the payload has ended; nothing of the user's has run then.
    pub fn start(self, order: &Order) -> Result<(Sandbox, OwnedFd), SpawnError> {
        let Self { mut sandbox, folder, limits, order: pipe } = self;
        limit_anew(&mut sandbox, &limits, &order.limits)?;
        File::from(pipe).write_all(&order::words(order)).map_err(SpawnError::SendSpec)?;
        Ok((sandbox, folder))
    }
}

impl Entered {
    /// Readable once it says something, or is gone.
    pub(crate) fn tells(&self) -> BorrowedFd<'_> {
        self.status.as_fd()
    }

    /// What the zygote says at last. Nothing, where it was killed.
    pub(crate) fn ended(&self) -> Option<Ended> {
        Ended::told(&self.status)
    }
}

impl Ended {
    /// What is said at last through a socket, by then or within a while; nothing where nobody is left to say it.
    pub(crate) fn told(socket: &OwnedFd) -> Option<Self> {
        loop {
            if let (Report::Exited { exit, cpu_ms, rss_bytes_max }, _) = hear(socket).ok()? {
                return Some(Self { exit, cpu_ms, rss_bytes_max });
            }
        }
    }
}
