//! A running sandbox, seen from the host.
//!
//! ```text
//! spawned ──▶ running ──▶ ended (its payload ended, was killed, or the limits killed it) ──▶ cleaned by wait or drop
//! ```

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::cgroup::Group;
use crate::door::Door;
use crate::listening::Listening;
use crate::outermost::Outermost;
use crate::process;
use crate::unheard::Unheard;
use crate::unlinked::Unlinked;
use crate::zygote::{Ended, Entered, OwnPages};

/// A sandbox that runs. Dropping it kills and cleans everything, and blocks for as long as that takes.
#[derive(Debug)]
pub struct Sandbox {
    /// Where the payload reads from, for [`crate::Stdin::Pipe`].
    pub stdin: Option<OwnedFd>,
    /// What the payload writes to, for [`crate::Output::Pipe`].
    pub stdout: Option<OwnedFd>,
    pub stderr: Option<OwnedFd>,
    /// For [`crate::Network::Relay`] and [`crate::Network::Answered`].
    pub relay: Option<Relay>,
    pub(crate) outermost: Outermost,
    /// Once PID 1 has been born.
    pub(crate) first_pidfd: Option<OwnedFd>,
    /// Where a zygote tells how the payload has ended that it has forked into here.
    pub(crate) entered: Option<Entered>,
    /// Once the payload runs.
    pub(crate) payload_pidfd: Option<OwnedFd>,
    /// Also the lifeline: all die when it closes.
    pub(crate) control: OwnedFd,
    pub(crate) door: Option<Door>,
    pub(crate) group: Group,
    /// How the payload has ended, once that was told.
    pub(crate) ended: Option<Ended>,
    pub(crate) outcome: Option<Outcome>,
}

/// The sandbox's own sockets, all non-blocking. They keep its network alive, so drop them with the sandbox.
#[derive(Debug)]
pub struct Relay {
    /// Listens on the proxy's port, or the one that is answered.
    pub connect: OwnedFd,
    /// Listen on every address; an accepted connection's local address is the one the payload asked for. One socket hears both
    /// families where there are two: an IPv4 address is then in IPv6 spelling, see [`std::net::IpAddr::to_canonical`].
    pub tcp: Vec<(u16, OwnedFd)>,
    /// Receive what was sent to port 53 of any address; see [`crate::dns`].
    pub dns: Vec<OwnedFd>,
}

/// How the payload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    Code(i32),
    /// Also when the sandbox as a whole was killed.
    Signal(i32),
}

/// What a running sandbox uses; what no controller counts here is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InUse {
    /// Without the part of the page cache that would be given up first.
    pub memory_bytes: Option<u64>,
    /// Of a processor, since the start.
    pub cpu_us: Option<u64>,
    /// Processes and threads, as [`crate::Limits::pids`] counts them.
    pub pids: Option<u32>,
}

/// How the sandbox ended and what it has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    pub exit: Exit,
    /// Of the whole tree; without a memory controller, of its largest process.
    pub peak_memory_bytes: u64,
    /// Of the whole tree; without a CPU controller, of what was reaped.
    pub cpu_ms: u64,
    /// Something in it was killed because the memory limit was met.
    pub out_of_memory: bool,
    /// A process or thread was refused because of the limit.
    pub pids_limit_hit: bool,
}

