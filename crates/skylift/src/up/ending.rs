//! What ends a process: a signal, another that takes over, or whoever has started it.

use anyhow::Context;
use skylift_edge::Edge;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::folder::DataFolder;
use super::hand_over::{self, Offer};
use super::worker_of::Orders;

/// The socket, for who takes over.
pub(super) fn offer(folder: &DataFolder, edge: &Edge) -> anyhow::Result<Offer> {
    Offer::new(folder, edge.listener().context("offer the listening socket")?, edge.local_addr())
}

/// Waits until another process is about to serve: never, where this one is just stopped.
pub(super) async fn leaving(left: oneshot::Receiver<()>) {
    if left.await.is_err() {
        std::future::pending().await
    }
}

/// Waits until another process takes over, and for a moment in which clients are told so.
pub(super) async fn taken_over(offer: Option<Offer>, leave: oneshot::Sender<()>) {
    match offer {
        Some(offer) => offer.taken().await,
        None => std::future::pending().await,
    }
    tracing::info!("handing over to another process");
    let _ = leave.send(());
    tokio::time::sleep(hand_over::LINGER).await;
}

/// Waits until whoever has started this process has it end, or is gone; never, where nobody has.
pub(super) async fn told_to_end(orders: Option<Orders>) {
    match orders {
        Some(orders) => orders.end().await,
        None => std::future::pending().await,
    }
}

/// Listens for the signals at once; waits for the first of them later.
pub(super) fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
