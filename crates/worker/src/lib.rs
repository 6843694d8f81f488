//! Instances of apps on this node.
//!
//! ```text
//! rows (store) ──worker──▶ instance: layer → sandbox → probe → ready … drain … SIGTERM → grace → SIGKILL
//!                             │                          └──▶ rows: ready, ended and why
//!                             └──▶ doors: how the edge of this process reaches it
//! ```
//!
//! Rows say what is to run; the worker makes it so and says what became of it. It decides nothing: how many there are, and
//! which go, is planned elsewhere.

mod doors;
mod ended;
mod environment;
mod instance;
mod layer;
mod worker;

pub use doors::{Doors, Reached};
pub use worker::{Parts, Runtime, RuntimeFuture, Settings, Tools, Worker};
