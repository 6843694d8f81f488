//! What a container prints: frames of both streams, taken apart.
//!
//! A frame is eight bytes (which stream, three of zero, the length) and so many of what was printed.

use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

use crate::answer::Answer;

/// What may wait to be read of one stream; beyond it the container's own writing waits.
const WAITING_BYTES: usize = 64 << 10;
const HEADER_BYTES: usize = 8;
const STDERR: u8 = 2;

/// Both streams of a container, each until it ends.
pub struct Attached {
    pub stdout: DuplexStream,
    pub stderr: DuplexStream,
}

impl Attached {
    pub(crate) fn to(mut answer: Answer) -> Self {
        let (mut to_stdout, stdout) = duplex(WAITING_BYTES);
        let (mut to_stderr, stderr) = duplex(WAITING_BYTES);
        tokio::spawn(async move {
            let mut frames = Frames::default();
            while let Ok(Some(piece)) = answer.next().await {
                for (stream, bytes) in frames.feed(&piece) {
                    let end = if stream == STDERR { &mut to_stderr } else { &mut to_stdout };
                    // Nobody listens any more: it is read on all the same, or the container would stand still.
                    let _ = end.write_all(&bytes).await;
                }
            }
        });
        Self { stdout, stderr }
    }
}

/// Where in the frames we are.
#[derive(Default)]
struct Frames {
    header: Vec<u8>,
    stream: u8,
    left: usize,
}

impl Frames {
    /// The pieces of the streams that a piece of frames has.
    fn feed(&mut self, mut piece: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut found = Vec::new();
        while !piece.is_empty() {
            if self.left == 0 {
                let (head, rest) = piece.split_at(piece.len().min(HEADER_BYTES - self.header.len()));
                self.header.extend_from_slice(head);
                piece = rest;
                if let [stream, _, _, _, length @ ..] = self.header.as_slice()
                    && let Ok(length) = <[u8; 4]>::try_from(length)
                {
                    (self.stream, self.left) = (*stream, u32::from_be_bytes(length) as usize);
                    self.header.clear();
                }
                continue;
            }
            let (bytes, rest) = piece.split_at(piece.len().min(self.left));
            found.push((self.stream, bytes.to_vec()));
            self.left -= bytes.len();
            piece = rest;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(pieces: &[&[u8]]) -> (String, String) {
        let (mut frames, mut out, mut err) = (Frames::default(), Vec::new(), Vec::new());
        for (stream, bytes) in pieces.iter().flat_map(|piece| frames.feed(piece)) {
            if stream == STDERR { err.extend(bytes) } else { out.extend(bytes) }
        }
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn streams_are_the_same_however_frames_are_cut() {
        let bytes = b"\x01\0\0\0\0\0\0\x03abc\x02\0\0\0\0\0\0\x02no\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\x01d";
        let expected = ("abcd".to_owned(), "no".to_owned());
        for cut in 0..=bytes.len() {
            assert_eq!(both(&[&bytes[..cut], &bytes[cut..]]), expected, "cut at {cut}");
        }
    }
}
