//! What happens to deployments once they are built: going live, clean-up, commits to Git, and the reaper that keeps
//! anything from getting stuck.

pub mod cleanup;
pub mod commit;
pub mod deploy;
mod lost;
pub mod fleet;
pub mod packs;
pub mod reap;
pub mod reconcile;
mod rollout;
pub mod worker;
