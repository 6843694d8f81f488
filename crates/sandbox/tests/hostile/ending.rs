//! Asking a payload to end, and what happens to those who do not.

use std::io::{BufRead, BufReader, Write};

use rustix::event::{PollFd, PollFlags, Timespec};
use skylift_sandbox::Defence::Unprivileged;
use skylift_sandbox::{Exit, Sandbox, Spec, Stdin};

use crate::attack::{python, run, spec, start, without};

/// A started sandbox whose payload has said `ready`, and what it says from then on.
fn ready(spec: &Spec) -> (Sandbox, BufReader<std::fs::File>) {
    let mut sandbox = start(spec);
    let mut said = BufReader::new(std::fs::File::from(sandbox.stdout.take().unwrap()));
    assert_eq!(line(&mut said), "ready");
    (sandbox, said)
}

fn line(said: &mut impl BufRead) -> String {
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

fn has_ended_within(sandbox: &Sandbox, seconds: i64) -> bool {
    let mut watched = [PollFd::from_borrowed_fd(sandbox.pidfd(), PollFlags::IN)];
    rustix::event::poll(&mut watched, Some(&Timespec { tv_sec: seconds, tv_nsec: 0 })).unwrap() > 0
}

#[test]
fn an_app_that_is_asked_to_end_ends_in_its_own_way() {
    let script = "
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print('ready', flush=True)
time.sleep(100)";
    let (mut sandbox, _said) = ready(&python(script));
    sandbox.terminate().unwrap();
    assert_eq!(sandbox.wait().unwrap().exit, Exit::Code(7));
    sandbox.terminate().unwrap();

    let (mut sandbox, _said) = ready(&spec(&["/bin/sh", "-c", "echo ready; exec sleep 100"]));
    sandbox.terminate().unwrap();
    assert_eq!(sandbox.wait().unwrap().exit, Exit::Signal(15));
}

#[test]
fn one_that_is_stopped_hears_it_too() {
    let script = "
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print('ready', flush=True)
while True: os.kill(0, signal.SIGSTOP)";
    let (mut sandbox, _said) = ready(&python(script));
    sandbox.terminate().unwrap();
    assert_eq!(sandbox.wait().unwrap().exit, Exit::Code(7));
}

#[test]
fn one_that_ignores_it_lives_until_it_is_killed() {
    let script = "
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('ready', flush=True)
while True: time.sleep(100)";
    let (mut sandbox, _said) = ready(&python(script));
    sandbox.terminate().unwrap();
    assert!(!has_ended_within(&sandbox, 1));
    sandbox.kill();
    assert_eq!(sandbox.wait().unwrap().exit, Exit::Signal(9));
}

/// The child of a shell: told to end, it waits until the shell has gone, says so, and finishes when it is let.
const CHILD: &str = "
import os, signal, sys, time
def finish(*_):
    while os.getppid() != 1: time.sleep(0.01)
    os.write(1, b'finishes\\n')
    os.read(0, 1)
    os.write(1, b'finished\\n')
    os._exit(0)
signal.signal(signal.SIGTERM, finish)
if sys.argv[1] == 'leaves': os.setsid()
print('ready', flush=True)
while True: time.sleep(100)";

/// A shell that stays, and a child of it.
fn shell(how: &str) -> Spec {
    let mut spec = spec(&["/bin/sh", "-c", "/usr/bin/python3 -c \"$CHILD\" \"$0\"; exit 3", how]);
    spec.env.insert("CHILD".into(), CHILD.into());
    spec.stdin = Stdin::Pipe;
    spec
}

#[test]
fn the_child_of_a_shell_hears_it_and_may_finish() {
    let (mut sandbox, mut said) = ready(&shell("stays"));
    let mut stdin = std::fs::File::from(sandbox.stdin.take().unwrap());
    sandbox.terminate().unwrap();
    assert_eq!(line(&mut said), "finishes");
    stdin.write_all(b"go on\n").unwrap();
    assert_eq!(line(&mut said), "finished");
    assert_eq!(sandbox.wait().unwrap().exit, Exit::Signal(15), "the shell's");

    let (mut sandbox, mut said) = ready(&shell("leaves"));
    sandbox.terminate().unwrap();
    assert_eq!(line(&mut said), "", "who has left the group hears nothing, and is killed when the rest has ended");
    assert_eq!(sandbox.wait().unwrap().exit, Exit::Signal(15));
}

#[test]
fn a_child_that_does_not_finish_is_killed() {
    let (mut sandbox, mut said) = ready(&shell("stays"));
    sandbox.terminate().unwrap();
    assert_eq!(line(&mut said), "finishes");
    assert!(!has_ended_within(&sandbox, 1), "it is waited for");
    sandbox.kill();
    sandbox.wait().unwrap();
    assert_eq!(line(&mut said), "");
}

#[test]
fn no_signal_from_inside_ends_the_first_process() {
    let script = "
import os, signal
for _ in range(3):
    for number in range(1, 65):
        try: os.kill(1, number)
        except (OSError, ValueError): pass
def ends(number):
    child = os.fork()
    if child == 0:
        for other in range(1, 65):
            try: signal.signal(other, signal.SIG_DFL)
            except (OSError, ValueError): pass
        while True: signal.pause()
    os.kill(child, number)
    return os.WTERMSIG(os.waitpid(child, 0)[1])
print(ends(signal.SIGKILL), ends(signal.SIGTERM), ends(signal.SIGSEGV), flush=True)
os._exit(7)";
    for spec in [python(script), without(python(script), &[Unprivileged])] {
        let ended = run(&spec);
        assert_eq!(ended.said, "9 15 11", "an ordinary process they do end");
        assert_eq!(ended.outcome.exit, Exit::Code(7));
    }
}
