//! Writing frames, inside the sandbox.

use std::io::{self, Read, Write};

use skylift_model::{FileMode, FilePath};

use super::format::{
    BROKEN_OFF, CHUNK_BYTES_MAX, END, ENTRY, ERROR, MAGIC, MESSAGE_BYTES_MAX, NOTE, NOTE_BYTES_MAX, SAME, mode_to_byte,
};
use super::refusal::Refusal;

/// Writes one stream of frames. Ends with [`FrameWriter::finish`] or [`FrameWriter::fail`]; a stream that has neither is
/// taken for a truncated one.
pub struct FrameWriter<W: Write> {
    out: W,
    files: u64,
    bytes: u64,
    open: bool,
    buffer: Box<[u8]>,
}

/// Why an entry could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The bytes to send cannot be read.
    #[error("read the bytes of an entry")]
    Source(#[source] io::Error),
    /// The bytes ended before the announced size.
    #[error("an entry ended {missing} bytes early")]
    Short {
        /// How many bytes were missing.
        missing: u64,
    },
    /// The stream cannot be written.
    #[error("write frames")]
    Out(#[source] io::Error),
}

impl<W: Write> FrameWriter<W> {
    /// Starts a stream. `out` is written in small pieces; give it a buffer.
    pub fn new(mut out: W) -> io::Result<Self> {
        out.write_all(MAGIC)?;
        let buffer = vec![0; CHUNK_BYTES_MAX].into_boxed_slice();
        Ok(Self { out, files: 0, bytes: 0, open: false, buffer })
    }

    /// Something about the files as a whole, such as the commit they are of: 64 KiB at most, once, before any entry.
    pub fn note(&mut self, note: &[u8]) -> io::Result<()> {
        let length = u32::try_from(note.len()).ok().filter(|_| note.len() <= NOTE_BYTES_MAX);
        let length = length.ok_or_else(|| io::Error::other("the note is too long"))?;
        self.out.write_all(&[NOTE])?;
        self.out.write_all(&length.to_be_bytes())?;
        self.out.write_all(note)
    }

    /// One entry whose bytes are at hand.
    pub fn whole(&mut self, path: &FilePath, mode: FileMode, bytes: &[u8]) -> Result<(), WriteError> {
        self.entry(path, mode, bytes.len() as u64, &mut &*bytes)
    }

    /// One entry of exactly `size` bytes, read from `source` as they are sent.
    pub fn entry(
        &mut self,
        path: &FilePath,
        mode: FileMode,
        size: u64,
        source: &mut impl Read,
    ) -> Result<(), WriteError> {
        self.begin(path, mode, size).map_err(WriteError::Out)?;
        self.open = true;
        let mut missing = size;
        while missing > 0 {
            let room = self.buffer.len().min(usize::try_from(missing).unwrap_or(usize::MAX));
            let got = fill(source, self.buffer.get_mut(..room).unwrap_or_default()).map_err(WriteError::Source)?;
            if got == 0 {
                return Err(WriteError::Short { missing });
            }
            self.chunk(got).map_err(WriteError::Out)?;
            missing -= got as u64;
        }
        self.open = false;
        self.bytes += size;
        self.files += 1;
        Ok(())
    }

    /// An entry with the mode and bytes of the `of`-th entry of this stream (counted from 0), whose size is `size`.
    pub fn same(&mut self, path: &FilePath, of: u32, size: u64) -> io::Result<()> {
        self.out.write_all(&[SAME])?;
        self.text(path.as_str())?;
        self.out.write_all(&of.to_be_bytes())?;
        self.files += 1;
        self.bytes += size;
        Ok(())
    }

    /// Ends the stream: everything was sent, and `skipped` entries were left out on purpose.
    pub fn finish(mut self, skipped: u64) -> io::Result<()> {
        self.out.write_all(&[END])?;
        for number in [self.files, self.bytes, skipped] {
            self.out.write_all(&number.to_be_bytes())?;
        }
        self.out.flush()
    }

    /// Ends the stream: nothing of it counts, for this reason.
    pub fn fail(mut self, refusal: &Refusal) -> io::Result<()> {
        if self.open {
            self.out.write_all(&BROKEN_OFF.to_be_bytes())?;
        }
        self.out.write_all(&[ERROR])?;
        self.text(refusal.code.as_str())?;
        self.text(beginning(&refusal.message))?;
        self.text(beginning(&refusal.hint))?;
        self.out.flush()
    }

    /// How many entries were written; the number of the next one.
    pub fn files(&self) -> u64 {
        self.files
    }

    /// How many bytes the entries have.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn begin(&mut self, path: &FilePath, mode: FileMode, size: u64) -> io::Result<()> {
        self.out.write_all(&[ENTRY, mode_to_byte(mode)])?;
        self.text(path.as_str())?;
        self.out.write_all(&size.to_be_bytes())
    }

    fn chunk(&mut self, length: usize) -> io::Result<()> {
        let prefix = u32::try_from(length).map_err(io::Error::other)?;
        self.out.write_all(&prefix.to_be_bytes())?;
        let piece = self.buffer.get(..length).ok_or(io::ErrorKind::InvalidInput)?;
        self.out.write_all(piece)
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        let length = u16::try_from(text.len()).map_err(io::Error::other)?;
        self.out.write_all(&length.to_be_bytes())?;
        self.out.write_all(text.as_bytes())
    }
}

/// Reads until `buffer` is full or the source ends.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn beginning(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MESSAGE_BYTES_MAX)).unwrap_or_default()
}
