//! Clients at a steady rate, one for each kind of request. What fails is never repeated.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use skylift_tests::http::Request;
use skylift_tests::wait::PATIENCE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::ledger::{KINDS, Kind, Ledger};
use super::server::DOWNLOAD_BYTES;

const HOST: &str = "shop.localhost";
const EVERY: Duration = Duration::from_millis(20);
const POST_BYTES: usize = 20_000;
/// What is said over one WebSocket, one every tick.
const SAID: usize = 20;

pub(crate) struct Clients {
    stop: watch::Sender<bool>,
    all: Vec<JoinHandle<()>>,
}

impl Clients {
    pub(crate) fn come(to: SocketAddr, ledger: &Arc<Ledger>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let client = |kind| tokio::spawn(ask(kind, to, ledger.clone(), stopped.clone()));
        Self { stop, all: KINDS.map(client).into() }
    }

    /// Everybody finishes what they do.
    pub(crate) async fn leave(self) {
        let _ = self.stop.send(true);
        for client in self.all {
            client.await.unwrap();
        }
    }
}

async fn ask(kind: Kind, to: SocketAddr, ledger: Arc<Ledger>, mut stopped: watch::Receiver<bool>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut lasting = None;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        let begun = ledger.begin(kind);
        let answer = match kind {
            Kind::Read => whole(Request::get("/"), to).await,
            Kind::Again => again(&mut lasting, to).await,
            Kind::Post => post(to).await,
            Kind::Download => download(to).await,
            Kind::Socket => timeout(PATIENCE, socket(to)).await.map_err(|_| "no answer in time".to_owned()).flatten(),
        };
        ledger.end(&begun, answer);
    }
}

/// The text of a good answer.
async fn whole(request: Request, to: SocketAddr) -> Result<String, String> {
    match request.host(HOST).try_send(to).await {
        Some(answer) if answer.status == 200 => Ok(answer.text()),
        Some(answer) => Err(answer.brief()),
        None => Err("it broke off".to_owned()),
    }
}

async fn post(to: SocketAddr) -> Result<String, String> {
    let said = whole(Request::post("/").body(vec![b'x'; POST_BYTES]), to).await?;
    let version = said.strip_suffix(&format!(" {POST_BYTES}"));
    version.map(str::to_owned).ok_or(format!("not all of it came: {said}"))
}

async fn download(to: SocketAddr) -> Result<String, String> {
    let said = whole(Request::get("/download"), to).await?;
    match said.split_at_checked(DOWNLOAD_BYTES) {
        Some((body, version)) if body.bytes().all(|byte| byte == b'x') => Ok(version.to_owned()),
        _ => Err("other bytes came".to_owned()),
    }
}

/// The connection is the edge's, and the edge stays: it has no reason to end it.
async fn again(lasting: &mut Option<TcpStream>, to: SocketAddr) -> Result<String, String> {
    let exchange = async {
        let stream = match lasting.as_mut() {
            Some(stream) => stream,
            None => lasting.insert(TcpStream::connect(to).await?),
        };
        stream.write_all(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).await?;
        let head = head(stream).await?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body).await?;
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(if head.starts_with("http/1.1 200 ") { Ok(body) } else { Err(head) })
    };
    let answer = match timeout(PATIENCE, exchange).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => Err(std::io::Error::to_string(&error)),
        Err(_) => Err("no answer in time".to_owned()),
    };
    if answer.is_err() {
        *lasting = None;
    }
    answer
}

/// A head in lower case.
async fn head(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).to_lowercase())
}

/// A conversation: one instance answers all of it.
async fn socket(to: SocketAddr) -> Result<String, String> {
    let told = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(to).await.map_err(told)?;
    let asked = format!(
        "GET /chat HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(asked.as_bytes()).await.map_err(told)?;
    let head = head(&mut stream).await.map_err(told)?;
    if !head.starts_with("http/1.1 101 ") {
        return Err(head);
    }
    let mut ticks = interval(EVERY);
    let mut version = String::new();
    for number in 0..SAID {
        ticks.tick().await;
        let said = say(&mut stream, &number.to_string()).await.map_err(told)?;
        let (by, text) = said.split_once(' ').ok_or("no answer of ours")?;
        if text != number.to_string() || (number > 0 && by != version) {
            return Err(format!("{said:?} to {number}, behind {version}"));
        }
        version = by.to_owned();
    }
    stream.write_all(&[0x88, 0x80, 0, 0, 0, 0]).await.map_err(told)?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.map_err(told)?;
    if rest == [0x88, 0] { Ok(version) } else { Err(format!("it ended with {rest:?}")) }
}

async fn say(stream: &mut TcpStream, text: &str) -> std::io::Result<String> {
    let mask = [7, 0, 255, 1];
    let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap()];
    frame.extend(mask);
    frame.extend(text.bytes().zip(mask.into_iter().cycle()).map(|(byte, mask)| byte ^ mask));
    stream.write_all(&frame).await?;
    let mut head = [0; 2];
    stream.read_exact(&mut head).await?;
    let mut said = vec![0; usize::from(head[1])];
    stream.read_exact(&mut said).await?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}
