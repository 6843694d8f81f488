//! What a worker is to do, and how much it has to do.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// Whether a worker takes runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duty {
    /// It takes what it may.
    #[default]
    Serve,
    /// It takes nothing more and finishes what it has.
    Drain,
    /// It takes nothing more and gives back what it has.
    GiveBack,
}

/// How much a worker has to do, and has done.
#[derive(Debug, Default)]
pub struct Load {
    /// How many it runs.
    pub running: AtomicUsize,
    /// How many it has taken beyond those.
    pub ahead: AtomicUsize,
    done: AtomicU64,
    busy_us: AtomicU64,
    drains: AtomicBool,
    changed: Notify,
}

impl Load {
    /// How many runs have ended so far, and how long they took together, in microseconds.
    pub fn done(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.busy_us.load(Ordering::Relaxed))
    }

    pub(crate) fn count(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.done.fetch_add(1, Ordering::Relaxed);
        self.busy_us.fetch_add(us, Ordering::Relaxed);
    }

    /// Whether it takes nothing more: what it was about to take has come, too.
    pub fn drains(&self) -> bool {
        self.drains.load(Ordering::Acquire)
    }

    pub(crate) fn set_drains(&self, drains: bool) {
        if self.drains.swap(drains, Ordering::AcqRel) != drains {
            self.changed.notify_one();
        }
    }

    /// Waits until [`Self::drains`] has changed. For one who waits.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}
