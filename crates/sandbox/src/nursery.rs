//! A process from which sandboxes are forked, where `prepare` executes something for each.
//!
//! ```text
//! host ──▶ nursery ──▶ PID 1 of a sandbox ──▶ payload, as ever
//!             │    └─▶ zygote ──▶ payload that enters a sandbox
//!             └ dies with the host, and all of these with it
//! ```
//!
//! What its sandboxes have in common is made once: the view of the system, its devices and read-only mounts, and without root
//! the user namespace. What is one sandbox's own is made anew for each, by its own PID 1, within its own control groups:
//! namespaces, network, `/proc`, and whatever can be written to.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};

use crate::cgroup::{Cgroups, Group, Spares};
use crate::control::{self, Bear, Report, Start, Streams};
use crate::init::NURSERY;
use crate::outermost::Outermost;
use crate::prepared::Prepared;
use crate::sandbox::Sandbox;
use crate::spawn::{SpawnError, check, fallback, file_of, hear, hear_until_prepared, limits, open_streams, start_init};
use crate::spec::{Mount, Network, Scratch, Source, Spec};
use crate::zygote::Enterable;

/// Makes sandboxes that are alike, from any thread. Dropping it ends it once nothing lives that it has made.
#[derive(Debug)]
pub struct Nursery {
    like: Like,
    alive: Alive,
}

/// Keeps the nursery's process.
#[derive(Debug, Clone)]
pub(crate) struct Alive(Arc<Process>);

#[derive(Debug)]
struct Process {
    /// Also the lifeline.
    control: OwnedFd,
    pidfd: OwnedFd,
    child: Mutex<Child>,
    spares: Spares,
}

/// What sandboxes of one nursery have in common.
#[derive(Debug, PartialEq, Eq)]
struct Like {
    mounts: Vec<Mount>,
    asks_for_names: bool,
    #[cfg(feature = "weaken")]
    weaken: std::collections::BTreeSet<crate::Defence>,
    /// Without root there is one user.
    user: Option<(u32, u32)>,
}

/// PID 1 counts too.
const OWN_PIDS: u32 = 1;

impl Nursery {
    /// Starts one for sandboxes like this: those whose spec has the same mounts, but for the sizes of what is in memory. Blocks
    /// for some tens of milliseconds.
    ///
    /// # Errors
    /// [`SpawnError::Unlike`] when the spec has what only [`crate::prepare`] makes: a port that it serves, or another mount than
    /// of memory or read-only by path. Else as [`crate::spawn`].
    pub fn start(like: &Spec) -> Result<Self, SpawnError> {
        check(like)?;
        let (control, theirs) = control::pair().map_err(SpawnError::Control)?;
        let start = Self { like: Like::of(like)?, alive: Alive::start(like, control, theirs)? };
        start.alive.hear_until_ready(like)?;
        Ok(start)
    }

    /// The same as [`crate::prepare`], in a tenth of the time. The folder that is held must lie in one of the mounts.
    ///
    /// # Errors
    /// [`SpawnError::Unlike`] when the spec is not like the one it was started with; [`SpawnError::AskNursery`] when it has
    /// been killed, and another is to be started. Else as [`crate::prepare`].
    pub fn prepare(&self, spec: &Spec) -> Result<Prepared, SpawnError> {
        check(spec)?;
        if spec.holds.is_none() {
            return Err(SpawnError::HoldsNothing);
        }
        if Like::of(spec)? != self.like {
            return Err(SpawnError::Unlike("has other mounts than those it was started for"));
        }
        let mut group = self.alive.spares().create(Cgroups::own(), &spec.group_prefix, &limits(spec, OWN_PIDS))?;
        group.open_entrances()?;
        let streams = open_streams(spec).map_err(SpawnError::Streams)?;
        let (control, theirs) = control::pair().map_err(SpawnError::Control)?;
        let start = Start { fallback: fallback(), streams: Streams::Later };
        file_of(spec)
            .and_then(|file| control::send(&control, &start, &[file.as_fd()]))
            .map_err(SpawnError::SendSpec)?;
        let pidfd = self.alive.bear(&Bear::Cell, theirs, Vec::new(), (&group, &control))?;
        let [stdin, stdout, stderr] = streams.ours;
        let mut sandbox = Sandbox {
            stdin,
            stdout,
            stderr,
            relay: None,
            outermost: Outermost::First { pidfd, nursery: self.alive.clone() },
            first_pidfd: None,
            entered: None,
            payload_pidfd: None,
            control,
            door: None,
            group,
            ended: None,
            outcome: None,
        };
        let folder = hear_until_prepared(&mut sandbox)?;
        Ok(Prepared::new(sandbox, folder, spec.limits, Some(Enterable::new(spec, streams.theirs))))
    }

