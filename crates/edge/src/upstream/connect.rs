//! A new connection: to a checked address, encrypted where the rule says so.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OnceCell, OwnedSemaphorePermit};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::pool::Sender;
use super::target::{Scheme, Target};
use super::{Upstream, UpstreamError};

/// What another host's head may take, in bytes and fields.
const HEAD_BYTES_MAX: usize = 64 << 10;
const FIELDS_MAX: usize = 128;

/// How long a request waits for a connection of others to end, where all are in use.
const ROOM_WITHIN: Duration = Duration::from_secs(1);

/// Whose certificates are trusted; read when first needed.
pub(crate) struct Tls {
    ca_file: Option<PathBuf>,
    connector: OnceCell<TlsConnector>,
}

impl Tls {
    pub(crate) fn new(ca_file: Option<PathBuf>) -> Self {
        Self { ca_file, connector: OnceCell::new() }
    }

    async fn connector(&self) -> io::Result<&TlsConnector> {
        let make = || async {
            let ca_file = self.ca_file.clone();
            tokio::task::spawn_blocking(move || trusting(ca_file.as_deref())).await.map_err(io::Error::other)?
        };
        self.connector.get_or_try_init(make).await
    }
}

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
                let name = server_name(&target.host).map_err(UpstreamError::Tls)?;
                let connector = self.tls.connector().await.map_err(UpstreamError::Roots)?;
                let tls = connector.connect(name, tcp).await.map_err(UpstreamError::Tls)?;
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

fn server_name(host: &skylift_egress::Target) -> io::Result<ServerName<'static>> {
    match host {
        skylift_egress::Target::Name(name) => ServerName::try_from(name.as_str().to_owned()).map_err(io::Error::other),
        skylift_egress::Target::Address(ip) => Ok(ServerName::from(*ip)),
    }
}

fn trusting(ca_file: Option<&Path>) -> io::Result<TlsConnector> {
    let mut roots = rustls::RootCertStore::empty();
    match ca_file {
        Some(file) => {
            for certificate in CertificateDer::pem_file_iter(file).map_err(io::Error::other)? {
                roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config.map_err(io::Error::other)?.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
