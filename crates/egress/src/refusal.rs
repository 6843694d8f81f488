//! What was refused and why, in words for the person who reads the build's log.

use std::fmt;
use std::net::IpAddr;

use skylift_model::net::Peer;

use crate::address::AddressKind;
use crate::host::InvalidHost;

/// More than anybody reads.
const PORTS_SHOWN: usize = 6;

/// One destination a guest was not let through to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    /// The host as the guest named it, without characters that could disturb a terminal.
    pub host: String,
    /// `None` where the guest only asked for the name's address.
    pub port: Option<u16>,
    pub reason: Reason,
    /// Where the owner may open it, such as `[build.egress] allow`.
    pub setting: &'static str,
}

/// Which rule a destination met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The host is, or its name leads to, an address that guests may not reach.
    Address { ip: IpAddr, kind: AddressKind },
    /// The port is none of the open ones, which are listed here.
    Port { open: Vec<u16> },
    /// The owner's list of hosts is in force and does not have it.
    NotOnPlatformList,
    /// The app's list of hosts is in force and does not have it.
    NotOnAppList,
    /// A rule of the app's own refuses it; this is whom the rule is about.
    Rule(Peer),
    /// The host is written in a way that is not accepted.
    Spelling(InvalidHost),
    /// So many destinations were refused that the others are counted, not listed.
    TooMany,
}

impl Refusal {
    /// Of a host that could not be parsed; `text` is the guest's own and may hold anything.
    pub(crate) fn of_spelling(text: &str, port: Option<u16>, error: InvalidHost, setting: &'static str) -> Self {
        let host = text.chars().take(100).flat_map(char::escape_default).collect();
        Self { host, port, reason: Reason::Spelling(error), setting }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, reason, setting } = self;
        let place = match port {
            Some(port) => format!("{host}:{port}"),
            None => host.clone(),
        };
        match reason {
            Reason::Address { ip, kind } if is_spelled(host, *ip) => {
                write!(f, "refused: {place} is {kind}; the owner may allow it under {setting}")
            }
            Reason::Address { ip, kind } => {
                write!(f, "refused: {place} leads to {ip}, {kind}; the owner may allow it under {setting}")
            }
            Reason::Port { open } => {
                let mut ports = open.iter().take(PORTS_SHOWN).map(u16::to_string).collect::<Vec<_>>().join(", ");
                if let more @ 1.. = open.len().saturating_sub(PORTS_SHOWN) {
                    ports.push_str(&format!(" and {more} more"));
                }
                write!(
                    f,
                    "refused: {place} is none of the open ports ({ports}); the owner may allow it under {setting}"
                )
            }
            Reason::NotOnPlatformList => write!(f, "refused: {place} is not on the platform's list of allowed hosts"),
            Reason::NotOnAppList => write!(f, "refused: {place} is not on the app's list of allowed hosts"),
            Reason::Rule(peer) => {
                write!(f, "refused: {place}: a rule of the app denies {peer}; `skylift net` shows it")
            }
            Reason::Spelling(error) => write!(f, "refused: {place}: {error}"),
            Reason::TooMany => write!(f, "refused: more hosts are refused than are listed here"),
        }
    }
}

fn is_spelled(host: &str, ip: IpAddr) -> bool {
    host.trim_start_matches('[').trim_end_matches(']').parse() == Ok(ip)
}
