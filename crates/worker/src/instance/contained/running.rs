//! Whether a container runs: its first process, its network, and its end.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::Context;
use skylift_docker::{Container, Ended};
use skylift_model::chain;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How long to wait before the engine is asked again, and how often it may fail to answer.
const ASK_AGAIN: Duration = Duration::from_millis(500);
const TRIES: u32 = 20;
/// How long after its end the engine may speak of a container as running.
const NOTICED_WITHIN: Duration = Duration::from_secs(5);

/// Tells once it has ended, or once the engine has not answered for a while, which ends it for us.
pub(super) fn watch_end(container: Container) -> watch::Receiver<Option<Ended>> {
    let (tell, told) = watch::channel(None);
    tokio::spawn(async move {
        for _ in 0..TRIES {
            match container.ended().await {
                Ok(ended) => {
                    let _ = tell.send(Some(ended));
                    return;
                }
                Err(error) => {
                    tracing::warn!(container.id = container.id(), error = %chain(&error), "cannot wait for a container");
                }
            }
            sleep(ASK_AGAIN).await;
        }
    });
    told
}

/// The first process and the network of a container, or `None` where it has ended. Its first process is looked up, its network opened, and the
/// process looked up once more: if it is the same and still runs, what was opened is the container's.
pub(super) async fn network(
    container: &Container,
    mut ending: watch::Receiver<Option<Ended>>,
) -> anyhow::Result<Option<(u32, OwnedFd)>> {
    let before = container.state().await?;
    if !before.running || before.pid == 0 {
        return Ok(None);
    }
    let opened = File::open(format!("/proc/{}/ns/net", before.pid));
    let after = container.state().await?;
    if !after.running || after.pid != before.pid {
        return Ok(None);
    }
    // The engine may not have noticed the end yet.
    if opened.is_err() && timeout(NOTICED_WITHIN, ending.wait_for(Option::is_some)).await.is_ok() {
        return Ok(None);
    }
    let opened = opened.context("open the network of a container (the engine must run on this machine)")?;
    Ok(Some((before.pid, opened.into())))
}
