//! The way from a run to the node: a socket that listens in the run's own network, and nothing behind it but the node's endpoints.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use http::header::HOST;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use skylift_model::TokenId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::{Node, RelayLimits, Spent, Tally, Trouble};

/// For a request's head.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
const HEAD_BYTES_MAX: usize = 16 << 10;
const HEADERS_MAX: usize = 64;

/// What a run has left.
#[derive(Debug)]
struct Left {
    requests: AtomicU32,
    bytes: AtomicU64,
}

/// What a run has spent, told when nothing of it is left to be answered: a run whose machine dies is run again, and what was spent on the
/// attempt that nobody hears of is not counted.
pub(crate) struct Held {
    tally: Arc<dyn Tally>,
    key: TokenId,
    spent: Mutex<Spent>,
}

impl Held {
    fn new(tally: Arc<dyn Tally>, key: TokenId) -> Self {
        Self { tally, key, spent: Mutex::default() }
    }
}

impl Tally for Held {
    fn spent(&self, _: &TokenId, spent: Spent) {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner).add(spent);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let spent = std::mem::take(self.spent.get_mut().unwrap_or_else(PoisonError::into_inner));
        if spent != Spent::default() {
            self.tally.spent(&self.key, spent);
        }
    }
}

/// Answers whoever connects to `listener`, on behalf of a key. Never returns: to drop it is to close every connection and to end what
/// is being answered; then it is told what was spent.
pub async fn serve(listener: TcpListener, node: Node, key: TokenId, limits: RelayLimits) {
    let left = Arc::new(Left { requests: limits.requests.into(), bytes: limits.bytes.into() });
    let own = listener.local_addr().map(|address| address.port()).unwrap_or_default();
    let router = routes(&node, Arc::new(Held::new(node.tally(), key)), left.clone(), own);
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= limits.connections.max(1) {
            connections.join_next().await;
        }
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(Counted { stream, left: left.clone() }, router.clone()));
                }
                // Such as one that was gone before it was accepted, or no descriptors.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: Counted, router: Router) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    // What a run says and where it breaks off is its own affair.
    let _ = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).await;
}

/// The node's endpoints on behalf of one key, whatever a request says of who sends it.
fn routes(node: &Node, held: Arc<Held>, left: Arc<Left>, port: u16) -> Router {
    node.router().layer(from_fn(move |request: Request, next: Next| {
        let (held, left) = (held.clone(), left.clone());
        async move { admit(request, next, (held, &left), port).await.unwrap_or_else(IntoResponse::into_response) }
    }))
}

async fn admit(
    mut request: Request,
    next: Next,
    (held, left): (Arc<Held>, &Left),
    port: u16,
) -> Result<Response, Trouble> {
    if !is_own(&request, port) {
        return Err(Trouble::OtherHost(format!("127.0.0.1:{port}")));
    }
    let one_less = |left: u32| left.checked_sub(1);
    if left.requests.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less).is_err() {
        return Err(Trouble::UsedUp("it has sent as many requests as a run may"));
    }
    if left.bytes.load(Ordering::Acquire) == 0 {
        return Err(Trouble::UsedUp("it has sent and been sent as much as a run may"));
    }
    request.extensions_mut().insert(held.key.clone());
    request.extensions_mut().insert(held);
    Ok(next.run(request).await)
}

/// Whether a request is for us: nobody is led to believe that this leads anywhere else.
fn is_own(request: &Request, port: u16) -> bool {
    let names = |text: &str| {
        ["127.0.0.1", "localhost"].iter().any(|name| {
            text.strip_prefix(name).is_some_and(|rest| {
                rest.is_empty() || rest.strip_prefix(':').is_some_and(|own| own == port.to_string())
            })
        })
    };
    let target = request.uri().authority().is_none_or(|authority| names(authority.as_str()));
    let mut hosts = request.headers().get_all(HOST).iter().map(|host| host.to_str().is_ok_and(names));
    target && hosts.all(|is_ours| is_ours)
}

/// A connection whose bytes are counted, and that ends when there are none left.
struct Counted {
    stream: TcpStream,
    left: Arc<Left>,
}

impl Counted {
    /// Takes bytes from what is left, where there is anything left.
    fn take(&self, count: usize) -> io::Result<()> {
        let less = |left: u64| (left > 0).then(|| left.saturating_sub(count as u64));
        let taken = self.left.bytes.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
        taken.map(drop).map_err(|_| io::Error::new(io::ErrorKind::QuotaExceeded, "a run has used up its bytes"))
    }

    /// Of what is to be written, as much as may be; never nothing of something.
    fn allowed<'b>(&self, bytes: &'b [u8]) -> io::Result<&'b [u8]> {
        let left = usize::try_from(self.left.bytes.load(Ordering::Acquire)).unwrap_or(usize::MAX);
        if left == 0 {
            self.take(0)?;
        }
        Ok(bytes.get(..left).unwrap_or(bytes))
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if matches!(read, Poll::Ready(Ok(()))) {
            self.take(buffer.filled().len() - before)?;
        }
        read
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let bytes = self.allowed(bytes)?;
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = written {
            self.take(count)?;
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
