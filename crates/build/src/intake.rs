//! Taking in archives: unpacked in a sandbox of their own, stored file by file.

use std::io;

use skylift_blob::{BlobError, Blobs};
use skylift_model::{Digest, Manifest};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::{Semaphore, watch};

use crate::blob_sink::{BlobSink, is_away};
use crate::cell::{Bounds, Cell, CellError, Ended, own_command};
use crate::frames::{IntakeError, IntakeLimits, Received, Refusal, RefusalCode, receive};

/// The user that unpacks; no app has it.
const UNPACKER_UID: u32 = 199_998;
/// How many archives are unpacked at once.
const AT_ONCE: usize = 2;
/// How long sending and unpacking an archive may take.
const TIME_MAX: std::time::Duration = std::time::Duration::from_secs(1800);
const MEMORY_BYTES: u64 = 256 << 20;

/// Takes in archives.
pub struct ArchiveIntake {
    blobs: Blobs,
    limits: IntakeLimits,
    archive_bytes_max: u64,
    permits: Semaphore,
}

/// Why an archive was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The sender's failure.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The sender stopped sending, or sent too much.
    #[error("receive the archive")]
    Receive(#[source] io::Error),
    #[error(transparent)]
    Intake(IntakeError),
    #[error(transparent)]
    Cell(#[from] CellError),
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error("the platform is shutting down")]
    Interrupted,
}

impl ArchiveError {
    /// Whether the object store is away: the same archive may be sent again later.
    pub fn is_away(&self) -> bool {
        // Its variants stand for what is in them, and so hide it from who follows the causes.
        match self {
            Self::Blob(error) => is_away(error),
            Self::Intake(error) => is_away(error),
            Self::Refused(_) | Self::Receive(_) | Self::Cell(_) | Self::Interrupted => false,
        }
    }

    /// Whether the disk is full, so that the caller can say so.
    pub fn is_out_of_space(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
            if matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)) {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

/// An archive's pieces as they come.
pub trait Pieces: Send {
    /// The next piece; `None` at the end.
    fn next(&mut self) -> impl Future<Output = Option<io::Result<Vec<u8>>>> + Send;
}

impl ArchiveIntake {
    /// Stores into `blobs`.
    pub fn new(blobs: Blobs, limits: IntakeLimits, archive_bytes_max: u64) -> Self {
        Self { blobs, limits, archive_bytes_max, permits: Semaphore::new(AT_ONCE) }
    }

    /// Unpacks an archive and stores its files and the list of them. Nothing names what was stored of one that is
    /// refused, so that clean-up takes it.
    pub async fn take(&self, pieces: impl Pieces) -> Result<(Digest, Manifest), ArchiveError> {
        let _permit = self.permits.acquire().await.map_err(|_| ArchiveError::Interrupted)?;
        let mut cell = Cell::start(self.spec(), self.bounds(), "unpack", None).await?;
        let (stdin, stdout) = (cell.take_stdin()?, cell.take_stdout()?);
        let mut sink = BlobSink::new(self.blobs.clone());
        let mut received = None;
        let mut sent = Ok(());
        let (_never, cancel) = watch::channel(false);
        let reading = async {
            let (frames, send) = tokio::join!(receive(stdout, &self.limits, &mut sink), send(pieces, stdin));
            let kept = frames.is_ok();
            received = Some(frames);
            sent = send;
            kept
        };
        let ended = cell.finish(reading, cancel).await?;
        // A sender that broke off is the first cause; what the unpacker then says follows from it.
        sent.map_err(ArchiveError::Receive)?;
        let received = judged(received, &ended)?;
        sink.flush().await?;
        let list = serde_json::to_vec(&received.manifest).map_err(|error| ArchiveError::Receive(error.into()))?;
        Ok((self.blobs.put(list).await?, received.manifest))
    }

    fn spec(&self) -> skylift_sandbox::Spec {
        let limits = serde_json::to_string(&self.limits).unwrap_or_default();
        let mut spec = own_command(&["sandbox-unpack", &limits]);
        spec.stdin = skylift_sandbox::Stdin::Pipe;
        spec.stderr = skylift_sandbox::Output::Null;
        spec.uid = UNPACKER_UID;
        spec.gid = UNPACKER_UID;
        spec.cwd = "/tmp".into();
        // A zip is spooled to /tmp, since its list stands at its end; it counts towards the memory.
        spec.tmp.bytes = self.archive_bytes_max;
        spec.limits.memory_bytes = MEMORY_BYTES + self.archive_bytes_max;
        spec.limits.file_bytes = self.archive_bytes_max;
        spec.limits.pids = 8;
        spec
    }

    fn bounds(&self) -> Bounds {
        Bounds { time: TIME_MAX, output_bytes: u64::MAX, disk: None, egress: None }
    }
}

async fn send(mut pieces: impl Pieces, mut stdin: pipe::Sender) -> io::Result<()> {
    while let Some(piece) = pieces.next().await {
        // The unpacker stops reading once it refuses; why, it says on its output.
        if stdin.write_all(&piece?).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// What came of it, by what was received and how the unpacker ended.
fn judged(received: Option<Result<Received, IntakeError>>, ended: &Ended) -> Result<Received, ArchiveError> {
    let hint = "send fewer or smaller files";
    match (received, ended) {
        (Some(Ok(received)), _) => Ok(received),
        (_, Ended::Exited(outcome)) if outcome.out_of_memory => {
            Err(Refusal::new(RefusalCode::TooLarge, "the archive needs too much memory to unpack", hint).into())
        }
        (_, Ended::TimedOut) => {
            Err(Refusal::new(RefusalCode::TooLarge, "the archive took too long to send and unpack", hint).into())
        }
        (Some(Err(error)), _) => match error.as_refusal() {
            Some(refusal) => Err(refusal.into()),
            None => Err(ArchiveError::Intake(error)),
        },
        (None, _) => Err(ArchiveError::Interrupted),
    }
}
