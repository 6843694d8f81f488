//! Tar archives: v7, ustar, GNU and PAX, as far as all readers agree on them.

use std::io::{self, Read, Write};

use skylift_model::FileMode;

use super::header::{BLOCK, Header};
use super::outgoing::{Outgoing, Sent, Stop, damaged, not_taken, shown, unreadable};
use super::pax::Extended;
use crate::frames::Refusal;

/// The most bytes of an extended header or a long name.
const EXTENSION_BYTES_MAX: u64 = 1 << 20;

/// Reads a tar to the end of its input, which is where it must end.
pub(super) fn read<W: Write>(input: impl Read, outgoing: &mut Outgoing<W>) -> Result<(), Stop> {
    let mut tar = Tar { input, offset: 0, number: 0, pending: Pending::default() };
    loop {
        let start = tar.offset;
        match tar.step(outgoing) {
            Ok(Step::More) => {}
            Ok(Step::End) => return Ok(()),
            Err(Stop::Input(error)) => {
                let place = format!("in entry {} at byte {} of the tar", tar.number, tar.offset);
                return Err(unreadable(error, &place).into());
            }
            Err(Stop::Refused(refusal)) => return Err(tar.locate(refusal, start).into()),
            Err(Stop::Out(error)) => return Err(Stop::Out(error)),
        }
    }
}

struct Tar<R> {
    input: R,
    /// How many bytes were read.
    offset: u64,
    /// How many entries were begun, extensions not counted.
    number: u64,
    pending: Pending,
}

/// What headers before an entry say of it.
#[derive(Default)]
struct Pending {
    extended: Option<Extended>,
    long_name: Option<Vec<u8>>,
    long_target: Option<Vec<u8>>,
    /// The name of the entry being read, for messages.
    shown: String,
}

enum Step {
    More,
    End,
}

impl<R: Read> Tar<R> {
    /// Reads one header and what belongs to it.
    fn step<W: Write>(&mut self, outgoing: &mut Outgoing<W>) -> Result<Step, Stop> {
        self.pending.shown.clear();
        let block = self.block()?;
        if block == [0; BLOCK] {
            self.end()?;
            return Ok(Step::End);
        }
        let header = Header::parse(&block)?;
        match header.kind() {
            b'x' => {
                let records = self.extension(&header)?;
                let extended = Extended::parse(&records)?;
                set(&mut self.pending.extended, extended)?;
            }
            b'g' => Extended::check_global(&self.extension(&header)?)?,
            b'L' => {
                let name = self.long_text(&header)?;
                set(&mut self.pending.long_name, name)?;
            }
            b'K' => {
                let target = self.long_text(&header)?;
                set(&mut self.pending.long_target, target)?;
            }
            _ => self.entry(&header, outgoing)?,
        }
        Ok(Step::More)
    }

    fn entry<W: Write>(&mut self, header: &Header<'_>, outgoing: &mut Outgoing<W>) -> Result<(), Stop> {
        self.number += 1;
        let pending = std::mem::take(&mut self.pending);
        let extended = pending.extended.unwrap_or_default();
        let name = either(pending.long_name, extended.path)?;
        let name = name.map_or_else(|| header.name(), |name| Ok(name.into()))?;
        let target = either(pending.long_target, extended.target)?;
        let target = target.as_deref().unwrap_or(header.target());
        self.pending.shown = shown(&name);
        let size = header.size()?;
        if extended.size.is_some_and(|other| other != size) {
            return Err(not_taken("its header and its extended header give two sizes").into());
        }
        match header.kind() {
            0 if name.ends_with(b"/") => self.without_data(size).and_then(|()| Ok(outgoing.folder(&name)?)),
            b'5' => self.without_data(size).and_then(|()| Ok(outgoing.folder(&name)?)),
            0 | b'0' | b'7' => {
                no_slash(&name)?;
                self.file(&name, header.is_executable()?, size, outgoing)
            }
            b'1' => {
                no_slash(&name)?;
                self.without_data(size).and_then(|()| outgoing.same(&name, target))
            }
            b'2' => {
                no_slash(&name)?;
                self.without_data(size).and_then(|()| outgoing.link(&name, target))
            }
            other => Err(not_taken(kind_not_taken(other)).into()),
        }
    }

    fn file<W: Write>(
        &mut self,
        name: &[u8],
        executable: bool,
        size: u64,
        outgoing: &mut Outgoing<W>,
    ) -> Result<(), Stop> {
        let mode = if executable { FileMode::Executable } else { FileMode::File };
        let mut data = (&mut *self).take(size);
        if outgoing.file(name, mode, size, &mut data)? == Sent::No {
            self.skip(size)?;
        }
        self.skip(padding(size))
    }

