//! Whether the fast path and the strict implementation give the same answers to the same bytes.
//!
//! Both serve the same deployments over a pipe in memory. One of them answers plain requests at once, the other
//! leaves everything to the strict implementation; what they send must not differ in a byte, but for the date and the id of
//! each request. For tests and for `fuzz/`.

#![cfg_attr(
    feature = "differential",
    expect(clippy::panic, clippy::indexing_slicing, reason = "runs only where a test does")
)]

mod deployments;
mod samples;
#[cfg(test)]
pub(crate) mod tests;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Response;
use http_body::Body;
use skylift_blob::Blobs;
use skylift_model::route::AppRoutes;
use skylift_model::{AppName, DeploymentId, DeploymentState};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::Handle;

use crate::access::AccessLog;
use crate::body::EdgeBody;
use crate::clients::Clients;
use crate::config::Limits;
use crate::content::Content;
use crate::cuts::Cuts;
use crate::fast::{Ended, Fast};
use crate::gateway::Gateway;
use crate::kept::Kept;
use crate::kept::config::CacheConfig;
use crate::metrics::Metrics;
use crate::program::NoInstances;
use crate::rate::{OwnBuckets, Rates};
use crate::routes::source::{RouteSource, SourceFuture};
use crate::routes::state::States;
use crate::routes::table::RouteTable;
use crate::routes::view::Applied;
use crate::sites::Sites;
use crate::stopping::{self, Stop, Stopping};
use crate::strict::Protocols;
use crate::upstream::{OwnPlace, ProxyConfig, Upstream};

use deployments::table;
pub use samples::{Random, SAMPLES, mutate, spelled};

/// How long the values are that are blanked.
const DATE_BYTES: usize = "Sun, 06 Nov 1994 08:49:37 GMT".len();
const ID_BYTES: usize = "r-0123456789abcdef".len();

/// How the strict implementation refuses what is no request, blanked.
const REFUSALS: [&str; 3] = ["400 Bad Request", "414 URI Too Long", "431 Request Header Fields Too Large"];

/// What a client at the other end of the pipe may leave unread.
const PIPE_BYTES: usize = 64 << 10;

/// The same deployments, served both ways.
pub struct Pair {
    fast: Arc<Gateway>,
    strict: Arc<Gateway>,
    protocols: Protocols,
    stopping: Stopping,
    _stop: Stop,
}

/// What both had to say to some bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Compared {
    /// What the fast path and, from the first odd request on, the strict implementation sent; times and ids blanked.
    pub fast: Vec<u8>,
    /// What the strict implementation sent.
    pub strict: Vec<u8>,
    /// How many bytes of requests the fast path answered itself.
    pub plain_bytes: usize,
}

impl Compared {
    /// Whether both came to the same verdict on every request, and told it with the same bytes.
    ///
    /// One deviation is hyper's own: it closes without a word, rather than refusing what is no request, while it has not sent
    /// all of the answer before. When the fast path gave that answer, all of it was sent.
    pub fn agree(&self) -> bool {
        let without_refusal = || {
            REFUSALS.iter().find_map(|status| {
                let date = "-".repeat(DATE_BYTES);
                let refusal =
                    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\ndate: {date}\r\n\r\n");
                self.fast.strip_suffix(refusal.as_bytes())
            })
        };
        self.fast == self.strict || (!self.strict.is_empty() && without_refusal() == Some(&self.strict))
    }
}

impl Pair {
    /// Stores the deployments in a folder. Within a runtime.
    pub async fn new(folder: &Path) -> Self {
        let blobs = Blobs::open(folder).unwrap_or_else(|error| panic!("{error}"));
        let table = table(&blobs).await;
        let limits = Limits::default();
        let (stop, stopping) = stopping::channel();
        let gateway = |fast| Arc::new(gateway(fast, blobs.clone(), table.clone(), limits));
        let protocols = Protocols::new(&limits);
        Self { fast: gateway(true), strict: gateway(false), protocols, stopping, _stop: stop }
    }

    /// Sends the pieces to both, one after the other, then ends the sending side.
    pub async fn compare(&self, pieces: &[&[u8]]) -> Compared {
        let (fast, unread) = self.answers(&self.fast, pieces).await;
        let (strict, _) = self.answers(&self.strict, pieces).await;
        let sent: usize = pieces.iter().map(|piece| piece.len()).sum();
        Compared { fast: blanked(fast), strict: blanked(strict), plain_bytes: sent.saturating_sub(unread) }
    }

    /// Compares what `fuzz/` makes of any bytes: the first two say where the rest is cut in two.
    pub async fn compare_fuzzed(&self, data: &[u8]) -> Compared {
        let Some((cut, bytes)) = data.split_first_chunk::<2>() else { return self.compare(&[]).await };
        let cut = usize::from(u16::from_le_bytes(*cut)) % (bytes.len() + 1);
        let (one, two) = bytes.split_at(cut);
        self.compare(&[one, two]).await
    }

