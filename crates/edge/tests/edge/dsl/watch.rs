//! Good clients that ask all the while, and note what they were answered and how long that took.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::PATIENCE;

/// Clients under way.
pub(crate) struct Watch {
    stop: watch::Sender<bool>,
    wrong: watch::Sender<usize>,
    clients: Vec<JoinHandle<Seen>>,
}

/// What they saw.
#[derive(Default)]
pub(crate) struct Seen {
    /// How many questions were answered as they should be.
    pub(crate) good: usize,
    /// What came instead, the first few.
    pub(crate) wrong: Vec<String>,
    took: Vec<Duration>,
}

impl Watch {
    /// One client for each host, which asks for `/` on one connection, `pace` after each answer, and wants 200 and this body.
    pub(crate) fn start(address: SocketAddr, pace: Duration, wanted: &[(&str, &str)]) -> Self {
        let (stop, wrong) = (watch::Sender::new(false), watch::Sender::new(0));
        let client = |(host, body): &(&str, &str)| {
            let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n");
            tokio::spawn(ask_on(address, (request, (*body).to_owned()), pace, (stop.subscribe(), wrong.clone())))
        };
        let clients = wanted.iter().map(client).collect();
        Self { stop, wrong, clients }
    }

    /// Waits until an answer is not as it should be.
    pub(crate) async fn until_wrong(&self) {
        let mut wrong = self.wrong.subscribe();
        timeout(PATIENCE, wrong.wait_for(|wrong| *wrong > 0)).await.expect("a wrong answer in time").unwrap();
    }

    /// Ends them; what all of them saw.
    pub(crate) async fn end(self) -> Seen {
        self.stop.send(true).unwrap();
        let mut all = Seen::default();
        for client in self.clients {
            let seen = client.await.unwrap();
            all.good += seen.good;
            all.wrong.extend(seen.wrong);
            all.took.extend(seen.took);
        }
        all.took.sort();
        all
    }
}

impl Seen {
    /// 99 of 100 answers took no longer.
    pub(crate) fn p99(&self) -> Duration {
        self.took[(self.took.len() - 1) * 99 / 100]
    }
}

async fn ask_on(
    address: SocketAddr,
    (request, body): (String, String),
    pace: Duration,
    (stopped, wrongs): (watch::Receiver<bool>, watch::Sender<usize>),
) -> Seen {
    let mut seen = Seen::default();
    let mut stream = TcpStream::connect(address).await.unwrap();
    while !*stopped.borrow() {
        let began = Instant::now();
        let answer = timeout(PATIENCE, exchange(&mut stream, &request)).await;
        seen.took.push(began.elapsed());
        match answer {
            Ok(Some(answer)) if answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(&format!("\r\n\r\n{body}")) => {
                seen.good += 1;
            }
            wrong => {
                wrongs.send_modify(|wrong| *wrong += 1);
                if seen.wrong.len() < 10 {
                    seen.wrong.push(format!("{wrong:?}").chars().take(80).collect());
                }
                stream = TcpStream::connect(address).await.unwrap();
            }
        }
        sleep(pace).await;
    }
    seen
}

/// One answer, head and body; `None` where the server closes before its end.
async fn exchange(stream: &mut TcpStream, request: &str) -> Option<String> {
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    let mut buffer = vec![0; 16 << 10];
    loop {
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => answer.extend_from_slice(&buffer[..read]),
            _ => return None,
        }
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length? {
            return Some(text.into_owned());
        }
    }
}
