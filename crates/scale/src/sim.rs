//! The simulator: a load, a service that takes time to boot and to serve, a scaler, and what came of it.
//!
//! Everything is drawn from one seed: the same seed gives the same figures.

mod chart;
mod load;
mod peers;
pub mod pools;
mod random;
mod score;
mod trace;
mod world;

pub use chart::svg;
pub use load::{Load, Shape};
pub use peers::{AwsTracking, KedaHpa, Kpa, Scaler, Skylift, Watched, scalers, scalers_of_runs};
pub use score::{Score, compare, compare_runs};
pub use trace::{Trace, TraceError};
pub use world::{Point, Run, Service, run};

#[cfg(test)]
mod tests;
