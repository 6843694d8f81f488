//! Who hears what a run prints and sends it more, while it runs.

use std::convert::Infallible;
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::sync::Arc;

use rustix::process::Signal;
use skylift_model::run::Step;
use tokio::sync::mpsc;

use crate::spent::Spent;

/// One of the streams that a program prints to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// Hears a run.
pub trait Listener: Send + Sync {
    /// It was compiled, well or not.
    fn compiled(&self, step: &Step);

    /// Its program runs.
    fn began(&self);

    /// It printed this, within its limit. Must not wait.
    fn printed(&self, stream: Stream, bytes: &[u8]);
}

/// What goes on between a run and whoever asked for it. With several inputs it is about the first.
#[derive(Default)]
pub struct Attached {
    /// Hears it.
    pub listener: Option<Arc<dyn Listener>>,
    /// What it reads after its own input; its end is the input's.
    pub stdin: Option<mpsc::Receiver<Vec<u8>>>,
    /// Signals for its first process, by number.
    pub signals: Option<mpsc::Receiver<i32>>,
    /// Where it is noted what it uses.
    pub spent: Spent,
    /// Whom its key's use is told; without, nobody.
    pub purse: Option<Arc<dyn Purse>>,
}

/// What a run's key has left.
pub trait Purse: Send + Sync {
    /// Whether it is empty, with what the run has used so far taken from it. Asked before a program is started: whoever was let in may have
    /// waited for long behind others of its key, or have used much itself by then.
    fn is_empty(&self) -> Asking<'_>;

    /// Takes so many microseconds of processors that were used for the run beside it, perhaps after its end.
    fn pay(&self, us: u64);
}

/// That is being found out.
pub type Asking<'a> = Pin<Box<dyn Future<Output = bool> + Send + 'a>>;

impl Attached {
    /// Whether it is sent anything while it runs: what was sent before is not sent again.
    pub(crate) fn is_talked_to(&self) -> bool {
        self.stdin.is_some() || self.signals.is_some()
    }

    pub(crate) fn compiled(&self, step: &Step) {
        if let Some(listener) = &self.listener {
            listener.compiled(step);
        }
    }

    pub(crate) fn began(&self) {
        if let Some(listener) = &self.listener {
            listener.began();
        }
    }
}

/// Passes on what comes, for as long as this is waited for. What cannot be sent is left out: the program is about to end.
pub(crate) async fn pass_on(signals: Option<mpsc::Receiver<i32>>, to: Option<BorrowedFd<'_>>) -> Infallible {
    let (Some(mut signals), Some(to)) = (signals, to) else { return std::future::pending().await };
    while let Some(number) = signals.recv().await {
        if let Some(signal) = Signal::from_named_raw(number) {
            let _ = rustix::process::pidfd_send_signal(to, signal);
        }
    }
    std::future::pending().await
}
