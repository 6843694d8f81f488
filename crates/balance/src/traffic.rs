//! What goes through a group, counted since it was made.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Shared by a group and its targets. Aligned, so that it shares no cache line with what is only read.
#[repr(align(128))]
#[derive(Default)]
pub(crate) struct Traffic {
    arrived: AtomicU64,
    begun: AtomicU64,
    ended: AtomicU64,
    busy_us: AtomicU64,
}

/// Counts of what went through a group. They only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Requests that asked for a target, each once however often it was tried.
    pub arrived: u64,
    /// How often a target was picked.
    pub begun: u64,
    /// Of those, how many have ended.
    pub ended: u64,
    /// How long those that have ended took, in all, in microseconds.
    pub busy_us: u64,
}

impl Passed {
    /// Requests that targets have at this moment.
    pub fn in_flight(&self) -> u64 {
        self.begun.saturating_sub(self.ended)
    }
}

impl Traffic {
    pub(crate) fn arrive(&self) {
        self.arrived.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.busy_us.fetch_add(us, Ordering::Relaxed);
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn passed(&self) -> Passed {
        // What has ended is read first: it has begun by then.
        let (busy_us, ended) = (self.busy_us.load(Ordering::Relaxed), self.ended.load(Ordering::Acquire));
        let (begun, arrived) = (self.begun.load(Ordering::Relaxed), self.arrived.load(Ordering::Relaxed));
        Passed { arrived, begun, ended, busy_us }
    }
}
