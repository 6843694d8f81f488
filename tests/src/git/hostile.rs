//! A Git server that means harm: the smart protocol (version 0, over HTTP) by hand, and what must not be done with it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::pack::{BLOB, Packed, header, object};

/// What the server does.
#[derive(Clone)]
pub enum Manner {
    /// Serves a repository as it should: the control of all others.
    Honest(Packed),
    /// Takes the connection, reads the request and says nothing.
    Stall,
    /// Answers a byte each second.
    Drip(Packed),
    /// Sends a pack that announces one object and never ends.
    EndlessPack(Packed),
    /// Names so many refs besides the one there is.
    Refs(Packed, u64),
    /// Points elsewhere.
    Redirect(String),
    /// Answers every request with that status.
    Status(u16),
    /// Ends in the middle of the pack.
    CutPack(Packed),
    /// Names a commit that it then says it does not have, so many times; after that it serves the second.
    Moving(Packed, Packed, usize),
}

/// A server; it ends when it is dropped.
pub struct Hostile {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Hostile {
    /// Starts a server on loopback.
    pub async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(BufReader::new(stream), manner.clone(), count.clone()));
            }
        });
        Self { address, asked, serving }
    }

    /// Where its repository is said to be.
    pub fn url(&self) -> String {
        format!("http://{}/hostile.git", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The settings that let a platform clone from here, and `more` of `[build.git]`.
    pub fn settings(&self, more: &str) -> String {
        super::settings_for(self.address, more)
    }

    /// How often it was asked what it has.
    pub fn times_asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

type Guest = BufReader<TcpStream>;

/// One request.
async fn answer(mut guest: Guest, manner: Manner, asked: Arc<AtomicUsize>) -> Option<()> {
    let (target, body) = request(&mut guest).await?;
    if target.contains("/info/refs") {
        let round = asked.fetch_add(1, Ordering::SeqCst);
        advertise(&mut guest, &manner, round).await?;
    } else {
        let has = |what: &[u8]| body.windows(what.len()).any(|window| window == what);
        let round = asked.load(Ordering::SeqCst).saturating_sub(1);
        // Whoever wants no history asks first where it would be cut; here it is short enough.
        let boundary = if has(b"deepen ") { "0000" } else { "" };
        if has(b"done") {
            give(&mut guest, &manner, round, boundary).await?;
        } else {
            send(&mut guest, "result", boundary.as_bytes()).await?;
        }
    }
    guest.shutdown().await.ok()
}

/// The first request: what there is.
async fn advertise(guest: &mut Guest, manner: &Manner, round: usize) -> Option<()> {
    match manner {
        Manner::Stall => std::future::pending().await,
        Manner::Drip(packed) => drip(guest, &advertisement(packed, 0)).await,
        Manner::Refs(packed, more) => many_refs(guest, packed, *more).await,
        Manner::Redirect(to) => {
            let location = format!("Location: {to}/info/refs?service=git-upload-pack\r\n");
            status(guest, "302 Found", &location).await
        }
        Manner::Status(code) => status(guest, &format!("{code} No"), "").await,
        Manner::Moving(before, after, times) => {
            let packed = if round < *times { before } else { after };
            send(guest, "advertisement", &advertisement(packed, 0)).await
        }
        Manner::Honest(packed) | Manner::EndlessPack(packed) | Manner::CutPack(packed) => {
            send(guest, "advertisement", &advertisement(packed, 0)).await
        }
    }
}

/// The second: the objects.
async fn give(guest: &mut Guest, manner: &Manner, round: usize, boundary: &str) -> Option<()> {
    let acknowledged = boundary.to_owned() + &line("NAK");
    match manner {
        Manner::Moving(before, _, times) if round < *times => {
            let error = line(&format!("ERR upload-pack: not our ref {}", before.commit));
            send(guest, "result", error.as_bytes()).await
        }
        Manner::EndlessPack(_) => {
            send(guest, "result", acknowledged.as_bytes()).await?;
            endless_pack(guest).await
        }
        Manner::CutPack(packed) => {
            send(guest, "result", acknowledged.as_bytes()).await?;
            side_band(guest, &packed.pack[..packed.pack.len() / 2]).await
        }
        Manner::Honest(packed) | Manner::Refs(packed, _) | Manner::Drip(packed) | Manner::Moving(_, packed, _) => {
            send(guest, "result", acknowledged.as_bytes()).await?;
            side_band(guest, &packed.pack).await?;
            guest.write_all(b"0000").await.ok()
        }
        Manner::Stall | Manner::Redirect(_) | Manner::Status(_) => status(guest, "500 No", "").await,
    }
}

/// Reads a request; returns its target and its body.
async fn request(guest: &mut Guest) -> Option<(String, Vec<u8>)> {
    let (mut target, mut length) = (String::new(), 0);
    loop {
        let mut header = String::new();
        guest.read_line(&mut header).await.ok()?;
        let header = header.trim_end();
        if header.is_empty() {
            break;
        }
        if target.is_empty() {
            header.split(' ').nth(1)?.clone_into(&mut target);
        } else if let Some((name, value)) = header.split_once(": ")
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    guest.read_exact(&mut body).await.ok()?;
    Some((target, body))
}

async fn status(guest: &mut Guest, status: &str, header: &str) -> Option<()> {
    let head = format!("HTTP/1.1 {status}\r\n{header}Content-Length: 0\r\nConnection: close\r\n\r\n");
    guest.write_all(head.as_bytes()).await.ok()
}

fn head(kind: &str) -> String {
    let kind = format!("application/x-git-upload-pack-{kind}");
    format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nCache-Control: no-cache\r\nConnection: close\r\n\r\n")
}

async fn send(guest: &mut Guest, kind: &str, body: &[u8]) -> Option<()> {
    guest.write_all(head(kind).as_bytes()).await.ok()?;
    guest.write_all(body).await.ok()
}

/// A line of the protocol: its length in four hexadecimal digits, and a text.
fn line(text: &str) -> String {
    format!("{:04x}{text}\n", text.len() + 5)
}

/// What there is, without its end where more follows.
fn advertisement(packed: &Packed, more: u64) -> Vec<u8> {
    let able = "side-band-64k shallow ofs-delta no-progress symref=HEAD:refs/heads/main agent=git/0";
    let commit = &packed.commit;
    let service = line("# service=git-upload-pack") + "0000";
    let refs = line(&format!("{commit} HEAD\0{able}")) + &line(&format!("{commit} refs/heads/main"));
    let end = if more == 0 { "0000" } else { "" };
    (service + &refs + end).into_bytes()
}

async fn many_refs(guest: &mut Guest, packed: &Packed, more: u64) -> Option<()> {
    send(guest, "advertisement", &advertisement(packed, more)).await?;
    let mut lines = String::new();
    for number in 0..more {
        lines.push_str(&line(&format!("{} refs/tags/{number:020}", packed.commit)));
        if lines.len() > 1 << 16 {
            guest.write_all(lines.as_bytes()).await.ok()?;
            lines.clear();
        }
    }
    lines.push_str("0000");
    guest.write_all(lines.as_bytes()).await.ok()
}

async fn drip(guest: &mut Guest, body: &[u8]) -> Option<()> {
    guest.write_all(head("advertisement").as_bytes()).await.ok()?;
    for byte in body {
        guest.write_all(&[*byte]).await.ok()?;
        // Slowness is the fault that is tried; nothing waits for it.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Some(())
}

async fn side_band(guest: &mut Guest, bytes: &[u8]) -> Option<()> {
    for piece in bytes.chunks(65_000) {
        guest.write_all(format!("{:04x}\x01", piece.len() + 5).as_bytes()).await.ok()?;
        guest.write_all(piece).await.ok()?;
    }
    Some(())
}

/// One object that is said to have a terabyte, in blocks that no compression made smaller.
async fn endless_pack(guest: &mut Guest) -> Option<()> {
    let mut random = crate::random::Random::seeded();
    let noise: Vec<u8> = (0..0x8000_u32).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
    side_band(guest, &[header(1), object(BLOB, 1 << 40), vec![0x78, 0x01]].concat()).await?;
    // A stored block of deflate: not the last one, its length, and that once more, inverted.
    let length = u16::try_from(noise.len()).unwrap();
    let block = [&[0][..], &length.to_le_bytes(), &(!length).to_le_bytes(), &noise].concat();
    loop {
        side_band(guest, &block).await?;
    }
}
