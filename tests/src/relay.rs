//! Connections handed on, until they are cut: what lies between a process and its stores.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Where connections are handed on to.
#[derive(Clone, Debug)]
pub enum To {
    Tcp(SocketAddr),
    Socket(PathBuf),
}

/// Relays of one test, on a thread of their own: they go on while the test waits for something else.
pub struct Relays(Option<Runtime>);

/// One relay. It ends with its [`Relays`].
pub struct Relay {
    pub address: SocketAddr,
    open: watch::Sender<bool>,
}

impl Relays {
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self(Some(runtime.unwrap()))
    }

    /// Listens on an address of this machine.
    pub fn relay(&self, on: Ipv4Addr, to: To) -> Relay {
        let (open, is_open) = watch::channel(true);
        let runtime = self.0.as_ref().unwrap();
        let _entered = runtime.enter();
        let listener = std::net::TcpListener::bind((on, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(accept(TcpListener::from_std(listener).unwrap(), to, is_open));
        Relay { address, open }
    }
}

impl Default for Relays {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Relays {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Relay {
    /// Closes every connection, and each new one at once.
    pub fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Hands on again.
    pub fn mend(&self) {
        self.open.send_replace(true);
    }
}

async fn accept(listener: TcpListener, to: To, open: watch::Receiver<bool>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        if *open.borrow() {
            tokio::spawn(hand_on(stream, to.clone(), open.clone()));
        }
    }
}

async fn hand_on(mut stream: TcpStream, to: To, mut open: watch::Receiver<bool>) {
    let handed_on = async {
        match to {
            To::Tcp(place) => {
                let mut other = TcpStream::connect(place).await?;
                other.set_nodelay(true)?;
                copy_bidirectional(&mut stream, &mut other).await
            }
            To::Socket(path) => {
                let mut other = UnixStream::connect(path).await?;
                copy_bidirectional(&mut stream, &mut other).await
            }
        }
    };
    tokio::select! {
        _ = handed_on => {}
        _ = open.wait_for(|open| !*open) => {}
    }
}
