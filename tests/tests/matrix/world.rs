//! The internet that is played, and who listens in it: three network namespaces.
//!
//! ```text
//! the platform's own ──net0──▶ the public one: one host, which may be reached, and the name server
//!                    ──net1──▶ everything else: every private, link-local, shared or translated address is at home there
//! ```

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};

use skylift_tests::namespace::Namespace;
use tempfile::TempDir;

use super::names::Names;

/// What an instance may reach.
pub(crate) const PUBLIC: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
pub(crate) const PUBLIC_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 7);
/// A port that is none of the usual ones, where somebody listens.
pub(crate) const OTHER_PORT: u16 = 7777;
const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 8);
/// The platform's own addresses on the two cables, all of them public ones.
pub(crate) const OWN: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)),
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 129)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 1)),
];
/// All of these addresses are those of the second neighbour.
const ELSEWHERE: [&str; 16] = [
    "10.0.0.0/8",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "2001::/32",
    "2002::/16",
    "fc00::/7",
    "fec0::/10",
    "100::/64",
    "5f00::/16",
];

pub(crate) struct World {
    pub(crate) platform: Namespace,
    public: Namespace,
    elsewhere: Namespace,
    pub(crate) names: Names,
    /// Who came to what may be reached.
    pub(crate) at_public: Visits,
    /// Who came anywhere else.
    pub(crate) at_denied: Visits,
    folder: TempDir,
}

/// Who came, by where to.
#[derive(Clone, Default)]
pub(crate) struct Visits(Arc<Mutex<Vec<String>>>);

impl Visits {
    fn note(&self, to: String) {
        self.0.lock().unwrap().push(to);
    }

    pub(crate) fn read(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let [platform, public, elsewhere] = [(); 3].map(|()| Namespace::new());
        // Only the platform is spoken to from this machine.
        public.unplug();
        elsewhere.unplug();
        let folder = TempDir::with_prefix("skylift-world-").unwrap();
        std::fs::write(folder.path().join("resolv.conf"), format!("nameserver {NAME_SERVER}\n")).unwrap();
        let world = Self {
            platform,
            public,
            elsewhere,
            names: Names::default(),
            at_public: Visits::default(),
            at_denied: Visits::default(),
            folder,
        };
        world.lay_cables();
        world.listen_in_public();
        world.listen_elsewhere();
        world.listen_at_the_platform();
        world
    }

    fn lay_cables(&self) {
        self.platform.wire(&self.public, "net0");
        self.platform.wire(&self.elsewhere, "net1");
        for (namespace, words) in [
            (&self.platform, ["203.0.113.1/28 dev net0", "2001:db8:1::1/64 dev net0 nodad"]),
            (&self.public, ["203.0.113.7/28 dev net0", "2001:db8:1::7/64 dev net0 nodad"]),
            (&self.platform, ["203.0.113.129/30 dev net1", "2001:db8:2::1/64 dev net1 nodad"]),
            (&self.elsewhere, ["203.0.113.130/30 dev net1", "2001:db8:2::2/64 dev net1 nodad"]),
        ] {
            words.iter().for_each(|words| namespace.ip(&format!("address add {words}")));
        }
        self.public.ip("address add 203.0.113.8/28 dev net0");
        for network in ELSEWHERE {
            self.elsewhere.ip(&format!("route add local {network} dev lo"));
        }
        self.platform.ip("route add default via 203.0.113.130");
        self.platform.ip("route add default via 2001:db8:2::2");
    }

    fn listen_in_public(&self) {
        for port in [80, 443, 5432, 25, OTHER_PORT] {
            self.tcp(&self.public, &format!("[::]:{port}"), &self.at_public);
        }
        self.udp(&self.public, "203.0.113.7:80", &self.at_denied);
        let names = self.public.within(|| UdpSocket::bind((NAME_SERVER, 53))).unwrap();
        self.names.serve(names);
    }

    fn listen_elsewhere(&self) {
        for port in [80, 443, OTHER_PORT] {
            self.tcp(&self.elsewhere, &format!("[::]:{port}"), &self.at_denied);
            self.udp(&self.elsewhere, &format!("[::]:{port}"), &self.at_denied);
        }
        self.udp(&self.elsewhere, "[::]:53", &self.at_denied);
    }

