//! What builds and instances print: every line stored and streamed, cleaned, with secrets masked.

mod clean;
mod lines;
mod pace;

use std::sync::Arc;
use std::time::Duration;

use skylift_bus::{Bus, Message};
use skylift_model::wire::{LogLine, Stream};
use skylift_model::{Clock, DeploymentId, chain};
use skylift_store::Store;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

pub use clean::Mask;

use clean::clean;
use lines::{Lines, cut};
use pace::Pace;

/// How long lines may wait for others to be stored with.
const GATHER: Duration = Duration::from_millis(50);
/// How many lines are stored at once.
const BATCH_MAX: usize = 512;
/// How many lines may wait to be stored; beyond it the build's output is read more slowly.
const WAITING_MAX: usize = 4096;
/// How much is read at once: also what is still read, line by line, of a program that was told to end.
const READ_BYTES: usize = 16 << 10;
/// How many lines one build may store. What is printed beyond it is dropped, with a mark.
const LINES_MAX: u64 = 100_000;
/// How many bytes one build may store.
const BYTES_MAX: u64 = 16 << 20;

/// What is kept of a log that is longer than is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Its beginning: a build's.
    First,
    /// Its end: what instances print.
    Last,
}

/// Where the lines of a build or an instance go.
#[derive(Clone)]
pub struct Log {
    sender: mpsc::Sender<LogLine>,
    clock: Clock,
    mask: Arc<Mask>,
}

/// The task that stores lines. Ends once every [`Log`] is dropped.
pub struct LogWriter(JoinHandle<()>);

impl Log {
    /// Starts the log of a deployment. Every `secret` is masked in it.
    pub fn start(
        store: Store,
        bus: Bus,
        clock: Clock,
        deployment: DeploymentId,
        mask: Mask,
        keep: Keep,
    ) -> (Self, LogWriter) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let writer = tokio::spawn(write(store, bus, deployment, receiver, keep));
        (Self { sender, clock, mask: Arc::new(mask) }, LogWriter(writer))
    }

    /// Masks these values, too, in what is logged from now on by this one and those that are cloned from it.
    pub fn mask_also(&mut self, values: impl IntoIterator<Item = String>) {
        self.mask = Arc::new(self.mask.and(values));
    }

    /// A line of the platform's own.
    pub async fn say(&self, step: &str, text: impl AsRef<str>) {
        self.line(step, Stream::System, text.as_ref()).await;
    }

    /// The same from where nothing can be awaited; lost where the log is far behind.
    pub fn try_say(&self, step: &str, text: &str) {
        let _ = self.sender.try_send(self.entry(step, Stream::System, text));
    }

    /// Stores what a step prints, until it closes its end. Returns how many bytes it printed, or `None` as soon as
    /// there are more than `bytes_max`.
    pub async fn follow(
        &self,
        step: &str,
        stream: Stream,
        mut output: impl tokio::io::AsyncRead + Unpin,
        bytes_max: u64,
    ) -> Option<u64> {
        let mut lines = Lines::keeping(self.mask.longest());
        let mut buffer = vec![0; READ_BYTES];
        let mut printed = 0;
        let mut pace = Pace::from(Instant::now());
        loop {
            let length = output.read(&mut buffer).await.unwrap_or(0);
            let complete = lines.feed(buffer.get(..length).unwrap_or_default(), length == 0);
            let count = complete.len() as u64;
            for line in complete {
                self.line(step, stream, &String::from_utf8_lossy(&line)).await;
            }
            if length == 0 {
                return Some(printed);
            }
            printed += length as u64;
            if printed > bytes_max {
                return None;
            }
            if let Some(until) = pace.read(length as u64, count, Instant::now()) {
                sleep_until(until).await;
            }
        }
    }

    /// A text as it may be shown outside the log, too.
    pub fn clean(&self, text: &str) -> String {
        clean(text, &self.mask)
    }

    async fn line(&self, step: &str, stream: Stream, text: &str) {
        let _ = self.sender.send(self.entry(step, stream, text)).await;
    }

    fn entry(&self, step: &str, stream: Stream, text: &str) -> LogLine {
        let text = cut(self.clean(text));
        LogLine { seq: 0, at: self.clock.now(), step: step.to_owned(), stream, text }
    }
}

impl LogWriter {
    /// Waits until every line is stored.
    pub async fn finish(self) {
        let _ = self.0.await;
    }
}

async fn write(store: Store, bus: Bus, deployment: DeploymentId, mut receiver: mpsc::Receiver<LogLine>, keep: Keep) {
    let mut room = Room { lines: LINES_MAX, bytes: BYTES_MAX };
    while let Some(first) = receiver.recv().await {
        let mut batch = vec![first];
        gather(&mut batch, &mut receiver).await;
        let stored = match keep {
            Keep::First => {
                room.fit(&mut batch);
                if batch.is_empty() {
                    continue;
                }
                store.append_log(deployment.clone(), batch).await
            }
            Keep::Last => store.append_output(deployment.clone(), batch).await,
        };
        if let Err(error) = stored {
            tracing::error!(deployment.id = %deployment, error = chain(&error), "cannot store log lines");
        }
        bus.publish(Message::LogGrew(deployment.clone()));
    }
}

/// How much of a log may still be stored.
struct Room {
    lines: u64,
    bytes: u64,
}

impl Room {
    /// Takes away what does not fit; the first that does not is replaced by a mark.
    fn fit(&mut self, batch: &mut Vec<LogLine>) {
        batch.retain_mut(|line| {
            if self.lines == 0 {
                return false;
            }
            let bytes = line.text.len() as u64;
            if self.lines > 1 && bytes <= self.bytes {
                self.lines -= 1;
                self.bytes -= bytes;
                return true;
            }
            self.lines = 0;
            line.stream = Stream::System;
            line.text = "[the log is longer than is kept; the rest is dropped]".to_owned();
            true
        });
    }
}

/// Takes further lines that come within a moment, so that a chatty build costs few commits.
async fn gather(batch: &mut Vec<LogLine>, receiver: &mut mpsc::Receiver<LogLine>) {
    let deadline = tokio::time::sleep(GATHER);
    tokio::pin!(deadline);
    while batch.len() < BATCH_MAX {
        tokio::select! {
            line = receiver.recv() => match line {
                Some(line) => batch.push(line),
                None => return,
            },
            () = &mut deadline => return,
        }
    }
}
