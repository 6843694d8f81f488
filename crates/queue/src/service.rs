//! A queue beside the rows: which run goes to whom, and when.
//!
//! What it says is a hint. Whether a run may be taken, and whether what came of it counts, its row decides. A message may come twice, late,
//! or never: what waits and was never announced, or was forgotten, is announced again ([`crate::Queue::sweep`]).

pub(crate) mod redis;
#[cfg(feature = "sqs")]
pub(crate) mod sqs;

use std::time::Duration;

use futures_util::future::BoxFuture;
use skylift_model::RunId;

/// Why a queue service did not do as it was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{service} does not do as it is asked: {why}")]
pub struct ServiceError {
    pub service: &'static str,
    pub why: String,
}

/// What became of asking it.
pub type Served<'s, T> = BoxFuture<'s, Result<T, ServiceError>>;

/// A run that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub id: RunId,
    pub priority: i32,
    /// How long it is not to be taken yet.
    pub after: Duration,
}

/// A message: who has it is the only one who does for the time of the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub id: RunId,
    /// What the service knows this delivery by.
    pub receipt: String,
}

/// How much a queue holds. The names are those of SQS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// `ApproximateNumberOfMessagesVisible`: may be received now.
    pub visible: u64,
    /// `ApproximateNumberOfMessagesNotVisible`: somebody has them.
    pub in_flight: u64,
    /// `ApproximateNumberOfMessagesDelayed`: not to be received yet.
    pub delayed: u64,
}

/// A queue service. Whatever is asked of it may be asked again.
pub trait Service: Send + Sync {
    /// Makes runs known that wait.
    fn announce<'s>(&'s self, notices: &'s [Notice]) -> Served<'s, ()>;

    /// Hands out messages, for a time. `who` receives them is for whoever looks.
    fn receive<'s>(&'s self, who: &'s str, most: usize, lease: Duration) -> Served<'s, Vec<Received>>;

    /// Holds messages for longer.
    fn renew<'s>(&'s self, who: &'s str, held: &'s [Received], lease: Duration) -> Served<'s, ()>;

    /// Forgets messages.
    fn acknowledge<'s>(&'s self, held: &'s [Received]) -> Served<'s, ()>;

    /// Has messages received again, each after so long.
    fn give_back<'s>(&'s self, held: &'s [(Received, Duration)]) -> Served<'s, ()>;

    /// Which of these runs it does not know: surely, where it can be asked that, else by how long they have waited.
    fn unknown<'s>(&'s self, waiting: &'s [Notice]) -> Served<'s, Vec<Notice>>;

    /// How much it holds.
    fn depth(&self) -> Served<'_, Depth>;
}
