//! The rest of an answer that the socket did not take at once.

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWrite;

use crate::access::AccessLog;
use crate::metrics::Counters;
use crate::plain::note::{Ending, Note};
use crate::plain::write::write_all;
use crate::sendfile;
use crate::stream::FileStream;
use crate::transport::Transport;

/// What is still to be sent, and what is to be recorded then.
pub(crate) struct Unsent {
    /// What is left of the head, and of a small body behind it.
    pub(crate) front: Bytes,
    pub(crate) rest: Rest,
    /// How many bytes of the body are in `rest` and in `front`.
    pub(crate) body_bytes: u64,
    pub(crate) note: Note<'static>,
    pub(crate) counters: Arc<Counters>,
}

/// What follows.
pub(crate) enum Rest {
    Nothing,
    Memory(Bytes),
    /// All of a file with this many bytes.
    File(Arc<File>, u64),
}

impl Unsent {
    /// Sends it, giving up when the client takes nothing for `stall`. Records the answer in any case.
    pub(crate) async fn send<T: Transport>(
        mut self,
        io: &mut T,
        stall: Duration,
        log: &AccessLog,
    ) -> Result<(), io::Error> {
        let mut recorded = Recorded { log, unsent: &mut self, ending: Ending::Cut };
        let sent = recorded.unsent.send_all(io, stall).await;
        if sent.is_ok() {
            recorded.ending = Ending::Complete;
        }
        sent
    }

    async fn send_all<T: Transport>(&mut self, io: &mut T, stall: Duration) -> Result<(), io::Error> {
        write_all(io, &mut self.front, stall).await?;
        match &mut self.rest {
            Rest::Nothing => Ok(()),
            Rest::Memory(bytes) => write_all(io, bytes, stall).await,
            Rest::File(file, left) => match io.socket() {
                Some(socket) => sendfile::send(socket, file, left, stall).await,
                None => copy(io, file.clone(), left, stall).await,
            },
        }
    }

    fn left(&self) -> u64 {
        let rest = match &self.rest {
            Rest::Nothing => 0,
            Rest::Memory(bytes) => bytes.len() as u64,
            Rest::File(_, left) => *left,
        };
        rest + self.front.len() as u64
    }
}

/// Records the answer when it is dropped, for a connection may be cut at any time.
struct Recorded<'s> {
    log: &'s AccessLog,
    unsent: &'s mut Unsent,
    ending: Ending,
}

impl Drop for Recorded<'_> {
    fn drop(&mut self) {
        let sent = self.unsent.body_bytes.saturating_sub(self.unsent.left());
        self.unsent.note.record(self.log, &self.unsent.counters, sent, self.ending);
    }
}

/// Sends a file through memory, one chunk at a time.
async fn copy<T: AsyncWrite + Unpin>(io: &mut T, file: Arc<File>, left: &mut u64, stall: Duration) -> io::Result<()> {
    let mut stream = FileStream::new(file, 0, *left);
    while let Some(chunk) = poll_fn(|cx| match stream.poll_chunk(cx) {
        Poll::Ready(chunk) => Poll::Ready(chunk),
        Poll::Pending => Poll::Pending,
    })
    .await
    {
        let mut chunk = chunk?;
        let length = chunk.len() as u64;
        write_all(io, &mut chunk, stall).await?;
        *left -= length;
    }
    Ok(())
}
