//! Faults on request: the step at which to die, and the steps that fail.

use std::io;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::io::Errno;

use crate::cut;
use crate::disk::{Kind, OfDisk, noting};

/// How much longer a slow step takes: a disk that is all but dead.
const SLOW: Duration = Duration::from_millis(300);

static STEPS: AtomicU64 = AtomicU64::new(0);
static WRITES: AtomicU64 = AtomicU64::new(0);

/// On which side of a step the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Before,
    After,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Crash {
    step: u64,
    side: Side,
    power: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    Error(Errno),
    Slow,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Fail {
    steps: RangeInclusive<u64>,
    failure: Failure,
}

#[derive(Debug, PartialEq, Eq)]
struct Malformed;

impl FromStr for Crash {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let mut parts = text.split(':');
        let step = parts.next().and_then(|number| number.parse().ok()).ok_or(Malformed)?;
        let side = match parts.next() {
            Some("before") => Side::Before,
            Some("after") => Side::After,
            _ => return Err(Malformed),
        };
        match (parts.next(), parts.next()) {
            (None, _) => Ok(Self { step, side, power: false }),
            (Some("power"), None) => Ok(Self { step, side, power: true }),
            _ => Err(Malformed),
        }
    }
}

impl FromStr for Fail {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (steps, failure) = text.split_once(':').ok_or(Malformed)?;
        let (first, last) = steps.split_once('-').unwrap_or((steps, steps));
        let number = |text: &str| text.parse::<u64>().map_err(|_| Malformed);
        let failure = match failure {
            "enospc" => Failure::Error(Errno::NOSPC),
            "edquot" => Failure::Error(Errno::DQUOT),
            "eio" => Failure::Error(Errno::IO),
            "slow" => Failure::Slow,
            _ => return Err(Malformed),
        };
        Ok(Self { steps: number(first)?..=number(last)?, failure })
    }
}

/// What a test may leave out, to show that it would be missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defence {
    /// Waiting for the disk.
    Sync,
    /// Answering only after the commit.
    Commit,
    /// Comparing a job's fence where its effect is committed.
    Fence,
    /// One job of a lane after the other.
    Lane,
    /// Taking a cancelled or overtaken deployment's jobs back.
    Withdraw,
    /// Counting the changes of what is live.
    Generation,
    /// Ending the deployments of jobs that were given up.
    Bury,
    /// Looking again at what names blobs before they go.
    Look,
    /// Looking again at what a deployment has become before it goes.
    Spare,
    /// Comparing bytes with their digest.
    Digest,
    /// Asking for bytes again that were found damaged or missing.
    Repair,
    /// Going by the clock of the database's server.
    ServerTime,
    /// Waiting until every edge has said that nothing is under way at an instance before it is told to end.
    Drain,
    /// Taking leases back that have ended.
    TakeBack,
    /// Keeping the last good routes on the edge's own disk.
    LastGood,
    /// Ending the rows of instances that ended with an earlier process.
    LastRites,
    /// Noting what is about to be made on another server.
    Intent,
    /// Noting that a container has a volume.
    Contained,
    /// Looking at the addresses that a guest's connection leads to.
    Addresses,
    /// Asking whether a key may have its runs see packages.
    Grant,
    /// Taking turns between keys whose runs wait.
    Turns,
    /// Passing over runs of keys that have as many under way as they may.
    KeyBounds,
    /// Telling runs that were begun from those that were only taken.
    Begun,
    /// Forking Node: it is started ahead then, as where what it forks fails its trial.
    NodeFork,
}

/// The defence that is left out.
struct Weaken(Defence);

impl FromStr for Weaken {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let defence = match text {
            "no-sync" => Defence::Sync,
            "no-commit" => Defence::Commit,
            "no-fence" => Defence::Fence,
            "no-lane" => Defence::Lane,
            "no-withdraw" => Defence::Withdraw,
            "no-generation" => Defence::Generation,
            "no-bury" => Defence::Bury,
            "no-look" => Defence::Look,
            "no-spare" => Defence::Spare,
            "no-digest" => Defence::Digest,
            "no-repair" => Defence::Repair,
            "no-server-time" => Defence::ServerTime,
            "no-drain" => Defence::Drain,
            "no-take-back" => Defence::TakeBack,
            "no-last-good" => Defence::LastGood,
            "no-last-rites" => Defence::LastRites,
            "no-intent" => Defence::Intent,
            "no-contained" => Defence::Contained,
            "no-addresses" => Defence::Addresses,
            "no-grant" => Defence::Grant,
            "no-turns" => Defence::Turns,
            "no-key-bounds" => Defence::KeyBounds,
            "no-begun" => Defence::Begun,
            "no-node-fork" => Defence::NodeFork,
            _ => return Err(Malformed),
        };
        Ok(Self(defence))
    }
}

