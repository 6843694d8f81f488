//! The node over real connections: the shapes of its interface, the mock, a server behind it, the way from a run.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a panic is how tests fail"
)]

#[path = "suite/interface.rs"]
mod interface;
#[path = "suite/limits.rs"]
mod limits;
#[path = "suite/relay.rs"]
mod relay;
#[path = "suite/support.rs"]
mod support;
#[path = "suite/upstream.rs"]
mod upstream;
