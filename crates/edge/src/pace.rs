//! Whether a connection of the strict implementation still gets on.
//!
//! ```text
//! idle ──bytes──▶ in a head ──request──▶ busy ──last answer ended──▶ idle
//! ```
//!
//! Idle connections may wait for long, heads may not, and whoever is busy must take what is sent. A client that has ended its side
//! may only have said all it had to say: it is gone where its answer has begun and nothing more comes of that either. All of one
//! connection shares a [`Pace`]; nothing here waits, the connection's own task asks now and then.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::config::Limits;
use crate::hung_up::{End, end_of};
use crate::transport::Transport;

/// What times are counted from.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
/// For how long nothing must have come of an answer before it is looked whether anybody is there.
const QUIET_MS: u64 = 1000;
/// How long a client that has ended its side is waited for, at most.
pub(crate) const LEFT: Duration = Duration::from_secs(5);
/// No time.
const NEVER: u64 = u64::MAX;

/// How one connection gets on. Cheap to clone; all clones are of the same connection.
#[derive(Clone, Debug)]
pub(crate) struct Pace(Arc<Times>);

#[derive(Debug)]
struct Times {
    /// Requests whose answers have not ended.
    busy: AtomicUsize,
    /// Answers of sites that are on their way: those are never held up on our side.
    sending: AtomicUsize,
    /// Those that wait for something on our side.
    waiting: AtomicUsize,
    idle_since: AtomicU64,
    head_since: AtomicU64,
    /// Since when the socket takes nothing, though there is something.
    stuck_since: AtomicU64,
    /// When an answer last got on.
    moved: AtomicU64,
    /// When it was seen that the client has ended its side.
    left_since: AtomicU64,
}

/// What has taken too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TooLong {
    Idle,
    Head,
    /// The client does not take what is sent.
    Write,
    /// The client has ended its side, and nothing comes for it.
    Left,
}

/// A request whose answer has not ended.
#[derive(Debug)]
pub(crate) struct Busy(Pace);

/// An answer of a site that is on its way.
#[derive(Debug)]
pub(crate) struct Sending {
    pace: Pace,
    /// Whether it waits for something on our side.
    paused: AtomicBool,
}

fn millis() -> u64 {
    u64::try_from(BEGAN.elapsed().as_millis()).unwrap_or(NEVER - 1)
}

impl Pace {
    /// Of a connection that has just sent the beginning of a head, or is about to.
    pub(crate) fn new() -> Self {
        let at = |time| AtomicU64::new(time);
        let now = millis();
        Self(Arc::new(Times {
            busy: AtomicUsize::new(0),
            sending: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            idle_since: at(now),
            head_since: at(now),
            stuck_since: at(NEVER),
            moved: at(now),
            left_since: at(NEVER),
        }))
    }

    /// A request was read.
    pub(crate) fn begin(&self) -> Busy {
        self.0.busy.fetch_add(1, Ordering::Relaxed);
        self.0.head_since.store(NEVER, Ordering::Relaxed);
        self.moved();
        Busy(self.clone())
    }

    /// An answer of a site begins.
    pub(crate) fn begin_sending(&self) -> Sending {
        self.0.sending.fetch_add(1, Ordering::Relaxed);
        self.moved();
        Sending { pace: self.clone(), paused: AtomicBool::new(false) }
    }

    /// Whether something has taken too long.
    pub(crate) fn check(&self, limits: &Limits) -> Option<TooLong> {
        let now = millis();
        let over = |since: u64, limit: Duration| u128::from(now.saturating_sub(since)) >= limit.as_millis();
        let get = |time: &AtomicU64| time.load(Ordering::Relaxed);
        let times = &*self.0;
        let is_busy = times.busy.load(Ordering::Relaxed) > 0;
        let is_held_up = times.sending.load(Ordering::Relaxed) > 0 && over(get(&times.moved), limits.write_timeout);
        if over(get(&times.stuck_since), limits.write_timeout) || is_held_up {
            Some(TooLong::Write)
        } else if times.waiting.load(Ordering::Relaxed) > 0
            && over(get(&times.left_since), limits.write_timeout.min(LEFT))
        {
            Some(TooLong::Left)
        } else if !is_busy && over(get(&times.head_since), limits.head_timeout) {
            Some(TooLong::Head)
        } else if !is_busy && over(get(&times.idle_since), limits.idle_timeout) {
            Some(TooLong::Idle)
        } else {
            None
        }
    }

