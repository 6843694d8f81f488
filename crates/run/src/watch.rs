//! The limits that the host itself watches: time, processors, output.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use skylift_model::run::Limits;
use skylift_sandbox::Sandbox;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::verdict::Broken;

/// How often the processor time is looked at, at most.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Waits until the payload of a sandbox ends by itself, or a limit says that it has to.
pub(crate) async fn until_ended(
    sandbox: &Sandbox,
    limits: &Limits,
    started: Instant,
    too_much: &Notify,
) -> io::Result<Option<Broken>> {
    let ending = told(sandbox.payload_end().try_clone_to_owned()?)?;
    let wall = started + Duration::from_millis(limits.wall_ms);
    tokio::select! {
        // What has ended is not called too slow.
        biased;
        ended = ending.readable() => { ended?.retain_ready(); Ok(None) }
        () = too_much.notified() => Ok(Some(Broken::Output)),
        () = tokio::time::sleep_until(wall) => Ok(Some(Broken::Wall)),
        () = used_up(sandbox, limits.cpu_ms) => Ok(Some(Broken::Cpu)),
    }
}

/// For waiting until something is told.
#[expect(
    deprecated,
    reason = "an owned descriptor stays open for as long as it is registered, which is what the lint asks for"
)]
pub(crate) fn told(tells: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(tells)
}

/// Looks no sooner than all of its processors together could have used up what is left.
async fn used_up(sandbox: &Sandbox, cpu_ms: u64) {
    // Where no controller counts, the sum is looked at in the end.
    let limit_us = cpu_ms.saturating_mul(1000);
    while let Some(used_us) = sandbox.cpu_us() {
        let Some(left_us) = limit_us.checked_sub(used_us).filter(|left| *left > 0) else { return };
        tokio::time::sleep(Duration::from_micros(left_us).max(LOOK_EVERY)).await;
    }
    std::future::pending().await
}
