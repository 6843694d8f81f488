//! The key that makes a repeated request the same request.

use std::fmt::Write;

use ring::rand::{SecureRandom, SystemRandom};

/// A new `Idempotency-Key`: 128 random bits. A retry of one request repeats its key; two requests never share one.
pub(crate) fn new_key() -> String {
    let mut bytes = [0; 16];
    if SystemRandom::new().fill(&mut bytes).is_err() {
        // Without a source of randomness (which no supported system lacks), time and process still tell requests apart.
        let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_nanos());
        bytes = (nanos ^ (u128::from(std::process::id()) << 96)).to_be_bytes();
    }
    let mut text = String::with_capacity(32);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
