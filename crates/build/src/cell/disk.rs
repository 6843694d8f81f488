//! How much a build may write. File systems without quotas can only be watched.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use skylift_sandbox::{DiskUsage, disk_usage_up_to};

use super::Ended;

/// The shortest time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Looking takes at most one part in so many of the time, as long as the next look is not too far for that.
const SHARE: u32 = 20;
/// The longest time between two looks.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(3);

/// What is left when a write has met the end of the disk and failed: less than it wanted.
const FULL_BELOW_BYTES: u64 = 1 << 20;

/// How many files and folders the file system must have left.
const INODES_RESERVE: u64 = 10_000;

/// What may be written below each of some folders.
#[derive(Clone, Debug)]
pub struct DiskLimit {
    pub folders: Vec<PathBuf>,
    pub bytes: u64,
    pub inodes: u64,
    /// What the whole file system must have left.
    pub reserve_bytes: u64,
}

/// Waits until more was written than allowed, or there is no room.
pub(super) async fn exceeded(limit: Option<DiskLimit>) -> Ended {
    let Some(limit) = limit else { return std::future::pending().await };
    let mut pause = LOOK_EVERY;
    loop {
        tokio::time::sleep(pause).await;
        let looked = limit.clone();
        let look = tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            (broken(&looked), began.elapsed())
        });
        match look.await {
            Ok((Some(ended), _)) => return ended,
            Ok((None, took)) => pause = (took * SHARE).clamp(LOOK_EVERY, LOOK_AT_LEAST_EVERY),
            Err(_) => return Ended::DiskLimit("the platform is shutting down".to_owned()),
        }
    }
}

/// What is beyond the limit at this moment.
pub(super) fn broken(limit: &DiskLimit) -> Option<Ended> {
    limit.folders.iter().find_map(|folder| broken_in(folder, limit))
}

fn broken_in(folder: &Path, limit: &DiskLimit) -> Option<Ended> {
    let disk = rustix::fs::statvfs(folder).ok();
    let free = disk.as_ref().map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    // File systems that make inodes as they need them count none at all.
    let out_of_inodes = disk.as_ref().is_some_and(|disk| disk.f_files > 0 && disk.f_favail < INODES_RESERVE);
    if free < limit.reserve_bytes.max(FULL_BELOW_BYTES) || out_of_inodes {
        return Some(Ended::DiskFull);
    }
    over_the_limit(folder, limit).map(Ended::DiskLimit)
}

fn over_the_limit(folder: &Path, limit: &DiskLimit) -> Option<String> {
    // A tree that cannot be measured was made not to be.
    let most = DiskUsage { bytes: limit.bytes, inodes: limit.inodes };
    let usage = match disk_usage_up_to(folder, &most) {
        Ok(usage) => usage,
        Err(error) => return Some(format!("the build's folder cannot be measured ({error})")),
    };
    if usage.bytes > limit.bytes {
        return Some(format!("disk limit: more than {} written", shown_bytes(limit.bytes)));
    }
    if usage.inodes > limit.inodes {
        return Some(format!("disk limit: more than {} files and folders made", limit.inodes));
    }
    None
}

/// Bytes as people read them.
pub(crate) fn shown_bytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
    let in_units = |shift: u32| bytes as f64 / (1_u64 << shift) as f64;
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..0x10_0000 => format!("{:.1} KiB", in_units(10)),
        0x10_0000..0x4000_0000 => format!("{:.1} MiB", in_units(20)),
        _ => format!("{:.1} GiB", in_units(30)),
    }
}
