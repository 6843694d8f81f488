//! Requests to instances that failed: why, and whether they are sent once more.

use std::error::Error;
use std::time::Instant;

use http::{Method, StatusCode};
use skylift_balance::{Ask, Attempt, Failure, Group, InFlight, Outcome, Replay, TargetId, Unserved, may_retry};

/// What went wrong on a connection.
pub(crate) type Cause = Box<dyn Error + Send + Sync>;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error(transparent)]
    Unserved(#[from] Unserved),
    #[error("connect to instance {0}")]
    Connect(TargetId, #[source] std::io::Error),
    #[error("instance {0} ended the connection before it had answered")]
    Reset(TargetId, #[source] Cause),
    #[error("instance {0} ended in the middle of its answer, of which nothing had been passed on")]
    Cut(TargetId, #[source] Cause),
    #[error("instance {0} did not begin its answer in time")]
    TimedOut(TargetId),
    #[error("instance {0} answered with the status {1}, which is no answer to this request")]
    NoAnswer(TargetId, StatusCode),
    #[error("instance {0} answered with what has more than one reading")]
    Ambiguous(TargetId),
    #[error("instance {0} agreed to another protocol and did not go on with it")]
    Upgrade(TargetId, #[source] Option<Cause>),
}

/// One attempt that failed.
pub(crate) struct Failed {
    pub(crate) trouble: Trouble,
    pub(crate) how: Failure,
    pub(crate) outcome: Outcome,
}

impl Failed {
    /// No connection came about.
    pub(crate) fn connect(id: &TargetId, error: std::io::Error) -> Self {
        let is_refused = error.kind() == std::io::ErrorKind::ConnectionRefused;
        let outcome = if is_refused { Outcome::Refused } else { Outcome::Unreachable };
        Self { trouble: Trouble::Connect(id.clone(), error), how: Failure::Connect, outcome }
    }

    /// The connection ended before the head of an answer was there.
    pub(crate) fn reset(id: &TargetId, error: impl Into<Cause>) -> Self {
        let trouble = Trouble::Reset(id.clone(), error.into());
        Self { trouble, how: Failure::Reset, outcome: Outcome::Reset }
    }

    /// It ended in the middle of an answer that was not passed on yet.
    pub(crate) fn cut(id: &TargetId, error: impl Into<Cause>) -> Self {
        let trouble = Trouble::Cut(id.clone(), error.into());
        Self { trouble, how: Failure::Reset, outcome: Outcome::Reset }
    }

    /// What came is no answer, or several.
    pub(crate) fn ambiguous(id: &TargetId) -> Self {
        Self { trouble: Trouble::Ambiguous(id.clone()), how: Failure::Answered, outcome: Outcome::Reset }
    }

    /// The status has no meaning here.
    pub(crate) fn no_answer(id: &TargetId, status: StatusCode) -> Self {
        let trouble = Trouble::NoAnswer(id.clone(), status);
        Self { trouble, how: Failure::Answered, outcome: Outcome::Reset }
    }

    /// No answer began in time.
    pub(crate) fn timed_out(id: &TargetId) -> Self {
        Self { trouble: Trouble::TimedOut(id.clone()), how: Failure::TimedOut, outcome: Outcome::TimedOut }
    }
}

/// The attempts of one request.
pub(crate) struct Attempts<'g> {
    group: &'g Group,
    tried: Vec<TargetId>,
    seed: u64,
}

impl<'g> Attempts<'g> {
    /// `seed`: any number that differs from request to request.
    pub(crate) fn new(group: &'g Group, seed: u64) -> Self {
        group.retries().request(Instant::now());
        Self { group, tried: Vec::new(), seed }
    }

    /// Whom the next one goes to.
    pub(crate) async fn pick(&mut self, sticky: Option<&TargetId>) -> Result<InFlight, Unserved> {
        let ask = Ask { sticky, tried: &self.tried };
        self.group.pick_or_wait(&ask, || next(&mut self.seed)).await
    }

    /// Takes in how one went, and decides whether there is another. `replay`: what there is of the request's body to be sent again.
    pub(crate) fn again(
        &mut self,
        mut in_flight: InFlight,
        failed: &Failed,
        (method, replay): (&Method, Replay),
    ) -> bool {
        let now = Instant::now();
        in_flight.record(failed.outcome, now);
        let retried = u32::try_from(self.tried.len()).unwrap_or(u32::MAX);
        let attempt = Attempt { method, failure: failed.how, replay, retried };
        let (rules, budget) = (&self.group.settings().retries, self.group.retries());
        let may = may_retry(&attempt, rules).is_ok() && budget.try_retry(now);
        if may {
            self.tried.push(in_flight.id().clone());
        }
        may
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014): a number that is spread well from one that is not.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
