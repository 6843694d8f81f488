//! One step: a program, started in a place of its own, listened to, held to its limits, and how it ended.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use skylift_model::TokenId;
use skylift_model::run::{Limits, Step, Usage, Warmth};
use skylift_sandbox::{Outcome, Sandbox, SpawnError};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::ai::{Answering, Models};
use crate::attached::{Attached, Stream, pass_on};
use crate::begin::Begun;
use crate::capture::capture;
use crate::place::User;
use crate::runner::RunError;
use crate::turn::Turn;
use crate::verdict::{Broken, verdict};
use crate::watch::until_ended;

/// How shells tell that a program cannot be executed.
const NOT_EXECUTABLE: i32 = 126;

/// A step that has ended.
pub(crate) struct Ended {
    pub(crate) step: Step,
    /// The folder as the program left it, where that was wanted and it ran.
    pub(crate) folder: Option<OwnedFd>,
    /// When the program ran.
    pub(crate) started: Instant,
    /// Out of what its sandbox was made.
    pub(crate) start: Warmth,
}

/// What is wanted of a step besides what it prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaves {
    /// Nothing: that its first process has ended is all that is waited for.
    Nothing,
    /// Its folder, so nothing of it may live any more.
    Folder,
}

/// Who answers what a program asks of models, and on whose behalf.
pub(crate) type Asks = Option<(Arc<dyn Models>, TokenId)>;

/// Follows a program to its end. `turn` is given back once nothing of it is left. Where it was not started, whoever is attached still is.
pub(crate) async fn run(
    begun: Begun,
    (stdin, leaves, attached): (Vec<u8>, Leaves, &mut Attached),
    limits: &Limits,
    (turn, asks): (Turn, Asks),
) -> Result<Ended, RunError> {
    let Begun { running, program, user, start, at: started } = begun;
    let (mut sandbox, folder) = match running {
        Ok(running) => running,
        Err(SpawnError::NotExecutable { source, .. }) => {
            return Ok(Ended { step: not_executable(&program, &source), folder: None, started, start });
        }
        Err(error) => return Err(error.into()),
    };
    let answering = asks.and_then(|asks| answer(&mut sandbox, &asks));
    let spent = turn.spent.clone();
    let mut running = Running { of: Some((sandbox, user, turn)), is_counted: false };
    let Some((sandbox, ..)) = running.of.as_mut() else { return Err(RunError::Interrupted) };
    let most = usize::try_from(limits.output_bytes).unwrap_or(usize::MAX);
    let (stdout, stderr) = (sandbox.stdout.take(), sandbox.stderr.take());
    let attached = std::mem::take(attached);
    let is_talked_to = attached.is_talked_to();
    attached.began();
    let Attached { listener, stdin: more, signals, .. } = attached;
    let feeding = tokio::spawn(feed(sandbox.stdin.take(), stdin, more));
    let heard = |stream| {
        let listener = listener.as_deref();
        move |bytes: &[u8]| listener.map_or((), |listener| listener.printed(stream, bytes))
    };
    let too_much = Notify::new();
    let watched = async {
        let broken = tokio::select! {
            broken = until_ended(sandbox, limits, started, &too_much) => broken,
            never = pass_on(signals, sandbox.payload_pidfd()) => match never {},
        };
        // With it go all who might still print.
        sandbox.kill();
        drop(answering);
        broken
    };
    let (stdout, stderr, broken) = tokio::join!(
        // What was printed before it complained is heard before, wherever both are there.
        biased;
        capture(stdout, most, &too_much, heard(Stream::Stdout)),
        capture(stderr, most, &too_much, heard(Stream::Stderr)),
        watched
    );
    let wall_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    feeding.abort();
    let (stdout, stderr, broken) = (stdout?, stderr?, broken?);
    let Known { outcome, told } = running.outcome(leaves, broken.is_none()).await?;
    spent.add(outcome.cpu_ms * 1000);
    // Neither did we kill it, nor did the memory's limit, nor can it kill whoever would tell its end.
    if broken.is_none() && !told && !outcome.out_of_memory {
        return Err(if is_talked_to { RunError::BrokenOff } else { RunError::Vanished });
    }
    // It may have ended in the moment in which it was to be killed for what it printed.
    let broken = broken.or((stdout.truncated || stderr.truncated).then_some(Broken::Output));
    let verdict = verdict(broken, &outcome, limits);
    let usage = Usage { cpu_us: outcome.cpu_ms * 1000, wall_us, peak_memory_bytes: outcome.peak_memory_bytes };
    let step = Step {
        status: verdict.status,
        exit_code: verdict.exit_code,
        signal: verdict.signal,
        stdout_truncated: stdout.truncated,
        stderr_truncated: stderr.truncated,
        stdout: stdout.bytes,
        stderr: stderr.bytes,
        usage,
    };
    Ok(Ended { step, folder: Some(folder).filter(|_| leaves == Leaves::Folder), started, start })
}

