//! What lets through only what is read the same way by everybody: heads as [`super::head`] wants them, bodies as they frame.
//!
//! ```text
//! head ──complete──▶ body ──its end──▶ head …
//!   │                  └ wrong: an error, which ends the body and the connection
//!   └ refused: a byte that no request begins with, then the end
//!
//! behind a request that asks for another protocol: nothing, until it is answered ──▶ head …, or a tunnel: all, unread
//! ```
//!
//! The HTTP implementation then refuses that byte as it refuses everything that is no request: behind the answers before it,
//! with 400, and closes. No byte of a head goes on before all of it was judged. Bodies pass without being copied.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use super::chunks::{Chunks, Scan};
use super::head::{self, Behind, Content, Fault, Head};
use crate::through::Reading;
use crate::websocket::Switch;
use crate::websocket::switch::GoesOn;

/// What no request begins with.
const NO_REQUEST: &[u8] = b"\0";

/// Judges the requests of a stream before they are read.
pub(crate) struct Gate {
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
    /// Whether the last request asks for another protocol, and how that goes on.
    asked: bool,
    switch: Switch,
}

/// What the next byte belongs to.
enum At {
    Head,
    Body(u64),
    Chunks(Box<Chunks>),
    /// No HTTP any more.
    Tunnel,
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
    /// The same, and it is a head that asks for another protocol.
    Ask(usize),
    Wait,
    End(usize, End),
}

#[derive(Debug, thiserror::Error)]
#[error("the body of the request is not written as chunks are")]
struct NotChunks;

impl Gate {
    /// `unread` comes before what is still to be read.
    pub(crate) fn new(unread: Vec<u8>, head_bytes_max: usize, switch: Switch) -> Self {
        let at = At::Head;
        Self { head_bytes_max, held: unread, ready: 0, wants_more: false, at, end: None, asked: false, switch }
    }

    /// How many of the bytes may go on; what comes after those is noted.
    fn judge(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        self.wants_more = false;
        while let Some(rest) = bytes.get(passed..).filter(|rest| !rest.is_empty()) {
            if self.is_open_question() {
                break;
            }
            match self.at.step(rest, self.head_bytes_max) {
                Step::Pass(length) => passed += length,
                Step::Ask(length) => {
                    passed += length;
                    self.asked = true;
                    self.switch.ask();
                }
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

    /// Whether it is to be said yet what the next bytes are.
    fn is_open_question(&self) -> bool {
        self.asked && matches!(self.at, At::Head)
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
                Head::Complete(length, ..) if length > head_bytes_max => Step::End(bytes.len(), End::Over),
                Head::Complete(length, content, behind) => {
                    *self = match content {
                        Content::Length(0) => Self::Head,
                        Content::Length(length) => Self::Body(length),
                        Content::Chunked => Self::Chunks(Box::new(Chunks::new())),
                    };
                    if behind == Behind::Depends { Step::Ask(length) } else { Step::Pass(length) }
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
            Self::Tunnel => Step::Pass(bytes.len()),
        }
    }
}

fn refuse(fault: Fault) -> Step {
    tracing::debug!(error = &fault as &dyn std::error::Error, "a request is refused");
    Step::End(0, End::Refused)
}

impl Reading for Gate {
    fn poll_read<T: AsyncRead + Unpin>(
        &mut self,
        io: &mut T,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if self.ready > 0 {
                self.give(buffer);
                return Poll::Ready(Ok(()));
            }
            if let Some(end) = self.end {
                return Poll::Ready(self.finish(end, buffer));
            }
            if self.is_open_question() {
                // Nothing is read either: whoever sends without waiting for the answer waits.
                if ready!(self.switch.poll_decided(cx)) == GoesOn::WithTunnel {
                    self.at = At::Tunnel;
                }
                self.asked = false;
            }
            if !self.held.is_empty() && !self.wants_more {
                self.judge_held();
                continue;
            }
            let start = buffer.filled().len();
            ready!(Pin::new(&mut *io).poll_read(cx, buffer))?;
            let read = buffer.filled().get(start..).unwrap_or_default();
            if read.is_empty() {
                // Half a head is for the HTTP implementation to judge.
                self.ready = self.held.len();
                self.end = Some(End::Over);
            } else if self.held.is_empty() {
                // Nothing is before it: what may go on stays where it was read to.
                let passed = self.judge(read);
                if self.end.is_none() {
                    self.held.extend_from_slice(read.get(passed..).unwrap_or_default());
                }
                buffer.set_filled(start + passed);
                if passed > 0 {
                    return Poll::Ready(Ok(()));
                }
            } else {
                self.held.extend_from_slice(read);
                self.wants_more = false;
                buffer.set_filled(start);
            }
        }
    }
}

#[cfg(test)]
mod tests;
