//! Another host: a small server that notes every byte of what it is asked, and answers whatever it is told to.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::PATIENCE;

/// How many requests an origin notes; it counts the others.
const NOTED_MAX: usize = 100_000;

/// What an origin says to a request.
pub(crate) enum Reply {
    /// These bytes; the connection stays.
    Say(Vec<u8>),
    /// These bytes, then it hangs up.
    End(Vec<u8>),
    /// These bytes, then nothing more.
    Stall(Vec<u8>),
    /// These bytes once the gate has a place.
    Wait(Arc<Semaphore>, Vec<u8>),
    /// These pieces, each once the gate has a place; then nothing more, until the other side hangs up.
    Each(Arc<Semaphore>, Vec<Vec<u8>>),
    /// These bytes, then these again and again until the other side hangs up, or until there were so many.
    Flood(Vec<u8>, Vec<u8>, usize),
    /// These bytes, then everything that comes, back as it is; behind its end `bye`. Behind `die` it hangs up.
    Echo(Vec<u8>),
}

/// `200` with these header lines and this body.
pub(crate) fn ok(headers: &str, body: &str) -> Reply {
    answer("200 OK", headers, body)
}

pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Reply {
    Reply::Say(bytes(status, headers, body))
}

pub(crate) fn bytes(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let headers: String = headers.lines().map(|line| format!("{}\r\n", line.trim())).collect();
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    asked: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    echoed: Arc<Mutex<Vec<u8>>>,
    flooded: Arc<AtomicUsize>,
    left: Arc<Semaphore>,
    over: Arc<Semaphore>,
    task: JoinHandle<()>,
}

impl Origin {
    /// Answers each request by its text, body included, and its number, from 1.
    pub(crate) async fn start(reply: impl Fn(&str, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, connections) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicUsize>::default());
        let asked = Arc::<AtomicUsize>::default();
        let (noted, counted, reply) = (requests.clone(), connections.clone(), Arc::new(reply));
        let number = asked.clone();
        let echoed = Arc::<Mutex<Vec<u8>>>::default();
        let echoing = echoed.clone();
        let flooded = Arc::<AtomicUsize>::default();
        let flooding = flooded.clone();
        let left = Arc::new(Semaphore::new(0));
        let leaving = left.clone();
        let over = Arc::new(Semaphore::new(0));
        let ending = over.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let notes = Notes {
                    requests: noted.clone(),
                    asked: number.clone(),
                    echoed: echoing.clone(),
                    flooded: flooding.clone(),
                    left: leaving.clone(),
                };
                let (reply, ending) = (reply.clone(), ending.clone());
                tokio::spawn(async move {
                    serve(stream, notes, reply).await;
                    ending.add_permits(1);
                });
            }
        });
        Self { address, requests, asked, connections, echoed, flooded, left, over, task }
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// How many requests there were.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Every byte that came where no request was read any more.
    pub(crate) fn echoed(&self) -> Vec<u8> {
        self.echoed.lock().unwrap().clone()
    }

    /// How many bytes were sent of what has no end.
    pub(crate) fn flooded(&self) -> usize {
        self.flooded.load(Ordering::SeqCst)
    }

    /// Returns once a client has hung up in the middle of an answer.
    pub(crate) async fn is_left(&self) {
        tokio::time::timeout(PATIENCE, self.left.acquire()).await.expect("it hangs up").unwrap().forget();
    }

    /// Returns once another of its connections is closed.
    pub(crate) async fn is_over(&self) {
        tokio::time::timeout(PATIENCE, self.over.acquire()).await.expect("it is closed").unwrap().forget();
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Notes {
    requests: Arc<Mutex<Vec<String>>>,
    asked: Arc<AtomicUsize>,
    echoed: Arc<Mutex<Vec<u8>>>,
    flooded: Arc<AtomicUsize>,
    left: Arc<Semaphore>,
}

async fn serve<R>(mut stream: TcpStream, notes: Notes, reply: Arc<R>)
where
    R: Fn(&str, usize) -> Reply + Send + Sync + 'static,
{
    let mut unread = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut unread).await {
        let number = {
            let mut noted = notes.requests.lock().unwrap();
            if noted.len() < NOTED_MAX {
                noted.push(request.clone());
            }
            notes.asked.fetch_add(1, Ordering::SeqCst) + 1
        };
        match reply(&request, number) {
            Reply::Say(bytes) => stream.write_all(&bytes).await.unwrap_or(()),
            Reply::End(bytes) => return stream.write_all(&bytes).await.unwrap_or(()),
            Reply::Stall(bytes) => {
                let _ = stream.write_all(&bytes).await;
                // Until the other side gives up.
                let _ = stream.read(&mut [0; 1]).await;
                return;
            }
            Reply::Each(gate, pieces) => {
                for piece in pieces {
                    gate.acquire().await.unwrap().forget();
                    let _ = stream.write_all(&piece).await;
                }
                while matches!(stream.read(&mut [0; 1]).await, Ok(1)) {}
                return notes.left.add_permits(1);
            }
            Reply::Flood(bytes, again, most) => {
                let mut sent = stream.write_all(&bytes).await;
                while sent.is_ok() && notes.flooded.fetch_add(again.len(), Ordering::SeqCst) < most {
                    sent = stream.write_all(&again).await;
                }
                return;
            }
            Reply::Echo(bytes) => {
                let _ = stream.write_all(&bytes).await;
                return echo(stream, unread, &notes.echoed).await;
            }
            Reply::Wait(gate, bytes) => {
                gate.acquire().await.unwrap().forget();
                stream.write_all(&bytes).await.unwrap_or(());
            }
        }
    }
}

async fn echo(mut stream: TcpStream, mut bytes: Vec<u8>, echoed: &Mutex<Vec<u8>>) {
    loop {
        echoed.lock().unwrap().extend_from_slice(&bytes);
        if stream.write_all(&bytes).await.is_err() || bytes.ends_with(b"die") {
            return;
        }
        bytes.resize(16 << 10, 0);
        match stream.read(&mut bytes).await {
            Ok(read) if read > 0 => bytes.truncate(read),
            _ => {
                let _ = stream.write_all(b"bye").await;
                return;
            }
        }
    }
}

/// One request as text, its body by length or in chunks included.
async fn read_request(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<String> {
    let mut more = async |unread: &mut Vec<u8>| {
        let mut buffer = [0; 16 << 10];
        let read = stream.read(&mut buffer).await.unwrap_or(0);
        unread.extend_from_slice(&buffer[..read]);
        (read > 0).then_some(())
    };
    let end = loop {
        match unread.windows(4).position(|four| four == b"\r\n\r\n") {
            Some(end) => break end + 4,
            None => more(unread).await?,
        }
    };
    let head = String::from_utf8_lossy(&unread[..end]).to_lowercase();
    let length =
        head.split("\r\ncontent-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse::<usize>().ok());
    let chunked = head.contains("transfer-encoding: chunked");
    let whole = loop {
        let body = &unread[end..];
        match (length, chunked) {
            (Some(length), _) if body.len() >= length => break end + length,
            (None, true) if body.ends_with(b"0\r\n\r\n") => break unread.len(),
            (None, false) => break end,
            _ => more(unread).await?,
        }
    };
    Some(String::from_utf8_lossy(&unread.drain(..whole).collect::<Vec<u8>>()).into_owned())
}
