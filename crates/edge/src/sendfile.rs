//! Files from the page cache to a socket, without passing through this process's memory.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::sendfile;
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How many bytes are handed to the kernel at once.
const CHUNK_BYTES: u64 = 1 << 20;

/// Sends the last `left` bytes of a file; `left` is what remains at any time. Gives up when the client takes nothing for `stall`.
pub(crate) async fn send(socket: &TcpStream, file: &Arc<File>, left: &mut u64, stall: Duration) -> io::Result<()> {
    let size = file.metadata()?.len();
    while *left > 0 {
        let offset = size.checked_sub(*left).ok_or(io::ErrorKind::UnexpectedEof)?;
        let length = (*left).min(CHUNK_BYTES);
        bring_in(file, offset, length).await?;
        let mut at = offset;
        let some = socket.async_io(Interest::WRITABLE, || {
            let length = usize::try_from(offset + length - at).map_err(io::Error::other)?;
            Ok(sendfile(socket, file, Some(&mut at), length)?)
        });
        let sent = timeout(stall, some).await.map_err(|_| io::ErrorKind::TimedOut)??;
        if sent == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *left -= sent as u64;
        // A fast reader must not keep the thread from its other connections.
        tokio::task::consume_budget().await;
    }
    Ok(())
}

/// Has the kernel read a piece of a file where it is not in memory: `sendfile` would hold up the thread for that long.
async fn bring_in(file: &Arc<File>, offset: u64, length: u64) -> io::Result<()> {
    if is_in_memory(file, offset) && is_in_memory(file, offset + length.saturating_sub(1)) {
        return Ok(());
    }
    let file = file.clone();
    let read = tokio::task::spawn_blocking(move || {
        use std::os::unix::fs::FileExt;
        let mut buffer = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        file.read_exact_at(&mut buffer, offset)
    });
    read.await.map_err(io::Error::other)?
}

/// Whether the byte at this place can be read without waiting for a disk, as far as the kernel tells.
fn is_in_memory(file: &File, offset: u64) -> bool {
    let mut byte = [0; 1];
    let read = preadv2(file, &mut [IoSliceMut::new(&mut byte)], offset, ReadWriteFlags::NOWAIT);
    !matches!(read, Err(Errno::AGAIN))
}
