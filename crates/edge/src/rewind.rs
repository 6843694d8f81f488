//! Reading a stream some of whose bytes were read before, and are read again.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

use crate::through::Reading;

/// The unread bytes, then the stream.
pub(crate) struct Rewind {
    unread: Vec<u8>,
    at: usize,
}

impl Rewind {
    pub(crate) fn new(unread: Vec<u8>) -> Self {
        Self { unread, at: 0 }
    }
}

impl Reading for Rewind {
    fn poll_read<T: AsyncRead + Unpin>(
        &mut self,
        io: &mut T,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = self.unread.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            return Pin::new(io).poll_read(cx, buffer);
        }
        let length = rest.len().min(buffer.remaining());
        buffer.put_slice(rest.get(..length).unwrap_or_default());
        self.at += length;
        if self.at == self.unread.len() {
            self.unread = Vec::new();
            self.at = 0;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::through::Through;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn what_was_read_before_is_read_first() {
        for size in [1, 2, 3, 100] {
            let (mut client, server) = tokio::io::duplex(64);
            client.write_all(b"def").await.unwrap();
            client.shutdown().await.unwrap();
            let mut rewound = Through::new(server, Rewind::new(b"abc".to_vec()));
            let mut read = Vec::new();
            let mut buffer = vec![0; size];
            loop {
                match rewound.read(&mut buffer).await.unwrap() {
                    0 => break,
                    length => read.extend_from_slice(&buffer[..length]),
                }
            }
            assert_eq!(read, b"abcdef");
        }
    }
}
