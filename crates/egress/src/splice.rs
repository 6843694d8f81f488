//! Copying between a guest and the outside: both ways, each direction closed by itself, ended when nothing moves.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::tally::Tally;

/// The outer end of a connection, which counts what passes.
pub(crate) struct Metered {
    stream: TcpStream,
    tally: Arc<Tally>,
    moved: Arc<AtomicU64>,
}

/// Tells whether anything still moves on one connection.
pub(crate) struct Pulse(Arc<AtomicU64>);

impl Metered {
    pub(crate) fn new(stream: TcpStream, tally: Arc<Tally>) -> Self {
        Self { stream, tally, moved: Arc::default() }
    }

    pub(crate) fn pulse(&self) -> Pulse {
        Pulse(Arc::clone(&self.moved))
    }
}

/// Copies until both sides are done; an error of either side, or silence for `idle`, ends both.
pub(crate) async fn splice(mut guest: TcpStream, mut outer: Metered, idle: Duration) -> io::Result<()> {
    let pulse = outer.pulse();
    pulse.watch(idle, copy_bidirectional(&mut guest, &mut outer)).await.map(|_| ())
}

impl Pulse {
    /// Awaits `work`, unless nothing moves for `idle` (noticed after at most twice that).
    pub(crate) async fn watch<T>(self, idle: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let silence = async {
            loop {
                let before = self.0.load(Ordering::Relaxed);
                sleep(idle).await;
                if self.0.load(Ordering::Relaxed) == before {
                    return;
                }
            }
        };
        tokio::select! {
            done = work => done,
            () = silence => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl AsyncRead for Metered {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let read = (buf.filled().len() - before) as u64;
        self.moved.fetch_add(read, Ordering::Relaxed);
        self.tally.bytes_in.fetch_add(read, Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(written)) = polled {
            self.moved.fetch_add(written as u64, Ordering::Relaxed);
            self.tally.bytes_out.fetch_add(written as u64, Ordering::Relaxed);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
