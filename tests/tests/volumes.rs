//! Volumes and databases: what an app keeps outlives its instances, and one writer is never two.

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

#[path = "volumes/full.rs"]
mod full;
#[path = "volumes/keeper.rs"]
mod keeper;
#[path = "volumes/lasting.rs"]
mod lasting;
#[path = "volumes/servers.rs"]
mod servers;
#[path = "volumes/unfinished.rs"]
mod unfinished;
#[path = "volumes/writers.rs"]
mod writers;
