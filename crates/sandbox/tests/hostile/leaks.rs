//! What is left afterwards: nothing.
//!
//! These count what this process holds, so each test needs a process of its own, as nextest gives it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use skylift_sandbox::cgroup::Cgroups;
use skylift_sandbox::{Exit, Network, Spec};

use crate::attack::{becomes_true, python, run, spec, start};

/// What a sandbox is made of, as the host sees it.
#[derive(Debug, PartialEq, Eq)]
struct Census {
    descriptors: usize,
    children: usize,
    mounts: usize,
    groups: usize,
    networks: usize,
}

impl Census {
    /// Groups and networks are those of this test alone: others may run beside it.
    fn take(prefix: &str, networks: &BTreeSet<String>) -> Self {
        Self {
            descriptors: fs::read_dir("/proc/self/fd").unwrap().count(),
            children: children(),
            mounts: fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count(),
            groups: groups(Path::new("/sys/fs/cgroup"), prefix),
            networks: living_networks().intersection(networks).count(),
        }
    }
}

fn children() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    tasks
        .map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default().split_whitespace().count())
        .sum()
}

/// The control groups of all controllers whose name begins so.
pub(crate) fn groups(folder: &Path, prefix: &str) -> usize {
    let folders = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = folders.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders
        .map(|entry| {
            usize::from(entry.file_name().to_string_lossy().starts_with(prefix)) + groups(&entry.path(), prefix)
        })
        .sum()
}

fn living_networks() -> BTreeSet<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let links = processes.filter_map(|process| fs::read_link(process.path().join("ns/net")).ok());
    links.map(|link| link.to_string_lossy().into_owned()).collect()
}

fn attacker(prefix: &str) -> Spec {
    let script = "
import os, time
print(os.readlink('/proc/self/ns/net'), flush=True)
open('/tmp/left', 'w').write('left'); open('/dev/shm/left', 'w').write('left')
if os.fork() == 0:
    os.setsid()
    os.close(1); os.close(2)
    time.sleep(100)";
    let mut spec = python(script);
    spec.group_prefix = prefix.to_owned();
    spec.network = Network::Relay { connect_port: 3128, ports: vec![443, 80, 22], dns: true };
    spec.serves = Some(8080);
    spec
}

#[test]
fn fifty_sandboxes_leave_nothing() {
    let prefix = format!("skylift-leak-{}", std::process::id());
    let mut networks = BTreeSet::new();
    run(&attacker(&prefix)); // What is made once, is made.
    let before = Census::take(&prefix, &networks);
    for _ in 0..50 {
        let ended = run(&attacker(&prefix));
        assert_eq!(ended.outcome.exit, Exit::Code(0), "{}", ended.said);
        networks.insert(ended.said);
    }
    assert!(!networks.is_empty(), "their numbers are used again");
    // At last: a test beside this one may have been given a number of ours.
    assert!(becomes_true(20, || Census::take(&prefix, &networks) == before), "{:?}", Census::take(&prefix, &networks));
}

#[test]
fn the_census_sees_a_sandbox_that_lives() {
    let prefix = format!("skylift-alive-{}", std::process::id());
    let mut spec = spec(&["/bin/sleep", "100"]);
    spec.group_prefix.clone_from(&prefix);
    let before = Census::take(&prefix, &BTreeSet::new());
    let known = living_networks();
    let sandbox = start(&spec);
    let networks = living_networks().difference(&known).cloned().collect();
    let during = Census::take(&prefix, &networks);
    assert!(during.descriptors > before.descriptors);
    assert_eq!(during.children, before.children + 1);
    assert!(during.networks > before.networks);
    if Cgroups::own().usable().next().is_some() {
        assert!(during.groups > before.groups);
    }
    drop(sandbox);
    assert_eq!(Census::take(&prefix, &BTreeSet::new()), before);
}

#[test]
fn nothing_of_one_run_is_seen_by_the_next() {
    let prefix = format!("skylift-next-{}", std::process::id());
    run(&attacker(&prefix));
    let look = "import os\nprint(os.listdir('/tmp') + os.listdir('/dev/shm'))";
    assert_eq!(run(&python(look)).said, "[]");
    let own = "import os\nopen('/tmp/left', 'w'); open('/dev/shm/left', 'w')\nprint(os.listdir('/tmp') + os.listdir('/dev/shm'))";
    assert_eq!(run(&python(own)).said, "['left', 'left']", "where it was left it is seen");
}

#[test]
fn no_descriptor_of_the_host_gets_in() {
    use std::os::fd::AsRawFd;
    let canary = fs::File::open("/etc/hostname").unwrap();
    rustix::io::fcntl_setfd(&canary, rustix::io::FdFlags::empty()).unwrap();
    let number = canary.as_raw_fd();
    let look = format!("import os\nprint(os.path.exists('/proc/self/fd/{number}'))");
    assert_eq!(run(&python(&look)).said, "False");
    let plain = std::process::Command::new("/usr/bin/python3").args(["-c", &look]).output().unwrap();
    assert_eq!(plain.stdout, b"True\n", "an ordinary child inherits it");
    let listed =
        run(&python("import os\nprint(sorted(os.listdir('/proc/self/fd'))[:3], len(os.listdir('/proc/self/fd')))"))
            .said;
    assert_eq!(listed, "['0', '1', '2'] 4", "the fourth is the folder being listed");
}
