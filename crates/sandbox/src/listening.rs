//! On which ports the processes of a network listen: what is said to whoever waits for another one.

mod condition;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::cgroup::members;
pub use condition::{Condition, Listener};

/// A table of sockets lists those that listen first; what lies beyond is of connections.
const TABLE_BYTES_MAX: u64 = 256 << 10;
/// How the tables write that a socket listens.
const LISTENS: &str = "0A";
/// What stands before the number of a socket where a descriptor leads to one.
const SOCKET: &str = "socket:[";

/// Where the listening sockets of processes are looked up. Stays good for as long as it is kept, and finds nothing once they have ended.
#[derive(Clone, Debug)]
pub struct Listening(Processes);

#[derive(Clone, Debug)]
enum Processes {
    /// The members of a control group, where there is one.
    Of(Option<PathBuf>),
    /// All that share the network of this one.
    Beside(u32),
}

impl Listening {
    pub(crate) fn of_group(group: Option<PathBuf>) -> Self {
        Self(Processes::Of(group))
    }

    /// Of the processes that share the network of one that runs.
    pub fn beside(pid: u32) -> Self {
        Self(Processes::Beside(pid))
    }

    /// The ports of TCP on which one of the processes listens, by whatever address. Sockets of the platform's own in that network are not
    /// theirs. Reads `/proc`, and blocks for as long as that takes.
    pub fn ports(&self) -> BTreeSet<u16> {
        let processes = self.processes();
        let held: HashSet<u64> = processes.iter().flat_map(|process| sockets(process)).collect();
        let Some(tables) = processes.iter().map(|process| listeners(process)).find(|tables| !tables.is_empty()) else {
            return BTreeSet::new();
        };
        tables.into_iter().filter(|(socket, _)| held.contains(socket)).map(|(_, port)| port).collect()
    }

    fn processes(&self) -> Vec<PathBuf> {
        let place = |pid: &dyn std::fmt::Display| PathBuf::from(format!("/proc/{pid}"));
        match &self.0 {
            Processes::Of(group) => {
                let all = group.iter().flat_map(|group| members(group));
                all.map(|pid| place(&pid.as_raw_nonzero())).collect()
            }
            Processes::Beside(pid) => {
                let network = |process: &Path| fs::read_link(process.join("ns/net")).ok();
                let Some(wanted) = network(&place(pid)) else { return Vec::new() };
                let all = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
                // `self` and `thread-self` are there a second time.
                let is_process = |place: &Path| {
                    place.file_name().is_some_and(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit))
                };
                all.filter(|place| is_process(place) && network(place).as_ref() == Some(&wanted)).collect()
            }
        }
    }
}

/// The numbers of the sockets that a process holds.
fn sockets(process: &Path) -> Vec<u64> {
    let held = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    let number = |to: PathBuf| to.to_str()?.strip_prefix(SOCKET)?.strip_suffix(']')?.parse().ok();
    held.filter_map(|descriptor| number(fs::read_link(descriptor.path()).ok()?)).collect()
}

/// The sockets of a process's network that listen, by their numbers.
fn listeners(process: &Path) -> HashMap<u64, u16> {
    let mut found = HashMap::new();
    for table in ["net/tcp", "net/tcp6"] {
        let mut text = Vec::new();
        let read = File::open(process.join(table)).and_then(|file| file.take(TABLE_BYTES_MAX).read_to_end(&mut text));
        if read.is_ok() {
            found.extend(String::from_utf8_lossy(&text).lines().filter_map(listener));
        }
    }
    found
}

/// A line of such a table: its number and the port, where it listens.
fn listener(line: &str) -> Option<(u64, u16)> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let (local, state, number) = (columns.get(1)?, columns.get(3)?, columns.get(9)?);
    let (_, port) = local.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    (*state == LISTENS).then_some((number.parse().ok()?, port))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_line_tells_port_and_number_of_what_listens_and_nothing_of_connections() {
        let line = |state: &str| {
            format!(
                "   1: 0100007F:0BB8 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  1000        0 4479183 1 0"
            )
        };
        assert_eq!(listener(&line("0A")), Some((4_479_183, 3000)));
        assert_eq!(listener(&line("01")), None, "a connection");
        assert_eq!(listener("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid"), None);
        let six = "   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 \
                   00:00000000 00000000 1172153        0 77 1 000000002071e95c 100 0 0 10 0";
        assert_eq!(listener(six), Some((77, 8080)));
    }

    #[test]
    fn ports_are_those_that_the_processes_themselves_listen_on() {
        let listening = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listening.local_addr().unwrap().port();
        let connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let ports = Listening::beside(std::process::id()).ports();
        assert!(ports.contains(&port), "{ports:?}");
        assert!(!ports.contains(&connection.local_addr().unwrap().port()), "a connection is not one: {ports:?}");
        drop((listening, connection));
        assert!(!Listening::beside(std::process::id()).ports().contains(&port), "it is closed");
        assert!(Listening::of_group(None).ports().is_empty());
    }
}
