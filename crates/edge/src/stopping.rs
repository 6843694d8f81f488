//! Telling every task of the edge that it is time to end.

use tokio::sync::watch;

/// Told when the edge stops. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Stopping(watch::Receiver<bool>);

/// Tells them; dropping it tells them too.
pub(crate) struct Stop(watch::Sender<bool>);

/// A pair that belongs together.
pub(crate) fn channel() -> (Stop, Stopping) {
    let (stop, stopping) = watch::channel(false);
    (Stop(stop), Stopping(stopping))
}

impl Stop {
    pub(crate) fn tell(&self) {
        let _ = self.0.send(true);
    }
}

impl Stopping {
    /// Whether it is time to end.
    pub(crate) fn is_told(&self) -> bool {
        // Whoever drops the sender has not changed the value; who waits is told all the same.
        self.0.has_changed().unwrap_or(true)
    }

    /// Waits until it is time to end.
    pub(crate) async fn told(&mut self) {
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// The same, for who keeps the waiting.
    pub(crate) async fn into_told(mut self) {
        self.told().await;
    }
}
