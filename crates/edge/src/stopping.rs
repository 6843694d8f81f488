//! Telling every task of the edge that it is time to leave, and to end.
//!
//! ```text
//! serving ──▶ leaving: another process will serve; clients are told so with their answers ──▶ ended
//!    └────────────────────────────────────────────────────────────────────────────────────────▲
//! ```

use tokio::sync::watch;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    Leaving,
    Ended,
}

/// Told when the edge leaves and when it stops. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Stopping(watch::Receiver<Phase>);

/// Tells them; dropping it tells them too.
pub(crate) struct Stop(watch::Sender<Phase>);

/// A pair that belongs together.
pub(crate) fn channel() -> (Stop, Stopping) {
    let (stop, stopping) = watch::channel(Phase::Serving);
    (Stop(stop), Stopping(stopping))
}

impl Stop {
    /// Another process is about to serve: connections are used for one request more.
    pub(crate) fn leave(&self) {
        let _ = self.0.send(Phase::Leaving);
    }

    pub(crate) fn tell(&self) {
        let _ = self.0.send(Phase::Ended);
    }
}

impl Stopping {
    /// Whether it is time to leave, or to end. Costs one look at memory.
    pub(crate) fn is_leaving(&self) -> bool {
        // Whoever drops the sender has not changed the value; who waits is told all the same.
        self.0.has_changed().unwrap_or(true)
    }

    /// Whether it is time to end.
    pub(crate) fn is_told(&self) -> bool {
        self.is_leaving() && (*self.0.borrow() != Phase::Leaving || self.0.has_changed().is_err())
    }

    /// Waits until it is time to leave, or to end. Afterwards [`Self::is_leaving`] is to be asked of another clone.
    pub(crate) async fn left(&mut self) {
        let _ = self.0.wait_for(|phase| *phase != Phase::Serving).await;
    }

    /// Waits until it is time to end.
    pub(crate) async fn told(&mut self) {
        let _ = self.0.wait_for(|phase| *phase == Phase::Ended).await;
    }

    /// The same, for who keeps the waiting.
    pub(crate) async fn into_told(mut self) {
        self.told().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn leaving_comes_before_the_end_and_a_lost_sender_ends_all() {
        let (stop, stopping) = channel();
        assert!(!stopping.is_leaving() && !stopping.is_told());
        stop.leave();
        assert!(stopping.is_leaving() && !stopping.is_told());
        stopping.clone().left().await;
        stop.tell();
        assert!(stopping.is_leaving() && stopping.is_told());
        stopping.clone().into_told().await;

        let (stop, stopping) = channel();
        stop.leave();
        drop(stop);
        assert!(stopping.is_told());
        stopping.into_told().await;
    }
}
