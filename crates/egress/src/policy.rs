//! Which destinations a guest may reach. Pure: the policy is read, nothing is looked up.

mod rules;
mod services;

use std::net::IpAddr;

use skylift_model::net::OutRule;

use crate::address::{self, OwnAddresses};
use crate::host::{HostName, HostPattern, OwnerEntry, Target};
use crate::refusal::{Reason, Refusal};
pub(crate) use rules::InForce;
use rules::Verdict;
pub use services::{SERVICES, is_left_alone};

/// What the owner and the app let a guest reach.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The ports open at every host, in ascending order.
    pub ports: Vec<u16>,
    /// Further ones, which an entry of the owner's that names no port does not mean: what is private stays as shut as it was.
    pub services: Vec<u16>,
    /// Where there is a list, only its hosts (and the owner's entries) are reached.
    pub platform_hosts: Option<Vec<HostPattern>>,
    /// Where there is a list, only its hosts are reached; it narrows what the platform allows and never widens it.
    pub app_hosts: Option<Vec<HostPattern>>,
    /// The app's own rules: the first that fits decides, within what is public or the owner's.
    pub rules: Vec<OutRule>,
    /// Hosts the owner opens even though they are private, and ports of them that are otherwise shut.
    pub owner_allowed: Vec<OwnerEntry>,
    /// The setting that holds `owner_allowed`, named in refusals.
    pub setting: &'static str,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            ports: vec![22, 80, 443],
            services: Vec::new(),
            platform_hosts: None,
            app_hosts: None,
            rules: Vec::new(),
            owner_allowed: Vec::new(),
            setting: "[build.egress] allow",
        }
    }
}

/// Whether the policy has anything against `target` and `port`, before its addresses are known.
pub fn admit(policy: &Policy, target: &Target, port: u16) -> Result<(), Refusal> {
    let owner_names_it = policy.owner_names(target, port);
    let ip = if let Target::Address(ip) = target { Some(*ip) } else { None };
    admit_ruled(policy, target, port, ip, owner_names_it)?;
    admit_listed(policy, target, Some(port), owner_names_it)
}

/// Whether any port of `name` may be open, so that the guest may be told an address for it.
pub fn admit_question(policy: &Policy, name: &HostName) -> Result<(), Refusal> {
    let target = Target::Name(name.clone());
    let owner_names_it = policy.owner_allowed.iter().any(|entry| entry.host.matches(&target));
    admit_listed(policy, &target, None, owner_names_it)
}

/// Whether `ip`, to which an admitted `target` leads, may be connected to.
pub fn admit_address(
    policy: &Policy,
    own: &OwnAddresses,
    target: &Target,
    port: u16,
    ip: IpAddr,
) -> Result<(), Refusal> {
    let owner_names_it = policy.owner_names(target, port) || policy.owner_names(&Target::Address(ip), port);
    admit_ruled(policy, target, port, Some(ip), owner_names_it)?;
    if owner_names_it {
        return Ok(());
    }
    match address::refusal(ip, own) {
        Some(kind) => Err(policy.refuse(target, Some(port), Reason::Address { ip, kind })),
        None => Ok(()),
    }
}

impl Policy {
    /// The ports open at every public host, in ascending order.
    pub fn open_ports(&self) -> Vec<u16> {
        let mut open = [self.ports.as_slice(), &self.services].concat();
        open.sort_unstable();
        open.dedup();
        open
    }

    fn has_open(&self, port: u16) -> bool {
        self.ports.contains(&port) || self.services.contains(&port)
    }

    fn owner_names(&self, target: &Target, port: u16) -> bool {
        self.owner_allowed.iter().any(|entry| {
            let port_is_meant = entry.port.map_or_else(|| self.ports.contains(&port), |only| only == port);
            port_is_meant && entry.host.matches(target)
        })
    }

    fn refuse(&self, target: &Target, port: Option<u16>, reason: Reason) -> Refusal {
        Refusal { host: target.to_string(), port, reason, setting: self.setting }
    }
}

/// What the app's rules say, else whether the port is open. Without an address, what it would decide is left open.
fn admit_ruled(
    policy: &Policy,
    target: &Target,
    port: u16,
    ip: Option<IpAddr>,
    owner_names_it: bool,
) -> Result<(), Refusal> {
    match rules::verdict(&policy.rules, |port| policy.has_open(port), target, port, ip) {
        Verdict::Denied(rule) => Err(policy.refuse(target, Some(port), Reason::Rule(rule.to.clone()))),
        Verdict::Unsaid if !owner_names_it && !policy.has_open(port) => {
            Err(policy.refuse(target, Some(port), Reason::Port { open: policy.open_ports() }))
        }
        Verdict::Allowed | Verdict::Unsaid | Verdict::AfterResolving => Ok(()),
    }
}

fn admit_listed(policy: &Policy, target: &Target, port: Option<u16>, by_owner: bool) -> Result<(), Refusal> {
    if !by_owner && !has(policy.platform_hosts.as_deref(), target) {
        return Err(policy.refuse(target, port, Reason::NotOnPlatformList));
    }
    if !has(policy.app_hosts.as_deref(), target) {
        return Err(policy.refuse(target, port, Reason::NotOnAppList));
    }
    Ok(())
}

