//! Builds (threats 19 to 21, 25 and 26): what they may do, what they may not, and how they end.

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

#[path = "builds/failures.rs"]
mod failures;
#[path = "builds/hostile.rs"]
mod hostile;
#[path = "builds/limits.rs"]
mod limits;
#[path = "builds/log.rs"]
mod log;
#[path = "builds/output.rs"]
mod output;
