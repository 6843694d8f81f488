//! A file on its way to a client, one chunk at a time: the next is read when the last was taken.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::task::JoinHandle;

/// How many bytes are read at once; also all that a slow client keeps in memory.
const CHUNK_BYTES: u64 = 128 << 10;

/// The bytes of an open file from one place on. The open file keeps them, whatever happens to its name.
pub(crate) struct FileStream {
    file: Arc<File>,
    at: u64,
    remaining: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl FileStream {
    pub(crate) fn new(file: Arc<File>, first: u64, length: u64) -> Self {
        Self { file, at: first, remaining: length, reading: None }
    }

    /// How many bytes are still to come.
    pub(crate) fn remaining(&self) -> u64 {
        self.remaining
    }

    /// The next bytes; `None` after the last.
    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.remaining == 0 {
            return Poll::Ready(None);
        }
        let (file, at, length) = (&self.file, self.at, self.remaining.min(CHUNK_BYTES));
        let reading = self.reading.get_or_insert_with(|| {
            let file = file.clone();
            tokio::task::spawn_blocking(move || read_chunk(&file, at, length))
        });
        let chunk = ready!(Pin::new(reading).poll(cx)).unwrap_or_else(|error| Err(io::Error::other(error)));
        self.reading = None;
        match &chunk {
            Ok(_) => {
                self.at += length;
                self.remaining -= length;
            }
            Err(_) => self.remaining = 0,
        }
        Poll::Ready(Some(chunk))
    }
}

fn read_chunk(file: &File, at: u64, length: u64) -> io::Result<Bytes> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes.into())
}
