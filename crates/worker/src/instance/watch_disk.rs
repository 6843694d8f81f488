//! How much an instance may write, to its own files and to its volumes. File systems without quotas can only be watched.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use skylift_model::program;
use skylift_model::volume::MountPath;
use skylift_sandbox::{DiskUsage, Unlinked, disk_usage};
use tokio::time::sleep;

use crate::ended::Cause;

/// The shortest time between two looks.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looking takes at most one part in so many of the time.
pub(super) const SHARE: u32 = 50;

/// How many files there may be for so many bytes: the size of a block.
const BYTES_FOR_A_FILE: u64 = 4096;

/// How many files an instance may have that may write so many bytes.
pub(crate) fn files_max(bytes_max: u64) -> u64 {
    bytes_max / BYTES_FOR_A_FILE
}

/// The volumes of an instance, each with how much it may hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Volumes(Vec<(PathBuf, MountPath, u64)>);

impl Volumes {
    /// Before an instance starts that has them: one that held too much by then may not grow, so that somebody can make room.
    pub(super) fn before(places: Vec<(PathBuf, MountPath)>, bytes_max: u64) -> Self {
        let bounded = |(folder, path): (PathBuf, MountPath)| {
            let held = disk_usage(&folder).map_or(0, |usage| usage.bytes);
            (folder, path, bytes_max.max(held))
        };
        Self(places.into_iter().map(bounded).collect())
    }

    fn are_broken(&self, unlinked: &Unlinked) -> bool {
        self.0.iter().any(|(folder, path, bytes_max)| {
            let lies = disk_usage(folder).unwrap_or_default();
            lies.bytes + unlinked.usage(Path::new(path.as_str())).bytes > *bytes_max
        })
    }
}

/// Returns once more than `bytes_max` or more files than go with that lie in the folder, or are open without a name; or once a
/// volume holds more than it may.
pub(super) async fn exceeded(folder: PathBuf, volumes: Volumes, unlinked: Unlinked, bytes_max: u64) -> Cause {
    let mut pause = LOOK_EVERY;
    loop {
        sleep(pause).await;
        let (folder, volumes, unlinked) = (folder.clone(), volumes.clone(), unlinked.clone());
        let look = tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            let in_volumes = || volumes.are_broken(&unlinked).then_some(Cause::Volume);
            (broken(&folder, &unlinked, bytes_max).or_else(in_volumes), began.elapsed())
        });
        match look.await {
            Ok((Some(cause), _)) => return cause,
            Ok((None, took)) => pause = LOOK_EVERY.max(took * SHARE),
            Err(_) => {}
        }
    }
}

fn broken(folder: &Path, unlinked: &Unlinked, bytes_max: u64) -> Option<Cause> {
    // What is not there has nothing in it; a tree that cannot be measured was made not to be.
    let lies = if folder.is_dir() { disk_usage(folder).ok() } else { Some(DiskUsage::default()) };
    let Some(lies) = lies else { return Some(Cause::Disk) };
    let open = unlinked.usage(Path::new(program::ROOT));
    match (lies.bytes + open.bytes, lies.inodes + open.inodes) {
        (bytes, _) if bytes > bytes_max => Some(Cause::Disk),
        (_, inodes) if inodes > files_max(bytes_max) => Some(Cause::Files),
        _ => None,
    }
}
