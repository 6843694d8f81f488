//! Archives, unpacked inside the sandbox.
//!
//! Tar (plain, gzip, zstd) and zip go in on one side, [frames](crate::frames) come out on the other; no entry ever
//! becomes a file here. The policy is ours, not a library's: an archive that two tools could read in two ways is refused
//! as a whole, and so is one with an entry that is neither file, folder nor a link that stays inside.

mod bounded;
mod directory;
mod format;
mod header;
mod outgoing;
mod pax;
mod spool;
mod tar;
mod tree;
mod zip;

use std::io::{self, BufReader, BufWriter, Cursor, Read, Write};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::frames::{FrameWriter, IntakeLimits, Refusal, RefusalCode};
use bounded::Bounded;
use format::Format;
use outgoing::{Outgoing, Stop, unreadable};

/// Reads an archive from `input` and writes its files to `out` as frames, or an error frame that says why not.
///
/// `spool` is a folder for one unnamed temporary file, used for zip alone, whose list stands at its end.
/// An error means that `out` could not be written.
pub fn unpack(input: impl Read, out: impl Write, limits: &IntakeLimits, spool: &Path) -> io::Result<()> {
    let frames = FrameWriter::new(BufWriter::with_capacity(64 << 10, out))?;
    let mut outgoing = Outgoing::new(frames, *limits);
    match read(input, &mut outgoing, limits, spool) {
        Ok(()) if outgoing.is_empty() => outgoing.fail(&Refusal::new(
            RefusalCode::InvalidArchive,
            "the archive holds no files",
            "`.git`, `node_modules` and `.env*` are left out; check that the rest is in it",
        )),
        Ok(()) => outgoing.finish(),
        Err(Stop::Refused(refusal)) => outgoing.fail(&refusal),
        Err(Stop::Input(error)) => outgoing.fail(&unreadable(error, "at its start")),
        Err(Stop::Out(error)) => Err(error),
    }
}

fn read<W: Write>(
    mut input: impl Read,
    outgoing: &mut Outgoing<W>,
    limits: &IntakeLimits,
    spool: &Path,
) -> Result<(), Stop> {
    let mut start = Vec::new();
    input.by_ref().take(format::START_BYTES).read_to_end(&mut start).map_err(Stop::Input)?;
    let format = format::recognise(&start)?;
    let input = BufReader::with_capacity(64 << 10, Cursor::new(start).chain(input));
    let bounded = Bounded::new(limits);
    match format {
        Format::Tar => tar::read(bounded.plain(input), outgoing),
        Format::Gzip => {
            tar::read(bounded.unpacked(input, |packed| Ok(MultiGzDecoder::new(packed))).map_err(Stop::Input)?, outgoing)
        }
        Format::Zstd => tar::read(bounded.unpacked(input, zstd_decoder).map_err(Stop::Input)?, outgoing),
        Format::Zip => zip::read(&spool::spool(input, limits, spool)?, outgoing),
    }
}

fn zstd_decoder<R: io::BufRead>(packed: R) -> io::Result<impl Read> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
    // 128 MiB: what `zstd --ultra -22` makes, and the most that the command itself takes without being told to.
    decoder.window_log_max(27)?;
    Ok(decoder)
}
