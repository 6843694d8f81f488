//! The control plane's HTTP: REST under `/v1`, server-sent events, health and metrics.
//!
//! Handlers reach the stores only through [`guard::Authorized`], which exists only after the request's token was
//! checked: a handler without it has nothing to work with.

mod address;
mod ai;
mod allowance;
mod answers;
mod attached;
mod attended;
mod body;
mod crash_loops;
mod disk;
mod env;
mod error;
mod guard;
mod idempotency;
mod intake;
mod judge0;
mod named;
pub mod openapi;
mod origin;
mod part;
mod routes;
mod runs;
mod services;
mod slash;
mod sse;
mod tenants;
mod view;
mod vitals;

pub use ai::{guarded, no_ai_here};
pub use allowance::{UnderWay, processor_time_used_up};
pub use attached::Attached;
pub use disk::has_room;
pub use error::ApiError;
pub use intake::{Intake, Taken};
pub use judge0::{Judge0Settings, NAME as JUDGE0, router as judge0_router};
pub use part::{Part, Parts, elsewhere, is_of_the_process, part_of};
pub use routes::{Callback, ClientAddress, PISTON, PistonSettings, callback, piston_router, router};
pub use runs::{Along, Asked, Runs};
pub use services::{CleanUp, Limits, MayBeTold, Metrics, Never, Remark, Services, Urls};
pub use slash::without_slash;
pub use vitals::{Vitals, vitals_router};
