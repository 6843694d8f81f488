//! A made-up internet: names, and public addresses at which listeners of this test answer.

use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::host::HostName;
use crate::resolve::{Answer, Outside};

#[derive(Default)]
pub(super) struct Internet {
    names: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    hosts: Mutex<HashMap<SocketAddr, SocketAddr>>,
    pub(super) resolved: Mutex<Vec<String>>,
    pub(super) connected: Mutex<Vec<SocketAddr>>,
}

impl Internet {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// `name` has these addresses each time it is asked for.
    pub(super) fn name(self: &Arc<Self>, name: &str, addresses: &[&str]) -> Arc<Self> {
        self.changing_name(name, &[addresses])
    }

    /// `name` has another set of addresses each time it is asked for; the last one stays.
    pub(super) fn changing_name(self: &Arc<Self>, name: &str, answers: &[&[&str]]) -> Arc<Self> {
        let parse = |set: &&[&str]| set.iter().map(|ip| ip.parse().unwrap()).collect();
        self.names.lock().unwrap().insert(name.to_owned(), answers.iter().rev().map(parse).collect());
        Arc::clone(self)
    }

    /// What listens at `address` in truth.
    pub(super) fn host(self: &Arc<Self>, address: &str, listener: SocketAddr) -> Arc<Self> {
        self.hosts.lock().unwrap().insert(address.parse().unwrap(), listener);
        Arc::clone(self)
    }

    pub(super) fn connected(&self) -> Vec<String> {
        self.connected.lock().unwrap().iter().map(SocketAddr::to_string).collect()
    }
}

/// A name that is looked up for ever, and an address that never answers.
pub(super) const HANGING_NAME: &str = "hangs.example";
pub(super) const HANGING_ADDRESS: &str = "203.0.113.99";

impl Outside for Internet {
    fn resolve<'a>(&'a self, name: &'a HostName) -> Answer<'a, Vec<IpAddr>> {
        self.resolved.lock().unwrap().push(name.to_string());
        let answer = self.names.lock().unwrap().get_mut(name.as_str()).and_then(|answers| {
            let is_last = answers.len() == 1;
            if is_last { answers.first().cloned() } else { answers.pop() }
        });
        Box::pin(async move {
            if name.as_str() == HANGING_NAME {
                return pending().await;
            }
            answer.ok_or_else(|| io::Error::other("no such name"))
        })
    }

    fn connect(&self, address: SocketAddr) -> Answer<'_, TcpStream> {
        self.connected.lock().unwrap().push(address);
        let listener = self.hosts.lock().unwrap().get(&address).copied();
        Box::pin(async move {
            if address.ip().to_string() == HANGING_ADDRESS {
                return pending().await;
            }
            match listener {
                Some(listener) => TcpStream::connect(listener).await,
                None if address.ip().to_canonical().is_loopback() => TcpStream::connect(address).await,
                None => Err(io::ErrorKind::ConnectionRefused.into()),
            }
        })
    }
}

/// A server that reads to the end, then answers with the number of bytes it read and what they were.
pub(super) async fn listens_to_the_end() -> SocketAddr {
    serve(|mut stream| async move {
        let mut heard = Vec::new();
        if stream.read_to_end(&mut heard).await.is_ok() {
            let _gone = stream.write_all(format!("heard {}: ", heard.len()).as_bytes()).await;
            let _gone = stream.write_all(&heard).await;
        }
    })
    .await
}

/// A server that sends back what it gets.
pub(super) async fn echoes() -> SocketAddr {
    serve(|mut stream| async move {
        let (mut from, mut to) = stream.split();
        let _gone = tokio::io::copy(&mut from, &mut to).await;
    })
    .await
}

pub(super) async fn serve<Served>(answer: impl Fn(TcpStream) -> Served + Send + 'static) -> SocketAddr
where
    Served: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    address
}
