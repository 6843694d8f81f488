//! The bus between processes, over Redis.
//!
//! Two connections for the whole process: one listens, one says and asks. Nobody ever waits for them. What cannot be
//! said is dropped, and whoever may not have heard something is told to look at everything again:
//!
//! ```text
//! listening ── error, or silence for three beats ──▶ down: everybody looks again now and then
//!     ▲                                                 │
//!     └── connected and subscribed: everybody looks again ┘
//! ```
//!
//! A beat is said on the one connection and must be heard on the other: that a connection is open proves nothing.

mod connect;
mod listen;
mod resp;
mod say;
pub(crate) mod scripts;
pub(crate) mod settings;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{Notify, broadcast, mpsc, oneshot};
use tokio::task::AbortHandle;

use crate::Heard;
use crate::bucket::Take;
use crate::message::Message;
use connect::Dial;
use settings::BusSettings;

/// How much may wait to be said. More is dropped.
const WAITING_MAX: usize = 1024;
/// How long the answer about a bucket is waited for.
const BUCKET_PATIENCE: Duration = Duration::from_millis(250);
/// How soon a lost connection is opened again, at first and at most.
const RECONNECT_FIRST: Duration = Duration::from_millis(50);
const RECONNECT_LAST: Duration = Duration::from_secs(5);

/// This process's end.
pub(crate) struct Redis {
    shared: Arc<Shared>,
    waiting: mpsc::Sender<Errand>,
    tasks: [AbortHandle; 2],
}

/// What both connections know.
struct Shared {
    dial: Dial,
    /// The channel of all processes, and the one that only this one hears.
    channel: String,
    own_channel: String,
    bucket_prefix: String,
    /// What this process's messages are marked with.
    origin: String,
    beat: Duration,
    heard: broadcast::Sender<Heard>,
    is_listening: AtomicBool,
    is_outage_logged: AtomicBool,
    /// The one connection is back: the other need not wait.
    is_back: Notify,
    /// Something was dropped that others should have heard.
    owes: AtomicBool,
    gaps: AtomicU64,
    dropped: AtomicU64,
    received: AtomicU64,
    reconnects: AtomicU64,
}

/// Something to do on the connection that says and asks.
enum Errand {
    Say(String),
    Take { key: String, take: Take, answer: oneshot::Sender<i64> },
}

impl Redis {
    /// Starts both connections in the background, whether Redis answers or not.
    pub(crate) fn start(settings: &BusSettings, heard: broadcast::Sender<Heard>) -> io::Result<Self> {
        let mut random = [0_u8; 8];
        SystemRandom::new().fill(&mut random).map_err(|_| io::Error::other("no random numbers"))?;
        let origin = format!("{:016x}", u64::from_be_bytes(random));
        let shared = Arc::new(Shared {
            dial: Dial::new(settings)?,
            channel: format!("{}:bus", settings.prefix),
            own_channel: format!("{}:beat:{origin}", settings.prefix),
            bucket_prefix: format!("{}:bucket:", settings.prefix),
            origin,
            beat: Duration::from_millis(settings.beat_ms),
            heard,
            is_listening: AtomicBool::new(false),
            is_outage_logged: AtomicBool::new(false),
            is_back: Notify::new(),
            owes: AtomicBool::new(false),
            gaps: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            received: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
        });
        let (waiting, errands) = mpsc::channel(WAITING_MAX);
        let listening = tokio::spawn(listen::run(shared.clone())).abort_handle();
        let saying = tokio::spawn(say::run(shared.clone(), errands)).abort_handle();
        Ok(Self { shared, waiting, tasks: [listening, saying] })
    }

    /// Tells the other processes, sooner or later or not at all; never waits.
    pub(crate) fn say(&self, message: &Message) {
        if self.waiting.try_send(Errand::Say(message.to_text())).is_err() {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            self.shared.owes.store(true, Ordering::Release);
        }
    }

    /// Asks for tokens; `None` where Redis does not answer at once. Else 0, or how many microseconds are missing.
    pub(crate) async fn take(&self, key: &str, take: Take) -> Option<u64> {
        if !self.shared.is_listening.load(Ordering::Acquire) {
            return None;
        }
        let (answer, answered) = oneshot::channel();
        self.waiting.try_send(Errand::Take { key: key.to_owned(), take, answer }).ok()?;
        let late = tokio::time::timeout(BUCKET_PATIENCE, answered).await.ok()?.ok()?;
        u64::try_from(late).ok()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.shared.is_listening.load(Ordering::Acquire)
    }

    /// Counts, as Prometheus text.
    pub(crate) fn render(&self, out: &mut String) {
        let shared = &self.shared;
        for (name, kind, value) in [
            ("connected", "gauge", u64::from(self.is_connected())),
            ("gaps_total", "counter", shared.gaps.load(Ordering::Relaxed)),
            ("dropped_total", "counter", shared.dropped.load(Ordering::Relaxed)),
            ("received_total", "counter", shared.received.load(Ordering::Relaxed)),
            ("reconnects_total", "counter", shared.reconnects.load(Ordering::Relaxed)),
        ] {
            out.push_str(&format!("# TYPE skylift_bus_{name} {kind}\nskylift_bus_{name} {value}\n"));
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Shared {
    /// Once for each outage, whichever connection notices.
    fn log_outage(&self, error: &io::Error) {
        if !self.is_outage_logged.swap(true, Ordering::AcqRel) {
            tracing::warn!(error = %error, "the bus has lost Redis; other processes are heard late until it is back");
        }
    }

    fn log_recovery(&self) {
        if self.is_outage_logged.swap(false, Ordering::AcqRel) {
            tracing::info!("the bus has Redis again");
        }
    }

    /// Tells everybody in this process to look at everything again.
    fn everybody_missed_something(&self) {
        self.gaps.fetch_add(1, Ordering::Relaxed);
        let _ = self.heard.send(Heard::Missed);
    }
}

/// When a lost connection is opened again: further and further apart, and not all processes at once.
struct Backoff(Duration);

impl Backoff {
    fn new() -> Self {
        Self(RECONNECT_FIRST)
    }

    fn next(&mut self) -> Duration {
        let mut random = [0_u8; 1];
        let _ = SystemRandom::new().fill(&mut random);
        let most = self.0;
        self.0 = (most * 2).min(RECONNECT_LAST);
        most / 2 + most / 2 * u32::from(random[0]) / 255
    }
}
