//! The AI node: the HTTP interface that Ollama has, before an engine.
//!
//! ```text
//! request ──▶ (whoever asks is known) ──▶ node: body, model, turn ──▶ engine: mock, or a server ──▶ counted ──▶ answer
//! ```
//!
//! It knows who asks by an id alone, of which it tells what was spent; never of rows, rights or runs. What an engine answers is passed
//! on as it comes.

mod counted;
mod engine;
mod limits;
mod meter;
mod metrics;
mod mock;
mod models;
mod node;
mod relay;
mod tokens;
mod trouble;
mod turns;
mod upstream;

pub use engine::{Answer, Ask, Endpoint, Engine, Form};
pub use limits::{Limits, RelayLimits};
pub use meter::{Spent, Tally};
pub use mock::Mock;
pub use models::Models;
pub use node::Node;
pub use relay::serve;
pub use trouble::Trouble;
pub use upstream::{Upstream, UpstreamError, UpstreamSettings};
