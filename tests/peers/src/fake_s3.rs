//! An S3 server in memory that fails on demand: what no real one does when a test wants it.
//!
//! It checks digests of bodies, not signatures. Its objects can be looked at, damaged and made old.

mod serve;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// What goes wrong with one request.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// This status, with this code; nothing is done.
    Status(u16, &'static str),
    /// The connection is reset; nothing is done.
    Reset,
    /// It is done, but the connection is reset before the answer.
    ResetAfter,
    /// The body of the answer ends early.
    Cut,
    /// One bit of the answer's body is wrong.
    Flip,
    /// No answer ever.
    Silence,
}

pub struct FakeS3 {
    port: u16,
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, BTreeMap<u64, Vec<u8>>>,
    troubles: VecDeque<(&'static str, Trouble)>,
    held: Option<Hold>,
    requests: Vec<String>,
    next_upload: u64,
}

/// Requests of this method wait; the first of them says so.
struct Hold {
    method: &'static str,
    until_dropped: watch::Receiver<bool>,
    reached: Option<oneshot::Sender<()>>,
}

#[derive(Clone)]
struct Object {
    bytes: Vec<u8>,
    stored: SystemTime,
}

/// Requests of a kind wait, before anything is done, until this is dropped.
pub struct Held {
    _release: watch::Sender<bool>,
    waits: Option<oneshot::Receiver<()>>,
}

impl Held {
    /// Waits until a request waits.
    pub async fn reached(&mut self) {
        self.waits.take().expect("asked once").await.unwrap();
    }
}

impl FakeS3 {
    pub const BUCKET: &str = "fake";

    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let server = tokio::spawn(serve::run(listener, state.clone()));
        Self { port, state, server }
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The next requests of this method (any, where it is empty) go wrong, one trouble each.
    pub fn trouble(&self, method: &'static str, troubles: &[Trouble]) {
        self.state().troubles.extend(troubles.iter().map(|trouble| (method, trouble.clone())));
    }

    /// No more troubles.
    pub fn recover(&self) {
        self.state().troubles.clear();
    }

    /// Holds requests of this method.
    pub fn hold(&self, method: &'static str) -> Held {
        let (release, until_dropped) = watch::channel(false);
        let (reached, waits) = oneshot::channel();
        self.state().held = Some(Hold { method, until_dropped, reached: Some(reached) });
        Held { _release: release, waits: Some(waits) }
    }

    /// Every request so far, as `METHOD key?query`.
    pub fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    /// The keys that begin so.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        self.state().objects.keys().filter(|key| key.starts_with(prefix)).cloned().collect()
    }

    /// Changes the bytes of an object behind everybody's back.
    pub fn damage(&self, key: &str, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.state().objects.get_mut(key).expect("it is stored").bytes);
    }

    /// Loses an object.
    pub fn lose(&self, key: &str) {
        self.state().objects.remove(key).expect("it is stored");
    }

    /// Makes every object whose key begins so seem stored that much earlier.
    pub fn age(&self, prefix: &str, by: Duration) {
        for (_, object) in self.state().objects.iter_mut().filter(|(key, _)| key.starts_with(prefix)) {
            object.stored -= by;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for FakeS3 {
    fn drop(&mut self) {
        self.server.abort();
    }
}
