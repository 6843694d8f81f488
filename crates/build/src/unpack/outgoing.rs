//! What leaves the sandbox while an archive is read: entries that passed the policy, counted against the limits.

use std::io::{self, Read, Write};

use skylift_model::FileMode;

use super::tree::{Place, Tree};
use crate::frames::{FrameWriter, IntakeLimits, Refusal, RefusalCode, WriteError, check_link};

/// Why reading an archive stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// The archive is not taken.
    Refused(Refusal),
    /// The archive cannot be read on: it ended, does not decode, or passed a limit (a [`Refusal`] inside the error).
    Input(io::Error),
    /// Nobody listens any more.
    Out(io::Error),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// An archive that is not one, or not a whole one.
pub(super) fn damaged(message: impl Into<String>) -> Refusal {
    Refusal::new(RefusalCode::InvalidArchive, message, "make the archive anew and send it again")
}

/// An archive with something in it that is not taken.
pub(super) fn not_taken(message: impl Into<String>) -> Refusal {
    Refusal::new(RefusalCode::InvalidArchive, message, "remove it from the archive and send it again")
}

/// An archive with more than the limits allow.
pub(super) fn too_large(message: impl Into<String>) -> Refusal {
    Refusal::new(RefusalCode::TooLarge, message, "leave out what is not needed to build")
}

impl Refusal {
    pub(super) fn hint(self, hint: &str) -> Self {
        Self { hint: hint.to_owned(), ..self }
    }
}

/// What an error from reading an archive's own bytes means. `place` says where, as in "in entry 3".
pub(super) fn unreadable(error: io::Error, place: &str) -> Refusal {
    match error.downcast::<Refusal>() {
        Ok(refusal) => refusal,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            damaged(format!("the archive ends too early, {place}"))
        }
        Err(error) => damaged(format!("the archive is damaged, {place}: {error}")),
    }
}

/// A name as messages show it: its beginning, where it is long, so that the message's end is not lost.
pub(super) fn shown(name: &[u8]) -> String {
    const SHOWN_BYTES_MAX: usize = 200;
    match name.get(..SHOWN_BYTES_MAX) {
        Some(beginning) if name.len() > SHOWN_BYTES_MAX => format!("{}…", String::from_utf8_lossy(beginning)),
        _ => String::from_utf8_lossy(name).into_owned(),
    }
}

/// The entries of one archive on their way out.
pub(super) struct Outgoing<W: Write> {
    frames: FrameWriter<W>,
    limits: IntakeLimits,
    tree: Tree,
    skipped: u64,
}

impl<W: Write> Outgoing<W> {
    pub(super) fn new(frames: FrameWriter<W>, limits: IntakeLimits) -> Self {
        Self { frames, limits, tree: Tree::new(&limits), skipped: 0 }
    }

    /// A folder: it leaves no trace but its place.
    pub(super) fn folder(&mut self, name: &[u8]) -> Result<(), Refusal> {
        match self.tree.place(name)? {
            Place::Skipped => self.skipped += 1,
            Place::Root => {}
            Place::At(path) => self.tree.add_folder(&path)?,
        }
        Ok(())
    }

    /// A file of `size` bytes. Gives back whether `data` was read; a skipped file's is not.
    pub(super) fn file(&mut self, name: &[u8], mode: FileMode, size: u64, data: &mut impl Read) -> Result<Sent, Stop> {
        let Some(path) = self.path(name)? else { return Ok(Sent::No) };
        self.admit(size)?;
        self.tree.add_file(&path, self.frames.files(), size)?;
        match self.frames.entry(&path, mode, size, data) {
            Ok(()) => Ok(Sent::Yes),
            Err(WriteError::Out(error)) => Err(Stop::Out(error)),
            Err(WriteError::Source(error)) => Err(Stop::Input(error)),
            Err(WriteError::Short { .. }) => Err(Stop::Input(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// A symbolic link.
    pub(super) fn link(&mut self, name: &[u8], target: &[u8]) -> Result<(), Stop> {
        let Some(path) = self.path(name)? else { return Ok(()) };
        check_link(&path, target).map_err(|error| not_taken(error.to_string()))?;
        self.admit(target.len() as u64)?;
        self.tree.add_link(&path)?;
        match self.frames.whole(&path, FileMode::Symlink, target) {
            Ok(()) => Ok(()),
            Err(WriteError::Out(error) | WriteError::Source(error)) => Err(Stop::Out(error)),
            Err(WriteError::Short { .. }) => Err(damaged("a link's target ends too early").into()),
        }
    }

    /// A second name of a file that came before.
    pub(super) fn same(&mut self, name: &[u8], target: &[u8]) -> Result<(), Stop> {
        let Some(path) = self.path(name)? else { return Ok(()) };
        let Place::At(target) = self.tree.place(target)? else {
            return Err(not_taken("it is a hard link to something that is left out").into());
        };
        let Some((number, size)) = self.tree.file(&target) else {
            return Err(not_taken(format!("it is a hard link to `{target}`, which is no file before it")).into());
        };
        self.admit(size)?;
        self.tree.add_file(&path, number, size)?;
        let number = u32::try_from(number).map_err(|_| too_large("the archive has too many files"))?;
        self.frames.same(&path, number, size).map_err(Stop::Out)
    }

    /// How many entries an archive may have, those included that are skipped.
    pub(super) fn entries_max(&self) -> u64 {
        self.tree.entries_max()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.files() == 0
    }

    pub(super) fn finish(self) -> io::Result<()> {
        self.frames.finish(self.skipped)
    }

    pub(super) fn fail(self, refusal: &Refusal) -> io::Result<()> {
        self.frames.fail(refusal)
    }

    /// Where a file or link goes; `None` where it is skipped.
    fn path(&mut self, name: &[u8]) -> Result<Option<skylift_model::FilePath>, Refusal> {
        match self.tree.place(name)? {
            Place::At(path) => Ok(Some(path)),
            Place::Root => Err(not_taken("its name is that of the root")),
            Place::Skipped => {
                self.skipped += 1;
                Ok(None)
            }
        }
    }

    fn admit(&self, size: u64) -> Result<(), Refusal> {
        let limits = &self.limits;
        if size > limits.file_bytes_max {
            return Err(too_large(format!("it has {size} bytes; a file may have {}", limits.file_bytes_max)));
        }
        if self.frames.files() >= limits.files_max {
            return Err(too_large(format!("the archive has more than {} files", limits.files_max)));
        }
        if self.frames.bytes().saturating_add(size) > limits.bytes_max {
            return Err(too_large(format!("the archive's files have more than {} bytes together", limits.bytes_max)));
        }
        Ok(())
    }
}

/// Whether a file's bytes were read and sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Yes,
    No,
}
