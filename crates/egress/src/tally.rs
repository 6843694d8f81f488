//! What went through a gateway, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// Figures of one gateway since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections accepted from the guest, refused ones included.
    pub connections: u64,
    /// Connections and questions for names that were refused.
    pub refused: u64,
    /// Bytes that came from outside.
    pub bytes_in: u64,
    /// Bytes that went outside.
    pub bytes_out: u64,
}

/// The counters while they count.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) connections: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
}

impl Tally {
    pub(crate) fn read(&self) -> Counters {
        Counters {
            connections: self.connections.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
        }
    }
}
