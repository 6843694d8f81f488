//! Which database the rows are in, and how sessions on it are opened.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::postgres::Server;
use crate::session::Session;
use crate::session::postgres::PostgresSession;
use crate::{StoreError, schema};

/// How long after a failed attempt the next one follows, at first and at most; doubled in between.
const AGAIN_AFTER: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(1)];
/// How often it is looked whether two connections are two sessions.
const SESSION_LOOKS: usize = 3;

/// Where the rows are.
#[derive(Clone)]
pub(crate) enum Database {
    /// A file of this machine, ours alone.
    Sqlite(PathBuf),
    /// A server that other processes use as well.
    Postgres(Box<Server>),
}

impl Database {
    /// A session that writes, on a schema that is up to date.
    pub(crate) fn open_writer(&self) -> Result<Session, StoreError> {
        match self {
            Self::Sqlite(path) => schema::sqlite::open(path).map(Session::sqlite),
            Self::Postgres(server) => {
                let session = patiently(server)?;
                session.hold(server.alone)?;
                schema::postgres::bring_up_to_date(&session)?;
                Ok(Session::Postgres(Box::new(session)))
            }
        }
    }

    /// An error where another connection would share the session of this one, which is idle: a pooler lies between, and
    /// keeps a session for a transaction only. Tried more than once: others may use the session at the moment.
    pub(crate) fn require_sessions(&self, session: &Session) -> Result<(), StoreError> {
        let Session::Postgres(session) = session else { return Ok(()) };
        let other = self.open_reader()?;
        let Session::Postgres(other) = &other else { return Ok(()) };
        for _ in 0..SESSION_LOOKS {
            if session.backend()? == other.backend()? {
                return Err(StoreError::Pooled);
            }
        }
        Ok(())
    }

    /// Whether the rows are in a file of this machine's.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// How many sessions that read are kept while they are idle. One on a file costs some memory, and to open it the whole schema is read;
    /// a server counts its connections.
    pub(crate) fn idle_max(&self) -> usize {
        match self {
            Self::Sqlite(_) => 8,
            Self::Postgres(_) => 4,
        }
    }

    /// A session that only reads.
    pub(crate) fn open_reader(&self) -> Result<Session, StoreError> {
        match self {
            Self::Sqlite(path) => schema::sqlite::open_reader(path).map(Session::sqlite),
            Self::Postgres(server) => patiently(server).map(|session| Session::Postgres(Box::new(session))),
        }
    }
}

impl std::fmt::Display for Database {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(out, "SQLite in {}", path.display()),
            Self::Postgres(server) => write!(out, "{}", server.shown()),
        }
    }
}

/// A session; tries again for a while where the server cannot be reached.
fn patiently(server: &Server) -> Result<PostgresSession, StoreError> {
    let [mut pause, longest] = AGAIN_AFTER;
    let begun = Instant::now();
    loop {
        match PostgresSession::connect(server) {
            Err(StoreError::Unavailable(_)) if begun.elapsed() < server.patience() => {}
            done => return done,
        }
        std::thread::park_timeout(pause);
        pause = (pause * 2).min(longest);
    }
}
