//! Sandboxes that wait with nothing in them, so that no program waits for the making of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use skylift_model::run::{Limits, Warmth};

use crate::place::Place;

/// Some that wait, all made for the same limits.
pub(crate) struct Ready {
    limits: Limits,
    depth: usize,
    waiting: Mutex<Vec<Place>>,
    is_filling: AtomicBool,
}

impl Ready {
    pub(crate) fn new(limits: Limits, depth: usize) -> Self {
        Self { limits, depth, waiting: Mutex::default(), is_filling: AtomicBool::new(false) }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Place>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether they are what is wanted: what they were made with is the size of files; all other limits are set when one starts.
    pub(crate) fn fit(&self, limits: &Limits) -> bool {
        self.limits.disk_bytes == limits.disk_bytes
    }

    /// One that still lives.
    pub(crate) fn take(&self) -> Option<Place> {
        let mut waiting = self.waiting();
        std::iter::from_fn(|| waiting.pop()).find(|place| place.waiting.lives())
    }

    /// Has as many wait as there should be, made one after the other; does nothing while that is being done. Blocks.
    pub(crate) fn fill(&self, make: impl Fn(&Limits) -> Option<Place>) {
        if self.is_filling.swap(true, Ordering::AcqRel) {
            return;
        }
        while self.waiting().len() < self.depth {
            let Some(place) = make(&self.limits) else { break };
            self.waiting().push(Place { start: Warmth::Pool, ..place });
        }
        self.is_filling.store(false, Ordering::Release);
    }

    /// Lets go of all. Blocks.
    pub(crate) fn clear(&self) {
        let gone = std::mem::take(&mut *self.waiting());
        drop(gone);
    }
}
