//! What a shared cache may do with requests and answers: a subset of RFC 9111, and the place where answers are kept.
//!
//! ```text
//! request ──Ask::of──▶ Store::find ──▶ plan ──▶ serve │ serve and refresh │ ask again, conditionally │ fetch
//! answer  ──storing──▶ Stored ──▶ Store::insert        304 ──Stored::refreshed──▶ Store::insert
//! ```
//!
//! Pure: no IO, and `now` is a parameter, in milliseconds of Unix time. Stricter than the RFC in one place: whatever has to
//! do with `Authorization`, `Cookie` or `Set-Cookie` is neither kept nor answered from what is kept, whatever it says
//! of itself.

mod ask;
mod conditional;
mod date;
mod directives;
mod freshness;
mod invalidate;
mod merge;
mod plan;
mod status;
mod store;
mod stored;
mod storing;
mod tags;
mod vary;

pub use ask::{Ask, Bypass};
pub use conditional::{Met, evaluate, if_range_holds};
pub use directives::Directives;
pub use invalidate::{changed_paths, changes_things};
pub use plan::{Plan, Why, plan};
pub use status::{CacheStatus, Forwarded};
pub use store::{Found, Place, Purge, Store, Totals};
pub use stored::Stored;
pub use storing::{Refusal, storing};
pub use tags::{CACHE_TAG, is_tag};
pub use vary::Selecting;

/// Milliseconds of Unix time.
pub type Millis = u64;
