//! WebSockets (RFC 6455) between a client and an instance.
//!
//! ```text
//! request ──Handshake::of──▶ asked ──instance says 101, and means it──▶ Switch ──▶ Tunnel: bytes as they are, both ways
//!    └ no handshake: 400        └ anything else: an answer like others, and HTTP goes on
//! ```
//!
//! While it is open whether a connection goes on with HTTP, nothing that its client sends is read: it is neither a request nor
//! lost. A connection is given to an instance only where both of them have said so in so many words.

mod frames;
pub(crate) mod handshake;
mod pipe;
pub(crate) mod switch;
pub(crate) mod tunnel;

pub(crate) use handshake::Handshake;
pub(crate) use switch::Switch;
pub(crate) use tunnel::FarEnd;
