//! Clients that ask all the while, and what they may be told: no version older than one that was confirmed when they asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use skylift_tests::{Request, Response};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

const EVERY: Duration = Duration::from_millis(20);

/// What was to be live, one after the other; a version may come back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Course {
    versions: Vec<&'static str>,
    /// Up to here it was confirmed.
    confirmed: usize,
}

impl Course {
    /// A version may answer from now on. Saying so twice, since an act is repeated, changes nothing.
    pub(crate) fn comes(&mut self, version: &'static str) {
        if self.versions.last() != Some(&version) {
            self.versions.push(version);
        }
    }

    /// It was said that the last one is live: no older one answers what is asked from now on.
    pub(crate) fn is_confirmed(&mut self) {
        self.confirmed = self.versions.len().saturating_sub(1);
    }

    /// What may answer whoever asked when so many were confirmed.
    fn allows(&self, version: &str, since: usize) -> bool {
        self.versions.iter().skip(since).any(|known| *known == version)
    }
}

/// What a client was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) answers: u64,
    pub(crate) wrong: Vec<String>,
    /// How often nobody answered, several times in a row counting once.
    pub(crate) outages: u32,
}

/// Clients at work: one reads, one writes.
pub(crate) struct Clients {
    stop: watch::Sender<bool>,
    all: Vec<Client>,
}

struct Client {
    asking: JoinHandle<()>,
    told: Arc<Mutex<Told>>,
}

impl Clients {
    pub(crate) fn come(to: SocketAddr, host: &'static str, course: &Arc<Mutex<Course>>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let requests = [Request::get("/"), Request::post("/").body(vec![b'x'; 20_000])];
        let all = requests.map(|request| {
            let told = Arc::<Mutex<Told>>::default();
            let client = ask(request.host(host), to, Arc::clone(course), Arc::clone(&told), stopped.clone());
            Client { asking: tokio::spawn(client), told }
        });
        Self { stop, all: all.into() }
    }

    /// Fails the test where one of them was told something wrong, or was left without an answer more often than that.
    pub(crate) fn are_served_but_for(&self, outages: u32) {
        for client in &self.all {
            are_served_but_for(&client.told, outages);
        }
    }

    /// Everybody finishes what they do. Returns how many answers there were.
    pub(crate) async fn leave(self, outages: u32) -> u64 {
        let _ = self.stop.send(true);
        let mut answers = 0;
        for client in self.all {
            client.asking.await.unwrap();
            are_served_but_for(&client.told, outages);
            answers += client.told.lock().unwrap().answers;
        }
        answers
    }
}

fn are_served_but_for(told: &Mutex<Told>, outages: u32) {
    let told = told.lock().unwrap().clone();
    assert!(told.wrong.is_empty(), "{:?}", told.wrong);
    assert!(told.outages <= outages, "{} times without an answer, {outages} deaths", told.outages);
}

async fn ask(
    request: Request,
    to: SocketAddr,
    course: Arc<Mutex<Course>>,
    told: Arc<Mutex<Told>>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_out = false;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        let since = course.lock().unwrap().confirmed;
        let answer = request.clone().try_send(to).await;
        let mut told = told.lock().unwrap();
        match answer {
            // Whoever waited for an instance too long, on a machine that starts none meanwhile, had no platform either.
            None | Some(Response { status: 503, .. }) => {
                told.outages += u32::from(!is_out);
                is_out = true;
            }
            Some(answer) => {
                is_out = false;
                told.answers += 1;
                let course = course.lock().unwrap();
                if answer.status != 200 || !course.allows(&answer.text(), since) {
                    let brief: String = answer.brief().chars().take(60).collect();
                    told.wrong.push(format!("{brief} to one of {:?}", &course.versions[since..]));
                }
            }
        }
    }
}

/// The control of the client itself.
#[test]
fn a_version_older_than_one_that_was_confirmed_is_wrong() {
    let mut course = Course::default();
    course.comes("one");
    course.is_confirmed();
    course.comes("two");
    let asked_before = course.confirmed;
    assert!(course.allows("one", asked_before) && course.allows("two", asked_before));
    course.is_confirmed();
    assert!(course.allows("one", asked_before), "it was asked for before");
    assert!(!course.allows("one", course.confirmed) && course.allows("two", course.confirmed));
    course.comes("one");
    assert!(course.allows("one", course.confirmed), "a rollback");
}
