//! Connections that wait for their next request: a few, for a short time, each for one app and one host.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::client::conn::http1::SendRequest;
use skylift_model::AppName;

use super::SentBody;
use super::target::{Scheme, Target};

/// A connection's sending end.
pub(crate) type Sender = SendRequest<SentBody>;

/// Whose connection it is, and where it leads. Apps share none: what one of them leaves behind on a connection must not
/// be another one's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    app: AppName,
    scheme: Scheme,
    host: skylift_egress::Target,
    port: u16,
}

/// The waiting connections.
pub(crate) struct Pool {
    waiting: Mutex<VecDeque<Waiting>>,
    most: usize,
    idle: Duration,
}

struct Waiting {
    line: Line,
    sender: Sender,
    since: Instant,
}

impl Line {
    pub(crate) fn new(app: &AppName, target: &Target) -> Self {
        Self { app: app.clone(), scheme: target.scheme, host: target.host.clone(), port: target.port }
    }
}

impl Pool {
    pub(crate) fn new(most: usize, idle: Duration) -> Self {
        Self { waiting: Mutex::default(), most, idle }
    }

    /// The connection that has waited least: it is the likeliest to be open still.
    pub(crate) fn take(&self, line: &Line, now: Instant) -> Option<Sender> {
        let mut waiting = self.lock();
        self.drop_old(&mut waiting, now);
        let place = waiting.iter().rposition(|one| one.line == *line)?;
        waiting.remove(place).map(|one| one.sender)
    }

    /// Keeps a connection whose answer has ended.
    pub(crate) fn give(&self, line: Line, sender: Sender, now: Instant) {
        if sender.is_closed() {
            return;
        }
        let mut waiting = self.lock();
        self.drop_old(&mut waiting, now);
        if waiting.len() >= self.most {
            waiting.pop_front();
        }
        if self.most > 0 {
            waiting.push_back(Waiting { line, sender, since: now });
        }
    }

    /// Closes the connection that has waited longest; whether there was one.
    pub(crate) fn close_one(&self) -> bool {
        self.lock().pop_front().is_some()
    }

    fn drop_old(&self, waiting: &mut VecDeque<Waiting>, now: Instant) {
        waiting.retain(|one| !one.sender.is_closed() && now.saturating_duration_since(one.since) < self.idle);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
