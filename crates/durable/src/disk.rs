//! How the disk is, by what became of the last steps: nothing is asked of it for this alone.
//!
//! ```text
//! well ──▶ failing   a write, a sync or a commit met an error of the disk
//!      ◀──           the next one of that kind succeeded
//! well ──▶ slow      the last four syncs each took 200 ms or longer
//!      ◀──           one was faster
//! ```

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;

/// How long a sync takes on a disk that holds everything up. Many times what one does that only turns.
const SLOW: Duration = Duration::from_millis(200);
/// How many in a row make a disk slow: one alone may have had much to write.
const SLOW_IN_A_ROW: usize = 4;

static SEEN: Mutex<Seen> = Mutex::new(Seen::new());

/// How the disk is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disk {
    Well,
    /// What cannot be done, and what it said.
    Failing {
        step: String,
        error: String,
    },
    /// Each of the last syncs took at least so long.
    Slow {
        at_least: Duration,
    },
}

/// What may be an error of a disk.
pub trait OfDisk {
    /// What the disk said, where it was the disk.
    fn of_disk(&self) -> Option<String>;
}

impl OfDisk for io::Error {
    fn of_disk(&self) -> Option<String> {
        let errno = Errno::from_io_error(self);
        let is_disk = matches!(errno, Some(Errno::NOSPC | Errno::DQUOT | Errno::IO | Errno::ROFS | Errno::NODEV));
        is_disk.then(|| self.to_string())
    }
}

/// Kinds of steps. A success of one says little of the others: bytes are taken by memory alone.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Write,
    Rename,
    Sync,
    Commit,
}

/// How the disk is, as far as this process has seen.
pub fn disk() -> Disk {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner).verdict()
}

/// Does a step and notes what became of it.
pub(crate) fn noting<T, E: OfDisk>(kind: Kind, name: &str, step: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let began = Instant::now();
    let done = step();
    let took = began.elapsed();
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    match &done {
        Ok(_) => seen.worked(kind, took),
        Err(error) => {
            if let Some(error) = error.of_disk() {
                seen.failed(kind, name, error);
            }
        }
    }
    done
}

struct Seen {
    /// The last failure of each kind that no success followed.
    failing: [Option<(String, String)>; 4],
    /// How long the last syncs took.
    syncs: [Duration; SLOW_IN_A_ROW],
}

impl Seen {
    const fn new() -> Self {
        Self { failing: [const { None }; 4], syncs: [Duration::ZERO; SLOW_IN_A_ROW] }
    }

    fn slot(&mut self, kind: Kind) -> &mut Option<(String, String)> {
        let [write, rename, sync, commit] = &mut self.failing;
        match kind {
            Kind::Write => write,
            Kind::Rename => rename,
            Kind::Sync => sync,
            Kind::Commit => commit,
        }
    }

    fn worked(&mut self, kind: Kind, took: Duration) {
        *self.slot(kind) = None;
        if matches!(kind, Kind::Sync) {
            // A database in a file is synced by its commits: the same disk.
            *self.slot(Kind::Commit) = None;
            self.syncs.rotate_left(1);
            if let Some(last) = self.syncs.last_mut() {
                *last = took;
            }
        }
    }

    fn failed(&mut self, kind: Kind, name: &str, error: String) {
        *self.slot(kind) = Some((name.to_owned(), error));
    }

    fn verdict(&self) -> Disk {
        if let Some((step, error)) = self.failing.iter().flatten().next() {
            return Disk::Failing { step: step.clone(), error: error.clone() };
        }
        let at_least = self.syncs.iter().min().copied().unwrap_or_default();
        if at_least >= SLOW { Disk::Slow { at_least } } else { Disk::Well }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(3);

    #[test]
    fn a_failure_is_told_until_a_step_of_its_kind_succeeds() {
        let mut seen = Seen::new();
        seen.failed(Kind::Sync, "sync file", "Input/output error".to_owned());
        seen.worked(Kind::Write, QUICK);
        let failing = Disk::Failing { step: "sync file".to_owned(), error: "Input/output error".to_owned() };
        assert_eq!(seen.verdict(), failing);
        seen.worked(Kind::Sync, QUICK);
        assert_eq!(seen.verdict(), Disk::Well);
    }

    #[test]
    fn four_slow_syncs_are_a_slow_disk_and_one_quick_one_ends_that() {
        let mut seen = Seen::new();
        for _ in 0..SLOW_IN_A_ROW {
            assert_eq!(seen.verdict(), Disk::Well);
            seen.worked(Kind::Sync, SLOW);
        }
        assert_eq!(seen.verdict(), Disk::Slow { at_least: SLOW });
        seen.worked(Kind::Commit, QUICK);
        assert_eq!(seen.verdict(), Disk::Slow { at_least: SLOW });
        seen.worked(Kind::Sync, QUICK);
        assert_eq!(seen.verdict(), Disk::Well);
    }

    #[test]
    fn what_is_not_there_is_no_failure_of_the_disk() {
        assert_eq!(io::Error::from(io::ErrorKind::NotFound).of_disk(), None);
        assert!(io::Error::from(Errno::NOSPC).of_disk().is_some_and(|error| error.contains("space")));
    }
}
