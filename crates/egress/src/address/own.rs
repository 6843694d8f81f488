//! The addresses of this host, read from what the kernel says about its routes.
//!
//! Routes of type "local" rather than interface addresses: a whole range may be local (`ip route add local …`), and
//! each address of it leads to this host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::{in_v4, in_v6};

/// The networks whose packets end at this host; single addresses are networks of full length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnAddresses {
    v4: Vec<(Ipv4Addr, u8)>,
    v6: Vec<(Ipv6Addr, u8)>,
}

/// This host's addresses could not be read, so nothing can be filtered by them.
#[derive(Debug, thiserror::Error)]
#[error("read this host's addresses from {path}")]
pub struct OwnAddressesError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl OwnAddresses {
    /// The addresses of the network namespace this process started in, as they are now.
    pub fn read() -> Result<Self, OwnAddressesError> {
        let v4 = local_v4(&read_file("/proc/net/fib_trie")?);
        let mut v6 = match read_file("/proc/net/ipv6_route") {
            Ok(text) => local_v6(&text),
            // A kernel without IPv6 has neither of the two files.
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => return Ok(Self { v4, v6: Vec::new() }),
            Err(error) => return Err(error),
        };
        v6.extend(interface_v6(&read_file("/proc/net/if_inet6")?));
        Ok(Self { v4, v6 })
    }

    /// With one more address, such as the public one that a NAT in front of this host translates.
    #[must_use]
    pub fn and(mut self, ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => self.v4.push((ip, 32)),
            IpAddr::V6(ip) => self.v6.push((ip, 128)),
        }
        self
    }

    /// Whether packets to `ip` end at this host.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(ip) => self.v4.iter().any(|(net, prefix)| in_v4(ip, *net, *prefix)),
            IpAddr::V6(ip) => self.v6.iter().any(|(net, prefix)| in_v6(ip, *net, *prefix)),
        }
    }
}

fn read_file(path: &str) -> Result<String, OwnAddressesError> {
    let path = Path::new(path);
    fs::read_to_string(path).map_err(|source| OwnAddressesError { path: path.to_owned(), source })
}

/// The local networks of a `fib_trie`: a leaf is a line `|-- ADDRESS` followed by lines `/PREFIX SCOPE TYPE`.
fn local_v4(trie: &str) -> Vec<(Ipv4Addr, u8)> {
    let mut found = Vec::new();
    let mut leaf = None;
    for line in trie.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("|--") => leaf = words.next().and_then(|word| word.parse().ok()),
            Some(word) if words.nth(1) == Some("LOCAL") => {
                let prefix = word.strip_prefix('/').and_then(|digits| digits.parse().ok());
                found.extend(leaf.zip(prefix));
            }
            _ => {}
        }
    }
    found
}

/// The local and anycast networks of an `ipv6_route`: columns destination, prefix (hexadecimal), …, flags, device.
fn local_v6(routes: &str) -> Vec<(Ipv6Addr, u8)> {
    const RTF_ANYCAST: u32 = 0x0010_0000;
    const RTF_LOCAL: u32 = 0x8000_0000;
    let mut found = Vec::new();
    for line in routes.lines() {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [net, prefix, _, _, _, _, _, _, flags, ..] = columns.as_slice() else { continue };
        let is_ours = u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & (RTF_ANYCAST | RTF_LOCAL) != 0);
        if is_ours {
            found.extend(hex_v6(net).zip(u8::from_str_radix(prefix, 16).ok()));
        }
    }
    found
}

/// The addresses of an `if_inet6`, whose first column is the address.
fn interface_v6(interfaces: &str) -> Vec<(Ipv6Addr, u8)> {
    interfaces.lines().filter_map(|line| hex_v6(line.split_whitespace().next()?)).map(|ip| (ip, 128)).collect()
}

fn hex_v6(digits: &str) -> Option<Ipv6Addr> {
    u128::from_str_radix(digits, 16).ok().map(Ipv6Addr::from_bits)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    const TRIE: &str = "\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
        |-- 192.0.2.2
           /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
Local:
     |-- 198.51.100.0
        /25 host LOCAL
";

    #[test]
    fn local_routes_of_a_trie_are_own_addresses_and_others_are_not() {
        let own = OwnAddresses { v4: local_v4(TRIE), v6: Vec::new() };
        for ip in ["192.0.2.2", "198.51.100.0", "198.51.100.127"] {
            assert!(own.contains(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["192.0.2.1", "192.0.2.255", "198.51.100.128", "203.0.113.9"] {
            assert!(!own.contains(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn local_and_anycast_routes_of_ipv6_are_own_addresses_and_others_are_not() {
        let line = |net: &str, prefix: &str, flags: &str| {
            let none = "0".repeat(32);
            format!("{net} {prefix} {none} 00 {none} 00000100 00000001 00000000 {flags} eth0\n")
        };
        let routes = line("20010db8000000000000000000000000", "40", "00000001")
            + &line("20010db8000000000000000000000007", "80", "80200001")
            + &line("20010db8000000010000000000000000", "80", "80300001")
            + &line("20010db8ffff00000000000000000000", "30", "80200001");
        let own = OwnAddresses { v4: Vec::new(), v6: local_v6(&routes) };
        for ip in ["2001:db8::7", "2001:db8:0:1::", "2001:db8:ffff::1"] {
            assert!(own.contains(ip.parse().unwrap()), "{ip}");
        }
        assert!(!own.contains("2001:db8::8".parse().unwrap()));
        assert_eq!(
            interface_v6("20010db8000000000000000000000009 04 40 00 82     eth0\n"),
            [("2001:db8::9".parse().unwrap(), 128)]
        );
    }

    #[test]
    fn this_hosts_own_address_is_found_where_it_has_one() {
        let own = OwnAddresses::read().unwrap();
        assert!(own.contains("127.0.0.1".parse().unwrap()));
        // Connecting a datagram socket sends nothing; it only asks the kernel which source address it would take.
        let probe = UdpSocket::bind("0.0.0.0:0").unwrap();
        if probe.connect("203.0.113.1:9").is_ok() {
            assert!(own.contains(probe.local_addr().unwrap().ip()));
        }
    }
}
