//! The command line as people and scripts meet it: the real program against a small server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod codes;
mod commands;
mod deploy;
#[path = "../../../client/tests/sdk/fake.rs"]
mod fake;
mod keys;
mod program;
mod run;
mod servers;
