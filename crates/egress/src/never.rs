//! Which rules of an app could never allow anything: what they name is private, or the platform itself.

use skylift_model::net::{Network, OutRule, Peer};

use crate::address::{self, AddressKind};

/// Why a rule allows nothing, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Never {
    #[error("`{0}` is {1}, which no rule of an app opens")]
    Address(Network, AddressKind),
    #[error("`{0}` is a name of the machine's own (loopback), which no rule of an app opens")]
    Loopback(Peer),
    #[error("`{0}` is the platform's own, which no rule of an app opens")]
    Platform(Peer),
}

impl Never {
    /// What would open it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Address(..) | Self::Loopback(_) => {
                "the platform's owner opens it in config.toml: as a [[service]] to an app, under [instances] allow to every one"
            }
            Self::Platform(_) => "an app reaches another one that it links: [[link]] app = \"NAME\" in skylift.toml",
        }
    }
}

/// Why a rule that allows never will, where that is so; `domain` is the one below which the platform's apps have their names. Names of
/// others are not looked up: where they lead is seen with each connection.
pub fn never(rule: &OutRule, domain: Option<&str>) -> Option<Never> {
    if rule.deny {
        return None;
    }
    let is_at =
        |name: &str, top: &str| name.strip_suffix(top).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    match &rule.to {
        Peer::Any => None,
        Peer::Network(network) => address::refusal_of(network).map(|kind| Never::Address(*network, kind)),
        Peer::Name(name) | Peer::Below(name) => {
            let is_localhost = matches!(rule.to, Peer::Name(_)) && name == LOCALHOST;
            if domain.is_some_and(|domain| is_at(name, domain)) && !is_localhost {
                return Some(Never::Platform(rule.to.clone()));
            }
            is_at(name, LOCALHOST).then(|| Never::Loopback(rule.to.clone()))
        }
    }
}

/// The name, and all below it, that RFC 6761 keeps for the machine itself.
const LOCALHOST: &str = "localhost";

#[cfg(test)]
mod tests {
    use super::*;

    fn told(to: &str, domain: Option<&str>) -> String {
        let rule = OutRule { deny: false, to: to.parse().unwrap(), ports: vec![] };
        never(&rule, domain).map(|never| never.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_is_private_or_of_the_machine_itself_is_told_whatever_the_spelling() {
        for to in [
            "10.0.0.0/8",
            "10.1.2.3",
            "127.0.0.1",
            "127.0.0.0/8",
            "0.0.0.0",
            "169.254.169.254",
            "fd00::/8",
            "::1",
            "::",
            "[::1]",
            "::ffff:127.0.0.1",
            "192.168.7.0/24",
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "*.localhost",
        ] {
            assert!(told(to, None).contains("no rule of an app opens"), "{to}");
            let deny = OutRule { deny: true, to: to.parse().unwrap(), ports: vec![] };
            assert_eq!(never(&deny, None), None, "what refuses is no mistake: {to}");
        }
    }

    #[test]
    fn what_is_public_at_least_in_part_is_not() {
        for to in [
            "*",
            "0.0.0.0/0",
            "::/0",
            "203.0.113.0/24",
            "8.0.0.0/5",
            "2000::/3",
            "example.org",
            "notlocalhost",
            "localhost.example.org",
        ] {
            assert_eq!(told(to, Some("apps.example.net")), "", "{to}");
        }
    }

    #[test]
    fn names_of_the_platform_are_its_own() {
        for to in ["apps.example.net", "shop.apps.example.net", "*.apps.example.net", "*.shop.apps.example.net"] {
            assert!(told(to, Some("apps.example.net")).contains("is the platform's own"), "{to}");
            assert_eq!(told(to, None), "", "{to}: where no domain is known");
        }
        assert_eq!(told("myapps.example.net", Some("apps.example.net")), "");
        assert_eq!(told("*.example.net", Some("apps.example.net")), "", "others are below it, too");
        assert!(told("shop.localhost", Some("localhost")).contains("is the platform's own"));
        assert!(told("localhost", Some("localhost")).contains("loopback"));
    }
}
