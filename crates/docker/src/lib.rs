//! The Docker engine, over its own socket: images built, containers run, and what of both is ours.
//!
//! ```text
//! Engine ──▶ image: build · look · list · remove
//!        └─▶ container: create · attach · start · wait · signal · remove
//! ```
//!
//! A narrow client: the requests that are needed, and no more. It knows nothing of apps and deployments but the labels it is
//! given, keeps no state, and never starts a process: whatever runs is the engine's.

mod answer;
mod attach;
mod body;
mod container;
pub mod dockerfile;
mod engine;
mod image;

pub use attach::Attached;
pub use container::{Bind, Container, Ended, Order, OwnFiles, State};
pub use engine::{About, Engine, EngineError};
pub use image::{BuildOrder, Building, Image, Made, Progress, StoredImage};
