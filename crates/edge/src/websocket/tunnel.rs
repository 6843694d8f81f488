//! A connection whose client and instance speak WebSocket: bytes go both ways, unread.
//!
//! ```text
//! open ──one side ends──▶ half open ──the other ends, or is quiet for a moment──▶ over
//!   └ quiet for too long, a client that takes nothing, an error, the edge stops ──▶ over
//! ```
//!
//! It is in flight at its instance from the handshake to the end, so that whoever drains the instance waits for it. An instance that
//! is stopped ends its side.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use skylift_balance::InFlight;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep;

use super::pipe::Pipe;
use crate::access::Unended;
use crate::config::Limits;
use crate::metrics::OpenWebsocket;
use crate::pace::Pace;
use crate::stopping::Stopping;

/// How long the other side may be quiet once one has ended.
const LINGER: Duration = Duration::from_secs(10);

/// The instance's side.
pub(crate) struct FarEnd {
    pub(crate) stream: Upgraded,
    pub(crate) in_flight: InFlight,
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
        let mut both = Both { up: Pipe::with(unread.into()), down: Pipe::default() };
        let end = both.run(&mut near, &mut far, &mut bounds).await;
        tracing::debug!(request.id = %record.id(), end = &end as &dyn std::error::Error, "a WebSocket ended");
        record.sent(both.down.passed());
        if matches!(end, End::Whole) {
            record.complete();
        }
        drop((record, counted, in_flight));
    }
}

impl Both {
    async fn run<N, F>(&mut self, near: &mut N, far: &mut F, bounds: &mut Bounds<'_>) -> End
    where
        N: AsyncRead + AsyncWrite + Unpin,
        F: AsyncRead + AsyncWrite + Unpin,
    {
        let (mut moved, mut moved_at) = (0, Instant::now());
        loop {
            tokio::select! {
                ended = poll_fn(|cx| self.poll(cx, near, far)) => {
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

    fn poll<N, F>(&mut self, cx: &mut Context<'_>, near: &mut N, far: &mut F) -> Poll<io::Result<()>>
    where
        N: AsyncRead + AsyncWrite + Unpin,
        F: AsyncRead + AsyncWrite + Unpin,
    {
        let up = self.up.poll(cx, near, far)?;
        let down = self.down.poll(cx, far, near)?;
        if up.is_ready() && down.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}
