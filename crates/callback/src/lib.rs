//! Telling what became of a run, to an address that whoever asked for the run has named.
//!
//! ```text
//! due (store) ──take──▶ message (what is told) ──sign──▶ admit, resolve once, check every address, connect (egress) ──▶ one request
//!      ▲                                                                                                                  │
//!      └──────────────────────────── told · again later · given up ◀──────────────────────────────────────────── its status ┘
//! ```
//!
//! The address is a stranger's: private addresses and this host's own are refused unless the owner lists them, no redirect is followed,
//! and of the answer nothing is read but its head.

mod address;
mod deliver;
mod post;
mod sign;

pub use address::{Address, InvalidAddress};
pub use deliver::{Deliveries, Message, Tell};
pub use post::{Outcome, Post, Settings};
pub use sign::Secret;
