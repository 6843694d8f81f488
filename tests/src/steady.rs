//! A client that asks for one page fifty times a second, whatever happens to the platform meanwhile.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::http::Request;

/// How often it asks.
const EVERY: Duration = Duration::from_millis(20);

/// A client at work.
pub struct Steady {
    stop: watch::Sender<bool>,
    asking: JoinHandle<Told>,
}

/// What it was told.
#[derive(Debug, Default)]
pub struct Told {
    /// How long each answer took.
    pub answers: Vec<Duration>,
    /// Answers that were not the page.
    pub wrong: Vec<String>,
    /// How often nobody answered, one time after the other counting once: each is a time without a platform.
    pub outages: u32,
    /// How many of its requests were not answered.
    pub unanswered: u64,
}

impl Steady {
    /// Begins to ask a host for `/`, whose answer must be `page` from the first time on that it is.
    pub fn begin(to: SocketAddr, host: String, page: &str) -> Self {
        let (stop, stopped) = watch::channel(false);
        let asking = tokio::spawn(ask(to, host, format!("200 {page}"), stopped));
        Self { stop, asking }
    }

    /// Ends it.
    pub async fn end(self) -> Told {
        let _ = self.stop.send(true);
        self.asking.await.unwrap()
    }
}

async fn ask(to: SocketAddr, host: String, page: String, mut stopped: watch::Receiver<bool>) -> Told {
    let mut told = Told::default();
    let mut is_out = false;
    let mut is_served = false;
    let mut ticks = tokio::time::interval(EVERY);
    // After a slow answer it goes on at its pace, and does not make up for what it did not ask.
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.wait_for(|stop| *stop) => return told,
        }
        let asked = Instant::now();
        let answer = Request::get("/").host(&host).try_send(to).await;
        // The rows say that it is live a moment before the edge does.
        is_served |= answer.as_ref().is_some_and(|answer| answer.brief() == page);
        match answer {
            _ if !is_served => {}
            Some(answer) => {
                is_out = false;
                told.answers.push(asked.elapsed());
                if answer.brief() != page {
                    told.wrong.push(answer.brief());
                }
            }
            None => {
                told.unanswered += 1;
                told.outages += u32::from(!is_out);
                is_out = true;
            }
        }
    }
}

impl Told {
    /// The time within which 99 of 100 answers came.
    pub fn p99(&self) -> Duration {
        let mut sorted = self.answers.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() * 99 / 100).copied().unwrap_or_default()
    }
}