/// Whether a test asks for this to be left out. Never in a release build.
pub fn left_out(defence: Defence) -> bool {
    cfg!(debug_assertions) && faults().weaken.as_ref().is_some_and(|weaken| weaken.0 == defence)
}

/// What the environment asks for, read once.
struct Faults {
    crash: Option<Crash>,
    fail: Option<Fail>,
    fail_write: Option<Fail>,
    weaken: Option<Weaken>,
}

fn faults() -> &'static Faults {
    static FAULTS: OnceLock<Faults> = OnceLock::new();
    FAULTS.get_or_init(|| Faults {
        crash: asked("SKYLIFT_CRASH_AT"),
        fail: asked("SKYLIFT_FAIL_AT"),
        fail_write: asked("SKYLIFT_FAIL_WRITE_AT"),
        weaken: asked("SKYLIFT_CRASH_WEAKEN"),
    })
}

#[expect(clippy::panic, reason = "only tests set it; one that is misread would pass without having tried anything")]
fn asked<T: FromStr<Err = Malformed>>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not understood")))
}

/// Whether a crash is to lose what was not synced.
pub(crate) fn loses_power() -> bool {
    cfg!(debug_assertions) && faults().crash.as_ref().is_some_and(|crash| crash.power)
}

/// Does one durable step that is a sync, unless those are left out.
pub(crate) fn sync(name: &str, work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    if left_out(Defence::Sync) {
        return step(Kind::Sync, name, || Ok(()));
    }
    step(Kind::Sync, name, work)
}

/// Does one durable step, or what a fault asks for in its place, and notes what became of it.
pub(crate) fn step<T, E: From<io::Error> + OfDisk>(
    kind: Kind,
    name: &str,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    noting(kind, name, || numbered(name, work))
}

fn numbered<T, E: From<io::Error>>(name: &str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    if !cfg!(debug_assertions) {
        return work();
    }
    let number = STEPS.fetch_add(1, Ordering::SeqCst) + 1;
    let faults = faults();
    fail_if(faults.fail.as_ref(), name, number)?;
    let crash = faults.crash.as_ref().filter(|crash| crash.step == number);
    die_if(crash.is_some_and(|crash| crash.side == Side::Before), name, number);
    let done = work();
    die_if(crash.is_some_and(|crash| crash.side == Side::After), name, number);
    done
}

/// Does one write, or what a fault asks for in its place.
pub(crate) fn write<T>(name: &str, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    noting(Kind::Write, name, || {
        if cfg!(debug_assertions) {
            let number = WRITES.fetch_add(1, Ordering::SeqCst) + 1;
            fail_if(faults().fail_write.as_ref(), name, number)?;
        }
        work()
    })
}

/// Fails, or takes longer, where a fault names this number.
#[expect(clippy::print_stderr, reason = "a fault that is tried must be seen to have happened")]
fn fail_if(fail: Option<&Fail>, name: &str, number: u64) -> io::Result<()> {
    let Some(fail) = fail.filter(|fail| fail.steps.contains(&number)) else { return Ok(()) };
    eprintln!("fault point {number}: {name}: {:?}", fail.failure);
    match fail.failure {
        Failure::Error(errno) => Err(errno.into()),
        Failure::Slow => {
            take_longer();
            Ok(())
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the delay is the fault; nothing waits for it to synchronise")]
pub(crate) fn take_longer() {
    std::thread::sleep(SLOW);
}

#[expect(clippy::print_stderr, reason = "the last words of a process that a test kills")]
fn die_if(now: bool, name: &str, number: u64) {
    if now {
        eprintln!("crash point {number}: {name}");
        cut::lose_unsynced();
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        // The signal is on its way to this very process.
        loop {
            std::thread::park();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_names_its_step_and_side() {
        assert_eq!("7:before".parse(), Ok(Crash { step: 7, side: Side::Before, power: false }));
        assert_eq!("12:after:power".parse(), Ok(Crash { step: 12, side: Side::After, power: true }));
        for bad in ["", "7", "x:before", "7:during", "7:after:", "7:after:power:x"] {
            assert_eq!(bad.parse::<Crash>(), Err(Malformed), "{bad}");
        }
    }

    #[test]
    fn a_failure_names_its_steps_and_error() {
        assert_eq!("3:eio".parse(), Ok(Fail { steps: 3..=3, failure: Failure::Error(Errno::IO) }));
        assert_eq!("3-9:enospc".parse(), Ok(Fail { steps: 3..=9, failure: Failure::Error(Errno::NOSPC) }));
        assert_eq!("1-2:slow".parse(), Ok(Fail { steps: 1..=2, failure: Failure::Slow }));
        for bad in ["", "3", "3:", "a-b:eio", "3:enoent"] {
            assert_eq!(bad.parse::<Fail>(), Err(Malformed), "{bad}");
        }
    }
}
