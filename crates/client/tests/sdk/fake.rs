//! A small server that speaks the `/v1` contract from memory, and misbehaves on request.
//!
//! Builds end at once, as told by [`Script`]. Every request is kept for tests to look at.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of this")]

// By path, so that the command line's tests can include this file from where they are.
#[path = "fake/answer.rs"]
mod answer;
#[path = "fake/stream.rs"]
mod stream;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use skylift_model::wire::{App, Deployment, Event, Failure, Key, LogLine, Stream};
use skylift_model::{AppName, DeploymentState, Digest, FileEntry, Timestamp};

pub const TOKEN: &str = "secret-token";
pub type Answer = Response<UnsyncBoxBody<Bytes, std::io::Error>>;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What of a mutation is lost on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    Request,
    Answer,
}

/// What the server does.
#[derive(Default)]
pub struct Script {
    /// How builds end; live where it is not said. `Queued`: never.
    pub ends: Option<DeploymentState>,
    pub failure: Option<Failure>,
    /// The lines of every log.
    pub log: Vec<String>,
    /// So many of the next requests whose path contains the text get no answer: their connection closes.
    pub drops: Option<(&'static str, usize)>,
    /// So many of the next mutations whose path contains the text get no answer, done or not.
    pub loses: Option<(&'static str, usize, Lost)>,
    /// So many of the next requests whose path contains the text are answered with that status and `Retry-After`.
    pub busy: Option<(&'static str, usize, u16, &'static str)>,
    /// So many of the next streams whose path contains the text break after as many events.
    pub breaks: Option<(&'static str, usize, usize)>,
    /// The first event says what the real server's does, and no more.
    pub says_queued: bool,
    /// The number each event's id is wrong by.
    pub id_shift: u64,
    /// What becomes of every run.
    pub run: serde_json::Value,
    /// Answers instead of the server's own: path contains, status, body.
    pub says: Option<(&'static str, u16, String)>,
}

#[derive(Default)]
pub struct State {
    pub script: Script,
    pub seen: Vec<Seen>,
    pub apps: BTreeMap<AppName, App>,
    pub deployments: Vec<Deployment>,
    pub env: BTreeMap<String, String>,
    pub source: Vec<FileEntry>,
    pub keys: Vec<Key>,
    stored: BTreeSet<(AppName, Digest)>,
    uploads: HashMap<String, (AppName, Vec<FileEntry>)>,
}

/// The running server; it ends with the test's process.
pub struct Fake {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Fake {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let (sender, receiver) = std::sync::mpsc::channel();
        let serving = Arc::clone(&state);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                sender.send(listener.local_addr().unwrap()).unwrap();
                loop {
                    let (socket, _) = listener.accept().await.unwrap();
                    tokio::spawn(serve(socket, Arc::clone(&serving)));
                }
            });
        });
        Self { address: receiver.recv().unwrap(), state }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The requests so far whose method and path (without query) are these; `*` stands for anything in a path's part.
    pub fn seen(&self, method: Method, path: &str) -> Vec<Seen> {
        let is_path = |seen: &Seen| {
            let parts: Vec<&str> = seen.path.split('?').next().unwrap().split('/').collect();
            let wanted: Vec<&str> = path.split('/').collect();
            parts.len() == wanted.len()
                && parts.iter().zip(wanted).all(|(part, wanted)| wanted == "*" || *part == wanted)
        };
        self.state().seen.iter().filter(|seen| seen.method == method && is_path(seen)).cloned().collect()
    }

    pub fn create_app(&self, name: &str) {
        let name: AppName = name.parse().unwrap();
        self.state().apps.insert(name.clone(), answer::new_app(name));
    }
}

async fn serve(socket: tokio::net::TcpStream, state: Arc<Mutex<State>>) {
    let service = hyper::service::service_fn(move |request| handle(request, Arc::clone(&state)));
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
}

async fn handle(request: Request<Incoming>, state: Arc<Mutex<State>>) -> Result<Answer, std::io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let path = head.uri.path_and_query().unwrap().to_string();
    let seen = Seen { method: head.method, path, headers: head.headers, body };
    let mut state = state.lock().unwrap();
    state.seen.push(seen.clone());
    if let Some((path, left)) = &mut state.script.drops
        && seen.path.contains(*path)
        && *left > 0
    {
        *left -= 1;
        return Err(std::io::Error::other("dropped"));
    }
    if let Some((path, left, status, after)) = &mut state.script.busy
        && seen.path.contains(*path)
        && *left > 0
    {
        *left -= 1;
        return Ok(answer::busy(*status, after));
    }
    let lost = lost(&mut state.script, &seen);
    if lost == Some(Lost::Request) {
        return Err(std::io::Error::other("lost"));
    }
    let answer = answer::answer(&mut state, &seen);
    if lost == Some(Lost::Answer) { Err(std::io::Error::other("lost")) } else { Ok(answer) }
}

fn lost(script: &mut Script, seen: &Seen) -> Option<Lost> {
    let (path, left, lost) = script.loses.as_mut()?;
    let is_meant = seen.method != Method::GET && seen.path.contains(*path) && *left > 0;
    *left -= usize::from(is_meant);
    is_meant.then_some(*lost)
}

/// The log of every deployment.
pub fn log_lines(script: &Script) -> Vec<LogLine> {
    let line = |(at, text): (usize, &String)| LogLine {
        seq: at as u64 + 1,
        at: Timestamp::from_millis(0),
        step: "build".to_owned(),
        stream: Stream::Stdout,
        text: text.clone(),
    };
    script.log.iter().enumerate().map(line).collect()
}

/// The events of every deployment.
pub fn events(script: &Script) -> Vec<Event> {
    let mut states = vec![DeploymentState::Queued];
    match script.ends.unwrap_or(DeploymentState::Live) {
        DeploymentState::Queued => {}
        DeploymentState::Live => {
            states.extend([DeploymentState::Building, DeploymentState::Deploying, DeploymentState::Live]);
        }
        end => states.extend([DeploymentState::Building, end]),
    }
    let message = |state: DeploymentState| match state {
        DeploymentState::Queued if script.says_queued => "queued".to_owned(),
        _ => format!("{state}: as scripted"),
    };
    let event = |(at, state): (usize, DeploymentState)| Event {
        seq: at as u64 + 1,
        at: Timestamp::from_millis(0),
        state,
        message: message(state),
    };
    states.into_iter().enumerate().map(event).collect()
}
