//! What lets through only what is read the same way by everybody: heads as [`super::head`] wants them, bodies as they frame.
//!
//! ```text
//! head ──complete──▶ body ──its end──▶ head …
//!   │                  └ wrong: an error, which ends the body and the connection
//!   └ refused: a byte that no request begins with, then the end
//! ```
//!
//! The HTTP implementation then refuses that byte as it refuses everything that is no request: behind the answers before it,
//! with 400, and closes. No byte of a head goes on before all of it was judged. Bodies pass without being copied.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::chunks::{Chunks, Scan};
use super::head::{self, Content, Fault, Head};

/// What no request begins with.
const NO_REQUEST: &[u8] = b"\0";

/// A stream whose requests are judged before they are read.
pub(crate) struct Gate<T> {
    io: T,
    /// The longest head that is waited for.
    head_bytes_max: usize,
    /// Bytes that were read and did not go on.
    held: Vec<u8>,
    /// How many of them may.
    ready: usize,
    /// Whether the others were looked at, and more are needed.
    wants_more: bool,
    at: At,
    end: Option<End>,
}

/// What the next byte belongs to.
enum At {
    Head,
    Body(u64),
    Chunks(Box<Chunks>),
}

/// How the stream ends, once all that may go on has.
#[derive(Clone, Copy)]
enum End {
    Refused,
    Broken,
    Over,
}

/// What may be done with some bytes.
enum Step {
    Pass(usize),
    Wait,
    End(usize, End),
}

#[derive(Debug, thiserror::Error)]
#[error("the body of the request is not written as chunks are")]
struct NotChunks;

impl<T> Gate<T> {
    /// `unread` comes before what is still to be read.
    pub(crate) fn new(io: T, unread: Vec<u8>, head_bytes_max: usize) -> Self {
        Self { io, head_bytes_max, held: unread, ready: 0, wants_more: false, at: At::Head, end: None }
    }

    /// How many of the bytes may go on; what comes after those is noted.
    fn judge(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        self.wants_more = false;
        while let Some(rest) = bytes.get(passed..).filter(|rest| !rest.is_empty()) {
            match self.at.step(rest, self.head_bytes_max) {
                Step::Pass(length) => passed += length,
                Step::Wait => {
                    self.wants_more = true;
                    break;
                }
                Step::End(length, end) => {
                    self.end = Some(end);
                    return passed + length;
                }
            }
        }
        passed
    }

    /// Judges what is held; what may never go on is dropped.
    fn judge_held(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        self.ready = self.judge(&held);
        if self.end.is_some() {
            held.truncate(self.ready);
        }
        self.held = held;
    }

    /// Gives what may go on, as much as there is room for.
    fn give(&mut self, buffer: &mut ReadBuf<'_>) {
        let length = self.ready.min(buffer.remaining());
        buffer.put_slice(self.held.get(..length).unwrap_or_default());
        self.ready -= length;
        if length == self.held.len() {
            self.held = Vec::new();
        } else {
            self.held.drain(..length);
        }
    }

    /// Tells how it ends.
    fn finish(&mut self, end: End, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
        match end {
            End::Refused => {
                buffer.put_slice(NO_REQUEST);
                self.end = Some(End::Over);
                Ok(())
            }
            End::Broken => Err(io::Error::new(io::ErrorKind::InvalidData, NotChunks)),
            End::Over => Ok(()),
        }
    }
}

impl At {
    fn step(&mut self, bytes: &[u8], head_bytes_max: usize) -> Step {
        match self {
            Self::Head => match head::read(bytes) {
                Head::Complete(length, _) if length > head_bytes_max => Step::End(bytes.len(), End::Over),
                Head::Complete(length, content) => {
                    *self = match content {
                        Content::Length(0) => Self::Head,
                        Content::Length(length) => Self::Body(length),
                        Content::Chunked => Self::Chunks(Box::new(Chunks::new())),
                    };
                    Step::Pass(length)
                }
                // The HTTP implementation says so with the status for it.
                Head::Beyond => Step::End(bytes.len(), End::Over),
                Head::Incomplete if bytes.len() >= head_bytes_max => Step::End(bytes.len(), End::Over),
                Head::Incomplete => Step::Wait,
                Head::Refused(fault) => refuse(fault),
            },
            Self::Body(left) => {
                let length = usize::try_from(*left).unwrap_or(bytes.len()).min(bytes.len());
                *left -= length as u64;
                if *left == 0 {
                    *self = Self::Head;
                }
                Step::Pass(length)
            }
            Self::Chunks(chunks) => match chunks.scan(bytes) {
                Scan::Goes => Step::Pass(bytes.len()),
                Scan::Ends(length) => {
                    *self = Self::Head;
                    Step::Pass(length)
                }
                Scan::Wrong(length) => Step::End(length, End::Broken),
            },
        }
    }
}

fn refuse(fault: Fault) -> Step {
    tracing::debug!(error = &fault as &dyn std::error::Error, "a request is refused");
    Step::End(0, End::Refused)
}

impl<T: AsyncRead + Unpin> AsyncRead for Gate<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if this.ready > 0 {
                this.give(buffer);
                return Poll::Ready(Ok(()));
            }
            if let Some(end) = this.end {
                return Poll::Ready(this.finish(end, buffer));
            }
            if !this.held.is_empty() && !this.wants_more {
                this.judge_held();
                continue;
            }
            let start = buffer.filled().len();
            ready!(Pin::new(&mut this.io).poll_read(cx, buffer))?;
            let read = buffer.filled().get(start..).unwrap_or_default();
            if read.is_empty() {
                // Half a head is for the HTTP implementation to judge.
                this.ready = this.held.len();
                this.end = Some(End::Over);
            } else if this.held.is_empty() {
                // Nothing is before it: what may go on stays where it was read to.
                let passed = this.judge(read);
                if this.end.is_none() {
                    this.held.extend_from_slice(read.get(passed..).unwrap_or_default());
                }
                buffer.set_filled(start + passed);
                if passed > 0 {
                    return Poll::Ready(Ok(()));
                }
            } else {
                this.held.extend_from_slice(read);
                this.wants_more = false;
                buffer.set_filled(start);
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Gate<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
