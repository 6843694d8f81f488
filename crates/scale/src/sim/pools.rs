//! The simulator of warm pools: runs of several languages, the pool of each, who says how deep it is, and what came of it.
//!
//! Everything is drawn from one seed: the same seed gives the same figures.

mod arrivals;
mod keeper;
mod language;
mod score;
mod world;

pub use arrivals::{Arrivals, Mix, Run, Runs};
pub use keeper::{Fixed, Keeper, Tuned};
pub use language::{LANGUAGES, Language};
pub use score::{Loads, PoolScore, better, of_fixed, of_tuned};
pub use world::{Came, Held, run};

#[cfg(test)]
mod tests;
