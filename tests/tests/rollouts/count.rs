//! Clients that count who answers: reads and uploads at a steady rate, each on a connection of its own, never repeated.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use skylift_tests::http::Request;
use skylift_tests::wait;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How often each of them asks.
const EVERY: Duration = Duration::from_millis(25);

/// Clients at work.
pub(crate) struct Count {
    stop: watch::Sender<bool>,
    clients: Vec<JoinHandle<()>>,
    answers: Arc<Mutex<Vec<Answer>>>,
}

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) asked: Instant,
    pub(crate) ended: Instant,
    /// The version that answered.
    pub(crate) version: String,
    /// 0 where there was none.
    pub(crate) status: u16,
}

impl Count {
    /// Begins to ask a host.
    pub(crate) fn begin(to: SocketAddr, host: &'static str) -> Self {
        let (stop, stopped) = watch::channel(false);
        let answers = Arc::default();
        let client = |number| tokio::spawn(ask(to, host, number, stopped.clone(), Arc::clone(&answers)));
        let clients = (0..4).map(client).collect();
        Self { stop, clients, answers }
    }

    /// Waits for so many more answers, and returns those that were asked for and given meanwhile.
    pub(crate) async fn more(&self, count: usize) -> Vec<Answer> {
        let began = Instant::now();
        wait::until("answers", async || {
            let since: Vec<Answer> = self.since(began);
            (since.len() >= count).then_some(since)
        })
        .await
    }

    /// Answers that were asked for since then.
    pub(crate) fn since(&self, began: Instant) -> Vec<Answer> {
        self.answers.lock().unwrap().iter().filter(|answer| answer.asked >= began).cloned().collect()
    }

    /// Ends it.
    pub(crate) async fn end(self) -> Vec<Answer> {
        let _ = self.stop.send(true);
        for client in self.clients {
            client.await.unwrap();
        }
        std::mem::take(&mut *self.answers.lock().unwrap())
    }
}

async fn ask(
    to: SocketAddr,
    host: &'static str,
    number: u32,
    mut stopped: watch::Receiver<bool>,
    answers: Arc<Mutex<Vec<Answer>>>,
) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        let request = if number == 0 { Request::post("/").body(vec![b'x'; 20_000]) } else { Request::get("/") };
        let asked = Instant::now();
        let answer = request.host(host).try_send(to).await;
        let (status, version) = answer.map_or((0, String::new()), |answer| (answer.status, answer.text()));
        answers.lock().unwrap().push(Answer { asked, ended: Instant::now(), version, status });
    }
}

/// Those that failed.
pub(crate) fn failed(answers: &[Answer]) -> Vec<Answer> {
    answers.iter().filter(|answer| answer.status != 200).cloned().collect()
}

/// How many of 100 answers a version gave.
pub(crate) fn percent_of(answers: &[Answer], version: &str) -> usize {
    answers.iter().filter(|answer| answer.version == version).count() * 100 / answers.len().max(1)
}
