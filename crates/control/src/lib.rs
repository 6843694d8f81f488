//! What happens to deployments once they are built: going live, clean-up, commits to Git, and the reaper that keeps
//! anything from getting stuck.

mod after_live;
pub mod cleanup;
pub mod commit;
pub mod deploy;
mod evidence;
pub mod fleet;
mod heard;
#[cfg(test)]
mod in_memory;
pub mod judge;
mod lost;
mod one_writer;
pub mod packs;
pub mod processes;
pub mod reap;
pub mod reconcile;
pub mod release;
mod rollout;
pub mod run_workers;
pub mod scaler;
mod sensors;
pub mod side_by_side;
pub mod unfinished;
pub mod worker;