    /// What one of them sends, and how many bytes its fast path left unread at least.
    async fn answers(&self, gateway: &Arc<Gateway>, pieces: &[&[u8]]) -> (Vec<u8>, usize) {
        let (mut client, server) = duplex(PIPE_BYTES);
        let (answered, unread) = tokio::join!(talk(&mut client, pieces), self.serve(server, gateway));
        (answered, unread)
    }

    /// As [`crate::connection::serve`] does, but it tells where the fast path left off.
    async fn serve(&self, server: DuplexStream, gateway: &Arc<Gateway>) -> usize {
        let peer = SocketAddr::from(([192, 0, 2, 1], 9));
        let local = IpAddr::from([127, 0, 0, 1]);
        let stopping = self.stopping.clone();
        let Ended::Odd(io, unread) = Fast::new(server, gateway.clone(), peer, local, stopping.clone()).run().await
        else {
            return 0;
        };
        let left = unread.len();
        self.protocols.serve(io, unread, (peer, local), gateway.clone(), stopping, None).await;
        left
    }
}

/// Sends and reads at the same time, as a client must that does not want to be waited for.
async fn talk(client: &mut DuplexStream, pieces: &[&[u8]]) -> Vec<u8> {
    let (mut reads, mut writes) = tokio::io::split(client);
    let mut answered = Vec::new();
    let sending = async {
        for piece in pieces {
            if writes.write_all(piece).await.is_err() {
                return;
            }
            // What was sent is read before the next piece is.
            tokio::task::yield_now().await;
        }
        let _ = writes.shutdown().await;
    };
    let (_, _) = tokio::join!(sending, reads.read_to_end(&mut answered));
    answered
}

/// Answers with dates and ids blanked; both have a fixed length.
fn blanked(mut bytes: Vec<u8>) -> Vec<u8> {
    const DATE: &[u8] = b"\r\ndate: ";
    const ID: &[u8] = b"\r\nx-request-id: ";
    for (name, length) in [(DATE, DATE_BYTES), (ID, ID_BYTES)] {
        let mut at = 0;
        while let Some(found) = bytes.get(at..).and_then(|rest| rest.windows(name.len()).position(|w| w == name)) {
            let start = at + found + name.len();
            if let Some(value) = bytes.get_mut(start..start + length) {
                value.fill(b'-');
            }
            at = start;
        }
    }
    bytes
}

fn gateway(fast: bool, blobs: Blobs, table: RouteTable, limits: Limits) -> Gateway {
    let metrics = Metrics::default();
    let routes = Applied::default();
    routes.replace(table);
    Gateway {
        domain: "localhost".to_owned(),
        own_names: Vec::new(),
        limits,
        skew_window: Duration::from_secs(3600),
        fast,
        routes,
        states: States::new(Arc::new(NoSource)),
        sites: Arc::new(Sites::new(blobs.clone(), 1 << 20, 1 << 20)),
        content: Content::new(blobs, 1 << 20, metrics.clone()),
        control_plane: Arc::new(|request, _, _| {
            Box::pin(async move {
                let said = format!("control {} {}", request.method(), request.uri());
                let read = read_all(request.into_body()).await;
                Response::new(EdgeBody::from(format!("{said} {read}")))
            })
        }),
        elsewhere: Handle::current(),
        instances: Arc::new(NoInstances),
        sticky_key: Arc::default(),
        metrics,
        access: AccessLog::off(),
        clients: Clients::default(),
        cuts: Cuts::default(),
        upstream: Arc::new(Upstream::new(
            ProxyConfig::default(),
            OwnPlace { domain: "localhost".to_owned(), listen: ([127, 0, 0, 1], 0).into() },
        )),
        kept: Arc::new(Kept::new(CacheConfig::default(), Metrics::default())),
        buckets: Some(Arc::new(OwnBuckets::new(Rates::default(), Instant::now()))),
    }
}

/// How many bytes a body has, or that it breaks off.
async fn read_all(body: impl Body<Data = bytes::Bytes>) -> String {
    let mut body = std::pin::pin!(body);
    let mut bytes = 0;
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        match frame {
            Ok(frame) => bytes += frame.data_ref().map_or(0, bytes::Bytes::len),
            Err(_) => return "cut".to_owned(),
        }
    }
    bytes.to_string()
}

/// A source that is never reached; both ways of serving say the same about what it does not know.
struct NoSource;

impl RouteSource for NoSource {
    fn all(&self) -> SourceFuture<'_, Vec<AppRoutes>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn app<'s>(&'s self, _: &'s AppName) -> SourceFuture<'s, Option<AppRoutes>> {
        Box::pin(async { Ok(None) })
    }

    fn state<'s>(&'s self, _: &'s DeploymentId) -> SourceFuture<'s, Option<DeploymentState>> {
        Box::pin(async { Ok(None) })
    }

    fn lost(&self, _: Vec<AppName>) -> SourceFuture<'_, Vec<AppName>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn origin(&self) -> SourceFuture<'_, String> {
        Box::pin(async { Ok("none".to_owned()) })
    }
}
