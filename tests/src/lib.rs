//! Tests of the whole, over the real executable: what they are written in.
//!
//! [`Platform`] is one `skylift up` with a data folder of its own, [`App`] one app on it, [`Folder`] and [`archive`]
//! make what is deployed, [`http`] speaks to it byte by byte. Nothing here reaches into the platform: tests see what
//! users see. A test waits for states, never for a time.
//!
//! The executable must have been built (`make e2e` does it, and so does the set-up script of `.config/nextest.toml`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::unwrap_in_result,
    clippy::panic_in_result_fn,
    reason = "all of this is for tests: a panic is how they fail"
)]

pub mod acknowledged;
pub mod app;
pub mod archive;
pub mod census;
pub mod cli;
pub mod executable;
pub mod folder;
pub mod git;
pub mod http;
pub mod namespace;
pub mod platform;
pub mod probe;
pub mod process;
pub mod projects;
pub mod random;
pub mod relay;
pub mod server;
pub mod skip;
pub mod socket;
pub mod spread;
pub mod steady;
mod stores;
pub mod wait;

pub use app::App;
pub use cli::Ran;
pub use folder::{Folder, site};
pub use http::{Request, Response};
pub use platform::Platform;
