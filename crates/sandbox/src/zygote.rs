//! A loaded interpreter that forks itself into sandboxes which a nursery has made, so that no run pays for its start.
//!
//! ```text
//! host: enter ──▶ zygote: forks into the sandbox's namespaces ──▶ payload: joins its groups, gives up every right, waits
//! host: start ──▶ payload: reads what it should be and becomes it
//! ```
//!
//! The zygote lies in the nursery's view of the system, holds no secret, parses nothing of a user's, and has no descriptor but
//! its socket and where it tells of ends. Its filter of system calls was loaded once and is every payload's.

mod enter;
mod node;
mod order;
mod python;
mod writes;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::MemfdFlags;

use crate::cgroup::{Cgroups, Group, group_name};
use crate::control::{self, Bear, Report};
use crate::nursery::{Alive, Nursery};
use crate::process::number_of;
use crate::spawn::{SpawnError, hear};
use crate::spec::Limits;

/// Of a zygote alone: what it forks is limited by the sandboxes it enters.
const LIMITS: Limits = Limits {
    memory_bytes: 512 << 20,
    cpu_millicores: 64_000,
    cpu_weight: 100,
    pids: 1024,
    file_bytes: 0,
    open_files: 4096,
};
/// Where what lies beside it is.
pub(crate) const BESIDE_AT: &str = "/run";

pub use enter::Parked;
pub(crate) use enter::{Ended, Enterable, Entered};
pub use writes::{OwnPages, Range};

/// What a zygote is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZygoteSpec {
    /// The interpreter, which reads its script from standard input and finds its socket as standard output.
    pub argv: Vec<String>,
    /// The whole environment of the zygote; payloads have that of their order.
    pub env: BTreeMap<String, String>,
    pub script: Vec<u8>,
    /// What else it needs of ours: files by their names, which it finds in `/run`, and its payloads do not.
    pub beside: BTreeMap<String, Vec<u8>>,
    /// What it loads before it forks, in the words of its script; for Python, modules. What is missing is left out.
    pub preload: Vec<String>,
    /// Of the zygote alone.
    pub limits: Limits,
    /// As in [`crate::Spec`].
    pub group_prefix: String,
}

/// An interpreter that waits, for use from any thread. Once dropped it takes no more; what has entered lives on, and when the last
/// of that has ended, it ends.
#[derive(Debug)]
pub struct Zygote {
    socket: OwnedFd,
    kept: Arc<Kept>,
}

/// What lives until the last payload has ended.
#[derive(Debug)]
struct Kept {
    pidfd: OwnedFd,
    group: Group,
    _nursery: Alive,
}

/// How long it may take to end once nothing is left to do for it.
const ENDS_WITHIN_S: i64 = 2;

impl Drop for Kept {
    /// Its group can be removed once it has ended; where that takes longer, the group goes later.
    fn drop(&mut self) {
        let patience = Timespec { tv_sec: ENDS_WITHIN_S, tv_nsec: 0 };
        let mut watched = [PollFd::new(&self.pidfd, PollFlags::IN)];
        if matches!(rustix::event::poll(&mut watched, Some(&patience)), Ok(1..)) {
            let _ = self.group.remove();
        }
    }
}

impl Zygote {
    /// Starts one beside the sandboxes of a nursery, and waits until it has loaded everything.
    ///
    /// # Errors
    /// As [`crate::spawn`]; where the interpreter cannot be run, [`SpawnError::SetUp`].
    pub fn start(nursery: &Nursery, spec: &ZygoteSpec) -> Result<Self, SpawnError> {
        let mut group = Cgroups::own().create(&group_name(&spec.group_prefix), &spec.limits)?;
        group.open_entrances()?;
        let (socket, theirs) = control::pair().map_err(SpawnError::Control)?;
        let files = std::iter::once(&spec.script).chain(spec.beside.values()).map(|bytes| file(bytes));
        let files = files.collect::<io::Result<_>>().map_err(SpawnError::SendSpec)?;
        let words = spec.preload.join(" ");
        control::send_bytes(&socket, words.as_bytes(), &[]).map_err(SpawnError::SendSpec)?;
        let beside = spec.beside.keys().cloned().collect();
        let wanted = Bear::Zygote { argv: spec.argv.clone(), env: spec.env.clone(), beside };
        let pidfd = nursery.alive().bear(&wanted, theirs, files, (&group, &socket))?;
        offer_to_the_memory_killer(&pidfd);
        let kept = Arc::new(Kept { pidfd, group, _nursery: nursery.alive().clone() });
        let zygote = Self { socket, kept };
        match hear(&zygote.socket)?.0 {
            Report::Prepared => Ok(zygote),
            Report::Failed { message } => Err(SpawnError::SetUp { message }),
            _ => Err(SpawnError::Hear(io::ErrorKind::InvalidData.into())),
        }
    }

    /// Has each payload from now on begin with pages of its own where programs write to: see [`OwnPages::since`]. Only makes it faster.
    ///
    /// # Errors
    /// [`SpawnError::AskZygote`] when the zygote has been killed.
    pub fn expect_writes(&self, ranges: &[Range]) -> Result<(), SpawnError> {
        control::send_bytes(&self.socket, writes::words(ranges).as_bytes(), &[]).map_err(SpawnError::AskZygote)
    }

    /// Readable once it has ended, as when it was killed; then start another.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.kept.pidfd.as_fd()
    }
}

/// What it forks takes after it, and is to go before the platform where the machine has no memory. A wish only.
fn offer_to_the_memory_killer(zygote: &OwnedFd) {
    if let Ok(pid) = number_of(zygote.as_fd()) {
        let _ = std::fs::write(format!("/proc/{pid}/oom_score_adj"), "500");
    }
}

fn file(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = std::fs::File::from(rustix::fs::memfd_create("zygote", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    io::Seek::rewind(&mut file)?;
    Ok(file.into())
}
