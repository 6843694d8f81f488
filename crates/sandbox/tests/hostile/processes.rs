//! Whom a payload can see and kill, and who survives it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Signal};
use skylift_sandbox::Defence::{HiddenProcesses, OwnIpc, OwnProcesses, Unprivileged};
use skylift_sandbox::{Exit, Sandbox, cgroup};

use crate::attack::{UID, becomes_true, is_root, processes_with, python, run, spec, start, with_and_without, without};
use crate::leaks::groups;

#[test]
fn processes_of_the_host_cannot_be_seen() {
    if !is_root() {
        return;
    }
    let us = std::process::id();
    let script = format!(
        "import os\nprint(os.path.exists('/proc/{us}/environ') and len(open('/proc/{us}/environ').read()) > 0)"
    );
    let (with, without) = with_and_without(&script, &[OwnProcesses, HiddenProcesses, Unprivileged]);
    assert_eq!((with.as_str(), without.as_str()), ("False", "True"));
}

/// Forks twice, leaves its session, ignores what asks it to stop, and says when it is there.
const DAEMON: &str = "
import os, signal, sys, time
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() != 0: os._exit(0)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(number, signal.SIG_IGN)
    null = os.open('/dev/null', os.O_RDWR)
    for stream in (0, 1, 2): os.dup2(null, stream)
    os.execv('/usr/bin/python3', ['python3', '-c', 'import os, time; os.write(%d, b\"x\"); time.sleep(100)' % write, sys.argv[1]]) if os.set_inheritable(write, True) is None else 0
os.wait()
os.read(read, 1)
";

#[test]
fn a_daemon_ends_with_its_sandbox() {
    if !is_root() {
        return;
    }
    let daemon = |marker: &str| {
        let mut spec = python(DAEMON);
        spec.argv.push(marker.to_owned());
        spec
    };
    let mut sandbox = start(&daemon("skylift-daemon-1"));
    assert!(has_ended_within(&sandbox, 10));
    assert_eq!(processes_with("skylift-daemon-1"), [0; 0], "gone with the namespace, before any cleaning");
    assert_eq!(sandbox.wait().unwrap().exit, Exit::Code(0));

    let mut sandbox = start(&without(daemon("skylift-daemon-2"), &[OwnProcesses]));
    assert!(has_ended_within(&sandbox, 10));
    assert_eq!(processes_with("skylift-daemon-2").len(), 1, "without the namespace it lives on");
    sandbox.wait().unwrap();
    assert_eq!(
        processes_with("skylift-daemon-2"),
        [0; 0],
        "and the second line of defence, the control group, kills it"
    );
}

#[test]
fn killing_all_reaches_nobody_outside_and_not_the_first_process() {
    if !is_root() {
        return;
    }
    let script = "
import os, signal
for target in (-1, 1):
    try: os.kill(target, signal.SIGKILL)
    except OSError as error: print(error.strerror)";
    let mut spec = python(script);
    spec.uid = VICTIM_UID;
    let mut bystander = bystander();
    let ended = run(&spec);
    assert_eq!((ended.outcome.exit, ended.said.as_str()), (Exit::Code(0), "No such process\nOperation not permitted"));
    assert!(bystander.try_wait().unwrap().is_none(), "the bystander lives");

    run(&without(spec, &[OwnProcesses]));
    assert!(becomes_true(5, || bystander.try_wait().unwrap().is_some()), "without the namespace it is killed");
}

/// Not the user of the other tests, whose sandboxes the control would kill too.
const VICTIM_UID: u32 = UID + 1;

/// A process outside every sandbox, of the same user.
fn bystander() -> Child {
    Command::new("/bin/sleep").arg("100").uid(VICTIM_UID).gid(UID).spawn().unwrap()
}

#[test]
fn a_stopped_payload_that_ignores_everything_is_killed() {
    let mut spec = python(
        "import os, signal\nfor number in range(1, 32):\n    if number not in (9, 19): signal.signal(number, signal.SIG_IGN)\nos.kill(0, signal.SIGSTOP)",
    );
    spec.limits.pids = 8;
    let mut sandbox = start(&spec);
    assert!(!has_ended_within(&sandbox, 1), "it does not end by itself");
    sandbox.kill();
    sandbox.kill();
    assert!(has_ended_within(&sandbox, 5));
    assert_eq!(sandbox.wait().unwrap().exit, Exit::Signal(9));
    sandbox.kill();
}

