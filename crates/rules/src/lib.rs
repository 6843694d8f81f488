//! Redirects, rewrites and header fields from the files that sites bring along: `_redirects`, `_headers`, `netlify.toml` and
//! `vercel.json`.
//!
//! ```text
//! files ──read──▶ RuleSet (kept with the deployment) ──Rules::new──▶ Rules ──decide──▶ Decision
//!            └──▶ Reject, line by line, for the build's log           └──headers──▶ HeaderChange
//! ```
//!
//! Pure: no IO, no clock. Whatever the files hold, reading them ends, and a request's evaluation is bounded: rules for one path
//! are found by hash, and expressions are matched within a budget of steps.

mod ask;
mod cloudflare;
mod decision;
mod headers;
pub mod limits;
mod netlify_toml;
mod read;
mod redirects;
mod regex;
mod reject;
mod rules;
mod text;
mod unheeded;
mod vercel;

pub use ask::Ask;
pub use decision::{Decision, FileExists};
pub use headers::{HeaderBlock, HeaderChange};
pub use read::{Reading, Sources, read};
pub use redirects::{Conditions, Origin, Redirect};
pub use regex::InvalidRegex;
pub use reject::{File, REJECTS_MAX, Reason, Reject};
pub use rules::{Dialect, PLAIN_BYTES_MAX, RuleSet, Rules};
pub use vercel::conditions::{Kind, Value};
pub use vercel::{Fields, Has, Route, Vercel};
