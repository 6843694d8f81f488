//! Where requests wait: a bounded queue of which only the first may try.
//!
//! Whoever leaves wakes the next, so one place that becomes free wakes one, and many wake as many as they serve, in order. No wake
//! is lost: a waiter is in the queue before it tries, and who gives a place back looks at the queue after.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The queue of one group.
#[derive(Default)]
pub(crate) struct Lot {
    queue: Mutex<Queue>,
    /// Its length, readable without the lock.
    length: AtomicUsize,
}

#[derive(Default)]
struct Queue {
    next: u64,
    waiting: VecDeque<(u64, Arc<Notify>)>,
}

/// A place in the queue, given up when dropped.
pub(crate) struct Ticket {
    lot: Arc<Lot>,
    number: u64,
    turn: Arc<Notify>,
}

/// The queue is as long as it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crowded;

impl Lot {
    /// Joins the queue, if there are fewer than `most`. The first one's turn is at once.
    pub(crate) fn enter(self: &Arc<Self>, most: usize) -> Result<Ticket, Crowded> {
        let mut queue = self.queue();
        if queue.waiting.len() >= most {
            return Err(Crowded);
        }
        let (number, turn) = (queue.next, Arc::new(Notify::new()));
        if queue.waiting.is_empty() {
            turn.notify_one();
        }
        queue.next += 1;
        queue.waiting.push_back((number, turn.clone()));
        self.length.store(queue.waiting.len(), Ordering::SeqCst);
        Ok(Ticket { lot: self.clone(), number, turn })
    }

    pub(crate) fn len(&self) -> usize {
        self.length.load(Ordering::SeqCst)
    }

    /// Tells the first that something has changed. Nearly always there is none, which costs one load.
    pub(crate) fn wake_if_any(&self) {
        if self.len() > 0 {
            self.wake_first();
        }
    }

    pub(crate) fn wake_first(&self) {
        if let Some((_, turn)) = self.queue().waiting.front() {
            turn.notify_one();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// Returns when it is this one's turn to try, each time something has changed.
    pub(crate) async fn turn(&self) {
        self.turn.notified().await;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut queue = self.lot.queue();
        if let Ok(place) = queue.waiting.binary_search_by_key(&self.number, |(number, _)| *number) {
            queue.waiting.remove(place);
        }
        self.lot.length.store(queue.waiting.len(), Ordering::SeqCst);
        if let Some((_, turn)) = queue.waiting.front() {
            turn.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::yield_now;

    #[tokio::test]
    async fn each_who_leaves_wakes_the_next_in_order() {
        let lot = Arc::new(Lot::default());
        let tickets: Vec<Ticket> = (0..3).map(|_| lot.enter(3).ok().unwrap()).collect();
        assert_eq!(lot.enter(3).err(), Some(Crowded));
        let [first, second, third] = tickets.try_into().ok().unwrap();
        first.turn().await;
        // The second leaves without ever having had its turn.
        drop(second);
        let waits = tokio::spawn(async move { third.turn().await });
        yield_now().await;
        assert!(!waits.is_finished(), "the first is still there");
        drop(first);
        waits.await.unwrap();
        assert_eq!(lot.len(), 0);
    }

    #[tokio::test]
    async fn a_wake_before_the_wait_is_not_lost() {
        let lot = Arc::new(Lot::default());
        let ticket = lot.enter(1).ok().unwrap();
        ticket.turn().await;
        lot.wake_if_any();
        ticket.turn().await;
    }
}
