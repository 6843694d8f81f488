//! Writes lines from a thread of its own: whoever reads them may stop for as long as they like without holding up anything else.

use std::future::Future;
use std::time::Duration;

use skylift_model::wire::{LogLine, Stream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::INTERRUPTED;
use crate::cli::clean::clean;
use crate::cli::output::{Output, say};
use crate::cli::problem::Problem;

/// How many lines may wait to be written.
const LINES_MAX: usize = 256;
/// How long an interrupted command's last lines may take to be written.
const PATIENCE: Duration = Duration::from_secs(1);

/// Lines on their way to standard output and standard error.
pub(super) struct Printer {
    lines: mpsc::Sender<LogLine>,
    done: oneshot::Receiver<Result<(), Problem>>,
}

impl Printer {
    pub(super) fn start(output: Output) -> Result<Self, Problem> {
        let (lines, mut next) = mpsc::channel(LINES_MAX);
        let (tell, done) = oneshot::channel();
        let print = move || {
            let mut shown = Ok(());
            while let Some(line) = next.blocking_recv() {
                shown = show(&line, output);
                if shown.is_err() {
                    break;
                }
            }
            let _ = tell.send(shown);
        };
        std::thread::Builder::new()
            .name("printer".to_owned())
            .spawn(print)
            .map_err(|error| Problem::Internal { what: "start a thread".to_owned(), source: Some(error.into()) })?;
        Ok(Self { lines, done })
    }

    /// Waits until there is room for a line.
    ///
    /// # Errors
    /// Why none can be written any more.
    pub(super) async fn room(&mut self) -> Result<(), Problem> {
        if self.lines.reserve().await.is_ok() {
            return Ok(());
        }
        Err((&mut self.done).await.ok().and_then(Result::err).unwrap_or(Problem::ReaderGone))
    }

    /// Has a line written, where there is room for it.
    pub(super) fn show(&self, line: LogLine) {
        let _ = self.lines.try_send(line);
    }

    /// Waits until all is written; not for long once the command was interrupted, nor beyond an interruption.
    pub(super) async fn finish(
        self,
        is_interrupted: bool,
        interrupted: impl Future<Output = ()>,
    ) -> Result<(), Problem> {
        let Self { lines, done } = self;
        drop(lines);
        if is_interrupted {
            let _ = timeout(PATIENCE, done).await;
            return Ok(());
        }
        tokio::select! {
            shown = done => shown.unwrap_or(Ok(())),
            () = interrupted => Err(Problem::CommandExited(INTERRUPTED)),
        }
    }
}

/// What the command printed goes where it printed it; what the platform says of it goes to standard error.
fn show(line: &LogLine, output: Output) -> Result<(), Problem> {
    if output.is_json() || line.stream == Stream::Stdout {
        let text = |line: &LogLine| if line.text.is_empty() { "\n".to_owned() } else { clean(&line.text).into_owned() };
        return output.item(line, text);
    }
    // How it ended is said at the end, or by the exit code.
    if line.stream == Stream::Stderr || !is_plain_end(&line.text) {
        say(&clean(&line.text));
    }
    Ok(())
}

fn is_plain_end(text: &str) -> bool {
    text == "done" || ["$ ", "exited with code ", "cannot be started: "].iter().any(|plain| text.starts_with(plain))
}
