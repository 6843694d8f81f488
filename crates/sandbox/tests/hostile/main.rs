//! Attacks from inside a sandbox, each beside its control: with the one defence off, the attack succeeds.
//!
//! The payloads are scripts of Python, Node and sh. This executable is its own `sandbox-init`.

mod confined;
mod entry;