impl Sandbox {
    /// Readable once everything in the sandbox has ended, for waiting without blocking; then call [`Self::wait`].
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.outermost.pidfd()
    }

    /// The way to what the payload listens on, where the spec says that it serves. Whoever still has it when the sandbox
    /// has been waited for or dropped gets nothing from it.
    pub fn door(&self) -> Option<Door> {
        self.door.clone()
    }

    /// Asks the payload to end: SIGTERM to its whole process group, and to go on where it was stopped. Then wait, and
    /// when patience is over [`Self::kill`]. After the end does nothing.
    ///
    /// When that ends the payload's first process before others of its group, the sandbox ends with the last of those.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn terminate(&self) -> io::Result<()> {
        let Some(payload) = &self.payload_pidfd else { return Ok(()) };
        for signal in [Signal::TERM, Signal::CONT] {
            match process::signal_group(payload, signal) {
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(()),
                signalled => signalled?,
            }
        }
        Ok(())
    }

    /// What it uses now. Reads a few files of the kernel's.
    pub fn usage(&self) -> InUse {
        let now = self.group.now();
        InUse { pids: now.pids.map(|all| all.saturating_sub(self.outermost.own_pids())), ..now }
    }

    /// What it has used of processors since its start, in microseconds. Reads one file of the kernel's.
    pub fn cpu_us(&self) -> Option<u64> {
        self.group.cpu_us()
    }

    /// Where files are found that it holds open without a name.
    pub fn unlinked(&self) -> Unlinked {
        Unlinked::of_group(self.group.path().map(Path::to_owned))
    }

    /// What its programs send to ports of its network where nobody listens.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn unheard(&self) -> io::Result<Unheard> {
        // Read before and after, so that the number was of no other process meanwhile.
        let pid = self.outermost.pid()?;
        let unheard = Unheard::of_process(pid, self.door.clone())?;
        self.outermost.pid().map(|_| unheard)
    }

    /// Where it is found on which ports its processes listen.
    pub fn listening(&self) -> Listening {
        Listening::of_group(self.group.path().map(Path::to_owned))
    }

    /// Kills everything in it. May be repeated, and after the end does nothing.
    pub fn kill(&self) {
        // PID 1 takes its whole namespace along; the watcher then ends by itself. Before PID 1 is known, the watcher
        // takes it along instead.
        let target = self.first_pidfd.as_ref().map_or_else(|| self.outermost.pidfd(), AsFd::as_fd);
        let _ = rustix::process::pidfd_send_signal(target, Signal::KILL);
    }

    /// The payload's first process, once it runs: for signals to it.
    pub fn payload_pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.payload_pidfd.as_ref().map(AsFd::as_fd)
    }

    /// Which memory only the payload's first process has.
    ///
    /// # Errors
    /// Where it has ended, or may not be looked at.
    pub fn own_pages(&self) -> io::Result<OwnPages> {
        OwnPages::of(self.payload_pidfd().ok_or(io::ErrorKind::NotFound)?)
    }

    /// Readable once it is known how the payload has ended, while the rest may still be coming to its end. Then call
    /// [`Self::outcome_so_far`].
    pub fn payload_end(&self) -> BorrowedFd<'_> {
        // PID 1 tells of the end of what it has started itself, and nothing else once that runs; the zygote, of what it has forked.
        self.entered.as_ref().map_or_else(|| self.control.as_fd(), Entered::tells)
    }

    /// How the payload has ended, and what has been used until now. Waits for no process but the payload, and cleans nothing:
    /// [`Self::wait`] or dropping it does. Nothing where whoever was to tell it was killed.
    pub fn outcome_so_far(&mut self) -> Option<Outcome> {
        if self.ended.is_none() {
            self.ended = match &self.entered {
                Some(entered) => entered.ended(),
                None => Ended::told(&self.control),
            };
        }
        self.ended.map(|ended| self.outcome_with(ended))
    }

    /// Waits for the end, cleans up and says how it went. Blocks.
    ///
    /// # Errors
    /// When our own child cannot be waited for.
    pub fn wait(&mut self) -> io::Result<Outcome> {
        if let Some(outcome) = self.outcome {
            return Ok(outcome);
        }
        let pidfd = self.outermost.pidfd();
        let mut watched = [PollFd::new(&pidfd, PollFlags::IN)];
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut watched, None))?;
        self.outermost.reap()?;
        let outcome = self.read_outcome();
        self.clean();
        self.outcome = Some(outcome);
        Ok(outcome)
    }

    /// What PID 1 said last, and what the groups have counted. Without a word from PID 1 it was killed.
    fn read_outcome(&self) -> Outcome {
        let killed = Ended { exit: Exit::Signal(Signal::KILL.as_raw()), cpu_ms: 0, rss_bytes_max: 0 };
        let told = || self.entered.as_ref().and_then(Entered::ended).or_else(|| Ended::told(&self.control));
        self.outcome_with(self.ended.or_else(told).unwrap_or(killed))
    }

    fn outcome_with(&self, Ended { exit, cpu_ms: reaped_cpu_ms, rss_bytes_max: largest_rss_bytes }: Ended) -> Outcome {
        let usage = self.group.usage();
        Outcome {
            exit,
            peak_memory_bytes: usage.peak_memory_bytes.unwrap_or(largest_rss_bytes),
            cpu_ms: usage.cpu_ms.unwrap_or(reaped_cpu_ms),
            out_of_memory: usage.memory_kills > 0,
            pids_limit_hit: usage.pids_refused > 0,
        }
    }

    /// The groups are empty by now, for the namespace has ended; killing them is the second line of defence. What
    /// cannot be removed is left for [`crate::cgroup::sweep_leftovers`].
    fn clean(&mut self) {
        if let Some(door) = &self.door {
            door.shut();
        }
        let is_kept = self.outermost.spares().is_some_and(|spares| spares.keep(&mut self.group));
        if is_kept || self.group.remove_where_empty() {
            return;
        }
        let _ = self.group.kill();
        let _ = self.group.remove();
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if self.outcome.is_none() {
            self.kill();
            let _ = self.wait();
        }
    }
}
