//! Encryption towards hosts that were dialled: whose certificates are trusted, and for which name.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::host::Target;

/// Whose certificates are trusted; read when first needed.
pub struct Tls {
    ca_file: Option<PathBuf>,
    connector: OnceCell<TlsConnector>,
}

/// Why a connection was not encrypted.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("no certificates to trust")]
    Roots(#[source] io::Error),
    #[error("no secure connection")]
    Handshake(#[source] io::Error),
}

impl Tls {
    /// Trusts the authorities of a file in PEM; those of the system, where none is given.
    pub fn new(ca_file: Option<PathBuf>) -> Self {
        Self { ca_file, connector: OnceCell::new() }
    }

    /// Encrypts a connection to a host that proves to be it, for HTTP/1.1.
    ///
    /// # Errors
    /// [`TlsError::Roots`] where nobody can be trusted, [`TlsError::Handshake`] where the host does not prove to be it.
    pub async fn encrypt(&self, tcp: TcpStream, host: &Target) -> Result<TlsStream<TcpStream>, TlsError> {
        let name = server_name(host).map_err(TlsError::Handshake)?;
        let connector = self.connector().await.map_err(TlsError::Roots)?;
        connector.connect(name, tcp).await.map_err(TlsError::Handshake)
    }

    async fn connector(&self) -> io::Result<&TlsConnector> {
        let make = || async {
            let ca_file = self.ca_file.clone();
            tokio::task::spawn_blocking(move || trusting(ca_file.as_deref())).await.map_err(io::Error::other)?
        };
        self.connector.get_or_try_init(make).await
    }
}

fn server_name(host: &Target) -> io::Result<ServerName<'static>> {
    match host {
        Target::Name(name) => ServerName::try_from(name.as_str().to_owned()).map_err(io::Error::other),
        Target::Address(ip) => Ok(ServerName::from(*ip)),
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
