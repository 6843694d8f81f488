//! A new connection: to a checked address, encrypted where the rule says so.

use std::time::Duration;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use skylift_egress::TlsError;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::pool::Sender;
use super::target::{Scheme, Target};
use super::{Upstream, UpstreamError};

/// What another host's head may take, in bytes and fields.
const HEAD_BYTES_MAX: usize = 64 << 10;
const FIELDS_MAX: usize = 128;

/// How long a request waits for a connection of others to end, where all are in use.
const ROOM_WITHIN: Duration = Duration::from_secs(1);

impl Upstream {
    /// Connects; the connection goes on by itself until its sender is dropped or either side closes it.
    pub(super) async fn connect(&self, target: &Target) -> Result<Sender, UpstreamError> {
        if self.is_ours(&target.host.to_string(), target.port) {
            return Err(UpstreamError::Loop);
        }
        let permit = self.permit().await?;
        let tcp = self.dialer.dial(&target.host, target.port).await.map_err(UpstreamError::Dial)?;
        let ends = tcp.peer_addr().and_then(|peer| Ok((peer, tcp.local_addr()?)));
        if ends.is_ok_and(|(peer, local)| self.is_own_listener(peer, local)) {
            return Err(UpstreamError::Loop);
        }
        let _ = tcp.set_nodelay(true);
        match target.scheme {
            Scheme::Http => begin(tcp, permit).await,
            Scheme::Https => {
                let tls = self.tls.encrypt(tcp, &target.host).await.map_err(|error| match error {
                    TlsError::Roots(source) => UpstreamError::Roots(source),
                    TlsError::Handshake(source) => UpstreamError::Tls(source),
                })?;
                begin(tls, permit).await
            }
        }
    }

    /// Room for one more connection; an idle one makes room.
    async fn permit(&self) -> Result<OwnedSemaphorePermit, UpstreamError> {
        if let Ok(permit) = self.connections.clone().try_acquire_owned() {
            return Ok(permit);
        }
        self.pool.close_one();
        // Its room is given back by its own task.
        let room = timeout(ROOM_WITHIN, self.connections.clone().acquire_owned()).await;
        room.map_err(|_| UpstreamError::Busy)?.map_err(|_| UpstreamError::Interrupted)
    }
}

async fn begin<T>(io: T, permit: OwnedSemaphorePermit) -> Result<Sender, UpstreamError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut settings = http1::Builder::new();
    settings.max_buf_size(HEAD_BYTES_MAX).max_headers(FIELDS_MAX);
    let (sender, connection) = settings.handshake(TokioIo::new(io)).await.map_err(UpstreamError::Exchange)?;
    tokio::spawn(async move {
        // How a request ended is told where it was asked; what befalls an idle connection is nobody's business.
        let _ = connection.await;
        drop(permit);
    });
    Ok(sender)
}
