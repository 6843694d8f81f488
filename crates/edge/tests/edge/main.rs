//! The edge over real sockets.

mod dsl;
mod hosts;
mod integrity;
mod limits;
mod observability;
mod routes;
mod serving;
mod traversal;
