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

use super::ledger::{At, Broken, KINDS, Kind, Ledger};
use super::server::DOWNLOAD_BYTES;
use super::streams::streams;

pub(crate) const HOST: &str = "shop.localhost";
pub(crate) const EVERY: Duration = Duration::from_millis(20);
pub(crate) const POST_BYTES: usize = 20_000;
/// What is said over one WebSocket, one every tick.
const SAID: usize = 20;

pub(crate) struct Clients {
    stop: watch::Sender<bool>,
    all: Vec<JoinHandle<()>>,
}

impl Clients {
    /// So many for each kind of request.
    pub(crate) fn come(to: SocketAddr, ledger: &Arc<Ledger>, of_each: u64) -> Self {
        let (stop, stopped) = watch::channel(false);
        let alone = KINDS.into_iter().filter(|kind| !matches!(kind, Kind::Stream | Kind::StreamPost));
        let mut all = Vec::new();
        for _ in 0..of_each {
            all.extend(alone.clone().map(|kind| tokio::spawn(ask(kind, to, ledger.clone(), stopped.clone()))));
            all.push(tokio::spawn(streams(to, ledger.clone(), stopped.clone())));
        }
        Self { stop, all }
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
            Kind::Download => {
                timeout(PATIENCE, download(to)).await.unwrap_or_else(|_| Err(Broken::unknown("no end in time")))
            }
            Kind::Socket => {
                timeout(PATIENCE, socket(to)).await.unwrap_or_else(|_| Err(Broken::unknown("no answer in time")))
            }
            Kind::Stream | Kind::StreamPost => unreachable!("they share a connection"),
        };
        ledger.end(&begun, answer);
    }
}

/// The text of a good answer.
async fn whole(request: Request, to: SocketAddr) -> Result<String, Broken> {
    match request.host(HOST).try_send(to).await {
        Some(answer) if answer.status == 200 => Ok(answer.text()),
        Some(answer) => Err(Broken { why: answer.brief(), at: At::Request(answer.header("x-request-id").to_owned()) }),
        None => Err(Broken::unknown("it broke off")),
    }
}

async fn post(to: SocketAddr) -> Result<String, Broken> {
    posted(&whole(Request::post("/").body(vec![b'x'; POST_BYTES]), to).await?)
}

/// The version that says that all of a post has come.
pub(crate) fn posted(said: &str) -> Result<String, Broken> {
    let version = said.strip_suffix(&format!(" {POST_BYTES}"));
    version.map(str::to_owned).ok_or(Broken::unknown(format!("not all of it came: {said}")))
}

async fn download(to: SocketAddr) -> Result<String, Broken> {
    let (mut stream, head) =
        asked(to, &format!("GET /download HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")).await?;
    let instance = instance_of(&head, "http/1.1 200 ")?;
    let mut body = Vec::new();
    let read = stream.read_to_end(&mut body).await;
    let length = field(&head, "content-length").and_then(|length| length.parse().ok());
    if read.is_err() || length != Some(body.len()) {
        return Err(Broken::at_instance(format!("it broke off behind {} bytes", body.len()), &instance));
    }
    let said = String::from_utf8_lossy(&body);
    match said.split_at_checked(DOWNLOAD_BYTES) {
        Some((body, version)) if body.bytes().all(|byte| byte == b'x') => Ok(version.to_owned()),
        _ => Err(Broken::unknown("other bytes came")),
    }
}

/// Asks, and reads the head of the answer, in lower case.
async fn asked(to: SocketAddr, request: &str) -> Result<(TcpStream, String), Broken> {
    let exchange = async {
        let mut stream = TcpStream::connect(to).await?;
        stream.write_all(request.as_bytes()).await?;
        let head = head(&mut stream).await?;
        Ok((stream, head))
    };
    exchange.await.map_err(|error: std::io::Error| Broken::unknown(error.to_string()))
}

/// The instance that gave an answer, where it is a good one.
fn instance_of(head: &str, good: &str) -> Result<String, Broken> {
    match field(head, "x-instance") {
        Some(instance) if head.starts_with(good) => Ok(instance.to_owned()),
        _ => Err(Broken {
            why: head.to_owned(),
            at: At::Request(field(head, "x-request-id").unwrap_or_default().to_owned()),
        }),
    }
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// The connection is the edge's, and the edge stays: it has no reason to end it.
async fn again(lasting: &mut Option<TcpStream>, to: SocketAddr) -> Result<String, Broken> {
    let exchange = async {
        let stream = match lasting.as_mut() {
            Some(stream) => stream,
            None => lasting.insert(TcpStream::connect(to).await?),
        };
        stream.write_all(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).await?;
        let head = head(stream).await?;
        let length = field(&head, "content-length").and_then(|length| length.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body).await?;
        let body = String::from_utf8_lossy(&body).into_owned();
        let status = head.split(' ').nth(1).unwrap_or_default().to_owned();
        Ok(if status == "200" { Ok(body) } else { Err(Broken::unknown(format!("{status} {body}"))) })
    };
    let answer = match timeout(PATIENCE, exchange).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => Err(Broken::unknown(std::io::Error::to_string(&error))),
        Err(_) => Err(Broken::unknown("no answer in time")),
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
async fn socket(to: SocketAddr) -> Result<String, Broken> {
    let request = format!(
        "GET /chat HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let (stream, head) = asked(to, &request).await?;
    let instance = instance_of(&head, "http/1.1 101 ")?;
    talk(stream).await.map_err(|why| Broken::at_instance(why, &instance))
}

/// The version that answered all that was said.
async fn talk(mut stream: TcpStream) -> Result<String, String> {
    let told = |error: std::io::Error| error.to_string();
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
