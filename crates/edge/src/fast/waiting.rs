//! For how long a connection of plain requests waits, and what wakes it.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::gateway::Gateway;
use crate::stopping::Stopping;

/// For how long a connection waits.
pub(super) struct Waiting {
    /// When it has waited too long.
    until: Instant,
    /// Whether the bytes at hand are an incomplete head.
    in_head: bool,
    /// Made when it first waits.
    alarm: Option<Pin<Box<Alarm>>>,
}

/// What wakes a connection that waits, besides bytes.
struct Alarm {
    sleep: Pin<Box<Sleep>>,
    stopping: Pin<Box<dyn Future<Output = ()> + Send>>,
    woken: Waker,
}

impl Waiting {
    /// A connection that was just accepted: its first head must end in time.
    pub(super) fn begun(gateway: &Gateway) -> Self {
        Self { until: Instant::now() + gateway.limits.head_timeout, in_head: false, alarm: None }
    }

    /// Whether the bytes at hand are an incomplete head.
    pub(super) fn is_in_head(&self) -> bool {
        self.in_head
    }

    /// The head is complete, though its request is not answered yet.
    pub(super) fn end_head(&mut self) {
        self.in_head = false;
    }

    /// The next head may begin within the idle time.
    pub(super) fn begin_idle(&mut self, gateway: &Gateway) {
        self.begin_idle_at(Instant::now(), gateway);
    }

    pub(super) fn begin_idle_at(&mut self, now: Instant, gateway: &Gateway) {
        self.in_head = false;
        self.until = now + gateway.limits.idle_timeout;
    }

    /// A head has begun, and must end in time; more of it changes nothing about that.
    pub(super) fn begin_head(&mut self, gateway: &Gateway) {
        if !self.in_head {
            self.in_head = true;
            self.until = self.until.min(Instant::now() + gateway.limits.head_timeout);
        }
    }

    /// Waits; ready when it has been too long, or when the edge stops. `answered`: whether this poll did something, so that
    /// it was not the alarm that woke it.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, answered: bool, stopping: &mut Stopping) -> Poll<()> {
        if stopping.is_told() {
            return Poll::Ready(());
        }
        let alarm = self.alarm.get_or_insert_with(|| {
            let told = stopping.clone().into_told();
            Box::pin(Alarm {
                sleep: Box::pin(sleep_until(self.until)),
                stopping: Box::pin(told),
                woken: Waker::noop().clone(),
            })
        });
        // Set already, not gone off, and early enough: setting it again for every request would cost more than many
        // of the things a request needs. When it goes off too early it is set again.
        let is_set = alarm.woken.will_wake(cx.waker()) && !alarm.sleep.is_elapsed();
        if answered && is_set && alarm.sleep.deadline() <= self.until {
            return Poll::Pending;
        }
        alarm.woken = cx.waker().clone();
        if alarm.stopping.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if alarm.sleep.deadline() > self.until || alarm.sleep.is_elapsed() {
            alarm.sleep.as_mut().reset(self.until);
        }
        while alarm.sleep.as_mut().poll(cx).is_ready() {
            if Instant::now() >= self.until {
                return Poll::Ready(());
            }
            alarm.sleep.as_mut().reset(self.until);
        }
        Poll::Pending
    }
}
