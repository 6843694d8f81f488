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

mod before;
mod books;
mod containers;
mod doors;
mod ended;
mod environment;
mod instance;
mod layer;
mod links;
mod meters;
mod process;
mod sweep;
mod volumes;
mod worker;

pub use before::end_those_before;
pub use containers::{Containers, NODE_LABEL};
pub use doors::{Doors, Reached};
pub use links::Apps;
pub use worker::{Parts, Runtime, RuntimeFuture, Settings, Tools, Worker};
