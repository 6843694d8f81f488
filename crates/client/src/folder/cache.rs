//! Digests remembered between deploys, so that files that did not change are not read again.
//!
//! One small text file per folder. A remembered digest counts while size, modification time, change time and inode of
//! the file are what they were, except where the file was modified less than two seconds before the digest was taken
//! (Git calls that "racy"): times may be coarse enough to show another change within that time as none.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use skylift_model::Digest;

const HEADER: &str = "skylift-hashes 1";
const RACY_NS: i128 = 2_000_000_000;

/// What tells whether a file changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    size: u64,
    mtime_ns: i128,
    ctime_ns: i128,
    inode: u64,
}

impl Stamp {
    pub(super) fn of(metadata: &fs::Metadata) -> Self {
        let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Self {
            size: metadata.size(),
            mtime_ns: nanos(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: nanos(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }

    /// Whether a digest taken at `taken_ns` may be of other bytes than those the stamp is of.
    fn is_racy(&self, taken_ns: i128) -> bool {
        self.mtime_ns.max(self.ctime_ns) > taken_ns - RACY_NS
    }
}

/// The digests of one folder's files, by path.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Cache {
    digests: HashMap<Box<str>, (Stamp, Digest)>,
}

impl Cache {
    /// What is remembered of the folder at `root`; nothing where that cannot be read.
    pub(super) fn load(cache: &Path, root: &Path) -> Self {
        fs::read_to_string(file_of(cache, root)).ok().and_then(|text| Self::parse(&text)).unwrap_or_default()
    }

    /// The digest of a file, if the one remembered still counts.
    pub(super) fn get(&self, path: &str, stamp: Stamp) -> Option<Digest> {
        self.digests.get(path).filter(|(remembered, _)| *remembered == stamp).map(|(_, digest)| *digest)
    }

    /// How many files are remembered.
    pub(super) fn len(&self) -> usize {
        self.digests.len()
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let taken_ns: i128 = lines.next()?.strip_prefix(HEADER)?.trim().parse().ok()?;
        let mut digests = HashMap::with_capacity(text.len() / 128);
        for line in lines {
            let (path, stamp, digest) = parse_line(line)?;
            if !stamp.is_racy(taken_ns) {
                digests.insert(path.into(), (stamp, digest));
            }
        }
        Some(Self { digests })
    }
}

/// Remembers digests that were all taken, or found to count, after `now`. Failing to is no failure: they will be taken again.
pub(super) fn store<'a>(
    cache: &Path,
    root: &Path,
    now: SystemTime,
    entries: impl Iterator<Item = (&'a str, Stamp, Digest)>,
) {
    let _ = write_atomically(&file_of(cache, root), render(now, entries).as_bytes());
}

fn render<'a>(now: SystemTime, entries: impl Iterator<Item = (&'a str, Stamp, Digest)>) -> String {
    let now_ns = now.duration_since(UNIX_EPOCH).map_or(0, |since| i128::try_from(since.as_nanos()).unwrap_or(0));
    let mut text = format!("{HEADER} {now_ns}\n");
    for (path, Stamp { size, mtime_ns, ctime_ns, inode }, digest) in entries {
        let _ = writeln!(text, "{digest} {size} {mtime_ns} {ctime_ns} {inode} {path}");
    }
    text
}

fn parse_line(line: &str) -> Option<(&str, Stamp, Digest)> {
    let mut fields = line.splitn(6, ' ');
    let digest = fields.next()?.parse().ok()?;
    let size = fields.next()?.parse().ok()?;
    let mtime_ns = fields.next()?.parse().ok()?;
    let ctime_ns = fields.next()?.parse().ok()?;
    let inode = fields.next()?.parse().ok()?;
    Some((fields.next()?, Stamp { size, mtime_ns, ctime_ns, inode }, digest))
}

fn file_of(cache: &Path, root: &Path) -> PathBuf {
    cache.join(Digest::of(root.as_os_str().as_bytes()).to_string())
}

/// Writes beside and renames, so that two deploys at once leave the one's or the other's whole file.
fn write_atomically(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = file.parent().ok_or(io::ErrorKind::NotFound)?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let beside = file.with_extension(std::process::id().to_string());
    let written = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside);
    written.and_then(|mut open| open.write_all(bytes)).and_then(|()| fs::rename(&beside, file)).inspect_err(|_| {
        let _ = fs::remove_file(&beside);
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: i128 = 1_000_000_000;

    fn stamp(mtime_ns: i128, ctime_ns: i128) -> Stamp {
        Stamp { size: 1, mtime_ns, ctime_ns, inode: 7 }
    }

    fn remembered(stamp: Stamp, taken_at_s: u64) -> bool {
        let taken_at = UNIX_EPOCH + Duration::from_secs(taken_at_s);
        let text = render(taken_at, [("a b", stamp, Digest::of(b"x"))].into_iter());
        Cache::parse(&text).unwrap().get("a b", stamp) == Some(Digest::of(b"x"))
    }

    #[test]
    fn a_file_modified_just_before_its_digest_was_taken_is_read_again() {
        assert!(remembered(stamp(100 * SECOND, 100 * SECOND), 102));
        assert!(!remembered(stamp(100 * SECOND + 1, 100 * SECOND), 102), "modified within two seconds");
        assert!(!remembered(stamp(100 * SECOND, 100 * SECOND + 1), 102), "changed within two seconds");
        assert!(!remembered(stamp(500 * SECOND, 0), 102), "modified in the future");
    }

    #[test]
    fn any_difference_makes_a_digest_count_no_more() {
        let original = stamp(0, 0);
        let text = render(UNIX_EPOCH + Duration::from_secs(9), [("f", original, Digest::of(b"x"))].into_iter());
        let cache = Cache::parse(&text).unwrap();
        assert!(cache.get("f", original).is_some());
        for other in [
            Stamp { size: 2, ..original },
            Stamp { mtime_ns: 1, ..original },
            Stamp { ctime_ns: 1, ..original },
            Stamp { inode: 8, ..original },
        ] {
            assert_eq!(cache.get("f", other), None, "{other:?}");
        }
        assert_eq!(cache.get("g", original), None);
    }

    #[test]
    fn a_damaged_or_foreign_file_remembers_nothing() {
        for text in ["", "skylift-hashes 2 5\n", "skylift-hashes 1 x\n", "skylift-hashes 1 5\nnonsense\n"] {
            assert_eq!(Cache::parse(text), None, "{text:?}");
        }
    }
}
