//! What happens to deployments once they are built: going live, clean-up, commits to Git, and the reaper that keeps
//! anything from getting stuck.

pub mod cleanup;
pub mod commit;
pub mod deploy;
pub mod fleet;
mod lost;
pub mod packs;
pub mod reap;
pub mod reconcile;
mod rollout;
pub mod worker;
