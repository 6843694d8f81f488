//! A source as an archive for the engine, made while it is sent.

use std::io::{self, Write};

use bytes::Bytes;
use skylift_blob::Blobs;
use skylift_model::manifest::LINK_BYTES_MAX;
use skylift_model::{FileEntry, FileMode, Manifest};
use tokio::sync::mpsc;

/// How many pieces may wait to be sent, and how large each is at most.
const WAITING: usize = 4;
const PIECE_BYTES: usize = 64 << 10;

/// The files below `root`, as pieces of a tar archive. An error among them breaks the request off.
pub(super) fn pieces(blobs: &Blobs, source: &Manifest, root: &str) -> mpsc::Receiver<io::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let (blobs, source, root) = (blobs.clone(), source.clone(), root.to_owned());
    tokio::task::spawn_blocking(move || {
        let pieces = Pieces { sender: sender.clone(), gathered: Vec::with_capacity(PIECE_BYTES) };
        if let Err(error) = write(&blobs, &source, &root, pieces) {
            let _ = sender.blocking_send(Err(error));
        }
    });
    receiver
}

fn write(blobs: &Blobs, source: &Manifest, root: &str, pieces: Pieces) -> io::Result<()> {
    let mut archive = tar::Builder::new(pieces);
    for file in source.files() {
        let path = file.path.as_str();
        let below =
            if root.is_empty() { Some(path) } else { path.strip_prefix(root).and_then(|p| p.strip_prefix('/')) };
        if let Some(below) = below {
            add(&mut archive, blobs, file, below)?;
        }
    }
    archive.into_inner()?.flush()
}

fn add(archive: &mut tar::Builder<Pieces>, blobs: &Blobs, file: &FileEntry, path: &str) -> io::Result<()> {
    let stored = blobs.read_file(&file.sha256).map_err(io::Error::other)?;
    let mut stored = stored.ok_or_else(|| io::Error::other(format!("the blob of `{path}` is not stored")))?;
    let mut header = tar::Header::new_gnu();
    // The same source is the same archive, so that the engine finds again what it has built.
    header.set_mtime(1);
    if file.mode == FileMode::Symlink {
        let mut target = String::new();
        io::Read::read_to_string(&mut io::Read::take(stored.file, LINK_BYTES_MAX), &mut target)?;
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        return archive.append_link(&mut header, path, target);
    }
    header.set_mode(if file.mode == FileMode::Executable { 0o755 } else { 0o644 });
    header.set_size(file.size);
    archive.append_data(&mut header, path, io::Read::take(&mut stored.file, file.size))
}

/// Writes to a channel.
struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
    gathered: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = Bytes::from(std::mem::replace(&mut self.gathered, Vec::with_capacity(PIECE_BYTES)));
        self.sender.blocking_send(Ok(piece)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
