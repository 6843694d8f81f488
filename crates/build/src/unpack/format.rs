//! What kind of archive some bytes are, by their first ones.

use super::header::Header;
use super::outgoing::damaged;
use crate::frames::Refusal;

/// The archives that are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Tar,
    Gzip,
    Zstd,
    Zip,
}

const TAKEN: &str = "send a .tar, .tar.gz, .tar.zst or .zip";

/// How many bytes [`recognise`] wants to see: one block of a tar.
pub(super) const START_BYTES: u64 = 512;

/// Looks at the first bytes of an archive.
pub(super) fn recognise(start: &[u8]) -> Result<Format, Refusal> {
    let other = match start {
        [] => return Err(damaged("the archive is empty")),
        [0x1f, 0x8b, ..] => return Ok(Format::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => return Ok(Format::Zstd),
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => return Ok(Format::Zip),
        [b'P', b'K', 7, 8, ..] => "one part of a split zip",
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => "an xz archive",
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => "a bzip2 archive",
        [b'7', b'z', 0xbc, 0xaf, ..] => "a 7z archive",
        [b'R', b'a', b'r', b'!', ..] => "a RAR archive",
        _ if Header::starts_tar(start) => return Ok(Format::Tar),
        _ => "no archive of a known kind",
    };
    Err(damaged(format!("this is {other}")).hint(TAKEN))
}