/// No list at all has every host.
fn has(list: Option<&[HostPattern]>, target: &Target) -> bool {
    list.is_none_or(|list| list.iter().any(|pattern| pattern.matches(target)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(list: &[&str]) -> Option<Vec<HostPattern>> {
        Some(list.iter().map(|text| text.parse().unwrap()).collect())
    }

    fn said(policy: &Policy, host: &str, port: u16) -> String {
        match admit(policy, &Target::parse(host).unwrap(), port) {
            Ok(()) => "admitted".to_owned(),
            Err(refusal) => refusal.to_string(),
        }
    }

    fn said_of(policy: &Policy, host: &str, port: u16, ip: &str) -> String {
        let target = Target::parse(host).unwrap();
        match admit_address(policy, &OwnAddresses::default(), &target, port, ip.parse().unwrap()) {
            Ok(()) => "admitted".to_owned(),
            Err(refusal) => refusal.to_string(),
        }
    }

    #[test]
    fn three_ports_of_any_host_are_open_by_default() {
        let policy = Policy::default();
        for port in [22, 80, 443] {
            assert_eq!(said(&policy, "example.org", port), "admitted");
        }
        assert_eq!(
            said(&policy, "example.org", 25),
            "refused: example.org:25 is none of the open ports (22, 80, 443); \
             the owner may allow it under [build.egress] allow"
        );
    }

    #[test]
    fn services_of_public_hosts_are_open_to_instances_and_those_of_private_ones_are_not() {
        let owner_allowed = vec!["git.lan".parse().unwrap()];
        let policy = Policy { services: SERVICES.into(), owner_allowed, ..Policy::default() };
        for port in [22, 443, 465, 587, 5432, 6379, 27_017] {
            assert_eq!(said_of(&policy, "db.example.org", port, "203.0.113.7"), "admitted");
        }
        assert_eq!(
            said(&policy, "mail.example.org", 25),
            "refused: mail.example.org:25 is none of the open ports (22, 80, 443, 465, 587, 993 and 23 more); \
             the owner may allow it under [build.egress] allow"
        );
        assert_eq!(said_of(&policy, "git.lan", 22, "10.0.0.5"), "admitted");
        for host in ["git.lan", "evil.example"] {
            assert!(said_of(&policy, host, 5432, "10.0.0.5").contains("a private address"), "{host}");
        }
    }

    #[test]
    fn both_lists_must_have_a_host() {
        let platform = patterns(&["*.example.org", "cdn.example.net"]);
        let policy = Policy {
            platform_hosts: platform,
            app_hosts: patterns(&["a.example.org", "evil.net"]),
            ..Policy::default()
        };
        assert_eq!(said(&policy, "a.example.org", 443), "admitted");
        assert_eq!(
            said(&policy, "cdn.example.net", 443),
            "refused: cdn.example.net:443 is not on the app's list of allowed hosts"
        );
        assert_eq!(
            said(&policy, "evil.net", 443),
            "refused: evil.net:443 is not on the platform's list of allowed hosts"
        );
        assert!(said(&policy, "203.0.113.7", 443).starts_with("refused"), "a bare address is on no list");
    }

    #[test]
    fn an_empty_list_admits_nothing() {
        let policy = Policy { app_hosts: Some(Vec::new()), ..Policy::default() };
        assert!(said(&policy, "example.org", 443).starts_with("refused"));
    }

    #[test]
    fn the_owners_entry_opens_a_private_host_at_its_port_alone() {
        let owner_allowed = vec!["127.0.0.1:3000".parse().unwrap(), "git.lan".parse().unwrap()];
        let policy = Policy { owner_allowed, ..Policy::default() };
        assert_eq!(said(&policy, "127.0.0.1", 3000), "admitted");
        assert_eq!(said_of(&policy, "127.0.0.1", 3000, "127.0.0.1"), "admitted");
        assert_eq!(said_of(&policy, "git.lan", 22, "10.0.0.5"), "admitted");
        assert_eq!(
            said_of(&policy, "127.0.0.1", 443, "127.0.0.1"),
            "refused: 127.0.0.1:443 is a loopback address; the owner may allow it under [build.egress] allow"
        );
        assert_eq!(
            said_of(&policy, "evil.net", 22, "10.0.0.5"),
            "refused: evil.net:22 leads to 10.0.0.5, a private address; \
             the owner may allow it under [build.egress] allow"
        );
        assert!(said(&policy, "git.lan", 3000).starts_with("refused"), "an entry without a port opens the usual ones");
    }

    #[test]
    fn the_owners_entry_stands_on_the_platforms_list_but_not_on_the_apps() {
        let owner_allowed = vec!["git.lan".parse().unwrap()];
        let mut policy = Policy { owner_allowed, platform_hosts: patterns(&["example.org"]), ..Policy::default() };
        assert_eq!(said(&policy, "git.lan", 22), "admitted");
        policy.app_hosts = patterns(&["example.org"]);
        assert!(said(&policy, "git.lan", 22).starts_with("refused"));
    }
}
