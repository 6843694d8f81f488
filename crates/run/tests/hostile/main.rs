//! Hostile code in the sandboxes that runs get, each attack beside its control: with the one defence off, the attack succeeds. As root
//! and once more as nobody. Through the whole platform, with every defence: `tests/tests/runs/hostile.rs`.
//!
//! The switches are `skylift_sandbox::Defence`, and for limits the limits of the job. This executable is its own `sandbox-init`.

#![expect(clippy::unwrap_used, reason = "clippy knows the functions marked as tests, not those they share")]

mod controls;
mod entry;
mod host;
mod killed;
mod limits;
mod outputs;
mod table;
mod unprivileged;
