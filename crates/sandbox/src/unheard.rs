//! What the programs of a network have sent to ports where nobody listens, as the kernel of that network counts it.
//!
//! A file that tells of a network goes on doing so for as long as it is open, even when all processes of that network have
//! ended: so the last count is had, too.

use std::fs::{self, File};
use std::io;
use std::ops::AddAssign;
use std::os::unix::fs::FileExt;

use crate::door::Door;

/// Longer than either file, whatever the kernel counts.
const TABLE_BYTES_MAX: usize = 64 << 10;

/// Counts of one network. Keeps it alive until it is dropped.
#[derive(Debug)]
pub struct Unheard {
    v4: File,
    /// `None` in a kernel without IPv6.
    v6: Option<File>,
    /// Who comes in by it is none of the network's own programs.
    door: Option<Door>,
}

/// How much was refused because nobody listens, since the network was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Attempts to connect by TCP.
    pub connections: u64,
    /// Datagrams of UDP.
    pub datagrams: u64,
}

impl Unheard {
    /// Of the network that a process is in. The caller has to know that it is still the process that is meant.
    ///
    /// # Errors
    /// Where there is no such process any more.
    pub fn of_process(pid: u32, door: Option<Door>) -> io::Result<Self> {
        let open = |table: &str| File::open(format!("/proc/{pid}/net/{table}"));
        let v4 = open("snmp")?;
        let v6 = match open("snmp6") {
            Err(error) if error.kind() == io::ErrorKind::NotFound && fs::exists(format!("/proc/{pid}"))? => None,
            opened => Some(opened?),
        };
        Ok(Self { v4, v6, door })
    }

    /// What there is so far. Attempts of this process, through the door, are left out.
    ///
    /// # Errors
    /// Where the kernel does not tell.
    pub fn read(&self) -> io::Result<Refused> {
        let v4 = table(&self.v4)?;
        let v6 = self.v6.as_ref().map(table).transpose()?.unwrap_or_default();
        let ours = self.door.as_ref().map_or(0, Door::refused);
        let datagrams = column(&v4, "Udp:", "NoPorts").unwrap_or(0) + line(&v6, "Udp6NoPorts").unwrap_or(0);
        let connections = column(&v4, "Tcp:", "AttemptFails").unwrap_or(0).saturating_sub(ours);
        Ok(Refused { connections, datagrams })
    }
}

impl AddAssign for Refused {
    fn add_assign(&mut self, other: Self) {
        self.connections += other.connections;
        self.datagrams += other.datagrams;
    }
}

/// From the beginning, each time.
fn table(file: &File) -> io::Result<String> {
    let mut bytes = vec![0; TABLE_BYTES_MAX];
    let mut length = 0;
    while let Some(rest) = bytes.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, u64::try_from(length).unwrap_or(u64::MAX))? {
            0 => break,
            more => length += more,
        }
    }
    bytes.truncate(length);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Of a table in which a line of names is followed by one of numbers, both of which begin alike.
fn column(table: &str, begins: &str, name: &str) -> Option<u64> {
    let mut lines = table.lines().filter(|line| line.starts_with(begins));
    let at = lines.next()?.split_whitespace().position(|word| word == name)?;
    lines.next()?.split_whitespace().nth(at)?.parse().ok()
}

/// Of a table with a name and a number in each line.
fn line(table: &str, name: &str) -> Option<u64> {
    let mut words =
        table.lines().map(str::split_whitespace).find_map(|mut words| (words.next()? == name).then_some(words))?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_their_names() {
        let v4 = "Ip: InReceives NoPorts\nIp: 7 8\nTcp: InSegs AttemptFails\nTcp: -1 3\nUdp: InDatagrams NoPorts\nUdp: 9 4\n";
        assert_eq!(column(v4, "Tcp:", "AttemptFails"), Some(3));
        assert_eq!(column(v4, "Udp:", "NoPorts"), Some(4));
        assert_eq!(column(v4, "Udp:", "Other"), None);
        let v6 = "Ip6InReceives  \t2\nUdp6NoPorts     \t5\nUdp6NoPortsOther 6\n";
        assert_eq!(line(v6, "Udp6NoPorts"), Some(5));
        assert_eq!(line("", "Udp6NoPorts"), None);
    }
}
