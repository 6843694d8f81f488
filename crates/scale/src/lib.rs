//! How many instances there should be: one pure function, and a simulator that runs it beside models of others.
//!
//! [`decide`] never reads a clock, never does IO and never panics: what was seen, what is remembered and the time go in,
//! a number and its reason in words come out. Instances of apps and workers of runs are scaled by the same function.
//! How warm a worker keeps its pools is said by [`tune::tune`], in the same manner.

mod decide;
mod laws;
mod observed;
mod retire;
mod settings;
pub mod sim;
mod state;
pub mod tune;

pub use decide::{Decision, Step, decide};
pub use laws::Answer;
pub use observed::{Cpu, Observed};
pub use retire::{Retire, Worker, plan_retire};
pub use settings::{Drained, Policy, Settings};
pub use state::State;
