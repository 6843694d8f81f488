//! What a fetched commit holds, looked at before any of its files is written.
//!
//! A few kilobytes of objects can stand for more files and bytes than there are disks. Git itself has no limit for a
//! work tree, so the list of its files is read first, as far as the limits go, and no further.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::super::note::Named;
use crate::frames::{IntakeLimits, Refusal, RefusalCode};
use crate::walk::Skip;

/// How [`read`] wants it listed.
pub(super) const LIST: [&str; 5] = ["ls-tree", "-r", "-l", "-z", "--full-tree"];

/// The longest line of a listing, in bytes.
const LINE_BYTES_MAX: u64 = 16 << 10;
/// What every pointer of Git LFS begins with, and how large one may be.
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";
const POINTER_BYTES: std::ops::Range<u64> = 100..1024;
/// How many names there may be for each file that is taken: some are left out.
const NAMES_PER_FILE_MAX: u64 = 5;

/// What a commit holds that a clone has to know of.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Folders that stand for other repositories.
    pub(super) submodules: Named,
    /// Files of a size at which they may be pointers of Git LFS.
    maybe_pointers: Vec<String>,
}

/// Reads a listing that [`LIST`] made. Refuses what would not be taken once it is written.
pub(super) fn read(listing: impl Read, limits: &IntakeLimits) -> Result<Contents, Refusal> {
    let mut listing = BufReader::new(listing);
    let (mut contents, mut line) = (Contents::default(), Vec::new());
    let (mut names, mut files, mut bytes) = (0, 0, 0_u64);
    loop {
        line.clear();
        let read = listing.by_ref().take(LINE_BYTES_MAX).read_until(0, &mut line);
        if read.map_err(|error| super::unable(&error))? == 0 {
            return Ok(contents);
        }
        let entry = Entry::parse(&line).ok_or_else(odd_name)?;
        names += 1;
        if names > limits.files_max.saturating_mul(NAMES_PER_FILE_MAX) {
            return Err(too_many(limits));
        }
        if entry.path.split('/').any(|part| Skip::SOURCE.skips(part.as_bytes())) {
            continue;
        }
        let Some(size) = entry.size else {
            contents.submodules.add(entry.path);
            continue;
        };
        files += 1;
        bytes = bytes.saturating_add(size);
        admit(entry.path, size, files, bytes, limits)?;
        if POINTER_BYTES.contains(&size) {
            contents.maybe_pointers.push(entry.path.to_owned());
        }
    }
}

impl Contents {
    /// The files below `folder` that only point to what Git LFS keeps elsewhere.
    pub(super) fn lfs_pointers(&self, folder: &Path) -> Named {
        let mut pointers = Named::default();
        for path in self.maybe_pointers.iter().filter(|path| is_pointer(&folder.join(path))) {
            pointers.add(path);
        }
        pointers
    }
}

/// One line: `100644 blob HASH SIZE<tab>PATH<nul>`.
struct Entry<'a> {
    path: &'a str,
    /// `None` for a commit of another repository.
    size: Option<u64>,
}

impl<'a> Entry<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let line = std::str::from_utf8(line.strip_suffix(b"\0")?).ok()?;
        let (about, path) = line.split_once('\t')?;
        let mut words = about.split_ascii_whitespace();
        let (_mode, kind, _hash, size) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let size = if kind == "commit" { None } else { Some(size.parse().ok()?) };
        Some(Self { path, size })
    }
}

fn admit(path: &str, size: u64, files: u64, bytes: u64, limits: &IntakeLimits) -> Result<(), Refusal> {
    let IntakeLimits { files_max, bytes_max, file_bytes_max } = *limits;
    let too_large = |message| Err(Refusal::new(RefusalCode::TooLarge, message, HINT));
    if size > file_bytes_max {
        return too_large(format!("`{path}` has {size} bytes; a file may have {file_bytes_max}"));
    }
    if bytes > bytes_max {
        return too_large(format!("the repository's files have more than {bytes_max} bytes together"));
    }
    if files > files_max {
        return Err(too_many(limits));
    }
    Ok(())
}

const HINT: &str = "take out of the repository what is not needed; the owner can raise [build.source]";

fn too_many(limits: &IntakeLimits) -> Refusal {
    let message = format!("the repository holds more than {} files", limits.files_max);
    Refusal::new(RefusalCode::TooLarge, message, HINT)
}

fn odd_name() -> Refusal {
    Refusal::new(RefusalCode::InvalidTree, "the repository holds a name that is too long or not UTF-8", "rename it")
}

fn is_pointer(path: &Path) -> bool {
    let mut beginning = [0; POINTER.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut beginning));
    read.is_ok() && beginning == *POINTER
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: IntakeLimits = IntakeLimits { files_max: 3, bytes_max: 1000, file_bytes_max: 600 };

    fn check(lines: &[&str]) -> Result<Contents, Refusal> {
        let listing: String = lines.iter().map(|line| format!("{line}\0")).collect();
        read(listing.as_bytes(), &LIMITS)
    }

    fn file(size: u64, path: &str) -> String {
        format!("100644 blob {} {size:>7}\t{path}", "0".repeat(40))
    }

    #[test]
    fn a_list_within_the_limits_tells_its_submodules() {
        let module = format!("160000 commit {}       -\tmodule", "0".repeat(40));
        let contents = check(&[&file(10, "a"), &module, &file(300, "b/c d")]).unwrap();
        assert_eq!(contents.submodules, Named { count: 1, first: vec!["module".to_owned()] });
        assert_eq!(contents.maybe_pointers, ["b/c d"]);
    }

    #[test]
    fn too_much_is_refused_as_soon_as_it_is_seen() {
        for (lines, told) in [
            (vec![file(601, "large")], "`large` has 601 bytes; a file may have 600"),
            (vec![file(600, "a"), file(401, "b")], "more than 1000 bytes together"),
            (["a", "b", "c", "d"].map(|path| file(1, path)).to_vec(), "more than 3 files"),
        ] {
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            let refusal = check(&lines).unwrap_err();
            assert_eq!(refusal.code, RefusalCode::TooLarge);
            assert!(refusal.message.contains(told), "{refusal}");
        }
        // A list without end is not read to its end.
        let endless = file(1, "a") + "\0";
        let refusal =
            read(std::io::Cursor::new(endless.repeat(100)).chain(std::io::repeat(b'x')), &LIMITS).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::TooLarge);
        assert_eq!(read(std::io::repeat(b'x'), &LIMITS).unwrap_err().code, RefusalCode::InvalidTree);
    }

    #[test]
    fn what_is_left_out_does_not_count_but_not_without_bound() {
        let left_out: Vec<_> = (0..10).map(|n| file(900, &format!("node_modules/{n}"))).collect();
        let lines: Vec<_> = left_out.iter().map(String::as_str).collect();
        check(&lines).unwrap();
        let lines = [lines.as_slice(), lines.as_slice()].concat();
        assert_eq!(check(&lines).unwrap_err().code, RefusalCode::TooLarge);
    }
}
