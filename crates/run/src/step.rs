//! One step: a program, started in a place of its own, listened to, held to its limits, and how it ended.

use std::io;
use std::os::fd::OwnedFd;

use skylift_model::run::{Limits, RunStatus, Step, Usage, Warmth};
use skylift_sandbox::{Order, Outcome, Sandbox, SpawnError};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::capture::capture;
use crate::place::{Place, User};
use crate::runner::RunError;
use crate::verdict::verdict;
use crate::watch::until_ended;

/// How shells tell that a program cannot be executed.
const NOT_EXECUTABLE: i32 = 126;

/// A step that has ended.
pub(crate) struct Ended {
    pub(crate) step: Step,
    /// The folder as the program left it; `None` where it never ran.
    pub(crate) folder: Option<OwnedFd>,
    /// When the program ran.
    pub(crate) started: Instant,
    /// Out of what its sandbox was made.
    pub(crate) start: Warmth,
    /// Whose files are in the folder.
    pub(crate) user: User,
}

/// Runs a program to its end.
pub(crate) async fn run(place: Place, order: Order, stdin: Vec<u8>, limits: &Limits) -> Result<Ended, RunError> {
    let Place { waiting, user, start } = place;
    let program = order.argv.first().cloned().unwrap_or_default();
    let starting = spawn_blocking(move || waiting.start(&order)).await.map_err(|_| RunError::Interrupted)?;
    let started = Instant::now();
    let (mut running, folder) = match starting {
        Ok((sandbox, folder)) => (Running(Some(sandbox)), folder),
        Err(SpawnError::NotExecutable { source, .. }) => {
            let step = not_executable(&program, &source);
            return Ok(Ended { step, folder: None, started, start, user });
        }
        Err(error) => return Err(error.into()),
    };
    let Some(sandbox) = running.0.as_mut() else { return Err(RunError::Interrupted) };
    let most = usize::try_from(limits.output_bytes).unwrap_or(usize::MAX);
    let (stdout, stderr) = (sandbox.stdout.take(), sandbox.stderr.take());
    let feeding = tokio::spawn(feed(sandbox.stdin.take(), stdin));
    let too_much = Notify::new();
    let watched = async {
        let broken = until_ended(sandbox, limits, started, &too_much).await;
        // With it go all who might still print.
        sandbox.kill();
        broken
    };
    let (stdout, stderr, broken) =
        tokio::join!(capture(stdout, most, &too_much), capture(stderr, most, &too_much), watched);
    let wall_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    feeding.abort();
    let (stdout, stderr, broken) = (stdout?, stderr?, broken?);
    let outcome = running.wait().await?;
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
    Ok(Ended { step, folder: Some(folder), started, start, user })
}

/// Who does not read, or ends before, loses nothing.
async fn feed(stream: Option<OwnedFd>, bytes: Vec<u8>) {
    let Some(Ok(mut stream)) = stream.map(pipe::Sender::from_owned_fd) else { return };
    let _ = stream.write_all(&bytes).await;
}

/// A sandbox in which something runs. What nobody waits for any more is killed beside: that blocks.
struct Running(Option<Sandbox>);

impl Running {
    async fn wait(mut self) -> Result<Outcome, RunError> {
        let Some(mut sandbox) = self.0.take() else { return Err(RunError::Interrupted) };
        let waited: io::Result<Outcome> =
            spawn_blocking(move || sandbox.wait()).await.map_err(|_| RunError::Interrupted)?;
        Ok(waited?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let (Some(sandbox), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn_blocking(move || drop(sandbox));
        }
    }
}

fn not_executable(program: &str, why: &io::Error) -> Step {
    Step {
        status: RunStatus::ExitNonzero,
        exit_code: Some(NOT_EXECUTABLE),
        signal: None,
        stdout: Vec::new(),
        stderr: format!("{program}: {why}\n").into_bytes(),
        stdout_truncated: false,
        stderr_truncated: false,
        usage: Usage::default(),
    }
}
