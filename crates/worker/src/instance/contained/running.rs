//! Whether a container runs: its first process, its network, and its end.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use skylift_docker::{Container, Ended};
use skylift_model::chain;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How long to wait before the engine is asked again, and how often it may fail to answer.
const ASK_AGAIN: Duration = Duration::from_millis(500);
const TRIES: u32 = 20;
/// How long after its end the engine may speak of a container as running.
const NOTICED_WITHIN: Duration = Duration::from_secs(5);

/// The first process of a container, by a descriptor that stays its own: 0 where it was not found.
#[derive(Clone, Debug, Default)]
pub(super) struct First(Arc<OnceLock<(u32, OwnedFd)>>);

impl First {
    /// Its number on this machine, or 0.
    pub(super) fn pid(&self) -> u32 {
        self.0.get().map_or(0, |(pid, _)| *pid)
    }

    /// Kills it, and all of the container with it, without the engine's help.
    pub(super) fn kill(&self) {
        if let Some((_, process)) = self.0.get() {
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
    }

    /// Whether it has been found and has not ended.
    pub(super) fn lives(&self) -> bool {
        let Some((_, process)) = self.0.get() else { return false };
        let mut ends = [PollFd::new(process, PollFlags::IN)];
        matches!(poll(&mut ends, Some(&Timespec::default())), Ok(0))
    }
}

/// Tells once it has ended, or once it does not live any more and the engine has not answered for a while, which ends it for us.
pub(super) fn watch_end(container: Container, first: First) -> watch::Receiver<Option<Ended>> {
    let (tell, told) = watch::channel(None);
    tokio::spawn(async move {
        let mut tries = 0;
        while tries < TRIES {
            match container.ended().await {
                Ok(ended) => {
                    let _ = tell.send(Some(ended));
                    return;
                }
                Err(error) if tries == 0 => {
                    tracing::warn!(container.id = container.id(), error = %chain(&error), "cannot wait for a container");
                }
                Err(_) => {}
            }
            tries = if first.lives() { 1 } else { tries + 1 };
            sleep(ASK_AGAIN).await;
        }
    });
    told
}

/// The network of a container, or `None` where it has ended. Its first process is looked up, its network opened, and the
/// process looked up once more: if it is the same and still runs, what was opened is the container's.
pub(super) async fn network(
    container: &Container,
    first: &First,
    mut ending: watch::Receiver<Option<Ended>>,
) -> anyhow::Result<Option<OwnedFd>> {
    let before = container.state().await?;
    if !before.running || before.pid == 0 {
        return Ok(None);
    }
    let opened = File::open(format!("/proc/{}/ns/net", before.pid));
    let number = i32::try_from(before.pid).ok().and_then(Pid::from_raw);
    let process = number.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let after = container.state().await?;
    if !after.running || after.pid != before.pid {
        return Ok(None);
    }
    // The engine may not have noticed the end yet.
    if opened.is_err() && timeout(NOTICED_WITHIN, ending.wait_for(Option::is_some)).await.is_ok() {
        return Ok(None);
    }
    let opened = opened.context("open the network of a container (the engine must run on this machine)")?;
    if let Some(process) = process {
        let _ = first.0.set((before.pid, process));
    }
    Ok(Some(opened.into()))
}