    fn moved(&self) {
        self.0.moved.store(millis(), Ordering::Relaxed);
        if self.0.left_since.load(Ordering::Relaxed) != NEVER {
            self.0.left_since.store(NEVER, Ordering::Relaxed);
        }
    }

    /// Whether it should be looked if the client is still there: nothing was written to it for a while that would tell.
    fn may_have_left(&self) -> bool {
        let times = &*self.0;
        times.waiting.load(Ordering::Relaxed) > 0
            && times.left_since.load(Ordering::Relaxed) == NEVER
            && millis().saturating_sub(times.moved.load(Ordering::Relaxed)) >= QUIET_MS
    }

    fn read_some(&self) {
        let idle = self.0.busy.load(Ordering::Relaxed) == 0;
        if idle && self.0.head_since.load(Ordering::Relaxed) == NEVER {
            self.0.head_since.store(millis(), Ordering::Relaxed);
        }
    }

    fn wrote<T>(&self, written: &Poll<io::Result<T>>) {
        let stuck = &self.0.stuck_since;
        match written {
            Poll::Ready(_) if stuck.load(Ordering::Relaxed) == NEVER => {}
            Poll::Ready(_) => stuck.store(NEVER, Ordering::Relaxed),
            Poll::Pending if stuck.load(Ordering::Relaxed) == NEVER => stuck.store(millis(), Ordering::Relaxed),
            Poll::Pending => {}
        }
    }
}

impl Sending {
    /// More of the answer was there to be taken.
    pub(crate) fn moved(&self) {
        if self.paused.swap(false, Ordering::Relaxed) {
            self.pace.0.sending.fetch_add(1, Ordering::Relaxed);
            self.pace.0.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        self.pace.moved();
    }

    /// There is nothing to be taken: until there is, it is not the client who holds the answer up.
    pub(crate) fn pause(&self) {
        if !self.paused.swap(true, Ordering::Relaxed) {
            self.pace.0.sending.fetch_sub(1, Ordering::Relaxed);
            self.pace.0.waiting.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.pause();
        self.pace.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let times = &*self.0.0;
        if times.busy.fetch_sub(1, Ordering::Relaxed) == 1 {
            times.idle_since.store(millis(), Ordering::Relaxed);
        }
    }
}

/// A stream that keeps its connection's pace.
pub(crate) struct Paced<T> {
    io: T,
    pace: Pace,
}

impl<T> Paced<T> {
    pub(crate) fn new(io: T, pace: Pace) -> Self {
        Self { io, pace }
    }
}

impl<T: Transport> Paced<T> {
    /// Looks whether the client has ended its side, which nobody reads while an answer is on its way.
    fn look_for_client(&self, cx: &mut Context<'_>) {
        if !self.pace.may_have_left() {
            return;
        }
        let Some(socket) = self.io.socket() else { return };
        // It wakes the task where nothing is unread; otherwise it is looked again when the task is next asked.
        let _ = socket.poll_read_ready(cx);
        if end_of(socket) != End::None {
            self.pace.0.left_since.store(millis(), Ordering::Relaxed);
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Paced<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.io).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            this.pace.read_some();
        }
        read
    }
}

impl<T: Transport> AsyncWrite for Paced<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.pace.wrote(&written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write_vectored(cx, bytes);
        this.pace.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.look_for_client(cx);
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
