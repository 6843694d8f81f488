//! The end of a target: nothing new, and what it has comes to its end or to the deadline.

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use tokio::time::timeout_at;

use crate::live::Live;
use crate::target::TargetId;

/// A target that gets nothing more.
#[derive(Clone)]
pub struct Drain(Arc<Live>);

/// How draining ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Nothing is in flight.
    Idle,
    /// Time is over, and so many requests are in flight.
    Deadline { in_flight: u32 },
    /// It was taken back and gets requests again.
    TakenBack,
}

impl Drain {
    pub(crate) fn new(live: Arc<Live>) -> Self {
        Self(live)
    }

    /// Which target it is.
    pub fn id(&self) -> &TargetId {
        &self.0.target.id
    }

    /// What is in flight still.
    pub fn in_flight(&self) -> u32 {
        self.0.load.in_flight()
    }

    /// Returns when nothing is in flight any more, at the latest at the deadline.
    pub async fn drained(&self, deadline: Instant) -> Drained {
        loop {
            let mut told = pin!(self.0.drained.notified());
            // Listening before looking: the last one may leave in between.
            told.as_mut().enable();
            if !self.0.load.is_closed() {
                return Drained::TakenBack;
            }
            if self.in_flight() == 0 {
                return Drained::Idle;
            }
            if timeout_at(deadline.into(), told).await.is_err() {
                return match self.in_flight() {
                    0 => Drained::Idle,
                    in_flight => Drained::Deadline { in_flight },
                };
            }
        }
    }
}