    /// Beside the platform: at all its addresses, on the ports that it does not have itself.
    fn listen_at_the_platform(&self) {
        let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv4Addr::new(127, 66, 0, 1).into(), Ipv6Addr::LOCALHOST.into()];
        for ip in loopback.into_iter().chain(OWN) {
            self.tcp(&self.platform, &SocketAddr::new(ip, 80).to_string(), &self.at_denied);
        }
        self.tcp(&self.platform, "[::]:443", &self.at_denied);
        for port in [80, 443, 53] {
            self.udp(&self.platform, &format!("[::]:{port}"), &self.at_denied);
        }
        for port in [80, 443] {
            // This machine, which the platform's network has a cable to.
            count(TcpListener::bind((self.platform.here, port)).unwrap(), &self.at_denied);
        }
        let name = abstract_name();
        let listener = self.platform.within(|| UnixListener::bind_addr(&name)).unwrap();
        let visits = self.at_denied.clone();
        std::thread::spawn(move || {
            while let Ok((mut guest, _)) = listener.accept() {
                visits.note("an abstract name".to_owned());
                let _gone = guest.write_all(b"reached");
            }
        });
    }

    fn tcp(&self, namespace: &Namespace, at: &str, visits: &Visits) {
        let listener = namespace.within(|| TcpListener::bind(at)).unwrap_or_else(|error| panic!("{at}: {error}"));
        count(listener, visits);
    }

    fn udp(&self, namespace: &Namespace, at: &str, visits: &Visits) {
        let socket = namespace.within(|| UdpSocket::bind(at)).unwrap_or_else(|error| panic!("{at}: {error}"));
        let (visits, at) = (visits.clone(), at.to_owned());
        std::thread::spawn(move || {
            while let Ok((length, from)) = socket.recv_from(&mut [0; 1500]) {
                visits.note(format!("udp {at} ({length} bytes)"));
                let _gone = socket.send_to(b"reached", from);
            }
        });
    }

    /// What goes before the platform's command: its network, and the name server of the world.
    pub(crate) fn before(&self) -> Vec<String> {
        let names = self.folder.path().join("resolv.conf").display().to_string();
        let there = ["unshare", "--mount", "sh", "-c", "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"", &names];
        self.platform.before().into_iter().chain(there.map(str::to_owned)).collect()
    }

    /// Packets that came in from the platform at those who are not to hear of it, by what the kernel there has counted.
    pub(crate) fn packets(&self) -> Vec<String> {
        let read =
            || ["snmp", "snmp6"].map(|file| std::fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap());
        let [v4, v6] = self.elsewhere.within(read);
        // Neighbours of IPv6 greet each other, which is all ICMP.
        let v6 = v6.lines().filter(|line| ["Udp6InDatagrams", "Udp6NoPorts"].iter().any(|of| line.starts_with(of)));
        let counted = |line: &&str| ["Ip:", "Udp:"].iter().any(|of| line.starts_with(of));
        let received = |line: &str| {
            // Of IP: all that came; of UDP: what came, and what nobody listened for.
            let columns: Vec<&str> = line.split_whitespace().collect();
            let wanted = if line.starts_with("Ip:") { &columns[3..4] } else { &columns[1..3] };
            format!("{} {}", columns[0], wanted.join(" "))
        };
        let tcp = v4.lines().filter(|line| line.starts_with("Tcp:")).map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            format!("Tcp: in {}", columns[10])
        });
        v4.lines().filter(counted).map(received).chain(tcp).chain(v6.map(str::to_owned)).collect()
    }
}

/// Notes who comes, and answers.
fn count(listener: TcpListener, visits: &Visits) {
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nreached";
    let visits = visits.clone();
    std::thread::spawn(move || {
        for guest in listener.incoming() {
            let Ok(mut guest) = guest else { continue };
            visits.note(format!("tcp {}", guest.local_addr().unwrap()));
            std::thread::spawn(move || {
                let _gone = guest.read(&mut [0; 1024]);
                let _gone = guest.write_all(ANSWER);
            });
        }
    });
}

/// A name without a file, which is each network's own.
pub(crate) fn abstract_name() -> std::os::unix::net::SocketAddr {
    std::os::unix::net::SocketAddr::from_abstract_name("skylift-matrix-platform").unwrap()
}
