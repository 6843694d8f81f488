//! A place for one step: a sandbox that waits, and the user that it is run as.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use skylift_model::run::{Limits, Warmth};
use skylift_sandbox::{
    InitFile, Mount, Network, Order, Ordered, Output, Parked, Prepared, Sandbox, Scratch, Source, SpawnError, Spec,
    Stdin,
};

use crate::language::BOX;
use crate::prestart::Started;
use crate::readable;

/// The first user of runs; each that runs at the same time has its own.
const UID_BASE: u32 = 600_000;
/// How many may run at the same time, at most.
const UIDS: u32 = 4096;

/// Which of several processes of this machine this is: each has users of its own.
static PROCESS: OnceLock<u32> = OnceLock::new();

/// Has the runs of this process be run as other users than those of the processes beside it: to be said before any is run. Without it,
/// and with 0, they are those of the process that is there anyway.
pub fn use_users_of_worker(number: u32) {
    let _ = PROCESS.set(number);
}

fn first_user() -> u32 {
    UID_BASE.saturating_add(PROCESS.get().copied().unwrap_or_default().saturating_mul(UIDS))
}
/// Files in memory that a run may have.
const INODES: u64 = 16_384;
/// A process outside of any sandbox has 100.
const CPU_WEIGHT: u32 = 50;
/// What is made to wait leaves the processors to those that run; it weighs as much as they do from its order on.
const CPU_WEIGHT_MADE_AHEAD: u32 = 5;

/// Users that nothing runs as.
#[derive(Clone, Debug, Default)]
pub(crate) struct Users(Arc<Mutex<BTreeSet<u32>>>);

/// A user that is one run's alone, for as long as this lives.
#[derive(Debug)]
pub(crate) struct User {
    uid: u32,
    users: Users,
}

impl Users {
    /// The lowest that is free.
    pub(crate) fn take(&self) -> Option<User> {
        if !rustix::process::geteuid().is_root() {
            // There is one user then, whatever it is called inside.
            return Some(User { uid: UID_BASE + UIDS, users: self.clone() });
        }
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let uid = (first_user()..first_user().saturating_add(UIDS)).find(|uid| !taken.contains(uid))?;
        taken.insert(uid);
        Some(User { uid, users: self.clone() })
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.users.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.uid);
    }
}

/// For whom a place is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// One that waits for it; whether its program may ask models.
    Run { ai: bool },
    /// Those to come.
    Later,
}

/// Where one step is to run, with nothing of it there yet.
pub(crate) struct Place {
    pub(crate) waiting: Waiting,
    pub(crate) user: User,
    /// Out of what it was made.
    pub(crate) start: Warmth,
}

/// A sandbox that waits to be told what to run.
pub(crate) enum Waiting {
    /// With nothing in it.
    Prepared(Prepared),
    /// With a loaded interpreter in it, which is told the file and its arguments.
    Parked(Parked),
    /// With an interpreter in it that was started ahead, which is told the same.
    Started(Started),
}

/// What becomes of one that was told what to run.
pub(crate) enum Told {
    /// Its program is about to begin.
    Ordered(Ordered),
    Running((Sandbox, OwnedFd)),
}

