//! One direction of a tunnel: what is read here is written there, and the end of it, too.
//!
//! A pipe through which nothing moves holds no buffer.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::Frames;

/// How much is read at once.
const READ_BYTES: usize = 16 << 10;

thread_local! {
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into());
}

/// One direction.
#[derive(Default)]
pub(super) struct Pipe {
    /// What was read and not taken yet.
    unsent: Vec<u8>,
    /// How much of that was.
    sent: usize,
    passed: u64,
    at: At,
    /// Where its frames end, where somebody may have to say something behind one.
    frames: Option<Frames>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum At {
    #[default]
    Open,
    /// There is nothing more to read.
    Read,
    /// The other side was told.
    Ended,
}

impl Pipe {
    /// One that has these bytes to send first.
    pub(super) fn with(unsent: Vec<u8>) -> Self {
        Self { unsent, ..Self::default() }
    }

    /// One that knows where a frame ends.
    pub(super) fn of_frames() -> Self {
        Self { frames: Some(Frames::default()), ..Self::default() }
    }

    /// Has this sent behind the rest, as the last frame of all; not where one is cut, or was the last already.
    pub(super) fn end_with(&mut self, frame: &[u8]) {
        if let Some(frames) = self.frames.as_mut().filter(|frames| frames.may_begin()) {
            frames.take(frame);
            self.unsent.extend_from_slice(frame);
        }
    }

    /// How many bytes were written.
    pub(super) fn passed(&self) -> u64 {
        self.passed
    }

    pub(super) fn has_ended(&self) -> bool {
        self.at == At::Ended
    }

    /// Goes on until the stream has ended and that was passed on, behind the last word where there is one to be said.
    pub(super) fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
        last_word: impl Fn() -> Option<&'static [u8]>,
    ) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            ready!(self.poll_send(cx, to))?;
            match self.at {
                At::Open => {
                    ready!(self.poll_take(cx, from, to))?;
                    if self.at == At::Read
                        && let Some(frame) = last_word()
                    {
                        self.end_with(frame);
                    }
                }
                At::Read => {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                    self.at = At::Ended;
                }
                At::Ended => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Sends what was not taken before.
    pub(super) fn poll_send<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
    ) -> Poll<io::Result<()>> {
        while let Some(rest) = self.unsent.get(self.sent..).filter(|rest| !rest.is_empty()) {
            let written = ready!(Pin::new(&mut *to).poll_write(cx, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += written;
            self.passed += written as u64;
        }
        (self.unsent, self.sent) = (Vec::new(), 0);
        Pin::new(to).poll_flush(cx)
    }

    /// Reads some, and sends of it what is taken at once.
    fn poll_take<R, W>(&mut self, cx: &mut Context<'_>, from: &mut R, to: &mut W) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        READ.with_borrow_mut(|bytes| {
            let mut buffer = ReadBuf::new(bytes);
            ready!(Pin::new(from).poll_read(cx, &mut buffer))?;
            let read = buffer.filled();
            if read.is_empty() {
                self.at = At::Read;
                return Poll::Ready(Ok(()));
            }
            if let Some(frames) = &mut self.frames {
                frames.take(read);
            }
            let written = match Pin::new(to).poll_write(cx, read) {
                Poll::Ready(written) => written?,
                Poll::Pending => 0,
            };
            self.passed += written as u64;
            self.unsent.extend_from_slice(read.get(written..).unwrap_or_default());
            Poll::Ready(Ok(()))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn everything_comes_in_order_and_then_the_end_however_slow_the_other_side_is() {
        let sent: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        let (mut client, mut near) = duplex(1000);
        let (mut far, mut instance) = duplex(7);
        let mut pipe = Pipe::with(b"before".to_vec());
        let mut got = Vec::new();
        let (piped, (), read) = tokio::join!(
            poll_fn(|cx| pipe.poll(cx, &mut near, &mut far, || None)),
            async {
                client.write_all(&sent).await.unwrap();
                client.shutdown().await.unwrap();
            },
            instance.read_to_end(&mut got)
        );
        piped.unwrap();
        read.unwrap();
        assert!(got.starts_with(b"before") && got[6..] == sent);
        assert_eq!((pipe.passed(), pipe.has_ended()), (200_006, true));
        assert_eq!(pipe.unsent.capacity(), 0, "what is idle holds nothing");
    }
}