    /// Readable once it has ended, which it does not do by itself; then start another.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.alive.0.pidfd.as_fd()
    }

    pub(crate) fn alive(&self) -> &Alive {
        &self.alive
    }
}

impl Alive {
    fn start(like: &Spec, control: OwnedFd, theirs: OwnedFd) -> Result<Self, SpawnError> {
        let (child, pidfd) = start_init(like, theirs, &[NURSERY])?;
        Ok(Self(Arc::new(Process { control, pidfd, child: Mutex::new(child), spares: Spares::default() })))
    }

    /// Groups of its sandboxes that have ended.
    pub(crate) fn spares(&self) -> &Spares {
        &self.0.spares
    }

    fn hear_until_ready(&self, like: &Spec) -> Result<(), SpawnError> {
        let start = Start { fallback: fallback(), streams: Streams::Later };
        file_of(like)
            .and_then(|file| control::send(&self.0.control, &start, &[file.as_fd()]))
            .map_err(SpawnError::SendSpec)?;
        match hear(&self.0.control)?.0 {
            Report::Failed { message } => Err(SpawnError::SetUp { message }),
            _ => Ok(()),
        }
    }

    /// Has it fork what is wanted, which is in `group` from its first step on, and returns its pidfd. `theirs` is the other end of
    /// `control`.
    pub(crate) fn bear(
        &self,
        wanted: &Bear,
        theirs: OwnedFd,
        files: Vec<OwnedFd>,
        (group, control): (&Group, &OwnedFd),
    ) -> Result<OwnedFd, SpawnError> {
        let attached: Vec<_> =
            std::iter::once(theirs.as_fd()).chain(files.iter().map(AsFd::as_fd)).chain(group.entrances()).collect();
        control::send(&self.0.control, wanted, &attached).map_err(SpawnError::AskNursery)?;
        // Held here, it would keep us from hearing that nobody has the other end.
        drop(attached);
        drop(theirs);
        let born = hear_of_birth(control);
        if born.is_err() {
            let _ = group.kill();
        }
        born
    }
}

fn hear_of_birth(control: &OwnedFd) -> Result<OwnedFd, SpawnError> {
    match hear(control)? {
        (Report::Born, attached) => {
            attached.into_iter().next().ok_or_else(|| SpawnError::Hear(std::io::ErrorKind::InvalidData.into()))
        }
        (Report::Failed { message }, _) => Err(SpawnError::SetUp { message }),
        _ => Err(SpawnError::Hear(std::io::ErrorKind::InvalidData.into())),
    }
}

impl Drop for Process {
    /// It ends once its control socket has been closed, which happens after this; so it is told by a signal.
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill().and_then(|()| child.wait());
    }
}

impl Like {
    fn of(spec: &Spec) -> Result<Self, SpawnError> {
        if spec.serves.is_some() {
            return Err(SpawnError::Unlike("serves a port"));
        }
        let mounts = spec.mounts.iter().map(without_size).collect::<Option<_>>();
        Ok(Self {
            mounts: mounts.ok_or(SpawnError::Unlike("mounts more than memory and read-only paths"))?,
            asks_for_names: matches!(spec.network, Network::Relay { dns: true, .. }),
            #[cfg(feature = "weaken")]
            weaken: spec.weaken.clone(),
            user: (!rustix::process::geteuid().is_root()).then_some((spec.uid, spec.gid)),
        })
    }
}

/// `None` where only `prepare` can make it.
fn without_size(mount: &Mount) -> Option<Mount> {
    match mount {
        Mount::ReadOnly { from: Source::Path(_), .. } => Some(mount.clone()),
        Mount::Tmpfs { to, .. } => Some(Mount::Tmpfs { to: to.clone(), scratch: Scratch { bytes: 0, inodes: 0 } }),
        Mount::ReadOnly { .. } | Mount::Writable { .. } | Mount::Overlay { .. } | Mount::SelfExe { .. } => None,
    }
}
