//! One connection to Redis: opened, authenticated, with every wait bounded.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::resp::{self, Value};
use super::settings::{Address, BusSettings};

/// How long connecting, and any answer, may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// How connections are made.
#[derive(Clone)]
pub(crate) struct Dial {
    address: Address,
    tls: Option<TlsConnector>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// An open connection.
pub(crate) struct Connection(BufStream<Box<dyn Stream>>);

impl Dial {
    /// Prepares, without connecting.
    pub(crate) fn new(settings: &BusSettings) -> io::Result<Self> {
        let address = Address::parse(&settings.url);
        let address = address.ok_or_else(|| io::Error::other("[bus] url: not an address of a Redis"))?;
        let tls = if address.tls { Some(trusting(settings)?) } else { None };
        Ok(Self { address, tls })
    }

    pub(crate) async fn connect(&self) -> io::Result<Connection> {
        bounded(self.open()).await
    }

    async fn open(&self) -> io::Result<Connection> {
        let address = &self.address;
        let tcp = TcpStream::connect((address.host.as_str(), address.port)).await?;
        tcp.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(tcp),
            Some(tls) => {
                let name = ServerName::try_from(address.host.clone()).map_err(io::Error::other)?;
                Box::new(tls.connect(name, tcp).await?)
            }
        };
        let mut connection = Connection(BufStream::new(stream));
        match (&address.user, &address.password) {
            (Some(user), Some(password)) => connection.expect_ok(&["AUTH", user, password]).await?,
            (_, Some(password)) => connection.expect_ok(&["AUTH", password]).await?,
            _ => {}
        }
        if let Some(database) = address.database {
            connection.expect_ok(&["SELECT", &database.to_string()]).await?;
        }
        Ok(connection)
    }
}

impl Connection {
    /// Sends what [`resp::command`] wrote.
    pub(crate) async fn send(&mut self, commands: &[u8]) -> io::Result<()> {
        bounded(async {
            self.0.write_all(commands).await?;
            self.0.flush().await
        })
        .await
    }

    /// The next answer, which is due.
    pub(crate) async fn answer(&mut self) -> io::Result<Value> {
        bounded(resp::read(&mut self.0)).await
    }

    /// The next answer, whenever it comes.
    pub(crate) async fn next(&mut self) -> io::Result<Value> {
        resp::read(&mut self.0).await
    }

    async fn expect_ok(&mut self, words: &[&str]) -> io::Result<()> {
        let mut bytes = Vec::new();
        resp::command(&mut bytes, words);
        self.send(&bytes).await?;
        match self.answer().await? {
            Value::Text(ok) if ok == "OK" => Ok(()),
            // What Redis says of a refused password does not repeat it.
            Value::Error(error) => Err(io::Error::new(io::ErrorKind::PermissionDenied, error)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

async fn bounded<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn trusting(settings: &BusSettings) -> io::Result<TlsConnector> {
    let mut roots = rustls::RootCertStore::empty();
    match &settings.ca_file {
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
    let config = config.map_err(io::Error::other)?.with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
