//! What runs of a key use, told as they use it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use skylift_model::TokenId;
use skylift_model::wire::RunsUsed;
use skylift_queue::Usage;
use skylift_run::{Asking, Purse, RunMetrics, Spent};

/// Whose a run is.
#[derive(Clone, Copy)]
pub(super) struct Key<'k> {
    pub(super) token: &'k TokenId,
    /// Whether it may not use as much as it likes.
    pub(super) is_bounded: bool,
}

/// What a run of a key uses, on its way to what that has used today.
pub(super) struct Bill {
    usage: Usage,
    token: TokenId,
    spent: Spent,
    /// How much of it was told.
    told_us: AtomicU64,
    /// Whether the key may not use as much as it likes.
    is_bounded: bool,
}

impl Bill {
    pub(super) fn of(key: Key<'_>, usage: Usage, spent: Spent) -> Self {
        Self { usage, token: key.token.clone(), spent, told_us: AtomicU64::new(0), is_bounded: key.is_bounded }
    }

    fn tell(&self) {
        let spent_us = self.spent.us();
        let told_us = self.told_us.fetch_max(spent_us, Ordering::SeqCst);
        self.pay(spent_us.saturating_sub(told_us));
    }
}

impl Purse for Bill {
    fn is_empty(&self) -> Asking<'_> {
        self.tell();
        Box::pin(async { self.is_bounded && self.usage.is_used_up(&self.token).await })
    }

    fn pay(&self, us: u64) {
        if us > 0 {
            self.usage.add(&self.token, RunsUsed { runs: 0, cpu_us: us });
        }
    }
}

/// That a run goes on; whatever becomes of it, what it used is told.
pub(super) struct Running<'r> {
    metrics: &'r RunMetrics,
    bill: Arc<Bill>,
    has_ended: bool,
}

impl<'r> Running<'r> {
    pub(super) fn begin(metrics: &'r RunMetrics, bill: Arc<Bill>) -> Self {
        Self { metrics, bill, has_ended: false }
    }

    /// It has an ending, in which what it used is told to who counts that by language.
    pub(super) fn end(mut self) {
        self.has_ended = true;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.bill.tell();
        if !self.has_ended {
            self.metrics.broken_off(&self.bill.token, self.bill.spent.us());
        }
    }
}
