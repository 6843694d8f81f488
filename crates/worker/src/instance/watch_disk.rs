//! How much an instance may write, to its own files and to its volumes. File systems without quotas can only be watched.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use skylift_model::volume::MountPath;
use skylift_sandbox::{DiskUsage, Unlinked, disk_usage_up_to};
use tokio::time::sleep;

use super::room::{Room, most_at_start};
use super::scarce;
use crate::ended::Cause;

/// The shortest time between two looks.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looking takes at most one part in so many of the time, as long as the next look is not too far for that.
pub(super) const SHARE: u32 = 50;
/// The longest time between two looks: what is slow to look at is looked at all the same, and so is what lies beside it.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(3);

/// How many files there may be for so many bytes: the size of a block.
const BYTES_FOR_A_FILE: u64 = 4096;
/// The same for a volume, which is looked at for as long as its app is kept: as many as ext4 makes inodes for.
const BYTES_FOR_A_KEPT_FILE: u64 = 16_384;

/// How many files an instance may have that may write so many bytes.
pub(crate) fn files_max(bytes_max: u64) -> u64 {
    bytes_max / BYTES_FOR_A_FILE
}

/// How many files and folders a volume may have that may hold so many bytes.
pub(crate) fn kept_files_max(bytes_max: u64) -> u64 {
    bytes_max / BYTES_FOR_A_KEPT_FILE
}

/// How long to wait after a look that took so long.
fn pause_after(took: Duration) -> Duration {
    (took * SHARE).clamp(LOOK_EVERY, LOOK_AT_LEAST_EVERY)
}

/// The volumes of an instance, each with how much it may hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Volumes(Vec<Volume>);

#[derive(Clone, Debug)]
struct Volume {
    folder: PathBuf,
    path: MountPath,
    bytes: Room,
    files: Room,
}

impl Volumes {
    /// Before an instance starts that has them: one that holds too much by then may grow a little at most, so that somebody can make room.
    ///
    /// # Errors
    /// When one cannot be measured.
    pub(super) fn before(places: Vec<(PathBuf, MountPath)>, bytes_max: u64) -> io::Result<Self> {
        let bounded = |(folder, path): (PathBuf, MountPath)| {
            let held = disk_usage_up_to(&folder, &DiskUsage::MAX)?;
            let bytes = Room::at_start(bytes_max, held.bytes);
            let files = Room::at_start(kept_files_max(bytes_max), held.inodes);
            Ok(Volume { folder, path, bytes, files })
        };
        places.into_iter().map(bounded).collect::<io::Result<_>>().map(Self)
    }

    /// Where the first is seen that holds so much that nothing may start that could add to it.
    pub(super) fn overfull(&self, bytes_max: u64) -> Option<&MountPath> {
        let is_overfull = |volume: &&Volume| {
            volume.bytes.most() > most_at_start(bytes_max)
                || volume.files.most() > most_at_start(kept_files_max(bytes_max))
        };
        self.0.iter().find(is_overfull).map(|volume| &volume.path)
    }

    fn folders(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|volume| volume.folder.as_path())
    }

    fn broken(&mut self, unlinked: &Unlinked) -> Option<Cause> {
        self.0.iter_mut().find_map(|volume| volume.broken(unlinked))
    }
}

impl Volume {
    fn broken(&mut self, unlinked: &Unlinked) -> Option<Cause> {
        let most = DiskUsage { bytes: self.bytes.most(), inodes: self.files.most() };
        let lies = match disk_usage_up_to(&self.folder, &most) {
            Ok(lies) => lies,
            Err(error) => return unmeasured(&error).map(Cause::VolumeUnmeasured),
        };
        let open = unlinked.usage_beside(&self.folder);
        match (self.bytes.has(lies.bytes + open.bytes), self.files.has(lies.inodes + open.inodes)) {
            (false, _) => Some(Cause::Volume),
            (_, false) => Some(Cause::VolumeFiles),
            (true, true) => None,
        }
    }
}

/// The files of an instance itself.
#[derive(Clone, Debug)]
pub(super) struct Own {
    /// What it writes.
    pub(super) folder: PathBuf,
    /// Where that is seen inside.
    pub(super) seen_at: &'static str,
    /// Files that it may write beside.
    pub(super) beside: Vec<PathBuf>,
}

/// Returns once more than `bytes_max` or more files than go with that lie in the folder, or are open without a name; or once a
/// volume holds more than it may. Without a folder only volumes are looked at.
pub(super) async fn exceeded(own: Option<Own>, mut volumes: Volumes, unlinked: Unlinked, bytes_max: u64) -> Cause {
    let (mut pause, mut in_flight) = (LOOK_EVERY, 0);
    loop {
        sleep(pause).await;
        let (own, unlinked, mut looked_at) = (own.clone(), unlinked.clone(), volumes.clone());
        let look = tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            let own = own.as_ref();
            let cause = own.and_then(|own| broken(own, &unlinked, bytes_max)).or_else(|| looked_at.broken(&unlinked));
            let is_scarce = scarce::is_scarce_at(looked_at.folders().chain(own.map(|own| own.folder.as_path())));
            // Only by then: programs hand descriptors to each other for good reasons.
            let now_in_flight = if is_scarce { unlinked.in_flight() } else { 0 };
            let cause = cause.or_else(|| scarce::hidden(in_flight, now_in_flight).map(Cause::InFlight));
            (cause, looked_at, now_in_flight, began.elapsed())
        });
        match look.await {
            Ok((Some(cause), ..)) => return cause,
            Ok((None, looked_at, now, took)) => (volumes, in_flight, pause) = (looked_at, now, pause_after(took)),
            Err(_) => {}
        }
    }
}

