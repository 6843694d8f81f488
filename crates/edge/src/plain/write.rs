//! Bytes on their way to a client who may be slow.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::Buf;
use tokio::io::AsyncWrite;
use tokio::time::timeout;

/// Writes all of `bytes`, and leaves in them what was not taken. Fails where the client takes nothing for `stall`.
pub(crate) async fn write_all<T: AsyncWrite + Unpin>(
    io: &mut T,
    bytes: &mut impl Buf,
    stall: Duration,
) -> io::Result<()> {
    while bytes.has_remaining() {
        let some = poll_fn(|cx| Pin::new(&mut *io).poll_write(cx, bytes.chunk()));
        let written = timeout(stall, some).await.map_err(|_| io::ErrorKind::TimedOut)??;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes.advance(written);
    }
    Ok(())
}
