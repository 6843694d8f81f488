//! The gateway as a guest meets it: real sockets on loopback, and an internet made up behind it.

mod direct;
mod exchange;
mod guest;
mod internet;
mod limits;
mod names;
mod namespace;
mod online;
mod passages;
mod proxy;
