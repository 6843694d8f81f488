//! Clients that count: reads, slow reads and uploads, on connections of their own and on ones that last, never repeated.

use std::net::SocketAddr;
use std::time::Duration;

use skylift_tests::http::Request;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Clients at work.
pub(crate) struct Load {
    stop: watch::Sender<bool>,
    clients: Vec<JoinHandle<Told>>,
}

/// What they were told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) answers: u64,
    pub(crate) uploads: u64,
    /// Answers that were not 200, and requests without one.
    pub(crate) failed: Vec<String>,
}

impl Load {
    /// Begins to ask a host.
    pub(crate) fn begin(to: SocketAddr, host: &'static str) -> Self {
        let (stop, stopped) = watch::channel(false);
        let kinds = [Kind::Read, Kind::Read, Kind::Slow, Kind::Upload];
        let clients = kinds.map(|kind| tokio::spawn(ask(to, host, kind, stopped.clone()))).into();
        Self { stop, clients }
    }

    /// Ends it.
    pub(crate) async fn end(self) -> Told {
        let _ = self.stop.send(true);
        let mut all = Told::default();
        for client in self.clients {
            let told = client.await.unwrap();
            all.answers += told.answers;
            all.uploads += told.uploads;
            all.failed.extend(told.failed);
        }
        all
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Read,
    Slow,
    Upload,
}

async fn ask(to: SocketAddr, host: &'static str, kind: Kind, mut stopped: watch::Receiver<bool>) -> Told {
    let mut told = Told::default();
    let mut ticks = tokio::time::interval(Duration::from_millis(40));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.wait_for(|stop| *stop) => return told,
        }
        let request = match kind {
            Kind::Read => Request::get("/"),
            Kind::Slow => Request::get("/slow"),
            Kind::Upload => Request::post("/").body(vec![b'x'; 20_000]),
        };
        match request.host(host).try_send(to).await {
            Some(response) if response.status == 200 => {
                told.answers += 1;
                if matches!(kind, Kind::Upload) {
                    told.uploads += 1;
                    if !response.text().ends_with(" 20000") {
                        told.failed.push(response.brief());
                    }
                }
            }
            Some(response) => told.failed.push(response.brief()),
            None => told.failed.push("no answer".to_owned()),
        }
    }
}