fn broken(own: &Own, unlinked: &Unlinked, bytes_max: u64) -> Option<Cause> {
    // What is not there has nothing in it; a tree that cannot be measured was made not to be.
    let most = DiskUsage { bytes: bytes_max, inodes: files_max(bytes_max) };
    let lies = match disk_usage_up_to(&own.folder, &most) {
        Ok(lies) => lies,
        Err(error) if error.kind() == io::ErrorKind::NotFound => DiskUsage::default(),
        Err(error) => return unmeasured(&error).map(|_| Cause::Disk),
    };
    let open = unlinked.usage(Path::new(own.seen_at));
    let beside = own.beside.iter().filter_map(|file| file.metadata().ok()).map(|file| file.blocks() * 512);
    match (lies.bytes + open.bytes + beside.sum::<u64>(), lies.inodes + open.inodes) {
        (bytes, _) if bytes > bytes_max => Some(Cause::Disk),
        (_, inodes) if inodes > files_max(bytes_max) => Some(Cause::Files),
        _ => None,
    }
}

/// Why something cannot be measured, unless that is for want of something of ours: then the next look may, and nobody is to end for it.
fn unmeasured(error: &io::Error) -> Option<Errno> {
    match Errno::from_io_error(error).unwrap_or(Errno::IO) {
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::INTR => {
            tracing::warn!(%error, "cannot look at what an instance wrote");
            None
        }
        errno => Some(errno),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LIMIT: u64 = 1 << 20;

    fn before(folder: &Path) -> Volumes {
        Volumes::before(vec![(folder.to_owned(), "/data".parse().unwrap())], LIMIT).unwrap()
    }

    fn nothing_open() -> Unlinked {
        Unlinked::default()
    }

    fn write(folder: &Path, name: &str, kib: usize) {
        fs::write(folder.join(name), vec![1; kib << 10]).unwrap();
    }

    #[test]
    fn a_volume_is_watched_however_deep_it_is_and_never_taken_for_empty() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("volume");
        fs::create_dir(&folder).unwrap();
        let mut volumes = before(&folder);
        let mut at = rustix::fs::open(&folder, rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
        let name = "n".repeat(250);
        for _ in 0..20 {
            rustix::fs::mkdirat(&at, &name, rustix::fs::Mode::RWXU).unwrap();
            at = rustix::fs::openat(&at, &name, rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
        }
        assert_eq!(volumes.broken(&nothing_open()), None, "depth alone breaks nothing");
        write(&folder, "large", 2048);
        assert_eq!(volumes.broken(&nothing_open()), Some(Cause::Volume));
        skylift_sandbox::remove_tree(&folder).unwrap();
        assert_eq!(volumes.broken(&nothing_open()), Some(Cause::VolumeUnmeasured(Errno::NOENT)));
    }

    #[test]
    fn a_volume_has_no_more_files_than_go_with_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let mut volumes = before(folder.path());
        for name in 0..kept_files_max(LIMIT) {
            write(folder.path(), &name.to_string(), 0);
        }
        assert_eq!(volumes.broken(&nothing_open()), None);
        write(folder.path(), "one more", 0);
        assert_eq!(volumes.broken(&nothing_open()), Some(Cause::VolumeFiles));
    }

    #[test]
    fn what_starts_above_its_limit_may_make_room_and_not_take_it_again() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "large", 1000);
        assert_eq!(before(folder.path()).overfull(LIMIT), None);
        write(folder.path(), "more", 200);
        let mut volumes = before(folder.path());
        assert_eq!(volumes.overfull(LIMIT), None, "a little too much is for the app to mend");
        assert_eq!(volumes.broken(&nothing_open()), None);
        fs::remove_file(folder.path().join("more")).unwrap();
        assert_eq!(volumes.broken(&nothing_open()), None);
        write(folder.path(), "more", 200);
        assert_eq!(volumes.broken(&nothing_open()), Some(Cause::Volume));
        write(folder.path(), "much more", 400);
        assert_eq!(before(folder.path()).overfull(LIMIT).map(MountPath::as_str), Some("/data"));
    }

    #[test]
    fn a_slow_look_does_not_put_off_the_next_for_long() {
        assert_eq!(pause_after(Duration::from_millis(1)), LOOK_EVERY);
        assert_eq!(pause_after(Duration::from_millis(40)), Duration::from_secs(2));
        assert_eq!(pause_after(Duration::from_secs(60)), LOOK_AT_LEAST_EVERY);
    }

    #[test]
    fn nobody_ends_for_want_of_descriptors_of_ours() {
        assert_eq!(unmeasured(&Errno::MFILE.into()), None);
        assert_eq!(unmeasured(&Errno::NAMETOOLONG.into()), Some(Errno::NAMETOOLONG));
        assert_eq!(unmeasured(&Errno::IO.into()), Some(Errno::IO));
    }
}
