//! The filtered way out: how confined programs, and the platform on a stranger's behalf, reach other hosts.
//!
//! A [`Gateway`] serves sockets that live in a guest's network namespace: an HTTP proxy, listeners that receive
//! whatever the guest connects to directly, and a name server that answers from a table. Every way ends in one
//! place: the [`Policy`] admits host and port, the name is resolved once, each address is checked against
//! [`address::refusal`], and a checked address is what gets connected to. Nothing is resolved twice, no query of the
//! guest is ever forwarded, and no redirect is followed.

pub mod address;
pub mod book;
pub mod gateway;
pub mod host;
pub mod passage;
pub mod policy;
pub mod refusal;

mod connect;
mod dns;
mod never;
mod relay;
mod resolve;
mod splice;
mod tally;
mod tls;

pub use book::Book;
pub use gateway::{Gateway, Rules, Sockets};
pub use host::{HostName, HostPattern, OwnerEntry, Target};
pub use never::{Never, never};
pub use passage::{Leads, Passage, Take, Taking};
pub use policy::{Policy, SERVICES, admit, admit_address, is_left_alone};
pub use refusal::{Reason, Refusal};
pub use resolve::{DialError, Dialer, Limits};
pub use tally::Counters;
pub use tls::{Tls, TlsError};

#[cfg(test)]
mod tests;
