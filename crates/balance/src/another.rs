//! Waiting for another target, where all there are have failed a request: one that has died leaves the group a moment later, and
//! another takes its place.
//!
//! Not in the queue of the others (`park.rs`): they may go to a target that this one has tried, and must not wait behind it.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::{Instant, timeout_at};

use crate::group::{Ask, Group, Inner, NoTarget};
use crate::in_flight::InFlight;
use crate::wait::Unserved;

/// A request that waits so, until it is dropped.
struct Waits<'g>(&'g AtomicUsize);

impl<'g> Waits<'g> {
    fn enter(waiting: &'g AtomicUsize, most: usize) -> Option<Self> {
        let entered = |count| (count < most).then_some(count + 1);
        waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, entered).ok().map(|_| Self(waiting))
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Group {
    /// Picks a target that was not tried, when there is one: waits for the tried ones to leave, and once they have as long as where no target
    /// is ready.
    ///
    /// # Errors
    /// [`Unserved::AllTried`] where one that was tried stays: it lives, and this request is what it cannot answer.
    pub(crate) async fn pick_another(
        &self,
        ask: &Ask<'_>,
        random: &mut impl FnMut() -> u64,
    ) -> Result<InFlight, Unserved> {
        let inner = &*self.0;
        let parking = inner.settings.parking;
        let began = Instant::now();
        let _waits = Waits::enter(&inner.waiting_for_another, parking.while_none).ok_or(Unserved::Crowded)?;
        let mut has_told = false;
        loop {
            let mut changed = pin!(inner.changed.notified());
            // Listening before looking: it may change in between.
            changed.as_mut().enable();
            match self.pick(ask, Instant::now().into_std(), random()) {
                Ok(picked) => return Ok(picked),
                Err(NoTarget::Full) => return self.pick_in_turn(ask, random).await,
                Err(NoTarget::NoneReady | NoTarget::AllTried) => {}
            }
            let stays = inner.has_any(ask.tried);
            if !stays && !has_told {
                has_told = true;
                inner.tell_nobody();
            }
            let wait = if stays { parking.wait_for_gone } else { parking.wait_while_none };
            if timeout_at(began + wait, changed).await.is_err() {
                return Err(if stays { Unserved::AllTried } else { Unserved::Expired { waited: wait } });
            }
        }
    }
}

impl Inner {
    /// Tells that no target is ready, if somebody wants to know.
    pub(crate) fn tell_nobody(&self) {
        if let Some(hooks) = &self.hooks {
            hooks.nobody();
        }
    }
}
