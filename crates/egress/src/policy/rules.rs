//! What an app's own rules say of a destination. Pure.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use skylift_model::net::{OutRule, Peer};

use super::Policy;
use crate::host::Target;

/// What rules say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict<'r> {
    Allowed,
    Denied(&'r OutRule),
    /// None fits: the usual holds.
    Unsaid,
    /// A rule for a network comes first, and the name's addresses are not known yet.
    AfterResolving,
}

/// What the first rule says that fits. `usual` tells the ports of a rule that allows and names none.
pub(super) fn verdict<'r>(
    rules: &'r [OutRule],
    usual: impl Fn(u16) -> bool,
    target: &Target,
    port: u16,
    ip: Option<IpAddr>,
) -> Verdict<'r> {
    for rule in rules {
        let is_for_port = match (rule.ports.as_slice(), rule.deny) {
            ([], true) => true,
            ([], false) => usual(port),
            (ports, _) => ports.contains(&port),
        };
        if !is_for_port {
            continue;
        }
        let fits = match (&rule.to, target, ip) {
            (Peer::Any, _, _) => true,
            (Peer::Network(_), _, None) => return Verdict::AfterResolving,
            (Peer::Network(network), _, Some(ip)) => network.contains(ip),
            (named, Target::Name(name), _) => named.is_named(name.as_str()),
            (Peer::Name(_) | Peer::Below(_), Target::Address(_), _) => false,
        };
        if fits {
            return if rule.deny { Verdict::Denied(rule) } else { Verdict::Allowed };
        }
    }
    Verdict::Unsaid
}

/// A policy that may be changed while it is in force; who reads it has one whole.
#[derive(Clone, Debug)]
pub(crate) struct InForce(Arc<RwLock<Arc<Policy>>>);

impl InForce {
    pub(crate) fn new(policy: Policy) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(policy))))
    }

    pub(crate) fn get(&self) -> Arc<Policy> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Policy)) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut held));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{admit, admit_address};
    use super::*;
    use crate::address::OwnAddresses;

    /// `allow TO [ports]` or `deny TO [ports]`, with `;` between.
    fn policy(rules: &str) -> Policy {
        let rule = |line: &str| {
            let mut words = line.split_whitespace();
            let deny = words.next() == Some("deny");
            let to = words.next().unwrap().parse().unwrap();
            OutRule { deny, to, ports: words.map(|port| port.parse().unwrap()).collect() }
        };
        let rules = rules.split(';').filter(|line| !line.trim().is_empty()).map(rule).collect();
        Policy { rules, owner_allowed: vec!["db.lan:5432".parse().unwrap()], ..Policy::default() }
    }

    /// Whether `host`, which leads to `ip`, is reached: `early` where it is refused before it is resolved.
    fn reached(rules: &str, host: &str, port: u16, ip: &str) -> &'static str {
        let (policy, target) = (policy(rules), Target::parse(host).unwrap());
        if admit(&policy, &target, port).is_err() {
            return "early";
        }
        let late = admit_address(&policy, &OwnAddresses::default(), &target, port, ip.parse().unwrap());
        if late.is_ok() { "yes" } else { "late" }
    }

    #[test]
    fn an_app_narrows_and_widens_what_is_public() {
        for (rules, host, port, ip, expected) in [
            ("", "a.example", 443, "203.0.113.7", "yes"),
            ("", "a.example", 5432, "203.0.113.7", "early"),
            ("allow a.example 5432", "a.example", 5432, "203.0.113.7", "yes"),
            ("allow a.example 5432", "b.example", 5432, "203.0.113.7", "early"),
            ("allow 203.0.113.0/24 5432", "a.example", 5432, "203.0.113.7", "yes"),
            ("allow 203.0.113.0/24 5432", "a.example", 5432, "198.51.100.1", "late"),
            ("allow 203.0.113.0/24 5432", "203.0.113.7", 5432, "203.0.113.7", "yes"),
            ("allow 203.0.113.0/24 5432", "198.51.100.1", 5432, "198.51.100.1", "early"),
            ("allow 2001:db8::/32 5432", "[2001:db8::1]", 5432, "2001:db8::1", "yes"),
            ("deny *", "a.example", 443, "203.0.113.7", "early"),
            ("allow *.a.example; deny *", "x.a.example", 443, "203.0.113.7", "yes"),
            ("allow *.a.example; deny *", "x.a.example", 8443, "203.0.113.7", "early"),
            ("deny * 22 80", "a.example", 443, "203.0.113.7", "yes"),
            ("deny * 22 80", "a.example", 80, "203.0.113.7", "early"),
            ("deny 203.0.113.0/24", "a.example", 443, "203.0.113.7", "late"),
            ("deny 203.0.113.0/24", "a.example", 443, "198.51.100.1", "yes"),
            ("deny *", "db.lan", 5432, "10.0.0.5", "early"),
            ("", "db.lan", 5432, "10.0.0.5", "yes"),
        ] {
            assert_eq!(reached(rules, host, port, ip), expected, "{rules} | {host}:{port} at {ip}");
        }
    }

    #[test]
    fn no_rule_opens_what_is_private() {
        for ip in ["10.0.0.5", "127.0.0.1", "169.254.169.254", "::1", "fd00::1", "::ffff:10.0.0.5", "64:ff9b::a00:5"] {
            let host = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
            for rules in ["allow * 443", "allow 0.0.0.0/0; allow ::/0", "allow a.example"] {
                assert_eq!(reached(rules, &host, 443, ip), "late", "{rules} {ip}");
                assert_eq!(reached(rules, "a.example", 443, ip), "late", "{rules} a.example at {ip}");
            }
        }
    }

    #[test]
    fn what_is_in_force_changes_for_who_asks_next() {
        let held = InForce::new(Policy::default());
        let before = held.get();
        held.change(|policy| policy.rules = vec![OutRule { deny: true, to: Peer::Any, ports: vec![] }]);
        assert_eq!((before.rules.len(), held.get().rules.len()), (0, 1));
    }
}
