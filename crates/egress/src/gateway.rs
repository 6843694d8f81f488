//! One guest's way out: serves the sockets in its network namespace until dropped.
//!
//! ```text
//! proxy (CONNECT, http://…) ─┐
//! direct connections ────────┼─▶ admit ─▶ resolve once ─▶ check every address ─▶ connect ─▶ copy
//! passages ──▶ the one place that each leads to ─────────────────────────────▶ connect ─▶ copy
//! questions for names ─▶ table of made-up addresses (nothing leaves)
//! ```

mod reports;

use std::future::Future;
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use skylift_model::net::OutRule;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::address::{OwnAddresses, OwnAddressesError};
use crate::book::Book;
use crate::dns::{self, Names};
use crate::host::{HostName, Target};
use crate::passage::{self, Passage};
use crate::policy::{InForce, Policy};
use crate::refusal::Refusal;
use crate::resolve::{AddressFilter, Exit, Limits, SystemOutside};
use crate::tally::{Counters, Tally};
use crate::{connect, relay};
use reports::Reports;

/// The sockets of a guest, already bound in its network namespace.
pub struct Sockets {
    /// Where the guest's proxy variables point to.
    pub connect: TcpListener,
    /// Listeners that receive connections to any destination, each with the port the guest believes to reach; the
    /// destination is the local address of the accepted connection.
    pub tcp: Vec<(u16, TcpListener)>,
    /// Listeners that lead to one place each, whatever address they are asked for.
    pub passages: Vec<(Passage, TcpListener)>,
    /// Where the guest sends questions for names. Replies go out as the kernel picks their source, so that the
    /// sockets should be bound to the address the guest's resolver asks.
    pub dns: Vec<UdpSocket>,
}

/// A running way out. Dropping it ends everything it serves.
#[derive(Debug)]
pub struct Gateway {
    way: Arc<Way>,
    tasks: JoinSet<()>,
}

/// Changes the rules of a gateway.
#[derive(Clone, Debug)]
pub struct Rules(InForce);

impl Rules {
    /// From now on these are the app's rules.
    pub fn set(&self, rules: Vec<OutRule>) {
        self.0.change(|policy| policy.rules = rules);
    }
}

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    OwnAddresses(#[from] OwnAddressesError),
    #[error("serve the guest's sockets")]
    Sockets(#[source] io::Error),
}

/// What all connections of one gateway share.
pub(crate) struct Way {
    pub(crate) exit: Exit,
    pub(crate) names: Names,
    pub(crate) tally: Arc<Tally>,
    pub(crate) book: Arc<Book>,
    /// Names that passages lead to: a guest is told an address for them, whatever the policy says.
    pub(crate) passed_names: Vec<HostName>,
    reports: Reports,
    permits: Arc<Semaphore>,
}

impl Gateway {
    /// Serves `sockets` by `policy` on the current tokio runtime. `refusals` hears of each refused destination once;
    /// it is called from the serving tasks and must not block.
    ///
    /// # Errors
    /// [`StartError`], where this host's addresses cannot be read (nothing could be filtered by them) or a socket
    /// cannot be served.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(
        policy: Policy,
        sockets: Sockets,
        book: Arc<Book>,
        refusals: impl Fn(Refusal) + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        // What could not be read now could not be read later.
        OwnAddresses::read()?;
        let exit = Exit {
            policy: InForce::new(policy),
            filter: AddressFilter::Listed,
            limits: Limits::default(),
            outside: Arc::new(SystemOutside::of_guest()),
        };
        let way = Way { book, ..Way::new(exit, Names::default(), refusals) };
        Self::serve(way, sockets).map_err(StartError::Sockets)
    }

    /// What changes the rules of the app while it runs, for connections that are made from then on.
    pub fn rules(&self) -> Rules {
        Rules(self.way.exit.policy.clone())
    }

    /// What went through so far.
    pub fn counters(&self) -> Counters {
        self.way.tally.read()
    }

    pub(crate) fn serve(way: Way, sockets: Sockets) -> io::Result<Self> {
        let mut way = way;
        way.passed_names = sockets.passages.iter().filter_map(|(to, _)| to.asked_as.clone()).collect();
        let way = Arc::new(way);
        let mut tasks = JoinSet::new();
        let proxy = listener(sockets.connect)?;
        tasks.spawn(accept(Arc::clone(&way), proxy, |way, guest| async move { connect::serve(&way, guest).await }));
        for (port, socket) in sockets.tcp {
            let direct = listener(socket)?;
            tasks.spawn(accept(Arc::clone(&way), direct, move |way, guest| async move {
                relay::serve(&way, guest, port).await;
            }));
        }
        for (to, socket) in sockets.passages {
            let inside = listener(socket)?;
            let to = Arc::new(to);
            tasks.spawn(accept(Arc::clone(&way), inside, move |way, guest| {
                let to = Arc::clone(&to);
                async move { passage::serve(&way, guest, &to).await }
            }));
        }
        for socket in sockets.dns {
            socket.set_nonblocking(true)?;
            let socket = tokio::net::UdpSocket::from_std(socket)?;
            let way = Arc::clone(&way);
            tasks.spawn(async move { dns::serve(&way, socket).await });
        }
        Ok(Self { way, tasks })
    }

    /// Ends everything and awaits the end of the serving tasks.
    pub async fn stop(mut self) -> Counters {
        self.tasks.shutdown().await;
        self.way.tally.read()
    }
}

impl Way {
    pub(crate) fn new(exit: Exit, names: Names, refusals: impl Fn(Refusal) + Send + Sync + 'static) -> Self {
        let permits = Arc::new(Semaphore::new(exit.limits.connections));
        Self {
            exit,
            names,
            tally: Arc::default(),
            book: Arc::default(),
            passed_names: Vec::new(),
            reports: Reports::to(refusals),
            permits,
        }
    }

    /// Counts a connection that was made.
    pub(crate) fn passed(&self, target: &Target, port: u16) {
        self.book.passed(format!("{target}:{port}"));
    }

    /// Counts a refusal, and tells of it if it is the first of its kind.
    pub(crate) fn refused(&self, refusal: Refusal) {
        self.tally.refused.fetch_add(1, Ordering::Relaxed);
        let place = refusal.port.map_or_else(|| refusal.host.clone(), |port| format!("{}:{port}", refusal.host));
        self.book.dropped(place, &refusal.to_string());
        self.reports.tell(refusal);
    }
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Way").field("policy", &self.exit.policy).field("tally", &self.tally).finish_non_exhaustive()
    }
}

fn listener(socket: TcpListener) -> io::Result<tokio::net::TcpListener> {
    socket.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(socket)
}

/// Serves the connections of one listener, all of which end with it.
async fn accept<Serve, Served>(way: Arc<Way>, listener: tokio::net::TcpListener, serve: Serve)
where
    Serve: Fn(Arc<Way>, TcpStream) -> Served,
    Served: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_ended) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((guest, _)) => {
                    // Beyond the limit one connection waits here and the others in the kernel's queue.
                    let Ok(permit) = Arc::clone(&way.permits).acquire_owned().await else { return };
                    way.tally.connections.fetch_add(1, Ordering::Relaxed);
                    let served = serve(Arc::clone(&way), guest);
                    connections.spawn(async move {
                        served.await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    // Out of file descriptors, or the guest gave up; the next attempt may do better.
                    tracing::debug!(%error, "accept a guest's connection");
                    sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
}
