//! Connections handed on, until they are cut: what lies between a process and its stores.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::random::Random;

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
    weather: watch::Sender<Weather>,
    lost: watch::Sender<Lost>,
    connections: Arc<AtomicUsize>,
}

/// What becomes of whatever is handed on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Each piece is late by anything up to this.
    pub late_ms_max: u64,
    /// How many of a thousand pieces end their connection in place of arriving.
    pub resets_per_mille: u64,
}

/// What is silently lost: nobody is told, and what was sent meanwhile arrives when it is not lost any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lost {
    #[default]
    Nothing,
    /// What is sent by who connected.
    There,
    /// What is sent to who connected.
    Back,
    Both,
}

impl Lost {
    fn is_lost_there(self) -> bool {
        matches!(self, Self::There | Self::Both)
    }

    fn is_lost_back(self) -> bool {
        matches!(self, Self::Back | Self::Both)
    }
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
        let (weather, is_weather) = watch::channel(Weather::default());
        let (lost, is_lost) = watch::channel(Lost::default());
        let connections = Arc::new(AtomicUsize::new(0));
        let way = Way { to, open: is_open, weather: is_weather, lost: is_lost, connections: connections.clone() };
        runtime.spawn(accept(TcpListener::from_std(listener).unwrap(), way));
        Relay { address, open, weather, lost, connections }
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

    /// Changes what becomes of what is handed on.
    pub fn weather(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Changes what is silently lost.
    pub fn lose(&self, lost: Lost) {
        self.lost.send_replace(lost);
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Hands on again.
    pub fn mend(&self) {
        self.open.send_replace(true);
    }
}

/// What each connection of a relay needs.
#[derive(Clone)]
struct Way {
    to: To,
    open: watch::Receiver<bool>,
    weather: watch::Receiver<Weather>,
    lost: watch::Receiver<Lost>,
    connections: Arc<AtomicUsize>,
}

async fn accept(listener: TcpListener, way: Way) {
    for number in 1.. {
        let Ok((stream, _)) = listener.accept().await else { return };
        let _ = stream.set_nodelay(true);
        if *way.open.borrow() {
            let way = way.clone();
            tokio::spawn(async move {
                way.connections.fetch_add(1, Ordering::SeqCst);
                hand_on(stream, &way, number).await;
                way.connections.fetch_sub(1, Ordering::SeqCst);
            });
        }
    }
}

async fn hand_on(stream: TcpStream, way: &Way, number: u64) {
    let mut open = way.open.clone();
    let handed_on = async {
        match &way.to {
            To::Tcp(place) => {
                let other = TcpStream::connect(place).await?;
                other.set_nodelay(true)?;
                both_ways(stream, other, way, number).await
            }
            To::Socket(path) => both_ways(stream, UnixStream::connect(path).await?, way, number).await,
        }
    };
    tokio::select! {
        _ = handed_on => {}
        _ = open.wait_for(|open| !*open) => {}
    }
}

async fn both_ways(one: TcpStream, other: impl AsyncRead + AsyncWrite, way: &Way, number: u64) -> std::io::Result<()> {
    let (one_in, one_out) = tokio::io::split(one);
    let (other_in, other_out) = tokio::io::split(other);
    let there = pump(one_in, other_out, way, Lost::is_lost_there, Random::of(number));
    let back = pump(other_in, one_out, way, Lost::is_lost_back, Random::of(!number));
    // Either side may end what it says and go on listening.
    tokio::try_join!(there, back).map(|_| ())
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    way: &Way,
    is_lost: fn(Lost) -> bool,
    mut random: Random,
) -> std::io::Result<()> {
    let mut lost = way.lost.clone();
    let mut piece = vec![0; 1 << 16];
    loop {
        let length = from.read(&mut piece).await?;
        let _ = lost.wait_for(|lost| !is_lost(*lost)).await;
        if length == 0 {
            return to.shutdown().await;
        }
        let Weather { late_ms_max, resets_per_mille } = *way.weather.borrow();
        if random.below(1000) < resets_per_mille {
            return Err(std::io::ErrorKind::ConnectionReset.into());
        }
        if late_ms_max > 0 {
            tokio::time::sleep(Duration::from_millis(random.below(late_ms_max))).await;
        }
        to.write_all(&piece[..length]).await?;
    }
}
