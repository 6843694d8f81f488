//! What the programs of a run have used, however they ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Processor time of a run's programs so far, its compiler's included, in microseconds: of those that ended by themselves, that met a limit,
/// and that nobody waits for any more. All clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Spent(Arc<AtomicU64>);

impl Spent {
    /// All of it.
    pub fn us(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn add(&self, us: u64) {
        self.0.fetch_add(us, Ordering::SeqCst);
    }
}
