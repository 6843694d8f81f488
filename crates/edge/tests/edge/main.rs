//! The edge over real sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod confusion;
mod deceiving;
mod desync;
mod dsl;
mod floods;
mod grpc;
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
mod programs;
mod pushes;
mod relay;
mod routes;
mod serving;
mod skew;
mod slow;
mod slow_clients;
mod sticky;
mod strictness;
mod swaps;
mod traversal;
mod unruly;
mod websockets;
