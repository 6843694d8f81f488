//! Connections to instances that wait for their next request: each thread has its own, each for one instance.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use skylift_balance::TargetId;
use tokio::net::TcpStream;

use crate::upstream::SentBody;

/// A connection's sending end.
pub(super) type Sender = SendRequest<SentBody>;

/// How long one waits. Shorter than servers keep theirs (gunicorn 2 s, Node 5 s), so that none is closed under a request.
const IDLE: Duration = Duration::from_millis(1500);
/// How many wait for one instance on one thread.
const WAITING_MAX: usize = 256;
/// From how many instances on those that are gone are looked for.
const TARGETS_MANY: usize = 1024;

struct Waiting {
    sender: Sender,
    since: Instant,
}

thread_local! {
    static LINES: RefCell<HashMap<TargetId, Vec<Waiting>>> = RefCell::default();
}

/// The connection of this thread that has waited least.
pub(super) fn take(target: &TargetId, now: Instant) -> Option<Sender> {
    LINES.with_borrow_mut(|lines| {
        let waiting = lines.get_mut(target)?;
        while let Some(Waiting { sender, since }) = waiting.pop() {
            if now.saturating_duration_since(since) >= IDLE {
                waiting.clear();
                break;
            }
            if sender.is_ready() {
                return Some(sender);
            }
        }
        lines.remove(target);
        None
    })
}

/// Keeps a connection for the next request.
pub(super) fn give(target: TargetId, sender: Sender, now: Instant) {
    if sender.is_closed() {
        return;
    }
    LINES.with_borrow_mut(|lines| {
        if lines.len() >= TARGETS_MANY {
            lines.retain(|_, waiting| {
                waiting.last().is_some_and(|last| now.saturating_duration_since(last.since) < IDLE)
            });
        }
        let waiting = lines.entry(target).or_default();
        if waiting.len() < WAITING_MAX {
            waiting.push(Waiting { sender, since: now });
        }
    });
}

/// Closes what waits for an instance that is not to be asked any more.
pub(super) fn drop_all(target: &TargetId) {
    LINES.with_borrow_mut(|lines| lines.remove(target));
}

/// Begins to speak on a new connection; it is served on this thread for as long as it lasts.
pub(super) async fn open(stream: TcpStream) -> hyper::Result<Sender> {
    let (sender, connection) = http1::Builder::new().handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // How it ended whoever asked is told.
        let _ = connection.await;
    });
    Ok(sender)
}
