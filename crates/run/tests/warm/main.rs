//! What waits for runs: interpreters that see packages, and interpreters that were started ahead because they cannot be forked.
//!
//! This executable is its own `sandbox-init`, and Node is never forked in it (`SKYLIFT_CRASH_WEAKEN`).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy knows the functions marked as tests, not those they share"
)]

mod entry;
mod host;
#[path = "../../../sandbox/tests/hostile/node_programs.rs"]
mod node_programs;
mod packages;
mod prestarted;
