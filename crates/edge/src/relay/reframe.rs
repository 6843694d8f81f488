//! The body of an answer, from how the instance frames it to how the client gets it. Pure.

use std::io::Write;

use crate::program::framing::Framing;
use crate::strict::chunks::{Chunks, Scan};

/// A body as far as it was passed on.
#[derive(Debug)]
pub(super) enum Reframe {
    /// All of it.
    Done,
    /// So many bytes follow, which pass as they are.
    Length(u64),
    /// Chunks, which become ours: extensions and trailers are for the next hop alone.
    Chunks(Box<Chunks>),
    /// Whatever follows, in chunks of ours.
    ToTheEnd,
}

/// What came of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// How many bytes of the body were in them.
    pub(super) body_bytes: u64,
    /// Whether there are more of them than of the body.
    pub(super) is_too_much: bool,
}

/// The body is not framed as its head says, or breaks off.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the instance did not go on with its answer as it had begun it")]
pub(super) struct Broken;

const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

impl Reframe {
    pub(super) fn of(framing: Framing) -> Self {
        match framing {
            Framing::Nothing => Self::Done,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunks(Box::new(Chunks::of_answer())),
            Framing::ToTheEnd => Self::ToTheEnd,
        }
    }

    pub(super) const fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Appends what the client gets for these bytes.
    pub(super) fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Taken, Broken> {
        match self {
            Self::Done => Ok(Taken { body_bytes: 0, is_too_much: !bytes.is_empty() }),
            Self::Length(left) => {
                let length = usize::try_from(*left).unwrap_or(bytes.len()).min(bytes.len());
                out.extend_from_slice(bytes.get(..length).unwrap_or_default());
                *left -= length as u64;
                let is_too_much = length < bytes.len();
                if *left == 0 {
                    *self = Self::Done;
                }
                Ok(Taken { body_bytes: length as u64, is_too_much })
            }
            Self::Chunks(chunks) => {
                let begin = out.len();
                let scan = chunks.scan_to(bytes, |data| out.extend_from_slice(data));
                let body_bytes = out.len() - begin;
                if body_bytes > 0 {
                    let size = format!("{body_bytes:X}\r\n");
                    out.splice(begin..begin, size.into_bytes());
                    out.extend_from_slice(b"\r\n");
                }
                let is_too_much = match scan {
                    Scan::Goes => false,
                    Scan::Wrong(_) => return Err(Broken),
                    Scan::Ends(length) => {
                        out.extend_from_slice(LAST_CHUNK);
                        *self = Self::Done;
                        length < bytes.len()
                    }
                };
                Ok(Taken { body_bytes: body_bytes as u64, is_too_much })
            }
            Self::ToTheEnd => {
                if !bytes.is_empty() {
                    let _ = write!(out, "{:X}\r\n", bytes.len());
                    out.extend_from_slice(bytes);
                    out.extend_from_slice(b"\r\n");
                }
                Ok(Taken { body_bytes: bytes.len() as u64, is_too_much: false })
            }
        }
    }

    /// The instance has ended the connection.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Broken> {
        match self {
            Self::Done => Ok(()),
            Self::ToTheEnd => {
                out.extend_from_slice(LAST_CHUNK);
                *self = Self::Done;
                Ok(())
            }
            Self::Length(_) | Self::Chunks(_) => Err(Broken),
        }
    }
}
