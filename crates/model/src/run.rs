//! Runs: one execution of submitted code each.
//!
//! What a client sends ([`crate::wire::RunRequest`]) becomes a [`Job`], which says everything that a worker needs, or is
//! refused with a reason; what a worker makes of it is an [`Ending`].

mod encoding;
mod job;
mod limits;
mod order;
mod signal;
mod status;
mod text;

pub use encoding::Encoding;
pub use job::{Compiled, Ending, File, Job, Step, Taken, Usage, Warmth};
pub use limits::{LIMITS, Limits, LimitsAbove, LimitsAsked, LimitsKnown};
pub use order::{BUILT, InvalidRun, PRIORITY_MAX, SOURCE_BYTES_MAX, TTL_S};
pub use signal::{signal_name, signal_number};
pub use status::{RunState, RunStatus};
