//! Connections to a server: plain or TLS, with `*.localhost` leading to this machine.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::TokioExecutor;

use crate::base_url::is_localhost;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What a request carries.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Pooled connections to one server.
#[derive(Clone, Debug)]
pub(crate) enum Connections {
    Plain(Client<HttpConnector<Resolver>, Body>),
    Tls(Client<HttpsConnector<HttpConnector<Resolver>>, Body>),
}

impl Connections {
    /// Prepares, without connecting. The machine's root certificates are only read for TLS: that takes longer than
    /// a whole deploy to a local server.
    pub(crate) fn new(tls: bool) -> io::Result<Self> {
        let mut tcp = HttpConnector::new_with_resolver(Resolver);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.set_nodelay(true);
        tcp.enforce_http(!tls);
        let pool = Client::builder(TokioExecutor::new());
        if !tls {
            return Ok(Self::Plain(pool.build(tcp)));
        }
        let tls = HttpsConnectorBuilder::new().with_native_roots()?.https_only().enable_http1().wrap_connector(tcp);
        Ok(Self::Tls(pool.build(tls)))
    }

    /// One request, one answer.
    pub(crate) async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, Error> {
        match self {
            Self::Plain(client) => client.request(request).await,
            Self::Tls(client) => client.request(request).await,
        }
    }
}

/// The ordinary resolver, except that `localhost` and everything below it is this machine: ordinary resolvers do not
/// know `app.localhost`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolver;

impl tower_service::Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move {
            if is_localhost(name.as_str()) {
                return Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))].into_iter());
            }
            tokio::task::spawn_blocking(move || (name.as_str(), 0).to_socket_addrs()).await.map_err(io::Error::other)?
        })
    }
}
