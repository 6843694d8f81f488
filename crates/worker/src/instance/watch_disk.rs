//! How much an instance may write. File systems without quotas can only be watched.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use skylift_sandbox::disk_usage;
use tokio::time::sleep;

/// The shortest time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looking takes at most one part in so many of the time.
const SHARE: u32 = 50;

/// Returns once more than `bytes_max` lie in the folder.
pub(super) async fn exceeded(folder: PathBuf, bytes_max: u64) {
    let mut pause = LOOK_EVERY;
    loop {
        sleep(pause).await;
        let folder = folder.clone();
        let look = tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            // What is not there has nothing in it; a tree that cannot be measured was made not to be.
            let broken = folder.is_dir() && disk_usage(&folder).map_or(true, |usage| usage.bytes > bytes_max);
            (broken, began.elapsed())
        });
        match look.await {
            Ok((true, _)) => return,
            Ok((false, took)) => pause = LOOK_EVERY.max(took * SHARE),
            Err(_) => {}
        }
    }
}
