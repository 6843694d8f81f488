//! Attacks from inside a sandbox, each beside its control: with the one defence off, the attack succeeds.
//!
//! The payloads are scripts of Python, Node and sh. This executable is its own `sandbox-init`.

#![expect(clippy::unwrap_used, reason = "clippy knows the functions marked as tests, not those they share")]

mod answered;
mod attack;
mod born;
mod cells;
mod confined;
mod door;
mod ending;
mod entry;
mod files;
mod init_file;
mod layers;
mod leaks;
mod limits;
mod network;
mod node_programs;
mod nursery;
mod prepared;
mod privileges;
mod processes;
mod unprivileged;
mod zygote;
mod zygote_node;
