//! The last so many samples.

use std::collections::VecDeque;

/// The last so many samples, one a second.
#[derive(Clone, Debug)]
pub(super) struct Window {
    most: usize,
    samples: VecDeque<f64>,
}

impl Window {
    pub(super) fn new(most: usize) -> Self {
        Self { most, samples: VecDeque::new() }
    }

    pub(super) fn push(&mut self, sample: f64) {
        if self.samples.len() == self.most {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// The mean of what there is.
    pub(super) fn mean(&self) -> Option<f64> {
        self.mean_of_last(self.most)
    }

    /// The mean of the last `seconds` of what there is.
    pub(super) fn mean_of_last(&self, seconds: usize) -> Option<f64> {
        let taken = seconds.min(self.samples.len());
        let sum: f64 = self.samples.iter().rev().take(taken).sum();
        (taken > 0).then(|| sum / taken as f64)
    }

    /// The largest of what there is.
    pub(super) fn largest(&self) -> Option<f64> {
        self.samples.iter().copied().reduce(f64::max)
    }
}
