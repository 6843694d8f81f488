//! The edge over real sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod desync;
mod dsl;
mod hosts;
mod http2;
mod integrity;
mod keeping;
mod limits;
mod observability;
mod outages;
mod pages;
mod passing_on;
mod passing_on_tls;
mod routes;
mod serving;
mod skew;
mod slow;
mod strictness;
mod traversal;
