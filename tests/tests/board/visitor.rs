//! A visitor who leaves one message after the other, each sent once.

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use skylift_tests::http::{Request, Response};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const EVERY: Duration = Duration::from_millis(25);

pub(crate) struct Visitor {
    stop: watch::Sender<bool>,
    writing: JoinHandle<Told>,
}

/// What became of the messages.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Those that were confirmed.
    pub(crate) posted: Vec<String>,
    /// Those that were not.
    pub(crate) failed: Vec<Failed>,
}

#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) text: String,
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    /// What was said instead.
    #[expect(dead_code, reason = "shown where a test fails")]
    pub(crate) said: String,
}

impl Visitor {
    /// Begins to write on the board at a host.
    pub(crate) fn begin(to: SocketAddr, host: &'static str) -> Self {
        let (stop, stopped) = watch::channel(false);
        Self { stop, writing: tokio::spawn(write(to, host, stopped)) }
    }

    pub(crate) async fn end(self) -> Told {
        let _ = self.stop.send(true);
        self.writing.await.unwrap()
    }
}

/// Sends one message; its text is its token, too.
pub(crate) async fn post(to: SocketAddr, host: &str, text: &str) -> Option<Response> {
    let form = format!("name=Ada&message={text}&token={text}");
    let request = Request::post("/").host(host).header("content-type", "application/x-www-form-urlencoded");
    request.body(form).try_send(to).await
}

async fn write(to: SocketAddr, host: &str, mut stopped: watch::Receiver<bool>) -> Told {
    let mut told = Told::default();
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for number in 0.. {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.wait_for(|stop| *stop) => break,
        }
        let (text, began) = (format!("message-{number:05}"), Instant::now());
        match post(to, host, &text).await {
            Some(answer) if answer.status == 303 => told.posted.push(text),
            answer => {
                let said = answer.map_or_else(|| "nothing".to_owned(), |answer| answer.brief());
                told.failed.push(Failed { text, began, ended: Instant::now(), said });
            }
        }
    }
    told
}
