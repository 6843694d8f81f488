//! One connection: HTTP/1.1 in, answers out, until one side has enough.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;

use crate::config::Limits;
use crate::control_plane::ClientAddress;
use crate::gateway::Gateway;
use crate::metrics::Gauges;
use crate::stopping::Stopping;

/// How many header fields a request may have.
const FIELDS_MAX: usize = 128;
/// The least buffer that the HTTP implementation works with.
const BUFFER_BYTES_MIN: usize = 8192;

/// The settings of every connection.
pub(crate) fn protocol(limits: &Limits) -> http1::Builder {
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_header_size(limits.head_bytes_max)
        .max_buf_size(limits.head_bytes_max.max(BUFFER_BYTES_MIN))
        .max_headers(FIELDS_MAX);
    protocol
}

/// Serves a connection to its end. When told to stop, the request in hand is answered with
/// `Connection: close` and no other is read.
pub(crate) async fn serve(
    stream: TcpStream,
    client: SocketAddr,
    protocol: http1::Builder,
    gateway: Arc<Gateway>,
    mut stopping: Stopping,
) {
    let Ok(local) = stream.local_addr() else { return };
    // Heads and small bodies leave in one write; waiting for more to send only delays them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let gateway = gateway.clone();
        async move { Ok::<_, Infallible>(gateway.answer(request, ClientAddress(client), local.ip()).await) }
    });
    let mut connection = pin!(protocol.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.told() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        if error.is_parse() {
            Gauges::add(&gateway.metrics.gauges().malformed_total, 1);
        }
        tracing::debug!(client = %client, error = &error as &dyn std::error::Error, "a connection ended early");
    }
}