impl Waiting {
    /// Where files are put.
    pub(crate) fn folder(&self) -> BorrowedFd<'_> {
        match self {
            Self::Prepared(prepared) => prepared.folder(),
            Self::Parked(parked) => parked.folder(),
            Self::Started(started) => started.folder(),
        }
    }

    /// Whether it is still of use: one whose nursery or zygote was killed is not.
    pub(crate) fn lives(&self) -> bool {
        let pidfd = match self {
            Self::Prepared(prepared) => prepared.pidfd(),
            Self::Parked(parked) => parked.pidfd(),
            Self::Started(started) => started.pidfd(),
        };
        matches!(readable::within(pidfd, Duration::ZERO), Ok(false))
    }

    /// Whether it can be used with these limits, where it was made with the usual ones.
    pub(crate) fn fits(&self, limits: &Limits, usual: &Limits) -> bool {
        match self {
            // What waits has files of the usual size; all other limits are set when it starts.
            Self::Prepared(_) | Self::Parked(_) => limits.disk_bytes == usual.disk_bytes,
            Self::Started(_) => sandbox_limits(limits) == sandbox_limits(usual),
        }
    }

    /// Has it run. Blocks until it does.
    pub(crate) fn start(self, order: &Order) -> Result<(Sandbox, OwnedFd), SpawnError> {
        match self.tell(order)? {
            Told::Ordered(ordered) => ordered.started(),
            Told::Running(running) => Ok(running),
        }
    }

    /// Has it run: takes next to no time.
    pub(crate) fn tell(self, order: &Order) -> Result<Told, SpawnError> {
        match self {
            Self::Prepared(prepared) => prepared.order(order).map(Told::Ordered),
            Self::Parked(parked) => {
                // It is the interpreter already.
                let argv = order.argv.iter().skip(1).cloned().collect();
                parked.start(&Order { argv, ..order.clone() }).map(Told::Running)
            }
            Self::Started(started) => started.start(order).map(Told::Running),
        }
    }
}

impl User {
    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }
}

/// A sandbox for a step.
pub(crate) fn spec(init: Option<InitFile>, uid: u32, limits: &Limits, whom: For) -> Spec {
    let mut spec = Spec::new(Vec::<String>::new());
    spec.init = init;
    (spec.uid, spec.gid) = (uid, uid);
    spec.home = BOX.into();
    spec.cwd = BOX.into();
    (spec.stdin, spec.stdout, spec.stderr) = (Stdin::Pipe, Output::Pipe, Output::Pipe);
    let scratch = Scratch { bytes: limits.disk_bytes, inodes: INODES };
    (spec.tmp, spec.shm) = (scratch, scratch);
    spec.mounts.push(Mount::Tmpfs { to: BOX.into(), scratch });
    spec.holds = Some(BOX.into());
    spec.apart = true;
    spec.limits = sandbox_limits(limits);
    match whom {
        For::Run { ai: true } => spec.network = Network::Answered { port: crate::ai::PORT },
        For::Run { ai: false } => {}
        For::Later => spec.limits.cpu_weight = CPU_WEIGHT_MADE_AHEAD,
    }
    spec
}

/// A folder of the host's that is seen where it is.
pub(crate) fn seen(path: &Path) -> Mount {
    Mount::ReadOnly { from: Source::Path(path.to_owned()), to: path.to_owned() }
}

/// What is to run there.
pub(crate) fn order(argv: Vec<String>, env: BTreeMap<String, String>, limits: &Limits) -> Order {
    Order { argv, env, cwd: PathBuf::from(BOX), limits: sandbox_limits(limits) }
}

/// Files in memory count as memory, so the size of one needs no limit besides that of all.
fn sandbox_limits(limits: &Limits) -> skylift_sandbox::Limits {
    skylift_sandbox::Limits {
        memory_bytes: limits.memory_bytes,
        cpu_millicores: 1000,
        cpu_weight: CPU_WEIGHT,
        pids: limits.pids,
        file_bytes: limits.disk_bytes,
        open_files: limits.nofile,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_at_the_same_time_are_never_the_same_user() {
        let users = Users::default();
        let (first, second) = (users.take().unwrap(), users.take().unwrap());
        assert_ne!(first.uid(), second.uid());
        let freed = first.uid();
        drop(first);
        assert_eq!(users.take().unwrap().uid(), freed);
    }

    #[test]
    fn what_is_made_ahead_leaves_the_processors_to_those_that_run_until_its_order() {
        let usual = skylift_model::run::LIMITS.usual;
        let made = |whom| spec(None, 1, &usual, whom).limits;
        let ordered = order(Vec::new(), BTreeMap::new(), &usual).limits;
        assert!(made(For::Later).cpu_weight < ordered.cpu_weight);
        assert_eq!(skylift_sandbox::Limits { cpu_weight: ordered.cpu_weight, ..made(For::Later) }, ordered);
        for ai in [false, true] {
            assert_eq!(made(For::Run { ai }), ordered, "a run waits for it");
        }
    }
}
