//! Receiving frames, outside the sandbox. The other end is not believed.

use std::io;
use std::str::FromStr;

use skylift_model::digest::Hasher;
use skylift_model::manifest::InvalidManifest;
use skylift_model::path::InvalidPath;
use skylift_model::{Digest, FileEntry, FileMode, FilePath, Manifest};
use tokio::io::{AsyncRead, AsyncReadExt, BufReader};

use super::IntakeLimits;
use super::format::{
    BROKEN_OFF, CHUNK_BYTES_MAX, END, ENTRY, ERROR, MAGIC, MESSAGE_BYTES_MAX, NOTE, NOTE_BYTES_MAX, SAME,
    mode_from_byte,
};
use super::link::{InvalidLink, LinkRule};
use super::refusal::{Refusal, RefusalCode, plain};

/// Files up to this size are handed to the sink in one call.
const SMALL_BYTES_MAX: u64 = 256 << 10;
/// The most bytes of all paths together, so that a list of files cannot fill the memory.
const PATH_BYTES_MAX: usize = 16 << 20;
/// What is wrong with a piece that is longer than its entry or than pieces are.
const WRONG_LENGTH: &str = "a chunk of a wrong length";

/// Where received bytes go. Calls come one after another: `small` alone, or `begin`, any number of `write`, `finish`.
/// What was begun and not finished must be thrown away; when [`receive`] fails, nothing handed over is referred to.
pub trait Sink: Send {
    /// A whole small file.
    fn small(&mut self, digest: Digest, bytes: Vec<u8>) -> impl Future<Output = io::Result<()>> + Send;
    /// A file of `size` bytes starts.
    fn begin(&mut self, size: u64) -> impl Future<Output = io::Result<()>> + Send;
    /// More bytes of it.
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = io::Result<()>> + Send;
    /// It is complete and this is its digest.
    fn finish(&mut self, digest: Digest) -> impl Future<Output = io::Result<()>> + Send;
}

/// What a stream held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The files, checked.
    pub manifest: Manifest,
    /// How many entries the sandbox left out on purpose.
    pub skipped: u64,
    /// What the sandbox said about the files as a whole; untrusted bytes.
    pub note: Option<Vec<u8>>,
}

