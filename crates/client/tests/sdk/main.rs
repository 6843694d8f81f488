//! The client against a server that speaks the contract and misbehaves on request.

mod fake;
mod follow;
mod requests;