#[test]
fn dropping_a_sandbox_kills_it() {
    let mut spec = spec(&["/usr/bin/python3", "-c", "import time; time.sleep(100)", "skylift-dropped"]);
    spec.limits.pids = 8;
    let sandbox = start(&spec);
    assert!(becomes_true(5, || processes_with("skylift-dropped").len() == 1));
    drop(sandbox);
    assert_eq!(processes_with("skylift-dropped"), [0; 0]);
}

#[test]
fn a_host_killed_by_surprise_takes_its_sandboxes_along() {
    let mut host = Host::start("skylift-orphan-1", "with-lifeline");
    let prefix = format!("skylift-test-{}-", host.0.id());
    let limited = usize::from(cgroup::Cgroups::own().usable().next().is_some());
    let groups = || groups(Path::new(cgroup::MOUNTED_AT), &prefix);
    assert!(groups() >= limited);
    host.kill();
    assert!(becomes_true(5, || processes_with("skylift-orphan-1").is_empty()));
    assert!(groups() >= limited, "nobody was left to remove them");
    assert!(cgroup::sweep_leftovers("skylift-test") >= limited);
    assert_eq!(groups(), 0, "in no controller");

    let mut host = Host::start("skylift-orphan-2", "without-lifeline");
    host.kill();
    assert!(!becomes_true(1, || processes_with("skylift-orphan-2").is_empty()), "without the lifeline it lives on");
    end("skylift-orphan-2");
    cgroup::sweep_leftovers("skylift-test");
}

#[test]
fn a_command_outside_any_sandbox_ends_with_the_host_it_is_tied_to() {
    let mut host = Host::run(&["start-a-command", "skylift-tied-1", "tied"]);
    host.kill();
    assert!(becomes_true(5, || processes_with("skylift-tied-1").is_empty()));

    let mut host = Host::run(&["start-a-command", "skylift-tied-2", "free"]);
    host.kill();
    assert!(!becomes_true(1, || processes_with("skylift-tied-2").is_empty()), "without the tie it lives on");
    end("skylift-tied-2");
}

fn end(marker: &str) {
    for pid in processes_with(marker) {
        rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    }
    assert!(becomes_true(5, || processes_with(marker).is_empty()));
}

/// Another process that has a sandbox.
struct Host(Child);

impl Host {
    fn start(marker: &str, lifeline: &str) -> Self {
        Self::run(&["be-a-host", marker, lifeline])
    }

    /// The second argument is a marker that the host and what it starts have.
    fn run(arguments: &[&str]) -> Self {
        let mut host = Command::new(std::env::current_exe().unwrap())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(host.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "runs\n");
        assert!(
            becomes_true(5, || processes_with(arguments[1]).len() >= 2),
            "the host and the payload have the marker"
        );
        host.stdin.as_mut().unwrap().flush().unwrap();
        Self(host)
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn shared_memory_of_one_sandbox_is_not_seen_by_the_next() {
    if !is_root() {
        return;
    }
    let key = 0x534b_594c;
    let make = format!("import ctypes\nprint(ctypes.CDLL(None).shmget({key}, 4096, 0o1666) >= 0)");
    let find = format!(
        "import ctypes\nlibc = ctypes.CDLL(None)\nid = libc.shmget({key}, 0, 0)\nprint(id >= 0)\nlibc.shmctl(id, 0, None)"
    );
    assert_eq!(run(&python(&make)).said, "True");
    assert_eq!(run(&python(&find)).said, "False");

    assert_eq!(run(&without(python(&make), &[OwnIpc])).said, "True");
    assert_eq!(run(&without(python(&find), &[OwnIpc])).said, "True");
}

fn has_ended_within(sandbox: &Sandbox, seconds: i64) -> bool {
    let mut watched = [PollFd::from_borrowed_fd(sandbox.pidfd(), PollFlags::IN)];
    rustix::event::poll(&mut watched, Some(&Timespec { tv_sec: seconds, tv_nsec: 0 })).unwrap() > 0
}