/// Why a stream was not taken.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The sandbox told why there are no files: the user's failure.
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("more than {max} files")]
    TooManyFiles { max: u64 },
    #[error("more than {max} bytes in all files together")]
    TooManyBytes { max: u64 },
    #[error("`{path}` has {size} bytes; a file may have {max}")]
    FileTooLarge { path: FilePath, size: u64, max: u64 },
    #[error("`{path}` cannot be taken")]
    Path {
        path: String,
        #[source]
        source: InvalidPath,
    },
    #[error("the symbolic link `{path}` cannot be taken")]
    Link {
        path: FilePath,
        #[source]
        source: InvalidLink,
    },
    #[error("the files cannot be taken together")]
    Manifest(#[from] InvalidManifest),
    /// The sandboxed process ended or was killed before it was done.
    #[error("the stream of files ended early")]
    Truncated,
    /// What came is not what our own writer sends: the sandboxed process was taken over, or is another version.
    #[error("the stream of files is damaged: {0}")]
    Damaged(&'static str),
    #[error("read the stream of files")]
    Read(#[source] io::Error),
    #[error("store received bytes")]
    Store(#[source] io::Error),
}

impl IntakeError {
    /// What to tell the person who sent the files; `None` where the fault is the platform's or the sandbox was taken
    /// over, which is for the log.
    pub fn as_refusal(&self) -> Option<Refusal> {
        let (code, hint) = match self {
            Self::Refused(refusal) => return Some(refusal.clone()),
            Self::TooManyFiles { .. } | Self::TooManyBytes { .. } | Self::FileTooLarge { .. } => {
                (RefusalCode::TooLarge, "leave files out with .skyliftignore")
            }
            Self::Path { .. } => (RefusalCode::InvalidTree, "rename it"),
            Self::Link { .. } => (RefusalCode::InvalidTree, "links must be relative and stay inside the source"),
            Self::Manifest(_) => (RefusalCode::InvalidTree, "rename or remove one of them"),
            Self::Truncated | Self::Damaged(_) | Self::Read(_) | Self::Store(_) => return None,
        };
        let message = match std::error::Error::source(self) {
            Some(source) => format!("{self}: {source}"),
            None => self.to_string(),
        };
        Some(Refusal::new(code, message, hint))
    }
}

/// Reads one whole stream. Either all of it is good and the list of its files comes back, or nothing of it counts.
/// Memory stays flat: one chunk, or one small file, besides the list itself.
pub async fn receive<R: AsyncRead + Unpin, S: Sink>(
    reader: R,
    limits: &IntakeLimits,
    sink: &mut S,
) -> Result<Received, IntakeError> {
    receive_with(reader, limits, LinkRule::Inside, sink).await
}

/// The same with another rule for links. Where they may lead anywhere, the files are those of a program, whose names may
/// differ in nothing but case.
pub async fn receive_with<R: AsyncRead + Unpin, S: Sink>(
    reader: R,
    limits: &IntakeLimits,
    links: LinkRule,
    sink: &mut S,
) -> Result<Received, IntakeError> {
    let reader = BufReader::with_capacity(CHUNK_BYTES_MAX, reader);
    let chunk = vec![0; CHUNK_BYTES_MAX].into_boxed_slice();
    let mut receiver =
        Receiver { reader, limits, links, sink, files: Vec::new(), bytes: 0, path_bytes: 0, note: None, chunk };
    if receiver.array().await? != *MAGIC {
        return Err(IntakeError::Damaged("it does not start as one"));
    }
    let skipped = loop {
        match receiver.byte().await? {
            NOTE => receiver.note().await?,
            ENTRY => receiver.entry().await?,
            SAME => receiver.same().await?,
            END => break receiver.end().await?,
            ERROR => return Err(receiver.error().await),
            _ => return Err(IntakeError::Damaged("an unknown frame")),
        }
    };
    let manifest = match links {
        LinkRule::Inside => Manifest::new(receiver.files)?,
        LinkRule::Any => Manifest::of_program(receiver.files)?,
    };
    Ok(Received { manifest, skipped, note: receiver.note })
}

struct Receiver<'a, R, S> {
    reader: BufReader<R>,
    limits: &'a IntakeLimits,
    links: LinkRule,
    sink: &'a mut S,
    files: Vec<FileEntry>,
    bytes: u64,
    path_bytes: usize,
    note: Option<Vec<u8>>,
    chunk: Box<[u8]>,
}

impl<R: AsyncRead + Unpin, S: Sink> Receiver<'_, R, S> {
    async fn note(&mut self) -> Result<(), IntakeError> {
        if self.note.is_some() || !self.files.is_empty() {
            return Err(IntakeError::Damaged("a note out of place"));
        }
        let length = u32::from_be_bytes(self.array().await?) as usize;
        if length > NOTE_BYTES_MAX {
            return Err(IntakeError::Damaged("a note too long"));
        }
        let mut note = vec![0; length];
        read_exact(&mut self.reader, &mut note).await?;
        self.note = Some(note);
        Ok(())
    }

    async fn entry(&mut self) -> Result<(), IntakeError> {
        let mode = mode_from_byte(self.byte().await?).ok_or(IntakeError::Damaged("an unknown mode"))?;
        let path = self.path().await?;
        let size = u64::from_be_bytes(self.array().await?);
        self.admit(&path, size)?;
        let sha256 = match mode {
            FileMode::Symlink => self.link(&path, size).await?,
            FileMode::File | FileMode::Executable if size <= SMALL_BYTES_MAX => self.small(size).await?,
            FileMode::File | FileMode::Executable => self.large(size).await?,
        };
        self.files.push(FileEntry { path, sha256, size, mode });
        Ok(())
    }

    async fn same(&mut self) -> Result<(), IntakeError> {
        let path = self.path().await?;
        let of = u32::from_be_bytes(self.array().await?) as usize;
        let Some(first) = self.files.get(of) else {
            return Err(IntakeError::Damaged("a reference to no entry"));
        };
        if first.mode == FileMode::Symlink {
            return Err(IntakeError::Damaged("a reference to a link"));
        }
        let entry = FileEntry { path, ..first.clone() };
        self.admit(&entry.path, entry.size)?;
        self.files.push(entry);
        Ok(())
    }

    async fn end(&mut self) -> Result<u64, IntakeError> {
        let files = u64::from_be_bytes(self.array().await?);
        let bytes = u64::from_be_bytes(self.array().await?);
        let skipped = u64::from_be_bytes(self.array().await?);
        if files != self.files.len() as u64 || bytes != self.bytes {
            return Err(IntakeError::Damaged("the counts at its end are wrong"));
        }
        match self.reader.read(&mut [0]).await.map_err(IntakeError::Read)? {
            0 => Ok(skipped),
            _ => Err(IntakeError::Damaged("something follows its end")),
        }
    }

    /// The sandbox's own error, or what is wrong with that.
    async fn error(&mut self) -> IntakeError {
        match self.refusal().await {
            Ok(refusal) => IntakeError::Refused(refusal),
            Err(error) => error,
        }
    }

    async fn refusal(&mut self) -> Result<Refusal, IntakeError> {
        let code = RefusalCode::parse(&self.text(MESSAGE_BYTES_MAX).await?);
        let code = code.ok_or(IntakeError::Damaged("an unknown error code"))?;
        let message = plain(&self.text(MESSAGE_BYTES_MAX).await?);
        let hint = plain(&self.text(MESSAGE_BYTES_MAX).await?);
        Ok(Refusal { code, message, hint })
    }

    /// Accepts or refuses a file before any of its bytes is read.
    fn admit(&mut self, path: &FilePath, size: u64) -> Result<(), IntakeError> {
        let limits = self.limits;
        if size > limits.file_bytes_max {
            return Err(IntakeError::FileTooLarge { path: path.clone(), size, max: limits.file_bytes_max });
        }
        if self.files.len() as u64 >= limits.files_max {
            return Err(IntakeError::TooManyFiles { max: limits.files_max });
        }
        self.path_bytes += path.as_str().len();
        if self.path_bytes > PATH_BYTES_MAX {
            return Err(IntakeError::TooManyFiles { max: limits.files_max });
        }
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > limits.bytes_max {
            return Err(IntakeError::TooManyBytes { max: limits.bytes_max });
        }
        Ok(())
    }

    async fn link(&mut self, path: &FilePath, size: u64) -> Result<Digest, IntakeError> {
        let too_long = size > skylift_model::manifest::LINK_BYTES_MAX;
        if too_long {
            return Err(IntakeError::Link { path: path.clone(), source: InvalidLink::TooLong });
        }
        let target = self.bytes_of(size).await?;
        self.links.check(path, &target).map_err(|source| IntakeError::Link { path: path.clone(), source })?;
        self.hand_over(target).await
    }

    async fn small(&mut self, size: u64) -> Result<Digest, IntakeError> {
        let bytes = self.bytes_of(size).await?;
        self.hand_over(bytes).await
    }

    async fn hand_over(&mut self, bytes: Vec<u8>) -> Result<Digest, IntakeError> {
        let digest = Digest::of(&bytes);
        self.sink.small(digest, bytes).await.map_err(IntakeError::Store)?;
        Ok(digest)
    }

    async fn large(&mut self, size: u64) -> Result<Digest, IntakeError> {
        self.sink.begin(size).await.map_err(IntakeError::Store)?;
        let mut hasher = Hasher::new();
        let mut missing = size;
        while missing > 0 {
            let length = self.chunk_length(missing).await?;
            let chunk = self.chunk.get_mut(..length).ok_or(IntakeError::Damaged(WRONG_LENGTH))?;
            read_exact(&mut self.reader, chunk).await?;
            hasher.update(chunk);
            self.sink.write(chunk).await.map_err(IntakeError::Store)?;
            missing -= length as u64;
        }
        let digest = hasher.finish();
        self.sink.finish(digest).await.map_err(IntakeError::Store)?;
        Ok(digest)
    }

    /// The bytes of a small entry; `size` was checked against the limit of small ones.
    async fn bytes_of(&mut self, size: u64) -> Result<Vec<u8>, IntakeError> {
        let mut bytes = vec![0; size as usize];
        let mut filled = 0;
        while filled < bytes.len() {
            let length = self.chunk_length((bytes.len() - filled) as u64).await?;
            let piece = bytes.get_mut(filled..filled + length).ok_or(IntakeError::Damaged(WRONG_LENGTH))?;
            read_exact(&mut self.reader, piece).await?;
            filled += length;
        }
        Ok(bytes)
    }

    async fn chunk_length(&mut self, missing: u64) -> Result<usize, IntakeError> {
        let length = u32::from_be_bytes(self.array().await?);
        if length == BROKEN_OFF {
            return match self.byte().await? {
                ERROR => Err(self.error().await),
                _ => Err(IntakeError::Damaged("an entry broken off without a reason")),
            };
        }
        if length == 0 || length as usize > CHUNK_BYTES_MAX || u64::from(length) > missing {
            return Err(IntakeError::Damaged(WRONG_LENGTH));
        }
        Ok(length as usize)
    }

    async fn path(&mut self) -> Result<FilePath, IntakeError> {
        let text = self.text(skylift_model::path::PATH_BYTES_MAX).await?;
        FilePath::from_str(&text).map_err(|source| IntakeError::Path { path: plain(&text), source })
    }

    async fn text(&mut self, bytes_max: usize) -> Result<String, IntakeError> {
        let length = usize::from(u16::from_be_bytes(self.array().await?));
        if length > bytes_max {
            return Err(IntakeError::Damaged("a text too long"));
        }
        let mut text = vec![0; length];
        read_exact(&mut self.reader, &mut text).await?;
        String::from_utf8(text).map_err(|_| IntakeError::Damaged("a text that is not UTF-8"))
    }

    async fn byte(&mut self) -> Result<u8, IntakeError> {
        Ok(u8::from_be_bytes(self.array().await?))
    }

    async fn array<const N: usize>(&mut self) -> Result<[u8; N], IntakeError> {
        let mut array = [0; N];
        read_exact(&mut self.reader, &mut array).await?;
        Ok(array)
    }
}

async fn read_exact(reader: &mut (impl AsyncRead + Unpin), buffer: &mut [u8]) -> Result<(), IntakeError> {
    match reader.read_exact(buffer).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(IntakeError::Truncated),
        Err(error) => Err(IntakeError::Read(error)),
    }
}
