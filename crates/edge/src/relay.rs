//! Plain requests to apps that run, passed on without being taken apart: the client's bytes become the instance's, and back.
//!
//! ```text
//! fast ──▶ pick ──▶ attempt: a connection that waits, or a new one ──▶ request ──▶ head, and all of a small body ──▶ one write
//!            └ failed: once more, where that is safe ◀──┘                             └ more: as it comes ──▶ writes
//! ```
//!
//! It is to apps what `fast` is to files: the same answers as by [`crate::gateway`] and [`crate::program`], whose rules it asks, for
//! a part of the cost; `tests/edge/relay.rs` holds it to that. What it does not know is left to those, unread.

mod attempt;
mod deliver;
mod head;
mod reframe;
pub(crate) mod request;
mod spare;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;
use skylift_balance::{Group, Outcome, Replay};

use crate::gateway::Gateway;
use crate::gateway::from_program::seed;
use crate::plain::note::Note;
use crate::program::{Attempts, Trouble};
use crate::routes::table::Route;
use crate::transport::Transport;
use attempt::Come;
use deliver::Begun;
use spare::Spare;

/// How often it is looked whether a client is still there that nothing can be read from.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A plain request to an app that runs.
pub(crate) struct Relay {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) route: Arc<Route>,
    pub(crate) group: Group,
    /// How many of the unread bytes it takes.
    pub(crate) length: usize,
    /// As the instance gets it.
    pub(crate) request: Spare,
    pub(crate) method: Method,
    /// The status is not known yet.
    pub(crate) note: Note<'static>,
}

/// How its connection goes on.
pub(crate) enum Passed {
    /// With the next request.
    On,
    /// It is over.
    Closed,
    /// With the same request: it is for the strict implementation.
    Odd,
}

impl Relay {
    /// Has an instance answer. `unread` begins with the request; what the client sends meanwhile is added.
    pub(crate) async fn run<T: Transport>(self, io: &mut T, unread: &mut Vec<u8>) -> Passed {
        let mut attempts = Attempts::new(&self.group, seed(&self.note.id));
        loop {
            let mut in_flight = match attempts.pick(None).await {
                Ok(in_flight) => in_flight,
                Err(unserved) => return self.refuse(io, unread, &Trouble::Unserved(unserved)).await,
            };
            in_flight.asked(Instant::now());
            let failed = match self.attempt(&in_flight, io).await {
                Ok(Come::Front(stream, front)) => {
                    let status = front.head.status.as_u16();
                    in_flight.record(Outcome::Answered { status }, Instant::now());
                    return self.deliver(Begun { stream, in_flight, front }, io, unread).await;
                }
                Ok(Come::Odd) => return Passed::Odd,
                Ok(Come::ClientLeft) => return Passed::Closed,
                Err(failed) => failed,
            };
            if !attempts.again(in_flight, &failed, (&self.method, Replay::Empty)) {
                return self.refuse(io, unread, &failed.trouble).await;
            }
        }
    }
}
