//! Connections to the object store, and to others that are spoken to alike: pooled, plain or TLS.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::error::BlobError;

/// How long an idle connection is kept; less than servers do.
const IDLE: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Clone)]
pub(crate) enum Connections {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl Connections {
    /// Prepares, without connecting. `ca_file` has the certificates that a server's is checked against, in place of this machine's.
    pub(crate) fn new(is_tls: bool, ca_file: Option<&Path>) -> Result<Self, BlobError> {
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.set_nodelay(true);
        tcp.enforce_http(!is_tls);
        let mut pool = Client::builder(TokioExecutor::new());
        pool.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
        if !is_tls {
            return Ok(Self::Plain(pool.build(tcp)));
        }
        let tls = HttpsConnectorBuilder::new();
        let unreadable = |error: &dyn std::fmt::Display| {
            BlobError::Settings(format!("the certificates of authorities cannot be read: {error}"))
        };
        let tls = match ca_file {
            Some(file) => tls.with_tls_config(trusting(file).map_err(|error| unreadable(&error))?),
            None => tls.with_native_roots().map_err(|error| unreadable(&error))?,
        };
        Ok(Self::Tls(pool.build(tls.https_only().enable_http1().wrap_connector(tcp))))
    }

    /// One request, one answer.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Error> {
        match self {
            Self::Plain(client) => client.request(request).await,
            Self::Tls(client) => client.request(request).await,
        }
    }
}

fn trusting(file: &Path) -> Result<rustls::ClientConfig, Box<dyn std::error::Error>> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file)? {
        roots.add(certificate?)?;
    }
    if roots.is_empty() {
        return Err(format!("{} has no certificate", file.display()).into());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
