//! A worker process that was started by the backlog: it runs code and nothing else, does what whoever started it says, and ends with
//! it.
//!
//! It is told by lines on its standard input, a pipe. The pipe's end is the end of whoever started it, however that came about, even
//! by `kill -9`: then it ends, too, as if it had been told to.

use std::fmt;
use std::os::fd::AsFd;
use std::str::FromStr;

use anyhow::Context;
use skylift_control::run_workers::Told;
use skylift_queue::Duty;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe::Receiver;
use tokio::sync::{oneshot, watch};

/// More of them on one node have no users of their own for the runs of each.
pub(crate) const NUMBER_MAX: u32 = 64;

/// Whose worker a process is, and which of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WorkerOf {
    pub(crate) node: String,
    /// From 1 on.
    pub(crate) number: u32,
}

/// A text that names no such worker.
#[derive(Debug, thiserror::Error)]
#[error("a worker is named NODE/NUMBER, with a number from 1 to {NUMBER_MAX}")]
pub(crate) struct NoWorker;

impl WorkerOf {
    /// By which name it takes runs.
    pub(crate) fn name(&self) -> String {
        format!("{}-{}", self.node, self.number)
    }
}

impl FromStr for WorkerOf {
    type Err = NoWorker;

    fn from_str(text: &str) -> Result<Self, NoWorker> {
        let (node, number) = text.split_once('/').ok_or(NoWorker)?;
        let number = number.parse().ok().filter(|number| (1..=NUMBER_MAX).contains(number)).ok_or(NoWorker)?;
        let is_name = !node.is_empty() && node.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_name { Ok(Self { node: node.to_owned(), number }) } else { Err(NoWorker) }
    }
}

impl fmt::Display for WorkerOf {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.node, self.number)
    }
}

/// The line by which a worker is told something; none where the end of its input tells it.
pub(super) const fn line_of(told: Told) -> Option<&'static str> {
    match told {
        Told::Serve => Some("serve\n"),
        Told::Drain => Some("drain\n"),
        Told::GiveBack => Some("give back\n"),
        Told::End | Told::Die => None,
    }
}

fn duty_of(line: &str) -> Option<Duty> {
    match line {
        "serve" => Some(Duty::Serve),
        "drain" => Some(Duty::Drain),
        "give back" => Some(Duty::GiveBack),
        _ => None,
    }
}

/// What whoever started this process says.
pub(crate) struct Orders {
    pub(crate) duty: watch::Receiver<Duty>,
    /// Tells nothing, and ends once this process is to.
    gone: oneshot::Receiver<()>,
}

impl Orders {
    /// Hears them from standard input.
    pub(crate) fn hear() -> anyhow::Result<Self> {
        let input = std::io::stdin().as_fd().try_clone_to_owned().context("keep standard input")?;
        let pipe = Receiver::from_owned_fd(input).context("hear who started this worker")?;
        let (told, duty) = watch::channel(Duty::Serve);
        let (is_there, gone) = oneshot::channel::<()>();
        tokio::spawn(async move {
            let mut lines = BufReader::new(pipe).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                match duty_of(&line) {
                    Some(duty) => drop(told.send_replace(duty)),
                    None => tracing::warn!(line, "this worker was told what it does not understand"),
                }
            }
            drop(is_there);
        });
        Ok(Self { duty, gone })
    }

    /// Waits until this process is to end.
    pub(crate) async fn end(self) {
        let _ = self.gone.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_known_by_its_node_and_number() {
        let worker: WorkerOf = "0a1b/3".parse().unwrap();
        assert_eq!((worker.to_string().as_str(), worker.name().as_str()), ("0a1b/3", "0a1b-3"));
        for text in ["", "a", "a/", "a/0", "a/65", "/1", "a b/1", "../1"] {
            assert!(text.parse::<WorkerOf>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_told_is_understood() {
        for (told, duty) in [(Told::Serve, Duty::Serve), (Told::Drain, Duty::Drain), (Told::GiveBack, Duty::GiveBack)] {
            assert_eq!(line_of(told).and_then(|line| duty_of(line.trim_end())), Some(duty));
        }
        assert_eq!((line_of(Told::End), duty_of("end")), (None, None));
    }
}
