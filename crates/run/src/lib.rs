//! Runs: code that somebody sent, executed once in a sandbox of its own, with a verdict.
//!
//! ```text
//! job ──▶ runner ──▶ (compile: a step in a sandbox ──▶ what it built) ──▶ a step in a fresh sandbox for each input ──▶ ending
//! ```
//!
//! What is known of a language is one file of `languages/`. One sandbox is for one step and never used again. The host puts files
//! into a sandbox before anything runs in it, and reads what is left after its end, both by descriptor and through no link.

mod ai;
mod attached;
mod begin;
mod capture;
mod catalogue;
mod cells;
mod compile;
mod compilers;
mod folder;
mod headers;
mod interpreter;
mod language;
mod memory;
mod metrics;
mod outputs;
mod packages;
mod place;
mod places;
mod pool;
mod prestart;
mod programs;
mod quick;
mod readable;
mod ready;
mod runner;
mod sets;
mod spent;
mod step;
mod trial;
mod tuner;
mod turn;
mod turns;
mod upkeep;
mod verdict;
mod watch;

pub use ai::{Answering, Models};
pub use attached::{Asking, Attached, Listener, Purse, Stream};
pub use catalogue::{Catalogue, program_of};
pub use headers::Headers;
pub use metrics::RunMetrics;
pub use packages::{Finding, PackageSet, Packages};
pub use place::use_users_of_worker;
pub use programs::Programs;
pub use runner::{Kept, RunError, Runner};
pub use spent::Spent;
