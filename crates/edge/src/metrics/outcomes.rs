//! Counts by one word out of a few.

use std::sync::atomic::{AtomicU64, Ordering};

/// How often each word was said.
pub(crate) struct Outcomes<const N: usize> {
    words: [&'static str; N],
    counts: [AtomicU64; N],
}

impl<const N: usize> Outcomes<N> {
    pub(crate) const fn new(words: [&'static str; N]) -> Self {
        Self { words, counts: [const { AtomicU64::new(0) }; N] }
    }

    /// Counts one; a word that is not among them is not counted.
    pub(crate) fn count(&self, word: &str) {
        if let Some((_, count)) = self.words.iter().zip(&self.counts).find(|(known, _)| **known == word) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.words.iter().zip(&self.counts).map(|(word, count)| (*word, count.load(Ordering::Relaxed)))
    }
}
