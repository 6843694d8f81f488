//! The strict implementation: every request that is not plain, and HTTP/2.
//!
//! Requests of HTTP/1.1 pass a [`gate`] before hyper reads them. Where one opens a WebSocket, hyper gives the connection back behind
//! its answer.

pub(crate) mod chunks;
mod gate;
pub(crate) mod head;

use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::header::CONNECTION;
use http::{HeaderValue, Response, StatusCode, Version};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use skylift_model::AppName;
use tokio::time::sleep;

use crate::config::Limits;
use crate::gateway::{From, Gateway};
use crate::metrics::Gauges;
use crate::now::now;
use crate::pace::{Pace, Paced, TooLong};
use crate::rewind::Rewind;
use crate::stopping::Stopping;
use crate::through::Through;
use crate::transport::Transport;
use crate::websocket::Switch;
use crate::websocket::tunnel::Bounds;
use gate::Gate;

/// How many header fields a request may have.
const FIELDS_MAX: usize = 128;
/// The least buffer that the HTTP implementation works with.
const BUFFER_BYTES_MIN: usize = 8192;
/// What a connection of HTTP/2 begins with, as far as it takes to tell.
const HTTP2_BEGINS: &[u8] = b"PRI * HTTP/2.0";

/// Requests of one connection that may be in flight at once (HTTP/2).
const STREAMS_MAX: u32 = 128;
/// Streams that a client may open and reset before we have seen to them; then the connection is ended.
const RESETS_PENDING_MAX: usize = 20;
/// Streams that may end in an error of the client's making; then the connection is ended.
const ERROR_RESETS_MAX: usize = 128;
/// What is sent ahead of a client that does not take it, for each of its streams.
const SEND_BUFFER_BYTES: usize = 64 << 10;
/// What a client may send ahead of us, for each stream and for all of them.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
/// A client that does not answer whether it is still there is not.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a connection is asked whether it gets on, at most and at least.
const LOOK_MIN: Duration = Duration::from_millis(50);
const LOOK_MAX: Duration = Duration::from_secs(2);

/// The settings of every connection.
#[derive(Clone)]
pub(crate) struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    look_every: Duration,
    limits: Limits,
}

/// How the requests of a connection end.
enum Look<R> {
    Ended(R),
    TooLong,
}

impl Protocols {
    pub(crate) fn new(limits: &Limits) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            // Heads are timed with everything else, see `pace`.
            .header_read_timeout(None)
            .half_close(true)
            .max_header_size(limits.head_bytes_max)
            .max_buf_size(limits.head_bytes_max.max(BUFFER_BYTES_MIN))
            .max_headers(FIELDS_MAX);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_pending_accept_reset_streams(RESETS_PENDING_MAX)
            .max_local_error_reset_streams(ERROR_RESETS_MAX)
            .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT);
        let shortest = limits.head_timeout.min(limits.idle_timeout).min(limits.write_timeout);
        let look_every = (shortest / 4).clamp(LOOK_MIN, LOOK_MAX);
        Self { http1, http2, look_every, limits: *limits }
    }

    /// Serves a connection to its end; `unread` comes before what is still to be read. When told to stop, the
    /// requests in hand are answered and no others are read.
    pub(crate) async fn serve<T: Transport>(
        &self,
        io: T,
        unread: Vec<u8>,
        (peer, local): (SocketAddr, IpAddr),
        gateway: Arc<Gateway>,
        stopping: Stopping,
        linked: Option<AppName>,
    ) {
        let is_http2 = unread.starts_with(HTTP2_BEGINS);
        if is_http2 && gateway.cuts.are_too_many(&gateway.clients, peer, now().instant) {
            Gauges::add(&gateway.metrics.gauges().refused_total, 1);
            return;
        }
        let pace = Pace::new();
        let switch = Switch::default();
        let from = From { peer, local, linked, pace: pace.clone(), switch: switch.clone() };
        let (answers, leaving) = (gateway.clone(), stopping.clone());
        let service = service_fn(move |request| {
            let (answer, leaving) = (answers.clone().answer(request, from.clone()), leaving.clone());
            async move { answer.await.map(|answer| with_farewell(answer, &leaving)) }
        });
        let ended = if is_http2 {
            let io = TokioIo::new(Through::new(Paced::new(io, pace.clone()), Rewind::new(unread)));
            let mut connection = pin!(self.http2.serve_connection(io, service));
            let mut leaving = stopping.clone();
            let left = async move { leaving.left().await };
            match self.watch(connection.as_mut(), &pace, left, |c| c.graceful_shutdown()).await {
                Look::Ended(ended) => ended,
                Look::TooLong => return gateway.cuts.note(&gateway.clients, peer, now().instant),
            }
        } else {
            let head_bytes_max = self.limits.head_bytes_max.max(BUFFER_BYTES_MIN);
            let paced = Paced::new(io, pace.clone());
            let io = TokioIo::new(Through::new(paced, Gate::new(unread, head_bytes_max, switch.clone())));
            let mut connection = self.http1.serve_connection(io, service);
            let told = stopping.clone().into_told();
            let watched = self.watch(Pin::new(&mut connection), &pace, told, |c| c.graceful_shutdown());
            let ended = match watched.await {
                Look::Ended(ended) => ended,
                Look::TooLong => return,
            };
            if let (Ok(()), Some(tunnel)) = (&ended, switch.take_tunnel()) {
                let http1::Parts { io, read_buf, .. } = connection.into_parts();
                let bounds = Bounds { limits: &self.limits, look_every: self.look_every, pace, stopping };
                return Box::pin(tunnel.run(io.into_inner(), read_buf, bounds)).await;
            }
            ended
        };
        if let Err(error) = ended {
            if is_http2 && is_ours(&error) {
                gateway.cuts.note(&gateway.clients, peer, now().instant);
            }
            if error.is_parse() {
                Gauges::add(&gateway.metrics.gauges().malformed_total, 1);
            }
            tracing::debug!(client = %peer, error = &error as &dyn std::error::Error, "a connection ended early");
        }
    }

    /// Goes on with a connection until it has ended, or has taken too long.
    async fn watch<C: Future>(
        &self,
        mut connection: Pin<&mut C>,
        pace: &Pace,
        stopping: impl Future<Output = ()>,
        end: impl Fn(Pin<&mut C>),
    ) -> Look<C::Output> {
        let mut told = false;
        let mut stopping = pin!(stopping);
        loop {
            tokio::select! {
                ended = connection.as_mut() => return Look::Ended(ended),
                () = stopping.as_mut(), if !told => {
                    told = true;
                    end(connection.as_mut());
                }
                () = sleep(self.look_every) => match pace.check(&self.limits) {
                    None => {}
                    // An idle client of HTTP/2 is told before it is cut off.
                    Some(TooLong::Idle) if !told => {
                        told = true;
                        end(connection.as_mut());
                    }
                    Some(_) => return Look::TooLong,
                }
            }
        }
    }
}

/// Tells a client of HTTP/1 to come back by another connection, where this edge is about to leave. HTTP/2 has a frame for that.
fn with_farewell<B>(mut answer: Response<B>, stopping: &Stopping) -> Response<B> {
    if stopping.is_leaving() && answer.version() < Version::HTTP_2 && answer.status() != StatusCode::SWITCHING_PROTOCOLS
    {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

/// Whether a connection has ended in an error because of what was sent on it, and not because it broke.
fn is_ours(error: &hyper::Error) -> bool {
    error.source().is_some_and(|source| !source.is::<std::io::Error>())
}
