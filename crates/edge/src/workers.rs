//! The threads that serve. Each has a runtime of its own, and a connection stays with the one it was given to, so that
//! a request waits for no lock and for no other core.
//!
//! One task accepts and hands over to whoever has the fewest connections: limits are exact, and few connections are spread
//! evenly, which sockets of each thread's own (`SO_REUSEPORT`) would leave to chance.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use skylift_model::AppName;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

use crate::connection;
use crate::gateway::Gateway;
use crate::metrics::OpenConnection;
use crate::places::Place;
use crate::stopping::Stopping;
use crate::strict::Protocols;

/// Threads that wait for disks, at most, for each serving thread.
const BLOCKING_THREADS: usize = 64;

/// A connection that was accepted.
pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) local: IpAddr,
    /// What it holds for as long as it is open.
    pub(crate) held: Held,
    /// The one app that it leads to, where it is a link.
    pub(crate) linked: Option<AppName>,
}

/// What a connection holds: its places, and what tells who handed it over that it has ended.
pub(crate) type Held = (Place, OpenConnection, Option<oneshot::Sender<()>>);

/// The serving threads.
pub(crate) struct Workers(Vec<Worker>);

struct Worker {
    queue: mpsc::UnboundedSender<Accepted>,
    open: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

/// Counts a connection of a worker until it is dropped.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Workers {
    /// Starts so many threads, each of which does `first` first.
    pub(crate) fn start(count: usize, first: fn(), gateway: &Arc<Gateway>, stopping: &Stopping) -> io::Result<Self> {
        let protocols = Protocols::new(&gateway.limits);
        let start = |number: usize| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(BLOCKING_THREADS)
                .build()?;
            let (queue, accepted) = mpsc::unbounded_channel();
            let open = Arc::new(AtomicUsize::new(0));
            let serving = serve(accepted, open.clone(), protocols.clone(), gateway.clone(), stopping.clone());
            let run = move || {
                first();
                runtime.block_on(serving);
                // A check of a large file must not keep the edge from ending.
                runtime.shutdown_background();
            };
            let thread = thread::Builder::new().name(format!("edge-{number}")).spawn(run)?;
            Ok(Worker { queue, open, thread })
        };
        (0..count.max(1)).map(start).collect::<io::Result<_>>().map(Self)
    }

    /// Hands a connection over.
    pub(crate) fn take(&self, accepted: Accepted) {
        let least = self.0.iter().min_by_key(|worker| worker.open.load(Ordering::Relaxed));
        if let Some(worker) = least {
            worker.open.fetch_add(1, Ordering::Relaxed);
            // Sending fails only at the end, when a connection more is closed like all others.
            let _ = worker.queue.send(accepted);
        }
    }

    /// Waits until all have ended what they were told to end. Blocking.
    pub(crate) fn join(self) {
        let threads: Vec<_> = self.0.into_iter().map(|worker| worker.thread).collect();
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a serving thread ended in a panic");
            }
        }
    }
}

async fn serve(
    mut queue: mpsc::UnboundedReceiver<Accepted>,
    open: Arc<AtomicUsize>,
    protocols: Protocols,
    gateway: Arc<Gateway>,
    mut stopping: Stopping,
) {
    let told = stopping.clone();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(accepted) = queue.recv() => {
                let counted = Open(open.clone());
                let (protocols, gateway, told) = (protocols.clone(), gateway.clone(), told.clone());
                connections.spawn(serve_one(accepted, counted, protocols, gateway, told));
            }
            Some(ended) = connections.join_next() => note(ended),
            () = stopping.told() => break,
        }
    }
    drain(&mut connections, gateway.limits.drain_timeout).await;
}

async fn serve_one(accepted: Accepted, _open: Open, protocols: Protocols, gateway: Arc<Gateway>, stopping: Stopping) {
    let Accepted { stream, peer, local, held, linked } = accepted;
    match tokio::net::TcpStream::from_std(stream) {
        Ok(stream) => connection::serve(stream, (peer, local), protocols, gateway, stopping, linked).await,
        Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "a connection cannot be served"),
    }
    drop(held);
}

async fn drain(connections: &mut JoinSet<()>, within: Duration) {
    let ended = timeout(within, async {
        while let Some(ended) = connections.join_next().await {
            note(ended);
        }
    });
    if ended.await.is_err() {
        tracing::warn!(connections = connections.len(), "requests did not end in time and are cut");
        connections.shutdown().await;
    }
}

/// A panic ended one connection, and is our bug.
fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(error = &error as &dyn std::error::Error, "a connection ended in a panic");
    }
}
