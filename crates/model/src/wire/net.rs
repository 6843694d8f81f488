//! Who may reach what, of one app.

use serde::{Deserialize, Serialize};

use crate::Link;
use crate::net::NetRules;

/// `GET /v1/apps/{app}/net`: the rules in force, first to last, and what met them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Net {
    /// Set by command, `PUT /v1/apps/{app}/net`. They come first.
    pub set: NetRules,
    /// Of the `skylift.toml` of what is live.
    pub file: NetRules,
    /// The links of what is live.
    pub links: Vec<Link>,
    /// Private hosts that the platform's owner opens to every app; absent where no node answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Vec<String>>,
    /// Connections of its instances, since the nodes that run them started; the most frequent ones.
    pub seen: Vec<NetSeen>,
}

/// What became of connections to one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NetSeen {
    /// Where to: a host and a port, or a link.
    pub to: String,
    /// How many were made.
    pub passed: u64,
    /// How many were refused.
    pub dropped: u64,
    /// Why the last of them was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What one node says of an app, over the bus.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetTold {
    /// Private hosts that the platform's owner opens to every app.
    pub owner: Vec<String>,
    /// Connections of the app's instances there.
    pub seen: Vec<NetSeen>,
}

impl Net {
    /// Adds what one node says.
    pub fn add(&mut self, told: NetTold) {
        for host in told.owner {
            let owner = self.owner.get_or_insert_default();
            if !owner.contains(&host) {
                owner.push(host);
            }
        }
        self.owner.get_or_insert_default();
        for seen in told.seen {
            match self.seen.iter_mut().find(|other| other.to == seen.to) {
                Some(other) => {
                    other.passed += seen.passed;
                    other.dropped += seen.dropped;
                    other.reason = seen.reason.or_else(|| other.reason.take());
                }
                None => self.seen.push(seen),
            }
        }
        self.seen.sort_by(|a, b| (b.passed + b.dropped).cmp(&(a.passed + a.dropped)).then_with(|| a.to.cmp(&b.to)));
    }
}
