//! How the processes fare that should answer on a port: what is said of an instance that does not.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Listening, listeners, sockets};

/// What a name is shown of, in characters; the kernel keeps 15.
const NAME_CHARS_MAX: usize = 15;
/// The line that says how many descriptors a process may have.
const FILES: &str = "Max open files";

/// How those fare who listen on a port, and who is beside them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// The processes that listen on it.
    pub listeners: Vec<Listener>,
    /// How many have ended and are waited for by nobody.
    pub zombies: usize,
}

/// A process that listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// As it calls itself, of printable characters.
    pub name: String,
    /// Whether a signal has stopped it.
    pub is_stopped: bool,
    /// How many descriptors it has.
    pub files: usize,
    /// How many it may have, where that is known.
    pub files_max: Option<usize>,
}

impl Listening {
    /// Looks at the processes and at who of them listens on `port`. Reads `/proc`, and blocks for as long as that takes.
    pub fn condition(&self, port: u16) -> Condition {
        let processes = self.processes();
        let tables = processes.iter().map(|process| listeners(process)).find(|tables| !tables.is_empty());
        let wanted = tables.unwrap_or_default();
        let mut condition = Condition { zombies: zombies(&processes), ..Condition::default() };
        for process in &processes {
            let Some(stat) = Stat::of(process) else { continue };
            if sockets(process).iter().any(|socket| wanted.get(socket) == Some(&port)) {
                condition.listeners.push(listener(process, stat));
            }
        }
        condition
    }
}

/// How many have ended whose parents are among these. A control group lists them no more.
fn zombies(parents: &[PathBuf]) -> usize {
    let parents: HashSet<&OsStr> = parents.iter().filter_map(|process| process.file_name()).collect();
    let all = fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| Stat::of(&entry.path()));
    all.filter(|stat| stat.state == 'Z' && parents.contains(OsStr::new(&stat.parent))).count()
}

fn listener(process: &Path, stat: Stat) -> Listener {
    let files = fs::read_dir(process.join("fd")).map(Iterator::count).unwrap_or(0);
    let files_max = fs::read_to_string(process.join("limits")).ok().and_then(|limits| files_max(&limits));
    Listener { name: stat.name, is_stopped: matches!(stat.state, 'T' | 't'), files, files_max }
}

/// What `/proc/<pid>/stat` begins with.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    name: String,
    state: char,
    /// The id of its parent.
    parent: String,
}

impl Stat {
    fn of(process: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(process.join("stat")).ok()?)
    }

    /// A name may hold anything, brackets and spaces, too.
    fn parse(stat: &str) -> Option<Self> {
        let (before, after) = stat.rsplit_once(')')?;
        let (_, name) = before.split_once('(')?;
        let name = name.chars().filter(char::is_ascii_graphic).take(NAME_CHARS_MAX).collect();
        let mut fields = after.split_whitespace();
        Some(Self { name, state: fields.next()?.chars().next()?, parent: fields.next()?.to_owned() })
    }
}

fn files_max(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix(FILES))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_name_may_hold_anything_and_only_what_is_printed_is_shown() {
        let stat = |name: &str, state| Some(Stat { name: name.to_owned(), state, parent: "1".to_owned() });
        assert_eq!(Stat::parse("12 (node) S 1 2"), stat("node", 'S'));
        assert_eq!(Stat::parse("12 (a) Z (\x1b[1m b) T 1"), stat("a)Z([1mb", 'T'));
        assert_eq!(Stat::parse("12 node S"), None);
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max open files            1024                 4096                 files     \n";
        assert_eq!(files_max(limits), Some(1024));
        assert_eq!(files_max("Max open files            unlimited            unlimited            files\n"), None);
    }

    #[test]
    fn who_listens_is_found_with_what_it_holds_and_who_has_ended_beside_it() {
        let listening = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listening.local_addr().unwrap().port();
        let all = Listening::beside(std::process::id());
        let own = all.condition(port);
        let [one] = &own.listeners[..] else { panic!("{own:?}") };
        assert!(!one.is_stopped && one.files > 2 && one.files_max.is_some_and(|most| most >= one.files), "{one:?}");
        // Nobody waits for it until below.
        let mut ended = Command::new("true").spawn().unwrap();
        while !std::fs::read_to_string(format!("/proc/{}/stat", ended.id())).unwrap().contains(") Z") {
            std::thread::yield_now();
        }
        // Processes of other tests share this network, and some of them end.
        assert!(all.condition(port).zombies >= 1);
        ended.wait().unwrap();
        drop(listening);
        assert_eq!(all.condition(port).listeners, []);
    }
}
