//! How much may be asked.

use std::time::Duration;

/// Of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body.
    pub request_bytes_max: usize,
    /// Bytes of an answer.
    pub answer_bytes_max: u64,
    /// How long an answer may take, from the request to its last byte.
    pub answer_within: Duration,
    /// Requests at one time.
    pub at_once: usize,
    /// The same, of one key.
    pub at_once_each: usize,
}

/// Of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayLimits {
    /// Requests in all.
    pub requests: u32,
    /// Bytes in all, both ways.
    pub bytes: u64,
    /// Connections at one time; more wait.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes_max: 8 << 20,
            answer_bytes_max: 16 << 20,
            answer_within: Duration::from_secs(600),
            at_once: 16,
            at_once_each: 8,
        }
    }
}

impl Default for RelayLimits {
    fn default() -> Self {
        Self { requests: 100, bytes: 32 << 20, connections: 8 }
    }
}
