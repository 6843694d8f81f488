//! The client against a server that speaks the contract and misbehaves on request.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fake;
mod follow;
mod requests;
