//! A network namespace with nothing but loopback and one cable to this machine. Root only.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::process::Command;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A neighbour that is not there.
const NOBODY: &str = "02:00:00:00:00:01";

/// Removed when dropped; what runs in it should have ended before.
pub struct Namespace {
    name: String,
    cable: String,
    /// This machine's end of the cable.
    pub here: Ipv4Addr,
    /// The other end.
    pub there: Ipv4Addr,
}

impl Namespace {
    /// Makes one; its addresses are nobody else's on this machine.
    pub fn new() -> Self {
        let first = std::process::id();
        for attempt in 0..1000_u32 {
            // 16,384 networks of four addresses each.
            let number = first.wrapping_add(attempt).wrapping_mul(7919) % (1 << 14);
            let (name, cable) = (format!("skylift-{number}"), format!("skl{number}"));
            if !ip(&["netns", "add", &name]) {
                continue;
            }
            let [high, low] = u16::try_from(number * 4).unwrap().to_be_bytes();
            let (here, there) = (Ipv4Addr::new(10, 213, high, low + 1), Ipv4Addr::new(10, 213, high, low + 2));
            let namespace = Self { name, cable, here, there };
            assert!(namespace.connect(), "{} has its cable", namespace.name);
            return namespace;
        }
        panic!("no network namespace can be made; are you root?");
    }

    fn connect(&self) -> bool {
        let (here, there) = (format!("{}/30", self.here), format!("{}/30", self.there));
        ip(&["link", "add", &self.cable, "type", "veth", "peer", "name", "eth0", "netns", &self.name])
            && ip(&["address", "add", &here, "dev", &self.cable])
            && ip(&["link", "set", &self.cable, "up"])
            && ip(&["-n", &self.name, "address", "add", &there, "dev", "eth0"])
            && ip(&["-n", &self.name, "link", "set", "eth0", "up"])
            && ip(&["-n", &self.name, "link", "set", "lo", "up"])
    }

    /// The words that go before a command so that it runs in here. Only the network is another one.
    pub fn before(&self) -> [String; 2] {
        ["nsenter".to_owned(), format!("--net=/run/netns/{}", self.name)]
    }

    /// Runs `ip` in here.
    pub fn ip(&self, words: &str) {
        let words: Vec<&str> = words.split_whitespace().collect();
        assert!(ip(&[&["-n", &self.name][..], &words].concat()), "ip -n {} {}", self.name, words.join(" "));
    }

    /// Lays one more cable, to another namespace; at both ends it has this name.
    pub fn wire(&self, other: &Self, cable: &str) {
        self.ip(&format!("link add {cable} type veth peer name {cable} netns {}", other.name));
        for end in [self, other] {
            end.ip(&format!("link set {cable} up"));
        }
    }

    /// What `work` makes in here; a socket stays in the network that it was made in, wherever it is used.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let network = File::open(format!("/run/netns/{}", self.name)).unwrap();
        let entered = || {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            work()
        };
        std::thread::scope(|scope| scope.spawn(entered).join()).unwrap()
    }

    /// Pulls the cable at the other end: what is sent from here is lost, and nobody is told. (At this end the way to it would
    /// be gone, and this machine would look for another one.)
    pub fn unplug(&self) {
        assert!(ip(&["-n", &self.name, "link", "set", "eth0", "down"]));
    }

    /// What is sent from there is lost, and nobody is told; what is sent from here arrives. (It goes to a neighbour that is
    /// not there.)
    pub fn mute(&self) {
        let here = self.here.to_string();
        let lost = ["neigh", "replace", &here, "lladdr", NOBODY, "dev", "eth0", "nud", "permanent"];
        assert!(ip(&[&["-n", &self.name][..], &lost[..]].concat()));
    }

    /// What is sent from here is lost, what is sent from there arrives.
    pub fn deafen(&self) {
        let there = self.there.to_string();
        assert!(ip(&["neigh", "replace", &there, "lladdr", NOBODY, "dev", &self.cable, "nud", "permanent"]));
    }

    /// Both hear each other again.
    pub fn heal(&self) {
        let (here, there) = (self.here.to_string(), self.there.to_string());
        ip(&["-n", &self.name, "neigh", "del", &here, "dev", "eth0"]);
        ip(&["neigh", "del", &there, "dev", &self.cable]);
    }

    /// Puts it back.
    pub fn plug_in(&self) {
        assert!(ip(&["-n", &self.name, "link", "set", "eth0", "up"]));
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        ip(&["link", "del", &self.cable]);
        ip(&["netns", "del", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).output().is_ok_and(|ran| ran.status.success())
}
