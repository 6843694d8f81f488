//! A connection whose client and instance speak WebSocket: bytes go both ways, unread.
//!
//! ```text
//! open ──one side ends──▶ half open ──the other ends, or is quiet for a moment──▶ over
//!   └ quiet for too long, a client that takes nothing, an error, the edge stops ──▶ over
//! ```
//!
//! It is in flight at its instance from the handshake to the end, so that whoever drains the instance waits for it. An instance that
//! is stopped ends its side, with a word of its own or without; where it says none between two frames, and where the edge stops, the
//! client is told that its other side goes away (1001), and may come again.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use skylift_balance::InFlight;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use super::pipe::Pipe;
use crate::access::Unended;
use crate::config::Limits;
use crate::metrics::OpenWebsocket;
use crate::pace::Pace;
use crate::stopping::Stopping;

/// How long the other side may be quiet once one has ended.
const LINGER: Duration = Duration::from_secs(10);

/// A close frame with the code 1001: the other side goes away (RFC 6455 §7.4.1).
const GOES_AWAY: &[u8] = &[0x88, 2, 0x03, 0xe9];
/// How long a client has to take it, and to end its side.
const FAREWELL: Duration = Duration::from_secs(1);

/// The other side: an instance's, or the control plane's.
pub(crate) struct FarEnd {
    pub(crate) stream: Upgraded,
    /// Where it is an instance's.
    pub(crate) in_flight: Option<InFlight>,
}

fn is_draining(at: Option<&InFlight>) -> bool {
    at.is_some_and(InFlight::is_draining)
}

/// What is known of the request that opened it, for when it ends.
pub(crate) struct Opened {
    pub(crate) record: Unended,
    pub(crate) counted: OpenWebsocket,
}

/// Both sides but the client's, which HTTP has until its last byte.
pub(crate) struct Tunnel {
    far: FarEnd,
    opened: Opened,
}

/// What a tunnel is bound by.
pub(crate) struct Bounds<'b> {
    pub(crate) limits: &'b Limits,
    /// How often it is looked whether it still gets on.
    pub(crate) look_every: Duration,
    pub(crate) pace: Pace,
    pub(crate) stopping: Stopping,
}

/// How a tunnel ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("both sides ended it")]
    Whole,
    #[error("one side broke off")]
    Broken(#[source] io::Error),
    #[error("nothing was said for too long")]
    Quiet,
    #[error("the client takes nothing")]
    Stuck,
    #[error("the edge stops")]
    Stopped,
}

/// Both directions.
struct Both {
    up: Pipe,
    down: Pipe,
}

impl Tunnel {
    pub(super) fn new(far: FarEnd, opened: Opened) -> Self {
        Self { far, opened }
    }

    /// Passes bytes on until it is over. `unread` has come from the client before.
    pub(crate) async fn run<T>(self, mut near: T, unread: Bytes, mut bounds: Bounds<'_>)
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let Self { far: FarEnd { stream, in_flight }, opened: Opened { mut record, counted } } = self;
        let mut far = TokioIo::new(stream);
        let mut both = Both { up: Pipe::with(unread.into()), down: Pipe::of_frames() };
        let end = both.run(&mut near, &mut far, &mut bounds, in_flight.as_ref()).await;
        if matches!(end, End::Stopped) || (matches!(end, End::Broken(_)) && is_draining(in_flight.as_ref())) {
            // A client that takes nothing any more is not waited for.
            let _ = timeout(FAREWELL, both.part(&mut near, &mut far)).await;
        }
        tracing::debug!(request.id = %record.id(), end = &end as &dyn std::error::Error, "a WebSocket ended");
        record.sent(both.down.passed());
        if matches!(end, End::Whole) {
            record.complete();
        }
        drop((record, counted, in_flight));
    }
}

impl Both {
    async fn run<N, F>(&mut self, near: &mut N, far: &mut F, bounds: &mut Bounds<'_>, at: Option<&InFlight>) -> End
    where
        N: AsyncRead + AsyncWrite + Unpin,
        F: AsyncRead + AsyncWrite + Unpin,
    {
        let (mut moved, mut moved_at) = (0, Instant::now());
        loop {
            tokio::select! {
                ended = poll_fn(|cx| self.poll(cx, near, far, at)) => {
                    return ended.map_or_else(End::Broken, |()| End::Whole);
                }
                () = bounds.stopping.told() => return End::Stopped,
                () = sleep(bounds.look_every) => {
                    let (passed, now) = (self.up.passed() + self.down.passed(), Instant::now());
                    if passed != moved {
                        (moved, moved_at) = (passed, now);
                    }
                    let half_open = self.up.has_ended() || self.down.has_ended();
                    let idle = bounds.limits.stream_timeout;
                    let patience = if half_open { idle.min(LINGER) } else { idle };
                    if now.saturating_duration_since(moved_at) >= patience {
                        return End::Quiet;
                    }
                    if bounds.pace.check(bounds.limits).is_some() {
                        return End::Stuck;
                    }
                }
            }
        }
    }

    fn poll<N, F>(
        &mut self,
        cx: &mut Context<'_>,
        near: &mut N,
        far: &mut F,
        at: Option<&InFlight>,
    ) -> Poll<io::Result<()>>
    where
        N: AsyncRead + AsyncWrite + Unpin,
        F: AsyncRead + AsyncWrite + Unpin,
    {
        let up = self.up.poll(cx, near, far, || None)?;
        let down = self.down.poll(cx, far, near, || is_draining(at).then_some(GOES_AWAY))?;
        if up.is_ready() && down.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Tells the client that its other side goes away, behind what that has said; then waits for its end, so that no reset overtakes
    /// the word.
    async fn part<N, F>(&mut self, near: &mut N, far: &mut F) -> io::Result<()>
    where
        N: AsyncRead + AsyncWrite + Unpin,
        F: AsyncRead + AsyncWrite + Unpin,
    {
        poll_fn(|cx| {
            let _ = self.down.poll(cx, far, near, || Some(GOES_AWAY));
            Poll::Ready(())
        })
        .await;
        self.down.end_with(GOES_AWAY);
        poll_fn(|cx| self.down.poll_send(cx, near)).await?;
        near.shutdown().await?;
        let mut unheard = [0; 512];
        while near.read(&mut unheard).await? > 0 {}
        Ok(())
    }
}
