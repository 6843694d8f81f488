//! What a run prints, up to its limit.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::Notify;

/// What was printed to one stream.
#[derive(Debug, Default)]
pub(crate) struct Captured {
    pub(crate) bytes: Vec<u8>,
    /// Whether there was more.
    pub(crate) truncated: bool,
    /// Kept open where there was more: who is to be killed for it must not end by itself of a broken pipe before.
    more: Option<pipe::Receiver>,
}

const PIECE: usize = 16 << 10;

/// Reads until nobody writes any more, or until there is more than `most` bytes; then tells it to `too_much`. What is kept is told to
/// `heard` as it comes.
pub(crate) async fn capture(
    stream: Option<OwnedFd>,
    most: usize,
    too_much: &Notify,
    heard: impl Fn(&[u8]),
) -> io::Result<Captured> {
    let Some(stream) = stream else { return Ok(Captured::default()) };
    let mut stream = pipe::Receiver::from_owned_fd(stream)?;
    let mut captured = Captured::default();
    loop {
        captured.bytes.reserve(PIECE);
        let before = captured.bytes.len();
        if stream.read_buf(&mut captured.bytes).await? == 0 {
            return Ok(captured);
        }
        let is_more = captured.bytes.len() > most;
        captured.bytes.truncate(most);
        heard(captured.bytes.get(before..).unwrap_or_default());
        if is_more {
            captured.truncated = true;
            captured.more = Some(stream);
            too_much.notify_one();
            return Ok(captured);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn printed(bytes: &[u8]) -> Option<OwnedFd> {
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        std::fs::File::from(write).write_all(bytes).unwrap();
        Some(read)
    }

    #[tokio::test]
    async fn who_prints_more_meets_no_broken_pipe() {
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        let mut write = std::fs::File::from(write);
        write.write_all(b"12").unwrap();
        let captured = capture(Some(read), 1, &Notify::new(), |_| ()).await.unwrap();
        write.write_all(b"3").unwrap();
        drop(captured);
        assert_eq!(write.write_all(b"4").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn all_is_kept_up_to_the_limit_and_more_is_told() {
        for (most, truncated) in [(5, false), (4, true), (0, true)] {
            let told = Notify::new();
            let heard = std::cell::RefCell::new(Vec::<u8>::new());
            let captured =
                capture(printed(b"12345"), most, &told, |bytes| heard.borrow_mut().extend(bytes)).await.unwrap();
            assert_eq!(heard.into_inner(), captured.bytes);
            assert_eq!((captured.bytes.as_slice(), captured.truncated), (&b"12345"[..most], truncated));
            if truncated {
                told.notified().await;
            }
        }
    }
}
