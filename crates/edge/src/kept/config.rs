//! How much of other hosts' answers may be kept.

/// The budget of kept answers.
#[derive(Clone, Copy, Debug)]
pub struct CacheConfig {
    /// Bytes of memory for all of them; 0 keeps none.
    pub bytes: u64,
    /// Bytes of one answer's body; a larger one is passed through.
    pub answer_bytes_max: u64,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { bytes: 64 << 20, answer_bytes_max: 8 << 20 }
    }
}
