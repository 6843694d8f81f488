//! Which instance of an app answers a request.
//!
//! ```text
//! routes ──Group::update──▶ targets ◀──Group::probed── active checks
//! request ──Group::pick──▶ InFlight ──record, drop──▶ latency, in flight, ejection
//!               └─ nothing ready ─▶ Group::pick_or_wait (bounded in number and time, first in first out)
//!               └─ picked, and silent for long ─▶ left alone, another one is picked (silence.rs)
//! failure ──may_retry, RetryBudget──▶ once more, on another instance
//! ```
//!
//! Pure but for the two waits (parking, draining), which wait on tokio's timers: no sockets, no clock (`now` is a parameter), no randomness
//! (it is a parameter too). It never learns where an instance runs: an address is an address, whatever its node.

mod another;
mod budget;
mod choose;
mod drain;
mod eject;
mod group;
mod health;
mod in_flight;
mod latency;
mod live;
mod load;
mod outcome;
mod park;
mod retry;
mod settings;
mod silence;
mod snapshot;
mod split;
mod sticky;
mod target;
mod took;
mod traffic;
mod wait;

pub use budget::RetryBudget;
pub use drain::{Drain, Drained};
pub use group::{Ask, Group, Hooks, NoTarget, TargetStatus, Totals, VersionCounts};
pub use health::{Health, Probe, next_probe};
pub use in_flight::InFlight;
pub use outcome::{Ejected, Outcome};
pub use retry::{Attempt, Failure, NoRetry, Replay, may_retry};
pub use settings::{Checks, Ejection, Limits, Parking, Retries, Settings};
pub use split::{Share, Split};
pub use sticky::{StickyKey, Unsticky};
pub use target::{Announced, InvalidName, NodeName, State, Target, TargetId};
pub use took::TOOK_BUCKETS;
pub use traffic::Passed;
pub use wait::Unserved;