    /// Links and folders have no bytes of their own; readers disagree on where the next header is if they do.
    fn without_data(&self, size: u64) -> Result<(), Stop> {
        if size == 0 { Ok(()) } else { Err(not_taken("it is no file, yet has bytes").into()) }
    }

    fn long_text(&mut self, header: &Header<'_>) -> Result<Vec<u8>, Stop> {
        let mut text = self.extension(header)?;
        match text.iter().position(|byte| *byte == 0) {
            // GNU tar ends it with one NUL; other writers with none.
            Some(nul) if nul + 1 < text.len() => Err(damaged("a long name has a NUL in it").into()),
            Some(nul) => {
                text.truncate(nul);
                Ok(text)
            }
            None => Ok(text),
        }
    }

    fn extension(&mut self, header: &Header<'_>) -> Result<Vec<u8>, Stop> {
        let size = header.size()?;
        if size > EXTENSION_BYTES_MAX {
            return Err(not_taken("it has an extended header or a name of more than 1 MiB").into());
        }
        let mut bytes = Vec::new();
        (&mut *self).take(size).read_to_end(&mut bytes).map_err(Stop::Input)?;
        if (bytes.len() as u64) < size {
            return Err(Stop::Input(io::ErrorKind::UnexpectedEof.into()));
        }
        self.skip(padding(size))?;
        Ok(bytes)
    }

    /// After the first block of zeros there may be only zeros.
    fn end(&mut self) -> Result<(), Stop> {
        if self.pending.extended.is_some() || self.pending.long_name.is_some() || self.pending.long_target.is_some() {
            return Err(damaged("an extended header at the end belongs to no entry").into());
        }
        let mut rest = [0; 8 << 10];
        loop {
            match self.read(&mut rest).map_err(Stop::Input)? {
                0 => return Ok(()),
                got if rest.iter().take(got).any(|byte| *byte != 0) => {
                    return Err(damaged("something follows the archive's end").into());
                }
                _ => {}
            }
        }
    }

    fn block(&mut self) -> Result<[u8; BLOCK], Stop> {
        let mut block = [0; BLOCK];
        self.read_exact(&mut block).map_err(Stop::Input)?;
        Ok(block)
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Stop> {
        let skipped = io::copy(&mut (&mut *self).take(bytes), &mut io::sink()).map_err(Stop::Input)?;
        if skipped == bytes { Ok(()) } else { Err(Stop::Input(io::ErrorKind::UnexpectedEof.into())) }
    }

    fn locate(&self, refusal: Refusal, start: u64) -> Refusal {
        let message = match self.pending.shown.as_str() {
            "" => format!("at byte {start} of the tar, after entry {}: {}", self.number, refusal.message),
            name => format!("entry {} (`{name}`): {}", self.number, refusal.message),
        };
        Refusal { message, ..refusal }
    }
}

impl<R: Read> Read for Tar<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.input.read(buffer)?;
        self.offset += got as u64;
        Ok(got)
    }
}

fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

fn set<T>(slot: &mut Option<T>, value: T) -> Result<(), Refusal> {
    if slot.is_some() {
        return Err(damaged("two extended headers for one entry"));
    }
    *slot = Some(value);
    Ok(())
}

/// A long name by one way or the other; both would be two answers.
fn either(gnu: Option<Vec<u8>>, pax: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, Refusal> {
    match (gnu, pax) {
        (Some(_), Some(_)) => Err(damaged("a GNU and a PAX header give one entry two names")),
        (gnu, pax) => Ok(gnu.or(pax)),
    }
}

/// A name with `/` at its end is a folder's for some readers, whatever the header says.
fn no_slash(name: &[u8]) -> Result<(), Refusal> {
    if name.ends_with(b"/") { Err(not_taken("it is no folder, yet its name ends with `/`")) } else { Ok(()) }
}

fn kind_not_taken(kind: u8) -> String {
    match kind {
        b'3' => "it is a character device".into(),
        b'4' => "it is a block device".into(),
        b'6' => "it is a named pipe".into(),
        b'S' => "it is a sparse file".into(),
        b'M' => "it is a part of a file that another archive begins".into(),
        b'D' | b'N' | b'V' => "it belongs to a backup made by GNU tar".into(),
        _ => format!("it is of an unknown kind ({})", kind.escape_ascii()),
    }
}
