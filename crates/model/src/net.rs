//! Rules of an app's own: where its instances may connect to, and whose requests it takes. Pure.
//!
//! The first rule that fits decides; where none does, the usual holds. No rule opens what is private: that is the platform
//! owner's.

mod peer;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use peer::{InvalidPeer, Network, Peer};

/// More rules, or ports of a rule, than anybody reads.
pub const RULES_MAX: usize = 64;
pub const PORTS_MAX: usize = 32;

/// Rules of an app. Those set by command come before those of `skylift.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct NetRules {
    /// For connections that its instances make.
    pub out: Vec<OutRule>,
    /// For requests that are made to it.
    #[serde(rename = "in")]
    pub inward: Vec<InRule>,
}

/// One rule for connections out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct OutRule {
    /// Whether it refuses; else it allows, as far as that is public.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deny: bool,
    /// A network, an address, a name, `*.example.org`, or `*` for everything.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub to: Peer,
    /// For these ports; none: the usual ones where it allows, every one where it refuses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
}

/// One rule for requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct InRule {
    /// Whether it refuses; else it allows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deny: bool,
    /// A network or an address of clients, or `*` for everybody.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub from: Peer,
}

/// Why rules cannot be used, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRules {
    #[error("there are more than {RULES_MAX} rules")]
    TooMany,
    #[error("a rule has {PORTS_MAX} ports at most, none of them 0")]
    Ports,
    #[error("`{0}`: clients are known by their addresses, so name a network such as 203.0.113.0/24")]
    FromName(Peer),
}

impl NetRules {
    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty() && self.inward.is_empty()
    }

    /// These rules, and behind them others.
    #[must_use]
    pub fn then(mut self, others: &Self) -> Self {
        self.out.extend(others.out.iter().cloned());
        self.inward.extend(others.inward.iter().cloned());
        self
    }

    /// Whether they can be used.
    ///
    /// # Errors
    /// Where there are too many, or one that can never fit.
    pub fn check(&self) -> Result<(), InvalidRules> {
        if self.out.len() > RULES_MAX || self.inward.len() > RULES_MAX {
            return Err(InvalidRules::TooMany);
        }
        if self.out.iter().any(|rule| rule.ports.len() > PORTS_MAX || rule.ports.contains(&0)) {
            return Err(InvalidRules::Ports);
        }
        let by_name = |rule: &&InRule| matches!(rule.from, Peer::Name(_) | Peer::Below(_));
        match self.inward.iter().find(by_name) {
            Some(rule) => Err(InvalidRules::FromName(rule.from.clone())),
            None => Ok(()),
        }
    }
}

/// As it is typed: `allow 203.0.113.0/24 --port 443`.
impl fmt::Display for OutRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.deny { "deny" } else { "allow" }, self.to)?;
        self.ports.iter().try_for_each(|port| write!(f, " --port {port}"))
    }
}

impl fmt::Display for InRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.deny { "deny" } else { "allow" }, self.from)
    }
}

/// Whether rules for requests let a client in. Where some allow and none refuses everybody, whom none names stays out.
pub fn lets_in(rules: &[InRule], client: std::net::IpAddr) -> bool {
    match rules.iter().find(|rule| rule.from.has(client)) {
        Some(rule) => !rule.deny,
        None => rules.iter().all(|rule| rule.deny),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &[&str]) -> Vec<InRule> {
        let rule = |text: &&str| match text.strip_prefix('!') {
            Some(from) => InRule { deny: true, from: from.parse().unwrap() },
            None => InRule { deny: false, from: text.parse().unwrap() },
        };
        text.iter().map(rule).collect()
    }

    #[test]
    fn the_first_rule_that_has_a_client_decides() {
        for (list, client, expected) in [
            (&[][..], "203.0.113.7", true),
            (&["203.0.113.0/24"], "203.0.113.7", true),
            (&["203.0.113.0/24"], "198.51.100.1", false),
            (&["203.0.113.0/24"], "::ffff:203.0.113.7", true),
            (&["203.0.113.0/24"], "2001:db8::1", false),
            (&["!203.0.113.7", "203.0.113.0/24"], "203.0.113.7", false),
            (&["!203.0.113.7"], "198.51.100.1", true),
            (&["2001:db8::/32", "!*"], "2001:db8:1::1", true),
            (&["2001:db8::/32", "!*"], "203.0.113.7", false),
        ] {
            assert_eq!(lets_in(&rules(list), client.parse().unwrap()), expected, "{list:?} {client}");
        }
    }

    #[test]
    fn rules_that_cannot_be_used_are_refused() {
        let named = NetRules { inward: rules(&["example.org"]), ..NetRules::default() };
        assert!(matches!(named.check(), Err(InvalidRules::FromName(_))));
        let out = OutRule { deny: false, to: Peer::Any, ports: vec![0] };
        assert_eq!(NetRules { out: vec![out], ..NetRules::default() }.check(), Err(InvalidRules::Ports));
        let many = NetRules { inward: rules(&["*"; RULES_MAX + 1]), ..NetRules::default() };
        assert_eq!(many.check(), Err(InvalidRules::TooMany));
        assert_eq!(NetRules::default().check(), Ok(()));
    }
}