/// Has what the program asks of models be answered. The socket goes with the answers, so that its network can.
fn answer(sandbox: &mut Sandbox, (models, key): &(Arc<dyn Models>, TokenId)) -> Option<Answering> {
    let relay = sandbox.relay.take()?;
    Some(models.answer(relay.connect, key))
}

/// Who does not read, or ends before, loses nothing.
async fn feed(stream: Option<OwnedFd>, bytes: Vec<u8>, more: Option<mpsc::Receiver<Vec<u8>>>) {
    let Some(Ok(mut stream)) = stream.map(pipe::Sender::from_owned_fd) else { return };
    let mut next = Some(bytes);
    let mut more = more;
    while let Some(bytes) = next {
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
        next = match &mut more {
            Some(more) => more.recv().await,
            None => None,
        };
    }
}

/// How a sandbox ended.
struct Known {
    outcome: Outcome,
    /// Whether somebody who watched it told so; else it was killed with them.
    told: bool,
}

/// A sandbox in which something runs, its user and its turn. What nobody waits for any more is killed and cleaned beside: that blocks.
struct Running {
    of: Option<(Sandbox, User, Turn)>,
    /// Whether somebody knows what it used: else that is noted when it goes.
    is_counted: bool,
}

impl Running {
    /// How it has ended. Where nothing is wanted of it, as soon as that is known, and the rest ends beside.
    async fn outcome(mut self, leaves: Leaves, has_ended: bool) -> Result<Known, RunError> {
        if let (Some((sandbox, ..)), true, Leaves::Nothing) = (self.of.as_mut(), has_ended, leaves) {
            // It is there to be read, unless nobody tells it.
            if let Some(outcome) = sandbox.outcome_so_far() {
                self.is_counted = true;
                return Ok(Known { outcome, told: true });
            }
        }
        let Some((mut sandbox, user, turn)) = self.of.take() else { return Err(RunError::Interrupted) };
        let known = spawn_blocking(move || {
            let so_far = sandbox.outcome_so_far();
            let told = so_far.is_some();
            let outcome = so_far.filter(|_| leaves == Leaves::Nothing).map_or_else(|| sandbox.wait(), Ok);
            let ends = Self { of: Some((sandbox, user, turn)), is_counted: outcome.is_ok() };
            (outcome.map(|outcome| Known { outcome, told }), ends)
        });
        let (known, _ends_beside) = known.await.map_err(|_| RunError::Interrupted)?;
        Ok(known?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some((sandbox, user, turn)) = self.of.take() else { return };
        if !self.is_counted {
            turn.spent.add(sandbox.cpu_us().unwrap_or_default());
        }
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn_blocking(move || drop((sandbox, user, turn)));
        }
    }
}

/// Whether a run's files found no room: that is for whoever sent them and said how much there should be.
pub(crate) fn is_full(error: &RunError) -> bool {
    matches!(error, RunError::Put(error) if error.kind() == io::ErrorKind::StorageFull)
}

/// Has it be a verdict where the files found no room.
pub(crate) fn told_if_full(done: Result<Ended, RunError>) -> Result<Ended, RunError> {
    match done {
        Err(error) if is_full(&error) => {
            let step = not_started("the run's files take more than its `disk_bytes`\n".to_owned());
            Ok(Ended { step, folder: None, started: Instant::now(), start: Warmth::Cold })
        }
        done => done,
    }
}

fn not_executable(program: &str, why: &io::Error) -> Step {
    not_started(format!("{program}: {why}\n"))
}

fn not_started(why: String) -> Step {
    Step { stderr: why.into_bytes(), ..Step::exited(NOT_EXECUTABLE) }
}
