//! A clean client that asks for a page all the time, whatever is done to the platform: what it misses counts.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Fifty requests a second: the pace of the probe, which nothing waits for.
const EVERY: Duration = Duration::from_millis(20);
/// How long an answer may take before it counts as none.
const PATIENCE: Duration = Duration::from_secs(5);

/// A probe at work, on a thread of its own.
pub struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Probed>,
}

/// What a probe saw.
#[derive(Debug, Default)]
pub struct Probed {
    pub answers: usize,
    /// Whatever was not 200 with a page that begins as it must.
    pub failures: Vec<String>,
    pub slowest: Duration,
}

impl Probe {
    /// Asks for `/` of a host; every answer must be 200 and begin with `page`.
    pub fn start(address: SocketAddr, host: &str, page: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, host, page) = (stop.clone(), host.to_owned(), page.to_owned());
        let thread = std::thread::spawn(move || {
            let mut probed = Probed::default();
            while !stopped.load(Ordering::SeqCst) {
                let began = Instant::now();
                match ask(address, &host) {
                    Ok((200, body)) if body.starts_with(&page) => {}
                    Ok((status, body)) => probed.failures.push(format!("{status} {body}")),
                    Err(error) => probed.failures.push(error.to_string()),
                }
                probed.answers += 1;
                probed.slowest = probed.slowest.max(began.elapsed());
                std::thread::park_timeout(EVERY.saturating_sub(began.elapsed()));
            }
            probed
        });
        Self { stop, thread }
    }

    /// Ends it; fails the test unless every answer was as it must be.
    #[track_caller]
    #[expect(clippy::print_stderr, reason = "a figure of the test")]
    pub fn was_never_let_down(self) -> Probed {
        self.stop.store(true, Ordering::SeqCst);
        let probed = self.thread.join().expect("the probe ends");
        assert!(probed.failures.is_empty(), "{} of {}: {:?}", probed.failures.len(), probed.answers, probed.failures);
        assert!(probed.answers > 10, "the probe hardly asked");
        eprintln!("figure: {} answers, 0 failures, slowest {:?}", probed.answers, probed.slowest);
        probed
    }
}

fn ask(address: SocketAddr, host: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let cut = || std::io::Error::other("the answer was cut");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(cut)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(cut)?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    if length.is_some_and(|length| length != body.len()) {
        return Err(cut());
    }
    Ok((status, body.to_owned()))
}
